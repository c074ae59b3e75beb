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
from jaxswarm.space import Report, Search
from jaxswarm.swarms.dynamics import (
    Dynamics,
    Number,
    active_mask,
    check_numbers,
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
        positions: ``[N, d]``, or ``None`` unless coupled within a distance.
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
    num_agents: int,
    *,
    among: Mixing | Search | None = None,
    coupling: Number = 1.0,
    noise: Number = 0.0,
    dt: float = 0.05,
    frequencies: Callable[[jax.Array], jax.Array] = jax.random.normal,
) -> Dynamics:
    """Phase oscillators ``θ_i' = ω_i + K Σ_j w_ij sin(θ_j − θ_i)``, by fourth-order Runge-Kutta.

    Args:
        num_agents: ``N``.
        among: the coupling weights ``w_ij``. ``None`` couples all to all, ``w_ij = 1/N``, in
            ``O(N)``; a mixing operator of :func:`jaxswarm.gossip.mixing` gives them over a graph; a
            :class:`jaxswarm.space.Search` puts oscillators at fixed uniform positions and averages
            over the neighbours within its radius.
        coupling: ``K``.
        noise: strength ``σ`` of the additive noise ``σ dW``.
        dt: time step.
        frequencies: draws one natural frequency from a key; ``jax.random.cauchy`` gives the
            Lorentzian distribution.

    Returns:
        A :class:`Dynamics` over :class:`Oscillators`.

    Raises:
        ValueError: for zero agents, a ``dt`` that is not positive or too long for the coupling,
            negative noise, or an ``among`` of another kind or for another number of agents.

    Example:
        >>> import jax, jaxswarm as js
        >>> model = js.swarms.kuramoto(50, coupling=5.0)
        >>> state = model.init(jax.random.key(0))
        >>> state, records = js.rollout(model.step, state, 200, key=jax.random.key(1))
        >>> bool(records.info.order[-1] > 0.9)
        True
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    checks.function("frequencies", frequencies)
    if among is not None and not isinstance(among, Mixing | Search):
        raise ValueError(
            "among: expected a mixing operator, a jaxswarm.space.Search or None, got "
            f"{type(among).__name__}"
        )
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
        if isinstance(among, Search):
            positions = among.space.uniform(agents.keys(position_key, num_agents))
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
        if among is None:
            mean = jnp.sum(own, axis=0) / jnp.maximum(jnp.sum(state.active), 1)
            average = jnp.broadcast_to(mean, own.shape)
        elif isinstance(among, Search):
            assert state.positions is not None
            ones = jnp.ones(num_agents)
            (total, count), report = among.sum(state.positions, (own, ones), active=state.active)
            average = total / jnp.maximum(count, 1.0)[:, None]
        else:
            average = mix(among, own)
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
