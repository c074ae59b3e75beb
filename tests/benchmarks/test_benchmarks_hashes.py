"""The benchmark of hashes compares what computes the same."""

import json

import numpy as np
import pytest

from benchmarks import hashes as benchmark
from jaxswarm.trust import hashes


def test_all_implementations_find_the_same():
    a, b = benchmark.codes(70, 0), benchmark.codes(90, 1)
    table = np.asarray(hashes.distances(a, b))
    counts = hashes.histogram(a, b)
    a, b = (x.view(np.uint64).ravel() for x in (a, b))
    np.testing.assert_array_equal(benchmark.numpy_table(a, b), table)
    np.testing.assert_array_equal(benchmark.query_loop(a, b), table)
    np.testing.assert_array_equal(benchmark.numpy_histogram(a, b), counts)
    np.testing.assert_array_equal(benchmark.loop_histogram(a, b), counts)


@pytest.mark.slow
def test_the_command_measures_all_sections(tmp_path, capsys):
    benchmark.main(["--quick", "--json", str(tmp_path / "hashes.json")])
    rows = json.loads((tmp_path / "hashes.json").read_text())["rows"]
    assert [row["impl"] for row in rows[:3]] == ["jaxswarm", "numpy", "query loop"]
    assert {row["setting"].partition(",")[0] for row in rows} >= {"table", "histogram", "phash"}
    assert all(row["per_s"] > 0 for row in rows)
    assert "comparisons/s" in capsys.readouterr().out
