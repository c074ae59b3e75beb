"""Optimal edge rates for asynchronous gossip: minimise the communications needed for consensus.

Shapes: ``N`` agents, ``E`` edge slots, ``K = E/2`` undirected edges.

References:
    A. Nabli, E. Oyallon, DADAO: Decoupled accelerated decentralized asynchronous optimization,
    2023. S. Boyd, P. Diaconis, L. Xiao, Fastest mixing Markov chain on a graph, 2004. A. Ghosh,
    S. Boyd, A. Saberi, Minimizing effective resistance of a graph, 2008. A. Beck, M. Teboulle,
    Mirror descent and nonlinear projected subgradient methods for convex optimization, 2003.
"""

from typing import Literal, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.topology.graph import Topology
from jaxswarm.topology.validation import require_connected, require_symmetric, require_topology

OBJECTIVES = ("product", "chi1", "chi2")


class OptimalRates(NamedTuple):
    """Edge rates and the graph constants that they reach.

    Attributes:
        rates: ``float64[E]``, equal on both slots of an edge, summing to 1 over undirected edges.
        chi1: ``χ₁`` at these rates.
        chi2: ``χ₂`` at these rates.
        uniform: ``(χ₁, χ₂)`` at equal rates.
    """

    rates: np.ndarray
    chi1: float
    chi2: float
    uniform: tuple[float, float]


def optimal_rates(
    topology: Topology,
    *,
    objective: Literal["product", "chi1", "chi2"] = "product",
    iterations: int = 3000,
) -> OptimalRates:
    """Optimise edge rates of total 1: minimise ``χ₁ χ₂``, whose root DADAO's communications follow.

    ``log λ₂`` is concave in the rates and so is ``log`` of a conductance, the inverse of an
    effective resistance; ``log(χ₁ χ₂)`` is therefore convex, and this problem needs no relaxation.
    It is solved by entropic mirror descent (the projected subgradient method of the simplex), on
    soft minima and maxima that harden as it goes; the best rates seen are returned. Each iteration
    costs an eigendecomposition, ``O(N³ + K² N)``.

    Args:
        topology: a single undirected connected graph, ``N >= 2``.
        objective: ``"chi1"`` maximises the algebraic connectivity instead (the semidefinite
            programme of fastest mixing), ``"chi2"`` minimises the largest resistance of an edge.
        iterations: of mirror descent.

    Raises:
        ValueError: on a directed or disconnected graph, a sequence, a single agent, an unknown
            objective or ``iterations < 1``.
    """
    require_topology(topology)
    checks.concrete("topology", topology)
    checks.choice("objective", objective, OBJECTIVES)
    iterations = checks.whole("iterations", iterations, 1)
    if topology.is_sequence:
        raise ValueError(f"{topology.name}: expected a single topology, got a sequence")
    if topology.num_agents < 2:
        raise ValueError(f"{topology.name}: expected at least 2 agents, got 1")
    require_symmetric(topology, "optimal edge rates")
    require_connected(topology)
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    real = np.asarray(topology.mask)
    n = topology.num_agents
    code = np.minimum(senders, receivers).astype(np.int64) * n + np.maximum(senders, receivers)
    edges, edge_of_slot = np.unique(np.where(real, code, code[real][0]), return_inverse=True)
    ends = np.stack([edges // n, edges % n], axis=1)
    count = len(edges)
    share = np.full(count, 1.0 / count)
    use = (objective != "chi2", objective != "chi1")
    best_value, best = np.inf, share
    uniform = (np.nan, np.nan)
    for step in range(iterations):
        progress = step / iterations
        hardness = 30.0 * (1e4 / 30.0) ** progress
        found, gradient = _evaluate(share, ends, n, hardness, use)
        if step == 0:
            uniform = found
        value = sum(np.log(v) for v, used in zip(found, use, strict=True) if used)
        if value < best_value:
            best_value, best = value, share
        gradient = gradient - share @ gradient
        size = np.abs(gradient).max()
        if size < 1e-12:
            break
        rate = 0.3 / (1.0 + 1000.0 * progress**2)
        share = share * np.exp(-rate * gradient / size)
        share = np.maximum(share / share.sum(), 1e-12)
        share /= share.sum()
    chis, _ = _evaluate(best, ends, n, 1e6, use)
    return OptimalRates(np.where(real, best[edge_of_slot], 0.0), *chis, uniform)


def _evaluate(
    share: np.ndarray, ends: np.ndarray, n: int, hardness: float, use: tuple[bool, bool]
) -> tuple[tuple[float, float], np.ndarray]:
    """``((χ₁, χ₂), ∂ log objective / ∂ share [K])``, the gradient of the softened objective."""
    laplacian = np.zeros((n, n))
    i, j = ends[:, 0], ends[:, 1]
    np.add.at(laplacian, (i, j), -share)
    np.add.at(laplacian, (j, i), -share)
    np.add.at(laplacian, (i, i), share)
    np.add.at(laplacian, (j, j), share)
    values, vectors = np.linalg.eigh(laplacian)
    values, vectors = np.maximum(values[1:], 1e-300), vectors[:, 1:]  # the constants are left out
    across = vectors[i] - vectors[j]  # [K, N-1]: each mode's difference along each edge
    gradient = np.zeros(len(share))
    if use[0]:
        weights = np.exp(-hardness * (np.log(values) - np.log(values[0])))
        weights /= weights.sum()
        gradient -= across**2 @ (weights / values)
    between = (across / values) @ across.T  # (e_i - e_j)ᵀ Λ⁺ (e_k - e_l) for all pairs of edges
    resistance = between.diagonal()
    if use[1]:
        weights = np.exp(hardness * (np.log(resistance) - np.log(resistance.max())))
        weights /= weights.sum()
        gradient -= (weights / resistance) @ between**2
    return (float(1.0 / values[0]), float(resistance.max() / 2.0)), gradient
