"""Accelerated decentralised methods on the dual: MSDA (synchronous), Continuized (asynchronous).

Both need the gradient of the conjugate, ``∇f_i*(y) = argmin_x f_i(x) - ⟨y, x⟩``: one linear solve
for least squares (:func:`quadratic_dual_gradient`), an inner optimisation in general. A dual
gradient counts as one gradient.

Shapes: ``N`` agents.

References:
    K. Scaman, F. Bach, S. Bubeck, Y. T. Lee, L. Massoulié, Optimal algorithms for smooth and
    strongly convex distributed optimization in networks, 2017 (MSDA). M. Even et al., A continuized
    view on Nesterov acceleration for stochastic gradient descent and randomized gossip, 2021.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.learning.asynchronous.adom import (
    Costs,
    GossipMatrix,
    apply,
    as_gossip_matrix,
    combine,
)
from jaxswarm.learning.asynchronous.clocks import Clocks, edge_clocks
from jaxswarm.learning.asynchronous.constants import check_smooth_and_convex
from jaxswarm.learning.asynchronous.events import PointProcess, point_process
from jaxswarm.topology import Topology
from jaxswarm.types import Key, Params

DualGradientFn = Callable[[Any, Any], Any]
"""``dual_gradient(dual, shard) -> ∇f_i*(dual)`` of one agent."""


class MsdaState(NamedTuple):
    """State of MSDA, pytrees with leaves ``[N, ...]``; ``params`` follow from the dual."""

    params: Params
    dual: Params
    dual_slow: Params
    costs: Costs


def msda(
    dual_gradient: DualGradientFn,
    topology: Topology | GossipMatrix,
    *,
    smoothness: float | jax.Array,
    convexity: float | jax.Array,
) -> Algorithm:
    """Multi-step dual accelerated method (MSDA): Nesterov on the dual with Chebyshev gossip.

    Args:
        dual_gradient: ``dual_gradient(dual, shard) -> ∇f_i*(dual)``, of one agent.
        topology: undirected and connected, ``N >= 2``; or its
            :func:`~jaxswarm.learning.asynchronous.adom.gossip_matrix`, whose arrays may be traced.
            A step gossips ``⌊√χ⌋`` rounds.
        smoothness: ``L``.
        convexity: ``μ > 0``.

    Returns:
        ``init(params)`` for leaves ``[N, ...]``, whose values do not matter: the dual starts at 0;
        ``step(key, state, data)`` with info :class:`~jaxswarm.learning.asynchronous.adom.Costs`.

    Raises:
        ValueError: on a disconnected or directed graph, ``μ <= 0`` or ``L < μ``.
    """
    checks.function("dual_gradient", dual_gradient)
    check_smooth_and_convex(smoothness, convexity)
    matrix, chi, edge_uses = as_gossip_matrix(topology)
    n = matrix.shape[0]
    gamma = jnp.minimum(1.0, 1.0 / jnp.asarray(chi, float))
    rounds = jnp.maximum(1, (gamma**-0.5 + 1e-6).astype(int))
    # T_K at 1/c, where c is the half-width of the spectrum around its middle, over the middle.
    half = (1.0 - gamma) / (1.0 + gamma)
    width = jnp.where(half > 0, half, 1.0)  # on a complete graph one exact round is made
    shrink = (1.0 - gamma**0.5) / (1.0 + gamma**0.5)
    power = shrink**rounds
    spread = 2.0 * power / (1.0 + power**2)  # gossip has eigenvalues 1 ± spread on disagreement
    spent = Costs(
        jnp.asarray(n, jnp.int32),
        jnp.asarray(rounds * edge_uses, jnp.int32),
    )
    big, mu = jnp.asarray(smoothness, float), jnp.asarray(convexity, float)
    eta = mu / (1.0 + spread)
    condition = jnp.sqrt((big / mu) * (1.0 + spread) / (1.0 - spread))
    momentum = (condition - 1.0) / (condition + 1.0)

    def gossip(tree: Params) -> Params:
        """``tree - T_K(S/c)/T_K(1/c) tree`` with ``S = I - 2W/(1 + γ)``, by the recursion of T."""

        def shifted(x: Params) -> Params:
            return combine((1.0, x), (-2.0 / (1.0 + gamma), apply(matrix, x)))

        def again(_: Any, terms: Any) -> Any:
            before, now, scale_before, scale = terms
            after = combine((2.0 / width, shifted(now)), (-1.0, before))
            return now, after, scale, 2.0 / width * scale - scale_before

        first = combine((1.0 / width, shifted(tree)))
        terms = (tree, first, jnp.ones(()), 1.0 / width)
        _, now, _, scale = jax.lax.fori_loop(1, rounds, again, terms)
        return combine((1.0, tree), (-1.0 / scale, now))

    def init(params: Params) -> MsdaState:
        agents.check_leading_axis(params, n, "params")
        zero = jax.tree.map(jnp.zeros_like, params)
        none = Costs(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        return MsdaState(params, zero, zero, none)

    def step(key: Key, state: MsdaState, inputs: Any) -> tuple[MsdaState, Costs]:
        del key
        params = jax.vmap(dual_gradient)(state.dual, inputs)
        slow = combine((1.0, state.dual), (-eta, gossip(params)))
        dual = combine((1.0 + momentum, slow), (-momentum, state.dual_slow))
        costs = jax.tree.map(jnp.add, state.costs, spent)
        return MsdaState(params, dual, slow, costs), costs

    return Algorithm(init, step)


class ContinuizedAgent(NamedTuple):
    """Dual variables of each agent, pytrees with leaves ``[N, ...]``."""

    dual: Params
    dual_momentum: Params


def continuized(
    dual_gradient: DualGradientFn,
    *,
    smoothness: float | jax.Array,
    convexity: float | jax.Array,
    chi1: float | jax.Array,
    chi2: float | jax.Array,
) -> PointProcess:
    """Continuized accelerated coordinate descent on the dual: gradient and gossip coupled.

    When an edge's clock ticks both ends compare ``∇f_i*`` and move by the difference, in opposite
    directions. Constants follow from the dual's smoothness ``2/μ`` along an edge and strong
    convexity ``1/(χ₁ L)``; the expected error falls like ``exp(-θ time)`` with
    ``θ = √(μ/L) / (2 √(χ₁ χ₂))``.

    Args:
        dual_gradient: ``dual_gradient(dual, shard) -> ∇f_i*(dual)``, of one agent.
        smoothness: ``L``.
        convexity: ``μ > 0``.
        chi1: of :func:`~jaxswarm.topology.spectra.chi` with the rates of the clocks.
        chi2: likewise.

    Returns:
        A process of one kind (0) for the clocks of :func:`continuized_clocks`; start it from
        :class:`ContinuizedAgent` of zeros. Its duals must sum to 0.

    Raises:
        ValueError: on ``μ <= 0`` or ``L < μ``, or ``chi1`` and ``chi2`` that are not positive.
    """
    checks.function("dual_gradient", dual_gradient)
    check_smooth_and_convex(smoothness, convexity)
    for name, value in (("chi1", chi1), ("chi2", chi2)):
        checks.real(name, value, above=0.0, shape=None)
    big, mu = jnp.asarray(smoothness, float), jnp.asarray(convexity, float)
    theta = jnp.sqrt(mu / big) / (2.0 * jnp.sqrt(jnp.asarray(chi1, float) * chi2))
    slow, fast = mu / 2.0, theta * big * chi1

    def drift(state: ContinuizedAgent, elapsed: jax.Array) -> ContinuizedAgent:
        half = -jnp.expm1(-2.0 * theta * elapsed) / 2.0

        def towards(a: jax.Array, b: jax.Array) -> jax.Array:
            return a + half * (b - a)

        return ContinuizedAgent(
            jax.tree.map(towards, state.dual, state.dual_momentum),
            jax.tree.map(towards, state.dual_momentum, state.dual),
        )

    def compare(key: Key, pair: ContinuizedAgent, ids: jax.Array, inputs: Any):
        del key
        shards = jax.tree.map(lambda leaf: leaf[ids], inputs)
        params = jax.vmap(dual_gradient)(pair.dual, shards)

        def move(part: Params, factor: float | jax.Array) -> Params:
            return jax.tree.map(lambda y, x: y - factor * (x - x[::-1]), part, params)

        return ContinuizedAgent(move(pair.dual, slow), move(pair.dual_momentum, fast))

    return point_process(drift, (compare,))


def continuized_clocks(topology: Topology, rates: ArrayLike | None = None) -> Clocks:
    """Make edge clocks that together tick once per unit of time, kind 0.

    Args:
        topology: a single undirected connected graph.
        rates: ``[E]`` relative edge rates; uniform by default.
    """
    return edge_clocks(topology, rates, total=1.0, kind=0)


def quadratic_dual_gradient(hessian_and_linear: Callable[[Any], tuple[Any, Any]]) -> DualGradientFn:
    """Conjugate gradient map ``∇f*(y) = H⁻¹(y + b)`` of ``f(x) = xᵀHx/2 - bᵀx``, ``x [d]``.

    Args:
        hessian_and_linear: ``shard -> (H [d, d], b [d])``, ``H`` positive definite.

    Raises:
        ValueError: if it is no function.
    """
    checks.function("hessian_and_linear", hessian_and_linear)

    def dual_gradient(dual: jax.Array, shard: Any) -> jax.Array:
        hessian, linear = hessian_and_linear(shard)
        return jax.scipy.linalg.solve(hessian, dual + linear, assume_a="pos")

    return dual_gradient
