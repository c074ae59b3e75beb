"""What the sections share: a training to measure, the measurement, a table."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

Row = dict[str, Any]


class Training(NamedTuple):
    """One implementation of one setting.

    Attributes:
        name: of the implementation.
        train: ``train(key) -> returns float32[I]`` of one seed, ``I`` iterations in order; 0 where
            no episode ended.
        steps: of the environment, per seed.
        random: return of random moves, or ``None``.
    """

    name: str
    train: Callable[[jax.Array], jax.Array]
    steps: int
    random: float | None = None


def measure(forms: Sequence[Training], seeds: int) -> list[Row]:
    """A row for each form; forms take turns, seed by seed."""
    keys = jax.random.split(jax.random.key(0), seeds)
    programs, compiled = [], []
    for form in forms:
        began = time.perf_counter()
        programs.append(jax.jit(form.train).lower(keys[0]).compile())
        compiled.append(time.perf_counter() - began)
    returns: list[list[float]] = [[] for _ in forms]
    seconds: list[list[float]] = [[] for _ in forms]
    for key in keys:
        for turn, program in enumerate(programs):
            began = time.perf_counter()
            each = np.asarray(program(key))
            seconds[turn].append(time.perf_counter() - began)
            returns[turn].append(_last_tenth(each))
    return [
        {
            "impl": form.name,
            "returns": own,
            "median_return": statistics.median(own),
            "steps": form.steps,
            "seeds": seeds,
            "steps_per_s": form.steps / statistics.median(took),
            "compile_s": compile_s,
            "random": form.random,
        }
        for form, own, took, compile_s in zip(forms, returns, seconds, compiled, strict=True)
    ]


def _last_tenth(returns: np.ndarray) -> float:
    """Mean of the last tenth; NaN if no episode ended there."""
    last = returns[-max(len(returns) // 10, 1) :]
    ended = last[last != 0.0]
    return float(np.mean(ended)) if len(ended) else float("nan")


def table(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:24} {row['impl']:26} return {row['median_return']:8.2f} "
        f"({min(row['returns']):.2f} to {max(row['returns']):.2f}, {row['seeds']} seeds, "
        f"{row['steps']:,} steps) {row['steps_per_s']:>9,.0f} steps/s "
        f"{row['compile_s']:6.1f} s to compile"
        + ("" if row["random"] is None else f"   random {row['random']:.2f}")
        for row in rows
    )
