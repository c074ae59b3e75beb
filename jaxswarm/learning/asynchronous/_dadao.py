"""DADAO: gradients and gossip on decoupled Poisson clocks, with accelerated drift between them.

Minimises ``Σ_i f_i(x)`` over a network, each ``f_i`` known to agent ``i`` alone, ``L``-smooth and
``μ``-strongly convex. An agent takes a gradient whenever its own clock ticks, two neighbours
exchange whenever their edge's clock ticks, without any synchronisation. Between events each agent's
six variables drift by a linear differential equation, solved here in closed form.

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
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.checks import is_traced
from jaxswarm.learning.asynchronous.clocks import (
    Clocks,
    agent_clocks,
    edge_clocks,
    superpose,
    switching_edge_clocks,
)
from jaxswarm.learning.asynchronous.constants import DadaoConstants, constants
from jaxswarm.learning.asynchronous.events import (
    PointProcess,
    ProcessState,
    point_process,
    poisson_events,
)
from jaxswarm.topology import Topology, spectra
from jaxswarm.topology.validation import require_topology
from jaxswarm.types import Key, Params

GRADIENT, GOSSIP = 0, 1  # kinds of events

GradientFn = Callable[[Any, Any], Any]
"""``gradient(params, shard) -> ∇f_i`` of one agent."""


class DadaoAgent(NamedTuple):
    """State of the agents; pytrees like the parameters, leaves ``[N, ...]``."""

    params: Params
    params_momentum: Params
    dual: Params
    dual_momentum: Params
    consensus: Params
    consensus_momentum: Params


def drift(state: DadaoAgent, elapsed: float | jax.Array, constants: DadaoConstants) -> DadaoAgent:
    """Solve the drift between events exactly: the state after ``elapsed`` time without events.

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

    def response(rate: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Amplitudes of ``y`` and ``ỹ`` when driven by ``exp(-rate t)``."""
        level = -c.theta / (rate**2 / c.alpha - rate + c.theta)
        return level, level * (1.0 - rate / c.alpha)

    (y_x, yy_x), (y_z, yy_z) = response(x_rate), response(z_rate)

    def drifted(
        x: jax.Array, xx: jax.Array, y: jax.Array, yy: jax.Array, z: jax.Array, zz: jax.Array
    ) -> tuple[jax.Array, ...]:
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
    rows = [drifted(*leaves) for leaves in zip(*columns, strict=True)]
    return DadaoAgent(*(jax.tree.unflatten(treedef, part) for part in zip(*rows, strict=True)))


def dadao_process(gradient: GradientFn, constants: DadaoConstants) -> PointProcess:
    """DADAO as a point process with event kinds ``GRADIENT`` and ``GOSSIP``.

    Args:
        gradient: ``gradient(params, shard) -> ∇f_i``, of one agent.
        constants: of :func:`~jaxswarm.learning.asynchronous.constants.constants`.

    Returns:
        The process; its agents are :class:`DadaoAgent` (from :func:`start`), its ``inputs`` the
        agents' data, leaves ``[N, ...]``.

    Raises:
        ValueError: if ``gradient`` is no function or ``constants`` are no
            :class:`~jaxswarm.learning.asynchronous.constants.DadaoConstants`.
    """
    checks.function("gradient", gradient)
    checks.instance("constants", constants, DadaoConstants)
    c = constants

    def descend(key: Key, pair: DadaoAgent, ids: jax.Array, inputs: Any) -> DadaoAgent:
        del key
        shard = jax.tree.map(lambda leaf: leaf[ids[0]], inputs)
        own = jax.tree.map(lambda leaf: leaf[0], pair)
        force = jax.tree.map(
            lambda g, x, yy: g - c.nu * x - yy,
            gradient(own.params, shard),
            own.params,
            own.dual_momentum,
        )

        def move(part: Params, factor: float | jax.Array) -> Params:
            return jax.tree.map(lambda leaf, f: leaf.at[0].add(factor * f), part, force)

        return pair._replace(
            params=move(pair.params, -c.gamma),
            params_momentum=move(pair.params_momentum, -c.gamma_tilde),
            dual_momentum=move(pair.dual_momentum, c.delta),
        )

    def exchange(key: Key, pair: DadaoAgent, ids: jax.Array, inputs: Any) -> DadaoAgent:
        del key, ids, inputs

        def move(part: Params, factor: float | jax.Array) -> Params:
            def leaf(z: jax.Array, dual: jax.Array, consensus: jax.Array) -> jax.Array:
                gap = (dual[0] + consensus[0]) - (dual[1] + consensus[1])
                return z + factor * jnp.stack([-gap, gap])

            return jax.tree.map(leaf, part, pair.dual, pair.consensus)

        return pair._replace(
            consensus=move(pair.consensus, c.beta),
            consensus_momentum=move(pair.consensus_momentum, c.beta_tilde),
        )

    return point_process(lambda state, elapsed: drift(state, elapsed, c), (descend, exchange))


def start(params: Params) -> DadaoAgent:
    """Initial state of the agents: ``x = x̃ = params`` (leaves ``[N, ...]``), all else zero.

    The theorem holds from any start with ``Σ z = Σ z̃ = 0``. The authors' code has ``x̃ = 0``, which
    would lose the information of a warm start.
    """
    agents.num_agents(params)
    zero = jax.tree.map(jnp.zeros_like, params)
    return DadaoAgent(params, params, zero, zero, zero, zero)


def clocks(topology: Topology, constants: DadaoConstants, rates: ArrayLike | None = None) -> Clocks:
    """Poisson clocks of all agents (gradients) and edges (exchanges).

    Args:
        topology: undirected and connected, ``N >= 2``.
        constants: of :func:`~jaxswarm.learning.asynchronous.constants.constants`.
        rates: ``[E]`` relative edge rates, scaled to ``constants.gossip_rate`` in total.
    """
    return superpose(
        agent_clocks(topology.num_agents, constants.gradient_rate, kind=GRADIENT),
        edge_clocks(topology, rates, total=constants.gossip_rate, kind=GOSSIP),
    )


class DadaoInfo(NamedTuple):
    """Totals since the start: ``gradients``, ``edge_uses`` (``int32[]``) and ``time`` (``[]``)."""

    gradients: jax.Array
    edge_uses: jax.Array
    time: jax.Array


def dadao(
    gradient: GradientFn,
    topology: Topology,
    *,
    smoothness: float | jax.Array,
    convexity: float | jax.Array,
    rates: ArrayLike | None = None,
    gossip_rate: float | jax.Array | None = None,
    period: float | jax.Array | None = None,
    events_per_step: int = 100,
) -> Algorithm:
    """DADAO: accelerated asynchronous decentralised optimisation, gradients and gossip decoupled.

    A step simulates ``events_per_step`` events, one after the other, drawn as it goes.

    Args:
        gradient: ``gradient(params, shard) -> ∇f_i``, of one agent.
        topology: undirected and connected, ``N >= 2``; or a sequence of such graphs, taken in turn
            over and over, whose worst ``χ₁`` and ``χ₂`` set the constants.
        smoothness: ``L``, of the least smooth ``f_i``.
        convexity: ``μ > 0``, of the least convex ``f_i``.
        rates: ``float[E]`` relative edge rates of a single graph, such as
            :func:`~jaxswarm.topology.optimal_rates`; uniform by default.
        gossip_rate: exchanges per unit of time; see
            :func:`~jaxswarm.learning.asynchronous.constants.constants`.
        period: time each member of a sequence lasts; ``1/χ₁`` by default.
        events_per_step: gradients and exchanges together; of a sequence, candidates for them.

    Returns:
        ``init(params)`` for leaves ``[N, ...]`` and ``step(key, state, data)``; the state is a
        :class:`~jaxswarm.learning.asynchronous.events.ProcessState`, read by the ``at`` of
        :func:`dadao_process`.

    Raises:
        ValueError: on a disconnected or directed graph or member, edge rates that leave agents
            apart, ``rates`` with a sequence, ``period`` without one, constants out of range, or
            ``events_per_step < 1``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import learning, topology
        >>> gradient = lambda x, a: x - a  # of f_i(x) = (x - a_i)²/2
        >>> method = learning.dadao(gradient, topology.ring(4), smoothness=1.0, convexity=1.0,
        ...                         events_per_step=2000)
        >>> a = jnp.array([1.0, 2.0, 3.0, 6.0])
        >>> state, info = jax.jit(method.step)(jax.random.key(0), method.init(jnp.zeros(4)), a)
        >>> [round(float(x), 1) for x in state.agents.params]  # the mean of all a_i
        [3.0, 3.0, 3.0, 3.0]
    """
    checks.function("gradient", gradient)
    require_topology(topology)
    events_per_step = checks.whole("events_per_step", events_per_step, 1)
    options = {"smoothness": smoothness, "convexity": convexity, "gossip_rate": gossip_rate}
    intensity = None
    if topology.is_sequence:
        if rates is not None:
            raise ValueError("rates: expected None with a sequence, whose edges have equal rates")
        found, ticking, intensity = _switching(topology, period, **options)
    elif period is not None:
        raise ValueError(
            f"period: expected None with the single graph {topology.name}, got {period}"
        )
    else:
        weights = rates
        if rates is not None and not is_traced(rates):
            checks.real("rates", rates, 0.0, shape=topology.mask.shape)
            total = np.asarray(rates, float)[np.asarray(topology.mask)].sum() / 2.0
            weights = np.asarray(rates, float) / total
        chi1, chi2 = spectra.chi(topology, weights)
        found = constants(chi1=chi1, chi2=chi2, **options)
        ticking = clocks(topology, found, rates)
    process = dadao_process(gradient, found)

    def init(params: Params) -> ProcessState:
        agents.check_leading_axis(params, topology.num_agents, "params")
        return process.init(start(params))

    def step(key: Key, state: ProcessState, inputs: Any) -> tuple[ProcessState, DadaoInfo]:
        event_key, jump_key = jax.random.split(key)
        events = poisson_events(
            event_key, ticking, events_per_step, start=state.time, intensity=intensity
        )
        state, _ = process.run(jump_key, state, events, inputs, every=events_per_step)
        return state, DadaoInfo(state.counts[GRADIENT], state.counts[GOSSIP], state.time)

    return Algorithm(init, step)


def _switching(
    sequence: Topology, period: float | jax.Array | None, **options: Any
) -> tuple[DadaoConstants, Clocks, Callable[[jax.Array], jax.Array]]:
    """Constants, candidate clocks and their intensity on a sequence of graphs."""
    chi1, chi2 = (np.max(value) for value in spectra.chi(sequence))
    found = constants(chi1=chi1, chi2=chi2, **options)
    length = 1.0 / chi1 if period is None else period
    edges, edge_intensity = switching_edge_clocks(
        sequence, length, total=found.gossip_rate, kind=GOSSIP
    )
    own = agent_clocks(sequence.num_agents, found.gradient_rate, kind=GRADIENT)

    def intensity(time: jax.Array) -> jax.Array:
        return jnp.concatenate([own.rates, edge_intensity(time)])

    return found, superpose(own, edges), intensity
