"""Section ``sweep``: topologies × seeds as one program against a loop over one compiled run.

The loop is the best one can write: compiled once for all topologies (they share their shapes), and
it waits once, at the end.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks import workload
from benchmarks.scaling import learners
from benchmarks.scaling.timing import Row, Setting
from jaxswarm import gossip, topology
from jaxswarm.simulate import rollout

TOPOLOGIES, SEEDS, AGENTS, ROUNDS = 32, 8, 16, 50


def rows(given: Setting) -> Iterator[Row]:
    """The sweep both ways, by turns."""
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

    over_seeds = jax.vmap(run, in_axes=(None, 0, None, None))
    everything = jax.vmap(over_seeds, in_axes=(0, None, None, None))
    together, together_s = _compiled(everything, W, keys, held, start)
    single, single_s = _compiled(run, W[0], keys[0], held, start)
    members = [(W[t], keys[s]) for t in range(graphs) for s in range(seeds)]
    at_once, one_by_one = [], []
    began = time.perf_counter()
    for turn in range(given.repeats + 1):
        if turn > 2 and time.perf_counter() - began > given.case_s:
            break
        first = _seconds(lambda: together(W, keys, held, start))
        second = _seconds(lambda: [single(w, key, held, start) for w, key in members])
        if turn:
            at_once.append(first)
            one_by_one.append(second)
    found, looped = statistics.median(at_once), statistics.median(one_by_one)
    runs = graphs * seeds
    yield {
        "case": f"{graphs} topologies × {seeds} seeds",
        "agents": n,
        "rounds": rounds,
        "together_s": found,
        "loop_s": looped,
        "ratio": looped / found,
        "node_updates_per_s": runs * n * rounds / found,
        "compile_s": together_s,
        "loop_compile_s": single_s,
        "peak_bytes": int(together.memory_analysis().temp_size_in_bytes),
    }


def _compiled(run: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    program = jax.jit(run).lower(*arguments).compile()
    return program, time.perf_counter() - began


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began
