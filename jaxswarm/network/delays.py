"""How many rounds late each link delivers: data for ``gossip.delayed_averaging``.

Shapes: ``E`` directed edge slots of the topology.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.network.links import link_uniforms
from jaxswarm.network.process import expect_single
from jaxswarm.topology import Topology


def uniform_delays(
    key: jax.Array, topology: Topology, low: int, high: int, *, symmetric: bool = False
) -> np.ndarray:
    """``int32[E]``: each link's delay, uniform in ``{low, …, high}`` rounds.

    Raises:
        ValueError: if not ``0 <= low <= high``, or for a sequence.
    """
    expect_single(topology, "uniform_delays")
    if not 0 <= low <= high:
        raise ValueError(f"low: expected 0 <= low <= high, got low={low}, high={high}")
    lots = link_uniforms(key, topology, symmetric=symmetric)
    return np.asarray(low + jnp.floor(lots * (high - low + 1)), np.int32)


def geometric_delays(
    key: jax.Array, topology: Topology, mean: float, maximum: int, *, symmetric: bool = False
) -> np.ndarray:
    """``int32[E]``: each link's delay, geometric on ``{0, 1, …}``, cut off at ``maximum``.

    Args:
        key: consumed; every link draws from its own stream.
        topology: a single graph.
        mean: of the distribution before the cut, at least 0.
        maximum: the longest delay, at least 0: what the receivers must remember.
        symmetric: the same delay both ways.

    Raises:
        ValueError: if ``mean`` or ``maximum`` is negative, or for a sequence.
    """
    expect_single(topology, "geometric_delays")
    if not mean >= 0 or maximum < 0:
        raise ValueError(f"mean: expected mean, maximum >= 0, got {mean} and {maximum}")
    lots = np.asarray(link_uniforms(key, topology, symmetric=symmetric), np.float64)
    if mean == 0:
        return np.zeros(len(lots), np.int32)
    delay = np.floor(np.log1p(-lots) / np.log(mean / (1.0 + mean)))
    return np.minimum(delay, maximum).astype(np.int32)


def distance_delays(topology: Topology, positions: Any, speed: float) -> np.ndarray:
    """``int32[E]``: ``⌊distance / speed⌋`` rounds between agents at ``positions [N, d]``.

    Raises:
        ValueError: positions not ``[N, d]`` or not finite, ``speed <= 0``, or a sequence.
    """
    expect_single(topology, "distance_delays")
    where = np.asarray(positions, np.float64)
    if where.ndim != 2 or len(where) != topology.num_agents or not np.isfinite(where).all():
        raise ValueError(
            f"positions: expected finite [{topology.num_agents}, d], got shape {where.shape}"
        )
    if not speed > 0:
        raise ValueError(f"speed: expected a positive distance per round, got {speed}")
    hops = where[np.asarray(topology.senders)] - where[np.asarray(topology.receivers)]
    return np.floor(np.linalg.norm(hops, axis=1) / speed).astype(np.int32)
