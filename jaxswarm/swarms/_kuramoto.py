"""Kuramoto oscillators, coupled all to all, over a graph, or within a distance.

Shapes: ``N`` oscillators.

References:
    Y. Kuramoto, Chemical oscillations, waves, and turbulence, 1984.
    S. Strogatz, From Kuramoto to Crawford, 2000 (``K_c = 2γ`` for Lorentzian frequencies).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.gossip import Mixing, mix
from jaxswarm.space import Report, Space, search
from jaxswarm.swarms.dynamics import (
    Dynamics,
    Number,
    active_mask,
    check_numbers,
    check_space,
    check_step,
    count_nonfinite,
    normals,
)
from jaxswarm.swarms.order import phase_order

STABLE = 2.785
"""Largest ``dt · coupling`` at which Runge-Kutta of fourth order is stable."""


class KuramotoParams(NamedTuple):
    """Parameters of the Kuramoto model; all may be traced.

    Attributes:
        coupling: ``K``, radians per unit of time.
        noise: strength ``σ`` of the additive noise ``σ dW``, radians per square root of time.
    """

    coupling: Number = 1.0
    noise: Number = 0.0


class Oscillators(NamedTuple):
    """The state of coupled oscillators.

    Attributes:
        phases: ``[N]`` radians in ``[0, 2π)``.
        frequencies: ``[N]``, natural frequencies, radians per unit of time.
        active: ``bool[N]``.
        positions: ``[N, d]``, or ``None`` without a space.
    """

    phases: jax.Array
    frequencies: jax.Array
    active: jax.Array
    positions: jax.Array | None = None


class KuramotoInfo(NamedTuple):
    """Measurements of one step.

    Attributes:
        order: ``[]``, the order parameter ``r`` in ``[0, 1]`` (1 in full synchrony).
        overflow: ``int32[]``, see :class:`jaxswarm.space.Report`.
        nonfinite: ``int32[]``, active oscillators with a NaN or infinite phase, frequency or
            position after the step.
    """

    order: jax.Array
    overflow: jax.Array
    nonfinite: jax.Array


def kuramoto(
    space: Space | None,
    num_agents: int,
    *,
    radius: float | None = None,
    among: Mixing | None = None,
    coupling: Number = 1.0,
    noise: Number = 0.0,
    dt: float = 0.05,
    frequencies: Callable[[jax.Array], jax.Array] = jax.random.normal,
    capacity: int | None = None,
    method: str = "auto",
) -> Dynamics:
    """Phase oscillators ``θ_i' = ω_i + K Σ_j w_ij sin(θ_j − θ_i)``, by fourth-order Runge-Kutta.

    All are coupled to all with ``w_ij = 1/N``, in ``O(N)``, unless ``radius`` or ``among`` says
    otherwise.

    **Gradients** with respect to ``coupling`` and ``noise`` are exact (within 0.2 % of differences
    over ±5 % after 20 steps), but phases of oscillators that are not locked drift apart, so that
    they grow with time and hold in an ever smaller neighbourhood: −3.2 against −5.6 after 200 steps
    at ``coupling=2``, and 39 after 2,000 steps at 0.8. They are zero with respect to the radius.

    Args:
        space: the domain, in which oscillators have fixed uniform positions; ``None`` where there
            is none, which ``radius`` needs.
        num_agents: ``N``.
        radius: couples oscillators to the average of their neighbours within it.
        among: couples them over a graph, with the weights of a mixing operator of
            :func:`jaxswarm.gossip.mixing`.
        coupling: ``K``.
        noise: strength ``σ`` of the additive noise ``σ dW``.
        dt: time step.
        frequencies: draws one natural frequency from a key; ``jax.random.cauchy`` gives the
            Lorentzian distribution.
        capacity: of the search within the radius, see :func:`jaxswarm.space.search`.
        method: likewise.

    Returns:
        A :class:`Dynamics` over :class:`Oscillators`.

    Raises:
        ValueError: for zero agents, a ``dt`` that is not positive or too long for the coupling,
            negative noise, a radius without a space or beside ``among``, an ``among`` of another
            kind or for another number of agents, and what :func:`jaxswarm.space.search` refuses.

    Example:
        >>> import jax, jaxswarm as js
        >>> model = js.swarms.kuramoto(None, 50, coupling=5.0)
        >>> state = model.init(jax.random.key(0))
        >>> state, records = js.rollout(model.step, state, 200, key=jax.random.key(1))
        >>> bool(records.info.order[-1] > 0.9)
        True
    """
    if space is not None:
        check_space(space)
    num_agents = checks.whole("num_agents", num_agents, 1)
    checks.function("frequencies", frequencies)
    if among is not None and not isinstance(among, Mixing):
        raise ValueError(
            "among: expected a mixing operator such as gossip.mixing(topology.ring(N)), got "
            f"{type(among).__name__}; neighbours within a distance: radius="
        )
    neighbors = None
    if radius is not None:
        if space is None or among is not None:
            wrong = "no space" if space is None else "among as well"
            raise ValueError(f"radius: expected None, or a space and no among, got {wrong}")
        neighbors = search(space, radius, num_agents, capacity=capacity, method=method)
    if among is not None and among.num_agents != num_agents:
        raise ValueError(f"among: expected {num_agents} agents, got {among.num_agents}")
    check_numbers(noise=noise)
    checks.real("coupling", coupling)
    strength = 0.0 if checks.is_traced(coupling) else abs(float(coupling))
    if strength > 0.0:
        check_step(dt, STABLE / strength, f"beyond which coupling {strength:g} is unstable")
    check_step(dt)
    defaults = KuramotoParams(coupling, noise)

    def init(key: jax.Array, active: ArrayLike | None = None) -> Oscillators:
        checks.key(key)
        phase_key, frequency_key, position_key = jax.random.split(key, 3)
        positions = None
        if space is not None:
            positions = space.uniform(agents.keys(position_key, num_agents))
        return Oscillators(
            2.0 * jnp.pi * jax.vmap(jax.random.uniform)(agents.keys(phase_key, num_agents)),
            jax.vmap(frequencies)(agents.keys(frequency_key, num_agents)),
            active_mask(num_agents, active),
            positions,
        )

    def field(phases: jax.Array, state: Oscillators) -> tuple[jax.Array, Report]:
        """The coupling term ``Σ_j w_ij sin(θ_j − θ_i)`` and the search's report."""
        own = jnp.where(
            state.active[:, None], jnp.stack([jnp.cos(phases), jnp.sin(phases)], axis=1), 0.0
        )
        report = Report(jnp.int32(0), jnp.int32(0), jnp.zeros(num_agents, bool))
        if among is not None:
            average = mix(among, own)
        elif neighbors is None:
            mean = jnp.sum(own, axis=0) / jnp.maximum(jnp.sum(state.active), 1)
            average = jnp.broadcast_to(mean, own.shape)
        else:
            assert state.positions is not None
            ones = jnp.ones(num_agents)
            (total, count), report = neighbors.sum(
                state.positions, (own, ones), active=state.active
            )
            average = total / jnp.maximum(count, 1.0)[:, None]
        return average[:, 1] * jnp.cos(phases) - average[:, 0] * jnp.sin(phases), report

    def step(
        key: jax.Array, state: Oscillators, parameters: KuramotoParams | None = None
    ) -> tuple[Oscillators, KuramotoInfo]:
        p = defaults if parameters is None else parameters

        def derivative(phases: jax.Array) -> tuple[jax.Array, Report]:
            pull, report = field(phases, state)
            return state.frequencies + p.coupling * pull, report

        k1, report = derivative(state.phases)
        k2, _ = derivative(state.phases + 0.5 * dt * k1)
        k3, _ = derivative(state.phases + 0.5 * dt * k2)
        k4, _ = derivative(state.phases + dt * k3)
        phases = state.phases + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        phases = phases + p.noise * math.sqrt(dt) * normals(key, num_agents, 1)[:, 0]
        phases = jnp.where(state.active, jnp.mod(phases, 2.0 * jnp.pi), state.phases)
        after = state._replace(phases=phases)
        bad = count_nonfinite(state.active, phases, state.frequencies, state.positions)
        return after, KuramotoInfo(phase_order(phases, state.active), report.overflow, bad)

    return Dynamics(init, step, defaults)
