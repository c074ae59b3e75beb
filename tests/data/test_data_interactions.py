"""Logged sessions: rows are grouped, sorted and padded; files of one's own; bad input by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxswarm import data

GOOD = {
    "session": ["b", "a", "b", "b"],
    "action": [0, 1, 2, 0],
    "rewards": {"watch": [1.0, 2.0, 3.0, 4.0], "like": [0.0, 1.0, 0.0, 1.0]},
    "propensity": [0.5, 0.25, 1.0, 0.1],
    "features": [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]],
    "order": [3.0, 0.0, 1.0, 2.0],
}
CSV = """who,when,show,seen,liked,p,age
b,3,0,1.0,0,.5,1
a,0,1,2.0,1,.25,2
b,1,2,3.0,0,1,3
b,2,0,4.0,1,.1,4
"""
COLUMNS = {
    "session": "who",
    "action": "show",
    "rewards": ["seen", "liked"],
    "propensity": "p",
    "features": ["age"],
    "order": "when",
}


def test_rows_become_sorted_padded_sessions():
    log = data.interactions(**GOOD)
    assert log.names == ("watch", "like")
    np.testing.assert_array_equal(log.mask, [[True, True, True], [True, False, False]])
    np.testing.assert_array_equal(log.rewards[..., 0], [[3.0, 4.0, 1.0], [2.0, 0.0, 0.0]])
    np.testing.assert_array_equal(log.actions, [[2, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(log.propensities, [[1.0, 0.1, 0.5], [0.25, 1.0, 1.0]])
    np.testing.assert_array_equal(log.features[0, :, 0], [3.0, 4.0, 1.0])


@given(owners=st.lists(st.integers(0, 5), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_no_row_is_lost_and_each_stays_in_its_session(owners, seed):
    values = np.random.default_rng(seed).normal(size=len(owners)).astype(np.float32)
    log = data.interactions(owners, np.zeros(len(owners), int), values, propensity=values * 0 + 1)
    assert log.names == ("reward 0",)
    assert int(log.mask.sum()) == len(owners)
    for session, owner in enumerate(dict.fromkeys(owners)):
        kept = log.rewards[session, log.mask[session], 0]
        np.testing.assert_array_equal(kept, values[np.array(owners) == owner])


def test_later_steps_are_cut_and_vectors_are_actions():
    log = data.interactions(**{**GOOD, "action": np.ones((4, 3)), "max_steps": 2})
    assert log.actions.shape == (2, 2, 3)
    assert log.num_steps == 2
    np.testing.assert_array_equal(log.rewards[0, :, 0], [3.0, 4.0])


def test_a_file_gives_the_same_sessions(tmp_path):
    file = tmp_path / "log.csv"
    file.write_text(CSV, encoding="utf-8")
    log, direct = data.load_interactions(file, **COLUMNS), data.interactions(**GOOD)
    for name in ("actions", "rewards", "propensities", "mask"):
        np.testing.assert_array_equal(getattr(log, name), getattr(direct, name))
    vectors = data.load_interactions(file, **{**COLUMNS, "action": ["show", "age"]})
    assert vectors.actions.shape == (2, 3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"session": []}, "session: expected a non-empty vector"),
        ({"session": [[1], [2], [3], [4]]}, "session: expected a non-empty vector"),
        ({"session": [0.5, 1.0, 2.0, 3.0]}, "session: expected a non-empty vector"),
        ({"session": None}, "session: expected"),
        ({"action": [0, 1, 2]}, "action: expected"),
        ({"action": [0, 1, 2, -1]}, "action: expected"),
        ({"action": "x"}, "action: expected"),
        ({"rewards": {}}, "rewards: expected named columns"),
        ({"rewards": {"a": [1.0], "b": [1.0, 2.0]}}, "rewards: expected columns of one length"),
        ({"rewards": [1.0, 2.0, np.nan, 0.0]}, "rewards: expected"),
        ({"propensity": [0.5, 0.5, 0.5, 0.0]}, "propensity: expected"),
        ({"propensity": [0.5, 0.5, 0.5, 1.5]}, "propensity: expected"),
        ({"propensity": [0.5, 0.5, 0.5, np.nan]}, "propensity: expected"),
        ({"propensity": [0.5]}, "propensity: expected"),
        ({"features": [[1.0]]}, "features: expected"),
        ({"order": [1.0, np.nan, 2.0, 3.0]}, "order: expected"),
        ({"max_steps": 0}, "max_steps: expected"),
        ({"density": 2}, "density: expected"),
    ],
)
def test_bad_columns_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        data.interactions(**{**GOOD, **change})


def test_densities_may_exceed_one():
    log = data.interactions(**{**GOOD, "propensity": [2.0, 0.5, 1.0, 1.0], "density": True})
    assert log.propensities.max() == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "nothing.csv"}, "path: expected"),
        ({"session": "user"}, "column 'user': expected one of"),
        ({"rewards": "seen"}, "rewards: expected a sequence"),
        ({"rewards": []}, "expected at least one column"),
        ({"propensity": "who"}, "column 'who': expected numbers, got 'b' in line 2"),
        ({"action": "p"}, "column 'p': expected whole numbers"),
    ],
)
def test_bad_files_are_refused_by_column(tmp_path, change, message):
    file = tmp_path / "log.csv"
    file.write_text(CSV, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        data.load_interactions(**{"path": file, **COLUMNS, **change})


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    file = tmp_path / "log.parquet"
    file.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="pip install pyarrow"):
        data.load_interactions(file, **COLUMNS)
