"""Sample directed acyclic graphs from logits, with gradients: an order, and edges that follow it.

An order is a permutation matrix, the matching nearest to the result of Sinkhorn's iterations on
noisy logits; an edge is the larger of two noisy logits. Both are hard in the forward pass and soft
in the backward pass (straight-through). ``G = U ⊙ (Pᵀ M P)`` with strictly upper triangular ``M``
keeps the edges that agree with the order, so it cannot have a cycle, and the order is read off
``P`` without sorting.

The noise is an argument: with the same noise the same graph can be sampled from other logits.

Shapes: ``N`` agents. ``P[a, j] = 1`` where agent ``j`` chooses in position ``a``; ``G[j, i] = 1``
where ``i`` knows ``j``'s action.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
    G. Mena, D. Belanger, S. Linderman, J. Snoek, Learning latent permutations with Gumbel-Sinkhorn
    networks, 2018. E. Jang, S. Gu, B. Poole, Categorical reparameterization with Gumbel-softmax,
    2017. B. Charpentier, S. Kibler, S. Günnemann, Differentiable DAG sampling, 2022.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.systems.bn_actor_critic.graphs import zeros_and_ones
from jaxswarm.types import ArrayLike, Key


class DagLogits(NamedTuple):
    """``permutation [N, N]``: agent ``j`` in position ``a``; ``edges [N, N, 2]``: without, with."""

    permutation: jax.Array
    edges: jax.Array


class DagNoise(NamedTuple):
    """Standard Gumbel, of the shapes of :class:`DagLogits`."""

    permutation: jax.Array
    edges: jax.Array


class Dag(NamedTuple):
    """``graph float32[N, N]`` of 0 and 1; ``order int32[N]``, parents first."""

    graph: jax.Array
    order: jax.Array


def dag_noise(key: Key, num_agents: int) -> DagNoise:
    """Draw the noise of one graph.

    Raises:
        ValueError: for a legacy key, or fewer than one agent.
    """
    checks.key(key)
    num_agents = checks.whole("num_agents", num_agents, 1)
    permutation_key, edge_key = jax.random.split(key)
    shape = (num_agents, num_agents)
    permutation = flat(jax.random.gumbel, permutation_key, shape)
    return DagNoise(permutation, flat(jax.random.gumbel, edge_key, (*shape, 2)))


def sample_dag(
    logits: DagLogits,
    noise: DagNoise,
    temperature: ArrayLike = 1.0,
    *,
    iterations: int = 20,
    communicates: jax.Array | None = None,
) -> Dag:
    """Sample one graph; ``vmap`` it over states. Gradients reach both logits.

    Args:
        logits: of the order and of the edges.
        noise: from :func:`dag_noise`.
        temperature: of both relaxations, positive; may be traced.
        iterations: of Sinkhorn.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends; edges
            elsewhere are dropped.

    Raises:
        ValueError: for shapes that do not match, a temperature that is not positive, or no
            iterations.
    """
    checks.instance("logits", logits, DagLogits)
    checks.instance("noise", noise, DagNoise, "dag_noise(key, 3)")
    permutation = sample_permutation(logits.permutation, noise.permutation, temperature, iterations)
    edges = sample_edges(logits.edges, noise.edges, temperature)
    if communicates is not None:
        if jnp.shape(communicates) != edges.shape:
            raise ValueError(
                f"communicates: expected shape {edges.shape}, got {jnp.shape(communicates)}"
            )
        if not checks.is_traced(communicates):
            zeros_and_ones("communicates", communicates, edges.shape)
        edges = jnp.where(jnp.asarray(communicates) != 0, edges, 0.0)
    return compose_dag(permutation, edges)


def sample_permutation(
    logits: jax.Array, noise: jax.Array, temperature: ArrayLike = 1.0, iterations: int = 20
) -> jax.Array:
    """Sample a permutation matrix ``[N, N]``, with the gradient of its Gumbel–Sinkhorn relaxation.

    Logits go through a log-sigmoid first, as in the authors' code, so that none is above zero.

    Raises:
        ValueError: see :func:`sample_dag`.
    """
    logits, noise = _numbers("logits", logits), _numbers("noise", noise)
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1] or logits.shape != noise.shape:
        raise ValueError(
            f"logits: expected [N, N] like the noise {noise.shape}, got {logits.shape}"
        )
    check_temperature(temperature)
    soft = sinkhorn((jax.nn.log_sigmoid(logits) + noise) / temperature, iterations)
    return _straight_through(max_weight_matching(soft), soft)


def sample_edges(logits: jax.Array, noise: jax.Array, temperature: ArrayLike = 1.0) -> jax.Array:
    """Sample independent edges ``[N, N]`` of 0 and 1 by straight-through Gumbel-softmax.

    Raises:
        ValueError: see :func:`sample_dag`.
    """
    logits, noise = _numbers("logits", logits), _numbers("noise", noise)
    if logits.ndim != 3 or logits.shape[2] != 2 or logits.shape != noise.shape:
        raise ValueError(
            f"logits: expected [N, N, 2] like the noise {noise.shape}, got {logits.shape}"
        )
    check_temperature(temperature)
    noisy = logits + noise
    margin = noisy[:, :, 1] - noisy[:, :, 0]
    hard = (margin > 0).astype(logits.dtype)
    return _straight_through(hard, jax.nn.sigmoid(margin / temperature))


def sinkhorn(scores: jax.Array, iterations: int = 20) -> jax.Array:
    """Normalize rows and columns of ``exp(scores)`` in turn: nearly doubly stochastic ``[N, N]``.

    By factors of rows and columns, which takes a fifth of the time of logarithms. Scores are
    clipped at 40 below the largest of their row, so that no factor can leave the range of float32.

    Args:
        scores: ``[N, N]``.
        iterations: static; columns are exact after each, rows in the limit.

    Raises:
        ValueError: without iterations, or for scores that are not ``[N, N]``.
    """
    iterations = checks.whole("iterations", iterations, 1)
    _square("scores", _numbers("scores", scores))
    top = jax.lax.stop_gradient(jnp.max(scores, axis=1, keepdims=True))
    weights = jnp.exp(jnp.maximum(scores - top, -40.0))

    def balance(_: int, columns: jax.Array) -> jax.Array:
        return 1.0 / ((1.0 / (weights @ columns)) @ weights)

    columns = jax.lax.fori_loop(0, iterations - 1, balance, jnp.ones(len(scores), scores.dtype))
    rows = 1.0 / (weights @ columns)
    return rows[:, None] * weights / (rows @ weights)[None, :]


def max_weight_matching(weights: jax.Array) -> jax.Array:
    """Permutation matrix ``[N, N]`` of largest total weight; no gradient.

    Up to six agents all permutations are compared, as one product; beyond, the Hungarian algorithm
    runs, whose loops are slow for many small problems at once.

    Raises:
        ValueError: for weights that are not ``[N, N]``.
    """
    _square("weights", _numbers("weights", weights))
    # A weight that is not a number would keep the search for a matching from ending.
    weights = jnp.nan_to_num(jax.lax.stop_gradient(weights))
    n = weights.shape[0]
    if n <= 6:
        every = np.array(list(itertools.permutations(range(n))))  # [N!, N]
        table = jnp.asarray(np.eye(n)[every], weights.dtype)  # [N!, N, N]
        total = table.reshape(len(every), -1) @ weights.ravel()
        best = jnp.where(total == jnp.max(total), jnp.arange(len(every)), len(every) - 1)
        return table[jnp.min(best)]
    row, column = optax.assignment.hungarian_algorithm(-weights)
    return jnp.zeros_like(weights).at[row, column].set(1.0)


def compose_dag(permutation: jax.Array, edges: jax.Array) -> Dag:
    """``U ⊙ (Pᵀ M P)`` and the order: keep the edges from earlier to later positions.

    Args:
        permutation: ``[N, N]``; :func:`jaxswarm.systems.bn_actor_critic.permutation_matrix` makes
            an order's.
        edges: ``[N, N]`` of 0 and 1.

    Raises:
        ValueError: unless both are ``[N, N]``.
    """
    permutation, edges = _numbers("permutation", permutation), _numbers("edges", edges)
    n = _square("permutation", permutation)
    if edges.shape != (n, n):
        raise ValueError(f"edges: expected [N, N], got shape {edges.shape}")
    later = jnp.triu(jnp.ones((n, n), permutation.dtype), 1)
    after = later @ permutation
    # One sum, which is faster for a batch of small matrices than a product of each.
    follows = jnp.sum(permutation[:, :, None] * after[:, None, :], axis=0)
    order = jnp.argmax(permutation, axis=1).astype(jnp.int32)
    return Dag(edges * follows, order)


def density(graph: jax.Array) -> jax.Array:
    """Share of the full graph's edges that ``graph [N, N]`` has, ``[]``; 0 for a single agent.

    Raises:
        ValueError: unless ``graph`` is ``[..., N, N]``.
    """
    graph = _numbers("graph", graph)
    if graph.ndim < 2 or graph.shape[-1] != graph.shape[-2]:
        raise ValueError(f"graph: expected [..., N, N], got shape {graph.shape}")
    n = graph.shape[-1]
    return jnp.sum(graph, axis=(-2, -1)) / max(n * (n - 1) / 2, 1)


def check_temperature(temperature: ArrayLike) -> None:
    """Refuse a known temperature that is not positive and finite; traced ones pass.

    Raises:
        ValueError: naming it.
    """
    checks.real("temperature", temperature, above=0.0)


def _numbers(name: str, value: ArrayLike) -> jax.Array:
    """An array of floats; known ones may be of any number type."""
    if not isinstance(value, jax.Array):
        value = checks.as_array(name, value, "an array of numbers")
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array
    if not (jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == bool):
        raise ValueError(f"{name}: expected numbers, got {array.dtype}")
    return array.astype(jnp.float32)


def _square(name: str, matrix: jax.Array) -> int:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name}: expected [N, N], got shape {matrix.shape}")
    return matrix.shape[0]


def _straight_through(hard: jax.Array, soft: jax.Array) -> jax.Array:
    """``hard``, with the gradient of ``soft``."""
    return hard + (soft - jax.lax.stop_gradient(soft))
