"""The benchmark of Crafter runs at tiny sizes."""

import pytest

from benchmarks import crafter


@pytest.mark.slow
def test_rows_have_rates(tmp_path):
    found = crafter.run(["random"], quick=True)
    assert all(row["agent_steps_per_s"] > 0 for row in found["rows"])
    assert {row["impl"] for row in found["rows"]} == {"jaxswarm, 6 agents"}
