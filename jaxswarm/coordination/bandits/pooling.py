"""Pooled bandits: learners share their ridge sums by gossip.

Sums add, so averaging them over ``N`` learners and multiplying by ``N`` gives the sums of one
learner with all observations. Each learner holds ``mixed``, its estimate of the *average*, and
``fresh``, its own observations since the last exchange. It acts on ``N · mixed + fresh``; an
exchange moves ``fresh`` into ``mixed`` and mixes. Doubly stochastic mixing keeps ``Σ mixed``, so no
observation is counted twice.

Shapes: ``N`` learners on axis 0 of every leaf.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.coordination.bandits.ridge import Ridge, add_sums, scale_sums
from jaxswarm.gossip import Exchange, GossipTransformation, Traffic
from jaxswarm.types import Key, PyTree


class Pooled(NamedTuple):
    """State of learners that gossip.

    Attributes:
        mixed: sums ``[N, ...]``, each learner's estimate of the average.
        fresh: sums ``[N, ...]``, each learner's observations since the last exchange.
        rule: state of the gossip rule.
    """

    mixed: Ridge
    fresh: Ridge
    rule: PyTree


def init_pooled(empty: Ridge, rule: GossipTransformation) -> Pooled:
    """State without observations.

    Args:
        empty: ``empty_sums(d, (N,))``, leaves ``[N, ...]``.
        rule: gossip rule.
    """
    return Pooled(empty, empty, rule.init(empty))


def effective_sums(state: Pooled, num_learners: float | jax.Array) -> Ridge:
    """Sums that each learner acts on, ``N · mixed + fresh``.

    Args:
        state: of ``N`` learners.
        num_learners: ``N``; 1 for isolated learners.
    """
    return add_sums(scale_sums(state.mixed, num_learners), state.fresh)


def exchange_sums(
    key: Key, state: Pooled, rule: GossipTransformation, exchange: Exchange
) -> tuple[Pooled, Traffic]:
    """Run one exchange of sums between learners.

    Args:
        key: for the rule.
        state: before.
        rule: such as ``gossip.averaging(gossip.mixing(topology))``; it must keep the average.
        exchange: which learners are alive and which messages arrive.
    """
    total = add_sums(state.mixed, state.fresh)
    if exchange.alive is not None:
        # Dead learners do not exchange; they keep the observations that they have not shared.
        zeros = jax.tree.map(jnp.zeros_like, state.fresh)
        total = agents.where(exchange.alive, total, state.mixed)
        left = agents.where(exchange.alive, zeros, state.fresh)
    else:
        left = jax.tree.map(jnp.zeros_like, state.fresh)
    mixed, rule_state, traffic = rule.mix(key, total, state.rule, exchange)
    return Pooled(mixed, left, rule_state), traffic
