"""``python -m experiments`` on fake systems: exit status, output, records, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import experiments
from experiments.harness.claims import JSON_KEYS
from experiments.harness.cli import main

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("systems")


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
def test_exit_status_is_held_not_held_or_error(names, status, capsys):
    assert main(["reproduce", *names]) == status
    shown = capsys.readouterr()
    assert ("NOT HELD" in shown.out) == ("flat" in names)
    if "broken" in names:
        assert "RuntimeError: this arm broke" in shown.err  # the traceback
        assert "ERROR     RuntimeError: this arm broke" in shown.out
    if "fake" in names:  # ran although another raised
        assert "The rising arm ends above the flat one" in shown.out


def test_smoke_is_not_judged(capsys):
    assert main(["reproduce", "fake", "flat", "--scale", "smoke", "--json", "c.json"]) == 0
    shown = capsys.readouterr().out
    assert "held" not in shown.lower()
    assert "≥ 0.5" in shown  # values and thresholds are still there
    assert "only tests that everything runs" in shown
    assert {row["verdict"] for row in json.loads(Path("c.json").read_text())} == {"not judged"}
    assert main(["reproduce", "broken", "--scale", "smoke"]) == 2


def test_json_is_a_list_of_exactly_the_published_keys():
    assert main(["reproduce", "fake", "flat", "--json", "out/claims.json"]) == 1
    listed = json.loads(Path("out/claims.json").read_text())
    assert [tuple(entry) for entry in listed] == [JSON_KEYS] * 6
    first = listed[0]
    assert (first["system"], first["baseline"], first["threshold"]) == ("fake", "flat", 0.5)
    assert first["held"] is True
    assert first["verdict"] == "held"
    assert first["seeds"] == 4
    low, high = first["interval"]
    assert low <= first["effect"] <= high
    assert first["seconds"] > 0
    assert listed[2]["interval"] is None
    assert [entry["held"] for entry in listed] == [True] * 3 + [False, False, True]


@pytest.mark.parametrize("command", ["reproduce", "run"])
def test_unknown_name_runs_nothing_and_suggests(command, capsys):
    assert main([command, "flta"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unknown system 'flta', did you mean 'flat'?")
    assert error.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "args",
    [["reproduce"], ["reproduce", "fake", "--scale", "huge"], ["run"], ["run", "fake", "--x", "1"]],
)
def test_wrong_options_run_nothing(args):
    assert main(args) == 2
    assert not Path("runs").exists()


def test_all_runs_every_system():
    assert main(["reproduce", "--all", "--scale", "smoke"]) == 2
    assert {path.name for path in Path("runs").iterdir()} == {"fake", "flat", "broken"}


def test_results_change_only_if_recorded_or_asked(capsys):
    assert main(["reproduce", "fake"]) == 0
    assert "results/ left as it is (" in capsys.readouterr().out
    assert not Path("results").exists()
    assert main(["reproduce", "fake", "--record"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "results/ will be updated" in shown[0]  # decided before the run
    assert Path("results/figures/fake.png").exists()
    kept = Path("results/claims.json").read_bytes()
    for other in (["--scale", "smoke"], ["--seed", "7"]):
        assert main(["reproduce", "fake", *other]) == 0
        assert "pass --record to update it" in capsys.readouterr().out
        assert Path("results/claims.json").read_bytes() == kept
    Path("results/REPRODUCTION.md").unlink()
    assert main(["reproduce", "fake"]) == 0  # the same system, scale and seed
    assert Path("results/REPRODUCTION.md").exists()


def test_an_error_never_replaces_a_recorded_run(systems):
    assert main(["reproduce", "fake", "--record"]) == 0
    kept = Path("results/claims.json").read_bytes()
    path = systems / "fake" / "config.py"
    path.write_text(path.read_text().replace("fail: bool = False", "fail: bool = True "))
    for name in [name for name in sys.modules if name.startswith("experiments.fake")]:
        del sys.modules[name]
    assert main(["reproduce", "fake", "--record"]) == 2
    assert Path("results/claims.json").read_bytes() == kept


def test_seed_reaches_the_config():
    assert main(["reproduce", "fake", "--seed", "7", "--record"]) == 0
    config = next(Path("runs/fake").glob("*/config.json"))
    assert json.loads(config.read_text())["config"]["seed"] == 7
    assert "--seed 7" in Path("results/REPRODUCTION.md").read_text()


@pytest.mark.parametrize("args", [["reproduce", "fake"], ["list"], ["report"]])
def test_damaged_claims_file_is_named_before_anything_runs(args, capsys):
    Path("results").mkdir()
    Path("results/claims.json").write_text("{not json")
    assert main(args) == 2
    assert "claims.json: expected the list" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_list(capsys, monkeypatch):
    monkeypatch.setattr(experiments, "SYSTEMS", ("broken", "fake", "flat"))
    assert main(["reproduce", "fake", "--record"]) == 0
    entries = json.loads(Path("results/claims.json").read_text())
    Path("results/claims.json").write_text(
        json.dumps([entries[0] | {"seconds": 900.0, "cpu_seconds": 90.0}])
    )
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["broken", "fake", "flat"]
    assert rows[1] == {
        "name": "fake",
        "title": "Linear trend: whether it rises",
        "paper": {
            "author": "A. Author, B. Author",
            "title": "On Trends",
            "year": 1999,
            "venue": "Journal of Trends",
            "arxiv": "9901.00001",
        },
        "minutes": {"small": 1.5},
    }
    assert rows[0]["minutes"] == {}
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert "Linear trend" in shown
    assert "small 1.5 min" in shown


def test_list_goes_on_after_a_system_that_fails(capsys):
    assert main(["list"]) == 2
    shown = capsys.readouterr()
    assert "error: absent: ModuleNotFoundError" in shown.err
    assert "Linear trend" in shown.out


def test_run_takes_every_field_of_the_config(capsys):
    assert main(["run", "fake", "--scale", "full", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--agents" in shown
    assert "number of agents" in shown
    assert "64" in shown  # the full scale's size is the default
    options = ["--scale", "smoke", "--agents", "5", "--json", "c.json", "--no-figure"]
    assert main(["run", "fake", *options, "--runs", "elsewhere"]) == 0
    assert "rising arm … 0.0 s" in capsys.readouterr().err
    (folder,) = Path("elsewhere/fake").iterdir()
    assert not (folder / "figure.png").exists()
    config = json.loads((folder / "config.json").read_text())
    assert (config["scale"], config["config"]["agents"]) == ("smoke", 5)
    assert json.loads(Path("c.json").read_text())[0]["judged"] == pytest.approx(1.0, abs=0.1)
    assert main(["run", "--gain", "0.1", "fake"]) == 1
    assert not Path("results").exists()


def test_run_refuses_a_bad_config_in_one_line(capsys):
    assert main(["run", "fake", "--agents", "0"]) == 2
    assert capsys.readouterr().err == "error: agents: expected at least 1, got 0\n"


MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import experiments
experiments.__path__.append("made")
experiments.SYSTEMS = ("fake", "flat", "slow")
from experiments.harness.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["reproduce", "fake", "slow", "--scale", "full", "--record"],
            "stopped: slow is not finished and not recorded; "
            "finished before: fake (recorded in results/ and runs/fake/",
        ),
        (["run", "slow"], "stopped: slow is not finished and not recorded\n"),
    ],
)
def test_ctrl_c_ends_with_one_line(args, message, systems, copy_system):
    copy_system(systems, "slow", ("wait: float = 0.0", "wait: float = 60.0"))
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *args],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    shown = b""
    while b"slow: rising arm" not in shown:
        read = os.read(process.stderr.fileno(), 4096)
        assert read, shown
        shown += read
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert message in rest
    if args[0] == "reproduce":
        assert json.loads(Path("results/claims.json").read_text())[0]["system"] == "fake"


def test_bare_command_lists_without_jax(tmp_path):
    code = (
        "import sys; from experiments.__main__ import main; status = main();"
        "heavy = {'jax', 'flax', 'jumanji', 'scipy', 'matplotlib'} & set(sys.modules);"
        "print('imported', sorted(heavy)); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported []"


def test_the_config_of_a_run_can_be_given_back(capsys):
    assert main(["run", "fake", "--agents", "5", "--gain", "2.5", "--no-figure"]) == 0
    (first,) = Path("runs/fake").glob("*/config.json")
    assert main(["run", "fake", "--config", str(first), "--seeds", "3", "--no-figure"]) == 0
    (second,) = set(Path("runs/fake").glob("*/config.json")) - {first}
    one, two = (json.loads(path.read_text()) for path in (first, second))
    assert two == {**one, "config": {**one["config"], "seeds": 3}}
    assert one["config"]["agents"] == 5

    first.write_text(json.dumps({"config": {"agentz": 5}}))
    assert main(["run", "fake", "--config", str(first)]) == 2
    assert "Config has no field 'agentz'" in capsys.readouterr().err
    assert main(["run", "fake", f"--config={first.parent}/absent.json"]) == 2
    assert "config: expected the config.json of a run" in capsys.readouterr().err


def test_learning_curves_are_written_for_marl_eval(copy_system, systems):
    curves = (
        "def run(config, progress):\n",
        "def learning_curves(config, results):\n"
        "    from experiments.harness.protocol import LearningCurves\n\n"
        '    return {"hills": LearningCurves(results["rounds"], results["curves"])}\n\n\n'
        "def run(config, progress):\n",
    )
    copy_system(systems, "absent", curves)
    assert main(["run", "absent", "--no-figure", "--log", "marl_eval", "--seed", "3"]) == 0
    (folder,) = Path("runs/absent").iterdir()
    (written,) = (folder / "log").iterdir()
    runs = json.loads(written.read_text())["absent"]["hills"]
    assert list(runs) == ["rising", "flat"]
    seeds = len(runs["rising"])
    assert list(runs["rising"]) == [f"seed_{3 + seed}" for seed in range(seeds)]
    steps = runs["rising"]["seed_3"]
    assert list(steps) == [f"step_{k}" for k in range(10)] + ["absolute_metrics"]
    assert steps["absolute_metrics"]["return"] == steps["step_9"]["return"]


def test_a_run_logs_its_records_and_claims(copy_system, systems):
    simulated = (
        'progress("flat arm")',
        'progress("flat arm"); import jax, jaxswarm; jaxswarm.simulate('
        'lambda k, s, i: (s + 1.0, {"x": s}), 0.0, 2, key=jax.random.key(0), progress=False)',
    )
    copy_system(systems, "absent", simulated)
    assert main(["run", "absent", "--no-figure", "--log", "csv"]) == 0
    (folder,) = Path("runs/absent").iterdir()
    assert (folder / "log/flat_arm.csv").read_text().split() == ["round,x", "1,0.0", "2,1.0"]
    claims = (folder / "log/claims.csv").read_text().splitlines()
    assert claims[0] == "round,effect,threshold,held"
    assert len(claims) == 1 + 3
