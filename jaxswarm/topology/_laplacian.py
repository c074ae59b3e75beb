"""Graph Laplacians, effective resistances and the constants ``chi1``, ``chi2`` of edge rates.

Shapes: ``N`` agents, ``E`` edge slots. ``rates`` are edge weights ``[..., E]`` of the Laplacian,
equal for the two directions of an edge. Everything is traceable; concrete input is computed in
float64 by numpy.

References:
    Fiedler, Algebraic connectivity of graphs, 1973. Klein, Randić, Resistance distance, 1993.
    Nabli, Oyallon, DADAO: Decoupled accelerated decentralized asynchronous optimization, 2023.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.topology import large
from jaxswarm.topology.graph import Topology, per_member
from jaxswarm.topology.validation import (
    is_concrete,
    is_traced,
    require_connected,
    require_symmetric,
    require_topology,
)

DENSE_LIMIT = 1500
"""Number of agents up to which eigenvalues are computed from a dense matrix."""


def laplacian(topology: Topology, rates: Any = None) -> Any:
    """Compute the graph Laplacian ``D - A`` (in-degrees), or that of edge weights ``rates``.

    The result is ``[..., N, N]``.

    An undirected edge counts once: ``x^T L x = sum over edges of rate * (x_i - x_j)^2``.
    """
    require_topology(topology)
    rates = np.ones(topology.mask.shape) if rates is None else _checked_rates(topology, rates)
    if all_concrete(topology, rates):
        return dense_matrix(topology, -np.asarray(rates, float), 0.0, "row")

    def single(member: Topology, rates: jax.Array) -> jax.Array:
        values = jnp.where(member.mask, rates, 0.0)
        empty = jnp.zeros((member.num_agents, member.num_agents), values.dtype)
        matrix = empty.at[member.receivers, member.senders].add(-values)
        return matrix.at[member.receivers, member.receivers].add(values)

    return per_member(single, topology, jnp.asarray(rates, jnp.result_type(float)))


def algebraic_connectivity(topology: Topology, rates: Any = None) -> Any:
    """Compute ``lambda_2`` of the Laplacian; it is positive just when the graph is connected.

    Raises:
        ValueError: on a directed graph; on a single agent, which has no second eigenvalue.
    """
    return laplacian_extremes(topology, rates)[0]


def laplacian_extremes(topology: Topology, rates: Any = None) -> tuple[Any, Any]:
    """Compute ``(lambda_2, lambda_max)`` of the Laplacian of an undirected graph.

    Raises:
        ValueError: on a directed graph or a single agent.
    """
    require_topology(topology)
    if topology.num_agents < 2:
        raise ValueError(f"{topology.name}: expected at least 2 agents, got 1")
    if is_concrete(topology):
        require_symmetric(topology, "the Laplacian's spectrum")
    if rates is not None:
        _checked_rates(topology, rates)
    is_large = topology.num_agents > DENSE_LIMIT and not topology.is_sequence
    if is_large and all_concrete(topology, rates):
        return large.laplacian_extremes(topology, rates)
    matrix = laplacian(topology, rates)
    values = array_module(matrix).linalg.eigvalsh(matrix)
    return values[..., 1], values[..., -1]


def effective_resistance(topology: Topology, rates: Any = None) -> Any:
    """Compute the effective resistance ``[..., N, N]`` between agents; rates are conductances.

    Raises:
        ValueError: on a directed or disconnected graph (inside ``jit``: infinite or NaN entries).
    """
    _require_network(topology)
    inverse = _pseudo_inverse(laplacian(topology, rates))
    diagonal = inverse.diagonal(axis1=-2, axis2=-1)
    return diagonal[..., :, None] + diagonal[..., None, :] - 2.0 * inverse


def chi1(topology: Topology, rates: Any = None) -> Any:
    """Compute ``1 / lambda_2(Λ)``, the inverse connectivity per unit of time (see :func:`chi`)."""
    _require_network(topology)
    return 1.0 / laplacian_extremes(topology, _rates(topology, rates))[0]


def chi2(topology: Topology, rates: Any = None) -> Any:
    """Compute half the largest effective resistance of an edge (see :func:`chi`); ``<= chi1``."""
    resistance = effective_resistance(topology, _rates(topology, rates))
    xp = array_module(resistance)
    n = topology.num_agents
    slots = xp.asarray(topology.receivers) * n + xp.asarray(topology.senders)
    flat = resistance.reshape(*resistance.shape[:-2], n * n)
    across = xp.take_along_axis(flat, slots, axis=-1)
    return xp.where(xp.asarray(topology.mask), across, 0.0).max(axis=-1) / 2.0


def chi(topology: Topology, rates: Any = None) -> tuple[Any, Any]:
    """Compute ``(chi1, chi2)``, the constants of asynchronous gossip on a graph (DADAO).

    With ``Λ = sum over edges ij of rate_ij (e_i - e_j)(e_i - e_j)^T``, ``chi1 = 1 / lambda_2(Λ)``
    and ``chi2 = max over edges of (e_i - e_j)^T Λ⁺ (e_i - e_j) / 2``. DADAO needs about
    ``sqrt(chi1 * chi2)`` communications where a synchronous method needs more.

    Args:
        topology: undirected and connected, at least 2 agents.
        rates: ``[..., E]`` events per unit of time on each undirected edge, repeated on both of its
            slots; ``1 / |E|`` each (undirected edges counted once) by default.

    Raises:
        ValueError: on a directed or disconnected graph, or a single agent.
    """
    return chi1(topology, rates), chi2(topology, rates)


def dense_matrix(topology: Topology, values: np.ndarray, total: float, kind: str) -> np.ndarray:
    """Build ``float64[..., N, N]`` from edge values; rows (columns) sum to ``total``."""
    n = topology.num_agents
    leading = topology.mask.shape[:-1]
    matrices = np.zeros((int(np.prod(leading)), n, n))
    slots = np.asarray(topology.mask).reshape(len(matrices), -1)
    for matrix, real, senders, receivers, entries in zip(
        matrices,
        slots,
        np.asarray(topology.senders).reshape(slots.shape),
        np.asarray(topology.receivers).reshape(slots.shape),
        values.reshape(slots.shape),
        strict=True,
    ):
        matrix[receivers[real], senders[real]] = entries[real]
        np.fill_diagonal(matrix, total - matrix.sum(axis=1 if kind == "row" else 0))
    return matrices.reshape(*leading, n, n)


def all_concrete(topology: Topology, values: Any) -> bool:
    """Return whether both a topology and values of its edges are concrete."""
    return is_concrete(topology) and not is_traced(values)


def array_module(value: Any) -> Any:
    """Return ``jax.numpy`` for a traced value, ``numpy`` for a concrete one."""
    return jnp if is_traced(value) else np


def _pseudo_inverse(matrix: Any) -> Any:
    n = matrix.shape[-1]  # of a connected graph's Laplacian, whose kernel is the constants
    return array_module(matrix).linalg.inv(matrix + 1.0 / n) - 1.0 / n


def _rates(topology: Topology, rates: Any) -> Any:
    require_topology(topology)
    if rates is not None:
        checks.real("rates", _checked_rates(topology, rates), 0.0, shape=None)
        return rates
    xp = array_module(topology.mask)
    mask = xp.asarray(topology.mask)
    edges = xp.maximum(mask.sum(axis=-1, keepdims=True) / 2.0, 1.0)
    return mask / edges


def _checked_rates(topology: Topology, rates: Any) -> Any:
    checks.real("rates", rates, shape=None)
    if np.shape(rates) != topology.mask.shape:
        expected = list(topology.mask.shape)
        raise ValueError(f"rates: expected shape {expected}, got {list(np.shape(rates))}")
    return rates


def _require_network(topology: Topology) -> None:
    require_topology(topology)
    if topology.num_agents < 2:
        raise ValueError(f"{topology.name}: expected at least 2 agents, got 1")
    if is_concrete(topology):
        require_symmetric(topology, "resistance")
        for t in range(topology.length if topology.is_sequence else 1):
            require_connected(topology[t] if topology.is_sequence else topology)
