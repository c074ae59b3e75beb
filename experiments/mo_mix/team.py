"""Networked agents: own networks exchanged on a ring, own preferences and their consensus.

Shapes: ``S`` seeds, ``A`` arms of training, ``C`` kinds of preferences, ``D`` draws of preferences,
``N`` agents.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import as_one_leaf
from experiments.mo_mix.config import CONSENSUS, EXCHANGING, ISOLATED, OWN, TEAM, Config
from experiments.mo_mix.learners import (
    jit_training,
    numbers,
    run_learner,
    runs_of,
    seeds_of,
    sizes,
)
from experiments.mo_mix.worlds import attainable, game
from jaxswarm import gossip, topology
from jaxswarm.rl import value_decomposition as vd

NUM_AGENTS = 4
NEIGHBOR_WEIGHT = 1.0 / 3.0  # Metropolis-Hastings on a ring
ROUNDS = 4  # of averaging preferences
KINDS = (CONSENSUS, OWN, TEAM)
ARMS = {EXCHANGING: 1.0, ISOLATED: 0.0}  # factor of the neighbors' weights in training


def networked(config: Config) -> dict[str, dict[str, np.ndarray]]:
    """Train teams with and without exchange, and let them act on three kinds of preferences.

    Returns:
        ``{training arm: {kind of preferences: [S]}}``: the mean over draws of ``w̄ᵀR`` as a share of
        the best attainable, where ``w̄`` is the mean of the agents' own preferences.
    """
    env = game(NUM_AGENTS)
    ring = topology.ring(NUM_AGENTS)
    network = vd.value_network_for(env, "independent", objectives=2, hidden_size=config.hidden)
    possible = jnp.asarray(attainable(NUM_AGENTS), jnp.float32)
    hp = numbers(config, config.team_iterations)
    averaging = gossip.mixing(ring)

    def run(factor: jax.Array, key: jax.Array) -> jax.Array:
        weights = jnp.full(len(ring.senders), NEIGHBOR_WEIGHT) * factor
        rule = as_one_leaf(gossip.averaging(gossip.mixing(ring, weights)))
        learner = vd.value_learner(env, network, shared=False, gossip=rule, **sizes(config))
        draw = functools.partial(vd.initial_params, network=network, shared=False)
        params, _ = run_learner(learner, draw, key, config.team_iterations, hp, env.params)
        own = draw_preferences(jax.random.fold_in(key, 1), config.team_draws)
        mean = jnp.mean(own, axis=1, keepdims=True)
        agreed = own
        for _ in range(ROUNDS):
            agreed = jax.vmap(lambda w: gossip.mix(averaging, w))(agreed)
        kinds = jnp.concatenate([agreed, own, jnp.broadcast_to(mean, own.shape)])
        returns = vd.objective_returns(key, env, network, params, kinds, shared=False)
        returns = returns.reshape(len(KINDS), config.team_draws, 2)
        reached = jnp.sum(returns * mean[None, :, 0], axis=-1)
        best = jnp.max(jnp.einsum("dm,rm->dr", mean[:, 0], possible), axis=1)
        return jnp.mean(reached / best[None], axis=1)

    keys = seeds_of(config, config.team_seeds)
    runs: Any = runs_of((jnp.array(list(ARMS.values())),), keys)
    program = jit_training(jax.vmap(run), config.team_iterations)
    found = np.asarray(program(*runs)).reshape(len(ARMS), len(keys), -1)
    return {
        arm: {kind: found[row, :, column] for column, kind in enumerate(KINDS)}
        for row, arm in enumerate(ARMS)
    }


def draw_preferences(key: jax.Array, count: int) -> jax.Array:
    """Own preferences of all agents, uniform on the simplex, ``[D, N, 2]``."""
    first = jax.random.uniform(key, (count, NUM_AGENTS, 1))
    return jnp.concatenate([first, 1.0 - first], axis=-1)
