"""ADOM+: accelerated synchronous decentralised optimisation, a baseline of DADAO.

Every step all agents take one gradient and the network one gossip round, or, with multi-consensus,
as many as halve the disagreement. Gradients and communications are thus coupled.

Paper's symbols: ``x, x_f, y, y_f, z, z_f, m`` are the fields of :class:`AdomState`;
``χ = λ_max/λ_2`` of the Laplacian, ``W = Laplacian/λ_max``.

Shapes: ``N`` agents. Gossip is a dense product, meant for graphs of up to a few thousand agents.

References:
    D. Kovalev, E. Gasanov, A. Gasnikov, P. Richtárik, Lower bounds and optimal algorithms for
    smooth and strongly convex decentralized optimization over time-varying networks, 2021.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.learning.asynchronous._dadao import GradientFn
from jaxswarm.learning.asynchronous.constants import check_smooth_and_convex
from jaxswarm.topology import Topology, require_connected, require_symmetric, spectra
from jaxswarm.topology.validation import require_topology
from jaxswarm.types import Key, Params, PyTree


class Costs(NamedTuple):
    """Totals since the start: ``gradients`` and ``edge_uses``, ``int32[]``."""

    gradients: jax.Array
    edge_uses: jax.Array


class AdomState(NamedTuple):
    """State of the agents, pytrees like the parameters with leaves ``[N, ...]``, and the costs."""

    params: Params
    params_fast: Params
    dual: Params
    dual_fast: Params
    consensus: Params
    consensus_fast: Params
    memory: Params
    costs: Costs


class GossipMatrix(NamedTuple):
    """Gossip matrix of a synchronous method, with its condition number and its cost.

    Attributes:
        matrix: ``W [N, N]``, symmetric, zero on the constants, eigenvalues at most 1.
        chi: its largest over its smallest positive eigenvalue, or a bound of that.
        edge_uses: exchanges of a product with ``W``, each undirected edge counted once a round.
    """

    matrix: jax.Array | np.ndarray
    chi: float | jax.Array
    edge_uses: float | jax.Array


def gossip_matrix(topology: Topology, *, multi_consensus: bool = False) -> GossipMatrix:
    """Gossip matrix ``Laplacian/λ_max``, or ``⌈χ ln 2⌉`` rounds of it as one, with ``χ = 2``.

    Args:
        topology: undirected and connected, ``N >= 2``.
        multi_consensus: whether to take the rounds of one step together.

    Raises:
        ValueError: on a directed or disconnected graph, a sequence, or a single agent.
    """
    multi_consensus = checks.flag("multi_consensus", multi_consensus)
    matrix, chi = normalized_laplacian(topology)
    rounds = max(1, math.ceil(chi * math.log(2.0) - 1e-9)) if multi_consensus else 1
    if rounds > 1:
        identity = np.eye(topology.num_agents)
        matrix = identity - np.linalg.matrix_power(identity - matrix, rounds)
        chi = 2.0
    return GossipMatrix(matrix, chi, rounds * num_edges(topology))


def adom_plus(
    gradient: GradientFn,
    topology: Topology | GossipMatrix,
    *,
    smoothness: float | jax.Array,
    convexity: float | jax.Array,
    multi_consensus: bool = False,
) -> Algorithm:
    """ADOM+: accelerated synchronous decentralised optimisation, with the theorem's constants.

    Args:
        gradient: ``gradient(params, shard) -> ∇f_i``, of one agent.
        topology: undirected and connected, ``N >= 2``; or its :func:`gossip_matrix`, whose arrays
            may be traced.
        smoothness: ``L``.
        convexity: ``μ > 0``.
        multi_consensus: ``⌈χ ln 2⌉`` gossip rounds a step (as one product with the power of
            ``I - W``; all are counted), after which the method sees ``χ = 2``.

    Returns:
        ``init(params)`` for leaves ``[N, ...]``; ``step(key, state, data)`` with info
        :class:`Costs`. The key is not used.

    Raises:
        ValueError: on a disconnected or directed graph, ``μ <= 0`` or ``L < μ``.
    """
    checks.function("gradient", gradient)
    check_smooth_and_convex(smoothness, convexity)
    matrix, chi, edge_uses = as_gossip_matrix(topology, multi_consensus=multi_consensus)
    n = matrix.shape[0]
    spent = Costs(jnp.asarray(n, jnp.int32), jnp.asarray(edge_uses, jnp.int32))
    big, mu = jnp.asarray(smoothness, float), jnp.asarray(convexity, float)
    tau2 = jnp.sqrt(mu / big)
    tau1 = 1.0 / (1.0 / tau2 + 0.5)
    eta, alpha, nu = 1.0 / (big * tau2), mu / 2.0, mu / 2.0
    beta, delta, zeta = 1.0 / (2.0 * big), 1.0 / (17.0 * big), 0.5
    sigma2 = tau2 / (16.0 * chi)
    sigma1 = 1.0 / (1.0 / sigma2 + 0.5)
    theta, gamma = nu / (4.0 * sigma2), nu / (14.0 * sigma2 * chi**2)
    # x and y of the next step depend on each other: a 2 × 2 linear system, solved for y.
    shrink = 1.0 / (1.0 + eta * alpha)
    solve = 1.0 / (1.0 + theta * beta + theta * eta * shrink)

    def init(params: Params) -> AdomState:
        agents.check_leading_axis(params, n, "params")
        zero = jax.tree.map(jnp.zeros_like, params)
        none = Costs(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        return AdomState(params, params, zero, zero, zero, zero, zero, none)

    def step(key: Key, state: AdomState, inputs: Any) -> tuple[AdomState, Costs]:
        del key
        x_g = combine((tau1, state.params), (1.0 - tau1, state.params_fast))
        y_g = combine((sigma1, state.dual), (1.0 - sigma1, state.dual_fast))
        z_g = combine((sigma1, state.consensus), (1.0 - sigma1, state.consensus_fast))
        force = combine((1.0, jax.vmap(gradient)(x_g, inputs)), (-nu, x_g))
        together = combine((1.0, y_g), (1.0, z_g))
        # x⁺ = known + η·shrink·y⁺, put into the equation of y⁺.
        known = combine((shrink, state.params), (shrink * eta * alpha, x_g), (-shrink * eta, force))
        y = combine(
            (solve, state.dual),
            (solve * theta * beta, force),
            (-solve * theta / nu, together),
            (-solve * theta, known),
        )
        x = combine((1.0, known), (shrink * eta, y))
        pushed = combine((gamma / nu, together), (1.0, state.memory))
        gossiped = apply(matrix, pushed)
        z = combine((1.0 - gamma * delta, state.consensus), (gamma * delta, z_g), (-1.0, gossiped))
        costs = jax.tree.map(jnp.add, state.costs, spent)
        return AdomState(
            params=x,
            params_fast=combine((1.0, x_g), (tau2, x), (-tau2, state.params)),
            dual=y,
            dual_fast=combine((1.0, y_g), (sigma2, y), (-sigma2, state.dual)),
            consensus=z,
            consensus_fast=combine((1.0, z_g), (-zeta, apply(matrix, together))),
            memory=combine((1.0, pushed), (-1.0, gossiped)),
            costs=costs,
        ), costs

    return Algorithm(init, step)


def as_gossip_matrix(
    topology: Topology | GossipMatrix, *, multi_consensus: bool = False
) -> GossipMatrix:
    """The gossip matrix of a topology, or the one that was given, checked.

    Raises:
        ValueError: as :func:`gossip_matrix`; for anything else, a matrix that is not square, or
            numbers ``chi < 1`` and ``edge_uses < 0``.
    """
    if isinstance(topology, Topology):
        return gossip_matrix(topology, multi_consensus=multi_consensus)
    checks.instance("topology", topology, (Topology, GossipMatrix), "topology.ring(64)")
    checks.flag("multi_consensus", multi_consensus)
    n = jnp.shape(topology.matrix)[-1] if jnp.ndim(topology.matrix) else 0
    checks.real("topology.matrix", topology.matrix, shape=(n, n))
    checks.real("topology.chi", topology.chi, 1.0 - 1e-6)
    checks.real("topology.edge_uses", topology.edge_uses, 0.0)
    return topology


def normalized_laplacian(topology: Topology) -> tuple[np.ndarray, float]:
    """Normalised Laplacian: ``(Laplacian/λ_max [N, N], χ = λ_max/λ_2)`` of a connected graph.

    Raises:
        ValueError: on a directed or disconnected graph, a sequence, or a single agent.
    """
    require_topology(topology)
    if topology.is_sequence:
        raise ValueError(f"{topology.name}: expected a single topology, got a sequence")
    require_symmetric(topology, "a Laplacian gossip matrix")
    require_connected(topology)
    low, high = spectra.laplacian_extremes(topology)
    return np.asarray(spectra.laplacian(topology)) / float(high), float(high) / float(low)


def num_edges(topology: Topology) -> int:
    """Count undirected edges, each once."""
    return int(np.asarray(topology.mask).sum()) // 2


def combine(*terms: tuple[ArrayLike, PyTree]) -> PyTree:
    """Linear combination of trees, ``Σ factor · tree`` over pairs ``(factor, tree)``."""
    factors = [factor for factor, _ in terms]

    def leaf(*leaves: jax.Array) -> jax.Array:
        return sum(
            (jnp.asarray(f, x.dtype) * x for f, x in zip(factors, leaves, strict=True)),
            start=jnp.zeros((), leaves[0].dtype),
        )

    return jax.tree.map(leaf, *(tree for _, tree in terms))


def apply(matrix: ArrayLike, tree: PyTree) -> PyTree:
    """Multiply every leaf by a matrix over the agents' axis, ``matrix @ leaf``."""
    return jax.tree.map(
        lambda x: jnp.einsum("ij,j...->i...", jnp.asarray(matrix, x.dtype), x, precision="highest"),
        tree,
    )
