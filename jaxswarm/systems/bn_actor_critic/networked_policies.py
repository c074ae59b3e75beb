"""Bayesian-network policies of networked agents: parents must be in-neighbours.

The graph over actions is a second graph beside the one over which critics are exchanged, and a
directed one. An agent cannot condition on an action that does not reach it, so the first must be
part of the second. Everything else is :func:`jaxswarm.rl.networked.networked_actor_critic`: private
rewards, critics that gossip, actors that are never sent.

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

from jaxswarm.rl.networked import MarkovGame, Policies
from jaxswarm.rl.networked.games import require_game
from jaxswarm.systems.bn_actor_critic.graphs import check_dag
from jaxswarm.systems.bn_actor_critic.tabular import sample_joint_action
from jaxswarm.types import Key


def bayesian_policies(
    game: MarkovGame, dag: np.ndarray, *, communicates: np.ndarray | None = None
) -> Policies:
    """Make policies that choose by the state and the actions of an agent's parents.

    Args:
        game: whose agents are meant.
        dag: ``[N, N]``, ``[j, i]`` 1 where ``j`` is a parent of ``i``.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends, such as
            the graph over which critics are exchanged. True everywhere by default.

    Returns:
        For :func:`jaxswarm.rl.networked.networked_actor_critic`.

    Raises:
        ValueError: for a cycle, another number of agents, or parents without communication.
    """
    require_game(game)
    n, size = game.num_agents, game.num_actions
    dag = check_dag(dag, communicates)
    if len(dag) != n:
        raise ValueError(f"dag: expected shape {(n, n)}, got {dag.shape}")
    strides = jnp.asarray(size ** np.arange(n)[::-1], jnp.int32)
    parent_strides = jnp.asarray(dag, jnp.int32) * strides[:, None]  # [j, i]
    ids = jnp.arange(n)

    def sample(key: Key, tables: jax.Array, state: jax.Array) -> jax.Array:
        return sample_joint_action(key, tables, game, dag, state)

    def ascend(
        tables: jax.Array, state: jax.Array, actions: jax.Array, rates: jax.Array
    ) -> jax.Array:
        row = actions @ parent_strides
        score = jax.nn.one_hot(actions, size) - jax.nn.softmax(tables[ids, state, row])
        return tables.at[ids, state, row].add(rates[:, None] * score)

    return Policies((n, game.num_states, size**n, size), sample, ascend)
