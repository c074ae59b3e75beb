"""Section ``gossip``: mixing alone, by layout, agents and parameters.

Bytes of a round, as they are counted here (float32):

* touched: a message is read for every neighbour, the own parameters once, and the result is
  written once, ``(K + 1) N P · 4 + N P · 4``. The mean reads twice (sum, then combination); the
  matrix product reads its ``N × N`` matrix and the parameters twice (others', own).
* minimal: one read and one write, ``2 N P · 4``, as if a cache held everything in between. A
  share of the bandwidth beyond 100 % by the first count says that it does.
"""

import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.scaling.timing import Program, Row, Setting, by_turns, too_large
from jaxswarm import gossip, topology
from jaxswarm.gossip import Mixing

AGENTS = (100, 1_000, 10_000, 100_000)
PARAMETERS = (100, 1_000, 10_000, 100_000, 1_000_000)
DENSE_AGENTS = 4096


def rows(given: Setting) -> Iterator[Row]:
    """A row for every layout, number of agents and number of parameters that fits."""
    agents = AGENTS[:2] if given.quick else AGENTS
    sizes = PARAMETERS[:2] if given.quick else PARAMETERS
    for n in agents:
        operators = dict(_operators(n))
        for size in sizes:
            yield from _compare(n, size, operators, given)


def repeated(rounds: int) -> Any:
    """``(W, x) -> W^rounds x``, one loop."""
    return lambda W, x: jax.lax.fori_loop(0, rounds, lambda _, p: gossip.mix(W, p), x)


def normal(n: int, size: int, dtype: Any = jnp.float32) -> jax.Array:
    """Random parameters ``[n, size]``, never constant."""
    draw = jax.jit(lambda key: jax.random.normal(key, (n, size), dtype))
    return jax.block_until_ready(draw(jax.random.key(0)))


def bytes_touched(W: Mixing, degree: int, size: int, itemsize: int = 4) -> float:
    """Bytes read and written by one round, as the module says."""
    n = W.num_agents
    passes = {"mean": 3, "dense": 3}.get(W.layout, degree + 2)
    matrix = 4.0 * n * n if W.layout == "dense" else 0.0
    return passes * float(n) * size * itemsize + matrix


def _operators(n: int) -> Iterator[tuple[str, tuple[Mixing, int]]]:
    four, eight = (topology.random_regular(n, degree, seed=0) for degree in (4, 8))
    yield "ring, circulant", (gossip.mixing(topology.ring(n), layout="circulant"), 2)
    yield "4-regular, gather", (gossip.mixing(four, layout="gather"), 4)
    yield "8-regular, gather", (gossip.mixing(eight, layout="gather"), 8)
    yield "4-regular, segment", (gossip.mixing(four, layout="segment"), 4)
    if n <= DENSE_AGENTS:
        yield "8-regular, dense", (gossip.mixing(eight, layout="dense"), 8)
    # The complete graph has N² edges; its operator is built without them.
    yield "complete, mean", (gossip.complete_mean(n), n - 1)


def _compare(
    n: int, size: int, operators: dict[str, tuple[Mixing, int]], given: Setting
) -> Iterator[Row]:
    state_bytes = 4.0 * n * size
    programs, kept = [], []
    for name, (W, degree) in operators.items():
        extra = degree * state_bytes if W.layout == "segment" else 0.0
        reason = "out of time" if given.expired() else too_large(state_bytes, extra)
        common = {"case": name, "agents": n, "parameters": size, "layout": W.layout}
        if reason:
            yield common | {"skipped": reason}
            continue
        touched = bytes_touched(W, degree, size)
        rounds = given.rounds_for(touched)
        programs.append(Program(name, repeated(rounds), W, rounds=rounds))
        kept.append(
            common | {"degree": degree, "bytes_touched": touched, "bytes_minimal": 2 * state_bytes}
        )
    if not programs:
        return
    print(f"gossip: {n} agents, {size} parameters", file=sys.stderr)
    results = by_turns(programs, lambda: normal(n, size), given)
    for row, program, second in zip(kept, programs, results, strict=True):
        yield finished(row, program, second, n)


def finished(row: Row, program: Program, second: float | str, n: int) -> Row:
    """The row with its figures, or with why there are none."""
    if isinstance(second, str):
        return row | {"skipped": second}
    return row | {
        "rounds_per_s": 1.0 / second,
        "node_updates_per_s": n / second,
        "touched_gbs": row["bytes_touched"] / second / 1e9,
        "minimal_gbs": row["bytes_minimal"] / second / 1e9,
        "compile_s": program.compile_s,
        "peak_bytes": program.memory()["peak"],
    }
