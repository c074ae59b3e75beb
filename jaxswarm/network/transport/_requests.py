"""Requests and responses: how many a second a server answers to a client at a distance.

References:
    P. J. Denning, J. P. Buzen, The operational analysis of queueing network models, 1978 (bounds of
    closed networks).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key


class Requests(NamedTuple):
    """Outcome of a run of requests.

    Attributes:
        finished: ``float32[count]``, seconds at which responses reach the client, in the order in
            which the server answers.
        seconds: ``float32[count]``, from sending a request to its response.
    """

    finished: jax.Array
    seconds: jax.Array


def requests(
    key: Key,
    round_trip: ArrayLike,
    *,
    size: ArrayLike,
    bandwidth: ArrayLike = 12.5e6,
    service: ArrayLike = 1e-4,
    in_flight: int = 64,
    count: int = 1000,
    jitter: ArrayLike = 0.1,
) -> Requests:
    """Simulate a client that keeps a number of requests in flight at one server.

    A request crosses half a round trip, then the link, which carries one at a time, then the
    server, which serves one at a time, both in order of arrival; its response crosses the other
    half, and the client sends the next. Every event is simulated; nothing is a rate put in.

    Args:
        key: consumed.
        round_trip: median seconds, above 0.
        size: bytes of a request, above 0.
        bandwidth: bytes per second of the link, above 0.
        service: seconds that the server needs for a request, above 0.
        in_flight: requests that the client has under way at once, at least 1.
        count: requests to simulate, at least 2.
        jitter: standard deviation of the logarithm of a round trip.

    Raises:
        ValueError: for numbers out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.network import transport
        >>> near = transport.requests(jax.random.key(0), 0.001, size=128)
        >>> far = transport.requests(jax.random.key(0), 0.15, size=128)
        >>> bool(near.finished[-1] < far.finished[-1])
        True
    """
    trip = jnp.asarray(checks.real("round_trip", round_trip, above=0.0), jnp.float32)
    checks.real("size", size, above=0.0)
    checks.real("bandwidth", bandwidth, above=0.0)
    checks.real("service", service, above=0.0)
    width = checks.whole("in_flight", in_flight, 1)
    number = checks.whole("count", count, 2)
    checks.real("jitter", jitter, 0.0)
    normal = jax.random.normal(checks.key(key), (number + width, 2))
    halves = trip / 2.0 * jnp.exp(jitter * normal)
    on_link, at_server = jnp.asarray(size / bandwidth), jnp.asarray(service)

    def step(state: tuple, own: jax.Array) -> tuple:
        arrives, sent, link_free, server_free = state
        slot = jnp.argmin(arrives)
        link_free = jnp.maximum(arrives[slot], link_free) + on_link
        server_free = jnp.maximum(link_free, server_free) + at_server
        back = server_free + own[1]
        new = (arrives.at[slot].set(back + own[0]), sent.at[slot].set(back), link_free, server_free)
        return new, (back, back - sent[slot])

    zero = jnp.zeros(())
    first = (halves[:width, 0], jnp.zeros(width), zero, zero)
    _, (finished, seconds) = jax.lax.scan(step, first, halves[width:])
    return Requests(finished, seconds)


def request_bound(
    round_trip: ArrayLike,
    *,
    size: ArrayLike,
    bandwidth: ArrayLike = 12.5e6,
    service: ArrayLike = 1e-4,
    in_flight: ArrayLike = 64,
) -> jax.Array:
    """Requests per second that no client can exceed, ``float32[...]``.

    The least of what the requests in flight, the link and the server allow.

    Args:
        round_trip: seconds, above 0.
        size: bytes of a request, above 0.
        bandwidth: bytes per second, above 0.
        service: seconds of the server for a request, above 0.
        in_flight: requests under way at once, at least 1.

    Raises:
        ValueError: for numbers out of range.

    Example:
        >>> from jaxswarm.network import transport
        >>> round(float(transport.request_bound(0.1, size=128, in_flight=10)))
        100
    """
    trip = jnp.asarray(checks.real("round_trip", round_trip, above=0.0, shape=None), jnp.float32)
    amount = jnp.asarray(checks.real("size", size, above=0.0, shape=None), jnp.float32)
    speed = jnp.asarray(checks.real("bandwidth", bandwidth, above=0.0, shape=None), jnp.float32)
    work = jnp.asarray(checks.real("service", service, above=0.0, shape=None), jnp.float32)
    width = jnp.asarray(checks.real("in_flight", in_flight, 1.0, shape=None), jnp.float32)
    on_link = amount / speed
    return jnp.minimum(width / (trip + on_link + work), jnp.minimum(1.0 / on_link, 1.0 / work))
