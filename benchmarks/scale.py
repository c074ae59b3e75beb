"""How many agents fit: memory and speed of a whole learning round as N grows.

``python -m benchmarks.scale [--agents 1000 10000] [--degree 4] [--json PATH]`` compiles one D-PSGD
round (MLP 64-128-10, 9,610 float32 parameters an agent, batch 16) on a random regular graph, reads
the compiler's own account of memory, and times a few rounds. Bytes per agent that stay level as N
grows show that nothing is N².
"""

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxswarm import agents, data, gossip, learning, models, topology


def measure(num_agents: int, degree: int, rounds: int) -> dict[str, float]:
    """One row: compiled memory in bytes, process peak, seconds of a round (median)."""
    split = data.load("digits")
    labels = split.train.labels
    partition = data.dirichlet_over_classes(labels, num_agents, seed=0, alpha=0.5, size=16)
    shards = jax.tree.map(jax.numpy.asarray, data.shards(split.train, partition))
    model = models.functional(models.mlp(128, 10), split.train.features[:1])
    operator = gossip.mixing(topology.random_regular(num_agents, degree, seed=0))
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.1),
        gossip=gossip.averaging(operator),
        sample=data.minibatches(16),
    )
    params = jax.jit(lambda k: agents.initialize(k, model.init, num_agents))(jax.random.key(0))
    state = learner.init(params)
    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    del params
    key = jax.random.key(1)
    began = time.perf_counter()
    step = jax.jit(learner.step, donate_argnums=1).lower(key, state, shards).compile()
    compile_s = time.perf_counter() - began
    memory: Any = step.memory_analysis()
    times = []
    for index in range(rounds + 1):
        began = time.perf_counter()
        state, info = step(jax.random.fold_in(key, index), state, shards)
        jax.block_until_ready(state.params)
        times.append(time.perf_counter() - began)
    assert np.isfinite(np.asarray(info.loss)).all()
    second = float(np.median(times[1:]))
    return {
        "agents": num_agents,
        "degree": degree,
        "state_mb": state_bytes / 1e6,
        "temporary_mb": memory.temp_size_in_bytes / 1e6,
        "donated_mb": memory.alias_size_in_bytes / 1e6,
        "bytes_per_agent": (state_bytes + memory.temp_size_in_bytes) / num_agents,
        "peak_process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "round_s": second,
        "node_updates_per_s": num_agents / second,
        "compile_s": compile_s,
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    parser.add_argument("--degree", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = [measure(n, given.degree, given.rounds) for n in given.agents]
    names = list(rows[0])
    print("  ".join(f"{name:>18}" for name in names))
    for row in rows:
        print("  ".join(f"{row[name]:18,.2f}" for name in names))
    if given.json is not None:
        given.json.write_text(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
