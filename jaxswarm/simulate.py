"""Drive a step for many rounds from the host: progress, records, and later a state to look at.

The rounds run on the device in chunks of about half a second, one donated jitted program whose trip
count is an argument; the host only wakes between chunks. Results do not depend on the chunks.
"""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import rollout as _rollout
from jaxswarm.rollout import EvaluateFn, PyTree, Records, StepFn, rollout

__all__ = ["NonFiniteWarning", "Records", "Timing", "rollout", "simulate"]

_WAKE_SECONDS = 0.5


class NonFiniteWarning(UserWarning):
    """Some agent's state became NaN or infinite."""


class Timing(NamedTuple):
    """Where the time went.

    Attributes:
        compile_s: seconds to trace and compile; next to nothing when the program was there already.
        run_s: seconds spent in rounds, checkpoints included, compilation not.
        rounds: how many rounds this call ran (a resumed run: without those before).
    """

    compile_s: float
    run_s: float
    rounds: int

    @property
    def rounds_per_s(self) -> float:
        """Rounds of one second without compilation, 0 when none ran."""
        return self.rounds / self.run_s if self.rounds else 0.0


def simulate(
    step: StepFn,
    state: PyTree,
    num_rounds: int,
    *,
    key: jax.Array,
    inputs: PyTree = None,
    every: int = 1,
    evaluate: EvaluateFn | None = None,
    chunk: int | None = None,
    progress: bool = True,
    describe: Callable[[Records], dict[str, float]] | None = None,
    on_nonfinite: Literal["warn", "raise", "ignore"] = "warn",
    with_timing: bool = False,
) -> Any:
    """Run ``step`` for ``num_rounds`` rounds and record every ``every``-th."""
    num_rounds, every = _rollout.check_rounds(num_rounds, every)
    _rollout.check_key(key)
    _rollout.as_function("step", step)
    if evaluate is not None:
        _rollout.as_function("evaluate", evaluate)
    if chunk is not None:
        chunk = _rollout.whole("chunk", chunk, 1, _rollout.MAX_ROUNDS)
    if on_nonfinite not in ("warn", "raise", "ignore"):
        raise ValueError(f"on_nonfinite: expected 'warn', 'raise' or 'ignore', got {on_nonfinite!r}")

    began = time.perf_counter()
    state = jax.tree.map(_own, state)
    inputs = jax.tree.map(jnp.asarray, inputs)
    record = _rollout.record_structure(
        _rollout.jitted(step), evaluate and _rollout.jitted(evaluate), state, key, inputs
    )
    capacity = _rollout.capacity(record)
    program = _rollout.chunk_program(step, evaluate, every, capacity, None)
    start = 0
    out = program(state, key, inputs, np.int32(start), np.int32(start))
    _wait(out)
    compile_s = time.perf_counter() - began

    began = time.perf_counter()
    kept = []
    length = chunk or 1
    with _bar(progress, num_rounds, start, compile_s) as bar:
        while start < num_rounds:
            end = min(num_rounds, start + length, (start // every + capacity) * every)
            tick = time.perf_counter()
            out = program(out.state, key, inputs, np.int32(start), np.int32(end))
            _wait(out)
            elapsed = time.perf_counter() - tick
            count = end // every - start // every
            host = jax.tree.map(lambda x: np.asarray(x)[:count].copy(), (out.info, out.evaluation))
            rounds = (start // every + 1 + np.arange(count)) * every
            kept.append(Records(rounds.astype(np.int32), *host))
            if chunk is None:
                grown = (end - start) * _WAKE_SECONDS / max(elapsed, 1e-6)
                length = max(1, int(min(grown, 8 * (end - start))))
            start = end
            bar.update(end - bar.n)
    blank = jax.tree.map(lambda x: np.zeros((0, *x.shape), x.dtype), record)
    kept.insert(0, Records(np.zeros(0, np.int32), *blank))
    records = jax.tree.map(lambda *parts: np.concatenate(parts), *kept)
    timing = Timing(compile_s, time.perf_counter() - began, num_rounds)
    return (out.state, records, timing) if with_timing else (out.state, records)


def _own(leaf: Any) -> jax.Array:
    return jnp.array(leaf, copy=True)


def _wait(out: Any) -> None:
    jax.block_until_ready(out)


@contextmanager
def _bar(progress: bool, total: int, initial: int, compile_s: float) -> Iterator[Any]:
    from tqdm import tqdm

    with tqdm(
        total=total,
        initial=initial,
        unit="round",
        disable=not progress,
        desc=f"compiled in {compile_s:.1f} s",
        mininterval=0.5 if sys.stderr.isatty() else 10.0,
    ) as bar:
        yield bar
