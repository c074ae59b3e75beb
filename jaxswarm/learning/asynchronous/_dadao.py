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
    """Agents at ``params`` (leaves ``[N, ...]``), momentum there too, all else zero.

    The theorem holds from any start with ``Σ z = Σ z̃ = 0``. The authors' code has ``x̃ = 0``, which
    would throw away what a warm start knows.
    """
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
    period: Any = None,
    events_per_step: int = 100,
) -> Algorithm:
    """DADAO with events drawn as it goes; a step is a batch of events, one after the other.

    Args:
        gradient: ``gradient(params, shard) -> ∇f_i``, of one agent.
        topology: undirected and connected, ``N >= 2``; or a sequence of such graphs, taken in turn
            over and over, whose worst ``χ₁`` and ``χ₂`` set the constants.
        smoothness: ``L``, of the least smooth ``f_i``.
        convexity: ``μ > 0``, of the least convex ``f_i``.
        rates: ``[E]`` relative edge rates of a single graph, such as
            :func:`~jaxswarm.topology.optimal_rates`; uniform by default.
        gossip_rate: see :func:`constants`.
        period: time each member of a sequence lasts; ``1/χ₁`` by default.
        events_per_step: gradients and exchanges together; of a sequence, candidates for them.

    Returns:
        ``init(params)`` for leaves ``[N, ...]`` and ``step(key, state, data)``; the state is a
        :class:`~jaxswarm.learning.asynchronous.events.ProcessState`, read by the ``at`` of
        :func:`dadao_process`.

    Raises:
        ValueError: on a disconnected or directed graph or member, edge rates that leave agents
            apart, ``rates`` with a sequence, ``period`` without one, or constants out of range.
    """
    options = {"smoothness": smoothness, "convexity": convexity, "gossip_rate": gossip_rate}
    intensity = None
    if topology.is_sequence:
        if rates is not None:
            raise ValueError("rates: expected none with a sequence: its edges ring alike")
        found, ringing, intensity = _switching(topology, period, **options)
    elif period is not None:
        raise ValueError(f"period: expected none with the single graph {topology.name}")
    else:
        weights = rates
        if rates is not None and not is_traced(rates):
            sum_once = np.asarray(rates, float)[np.asarray(topology.mask)].sum() / 2.0
            weights = np.asarray(rates, float) / sum_once
        chi1, chi2 = spectra.chi(topology, weights)
        found = constants(chi1=chi1, chi2=chi2, **options)
        ringing = clocks(topology, found, rates)
    process = dadao_process(gradient, found)

    def init(params: Any) -> ProcessState:
        agents.check_leading_axis(params, topology.num_agents, "params")
        return process.init(start(params))

    def step(key: jax.Array, state: ProcessState, inputs: Any) -> tuple[ProcessState, DadaoInfo]:
        event_key, jump_key = jax.random.split(key)
        events = poisson_events(
            event_key, ringing, events_per_step, start=state.time, intensity=intensity
        )
        state, _ = process.run(jump_key, state, events, inputs, every=events_per_step)
        return state, DadaoInfo(state.counts[GRADIENT], state.counts[GOSSIP], state.time)

    return Algorithm(init, step)


def _switching(sequence: Topology, period: Any, **options: Any) -> tuple[DadaoConstants, Any, Any]:
    """Constants, candidate clocks and their intensity on a sequence of graphs."""
    chi1, chi2 = (np.max(value) for value in spectra.chi(sequence))
    found = constants(chi1=chi1, chi2=chi2, **options)
    period = 1.0 / chi1 if period is None else period
    edges, edge_intensity = switching_edge_clocks(
        sequence, period, total=found.gossip_rate, kind=GOSSIP
    )
    own = agent_clocks(sequence.num_agents, found.gradient_rate, kind=GRADIENT)

    def intensity(time: jax.Array) -> jax.Array:
        return jnp.concatenate([own.rates, edge_intensity(time)])

    return found, superpose(own, edges), intensity
