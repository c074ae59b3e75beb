"""Times of connections: round trips between regions, handshakes, hole punching, transfers.

References:
    J. Iyengar, M. Thomson, QUIC: a UDP-based multiplexed and secure transport, RFC 9000, 2021.
    E. Rescorla, The transport layer security protocol version 1.3, RFC 8446, 2018.
    M. Seemann, M. Inden, D. Vyzovitis, Decentralized hole punching, 2022.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key

HANDSHAKES: dict[str, int] = {"quic": 1, "tcp": 3}
"""Round trips before data: QUIC carries TLS 1.3 in its own; TCP needs one, TLS 1.3 another, and
choosing a multiplexer a third."""


class Regions(NamedTuple):
    """Delays between regions.

    Attributes:
        round_trip: ``float32[G, G]``, median round trip in seconds, symmetric.
        jitter: ``float32[]``, standard deviation of the logarithm of a round trip.
    """

    round_trip: jax.Array
    jitter: jax.Array


def regions(round_trip: ArrayLike, *, jitter: float = 0.1) -> Regions:
    """Check and hold delays between regions.

    Args:
        round_trip: ``[G, G]`` seconds, symmetric, above 0; the diagonal is within a region.
        jitter: of the logarithm, at least 0.

    Raises:
        ValueError: a matrix that is not square, symmetric and positive, or a negative jitter.

    Example:
        >>> from jaxswarm.network import transport
        >>> transport.regions([[0.01, 0.09], [0.09, 0.01]]).round_trip.shape
        (2, 2)
    """
    checks.concrete("round_trip", round_trip)
    checks.real("round_trip", round_trip, above=0.0, shape=(None, None))
    matrix = np.asarray(round_trip, np.float32)
    if matrix.shape[0] != matrix.shape[1] or not np.array_equal(matrix, matrix.T):
        raise ValueError(
            f"round_trip: expected a symmetric matrix, got one of shape {matrix.shape}"
        )
    checks.real("jitter", jitter, 0.0)
    return Regions(jnp.asarray(matrix), jnp.float32(jitter))


def round_trips(key: Key, regions: Regions, first: ArrayLike, second: ArrayLike) -> jax.Array:
    """Draw round trips between regions, lognormal around the median, ``float32[...]`` seconds.

    Args:
        key: consumed.
        regions: of :func:`regions`.
        first: ``int[...]``, regions.
        second: like ``first``.

    Raises:
        ValueError: for what are no regions, or numbers out of range.
    """
    median = medians(regions, first, second)
    normal = jax.random.normal(checks.key(key), median.shape)
    return median * jnp.exp(regions.jitter * normal)


def medians(regions: Regions, first: ArrayLike, second: ArrayLike) -> jax.Array:
    """Median round trips between regions, ``float32[...]`` seconds; arguments as above."""
    checks.instance("regions", regions, Regions, "transport.regions([[0.01]])")
    count = regions.round_trip.shape[0]
    one = checks.wholes("first", first, 0, count - 1)
    other = checks.wholes("second", second, 0, count - 1, shape=one.shape)
    return regions.round_trip[jnp.asarray(one), jnp.asarray(other)]


def setup_seconds(
    round_trip: ArrayLike, *, protocol: str = "quic", relay_round_trip: ArrayLike | None = None
) -> jax.Array:
    """Time until a connection carries data, ``float32[...]`` seconds.

    Args:
        round_trip: of the pair, in seconds, above 0.
        protocol: name in :data:`HANDSHAKES`.
        relay_round_trip: for a pair that punches a hole: round trip of the path over the relay,
            above 0. Connecting over it takes a round trip to open and a handshake; exchanging
            addresses and the synchronized start take a round trip and a half, see DCUtR.

    Raises:
        ValueError: times that are not positive, or an unknown protocol.

    Example:
        >>> from jaxswarm.network import transport
        >>> float(transport.setup_seconds(0.125)), float(
        ...     transport.setup_seconds(0.125, protocol="tcp"))
        (0.125, 0.375)
    """
    checks.choice("protocol", protocol, HANDSHAKES)
    direct = jnp.asarray(checks.real("round_trip", round_trip, above=0.0, shape=None), jnp.float32)
    seconds = direct * HANDSHAKES[protocol]
    if relay_round_trip is None:
        return seconds
    relayed = jnp.asarray(
        checks.real("relay_round_trip", relay_round_trip, above=0.0, shape=None), jnp.float32
    )
    return seconds + relayed * (HANDSHAKES[protocol] + 2.5)


def punches(
    key: Key,
    regions: Regions,
    first: ArrayLike,
    second: ArrayLike,
    *,
    window: float = 0.1,
    tries: int = 3,
) -> tuple[jax.Array, jax.Array]:
    """Whether both packets of a simultaneous opening meet, in some of a few tries.

    One side waits half of a measured round trip before it sends, so that both packets cross. The
    other's packet takes a time of its own. A try fails if they miss each other by more than the
    ``window`` for which a refused packet may come early.

    Args:
        key: consumed.
        regions: of :func:`regions`.
        first: ``int[...]``, regions of one peer.
        second: like ``first``.
        window: seconds, above 0.
        tries: at least 1; 3 in libp2p.

    Returns:
        ``bool[...]``, and ``int32[...]``, tries used.

    Raises:
        ValueError: as :func:`round_trips`, or numbers out of range.
    """
    checks.real("window", window, above=0.0)
    count = checks.whole("tries", tries, 1)
    median = medians(regions, first, second)
    normal = jax.random.normal(checks.key(key), (2, count, *median.shape))
    measured, crossing = median[None, None] * jnp.exp(regions.jitter * normal) / 2.0
    meets = jnp.abs(measured - crossing) <= window
    used = jnp.where(meets.any(0), jnp.argmax(meets, axis=0) + 1, count)
    return meets.any(0), used.astype(jnp.int32)


def transfer_seconds(
    size: ArrayLike,
    round_trip: ArrayLike,
    bandwidth: ArrayLike,
    *,
    window: float = 65536.0,
) -> jax.Array:
    """Time that a message takes on an open connection, ``float32[...]`` seconds.

    Half a round trip for its first byte; the rest at the bandwidth, or at a window of bytes a round
    trip where that is less.

    Args:
        size: bytes, at least 0.
        round_trip: seconds, above 0.
        bandwidth: bytes per second, above 0.
        window: bytes that may be under way, above 0.

    Raises:
        ValueError: numbers out of range.
    """
    amount = jnp.asarray(checks.real("size", size, 0.0, shape=None), jnp.float32)
    trip = jnp.asarray(checks.real("round_trip", round_trip, above=0.0, shape=None), jnp.float32)
    speed = jnp.asarray(checks.real("bandwidth", bandwidth, above=0.0, shape=None), jnp.float32)
    checks.real("window", window, above=0.0)
    return trip / 2.0 + amount / jnp.minimum(speed, window / trip)
