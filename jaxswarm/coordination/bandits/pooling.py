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
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.coordination.bandits.ridge import Ridge, add_sums, scale_sums
from jaxswarm.gossip import Exchange, GossipTransformation, Traffic
from jaxswarm.gossip.types import require_support
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

    Raises:
        ValueError: if these are no sums of ``N`` learners, or no rule.
    """
    checks.instance("empty", empty, Ridge, "bandits.empty_sums(6, (8,))")
    if np.ndim(empty.count) < 1:
        raise ValueError("empty: expected sums of N learners, leaves [N, ...], got a single one")
    require_support(rule, purpose="pooling")
    return Pooled(empty, empty, rule.init(empty))


def effective_sums(state: Pooled, num_learners: float | jax.Array) -> Ridge:
    """Sums that each learner acts on, ``N · mixed + fresh``.

    Args:
        state: of ``N`` learners.
        num_learners: ``N``; 1 for isolated learners.

    Raises:
        ValueError: if this is no pooled state, or the number is not finite and at least 1.
    """
    checks.instance("state", state, Pooled, "bandits.init_pooled(empty, rule)")
    checks.real("num_learners", num_learners, 1.0)
    return add_sums(scale_sums(state.mixed, num_learners), state.fresh)


def exchange_sums(
    key: Key, state: Pooled, rule: GossipTransformation, exchange: Exchange
) -> tuple[Pooled, Traffic]:
    """Run one exchange of sums between learners.

    A learner that is not alive or does not take part keeps its state, with the observations that it
    has not shared. So do all learners in a round in which no message is sent or delivered: sums
    moved into ``mixed`` without mixing would count ``N`` times.

    Args:
        key: for the rule.
        state: before.
        rule: such as ``gossip.averaging(gossip.mixing(topology))``; it must keep the average.
        exchange: which learners are alive and take part, and which messages arrive.

    Raises:
        ValueError: if this is no pooled state, rule or exchange, or its masks do not fit.
    """
    checks.instance("state", state, Pooled, "bandits.init_pooled(empty, rule)")
    checks.instance("exchange", exchange, Exchange, "gossip.Exchange(0)")
    require_support(rule, purpose="pooling")
    total = add_sums(state.mixed, state.fresh)
    active = exchange.active(len(state.fresh.count))
    if active is not None:
        total = agents.where(active, total, state.mixed)
    mixed, rule_state, traffic = rule.mix(key, total, state.rule, exchange)
    shared = traffic.messages > 0
    if exchange.delivered is not None:
        shared = shared & jnp.any(exchange.delivered)
    taking = jnp.broadcast_to(shared, state.fresh.count.shape[:1])
    taking = taking if active is None else taking & active
    mixed = agents.where(taking, mixed, state.mixed)
    left = agents.where(taking, jax.tree.map(jnp.zeros_like, state.fresh), state.fresh)
    return Pooled(mixed, left, rule_state), traffic
