"""Fetching of content-addressed blocks: from a few peers of high score, or from all that have it.

Shapes: ``P`` peers, ``M`` blocks.

References:
    Protocol Labs, Bitswap, 2014 (wants, haves and blocks).
    Gradient, Lattica, 2025 (scores, top three after a wait).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.network.blocks._scores import NEW, History, remembered, scores
from jaxswarm.network.dht import content_id
from jaxswarm.types import ArrayLike, Key

WAIT = 0.1
"""Seconds after which blocks are asked for, however few peers have answered."""
ANSWERED = 0.3
"""Share of answers after which they are asked for earlier."""
CONTROL_BYTES = 40
"""Of a message that names a block: an identifier of 32 bytes and a header."""


class Fetched(NamedTuple):
    """Outcome of fetching one block.

    Attributes:
        seconds: ``float32[]``, until the block was there; infinite if no peer sent it.
        bytes: ``float32[]``, sent by all peers and the client, blocks that came twice included.
        copies: ``int32[]``, blocks sent.
        served: ``bool[]``, whether the block came.
    """

    seconds: jax.Array
    bytes: jax.Array
    copies: jax.Array
    served: jax.Array


def fetch(
    key: Key,
    kept: History,
    have: ArrayLike,
    round_trip: ArrayLike,
    bandwidth: ArrayLike,
    *,
    size: ArrayLike,
    now: ArrayLike = 0.0,
    failure: ArrayLike = 0.0,
    top: int | None = 3,
    jitter: ArrayLike = 0.1,
    wait: ArrayLike = WAIT,
    answered: ArrayLike = ANSWERED,
    downlink: ArrayLike = 1e12,
    newcomer: ArrayLike = NEW,
) -> tuple[History, Fetched]:
    """Fetch a block: ask who has it, then ask some of these to send it.

    The client asks all peers, waits for the first of 100 ms or 30 % of the answers, and asks the
    ``top`` peers of the highest score among those that said they have it; if none has answered yet,
    it waits for the first. If all that it asked fail, it asks all others that have it. With
    ``top=None`` it asks all peers at once, without waiting, and gets a copy from each that has it.

    Peers whose answers come after the wait are never asked to send, however fast they would: with
    large blocks a longer ``wait`` for a larger share of the answers finds them.

    Args:
        key: consumed.
        kept: the client's history of its peers.
        have: ``bool[P]``, peers that have the block.
        round_trip: ``float32[P]``, median seconds, above 0.
        bandwidth: ``float32[P]``, bytes per second, above 0.
        size: bytes of the block, above 0.
        now: time in seconds, for scores.
        failure: probability that a peer asked to send fails to, a number or ``[P]``.
        top: peers asked to send, at least 1; ``None`` for all.
        jitter: standard deviation of the logarithm of a round trip.
        wait: seconds after which the client asks for the block, above 0.
        answered: share of the answers after which it asks earlier, in ``[0, 1]``; 1 waits for all.
        downlink: bytes per second that the client can receive, above 0, which the copies on their
            way share evenly, none above what its sender has; practically unlimited by default.
        newcomer: score of a peer without a history, see :func:`scores`.

    Returns:
        The history after, and what the block took.

    Raises:
        ValueError: for what is no history, shapes that differ, or numbers out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.network import blocks
        >>> ones = jnp.ones(8)
        >>> kept, found = blocks.fetch(
        ...     jax.random.key(0), blocks.history(8), ones > 0, 0.05 * ones, 1e6 * ones, size=1e6)
        >>> int(found.copies), int(kept.asked.sum())
        (3, 3)
    """
    checks.instance("kept", kept, History, "blocks.history(8)")
    count = kept.speeds.shape[0]
    has = jnp.asarray(checks.mask("have", have, (count,)))
    trip = jnp.asarray(checks.real("round_trip", round_trip, above=0.0, shape=(count,)))
    speed = jnp.asarray(checks.real("bandwidth", bandwidth, above=0.0, shape=(count,)))
    checks.real("size", size, above=0.0)
    checks.probability("failure", failure, shape=(count,) if jnp.ndim(failure) else ())
    checks.real("jitter", jitter, 0.0)
    checks.real("wait", wait, above=0.0)
    checks.probability("answered", answered)
    checks.real("downlink", downlink, above=0.0)
    streams = jax.vmap(jax.random.split)(agents.keys(checks.key(key), count))
    noise = jax.vmap(lambda k: jax.random.normal(k, (2,)))(streams[:, 0])
    fails = jax.vmap(jax.random.uniform)(streams[:, 1]) < failure
    first, second = (trip * jnp.exp(jitter * noise[:, i]) for i in range(2))
    if top is None:
        start, chosen = jnp.zeros(count), has
        questions = jnp.float32(count)
    else:
        top = checks.whole("top", top, 1)
        start, chosen = _chosen(kept, has, first, now, top, wait, answered, newcomer)
        questions = jnp.float32(count) + jnp.sum(has) + jnp.sum(chosen)
    transfer = second + size / _shared(speed, chosen & ~fails, downlink)
    arrives = jnp.where(chosen & ~fails, start + transfer, jnp.inf)
    # Others are asked when all of the first have failed, by the time they should have come.
    retry = ~jnp.any(chosen & ~fails)
    late = jnp.max(jnp.where(chosen, start + transfer, 0.0))
    others = has & ~chosen & retry
    transfer = jnp.where(
        others, second + size / _shared(speed, others & ~fails, downlink), transfer
    )
    arrives = jnp.where(others & ~fails, late + transfer, arrives)
    asked = chosen | others
    served = asked & ~fails
    copies = jnp.sum(served)
    sent = CONTROL_BYTES * (questions + jnp.sum(others)) + copies * size
    new = remembered(kept, asked, served, jnp.asarray(size / transfer), now)
    return new, Fetched(jnp.min(arrives), sent.astype(jnp.float32), copies, jnp.any(served))


def _shared(speed: jax.Array, sends: jax.Array, downlink: ArrayLike) -> jax.Array:
    """Bytes per second of each sender if those that send share the client's downlink evenly."""
    ordered = jnp.sort(jnp.where(sends, speed, jnp.inf))
    count = jnp.sum(sends)
    place = jnp.arange(len(speed))
    slower = jnp.cumsum(jnp.where(place < count, ordered, 0.0)) - jnp.where(
        place < count, ordered, 0.0
    )
    # The share of all but the slower ones, if these get all that they can send.
    even = (downlink - slower) / jnp.maximum(count - place, 1)
    limit = jnp.max(jnp.where(place < count, even, -jnp.inf))
    return jnp.minimum(speed, jnp.where(count > 0, jnp.maximum(limit, 1.0), jnp.inf))


def _chosen(
    kept: History,
    has: jax.Array,
    answer: jax.Array,
    now: ArrayLike,
    top: int,
    wait: ArrayLike,
    answered: ArrayLike,
    newcomer: ArrayLike,
) -> tuple[jax.Array, jax.Array]:
    """When the client asks for the block, ``[P]``, and which peers, ``bool[P]``."""
    count = has.shape[0]
    needed = jnp.maximum(jnp.ceil(jnp.float32(answered) * count - 1e-4).astype(jnp.int32), 1)
    start = jnp.minimum(wait, jnp.sort(answer)[needed - 1])
    start = jnp.maximum(start, jnp.min(jnp.where(has, answer, jnp.inf)))
    known = has & (answer <= start)
    ranked = jnp.where(known, scores(kept, now, newcomer=newcomer), -jnp.inf)
    rank = jnp.argsort(jnp.argsort(-ranked, stable=True), stable=True)
    return jnp.full(count, start), known & (rank < top)


def check_block(content: bytes, identifier: ArrayLike) -> bytes:
    """Return a block if its SHA-256 is its identifier.

    Args:
        content: bytes that a peer sent.
        identifier: ``uint32[W]``, what :func:`jaxswarm.network.dht.content_id` gives.

    Raises:
        ValueError: if the hash differs.

    Example:
        >>> from jaxswarm.network import blocks, dht
        >>> blocks.check_block(b"weights", dht.content_id(b"weights"))
        b'weights'
    """
    wanted = checks.as_array("identifier", identifier, "uint32 words")
    if not (content_id(content, words=len(wanted)) == wanted).all():
        raise ValueError("content: expected a block with the hash of its identifier, got another")
    return content
