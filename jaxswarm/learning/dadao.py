"""DADAO: gradients and gossip on decoupled Poisson clocks, with accelerated drift between them.

Minimises ``Σ_i f_i(x)`` over a network, each ``f_i`` known to agent ``i`` alone, ``L``-smooth and
``μ``-strongly convex. An agent takes a gradient whenever its own clock rings, two neighbours
exchange whenever their edge's clock rings, nobody waits. Between events each agent's six variables
drift by a linear differential equation, solved here in closed form.

Paper's symbols: ``x, x̃, y, ỹ, z, z̃`` are the fields of :class:`DadaoAgent` in this order;
``s = √(ν/L)`` with ``ν = μ/2``. Use float64 for errors below about ``1e-4``.

Shapes: ``N`` agents, ``E`` edge slots.

References:
    A. Nabli and E. Oyallon, DADAO: Decoupled accelerated decentralized asynchronous optimization,
    2023.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.learning.events import (
    Clocks,
    PointProcess,
    ProcessState,
    agent_clocks,
    edge_clocks,
    point_process,
    poisson_events,
    superpose,
)
from jaxswarm.topology import Topology, spectra
from jaxswarm.topology.validation import is_traced

GRADIENT, GOSSIP = 0, 1  # kinds of events

GradientFn = Callable[[Any, Any], Any]


class DadaoAgent(NamedTuple):
    """What each agent keeps; pytrees like the parameters, leaves ``[N, ...]``."""

    params: Any
    params_momentum: Any
    dual: Any
    dual_momentum: Any
    consensus: Any
    consensus_momentum: Any


class DadaoConstants(NamedTuple):
    """The paper's constants; all ``[]``, or ``[S]`` to be ``vmap``ped.

    Attributes:
        nu: ``ν``, the share of convexity handed to the consensus variables.
        eta: ``η``, drift of ``x`` and ``x̃`` towards each other.
        alpha: ``α``, drift of ``y`` to ``ỹ`` and of ``z`` to ``z̃``.
        alpha_tilde: ``α̃``, drift of ``z̃`` to ``z``.
        theta: ``θ``, drift of ``ỹ``.
        gamma: ``γ``, gradient step of ``x``.
        gamma_tilde: ``γ̃``, gradient step of ``x̃``.
        delta: ``δ + δ̃``, gradient step of ``ỹ``.
        beta: ``β``, gossip step of ``z``.
        beta_tilde: ``β̃``, gossip step of ``z̃``.
        gradient_rate: gradients per agent and unit of time.
        gossip_rate: exchanges of all edges together per unit of time.
        rate: guaranteed exponent: the expected squared error falls like ``exp(-rate · time)``.
    """

    nu: Any
    eta: Any
    alpha: Any
    alpha_tilde: Any
    theta: Any
    gamma: Any
    gamma_tilde: Any
    delta: Any
    beta: Any
    beta_tilde: Any
    gradient_rate: Any
    gossip_rate: Any
    rate: Any


def constants(
    smoothness: Any,
    convexity: Any,
    chi1: Any,
    chi2: Any,
    *,
    gossip_rate: Any = None,
    gradient_rate: Any = 1.0,
) -> DadaoConstants:
    """The constants that the theorem asks for.

    Args:
        smoothness: ``L``, at least ``convexity``.
        convexity: ``μ > 0``.
        chi1: of :func:`~jaxswarm.topology.spectra.chi`, for edge rates that sum to 1.
        chi2: likewise.
        gossip_rate: exchanges per unit of time, at least ``√(2 χ₁ χ₂)``, the default.
        gradient_rate: gradients per agent and unit of time. The paper has 1; others leave the
            averaged motion as it is by taking steps of ``1/gradient_rate``, so they are
            guaranteed from 1 upwards only.

    Raises:
        ValueError: on ``μ <= 0``, ``L < μ``, an infinite or non-positive ``chi`` (no connected
            graph), ``gradient_rate < 1``, or gossip too rare for the graph.
    """
    check_smooth_and_convex(smoothness, convexity)
    for name, value in (("chi1", chi1), ("chi2", chi2)):
        _check(
            value, name, lambda v: np.isfinite(v) & (v > 0), "positive and finite: is it connected?"
        )
    _check(gradient_rate, "gradient_rate", lambda v: np.isfinite(v) & (v >= 1), "at least 1")
    needed = (2.0 * jnp.asarray(chi1, float) * chi2) ** 0.5
    if gossip_rate is None:
        gossip_rate = needed
    elif not (is_traced(gossip_rate) or is_traced(needed)):
        if not np.all(np.asarray(gossip_rate) >= np.asarray(needed) * (1 - 1e-5)):
            raise ValueError(
                f"gossip_rate: expected at least √(2 χ₁ χ₂) = {needed}, got {gossip_rate}"
            )
    big, mu = jnp.asarray(smoothness, float), jnp.asarray(convexity, float)
    nu = mu / 2.0
    s = jnp.sqrt(nu / big)
    return DadaoConstants(
        nu=nu,
        eta=s / 8.0,
        alpha=s / 4.0,
        alpha_tilde=s / 8.0,
        theta=1.0 / (2.0 * s),
        gamma=1.0 / (4.0 * big) / gradient_rate,
        gamma_tilde=1.0 / (4.0 * jnp.sqrt(big * nu)) / gradient_rate,
        delta=(s / 4.0 + 1.0) / gradient_rate,
        beta=jnp.full_like(s, 0.5),
        beta_tilde=2.0 * (chi1 / gossip_rate) / s,
        gradient_rate=jnp.asarray(gradient_rate, float),
        gossip_rate=jnp.asarray(gossip_rate, float),
        rate=s / 8.0,
    )


def drift(state: DadaoAgent, elapsed: Any, constants: DadaoConstants) -> DadaoAgent:
    """The state of one agent (or of many alike) after ``elapsed`` time without events, exactly.

    ``x`` and ``z`` relax to a conserved mean at rates ``2η`` and ``α + α̃``; ``y`` is an oscillator
    that they drive. Its frequency ``√(αθ - α²/4)`` is real for all ``L >= μ``, so nothing here is
    ill-conditioned, unlike an eigenbasis of the ``6 × 6`` matrix (0 is a double eigenvalue).
    """
    c, t = constants, elapsed
    x_rate, z_rate = 2.0 * c.eta, c.alpha + c.alpha_tilde
    frequency = jnp.sqrt(c.alpha * c.theta - c.alpha**2 / 4.0)
    x_left, z_left = jnp.exp(-x_rate * t), jnp.exp(-z_rate * t)
    damped = jnp.exp(-c.alpha * t / 2.0)
    cosine, sine = damped * jnp.cos(frequency * t), damped * jnp.sin(frequency * t) / frequency

    def answer(rate: Any) -> tuple[Any, Any]:
        """Amplitudes of ``y`` and ``ỹ`` when driven by ``exp(-rate t)``."""
        level = -c.theta / (rate**2 / c.alpha - rate + c.theta)
        return level, level * (1.0 - rate / c.alpha)

    (y_x, yy_x), (y_z, yy_z) = answer(x_rate), answer(z_rate)

    def each(x: Any, xx: Any, y: Any, yy: Any, z: Any, zz: Any) -> tuple[Any, ...]:
        x_mean, x_gap = (x + xx) / 2.0, (x - xx) / 2.0  # x̃ = mean - gap
        z_mean = (c.alpha_tilde * z + c.alpha * zz) / z_rate
        z_gap = z - z_mean  # z̃ = mean - gap α̃/α
        level = -(z_mean + c.nu * x_mean)
        from_x, from_z = -c.nu * x_gap, z_gap
        a = y - level - y_x * from_x - y_z * from_z
        b = yy - level - yy_x * from_x - yy_z * from_z
        a, b = (
            (cosine + sine * c.alpha / 2.0) * a - sine * c.alpha * (a - b),
            (cosine + sine * c.alpha / 2.0) * b - sine * c.theta * a,
        )
        return (
            x_mean + x_gap * x_left,
            x_mean - x_gap * x_left,
            level + y_x * from_x * x_left + y_z * from_z * z_left + a,
            level + yy_x * from_x * x_left + yy_z * from_z * z_left + b,
            z_mean + z_gap * z_left,
            z_mean - z_gap * (c.alpha_tilde / c.alpha) * z_left,
        )

    treedef = jax.tree.structure(state.params)
    columns = [jax.tree.leaves(part) for part in state]
    rows = [each(*leaves) for leaves in zip(*columns, strict=True)]
    return DadaoAgent(*(jax.tree.unflatten(treedef, part) for part in zip(*rows, strict=True)))


def dadao_process(gradient: GradientFn, constants: DadaoConstants) -> PointProcess:
    """DADAO as a point process with kinds ``GRADIENT`` and ``GOSSIP``, for events of any origin.

    Args:
        gradient: ``gradient(params, shard) -> ∇f_i``, of one agent.
        constants: of :func:`constants`.

    Returns:
        The process; its agents are :class:`DadaoAgent` (from :func:`start`), its ``inputs`` the
        agents' data, leaves ``[N, ...]``.
    """
    c = constants

    def descend(key: jax.Array, pair: DadaoAgent, ids: jax.Array, inputs: Any) -> DadaoAgent:
        del key
        shard = jax.tree.map(lambda leaf: leaf[ids[0]], inputs)
        own = jax.tree.map(lambda leaf: leaf[0], pair)
        force = jax.tree.map(
            lambda g, x, yy: g - c.nu * x - yy,
            gradient(own.params, shard),
            own.params,
            own.dual_momentum,
        )

        def move(part: Any, factor: Any) -> Any:
            return jax.tree.map(lambda leaf, f: leaf.at[0].add(factor * f), part, force)

        return pair._replace(
            params=move(pair.params, -c.gamma),
            params_momentum=move(pair.params_momentum, -c.gamma_tilde),
            dual_momentum=move(pair.dual_momentum, c.delta),
        )

    def exchange(key: jax.Array, pair: DadaoAgent, ids: jax.Array, inputs: Any) -> DadaoAgent:
        del key, ids, inputs

        def move(part: Any, factor: Any) -> Any:
            def leaf(z: jax.Array, dual: jax.Array, consensus: jax.Array) -> jax.Array:
                gap = (dual[0] + consensus[0]) - (dual[1] + consensus[1])
                return z + factor * jnp.stack([-gap, gap])

            return jax.tree.map(leaf, part, pair.dual, pair.consensus)

        return pair._replace(
            consensus=move(pair.consensus, c.beta),
            consensus_momentum=move(pair.consensus_momentum, c.beta_tilde),
        )

    return point_process(lambda state, elapsed: drift(state, elapsed, c), (descend, exchange))


def start(params: Any) -> DadaoAgent:
    """Agents at ``params`` (leaves ``[N, ...]``), all other variables zero."""
    agents.num_agents(params)
    zero = jax.tree.map(jnp.zeros_like, params)
    return DadaoAgent(params, params, zero, zero, zero, zero)


def clocks(topology: Topology, constants: DadaoConstants, rates: Any = None) -> Clocks:
    """The clocks of all agents and edges.

    Args:
        topology: undirected and connected, ``N >= 2``.
        constants: of :func:`constants`.
        rates: ``[E]`` relative edge rates, scaled to ``constants.gossip_rate`` in total.
    """
    return superpose(
        agent_clocks(topology.num_agents, constants.gradient_rate, kind=GRADIENT),
        edge_clocks(topology, rates, total=constants.gossip_rate, kind=GOSSIP),
    )


class DadaoInfo(NamedTuple):
    """Totals since the start: ``gradients`` and ``edge_uses``, ``int32[]``; ``time``, ``[]``."""

    gradients: jax.Array
    edge_uses: jax.Array
    time: jax.Array


def dadao(
    gradient: GradientFn,
    topology: Topology,
    *,
    smoothness: Any,
    convexity: Any,
    rates: Any = None,
    gossip_rate: Any = None,
    events_per_step: int = 100,
) -> Algorithm:
    """DADAO with events drawn as it goes; a step is a batch of events, one after the other.

    Args:
        gradient: ``gradient(params, shard) -> ∇f_i``, of one agent.
        topology: undirected and connected, ``N >= 2``.
        smoothness: ``L``, of the least smooth ``f_i``.
        convexity: ``μ > 0``, of the least convex ``f_i``.
        rates: ``[E]`` relative edge rates, such as :func:`~jaxswarm.topology.optimal_rates`;
            uniform by default.
        gossip_rate: see :func:`constants`.
        events_per_step: gradients and exchanges together.

    Returns:
        ``init(params)`` for leaves ``[N, ...]`` and ``step(key, state, data)``; the state is a
        :class:`~jaxswarm.learning.events.ProcessState`, see :func:`dadao_process` for reading it.

    Raises:
        ValueError: on a disconnected or directed graph, or constants out of range.
    """
    weights = rates
    if rates is not None and not is_traced(rates):
        sum_once = np.asarray(rates, float)[np.asarray(topology.mask)].sum() / 2.0
        weights = np.asarray(rates, float) / sum_once
    chi1, chi2 = spectra.chi(topology, weights)
    found = constants(smoothness, convexity, chi1, chi2, gossip_rate=gossip_rate)
    process = dadao_process(gradient, found)
    ringing = clocks(topology, found, rates)

    def init(params: Any) -> ProcessState:
        agents.check_leading_axis(params, topology.num_agents, "params")
        return process.init(start(params))

    def step(key: jax.Array, state: ProcessState, inputs: Any) -> tuple[ProcessState, DadaoInfo]:
        event_key, jump_key = jax.random.split(key)
        events = poisson_events(event_key, ringing, events_per_step, start=state.time)
        state, _ = process.run(jump_key, state, events, inputs, every=events_per_step)
        return state, DadaoInfo(state.counts[GRADIENT], state.counts[GOSSIP], state.time)

    return Algorithm(init, step)


def check_smooth_and_convex(smoothness: Any, convexity: Any) -> None:
    """Refuse constants that no smooth strongly convex function has; traced ones pass.

    Raises:
        ValueError: if not ``0 < convexity <= smoothness``, both finite.
    """
    _check(convexity, "convexity", lambda v: np.isfinite(v) & (v > 0), "positive (strongly convex)")
    _check(smoothness, "smoothness", np.isfinite, "finite")
    if not (is_traced(smoothness) or is_traced(convexity)):
        if not np.all(np.asarray(smoothness) >= np.asarray(convexity)):
            raise ValueError(
                f"smoothness: expected at least convexity {convexity}, got {smoothness}"
            )


def _check(value: Any, name: str, valid: Callable[[np.ndarray], Any], expected: str) -> None:
    if not is_traced(value) and not np.all(valid(np.asarray(value, float))):
        raise ValueError(f"{name}: expected {expected}, got {value}")
