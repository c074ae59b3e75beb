"""Spectra of mixing matrices and graphs: how fast a network reaches consensus.

Everything here is traceable and ``vmap``s over batches. Concrete input is computed in float64 by
numpy instead, because a spectral gap of ``1e-6`` is lost in float32; the result is then a numpy
value. Dense matrices are used up to ``DENSE_LIMIT`` agents; beyond it, extreme eigenvalues are
computed without a matrix, in closed form for circulant graphs.

* mixing matrices: :func:`spectral_gap`, :func:`second_modulus`, :func:`second_eigenvalue`,
  :func:`contraction`
* graphs: :func:`laplacian`, :func:`algebraic_connectivity`, :func:`laplacian_extremes`,
  :func:`effective_resistance`, :func:`chi`, :func:`chi1`, :func:`chi2`

Shapes: ``N`` agents, ``E`` edge slots.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.checks import is_traced
from jaxswarm.topology import large
from jaxswarm.topology._laplacian import (
    DENSE_LIMIT,
    algebraic_connectivity,
    all_concrete,
    array_module,
    chi,
    chi1,
    chi2,
    dense_matrix,
    effective_resistance,
    laplacian,
    laplacian_extremes,
)
from jaxswarm.topology.graph import Topology
from jaxswarm.topology.validation import is_concrete, is_symmetric
from jaxswarm.topology.weights import STOCHASTICITY, dense, edge_weights

METHODS = ("auto", "dense", "circulant", "lanczos", "power")
OPERATOR_LIMIT = 1024
"""Number of agents up to which :func:`second_eigenvalue` uses the dense matrix of an operator."""

__all__ = [
    "DENSE_LIMIT",
    "METHODS",
    "algebraic_connectivity",
    "chi",
    "chi1",
    "chi2",
    "contraction",
    "effective_resistance",
    "laplacian",
    "laplacian_extremes",
    "second_eigenvalue",
    "second_modulus",
    "spectral_gap",
]


def spectral_gap(
    graph: Any, weights: Any = "metropolis", *, method: str = "auto", symmetric: bool | None = None
) -> Any:
    """Compute the spectral gap ``1 - |lambda_2|`` of a mixing matrix, in ``[0, 1]``.

    A gap of 1 means consensus in one round, 0 means never.

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
        symmetric: whether ``W`` is symmetric; found out for concrete input. Pass it for traced
            input: eigenvalues of general matrices exist on CPUs only.

    Example:
        >>> from jaxswarm import topology
        >>> round(float(spectral_gap(topology.ring(16))), 4)
        0.0507

    Raises:
        ValueError: on an unknown method, a non-square matrix or weights of another shape.
    """
    return 1.0 - second_modulus(graph, weights, method=method, symmetric=symmetric)


def second_modulus(
    graph: Any, weights: Any = "metropolis", *, method: str = "auto", symmetric: bool | None = None
) -> Any:
    """Compute ``|lambda_2|``, the second largest eigenvalue modulus of a mixing matrix.

    Arguments and errors as in :func:`spectral_gap`. A disconnected graph gives 1, a single agent 0.
    """
    checks.choice("method", method, METHODS)
    if symmetric is not None:
        checks.flag("symmetric", symmetric)
    if not isinstance(graph, Topology):
        return _dense_modulus(graph.dense() if hasattr(graph, "dense") else graph, symmetric)
    stochasticity = STOCHASTICITY.get(weights, "row") if isinstance(weights, str) else "row"
    kind = "column" if stochasticity == "column" else "row"
    values = edge_weights(graph, weights)
    single = all_concrete(graph, values) and not graph.is_sequence
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
        if all_concrete(graph, values):
            matrix: Any = dense_matrix(graph, np.asarray(values, float), 1.0, kind)
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


def second_eigenvalue(W: Any, *, iterations: int = 2000) -> jax.Array:
    """Compute ``|lambda_2|`` of a symmetric mixing operator without building a large matrix.

    Exact (:func:`second_modulus`) up to ``N = 1024``; beyond, power iteration with the operator,
    which approaches the value from below.

    Args:
        W: a single symmetric operator of :func:`jaxswarm.gossip.mixing`.
        iterations: of the power method.

    Returns:
        ``float32[]``.

    Example:
        >>> from jaxswarm import gossip, topology
        >>> round(float(second_eigenvalue(gossip.mixing(topology.ring(16)))), 4)
        0.9493

    Raises:
        ValueError: if this is no mixing operator, or ``iterations < 1``.
    """
    if not all(hasattr(W, name) for name in ("num_agents", "self_weights", "receive", "dense")):
        raise ValueError(
            "W: expected a mixing operator such as gossip.mixing(topology.ring(16)), got "
            f"{checks.shown(W)}"
        )
    iterations = checks.whole("iterations", iterations, 1)
    n = W.num_agents
    if n <= OPERATOR_LIMIT:
        return jnp.asarray(second_modulus(W, symmetric=True), jnp.float32)

    def mixed(vector: jax.Array) -> jax.Array:
        return W.self_weights * vector + W.receive(vector)

    def body(_: int, vector: jax.Array) -> jax.Array:
        vector = mixed(mixed(vector))
        vector = vector - jnp.mean(vector)
        return vector / jnp.linalg.norm(vector)

    start = jax.random.normal(jax.random.key(0), (n,))
    start = start - jnp.mean(start)
    vector = jax.lax.fori_loop(0, iterations, body, start / jnp.linalg.norm(start))
    return jnp.linalg.norm(mixed(vector) - jnp.mean(vector)) / jnp.linalg.norm(vector)


def contraction(matrix: Any) -> Any:
    """Compute ``||W - 11^T/N||_2`` of a doubly stochastic ``W [..., N, N]``: the worst-case round.

    Equals ``|lambda_2|`` for symmetric ``W``, and is never below it.

    Raises:
        ValueError: if this is no square matrix of finite numbers.
    """
    _require_square("matrix", matrix)
    if not is_traced(matrix):
        matrix = np.asarray(matrix, float)
    return array_module(matrix).linalg.norm(matrix - 1.0 / matrix.shape[-1], ord=2, axis=(-2, -1))


def _dense_modulus(matrix: Any, symmetric: bool | None) -> Any:
    shape = _require_square("graph", matrix)
    if shape[-1] == 1:
        return np.zeros(shape[:-2])[()]
    if not is_traced(matrix):
        matrix = np.asarray(matrix, float)
        if symmetric is None:
            symmetric = np.allclose(matrix, np.swapaxes(matrix, -1, -2), rtol=0, atol=1e-7)
    xp = array_module(matrix)
    values = xp.linalg.eigvalsh(matrix) if symmetric else xp.linalg.eigvals(matrix)
    return xp.sort(xp.abs(values), axis=-1)[..., -2]


def _require_square(name: str, matrix: Any) -> tuple[int, ...]:
    checks.real(name, matrix, shape=None)
    shape = np.shape(matrix)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: expected a square matrix [..., N, N], got shape {list(shape)}")
    return shape
