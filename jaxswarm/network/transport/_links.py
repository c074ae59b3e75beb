"""A transport under a graph: which edges carry messages, how long these take, and what is lost.

Shapes: ``N`` peers, ``E`` directed edge slots.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.gossip.types import Exchange
from jaxswarm.network.links import link_uniforms
from jaxswarm.network.process import Network, expect_single
from jaxswarm.network.transport._peers import LEVELS, Peers, connects
from jaxswarm.network.transport._times import Regions, medians, punches, transfer_seconds
from jaxswarm.topology import Topology, require_symmetric, reverse_slots
from jaxswarm.types import ArrayLike, Key


class Links(NamedTuple):
    """Connections along the edges of a graph; both directions of an edge share one.

    Attributes:
        topology: the graph.
        direct: ``bool[E]``.
        relayed: ``bool[E]``, over a relay; false where there is none and no direct connection.
        round_trip: ``float32[E]``, median in seconds, over the relay where relayed.
        seconds: ``float32[E]``, median time of a message of the size given.
        jitter: of the logarithm of these times.
    """

    topology: Topology
    direct: jax.Array
    relayed: jax.Array
    round_trip: jax.Array
    seconds: jax.Array
    jitter: jax.Array


def links(
    key: Key,
    topology: Topology,
    peers: Peers,
    regions: Regions,
    *,
    level: str = "relay",
    relay_region: int | None = 0,
    message_bytes: float = 0.0,
) -> Links:
    """Connect the peers of every edge as well as the means allow.

    Args:
        key: consumed, for the timing of hole punching.
        topology: a single undirected graph over the peers.
        peers: of :func:`peers`.
        regions: of :func:`regions`.
        level: name in :data:`LEVELS`.
        relay_region: where the relays stand; ``None`` for no relay, so that pairs without a direct
            connection have none.
        message_bytes: size of a message.

    Raises:
        ValueError: a sequence or directed graph, another number of peers, regions out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import topology
        >>> from jaxswarm.network import transport
        >>> found = transport.peers(jax.random.key(0), 64)
        >>> earth = transport.regions([[0.05]])
        >>> kept = transport.links(jax.random.key(1), topology.complete(64), found, earth)
        >>> 0.6 < float(kept.direct.mean()) < 0.8, bool((kept.direct | kept.relayed).all())
        (True, True)
    """
    expect_single(topology, "links")
    checks.concrete("topology", topology)
    require_symmetric(topology, "a transport")
    checks.instance("peers", peers, Peers, "transport.peers(key, 8)")
    checks.choice("level", level, LEVELS)
    if peers.mapping.shape[0] != topology.num_agents:
        raise ValueError(
            f"peers: expected {topology.num_agents} as the topology has, got "
            f"{peers.mapping.shape[0]}"
        )
    checks.real("message_bytes", message_bytes, 0.0)
    senders, receivers = jnp.asarray(topology.senders), jnp.asarray(topology.receivers)
    first, second = jnp.minimum(senders, receivers), jnp.maximum(senders, receivers)
    region, other = peers.region[first], peers.region[second]
    below = LEVELS[min(LEVELS.index(level), 2)]
    dialed = connects(peers, first, second, LEVELS[min(LEVELS.index(level), 1)])
    met, _ = punches(checks.key(key), regions, region, other)
    met = met[jnp.minimum(jnp.arange(len(met)), jnp.asarray(reverse_slots(topology)))]
    direct = dialed | (connects(peers, first, second, below) & met)
    round_trip = medians(regions, region, other)
    relayed = jnp.zeros_like(direct)
    if level == "relay" and relay_region is not None:
        at = checks.whole("relay_region", relay_region, 0, regions.round_trip.shape[0] - 1)
        there = jnp.full(region.shape, at)
        over_relay = medians(regions, region, there) + medians(regions, there, other)
        relayed = ~direct & (first != second)
        round_trip = jnp.where(relayed, over_relay, round_trip)
    speed = jnp.minimum(peers.bandwidth[first], peers.bandwidth[second])
    seconds = transfer_seconds(message_bytes, round_trip, speed)
    return Links(topology, direct, relayed, round_trip, seconds, regions.jitter)


def over(links: Links, *, round_seconds: ArrayLike, loss: ArrayLike = 0.0) -> Network:
    """Make a network process: messages arrive if their link stands and they come in time.

    Args:
        links: of :func:`links`.
        round_seconds: length of a round, above 0; later messages are lost. May be traced.
        loss: probability that a message is lost on its way, in ``[0, 1]``.

    Raises:
        ValueError: for what are no links, or numbers out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import topology
        >>> from jaxswarm.network import transport
        >>> graph, keys = topology.ring(8), jax.random.split(jax.random.key(0), 3)
        >>> found, earth = transport.peers(keys[0], 8), transport.regions([[0.05]])
        >>> process = transport.over(
        ...     transport.links(keys[1], graph, found, earth, level="none"), round_seconds=1.0)
        >>> process.step(keys[2], process.init(), 0)[1].delivered.any()  # none is public
        Array(False, dtype=bool)
    """
    checks.instance("links", links, Links, "transport.links(key, graph, peers, regions)")
    limit = checks.real("round_seconds", round_seconds, above=0.0)
    checks.probability("loss", loss)
    stands = links.direct | links.relayed

    def step(key: jax.Array, state: tuple[()], index: ArrayLike) -> tuple[tuple[()], Exchange]:
        late_key, loss_key = jax.random.split(checks.key(key))
        u = jnp.clip(link_uniforms(late_key, links.topology, symmetric=False), 1e-7, 1 - 1e-7)
        time = links.seconds * jnp.exp(links.jitter * jax.scipy.special.ndtri(u))
        kept = link_uniforms(loss_key, links.topology, symmetric=False) >= loss
        return state, Exchange(index, delivered=stands & (time <= limit) & kept)

    return Network(lambda: (), step)


def round_delays(links: Links, round_seconds: float) -> np.ndarray:
    """Rounds that messages are late by, ``int32[E]``, for ``gossip.delayed_averaging``.

    Args:
        links: of :func:`links`.
        round_seconds: length of a round, above 0.

    Raises:
        ValueError: for what are no links, edges without a connection, or no length.
    """
    checks.instance("links", links, Links, "transport.links(key, graph, peers, regions)")
    length = float(checks.real("round_seconds", round_seconds, above=0.0))
    if not bool(jnp.all(links.direct | links.relayed)):
        raise ValueError("links: expected a connection along every edge, got some without")
    return np.floor(np.asarray(links.seconds, np.float64) / length).astype(np.int32)
