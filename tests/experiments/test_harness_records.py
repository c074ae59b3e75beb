"""Files of a run: metrics come back as they were; figure and claims can be made again from them."""

import importlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import harness
from experiments.harness import records


def test_a_run_is_recorded_and_its_figure_redrawn_from_metrics_alone(systems, tmp_path):
    fake = harness.load("fake")
    config = fake.SCALES["small"]
    outcome = harness.run_and_record(fake, config, scale="small")
    folder = outcome.folder
    assert folder is not None
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "metrics.npz",
        "claims.json",
        "versions.json",
        "figure.png",
    }
    assert json.loads((folder / "config.json").read_text())["config"]["agents"] == 8
    assert {"jax", "jaxlib", "numpy", "python", "platform"} <= set(
        json.loads((folder / "versions.json").read_text())
    )
    results = records.load_metrics(folder / "metrics.npz")
    fake.plot(config, results, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (folder / "figure.png").read_bytes()
    assert [c.held for c in fake.claims(config, results)] == [c.held for c in outcome.claims]


def test_runs_within_one_second_get_their_own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    assert records.new_folder(tmp_path, "x").name == "now"
    assert records.new_folder(tmp_path, "x").name == "now-2"


def test_metrics_come_back_as_they_were(tmp_path):
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


def test_json_holds_arrays_as_lists(tmp_path):
    value = {"jax": jnp.arange(2), "numpy": np.float32(0.5), "path": tmp_path}
    records.write_json(tmp_path / "deep" / "v.json", value)
    assert json.loads((tmp_path / "deep" / "v.json").read_text()) == {
        "jax": [0, 1],
        "numpy": 0.5,
        "path": str(tmp_path),
    }


@pytest.mark.parametrize(
    ("results", "message"),
    [({"a/b": 1}, "names without '/'"), ({"a": object()}, r"results\['a'\]: expected")],
)
def test_metrics_that_npz_cannot_hold_are_named(results, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        records.save_metrics(tmp_path / "m.npz", results)


@dataclass(frozen=True)
class Inner:
    """A part of a config."""

    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Whole:
    """Fields of every kind that configs have."""

    seed: int = 0
    rate: float | None = 0.5
    names: tuple[str, ...] = ("a",)
    pairs: tuple[tuple[int, float], ...] = ((1, 0.5),)
    folder: Path | None = None
    inner: Inner = Inner()


def test_a_config_comes_back_from_its_file_with_its_types(tmp_path):
    config = Whole(3, None, ("x", "y"), ((2, 1.0), (3, 2.0)), Path("data"), Inner((7,)))
    records.save_config(tmp_path / "config.json", config, scale="full")
    assert records.load_config(tmp_path / "config.json", Whole()) == (config, "full")


def test_every_systems_config_comes_back(tmp_path):
    for name in experiments.SYSTEMS:
        module = importlib.import_module(f"experiments.{name}.config")
        for scale, config in module.SCALES.items():
            records.save_config(tmp_path / "config.json", config, scale=scale)
            back = records.load_config(tmp_path / "config.json", module.SCALES["small"])
            assert back == (config, scale), name
