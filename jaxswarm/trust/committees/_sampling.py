"""Drawing committees without replacement, and the law of what they detect.

Shapes: ``N`` nodes, ``k`` members of a committee, ``R`` requests.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key

TIES = ("refuse", "accept")
"""What half of an even committee is worth: no majority, or one."""


def needed_members(size: int, tie: str | None = None) -> int:
    """Number of members within the tolerance, oneself included, that make a consensus.

    Args:
        size: ``k``, members of the committee.
        tie: for an even ``k``, one of :data:`TIES`: whether half of the members is a majority.

    Raises:
        ValueError: for an even size without a rule for ties, or an unknown rule.

    Example:
        >>> needed_members(5), needed_members(4, "refuse"), needed_members(4, "accept")
        (3, 3, 2)
    """
    size = checks.whole("size", size, 1)
    if tie is not None:
        checks.choice("tie", tie, TIES)
    if size % 2 == 0 and tie is None:
        raise ValueError(f"size: expected an odd number or a rule for ties {TIES}, got {size}")
    return size // 2 if size % 2 == 0 and tie == "accept" else size // 2 + 1


def draw_committee(
    beacon: bytes, request: bytes, num_nodes: int, size: int, *, tie: str | None = None
) -> np.ndarray:
    """Draw the committee of one request from SHA-256 of a public random beacon.

    The nodes with the smallest ``SHA-256(beacon, request, node)`` are members, which anyone can
    check. This is public sortition and not a verifiable random function: nodes have no secret keys,
    so members are known as soon as the beacon is. The beacon must be fixed after the request.

    Args:
        beacon: random bytes that no node chose.
        request: identifies the request, such as its hash.
        num_nodes: ``N``.
        size: ``k <= N``, members; odd, or with a rule for ties.
        tie: see :func:`needed_members`.

    Returns:
        ``int[k]``, distinct nodes, smallest ticket first.

    Raises:
        ValueError: for ``k > N``, an even ``k`` without a rule, or what is not ``bytes``.

    Example:
        >>> draw_committee(b"beacon of block 7", b"request 1", 1000, 3).tolist()
        [206, 11, 280]
    """
    for name, value in (("beacon", beacon), ("request", request)):
        checks.instance(name, value, bytes, 'b"block 7"')
    num_nodes, size = _sizes(num_nodes, size, tie)
    start = hashlib.sha256(len(beacon).to_bytes(8, "big") + beacon + request)
    tickets = []
    for node in range(num_nodes):
        ticket = start.copy()
        ticket.update(node.to_bytes(8, "big"))
        tickets.append((ticket.digest(), node))
    return np.array([node for _, node in sorted(tickets)[:size]])


def draw_committees(
    key: Key, num_committees: int, num_nodes: int, size: int, *, tie: str | None = None
) -> jax.Array:
    """Draw many committees uniformly without replacement; runs inside ``jit``.

    The simulated counterpart of :func:`draw_committee`, in ``O(size²)`` whatever ``num_nodes``.

    Args:
        key: of the draw.
        num_committees: ``R``.
        num_nodes: ``N``.
        size: ``k <= N``, members; odd, or with a rule for ties.
        tie: see :func:`needed_members`.

    Returns:
        ``int32[R, k]``, distinct nodes in each row.

    Raises:
        ValueError: for ``k > N`` or an even ``k`` without a rule.
    """
    checks.key(key)
    num_committees = checks.whole("num_committees", num_committees, 1)
    num_nodes, size = _sizes(num_nodes, size, tie)
    # Fisher and Yates' shuffle up to position size, of an array of which only swaps are kept.
    members: list[jax.Array] = []
    swaps: list[tuple[jax.Array, jax.Array]] = []

    def entry(place: ArrayLike) -> jax.Array:
        found = jnp.broadcast_to(jnp.asarray(place, jnp.int32), (num_committees,))
        for position, value in swaps:
            found = jnp.where(position == place, value, found)
        return found

    lows = jnp.arange(size)[None]
    places = jax.random.randint(key, (num_committees, size), lows, num_nodes, jnp.int32)
    for step in range(size):
        members.append(entry(places[:, step]))
        swaps.append((places[:, step], entry(step)))
    return jnp.stack(members, axis=1)


def detection_probability(
    num_nodes: int, num_byzantine: int, size: int, *, tie: str | None = None
) -> float:
    """Probability that a coalition's common wrong output does not become the consensus.

    Byzantine nodes all give the same wrong output and honest nodes agree; the wrong output wins
    where the coalition has the needed members of a committee drawn without replacement, so
    detection is the distribution function of the hypergeometric law.

    Args:
        num_nodes: ``N``.
        num_byzantine: nodes of the coalition, at most ``N``.
        size: ``k <= N``, members.
        tie: see :func:`needed_members`.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> round(detection_probability(1000, 300, 5), 3)
        0.837
    """
    from scipy import stats

    num_nodes, size = _sizes(num_nodes, size, tie)
    num_byzantine = checks.whole("num_byzantine", num_byzantine, 0, num_nodes)
    needed = needed_members(size, tie)
    return float(stats.hypergeom.cdf(needed - 1, num_nodes, num_byzantine, size))


def _sizes(num_nodes: int, size: int, tie: str | None) -> tuple[int, int]:
    num_nodes = checks.whole("num_nodes", num_nodes, 1)
    size = checks.whole("size", size, 1, num_nodes)
    needed_members(size, tie)
    return num_nodes, size
