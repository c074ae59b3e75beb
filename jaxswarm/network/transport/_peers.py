"""Peers behind address translators, and which pairs can connect directly.

A connection between two peers behind network address translators (NATs) is a matter of rules, not
of chance: a packet passes a NAT if the NAT's mapping and filtering behaviors let it.

Shapes: ``N`` peers; functions of pairs take positions of any shape.

References:
    F. Audet, C. Jennings, Network address translation (NAT) behavioral requirements for unicast
    UDP, RFC 4787, 2007.
    B. Ford, P. Srisuresh, D. Kegel, Peer-to-peer communication across network address translators,
    2005 (hole punching).
    M. Seemann, M. Inden, D. Vyzovitis, Decentralized hole punching, 2022 (DCUtR).
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.types import ArrayLike, Key

EIM, EDM = range(2)
"""Mapping: the same external port for all destinations (endpoint-independent), or one for each."""

EIF, ADF, APDF = range(3)
"""Filtering: packets of anyone pass, of addresses written to before, or of address and port."""

KINDS: dict[str, tuple[int, int]] = {
    "full_cone": (EIM, EIF),
    "restricted": (EIM, ADF),
    "port_restricted": (EIM, APDF),
    "symmetric": (EDM, APDF),
}
"""Usual names of NATs: mapping and filtering. The further kind ``"public"`` has no NAT."""

MIX: dict[str, float] = {"full_cone": 0.35, "port_restricted": 0.35, "symmetric": 0.3}
"""Shares of kinds by default: an assumption, with which 70 % of the pairs can punch holes."""

LEVELS = ("none", "upnp", "hole_punching", "relay")
"""Means of connecting, each with those before it: dialing public peers; ports that a NAT opened
at the peer's request (UPnP); hole punching; relayed traffic."""


class Peers(NamedTuple):
    """Properties of peers.

    Attributes:
        public: ``bool[N]``, no NAT.
        mapping: ``int32[N]``, :data:`EIM` or :data:`EDM`.
        filtering: ``int32[N]``, :data:`EIF`, :data:`ADF` or :data:`APDF`.
        upnp: ``bool[N]``, the NAT opens a port when asked.
        region: ``int32[N]``.
        bandwidth: ``float32[N]``, bytes per second.
    """

    public: jax.Array
    mapping: jax.Array
    filtering: jax.Array
    upnp: jax.Array
    region: jax.Array
    bandwidth: jax.Array


def peers(
    key: Key,
    count: int,
    *,
    nat: Mapping[str, float] | None = None,
    upnp: float = 0.0,
    regions: int | ArrayLike = 1,
    bandwidth: ArrayLike = 12.5e6,
) -> Peers:
    """Draw peers; each draws from a stream of its own.

    Args:
        key: consumed.
        count: ``N``, at least 1.
        nat: shares of :data:`KINDS` and ``"public"``, summing to 1; :data:`MIX` if omitted.
        upnp: share of peers behind a NAT that opens ports when asked.
        regions: number of regions, drawn uniformly, or ``int[N]``, that of each peer.
        bandwidth: bytes per second, above 0, a number or ``[N]``.

    Raises:
        ValueError: unknown kinds, shares that do not sum to 1, or numbers out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.network import transport
        >>> found = transport.peers(jax.random.key(0), 1000, upnp=0.2, regions=4)
        >>> round(float(found.upnp.mean()), 1), int(found.region.max())
        (0.2, 3)
    """
    n = checks.whole("count", count, 1)
    shares = dict(MIX if nat is None else nat)
    for name in shares:
        checks.choice("nat", name, ("public", *KINDS))
        checks.probability(f"nat[{name!r}]", shares[name])
    if not np.isclose(sum(shares.values()), 1.0, atol=1e-6):
        raise ValueError(f"nat: expected shares that sum to 1, got {sum(shares.values()):g}")
    checks.probability("upnp", upnp)
    kinds = [(name == "public", *KINDS.get(name, (EIM, EIF))) for name in shares]
    edges = np.cumsum([*shares.values()])[:-1]
    u = jax.vmap(lambda k: jax.random.uniform(k, (3,)))(agents.keys(checks.key(key), n))
    kind = jnp.searchsorted(jnp.asarray(edges, jnp.float32), u[:, 0], side="right")
    public, mapping, filtering = (jnp.asarray(x)[kind] for x in zip(*kinds, strict=True))
    if np.ndim(regions):
        region = jnp.asarray(checks.wholes("regions", regions, 0, shape=(n,)))
    else:
        number = checks.whole("regions", regions, 1)
        region = jnp.minimum((u[:, 1] * number).astype(jnp.int32), number - 1)
    checks.real("bandwidth", bandwidth, above=0.0, shape=(n,) if np.ndim(bandwidth) else ())
    speed = jnp.broadcast_to(jnp.asarray(bandwidth, jnp.float32), (n,))
    return Peers(
        public,
        mapping.astype(jnp.int32),
        filtering.astype(jnp.int32),
        (u[:, 2] < upnp) & ~public,
        region,
        speed,
    )


def connects(
    peers: Peers, first: ArrayLike, second: ArrayLike, level: str = "hole_punching"
) -> jax.Array:
    """Whether two peers get a direct connection, given the time they need.

    One side that others can dial suffices, since a connection carries both directions. In hole
    punching both send at the same time to the address that a relay saw of the other; it works if
    one of these packets passes the other's NAT:

    * the sender's port is that which the relay saw, unless its mapping is endpoint-dependent;
    * the receiver's NAT lets through what its filtering allows, having itself just sent to the
      address of the sender that the relay saw; with endpoint-dependent mapping, that was from
      another port, and only endpoint-independent filtering lets the packet through.

    Args:
        peers: of :func:`peers`.
        first: ``int[...]``, positions.
        second: like ``first``.
        level: name in :data:`LEVELS`; ``"relay"`` counts all pairs of different peers.

    Returns:
        ``bool[...]``; false for a peer and itself.

    Raises:
        ValueError: for what are no peers, positions out of range, or an unknown level.

    Example:
        >>> import jax
        >>> from jaxswarm.network import transport
        >>> found = transport.peers(jax.random.key(0), 2, nat={"symmetric": 1.0})
        >>> bool(transport.connects(found, 0, 1))  # neither knows the other's port
        False
    """
    checks.instance("peers", peers, Peers, "transport.peers(key, 8)")
    checks.choice("level", level, LEVELS)
    n = peers.mapping.shape[0]
    one, other = (
        jnp.asarray(checks.wholes(name, value, 0, n - 1))
        for name, value in (("first", first), ("second", second))
    )
    if one.shape != other.shape:
        raise ValueError(f"second: expected the shape {one.shape} of first, got {other.shape}")
    rank = LEVELS.index(level)
    dialed = peers.public | (peers.upnp if rank >= 1 else False)
    result = dialed[one] | dialed[other]
    if rank >= 2:
        result |= _passes(peers, one, other) | _passes(peers, other, one)
    if rank >= 3:
        result |= True
    return result & (one != other)


def _passes(peers: Peers, sender: jax.Array, receiver: jax.Array) -> jax.Array:
    """Whether the sender's packet of a simultaneous opening passes the receiver's NAT."""
    known_port = peers.public[sender] | (peers.mapping[sender] == EIM)
    allowed = jnp.where(known_port, APDF, ADF)  # the strictest filtering that it satisfies
    own_port = peers.mapping[receiver] == EIM
    filtering = peers.filtering[receiver]
    return peers.public[receiver] | (filtering == EIF) | (own_port & (filtering <= allowed))
