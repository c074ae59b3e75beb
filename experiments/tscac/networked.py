"""TSCAC of agents that hold shards of the users: on a ring, and isolated (an extension)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.tscac.config import DISCOUNTS, Config
from jaxswarm import gossip, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.rl import constrained
from jaxswarm.rl.networks import Network
from jaxswarm.types import Key, PyTree

WEIGHT = 0.03
"""λ of the networked agents."""

METHOD = "TSCAC, closed form"

TESTED = 4
"""Agents of a team that are tested in the simulator: every agent would take long."""


def team_of(
    key: Key, config: Config, network: Network, rows: constrained.Transitions
) -> dict[str, constrained.ConstrainedState]:
    """Train both teams; the batches of all agents together are as large as that of one learner.

    Args:
        key: consumed; the same batches for both teams.
        config: sizes.
        network: of one policy.
        rows: shards, leaves ``[N, …]``.

    Returns:
        States of the agents by team, leaves ``[N, …]``.
    """
    learner = constrained.tscac(
        network,
        discounts=DISCOUNTS,
        weights=WEIGHT,
        stage_two="closed form",
        decay_steps=config.steps,
        lr=config.slow_lr,
        critic_lr=config.slow_lr,
    )
    ring = as_one_leaf(gossip.averaging(gossip.mixing(topology.ring(config.agents))))
    batch = max(config.batch // config.agents, 1)
    stages = [
        constrained.networked(learner, ring, rows, batch_size=batch, stage=stage)
        for stage in ("one", "two")
    ]

    def team(takes_part: jax.Array) -> constrained.ConstrainedState:
        init_key, step_key = jax.random.split(key)
        present = jnp.broadcast_to(takes_part, (config.agents,))
        state: Any = stages[0].init(init_key)
        for i, algorithm in enumerate(stages):

            def step(state: Any, key: Key, algorithm: Algorithm = algorithm) -> tuple[Any, None]:
                return algorithm.step(key, state, present)[0], None

            keys = jax.random.split(jax.random.fold_in(step_key, i), config.steps)
            state, _ = jax.lax.scan(step, state, keys)
        return state.agents

    both = jax.vmap(team)(jnp.array([True, False]))
    return {
        name: jax.tree.map(lambda x, i=i: x[i], both) for i, name in enumerate(("ring", "isolated"))
    }


def as_one_leaf(rule: gossip.GossipTransformation) -> gossip.GossipTransformation:
    """The same rule on all weights as one vector, which compiles sooner than many leaves."""

    def flat(tree: PyTree) -> jax.Array:
        return jnp.concatenate([x.reshape(len(x), -1) for x in jax.tree.leaves(tree)], axis=1)

    def mix(key: Key, params: PyTree, state: PyTree, exchange: gossip.Exchange) -> Any:
        mixed, state, traffic = rule.mix(key, flat(params), state, exchange)
        leaves, tree = jax.tree.flatten(params)
        ends = np.cumsum([x[0].size for x in leaves])[:-1].tolist()
        parts = jnp.split(mixed, ends, axis=1)
        shaped = [y.reshape(x.shape) for x, y in zip(leaves, parts, strict=True)]
        return jax.tree.unflatten(tree, shaped), state, traffic

    return rule._replace(init=lambda params: rule.init(flat(params)), mix=mix)
