"""When to spend communication: how many random neighbours to hear as training progresses.

A schedule maps progress in ``[0, 1)`` (rounds done over rounds in all) to the number ``r`` of other
agents that each agent hears this round; ``r = N − 1`` is a full average. ``r = 0.2`` means one peer
in one round of five.

References:
    T. Zhu et al., A single merging suffices: recovering server-based learning performance in
    decentralized learning, 2025 (later: On the surprising effectiveness of a single global
    merging).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import errors
from jaxswarm.gossip.averaging import averaging
from jaxswarm.gossip.mixing import everyone
from jaxswarm.gossip.random import random_neighbours
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.gossip.wrappers import scheduled

Progress = Callable[[jax.Array], jax.Array]

_ROUNDING = 5e-7  # of a share of the run in float32: far less than a round


def fixed(r: float) -> Progress:
    """The same ``r`` all along."""
    _check(r=r)
    return lambda progress: jnp.full(jnp.shape(progress), r, jnp.float32)


def linear(start: float, end: float) -> Progress:
    """From ``start`` to ``end`` in a straight line."""
    _check(start=start, end=end)
    return lambda progress: start + (end - start) * progress


def cosine(start: float, end: float) -> Progress:
    """From ``start`` to ``end`` along half a cosine."""
    _check(start=start, end=end)
    return lambda progress: end + (start - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


def slow_decrease(start: float, end: float, *, rate: float = 10.0) -> Progress:
    """Exponential decay to ``end``: ``end + (start − end) e^(−rate·progress)``."""
    _check(start=start, end=end, rate=rate)
    return lambda progress: end + (start - end) * jnp.exp(-rate * progress)


def truncate(start: float, end: float, *, point: float) -> Progress:
    """``start`` before ``point``, ``end`` from there on."""
    _check(start=start, end=end)
    _check_share(point=point)
    return lambda progress: jnp.where(progress < point - _ROUNDING, start, end).astype(jnp.float32)


def dense_window(start: float, dense: float, *, point: float, width: float) -> Progress:
    """``dense`` inside ``[point, point + width)``, ``start`` outside."""
    _check(start=start, dense=dense)
    _check_share(point=point, width=width)

    def schedule(progress: jax.Array) -> jax.Array:
        inside = (progress >= point - _ROUNDING) & (progress < point + width - _ROUNDING)
        return jnp.where(inside, dense, start).astype(jnp.float32)

    return schedule


SCHEDULES: dict[str, Callable[..., Progress]] = {
    "fixed": fixed,
    "linear": linear,
    "cosine": cosine,
    "slow_decrease": slow_decrease,
    "truncate": truncate,
    "dense_window": dense_window,
}


def communication_schedule(name: str, num_rounds: int, **options: Any) -> Progress:
    """A schedule by name as a function ``round index -> r`` over ``num_rounds`` rounds.

    Raises:
        ValueError: unknown name (with a suggestion), ``num_rounds < 1`` or options out of range.
    """
    if name not in SCHEDULES:
        raise errors.unknown("communication schedule", name, SCHEDULES)
    if num_rounds < 1:
        raise ValueError(f"num_rounds: expected at least 1, got {num_rounds}")
    schedule = SCHEDULES[name](**options)
    return lambda index: schedule(jnp.asarray(index, jnp.float32) / num_rounds)


def random_gossip(
    n: int, r: float | Progress, *, maximum: int | None = None
) -> GossipTransformation:
    """Average with ``r`` random others, and with everyone in rounds where ``r`` reaches ``N − 1``.

    Full rounds are one mean and sparse rounds cost ``O(N · maximum)``; neither pays for the other.

    Args:
        n: number of agents, at least 2.
        r: neighbours heard in a round, or ``round index -> r``.
        maximum: slots of a sparse round; needed for a schedule unless it only knows sparse rounds
            of at most one neighbour and full ones. Beyond it ``r`` is clipped.

    Raises:
        ValueError: as :func:`jaxswarm.gossip.random_neighbours`.
    """
    full = averaging(everyone(n))
    if not callable(r):
        if r == n - 1:
            return full
        return averaging(random_neighbours(n, r, maximum=maximum))
    schedule = r
    sparse = averaging(random_neighbours(n, schedule, maximum=1 if maximum is None else maximum))
    return scheduled(full, lambda index: schedule(index) >= n - 1, sparse)


def _check(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= 0.0:
            raise ValueError(f"{name}: expected a number that is not negative, got {value}")


def _check_share(**numbers: float) -> None:
    for name, value in numbers.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}: expected a share of the run in [0, 1], got {value}")
