"""MovieLens ratings in the formats of their releases, and a feed fitted to the real ones."""

import zipfile

import numpy as np
import pytest

from jaxswarm import data
from jaxswarm.envs.feed import _factors

ROWS = [(7, 30, 4.0, 300), (7, 10, 1.0, 100), (9, 30, 5.0, 50), (9, 20, 3.5, 60)]
FORMATS = {
    "u.data": ("", "\t"),
    "ratings.dat": ("", "::"),
    "ratings.csv": ("userId,movieId,rating,timestamp\n", ","),
    "ml-100k.inter": ("user_id:token\titem_id:token\trating:float\ttimestamp:float\n", "\t"),
}


def write(folder, name, rows=ROWS):
    header, separator = FORMATS[name]
    folder.mkdir(parents=True, exist_ok=True)
    lines = (separator.join(map(str, row)) + "\n" for row in rows)
    (folder / name).write_text(header + "".join(lines), encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("place", ["file", "folder", "zip"])
def test_every_release_is_read_from_a_file_a_folder_and_an_archive(tmp_path, name, place):
    path = write(tmp_path / "ml-100k", name)
    if place == "folder":
        path = tmp_path
    elif place == "zip":
        with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
            archive.write(path, f"ml-100k/{name}")
        path = tmp_path / "ml.zip"
    log = data.movielens(path)
    assert log.names == ("rating",)
    assert log.actions.tolist() == [[0, 2], [2, 1]]  # in the order of time
    assert log.rewards[..., 0].tolist() == [[1.0, 4.0], [5.0, 3.5]]
    assert log.propensities.tolist() == [[0.25, 0.5], [0.5, 0.25]]


def test_the_folder_of_the_environment_variable_is_searched(tmp_path, monkeypatch):
    write(tmp_path / "ml-100k", "u.data")
    monkeypatch.setenv("JAXSWARM_DATA", str(tmp_path))
    assert data.movielens().num_sessions == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 2, 3.0)], "line 1 of u.data"),
        ([ROWS[0], (1, 2, "four", 5)], "line 2 of u.data"),
        ([], "empty"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=f"^path: .*{message}"):
        data.movielens(write(tmp_path, "u.data", rows))


@pytest.mark.parametrize("path", [3, "", "missing"])
def test_a_path_without_ratings_is_refused(tmp_path, path):
    with pytest.raises(ValueError, match=r"^path: expected"):
        data.movielens(tmp_path / path if path == "missing" else path)


@pytest.fixture
def ratings():
    """User, item and logarithm of the rating of every row of the real data."""
    try:
        log = data.movielens()
    except ValueError as error:
        pytest.skip(f"MovieLens is not on this machine: {error}")
    mask = np.asarray(log.mask)
    return np.nonzero(mask)[0], log.actions[mask], np.log(log.rewards[mask][:, 0])


@pytest.mark.slow
def test_a_feed_fitted_to_movielens_predicts_ratings_it_has_not_seen(ratings):
    """Factors lower the error of item means; fitted slopes are those of held-out rows."""
    user, item, rating = ratings
    held_out = np.random.default_rng(0).random(len(user)) < 0.1
    kept = ~held_out
    fitted = _factors.fit(user[kept], item[kept], rating[kept], 8, ridge=3.0, rounds=10, seed=0)
    held_out &= item < len(fitted.topics)
    match = np.sum(fitted.tastes[user] * fitted.topics[item], axis=1)[held_out] / np.sqrt(8)
    sticky, found = fitted.sticky[item][held_out], rating[held_out]
    error = found - fitted.level - fitted.sticky_slope * sticky
    assert np.mean((error - fitted.match_slope * match) ** 2) < 0.95 * np.mean(error**2)
    known = np.stack([np.ones_like(match), sticky, match], axis=1)
    _, *slopes = np.linalg.lstsq(known, found, rcond=None)[0]
    np.testing.assert_allclose(slopes, [fitted.sticky_slope, fitted.match_slope], rtol=0.15)
