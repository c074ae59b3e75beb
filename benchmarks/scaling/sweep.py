"""Section ``sweep``: topologies × seeds as one program against a loop over one compiled run.

One program in three ways: all runs at once (``vmap``), which fills a device; one after another
(``lax.map``), which stays in a cache; and :func:`jaxswarm.sweep`, as many side by side as fit
the cache.

The loop is the best one can write: compiled once for all topologies (they share their shapes), and
it waits once, at the end.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import workload
from benchmarks.scaling import learners
from benchmarks.scaling.timing import Row, Setting
from jaxswarm import gossip, rollout, sweep, topology

TOPOLOGIES, SEEDS, AGENTS, ROUNDS = 32, 8, 16, 50


def rows(given: Setting) -> Iterator[Row]:
    """The sweep in all four ways, by turns."""
    graphs, seeds, n, rounds = (4, 2, 8, 5) if given.quick else (TOPOLOGIES, SEEDS, AGENTS, ROUNDS)
    print(f"sweep: {graphs} topologies, {seeds} seeds", file=sys.stderr)
    drawn = [topology.random_regular(n, 4, seed=seed) for seed in range(graphs)]
    W = gossip.mixing(topology.stack(drawn), layout="gather")
    keys = jax.random.split(jax.random.key(0), seeds)
    held = learners.shards(n)
    start = workload.stacked_parameters(n, 0)

    def run(W: Any, key: jax.Array, held: Any, start: Any) -> Any:
        algorithm = learners.learner(gossip.averaging(W))
        state = algorithm.init(start)
        return rollout(algorithm.step, state, rounds, key=key, inputs=held, every=rounds)[0].params

    pairs = [(t, s) for t in range(graphs) for s in range(seeds)]
    each = jnp.asarray(pairs)

    def at_once(W: Any, keys: jax.Array, held: Any, start: Any) -> Any:
        over_seeds = jax.vmap(run, in_axes=(None, 0, None, None))
        return jax.vmap(over_seeds, in_axes=(0, None, None, None))(W, keys, held, start)

    def in_turn(W: Any, keys: jax.Array, held: Any, start: Any) -> Any:
        return jax.lax.map(lambda pair: run(W[pair[0]], keys[pair[1]], held, start), each)

    def in_groups(W: Any, keys: jax.Array, held: Any, start: Any) -> Any:
        return sweep(lambda w, key: run(w, key, held, start), W, keys)

    arguments = (W, keys, held, start)
    programs = {
        "vmap": _compiled(at_once, *arguments),
        "map": _compiled(in_turn, *arguments),
        "sweep": _compiled(in_groups, *arguments),
    }
    single, single_s = _compiled(run, W[0], keys[0], held, start)
    members = [(W[t], keys[s]) for t, s in pairs]
    ways: dict[str, Callable[[], Any]] = {
        "loop": lambda: [single(w, key, held, start) for w, key in members]
    }
    for name, (program, _) in programs.items():
        ways[name] = functools.partial(program, *arguments)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    began = time.perf_counter()
    for turn in range(given.repeats + 1):
        if turn > 3 and time.perf_counter() - began > given.case_s:
            break
        for name, way in ways.items():
            second = _seconds(way)
            if turn:
                seconds[name].append(second)
    median = {name: statistics.median(found) for name, found in seconds.items()}
    compile_s = {name: second for name, (_, second) in programs.items()} | {"loop": single_s}
    for name, second in median.items():
        yield {
            "case": f"{graphs} topologies × {seeds} seeds",
            "way": name,
            "agents": n,
            "rounds": rounds,
            "run_s": second,
            "compile_s": compile_s[name],
            "ratio": median["loop"] / second,
            "ratio_together": (median["loop"] + single_s) / (second + compile_s[name]),
            "node_updates_per_s": graphs * seeds * n * rounds / second,
        }


def _compiled(run: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    program = jax.jit(run).lower(*arguments).compile()
    return program, time.perf_counter() - began


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began
