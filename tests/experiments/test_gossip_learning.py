"""The main job at toy size: arms, table, figure, records, resume and refusals."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import gossip_learning

ROOT = Path(__file__).resolve().parents[2]
TINY = gossip_learning.Config(
    agents=12, rounds=40, every=10, hidden=(8,), progress=False, topology=("ring", "exponential")
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    arms = gossip_learning.main(replace(TINY, runs=folder))
    return arms, next((folder / "gossip_learning").iterdir())


def test_arms_share_their_start_and_differ_in_traffic(outcome):
    arms, _ = outcome
    assert list(arms) == ["ring", "exponential", "isolated", "server"]
    starts = [arm.metrics["accuracy"][0] for arm in arms.values()]
    for start in starts[1:]:
        np.testing.assert_array_equal(start, starts[0])
    sent = {name: float(arm.metrics["messages"][-1]) for name, arm in arms.items()}
    degree = np.asarray(arms["exponential"].graph.in_degrees())[0]
    assert sent == {
        "ring": 40 * 12 * 2,
        "exponential": 40 * 12 * degree,
        "isolated": 0,
        "server": 40 * 12 * 2,
    }
    final = {name: arm.metrics["disagreement"][-1] for name, arm in arms.items()}
    assert final["server"] < final["exponential"] < final["ring"] < final["isolated"]


def test_table_figure_and_records(outcome):
    arms, folder = outcome
    lines = gossip_learning.table(arms).splitlines()
    assert len(lines) == 2 + len(arms)
    assert lines[2].split()[0] == "ring"
    assert float(lines[2].split()[1]) == pytest.approx(
        arms["ring"].metrics["accuracy"][-1].mean(), abs=1e-3
    )
    assert (folder / "figure.png").stat().st_size > 10_000
    assert json.loads((folder / "config.json").read_text())["config"]["agents"] == 12
    assert json.loads((folder / "versions.json").read_text())["jax"]
    with np.load(folder / "metrics.npz") as saved:
        assert any("ring" in name and "accuracy" in name for name in saved.files)


def test_a_resumed_run_ends_where_an_unstopped_one_does(outcome, tmp_path):
    arms, _ = outcome
    config = replace(TINY, topology=("ring",), baselines=(), checkpoint=tmp_path)
    gossip_learning.run(replace(config, rounds=20))
    resumed = gossip_learning.run(replace(config, resume=True))["ring"]
    for name, value in arms["ring"].metrics.items():
        np.testing.assert_array_equal(resumed.metrics[name], value)
    with pytest.raises(ValueError, match=r"lr|config"):
        gossip_learning.run(replace(config, resume=True, lr=0.3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topology": ("rnig",)}, "did you mean 'ring'"),
        ({"baselines": ("sever",)}, "did you mean 'server'"),
        ({"partition": "idd"}, "did you mean 'iid'"),
        ({"weights": "metropolic"}, "did you mean 'metropolis'"),
        ({"agents": 5000}, "5000 agents"),
    ],
)
def test_bad_choices_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        gossip_learning.run(replace(TINY, **change))


def test_command_line_says_what_is_wrong():
    command = [sys.executable, "experiments/gossip_learning.py"]
    shown = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert "--topology" in shown.stdout
    wrong = subprocess.run(
        [*command, "--topology", "rnig"], cwd=ROOT, capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert "did you mean 'ring'" in wrong.stderr
