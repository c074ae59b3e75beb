"""Scores of peers by how they served blocks before.

Shapes: ``P`` peers that a client knows.

References:
    Gradient, Lattica, 2025: the scores and their constants are those of its source code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

REMEMBERED = 10
"""Transfers whose speed counts."""
WEIGHTS = (0.5, 0.35, 0.15)
"""Of speed, success and stability, each in ``[0, 100]``."""
NEW = 55.0
"""Score of a peer without a history."""
DECAYED, DECAY_SECONDS = 0.7, 600.0
"""Factor that a score falls to, linearly, while nothing is heard of a peer."""
FAILURES = 3
"""Failures in a row beyond which stability is 0."""


class History(NamedTuple):
    """What a client remembers of its peers.

    Attributes:
        speeds: ``float32[P, 10]``, bytes per second of the last transfers, a ring buffer.
        served: ``int32[P]``, transfers so far.
        asked: ``int32[P]``, requests that were answered or failed.
        streak: ``int32[P]``, successes in a row.
        failures: ``int32[P]``, failures in a row.
        heard: ``float32[P]``, time of the last success.
    """

    speeds: jax.Array
    served: jax.Array
    asked: jax.Array
    streak: jax.Array
    failures: jax.Array
    heard: jax.Array


def history(num_peers: int) -> History:
    """A history without entries.

    Args:
        num_peers: ``P``, at least 1.

    Raises:
        ValueError: for fewer than one peer.
    """
    count = checks.whole("num_peers", num_peers, 1)
    zeros = jnp.zeros(count, jnp.int32)
    return History(jnp.zeros((count, REMEMBERED)), zeros, zeros, zeros, zeros, jnp.zeros(count))


def scores(kept: History, now: ArrayLike, *, newcomer: ArrayLike = NEW) -> jax.Array:
    """Score every peer, ``float32[P]`` in ``[0, 100]``.

    Half of a score is the speed, on a logarithmic scale from 10³ to 10⁸ bytes per second; .35 the
    share of successes; .15 the stability, a tenth for each success in a row.

    Args:
        kept: of :func:`history`.
        now: time in seconds.
        newcomer: score of a peer without a history. The published 55 is less than one success at
            10⁵ bytes per second gives, so that those asked first are asked for good; 100 tries
            all peers.

    Raises:
        ValueError: for what is no history, or no finite number.

    Example:
        >>> from jaxswarm.network import blocks
        >>> blocks.scores(blocks.history(2), 0.0).tolist()
        [55.0, 55.0]
    """
    checks.instance("kept", kept, History, "blocks.history(8)")
    now, newcomer = checks.real("now", now), checks.real("newcomer", newcomer)
    filled = jnp.arange(REMEMBERED)[None, :] < kept.served[:, None]
    logs = jnp.log10(jnp.maximum(kept.speeds, 1.0))
    level = jnp.clip((logs - 3.0) / 5.0, 0.0, 1.0)
    known = jnp.maximum(jnp.minimum(kept.served, REMEMBERED), 1)
    speed = jnp.sum(jnp.where(filled, level, 0.0), axis=1) / known
    success = kept.served / jnp.maximum(kept.asked, 1)
    stable = jnp.where(kept.failures > FAILURES, 0.0, jnp.minimum(kept.streak / 10.0, 1.0))
    silent = jnp.clip((now - kept.heard) / DECAY_SECONDS, 0.0, 1.0)
    total = 100.0 * (WEIGHTS[0] * speed + WEIGHTS[1] * success + WEIGHTS[2] * stable)
    return jnp.where(kept.asked > 0, total * (1.0 - (1.0 - DECAYED) * silent), newcomer)


def remembered(
    kept: History, asked: jax.Array, served: jax.Array, speed: jax.Array, now: ArrayLike
) -> History:
    """Histories after requests.

    Args:
        kept: before.
        asked: ``bool[P]``, peers that were asked.
        served: ``bool[P]``, those of them that sent the block.
        speed: ``float32[P]``, bytes per second of these transfers.
        now: time in seconds.
    """
    count = kept.speeds.shape[0]
    asked = jnp.asarray(checks.mask("asked", asked, (count,)))
    served = asked & jnp.asarray(checks.mask("served", served, (count,)))
    rows, slot = jnp.arange(count), kept.served % REMEMBERED
    new = jnp.where(served, speed, kept.speeds[rows, slot])
    failed = asked & ~served
    return History(
        kept.speeds.at[rows, slot].set(new),
        kept.served + served,
        kept.asked + asked,
        jnp.where(served, kept.streak + 1, jnp.where(failed, 0, kept.streak)),
        jnp.where(served, 0, kept.failures + failed),
        jnp.where(served, now, kept.heard),
    )
