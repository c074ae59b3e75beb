"""Tabular joint policies of finite games: products of softmax policies, and their interface.

Shapes: ``N`` agents with ``A`` actions each, ``S`` states.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxswarm import agents
from jaxswarm.rl.networked.games import MarkovGame, require_game


class Policies(NamedTuple):
    """A tabular joint policy as functions of its tables of logits.

    Attributes:
        shape: of the tables, ``(N, S, …)``.
        sample: ``sample(key, tables, state) -> actions int32[N]``.
        ascend: ``ascend(tables, state, actions, rates [N]) -> tables``, every agent's own table
            moved by its rate along the gradient of its log-probability.
    """

    shape: tuple[int, ...]
    sample: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    ascend: Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]


def product_policies(game: MarkovGame) -> Policies:
    """Independent softmax policies given the state; tables ``[N, S, A]``."""
    require_game(game)
    n, size = game.num_agents, game.num_actions

    def sample(key: jax.Array, tables: jax.Array, state: jax.Array) -> jax.Array:
        return jax.vmap(jax.random.categorical)(agents.keys(key, n), tables[:, state])

    def ascend(
        tables: jax.Array, state: jax.Array, actions: jax.Array, rates: jax.Array
    ) -> jax.Array:
        score = jax.nn.one_hot(actions, size) - jax.nn.softmax(tables[:, state])
        return tables.at[:, state].add(rates[:, None] * score)

    return Policies((n, game.num_states, size), sample, ascend)
