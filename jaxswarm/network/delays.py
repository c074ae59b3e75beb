"""Per-link message delays in rounds, for ``gossip.delayed_averaging``.

Shapes: ``E`` directed edge slots of the topology.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.network.links import link_uniforms
from jaxswarm.network.process import expect_single
from jaxswarm.topology import Topology
from jaxswarm.types import ArrayLike


def uniform_delays(
    key: jax.Array, topology: Topology, low: int, high: int, *, symmetric: bool = False
) -> np.ndarray:
    """Draw each link's delay uniformly from ``{low, …, high}`` rounds, ``int32[E]``.

    Args:
        key: consumed; every link draws from its own stream.
        topology: a single graph.
        low: smallest delay, at least 0.
        high: largest delay.
        symmetric: the same delay in both directions of an edge.

    Raises:
        ValueError: if not ``0 <= low <= high``, or for a sequence.

    Example:
        >>> import jax
        >>> from jaxswarm import topology
        >>> delays = uniform_delays(jax.random.key(0), topology.ring(4), 0, 2)
        >>> delays.shape, bool(delays.min() >= 0 and delays.max() <= 2)
        ((8,), True)
    """
    expect_single(topology, "uniform_delays")
    checks.concrete("topology", topology)
    low = checks.whole("low", low)
    high = checks.whole("high", high, low)
    checks.flag("symmetric", symmetric)
    checks.concrete("key", key)
    u = link_uniforms(key, topology, symmetric=symmetric)
    steps = np.asarray(
        jnp.floor(u * float(high - low + 1)), np.int64
    )  # rounded: may be one too many
    # A product rounded up would be one step too many.
    return np.minimum(low + steps, high).astype(np.int32)


def geometric_delays(
    key: jax.Array, topology: Topology, mean: float, maximum: int, *, symmetric: bool = False
) -> np.ndarray:
    """Draw each link's delay from a geometric distribution, ``int32[E]``, clipped at ``maximum``.

    Args:
        key: consumed; every link draws from its own stream.
        topology: a single graph.
        mean: of the distribution on ``{0, 1, …}`` before clipping, at least 0.
        maximum: the longest delay, at least 0; receivers keep a history of this length.
        symmetric: the same delay in both directions of an edge.

    Raises:
        ValueError: if ``mean`` or ``maximum`` is negative, or for a sequence.
    """
    expect_single(topology, "geometric_delays")
    checks.concrete("topology", topology)
    mean = float(checks.real("mean", checks.concrete("mean", mean), 0.0, checks.LARGEST))
    maximum = checks.whole("maximum", maximum)
    checks.flag("symmetric", symmetric)
    checks.concrete("key", key)
    u = np.asarray(link_uniforms(key, topology, symmetric=symmetric), np.float64)
    if mean == 0:
        return np.zeros(len(u), np.int32)
    delay = np.floor(np.log1p(-u) / np.log(mean / (1.0 + mean)))
    return np.minimum(delay, maximum).astype(np.int32)


def distance_delays(topology: Topology, positions: ArrayLike, speed: float) -> np.ndarray:
    """Delays ``⌊distance / speed⌋`` of links between agents at ``positions [N, d]``, ``int32[E]``.

    Args:
        topology: a single graph.
        positions: ``[N, d]``, finite.
        speed: distance per round, positive.

    Raises:
        ValueError: positions not ``[N, d]`` or not finite, ``speed <= 0``, or a sequence.
    """
    expect_single(topology, "distance_delays")
    checks.concrete("topology", topology)
    checks.concrete("positions", positions)
    checks.real("positions", positions, shape=(topology.num_agents, None))
    checks.real("speed", checks.concrete("speed", speed), above=0.0)
    where = np.asarray(positions, np.float64)
    hops = where[np.asarray(topology.senders)] - where[np.asarray(topology.receivers)]
    with np.errstate(over="ignore"):
        delays = np.floor(np.linalg.norm(hops, axis=1) / speed)
    if not (delays <= checks.LARGEST).all():
        raise ValueError(
            f"speed: expected delays of at most {checks.LARGEST} rounds, got {delays.max():g}"
        )
    return delays.astype(np.int32)
