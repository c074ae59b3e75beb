"""Learners that share what they know: ridge sums gossiped with the library's rules.

Sums add, so averaging them over ``N`` learners and multiplying by ``N`` gives the sums of a learner
who saw everything. Each learner holds ``mixed``, its view of the *average*, and ``fresh``, its own
observations since the last exchange. It acts on ``N · mixed + fresh``; an exchange moves ``fresh``
into ``mixed`` and mixes. Doubly stochastic mixing keeps ``Σ mixed``, so nothing is counted twice.

Shapes: ``N`` learners on axis 0 of every leaf.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.coordination.bandits.ridge import Ridge, faded, joined
from jaxswarm.gossip import Exchange, GossipTransformation, Traffic


class Pooled(NamedTuple):
    """``mixed`` and ``fresh``: sums ``[N, ...]``; ``rule``: state of the gossip rule."""

    mixed: Ridge
    fresh: Ridge
    rule: Any


def pooled(empty: Ridge, rule: GossipTransformation) -> Pooled:
    """Nothing known yet; ``empty`` has leaves ``[N, ...]``."""
    return Pooled(empty, empty, rule.init(empty))


def known(state: Pooled, num_learners: Any) -> Ridge:
    """What each learner acts on, ``N · mixed + fresh``; ``num_learners`` = 1 for the isolated."""
    return joined(faded(state.mixed, num_learners), state.fresh)


def exchanged(
    key: jax.Array, state: Pooled, rule: GossipTransformation, round: Exchange
) -> tuple[Pooled, Traffic]:
    """One exchange.

    Args:
        key: for the rule.
        state: before.
        rule: such as ``gossip.averaging(gossip.mixing(topology))``; it must keep the average.
        round: who takes part.
    """
    total = joined(state.mixed, state.fresh)
    if round.alive is not None:
        # The dead do not exchange; what they have not shared yet stays theirs.
        total = agents.where(round.alive, total, state.mixed)
        zeros = jax.tree.map(jnp.zeros_like, state.fresh)
        left = agents.where(round.alive, zeros, state.fresh)
    else:
        left = jax.tree.map(jnp.zeros_like, state.fresh)
    mixed, rule_state, traffic = rule.mix(key, total, state.rule, round)
    return Pooled(mixed, left, rule_state), traffic
