"""Saves of checkpoints that fail: no round is lost, older ones stay, nothing is left behind."""

import contextlib
import errno
import os
import subprocess
import threading
import time

import jax
import jax.numpy as jnp
import pytest
import simulation_program as program
from simulation_program import run

from jaxswarm import simulate
from jaxswarm.checkpoint import (
    Checkpoint,
    CheckpointWarning,
    _orbax,
)
from tests.checkpoint_folders import hidden, rounds, same


@pytest.fixture
def full_disk(monkeypatch):
    """``full_disk.until = n``: the first n saves fail, half written."""

    class Disk:
        until = 10**9
        tries = 0

    write = _orbax.write

    def fail(folder, *arguments):
        Disk.tries += 1
        if Disk.tries <= Disk.until:
            (folder / "arrays").mkdir(parents=True)
            (folder / "arrays" / "half").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(folder, *arguments)

    monkeypatch.setattr(_orbax, "write", fail)
    return Disk


def test_a_full_disk_costs_no_round(tmp_path, full_disk):
    with pytest.warns(CheckpointWarning) as caught:
        found = run(Checkpoint(tmp_path, every_rounds=5), 20)
    same(found, run(None, 20))
    assert full_disk.tries == 4
    texts = [str(w.message) for w in caught]
    assert len(texts) == 2  # the first, and the last
    for text, done in zip(texts, (5, 20), strict=True):
        assert f"after {done} rounds could not be saved in {tmp_path} (OSError: No space" in text
    assert [w.filename for w in caught] == [program.__file__] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_is_tried_again_when_the_next_is_due(tmp_path, full_disk):
    full_disk.until = 2
    with pytest.warns(CheckpointWarning) as caught:
        found = run(Checkpoint(tmp_path, every_rounds=5), 20)
    same(found, run(None, 20))
    assert len(caught) == 1
    assert rounds(tmp_path) == ["round_0000000015", "round_0000000020"]
    same(run(tmp_path, 25, resume=True), run(None, 25))
    assert hidden(tmp_path) == []


def test_older_checkpoints_stay_when_a_save_fails(tmp_path, full_disk):
    full_disk.until = 0
    run(Checkpoint(tmp_path, every_rounds=5), 10)
    full_disk.until = 10**9
    with pytest.warns(CheckpointWarning):
        run(Checkpoint(tmp_path, every_rounds=5), 20, resume=True)
    assert rounds(tmp_path) == ["round_0000000005", "round_0000000010"]


def test_a_failed_write_waits_for_the_workers_of_orbax_event_loops(tmp_path, monkeypatch):
    ended = threading.Event()

    class Writer:
        def save(self, *_):
            threading.Thread(
                target=lambda: (time.sleep(0.3), ended.set()), name="asyncio_0"
            ).start()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_orbax, "_checkpointer", lambda: contextlib.nullcontext(Writer()))
    with pytest.raises(OSError, match="No space"):
        _orbax.write(tmp_path / "new", 1, {}, {})
    assert ended.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's own
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")

    def walk(key, state, inputs):
        return state + jax.random.normal(key, state.shape), state.sum()

    def go(checkpoint, **options):
        options |= {"key": jax.random.key(0), "checkpoint": checkpoint, "progress": False}
        return simulate(walk, jnp.zeros(2000), 50, **options)

    saved = Checkpoint(disk / "run", every_rounds=5, every_seconds=1e9, keep=3)
    try:
        with pytest.warns(CheckpointWarning, match=f"could not be saved in {disk}.*No space"):
            same(go(saved), go(None))
        assert hidden(disk / "run") == []
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        same(go(saved, resume=True), go(None))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_a_thread_of_a_failed_save_creates_anew_is_deleted(tmp_path, monkeypatch):
    write, failed = _orbax.write, []

    def late(folder, *arguments):
        if not failed:
            failed.append(folder)
            raise OSError(errno.ENOSPC, "No space left on device")
        failed[0].mkdir(parents=True, exist_ok=True)  # after the store has deleted it
        write(folder, *arguments)

    monkeypatch.setattr(_orbax, "write", late)
    with pytest.warns(CheckpointWarning):
        run(Checkpoint(tmp_path, every_rounds=5), 15)
    assert not failed[0].exists()
    assert hidden(tmp_path) == []
