"""Checkpoint folders: what is the user's stays, one run at a time, other inputs, paths."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
import simulation_program as program
from simulation_program import run

from jaxswarm import simulate
from jaxswarm.checkpoint import (
    Checkpoint,
    CheckpointError,
    CheckpointLockedError,
    CheckpointMismatchError,
    CheckpointWarning,
    _folders,
)
from tests.checkpoint_folders import hidden, rounds, same

ROOT = Path(__file__).resolve().parent.parent
USERS = [
    ".ground_truth",
    ".background_images",
    ".around_me",
    ".writing_round_7_notes",
    ".writing_round_0000000012",
    ".writing_round_0000000012_0123abcd",
    ".deleted_round_mine",
    ".deleted_round_0000000012_0123abcd",
    ".shared_by_me",
    "round_12",
    "round_0000000006",
    "round_0000000009",
    "round_best",
    "damaged_round_0000000012_1",
    "damaged_0000000012_1",
    "ground_truth",
]


@pytest.fixture
def shared_folder(tmp_path):
    """A folder that holds things of the user's under names like the store's own."""
    for name in USERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text(name)
    (tmp_path / "round_0000000003").write_text("a file")
    yield tmp_path
    for name in USERS:
        assert (tmp_path / name / "notes.txt").read_text() == name
        assert list((tmp_path / name).iterdir()) == [tmp_path / name / "notes.txt"]
    assert (tmp_path / "round_0000000003").read_text() == "a file"


def test_what_is_the_users_survives_start_resume_and_overwrite(shared_folder):
    saved = Checkpoint(shared_folder, every_rounds=3, keep=1)
    whole = run(None, 12)
    run(saved, 6)  # round_0000000006 is taken
    assert (shared_folder / "round_0000000006_1" / _folders.MARKER).exists()
    same(run(saved, 9, resume=True), run(None, 9))
    assert not (shared_folder / "round_0000000006_1").exists()
    same(run(saved, 12, resume=True), whole)
    same(run(Checkpoint(shared_folder, overwrite=True), 3), run(None, 3))
    ours = set(rounds(shared_folder)) - {*USERS, "round_0000000003"}
    assert ours == {"round_0000000003_1"}


def test_leftovers_of_the_store_are_removed(tmp_path):
    left = [".writing_round_0000000012_0123abcd", ".deleted_round_0000000007_1_0123abcd"]
    for name in left:
        (tmp_path / name / "arrays").mkdir(parents=True)
        _folders.mark(tmp_path / name)
    run(tmp_path, 3)
    assert hidden(tmp_path) == []


def test_checkpoints_that_lost_the_marker_or_the_metadata_are_still_known(tmp_path):
    run(Checkpoint(tmp_path, every_rounds=3), 6)
    (tmp_path / "round_0000000003" / _folders.MARKER).unlink()
    (tmp_path / "round_0000000006" / "meta" / "metadata").unlink()
    run(Checkpoint(tmp_path, overwrite=True), 9)
    assert rounds(tmp_path) == ["round_0000000009"]


def test_a_link_to_a_checkpoint_is_not_deleted(tmp_path):
    run(tmp_path / "a", 3)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "round_0000000001").symlink_to(tmp_path / "a" / "round_0000000003")
    run(Checkpoint(tmp_path / "b", overwrite=True), 3)
    assert rounds(tmp_path / "a") == ["round_0000000003"]
    assert (tmp_path / "b" / "round_0000000001").is_symlink()


# One run at a time


def locked(folder):
    with pytest.raises(CheckpointLockedError, match=f"{folder} is in use by process") as caught:
        run(folder, 3, resume=True)
    return str(caught.value)


def test_a_run_inside_a_run_is_refused_and_one_after_the_other_works(tmp_path):
    refused = []

    def describe(record):
        refused.append(locked(tmp_path))
        return {}

    run(tmp_path, 9, describe=describe, progress=True)
    assert f"process {os.getpid()} on " in refused[0]
    assert hidden(tmp_path) == []
    run(tmp_path, 12, resume=True)


def test_a_run_in_another_thread_is_refused(tmp_path):
    going, tried = threading.Event(), threading.Event()

    def describe(record):
        going.set()
        assert tried.wait(60)
        return {}

    results = []
    options = {"describe": describe, "progress": True}
    thread = threading.Thread(target=lambda: results.append(run(tmp_path, 9, **options)))
    thread.start()
    assert going.wait(60)
    try:
        locked(tmp_path)
    finally:
        tried.set()
        thread.join()
    same(results[0], run(None, 9))
    same(run(tmp_path, 9, resume=True), results[0])


def test_another_process_is_named_and_its_death_frees_the_folder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, program.__file__, str(tmp_path), "1000000"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        deadline = time.monotonic() + 60
        while not rounds(tmp_path):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert f"process {process.pid} on " in locked(tmp_path)
    finally:
        process.kill()
        process.wait()
    done = max(int(name[6:]) for name in rounds(tmp_path))
    run(tmp_path, done + 5, resume=True)
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("error", [FloatingPointError, KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_frees_the_folder(tmp_path, error):
    def fail(record):
        raise error

    with pytest.raises(error):
        run(tmp_path, 9, describe=fail, progress=True)
    assert _folders.LOCK not in hidden(tmp_path)
    run(tmp_path, 9, resume=True)


# The stored round counts


@pytest.mark.parametrize("how", ["renamed", "copied"])
def test_the_round_inside_counts_not_the_name(tmp_path, how):
    whole = run(None, 20)
    run(Checkpoint(tmp_path, every_rounds=7), 7)
    move = {"renamed": os.rename, "copied": shutil.copytree}[how]
    move(tmp_path / "round_0000000007", tmp_path / "round_0000000019")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CheckpointWarning)
        same(run(tmp_path, 20, resume=True), whole)
    assert ["holds round 7" in str(w.message) for w in caught] == [True] * (how == "renamed")
    assert "round_0000000020" in rounds(tmp_path)


def test_a_checkpoint_of_another_folder_is_continued_there(tmp_path):
    run(tmp_path / "a", 7)
    (tmp_path / "b").mkdir()
    shutil.copytree(tmp_path / "a" / "round_0000000007", tmp_path / "b" / "round_0000000001")
    with pytest.warns(CheckpointWarning, match="round_0000000001 was renamed: it holds round 7"):
        same(run(tmp_path / "b", 9, resume=True), run(None, 9))


# Other inputs and other flags


def data():
    return {"x": np.arange(6.0, dtype=np.float32).reshape(3, 2), "rate": 0.5, "graph": np.arange(4)}


def changed(name, value):
    return {**data(), name: value}


def learn(key, state, inputs):
    return state + inputs["rate"] * inputs["x"].sum() + inputs["graph"].sum(), None


def learning(folder, inputs, rounds, **options):
    return simulate(
        learn,
        0.0,
        rounds,
        key=jax.random.key(0),
        inputs=inputs,
        checkpoint=folder,
        progress=False,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", data()["x"] + np.float32(1e-6)),
        ("x", data()["x"][::-1]),
        ("rate", 0.25),
        ("graph", np.array([0, 1, 3, 2])),
    ],
)
def test_other_inputs_are_refused_by_leaf(tmp_path, name, value):
    learning(tmp_path, data(), 3)
    with pytest.raises(CheckpointMismatchError, match=rf"run; inputs\['{name}'\]: expected"):
        learning(tmp_path, changed(name, value), 6, resume=True)
    learning(tmp_path, data(), 6, resume=True)


def test_sharded_inputs_are_the_same_inputs(tmp_path):
    from jaxswarm import sharding

    learning(tmp_path, data(), 3)
    everywhere = sharding.replicate(data(), sharding.mesh(2))
    learning(tmp_path, everywhere, 6, resume=True)
    inputs = changed("graph", np.arange(8))
    learning(tmp_path / "b", inputs, 3)
    mesh = sharding.mesh(4)
    learning(tmp_path / "b", sharding.shard(inputs, mesh, num_agents=8), 6, resume=True)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("jax_enable_x64", True),
        ("jax_threefry_partitionable", False),
        ("jax_default_prng_impl", "rbg"),
        ("jax_default_matmul_precision", "float32"),
    ],
)
def test_other_flags_are_refused_by_name(tmp_path, flag, value):
    learning(tmp_path, data(), 3)
    before = getattr(jax.config, flag)
    jax.config.update(flag, value)
    try:
        with pytest.raises(CheckpointMismatchError, match=rf"{flag}: expected {value} \(this run"):
            learning(tmp_path, data(), 6, resume=True)
    finally:
        jax.config.update(flag, before)
    learning(tmp_path, data(), 6, resume=True)


def test_nan_in_a_config_equals_itself(tmp_path):
    run(tmp_path, 3, config={"limit": float("nan")})
    run(tmp_path, 6, resume=True, config={"limit": float("nan")})
    with pytest.raises(CheckpointMismatchError, match=r"config\.limit"):
        run(tmp_path, 6, resume=True, config={"limit": 1.0})


# Paths

NOT_LOCAL = Path("gs://bucket/run")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "  ",
        "a\0b",
        "gs://bucket/run",
        "s3://bucket/run",
        "file:///run",
        b"run",
        3,
        None,
        2.5,
        NOT_LOCAL,
    ],
)
def test_what_is_no_local_path_is_refused_at_once(path):
    with pytest.raises(CheckpointError, match="checkpoint path: expected a folder"):
        Checkpoint(path)


def test_urls_are_refused_before_anything_runs():
    def never(key, state, inputs):
        raise AssertionError

    with pytest.raises(CheckpointError, match=r"got 'gs://bucket/run'; URLs"):
        simulate(never, 0.0, 3, key=jax.random.key(0), checkpoint="gs://bucket/run", progress=False)


def test_the_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run("~/runs", 3)
    assert rounds(tmp_path / "runs") == ["round_0000000003"]
    assert not (tmp_path / "~").exists()
    with pytest.raises(CheckpointError, match="home"):
        Checkpoint("~no_such_user_here/runs")


@pytest.mark.parametrize("path", ["file", "file/below", "x" * 300, "/proc/not_here"])
def test_folders_that_cannot_be_written_are_named_before_the_run(tmp_path, path):
    (tmp_path / "file").write_text("")

    def never(record):
        raise AssertionError

    with pytest.raises(CheckpointError, match="checkpoint: expected a folder"):
        run(tmp_path / path, 3, describe=never, progress=True)


def test_read_only_folders_are_named_before_the_run(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(_folders.os, "open", refuse)  # root may write anywhere
    with pytest.raises(CheckpointError, match=f"{tmp_path}.*Permission denied"):
        run(tmp_path, 3)
