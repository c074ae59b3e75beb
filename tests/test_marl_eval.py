"""The JSON file of marl-eval: its structure, runs that join it, continued runs, bad inputs."""

import json

import jax
import numpy as np
import pytest

import jaxswarm as js
from jaxswarm import loggers

NAMES = {"environment": "Spread", "task": "N3", "algorithm": "ippo"}


def test_the_structure_is_that_of_the_format(tmp_path):
    returns = np.arange(12.0).reshape(2, 3, 2)  # two seeds, three evaluations, two episodes
    path = tmp_path / "new" / "runs.json"
    loggers.write_marl_eval(path, [0, 10, 20], {"Return": returns}, seeds=(4, 7), **NAMES)
    final = {"return": np.ones((2, 20))}
    other = {**NAMES, "algorithm": "mappo"}
    metrics = {"return": -returns}
    loggers.write_marl_eval(path, [0, 10, 20], metrics, seeds=(4, 7), absolute=final, **other)
    document = json.loads(path.read_text())
    assert list(document) == ["spread"]  # names as marl-eval looks them up
    assert list(document["spread"]["n3"]) == ["ippo", "mappo"]
    for runs in document["spread"]["n3"].values():
        assert list(runs) == ["seed_4", "seed_7"]
        for run in runs.values():
            assert list(run) == ["step_0", "step_1", "step_2", "absolute_metrics"]
            assert [run[f"step_{k}"]["step_count"] for k in range(3)] == [0, 10, 20]
    ippo, mappo = document["spread"]["n3"].values()
    assert ippo["seed_7"]["step_1"]["return"] == [8.0, 9.0]
    assert ippo["seed_7"]["absolute_metrics"] == {"return": [10.0, 11.0]}  # of the best evaluation
    assert mappo["seed_4"]["absolute_metrics"] == {"return": [1.0] * 20}


def test_one_seed_needs_no_axis_and_replaces_itself(tmp_path):
    path = tmp_path / "runs.json"
    loggers.write_marl_eval(path, [1, 2], {"return": [[5.0, 5.0], [6.0, 6.0]]}, **NAMES)
    loggers.write_marl_eval(path, [1], {"return": [3.0]}, absolute={"return": [1.0, 2.0]}, **NAMES)
    (run,) = json.loads(path.read_text())["spread"]["n3"]["ippo"].values()
    assert run == {
        "step_0": {"step_count": 1, "return": [3.0]},
        "absolute_metrics": {"return": [1.0, 2.0]},
    }


def simulate(writer, rounds):
    def step(key, state, inputs):
        return state + 1.0, {"loss": -state}

    evaluate = lambda state: {"deterministic": np.array([1.0, 3.0]) * state}  # noqa: E731
    options = {"key": jax.random.key(0), "evaluate": evaluate, "progress": False}
    js.simulate(step, 0.0, rounds, on_records=writer, **options)


def test_records_of_a_run_are_steps_and_a_run_is_continued(tmp_path):
    path = tmp_path / "runs.json"
    options = {**NAMES, "seed": 2, "steps_per_round": 50}
    chosen = {"return": "deterministic"}
    writer = loggers.marl_eval(path, metrics=chosen, **options)
    assert isinstance(writer, loggers.Writer)
    simulate(writer, 2)
    simulate(loggers.marl_eval(path, metrics=chosen, **options), 3)  # rounds 1 to 3 anew
    run = json.loads(path.read_text())["spread"]["n3"]["ippo"]["seed_2"]
    assert [run[f"step_{k}"]["step_count"] for k in range(3)] == [50, 100, 150]
    assert run["step_2"]["return"] == run["absolute_metrics"]["return"] == [6.0]
    loggers.marl_eval(path, metrics=chosen, **options).write(9, {"deterministic": 1.0})
    run = json.loads(path.read_text())["spread"]["n3"]["ippo"]["seed_2"]
    assert list(run) == ["step_0", "step_1", "step_2", "step_3", "absolute_metrics"]
    everything = loggers.marl_eval(path, **{**options, "seed": 5})
    everything.write(1, {"loss": 0.0, "x": 1.0, "x.min": 0.0, "x.max": 2.0})
    run = json.loads(path.read_text())["spread"]["n3"]["ippo"]["seed_5"]
    assert run["step_0"] == {"step_count": 50, "loss": [0.0], "x": [1.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [3, 2]}, "steps: expected numbers ≥ 0 that increase"),
        ({"steps": [0.5, 1.5]}, "steps: expected whole numbers"),
        ({"metrics": {"return": [1.0]}}, r"metrics\['return'\]: expected shape \[1, 2\]"),
        ({"metrics": {"return": [1.0, float("nan")]}}, "metrics.*finite"),
        ({"metrics": [1.0, 2.0]}, "metrics: expected arrays by name"),
        ({"metrics": {}}, "metrics: expected at least one"),
        ({"task": ""}, "task: expected a name"),
        ({"seeds": (1, 1)}, "seeds: expected distinct whole numbers"),
        ({"absolute": {"wins": [1.0]}}, "absolute: expected the metrics"),
    ],
)
def test_bad_input_of_the_function_is_named(changes, message, tmp_path):
    given = {"steps": [1, 2], "metrics": {"return": [1.0, 2.0]}, **NAMES, **changes}
    with pytest.raises(ValueError, match=message):
        loggers.write_marl_eval(tmp_path / "runs.json", **given)
    assert not list(tmp_path.iterdir())


def test_bad_input_of_the_writer_is_named(tmp_path):
    path = tmp_path / "runs.json"
    with pytest.raises(ValueError, match="steps_per_round"):
        loggers.marl_eval(path, steps_per_round=0, **NAMES)
    with pytest.raises(ValueError, match="metrics: expected names and columns"):
        loggers.marl_eval(path, metrics={}, **NAMES)
    with pytest.raises(ValueError, match="path: expected a file name"):
        loggers.marl_eval(3, **NAMES)  # type: ignore[arg-type]
    writer = loggers.marl_eval(path, metrics={"return": "detreministic"}, **NAMES)
    with pytest.raises(ValueError, match=r"expected columns of the records.*detreministic"):
        writer.write(1, {"deterministic": 1.0})
    path.write_text("round,loss\n")
    with pytest.raises(ValueError, match="path: expected a new file or one of marl-eval"):
        loggers.write_marl_eval(path, [1], {"return": [1.0]}, **NAMES)
