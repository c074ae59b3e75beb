"""A run that is killed, interrupted, extended or damaged ends as one that never stopped."""

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import simulation_program as program
from simulation_program import run, start, step

from jaxswarm import Timing, simulate
from jaxswarm.checkpoint import (
    Checkpoint,
    CheckpointCorruptError,
    CheckpointExistsError,
    CheckpointMismatchError,
    CheckpointWarning,
    Store,
)
from jaxswarm.progress import interruptible

ROOT = Path(__file__).resolve().parent.parent


def assert_same(a, b):
    def plain(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x)

    a, b = jax.tree.map(plain, a), jax.tree.map(plain, b)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def rounds(folder):
    return sorted(int(p.name[6:]) for p in Path(folder).glob("round_*"))


@pytest.fixture
def heeded():
    """SIGINT raises, as in a terminal; a background job would ignore it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, previous)


def launch(folder, num_rounds):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, program.__file__, str(folder), str(num_rounds)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_resume_continues_to_the_bit(tmp_path):
    whole = run(None, 40)
    part, timing = tmp_path / "part", Timing()
    run(part, 17)  # ends between two records
    assert rounds(part) == [17]
    assert_same(whole, run(part, 40, resume=True, timing=timing))
    assert timing.rounds == 23
    assert_same(whole, run(part, 40, resume=True, timing=timing))  # nothing left to do
    assert timing.rounds == 0
    assert rounds(part) == [17, 40]


def test_resume_with_nothing_there_starts_fresh(tmp_path):
    assert_same(run(None, 9), run(tmp_path / "new" / "deep", 9, resume=True))


def test_saves_where_asked_and_keeps_the_newest(tmp_path, monkeypatch):
    written = []
    save = Store.save
    monkeypatch.setattr(Store, "save", lambda self, n, *a: (written.append(n), save(self, n, *a)))
    run(Checkpoint(tmp_path / "a", every_rounds=8, keep=3), 36)
    assert written == [8, 16, 24, 32, 36]
    assert rounds(tmp_path / "a") == [24, 32, 36]
    written.clear()
    run(Checkpoint(tmp_path / "b", every_seconds=0), 6, chunk=2)
    assert written == [2, 4, 6]
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == [
        "round_0000000004",
        "round_0000000006",
    ]


def test_an_existing_checkpoint_is_not_lost(tmp_path):
    run(tmp_path, 9)
    with pytest.raises(CheckpointExistsError, match=str(tmp_path)):
        run(tmp_path, 12)
    assert rounds(tmp_path) == [9]
    run(Checkpoint(tmp_path, overwrite=True), 6)
    assert rounds(tmp_path) == [6]


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = 0.1
    layers: tuple[int, ...] = (64, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every": 4}, r"every: expected 4 \(this run\), found 3 \(checkpoint\)"),
        ({"key": jax.random.key(12)}, "key: expected .* 12"),
        ({"config": Config(rate=0.2)}, r"config.rate: expected 0.2 \(this run\), found 0.1"),
        ({"config": {"rate": 0.1}}, "config.layers: expected nothing"),
        ({"evaluate": None}, "evaluation<root>: expected nothing"),
        ({"inputs": np.ones((4, 1), np.float32)}, r"inputs<root>: expected float32\[4, 1\]"),
    ],
)
def test_another_runs_checkpoint_is_refused_by_entry(tmp_path, change, message):
    run(tmp_path, 3, config=Config())
    with pytest.raises(CheckpointMismatchError, match=message) as caught:
        run(tmp_path, 6, resume=True, **({"config": Config()} | change))
    assert str(tmp_path / "round_0000000003") in str(caught.value)
    assert rounds(tmp_path) == [3]


def test_another_state_and_fewer_rounds_are_refused(tmp_path):
    run(tmp_path, 9)
    with pytest.raises(CheckpointMismatchError, match=r"expected at most num_rounds=6"):
        run(tmp_path, 6, resume=True)
    other = start() | {"x": jnp.zeros((5, 3)), "extra": jnp.zeros(4)}

    def keep(key, state, inputs):
        return state, None

    with pytest.raises(CheckpointMismatchError) as caught:
        simulate(
            keep, other, 9, key=jax.random.key(11), checkpoint=tmp_path, resume=True, progress=False
        )
    assert "state['x']: expected float32[5, 3] (this run), found float32[4, 3]" in str(caught.value)
    assert "state['extra']: expected float32[4] (this run), found nothing" in str(caught.value)


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's own
def test_whatever_file_is_damaged_the_bits_are_right_or_it_is_named(tmp_path):
    whole = run(None, 15)
    run(Checkpoint(tmp_path / "good", every_rounds=7), 14)
    names = [p.relative_to(tmp_path) for p in files(tmp_path / "good" / "round_0000000014")]
    damages = {
        "truncated": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
        "flipped": lambda p: p.write_bytes(bytes(255 - b for b in p.read_bytes())),
        "missing": lambda p: p.unlink(),
    }
    noticed = 0
    for i, name in enumerate(names):
        how = list(damages)[i % 3]
        copy = tmp_path / f"copy{i}"
        shutil.copytree(tmp_path / "good", copy)
        damages[how](copy.joinpath(*name.parts[1:]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", CheckpointWarning)
            assert_same(whole, run(copy, 15, resume=True))
        noticed += len(caught)
    assert noticed > 0


@pytest.mark.parametrize("part", ["arrays", "meta"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, part):
    whole = run(None, 20)
    run(Checkpoint(tmp_path, every_rounds=7), 14)
    for path in files(tmp_path / "round_0000000014" / part):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(CheckpointWarning, match="round_0000000014.*continuing from.*_0000000007"):
        resumed = run(tmp_path, 20, resume=True)
    assert_same(whole, resumed)
    assert len(list(tmp_path.glob("damaged_*"))) == 1


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    run(tmp_path, 7)
    shutil.rmtree(tmp_path / "round_0000000007" / "arrays")
    with pytest.raises(CheckpointCorruptError, match=str(tmp_path / "round_0000000007")):
        run(tmp_path, 20, resume=True)
    assert rounds(tmp_path) == [7]


def test_kill_at_any_moment_then_resume(tmp_path):
    num_rounds = 350
    whole = run(None, num_rounds)
    generator = random.Random(0)
    kills = 0
    for _ in range(3):
        before = max(rounds(tmp_path), default=0)
        goal = before + generator.randrange(7, 60)
        process = launch(tmp_path, num_rounds)
        try:
            wait_for(lambda goal=goal: max(rounds(tmp_path), default=0) >= goal, process)
            time.sleep(generator.random() * 0.1)  # into the next save
        finally:
            process.kill()
            process.communicate()
        kills += 1
        assert max(rounds(tmp_path)) > before
    assert kills == 3
    assert max(rounds(tmp_path)) < num_rounds, "the run ended before it could be killed"
    assert_same(whole, run(tmp_path, num_rounds, resume=True))
    assert not list(tmp_path.glob(".*"))


def test_kill_before_the_name_is_given_leaves_the_previous(tmp_path, monkeypatch):
    whole = run(None, 20)

    def die(*_):
        raise SystemExit

    run(tmp_path, 7)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(SystemExit):
            run(tmp_path, 14, resume=True)
    assert rounds(tmp_path) == [7]
    assert list(tmp_path.glob(".writing_*"))
    assert_same(whole, run(tmp_path, 20, resume=True))
    assert not list(tmp_path.glob(".*"))


def test_sigint_saves_and_stops(tmp_path):
    process = launch(tmp_path, 1_000_000)
    try:
        wait_for(lambda: len(rounds(tmp_path)) > 0, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "finished" not in out
    assert "KeyboardInterrupt: stopped after" in err
    done = max(rounds(tmp_path))
    assert f"stopped after {done} of" in err
    assert f"checkpoint in {tmp_path}" in err
    assert_same(run(None, done + 4), run(tmp_path, done + 4, resume=True))


def test_sigint_in_process_restores_the_handler(tmp_path, heeded):
    sent = []

    def describe(record):
        if not sent:
            sent.append(os.kill(os.getpid(), signal.SIGINT))
        return {}

    with pytest.raises(KeyboardInterrupt, match="stopped after"):
        run(tmp_path, 100_000, describe=describe, progress=True)
    assert signal.getsignal(signal.SIGINT) is heeded
    assert len(rounds(tmp_path)) == 1


def test_a_second_sigint_stops_at_once(heeded):
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupt:  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)


def test_runs_in_another_thread(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path, 9)))
    thread.start()
    thread.join()
    assert_same(results[0], run(None, 9))


def test_sharded_state_comes_back_where_it_was(tmp_path):
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    agents = NamedSharding(Mesh(np.array(jax.devices()[:4]), "agents"), PartitionSpec("agents"))
    state = start()
    placed = state | {"x": jax.device_put(state["x"], agents)}

    def go(checkpoint, num_rounds, resume=False):
        return simulate(
            step,
            placed,
            num_rounds,
            key=jax.random.key(11),
            inputs=np.float32(0.3),
            checkpoint=checkpoint,
            resume=resume,
            progress=False,
        )

    go(tmp_path, 5)
    resumed = go(tmp_path, 9, resume=True)
    assert resumed[0]["x"].sharding.is_equivalent_to(agents, 2)
    assert_same(go(None, 9), resumed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_seconds": -1}, "every_seconds: expected a number >= 0, got -1"),
        ({"every_rounds": 0}, "every_rounds: expected a whole number of at least 1, got 0"),
        ({"keep": 0}, "keep: expected a whole number of at least 1, got 0"),
        ({"every_rounds": np.nan}, "every_rounds: expected a whole number .* got nan"),
        ({"every_rounds": 2.5}, "every_rounds: expected a whole number .* got 2.5"),
        ({"every_seconds": np.nan}, "every_seconds: expected a number >= 0, got nan"),
        ({"every_seconds": "30"}, "every_seconds: expected a number >= 0, got .30."),
        ({"keep": True}, "keep: expected a whole number .* got True"),
        ({"overwrite": "yes"}, r"overwrite: expected bool\[\], got .yes."),
    ],
)
def test_bad_options_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(tmp_path, **options)


def test_bad_paths_and_configs_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder"):
        run(tmp_path / "file", 3)
    with pytest.raises(ValueError, match=r"config.f: expected numbers.* got function"):
        run(tmp_path / "a", 3, config={"f": start})
    with pytest.raises(ValueError, match="config: expected a dict or a dataclass, got list"):
        run(tmp_path / "a", 3, config=[1])
