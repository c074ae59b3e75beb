"""The benchmark of language agents runs and counts its tokens."""

import pytest

from benchmarks import language


@pytest.mark.slow
def test_rows_say_what_they_measured():
    report = language.run(["sampling"], quick=True)
    (row,) = report["rows"]
    assert row["impl"] == "sampling"
    assert row["tokens_per_s"] == pytest.approx(2 * 2 * 2 * 4 / row["wall_s"])
    assert row["best_cpu_s"] <= row["cpu_s"]
    assert "tokens/s" in language.table([row])


def test_the_reference_round_has_the_published_size():
    assert language.REFERENCE.tokens == 8 * 8 * 8 * 24
