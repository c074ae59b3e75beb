"""Extreme eigenvalues of large graphs without dense matrices.

Closed form for circulant graphs, Lanczos and Arnoldi (ARPACK), power iteration; used by
:mod:`jaxswarm.topology.spectra`.

References:
    Davis, Circulant Matrices, 1979. Lehoucq, Sorensen, Yang, ARPACK Users' Guide, 1998.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.topology.graph import Topology, per_member


def hop_weights(topology: Topology, weights: Any) -> np.ndarray | None:
    """Weight ``[K]`` of each hop of a circulant graph, or ``None`` if agents differ in them."""
    if topology.offsets is None or topology.is_sequence:
        return None
    n = topology.num_agents
    hops = (np.asarray(topology.senders, np.int64) - np.asarray(topology.receivers)) % n
    values = np.asarray(weights, float)
    lookup = np.zeros(n)
    lookup[hops] = values  # whichever edge comes last; compared with all of them below
    same = np.array_equal(lookup[hops], values)
    return lookup[np.array(topology.offsets, np.int64) % n] if same else None


def circulant_modulus(topology: Topology, weights: Any) -> float:
    """``|lambda_2|`` of a circulant mixing matrix, from the discrete Fourier transform of its row.

    Raises:
        ValueError: if the graph is not circulant or the weights of one hop differ.
    """
    values = hop_weights(topology, weights)
    if values is None:
        raise ValueError(
            f"method: 'circulant' expects a circulant graph and weights, got {topology.name}"
        )
    if topology.num_agents == 1:
        return 0.0
    return float(np.sort(np.abs(1.0 - _fourier(topology, values)))[-2])


def lanczos_modulus(topology: Topology, weights: Any, kind: str) -> float:
    """``|lambda_2|`` of a large mixing matrix, by ARPACK on the complement of consensus."""
    matrix = _sparse(topology, np.asarray(weights, float))
    n = topology.num_agents
    diagonal = 1.0 - np.asarray(matrix.sum(axis=1 if kind == "row" else 0)).ravel()
    symmetric = abs(matrix - matrix.T).max() < 1e-7 if matrix.nnz else True

    def centered(x: np.ndarray) -> np.ndarray:
        x = x.ravel() - x.mean()
        x = matrix @ x + diagonal * x
        return x - x.mean()

    return abs(_extreme(centered, n, symmetric, "LM"))


def power_modulus(topology: Topology, weights: Any, kind: str, iterations: int = 1000) -> jax.Array:
    """Estimate ``|lambda_2|`` by power iteration: how fast a random vector shrinks in late rounds.

    Traceable. Below the true value unless converged, by a relative error of about
    ``log(N) / iterations``.
    """
    n = topology.num_agents
    leading = topology.mask.shape[:-1]
    if n == 1:
        return jnp.zeros(leading)

    return per_member(_power(kind, iterations), topology, jnp.asarray(weights))


@functools.cache
def _power(kind: str, iterations: int) -> Callable[[Topology, jax.Array], jax.Array]:
    """Power iteration of one graph, compiled once per shape."""

    @jax.jit
    def single(member: Topology, weights: jax.Array) -> jax.Array:
        weights = jnp.where(member.mask, weights, 0.0)
        ends = member.receivers if kind == "row" else member.senders
        diagonal = 1.0 - jax.ops.segment_sum(weights, ends, num_segments=member.num_agents)

        def step(x: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            received = weights * x[member.senders]
            x = diagonal * x + jax.ops.segment_sum(
                received, member.receivers, num_segments=member.num_agents, indices_are_sorted=True
            )
            x = x - x.mean()
            size = jnp.linalg.norm(x)
            safe = jnp.where(size > 0, size, 1.0)
            return x / safe, jnp.where(size > 1e-12, jnp.log(safe), -jnp.inf)

        start = jax.random.normal(jax.random.key(0), (member.num_agents,), weights.dtype)
        _, logs = jax.lax.scan(step, start - start.mean(), None, length=iterations)
        return jnp.exp(logs[iterations // 2 :].mean())

    return single


def laplacian_extremes(topology: Topology, rates: Any = None) -> tuple[float, float]:
    """Return ``(lambda_2, lambda_max)`` of the Laplacian of one large undirected graph."""
    rates = np.asarray(topology.mask if rates is None else rates, float)
    values = hop_weights(topology, rates)
    if values is not None:
        spectrum = np.sort(np.real(_fourier(topology, values)))
        return float(spectrum[1]), float(spectrum[-1])
    matrix = _sparse(topology, rates)
    degrees = np.asarray(matrix.sum(axis=1)).ravel()
    n = topology.num_agents
    bound = 2.0 * degrees.max()

    def apply(x: np.ndarray) -> np.ndarray:
        x = x.ravel()
        return degrees * x - matrix @ x

    def flipped(x: np.ndarray) -> np.ndarray:
        x = x.ravel() - x.mean()
        x = bound * x - apply(x)
        return x - x.mean()

    return bound - _extreme(flipped, n, True, "LA"), _extreme(apply, n, True, "LA")


def _fourier(topology: Topology, values: np.ndarray) -> np.ndarray:
    """Eigenvalues of the circulant Laplacian ``sum of values_o (I - shift_o)``."""
    n = topology.num_agents
    angle = 2.0 * np.pi * np.arange(n) / n
    total = np.zeros(n, complex)
    for hop, value in zip(topology.offsets or (), values, strict=True):
        half = np.sin(angle * hop / 2.0)
        total += value * (2.0 * half * half - 1j * np.sin(angle * hop))
    return total


def _sparse(topology: Topology, values: np.ndarray) -> Any:
    from scipy.sparse import coo_array

    mask = np.asarray(topology.mask, bool)
    ends = (np.asarray(topology.receivers)[mask], np.asarray(topology.senders)[mask])
    n = topology.num_agents
    return coo_array((values[mask], ends), shape=(n, n)).tocsr()


def _extreme(apply: Any, n: int, symmetric: bool, which: str) -> Any:
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh

    if n < 8:  # too small for ARPACK: build the few columns instead
        matrix = np.stack([apply(column) for column in np.eye(n)], axis=1)
        values = np.linalg.eigvalsh(matrix) if symmetric else np.linalg.eigvals(matrix)
        return values[np.argmax(np.abs(values) if which == "LM" else values.real)]
    build: Any = LinearOperator  # scipy's signatures mislead type checkers
    operator = build((n, n), matvec=apply, dtype=np.dtype(float))
    start = np.random.default_rng(0).standard_normal(n)
    solve: Any = eigsh if symmetric else eigs
    try:
        return solve(
            operator,
            k=1,
            which=which,
            v0=start,
            ncv=min(n, 64),
            return_eigenvectors=False,
            tol=1e-7,
        )[0]
    except ArpackNoConvergence as error:
        raise RuntimeError(
            f"eigenvalues of a graph of {n} agents did not converge; its spectral gap is too small "
            "for Lanczos, use method='power' for an estimate"
        ) from error
