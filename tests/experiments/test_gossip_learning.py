"""The quickstart script at toy size: arms, table, figure, records, resume and refusals."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import gossip_learning
from experiments.harness import cli
from jaxswarm import sharding

ROOT = Path(__file__).resolve().parents[2]
TINY = gossip_learning.Config(
    agents=12, rounds=40, every=10, hidden=(8,), progress=False, topology=("ring", "exponential")
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """One graph and one baseline: each arm is a program of its own."""
    folder = tmp_path_factory.mktemp("runs")
    config = replace(TINY, topology=("ring",), baselines=("server",), runs=folder, log="csv")
    return gossip_learning.main(config), next((folder / "gossip_learning").iterdir())


@pytest.mark.slow
def test_arms_share_their_start_and_differ_in_traffic(tmp_path):
    arms = gossip_learning.main(replace(TINY, runs=tmp_path))
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


def test_log_writes_the_records_of_every_arm(outcome):
    arms, folder = outcome
    assert sorted(path.name for path in (folder / "log").iterdir()) == ["ring.csv", "server.csv"]
    header, *lines = (folder / "log" / "ring.csv").read_text().splitlines()
    column = header.split(",").index("disagreement")
    found = [float(line.split(",")[column]) for line in lines]
    np.testing.assert_allclose(found, arms["ring"].metrics["disagreement"][1:], rtol=1e-6)


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
        ({"data": "digit"}, "did you mean 'digits'"),
        ({"agents": 5000}, "5000 agents"),
        ({"agents": 1}, "agents: expected at least 2, got 1"),
        ({"lr": 0.0}, "lr: expected a positive number, got 0.0"),
        ({"lr": float("nan")}, "lr: expected a positive number, got nan"),
        ({"resume": True}, "resume: expected --checkpoint FOLDER as well"),
        ({"devices": 99}, "devices: expected at most 8 .* after sharding.force_cpu_devices"),
    ],
)
def test_bad_choices_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        gossip_learning.run(replace(TINY, **change))


def test_an_arm_without_disagreement_is_drawn(outcome, tmp_path):
    arms, _ = outcome
    path = gossip_learning.plot({"server": arms["server"]}, tmp_path / "figure.png")
    assert path.stat().st_size > 5_000


def test_choices_and_help_texts_of_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gossip_learning.py", "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        gossip_learning.command_line()
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for options in (gossip_learning.FAMILIES, gossip_learning.PARTITIONERS):
        assert "{" + ",".join(options) + "}" in shown
    assert "\n    python experiments/gossip_learning.py --devices 8 " in shown
    blocks = re.split(r"\n│ --", shown)[1:]
    assert [block.split()[0] for block in blocks if len(block.split("(default:")[0]) < 40] == []


def _command_line(monkeypatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["gossip_learning.py", *map(str, args)])
    return gossip_learning.command_line()


def test_ctrl_c_ends_with_one_line(monkeypatch, capsys, tmp_path):
    def interrupted(config):
        if config.checkpoint is None:
            raise KeyboardInterrupt  # outside the simulation
        raise KeyboardInterrupt("stopped after 20 of 40 rounds")

    monkeypatch.setattr(gossip_learning, "main", interrupted)
    assert _command_line(monkeypatch, "--checkpoint", tmp_path) == 130
    assert capsys.readouterr().err == (
        f"stopped after 20 of 40 rounds; continue with --checkpoint {tmp_path} --resume\n"
    )
    assert _command_line(monkeypatch) == 130
    assert capsys.readouterr().err == "stopped; nothing saved, see --checkpoint\n"


def test_checkpoint_errors_name_options_of_the_command_line(monkeypatch, capsys, tmp_path):
    config = replace(TINY, topology=("ring",), baselines=(), checkpoint=tmp_path, rounds=10)
    gossip_learning.run(config)
    options = "--agents 12 --rounds 10 --every 10 --hidden 8 --no-progress --topology ring".split()
    options += ["--checkpoint", str(tmp_path), "--baselines"]
    assert _command_line(monkeypatch, *options) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path} holds a run: add --resume, delete it or give another --checkpoint\n"
    )
    assert _command_line(monkeypatch, *options, "--resume", "--lr", "0.3") == 2
    assert "delete the folder or give another --checkpoint" in capsys.readouterr().err


def test_the_script_runs_as_a_file_and_makes_its_devices():
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    wrong = subprocess.run(
        [sys.executable, "experiments/gossip_learning.py", "--devices", "8", "--agents", "12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )
    assert wrong.returncode == 2
    said, error = wrong.stderr.splitlines()[:2]
    assert said == "this CPU counts as 8 devices, which share its cores"
    assert error.startswith("error: num_agents: 12 agents cannot be divided evenly among 8 devices")


def test_the_experiments_command_runs_it_too(capsys):
    assert cli.main(["run", "gossip_learning", "--topology", "rnig"]) == 2
    assert "did you mean 'ring'" in capsys.readouterr().err
    assert cli.main(["run", "gossip_learnin"]) == 2
    assert "did you mean 'gossip_learning'" in capsys.readouterr().err
    assert cli.main(["run", "single_merging", "--devices", "8"]) == 2
    assert "`run gossip_learning --devices D`" in capsys.readouterr().err


def test_devices_are_forced_before_jax_runs_only(monkeypatch):
    with pytest.raises(ValueError, match="count: expected a whole number"):
        sharding.force_cpu_devices(0)
    assert not sharding.force_cpu_devices(2)  # a number in XLA_FLAGS stands
    monkeypatch.setenv("XLA_FLAGS", "")
    assert jax.device_count() == 8
    assert not sharding.force_cpu_devices(8)
    with pytest.raises(
        ValueError, match="jax runs already, with 8 CPU devices of 9; call sharding"
    ):
        sharding.force_cpu_devices(9)
