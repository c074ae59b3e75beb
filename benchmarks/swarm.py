"""The workload as a user of jaxswarm writes it."""

import time
from typing import Any

import jax
import optax

from benchmarks.workload import BATCH, LEARNING_RATE, Workload, from_flax, model, stacked_parameters
from jaxswarm import data, gossip, learning, rollout

UPDATES_PER_SEGMENT = 4000


class Swarm:
    """``decentralized(sgd, averaging(W))`` on one jitted scan per segment."""

    name = "jaxswarm"

    def __init__(self, work: Workload, *, seed: int = 0, sample: Any = None) -> None:
        self.rounds = max(1, UPDATES_PER_SEGMENT // work.num_agents)
        self._work, self._seed = work, seed
        self._key = jax.random.key(seed)
        self._shards = data.shards(work.train, work.partition)
        self._learner = learning.decentralized(
            learning.classification_loss(model()),
            local=optax.sgd(LEARNING_RATE),
            gossip=gossip.averaging(gossip.mixing(work.graph, "metropolis")),
            sample=sample or data.minibatches(BATCH),
        )
        self._state = self._fresh()

    def compile(self) -> float:
        """Seconds to trace and compile one segment."""
        began = time.perf_counter()
        lowered = self._program(self.rounds).lower(self._state, self._key, self._shards)
        self._segment = lowered.compile()
        return time.perf_counter() - began

    def advance(self) -> None:
        """Run one segment and wait for it."""
        self._key, key = jax.random.split(self._key)
        self._state = jax.block_until_ready(self._segment(self._state, key, self._shards))

    def train(self, rounds: int) -> dict[str, Any]:
        """Parameters after ``rounds`` rounds from the start."""
        program = self._program(rounds)
        state = program(self._fresh(), jax.random.key(self._seed + 1), self._shards)
        return from_flax(state.params)

    def _fresh(self) -> Any:
        return self._learner.init(stacked_parameters(self._work.num_agents, self._seed))

    def _program(self, rounds: int) -> Any:
        def run(state: Any, key: jax.Array, shards: data.Shards) -> Any:
            step = self._learner.step
            return rollout(step, state, rounds, key=key, inputs=shards, every=rounds)[0]

        return jax.jit(run, donate_argnums=0)
