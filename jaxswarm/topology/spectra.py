"""Spectra of graphs and mixing matrices: how fast a network can agree.

Everything here is traceable and ``vmap``s over batches. Concrete input is computed in float64 by
numpy instead, because a spectral gap of ``1e-6`` is lost in float32; the result is then a numpy
value. Dense matrices are used up to ``DENSE_LIMIT`` agents; beyond it, extreme eigenvalues are
found matrix-free, in closed form for circulant graphs.

Shapes: ``N`` agents, ``E`` edge slots. ``rates`` are edge weights ``[..., E]`` of the Laplacian,
equal for the two directions of an edge.

References:
    Fiedler, Algebraic connectivity of graphs, 1973. Klein, Randić, Resistance distance, 1993.
    Nabli, Oyallon, DADAO: Decoupled accelerated decentralized asynchronous optimization, 2023.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.errors import unknown
from jaxswarm.topology.graph import Topology, per_member
from jaxswarm.topology.validation import (
    is_concrete,
    is_symmetric,
    is_traced,
    require_connected,
    require_symmetric,
)

DENSE_LIMIT = 1500  # agents up to which eigenvalues come from a dense matrix
METHODS = ("auto", "dense", "circulant", "lanczos", "power")


def laplacian(topology: Topology, rates: Any = None) -> Any:
    """Graph Laplacian ``D - A`` (in-degrees), or with edge weights ``rates``, ``[..., N, N]``.

    An undirected edge counts once: ``x^T L x = sum over edges of rate * (x_i - x_j)^2``.
    """
    rates = np.ones(topology.mask.shape) if rates is None else rates
    if _concrete(topology, rates):
        return _dense_numpy(topology, -np.asarray(rates, float), 0.0, "row")

    def single(member: Topology, rates: jax.Array) -> jax.Array:
        values = jnp.where(member.mask, rates, 0.0)
        empty = jnp.zeros((member.num_agents, member.num_agents), values.dtype)
        matrix = empty.at[member.receivers, member.senders].add(-values)
        return matrix.at[member.receivers, member.receivers].add(values)

    return per_member(single, topology, jnp.asarray(rates, jnp.result_type(float)))


def algebraic_connectivity(topology: Topology, rates: Any = None) -> Any:
    """``lambda_2`` of the Laplacian of an undirected graph, positive just when it is connected.

    Raises:
        ValueError: on a directed graph; on a single agent, which has no second eigenvalue.
    """
    return laplacian_extremes(topology, rates)[0]


def laplacian_extremes(topology: Topology, rates: Any = None) -> tuple[Any, Any]:
    """``(lambda_2, lambda_max)`` of the Laplacian of an undirected graph.

    Raises:
        ValueError: on a directed graph or a single agent.
    """
    if topology.num_agents < 2:
        raise ValueError(f"{topology.name}: expected at least 2 agents, got 1")
    if is_concrete(topology):
        require_symmetric(topology, "the Laplacian's spectrum")
    large = topology.num_agents > DENSE_LIMIT and not topology.is_sequence
    if large and _concrete(topology, rates):
        from jaxswarm.topology.large import laplacian_extremes as matrix_free

        return matrix_free(topology, rates)
    matrix = laplacian(topology, rates)
    values = _numpy_of(matrix).linalg.eigvalsh(matrix)
    return values[..., 1], values[..., -1]


def effective_resistance(topology: Topology, rates: Any = None) -> Any:
    """``[..., N, N]``: resistance between any two agents if each edge is a conductor of its rate.

    Raises:
        ValueError: on a directed or disconnected graph (inside ``jit``: infinite or NaN entries).
    """
    _require_network(topology)
    inverse = _pseudo_inverse(laplacian(topology, rates))
    diagonal = inverse.diagonal(axis1=-2, axis2=-1)
    return diagonal[..., :, None] + diagonal[..., None, :] - 2.0 * inverse


def chi1(topology: Topology, rates: Any = None) -> Any:
    """``1 / lambda_2(Λ)``, the inverse of the connectivity per unit of time (see :func:`chi`)."""
    _require_network(topology)
    return 1.0 / laplacian_extremes(topology, _rates(topology, rates))[0]


def chi2(topology: Topology, rates: Any = None) -> Any:
    """Half the largest effective resistance across an edge (see :func:`chi`), at most ``chi1``."""
    resistance = effective_resistance(topology, _rates(topology, rates))
    xp = _numpy_of(resistance)
    n = topology.num_agents
    slots = xp.asarray(topology.receivers) * n + xp.asarray(topology.senders)
    flat = resistance.reshape(*resistance.shape[:-2], n * n)
    across = xp.take_along_axis(flat, slots, axis=-1)
    return xp.where(xp.asarray(topology.mask), across, 0.0).max(axis=-1) / 2.0


def chi(topology: Topology, rates: Any = None) -> tuple[Any, Any]:
    """``(chi1, chi2)``: what asynchronous gossip on this graph costs, as DADAO uses them.

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


def spectral_gap(
    graph: Any, weights: Any = "metropolis", *, method: str = "auto", symmetric: bool | None = None
) -> Any:
    """``1 - |lambda_2|`` of a mixing matrix: 1 agrees at once, 0 never.

    Args:
        graph: a :class:`Topology`, a dense matrix ``[..., N, N]``, or anything with ``.dense()``.
        weights: for a topology: a scheme of :mod:`~jaxswarm.topology.weights` or edge weights
            ``[..., E]``.
        method: for a topology. ``"dense"``: all eigenvalues, traceable. ``"circulant"``: closed
            form, for concrete circulant graphs. ``"lanczos"``: matrix-free on the host, concrete
            input.
            ``"power"``: matrix-free power iteration, traceable; it overestimates the gap a little
            when not converged. ``"auto"`` takes the cheapest that is exact, and ``"power"`` for
            large graphs that are traced.
        symmetric: whether ``W`` is; read off concrete input. Say so for traced input: eigenvalues
            of general matrices exist on CPUs only.

    Raises:
        ValueError: on an unknown method, a non-square matrix or weights of another shape.
    """
    return 1.0 - second_modulus(graph, weights, method=method, symmetric=symmetric)


def second_modulus(
    graph: Any, weights: Any = "metropolis", *, method: str = "auto", symmetric: bool | None = None
) -> Any:
    """``|lambda_2|``, the second largest eigenvalue modulus of a mixing matrix.

    Arguments and errors as in :func:`spectral_gap`. A disconnected graph gives 1, a single agent 0.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if not isinstance(graph, Topology):
        return _dense_modulus(graph.dense() if hasattr(graph, "dense") else graph, symmetric)
    from jaxswarm.topology import large
    from jaxswarm.topology.weights import STOCHASTICITY, dense, edge_weights

    stochasticity = STOCHASTICITY.get(weights, "row") if isinstance(weights, str) else "row"
    kind = "column" if stochasticity == "column" else "row"
    values = edge_weights(graph, weights)
    single = _concrete(graph, values) and not graph.is_sequence
    if method == "auto":
        if graph.num_agents <= DENSE_LIMIT:
            method = "dense"
        elif single:
            method = "lanczos" if large.hop_weights(graph, values) is None else "circulant"
        else:
            method = "power"
    if method == "power":
        return large.power_modulus(graph, values, kind)
    if method == "dense":
        if _concrete(graph, values):
            matrix: Any = _dense_numpy(graph, np.asarray(values, float), 1.0, kind)
        else:
            matrix = dense(graph, values, stochastic=kind)
            if symmetric is None and is_concrete(graph) and stochasticity == "doubly":
                symmetric = is_symmetric(graph)
        return _dense_modulus(matrix, symmetric)
    if not single:
        raise ValueError(
            f"method: {method!r} expects one concrete topology, got a batch or traced arrays"
        )
    if method == "circulant":
        return large.circulant_modulus(graph, values)
    return large.lanczos_modulus(graph, values, kind)


def contraction(matrix: Any) -> Any:
    """``||W - 11^T/N||_2`` of a doubly stochastic ``W [..., N, N]``, the worst case of one round.

    Equals ``|lambda_2|`` for symmetric ``W``, and is never below it.
    """
    if not is_traced(matrix):
        matrix = np.asarray(matrix, float)
    return _numpy_of(matrix).linalg.norm(matrix - 1.0 / matrix.shape[-1], ord=2, axis=(-2, -1))


def _dense_modulus(matrix: Any, symmetric: bool | None) -> Any:
    shape = np.shape(matrix)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"graph: expected a square matrix [..., N, N], got shape {list(shape)}")
    if shape[-1] == 1:
        return np.zeros(shape[:-2])[()]
    if not is_traced(matrix):
        matrix = np.asarray(matrix, float)
        if symmetric is None:
            symmetric = np.allclose(matrix, np.swapaxes(matrix, -1, -2), rtol=0, atol=1e-7)
    xp = _numpy_of(matrix)
    values = xp.linalg.eigvalsh(matrix) if symmetric else xp.linalg.eigvals(matrix)
    return xp.sort(xp.abs(values), axis=-1)[..., -2]


def _pseudo_inverse(matrix: Any) -> Any:
    n = matrix.shape[-1]  # of a connected graph's Laplacian, whose kernel is the constants
    return _numpy_of(matrix).linalg.inv(matrix + 1.0 / n) - 1.0 / n


def _dense_numpy(topology: Topology, values: np.ndarray, total: float, kind: str) -> np.ndarray:
    """``float64[..., N, N]``: ``values`` off the diagonal, rows (columns) summing to ``total``."""
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


def _rates(topology: Topology, rates: Any) -> Any:
    if rates is not None:
        if np.shape(rates) != topology.mask.shape:
            expected = list(topology.mask.shape)
            raise ValueError(f"rates: expected shape {expected}, got {list(np.shape(rates))}")
        if not is_traced(rates) and not np.all(np.asarray(rates) >= 0):
            raise ValueError("rates: expected non-negative numbers")
        return rates
    xp = _numpy_of(topology.mask)
    mask = xp.asarray(topology.mask)
    edges = xp.maximum(mask.sum(axis=-1, keepdims=True) / 2.0, 1.0)
    return mask / edges


def _require_network(topology: Topology) -> None:
    if topology.num_agents < 2:
        raise ValueError(f"{topology.name}: expected at least 2 agents, got 1")
    if is_concrete(topology):
        require_symmetric(topology, "resistance")
        for t in range(topology.length if topology.is_sequence else 1):
            require_connected(topology[t] if topology.is_sequence else topology)


def _concrete(topology: Topology, values: Any) -> bool:
    return is_concrete(topology) and not is_traced(values)


def _numpy_of(value: Any) -> Any:
    return jnp if is_traced(value) else np
