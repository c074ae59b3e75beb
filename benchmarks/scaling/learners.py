"""Section ``learners``: whole rounds of D-PSGD, an MLP 64-128-10 for every agent, batch 16.

Samples are drawn on the device from digits, 16 to an agent; parameters are float32.
"""

import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import workload
from benchmarks.scaling.mixing import finished
from benchmarks.scaling.timing import Program, Row, Setting, by_turns, too_large
from benchmarks.workload import BATCH, LEARNING_RATE, PARAMETERS
from jaxswarm import data, gossip, learning, rollout, topology
from jaxswarm.algorithm import Algorithm

AGENTS = (1_000, 10_000, 100_000)
STATE_BYTES = 4.0 * PARAMETERS
SAMPLE = data.minibatches(BATCH)


def rows(given: Setting) -> Iterator[Row]:
    """Whole rounds of D-PSGD."""
    for n in (100,) if given.quick else AGENTS:
        for graph in (topology.ring(n), topology.random_regular(n, 4, seed=0)):
            W = gossip.mixing(graph)
            row: Row = {"case": f"{graph.name}, {W.layout}", "agents": n}
            row["parameters"] = PARAMETERS
            reason = "out of time" if given.expired() else too_large(n * STATE_BYTES)
            if reason:
                yield row | {"skipped": reason}
                continue
            print(f"learners: {n} agents, {row['case']}", file=sys.stderr)
            row["bytes_touched"] = float(n * workload.BYTES_PER_UPDATE)
            row["bytes_minimal"] = row["bytes_touched"] / 2
            program = segment(learner(gossip.averaging(W)), n, given)
            (second,) = by_turns([program], lambda n=n: initial(n), given)
            row = finished(row, program, second, n)
            if "skipped" not in row:
                row["peak_bytes_per_agent"] = row["peak_bytes"] / n
                rate = row["node_updates_per_s"]
                row["gflops"] = rate * workload.FLOPS_PER_UPDATE / 1e9
            yield row


def learner(rule: Any, *, sample: Any = SAMPLE) -> Algorithm:
    """D-PSGD of the workload's model with any gossip rule."""
    return learning.decentralized(
        learning.classification_loss(workload.model()),
        local=optax.sgd(LEARNING_RATE),
        gossip=rule,
        sample=sample,
    )


def segment(algorithm: Algorithm, n: int, given: Setting, *, donate: bool = True) -> Program:
    """As many rounds of a learner as fill one timed call."""
    rounds = given.rounds_for(2 * n * workload.BYTES_PER_UPDATE, most=100)

    def run(key: jax.Array, held: data.Shards, state: Any) -> Any:
        step = algorithm.step
        return rollout(step, state, rounds, key=key, inputs=held, every=rounds)[0]

    return Program("learner", run, jax.random.key(1), shards(n), rounds=rounds, donate=donate)


def initial(n: int) -> Any:
    """The learners' first state."""
    state = learner(gossip.identity()).init(workload.stacked_parameters(n, 0))
    return jax.block_until_ready(state)


def shards(n: int) -> data.Shards:
    """Sixteen random digits for every agent, stored once."""
    train = data.load("digits").train
    features = np.asarray(train.features, np.float32).reshape(len(train.labels), -1)
    indices = np.random.default_rng(0).integers(len(features), size=(n, BATCH))
    return data.Shards(
        features=jnp.asarray(features),
        labels=jnp.asarray(train.labels, jnp.int32),
        indices=jnp.asarray(indices, jnp.int32),
        mask=jnp.ones((n, BATCH), bool),
        counts=jnp.full(n, BATCH, jnp.int32),
    )
