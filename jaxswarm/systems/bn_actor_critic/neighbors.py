"""Networked agents that hear each other's actions: who may be a parent is who can be heard.

A graph over actions is a second graph beside the one over which beliefs are exchanged, and a
directed one. An agent cannot condition on an action that does not reach it, so the first has to be
part of the second. Everything else is :func:`jaxswarm.rl.networked.networked_actor_critic`: private
rewards, critics that gossip, actors that stay at home.

Shapes: ``N`` agents with ``A`` actions, ``S`` states, ``J = A^N``, tables ``[N, S, J, A]``.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.rl.networked.games import MarkovGame
from jaxswarm.rl.networked.policies import Policies
from jaxswarm.systems.bn_actor_critic.graphs import check_dag
from jaxswarm.systems.bn_actor_critic.tabular import sample


def bayesian_policies(
    game: MarkovGame, dag: np.ndarray, *, communicates: np.ndarray | None = None
) -> Policies:
    """Everybody acts by the state and what its parents did.

    Args:
        game: whose agents are meant.
        dag: ``[N, N]``, ``[j, i]`` 1 where ``j`` is a parent of ``i``.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends, such as
            the graph over which critics are exchanged. Anybody by default.

    Returns:
        For :func:`jaxswarm.rl.networked.networked_actor_critic`.

    Raises:
        ValueError: for a cycle, another number of agents, or parents that cannot be heard.
    """
    n, size = game.num_agents, game.num_actions
    dag = check_dag(dag, communicates)
    if len(dag) != n:
        raise ValueError(f"dag: expected shape {(n, n)}, got {dag.shape}")
    places = jnp.asarray(size ** np.arange(n)[::-1], jnp.int32)
    heard = jnp.asarray(dag, jnp.int32) * places[:, None]  # [j, i]
    each = jnp.arange(n)

    def choose(key: jax.Array, tables: jax.Array, state: jax.Array) -> jax.Array:
        return sample(key, tables, game, dag, state)

    def ascend(
        tables: jax.Array, state: jax.Array, actions: jax.Array, rates: jax.Array
    ) -> jax.Array:
        row = actions @ heard
        score = jax.nn.one_hot(actions, size) - jax.nn.softmax(tables[each, state, row])
        return tables.at[each, state, row].add(rates[:, None] * score)

    return Policies((n, game.num_states, size**n, size), choose, ascend)
