"""Section ``donation``: memory with and without donated states, and bf16 against float32.

``peak`` is the compiler's: arguments and results (once where they share memory) and scratch.
"""

import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.scaling import learners
from benchmarks.scaling.mixing import normal, repeated
from benchmarks.scaling.timing import Program, Row, Setting, by_turns
from benchmarks.workload import FEATURES, HIDDEN, PARAMETERS
from jaxswarm import gossip, topology


def rows(given: Setting) -> Iterator[Row]:
    """Memory and speed with and without donation, and of bf16 against float32."""
    n = 100 if given.quick else 10_000 if given.is_gpu else 1_000
    W = gossip.mixing(topology.random_regular(n, 4, seed=0))
    print(f"donation: {n} agents", file=sys.stderr)
    algorithm = learners.learner(gossip.averaging(W))
    for donate in (True, False):
        program = learners.segment(algorithm, n, given, donate=donate)
        (second,) = by_turns([program], lambda: learners.initial(n), given)
        yield _memory_row(f"learner, {'donated' if donate else 'kept'}", program, second, n, 4)
    rounds = given.rounds_for(24.0 * n * PARAMETERS)
    cases = {
        "gossip, f32": (repeated, jnp.float32),
        "gossip, f32 sent in bf16": (sent_in_bf16, jnp.float32),
        "gossip, bf16": (repeated, jnp.bfloat16),
    }
    for name, (loop, dtype) in cases.items():
        for donate in (True, False):
            label = f"{name}, {'donated' if donate else 'kept'}"
            program = Program(label, loop(rounds), W, rounds=rounds, donate=donate)
            (second,) = by_turns([program], lambda d=dtype: normal(n, PARAMETERS, d), given)
            itemsize = jnp.dtype(dtype).itemsize
            yield _memory_row(label, program, second, n, itemsize)


def sent_in_bf16(rounds: int) -> Any:
    """``(W, x) -> x`` after ``rounds`` rounds whose messages are rounded to bf16."""

    def once(W: Any, x: jax.Array) -> jax.Array:
        return gossip.mix(W, x, x.astype(jnp.bfloat16))

    return lambda W, x: jax.lax.fori_loop(0, rounds, lambda _, p: once(W, p), x)


def _memory_row(name: str, program: Program, second: float | str, n: int, itemsize: int) -> Row:
    row: Row = {"case": name, "agents": n, "parameters": PARAMETERS}
    if isinstance(second, str):
        return row | {"skipped": second}
    memory = program.memory()
    state = float(n * PARAMETERS * itemsize)
    largest = (n, PARAMETERS) if name.startswith("gossip") else (n, FEATURES, HIDDEN)
    return row | {
        "state_bytes": state,
        **{f"{part}_bytes": size for part, size in memory.items()},
        "peak_states": memory["peak"] / state,
        "copies_of_largest_leaf": program.state_copies(largest),
        "rounds_per_s": 1.0 / second,
        "compile_s": program.compile_s,
    }
