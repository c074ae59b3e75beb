"""The claims harness end to end, on a fake experiment that holds, fails or raises on demand."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import fake_experiment
import numpy as np
import pytest

import experiments
from experiments import harness, records, report
from experiments.__main__ import main
from experiments.claims import JSON_KEYS, claim
from jaxswarm.statistics import compare, summarize

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working folder of its own, and three systems: one holds, one does not, one raises."""
    monkeypatch.chdir(tmp_path)
    source = (HERE / "fake_experiment.py").read_text()
    flat = source.replace('"fake"', '"flat"').replace("gain: float = 1", "gain: float = 0")
    broken = source.replace('NAME = "fake"', 'NAME = "broken"').replace("= False", "= True")
    (tmp_path / "flat_experiment.py").write_text(flat)
    (tmp_path / "broken_experiment.py").write_text(broken)
    monkeypatch.syspath_prepend(str(tmp_path))
    systems = {
        "fake": "fake_experiment",
        "flat": "flat_experiment",
        "broken": "broken_experiment",
        "absent": "no_such_module",
    }
    monkeypatch.setattr(experiments, "SYSTEMS", systems)
    for module in ("experiments.harness", "experiments.__main__"):
        monkeypatch.setattr(sys.modules[module], "SYSTEMS", systems)
    yield
    for name in ("flat_experiment", "broken_experiment"):
        sys.modules.pop(name, None)


def _run(*args: str, program: tuple[str, ...] = ("-m", "experiments")):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *program, *args], capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["fake"], 0),
        (["fake", "flat"], 1),
        (["broken"], 2),
        (["broken", "fake"], 2),
        (["absent"], 2),
    ],
)
def test_exit_status_says_held_not_held_or_error(names, status, capsys):
    assert main(["reproduce", *names, "--scale", "smoke"]) == status
    said = capsys.readouterr()
    assert ("NOT HELD" in said.out) == ("flat" in names)
    if "broken" in names:
        assert "RuntimeError: this arm broke" in said.err  # the traceback
        assert "ERROR     RuntimeError: this arm broke" in said.out
    if "fake" in names:  # ran although another raised
        assert "rising ends above flat" in said.out
    assert Path("results/REPRODUCTION.md").exists()


def test_json_is_a_list_of_exactly_the_published_keys():
    assert main(["reproduce", "fake", "flat", "--scale", "smoke", "--json", "out/claims.json"]) == 1
    listed = json.loads(Path("out/claims.json").read_text())
    assert [tuple(entry) for entry in listed] == [JSON_KEYS] * 6
    first = listed[0]
    assert (first["system"], first["baseline"], first["threshold"]) == ("fake", "flat", 0.5)
    assert first["held"] is True
    assert first["seeds"] == 4
    low, high = first["interval"]
    assert low <= first["effect"] <= high
    assert first["seconds"] > 0
    assert listed[2]["interval"] is None
    assert [entry["held"] for entry in listed] == [True] * 3 + [False, False, True]


def test_unknown_name_runs_nothing_and_suggests(capsys):
    assert main(["reproduce", "fake", "flta"]) == 2
    assert "unknown experiment 'flta'; did you mean 'flat'?" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert main(["reproduce"]) == 2


def test_all_runs_every_system(capsys):
    assert main(["reproduce", "--all", "--scale", "smoke"]) == 2
    assert {p.name for p in Path("runs").iterdir()} == {"fake", "flat", "broken"}


def test_list(capsys, monkeypatch):
    monkeypatch.delitem(experiments.SYSTEMS, "absent")
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["broken", "fake", "flat"]
    assert rows[0]["paper"] == {"author": "A. Author", "title": "On Trends", "year": 1999}
    assert main([]) == 0
    assert "A trend that rises" in capsys.readouterr().out


def test_a_run_is_recorded_and_its_figure_redrawn_from_metrics_alone(tmp_path):
    outcome = harness.execute(fake_experiment, fake_experiment.SCALES["small"], scale="small")
    folder = outcome.folder
    assert folder is not None
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "metrics.npz",
        "claims.json",
        "versions.json",
        "figure.png",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["config"]["agents"] == 8
    assert {"jax", "jaxlib", "numpy", "python", "platform"} <= set(
        json.loads((folder / "versions.json").read_text())
    )
    results = records.load_metrics(folder / "metrics.npz")
    fake_experiment.plot(results, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (folder / "figure.png").read_bytes()
    assert [c.held for c in fake_experiment.claims(results)] == [c.held for c in outcome.claims]


def test_seed_reaches_the_config():
    main(["reproduce", "fake", "--scale", "smoke", "--seed", "7"])
    config = next(Path("runs/fake").glob("*/config.json"))
    assert json.loads(config.read_text())["config"]["seed"] == 7
    assert "--seed 7" in Path("results/REPRODUCTION.md").read_text()


def test_runs_within_one_second_get_their_own_folders(monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    assert records.new_folder("runs", "x").name == "now"
    assert records.new_folder("runs", "x").name == "now-2"


def test_reproduction_keeps_other_systems_and_replaces_its_own():
    main(["reproduce", "flat", "--scale", "smoke"])
    main(["reproduce", "fake", "--scale", "smoke"])
    main(["reproduce", "fake", "--scale", "small"])
    main(["reproduce", "fake", "--scale", "smoke", "--seed", "3"])
    entries = json.loads(Path("results/claims.json").read_text())
    assert [(e["system"], e["scale"]) for e in entries] == [
        ("fake", "small"),
        ("fake", "smoke"),
        ("flat", "smoke"),
    ]
    document = Path("results/REPRODUCTION.md").read_text()
    assert document == report.markdown(entries)
    assert "**not held**" in document
    assert "python -m experiments reproduce fake --scale smoke --seed 3" in document


def test_damaged_claims_file_is_named_before_anything_runs(capsys):
    Path("results").mkdir()
    Path("results/claims.json").write_text("{not json")
    assert main(["reproduce", "fake", "--scale", "smoke"]) == 2
    assert "claims.json: expected the list" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_experiment_file_has_its_own_command_line():
    script = (str(HERE / "fake_experiment.py"),)
    shown = _run("--scale", "full", "--help", program=script)
    assert shown.returncode == 0, shown.stderr
    assert "--agents" in shown.stdout
    assert "how many agents there are" in shown.stdout
    assert "64" in shown.stdout  # the full scale's size is the default
    done = _run(
        "--scale", "smoke", "--agents", "5", "--gain", "0.1", "--json", "c.json", program=script
    )
    assert done.returncode == 1, done.stderr
    assert "rising arm … 0.0 s" in done.stderr
    assert json.loads(Path("c.json").read_text())[0]["held"] is False
    config = json.loads(next(Path("runs/fake").glob("*/config.json")).read_text())
    assert (config["scale"], config["config"]["agents"]) == ("smoke", 5)


def test_module_command_line():
    listed = _run("list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert isinstance(json.loads(listed.stdout), list)
    wrong = _run("reproduce", "nothing_like_it")
    assert wrong.returncode == 2
    assert "unknown experiment" in wrong.stderr
    assert _run("reproduce", "x", "--scale", "huge").returncode == 2


NAMES = ("system", "sentence", "baseline")
GAP = compare([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])  # effects 0.5, 1.5, 2.5


@pytest.mark.parametrize(
    ("options", "held", "judged"),
    [
        ({"at_least": 1.5}, True, 1.5),
        ({"at_least": 1.6}, False, 1.5),
        ({"at_most": 1.5}, True, 1.5),
        ({"at_least": 0.0, "judge": "interval"}, False, GAP.interval[0]),
        ({"at_most": 9.0, "judge": "interval"}, True, GAP.interval[1]),
        ({"at_least": 0.5, "judge": "every seed"}, True, 0.5),
        ({"at_least": 0.6, "judge": "every seed"}, False, 0.5),
        ({"at_most": 2.4, "judge": "every seed"}, False, 2.5),
    ],
)
def test_verdict_is_derived(options, held, judged):
    made = claim("s", "sentence", "base", GAP, **options)
    assert made.held is held
    assert made.judged == pytest.approx(judged)
    assert (made.effect, made.interval, made.seeds) == (GAP.effect, GAP.interval, 3)


def test_claims_of_summaries_and_numbers():
    assert claim("s", "c", "b", summarize([1.0, 3.0]), at_least=2.0).held
    assert claim("s", "c", "b", 2.0, at_least=2.0, seeds=5).seeds == 5
    undefined = claim("s", "c", "b", float("nan"), at_least=0.0)
    assert not undefined.held
    assert undefined.as_json()["effect"] is None
    assert not claim("s", "c", "b", float("inf"), at_most=10.0).held


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: claim(*NAMES, GAP), "expected exactly one"),
        (lambda: claim(*NAMES, GAP, at_least=1, at_most=2), "expected exactly one"),
        (lambda: claim(*NAMES, GAP, at_least=float("nan")), "threshold: expected a finite"),
        (lambda: claim(*NAMES, GAP, at_least=1, judge="mood"), "judge: expected"),  # type: ignore
        (lambda: claim(*NAMES, 1.0, at_least=1, judge="interval"), "judge: 'interval'"),
        (lambda: claim(*NAMES, 1.0, at_least=1, judge="every seed"), "judge: 'every seed'"),
        (lambda: claim(*NAMES, GAP, at_least=1, seeds=7), "seeds: expected 3"),
        (lambda: records.save_metrics("m.npz", {"a/b": 1}), "names without '/'"),
        (lambda: records.save_metrics("m.npz", {"a": object()}), r"results\['a'\]: expected"),
        (lambda: harness.load("fak"), "did you mean 'fake'"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_metrics_come_back_as_they_were(tmp_path):
    import jax.numpy as jnp

    results = {
        "accuracy": {"ring": jnp.ones((2, 3)), "deep": {"er": np.arange(4)}},
        "names": np.array(["a", "b"]),
        "half": jnp.ones(2, jnp.bfloat16),
        "lr": 0.1,
    }
    records.save_metrics(tmp_path / "m.npz", results)
    back = records.load_metrics(tmp_path / "m.npz")
    np.testing.assert_array_equal(back["accuracy"]["deep"]["er"], np.arange(4))
    assert back["accuracy"]["ring"].shape == (2, 3)
    assert back["half"].dtype == np.float32
    assert list(back["names"]) == ["a", "b"]
    assert back["lr"] == 0.1
