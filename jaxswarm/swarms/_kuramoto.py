"""Kuramoto's oscillators: everyone, over a graph, or within a disc around fixed positions.

Shapes: ``N`` oscillators.

References:
    Y. Kuramoto, Chemical oscillations, waves, and turbulence, 1984.
    S. Strogatz, From Kuramoto to Crawford, 2000 (``K_c = 2γ`` for Lorentzian frequencies).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip import Mixing, mix
from jaxswarm.space import Report, Search
from jaxswarm.swarms.law import Law, check_numbers, everyone, normals
from jaxswarm.swarms.order import phase_order


class KuramotoParams(NamedTuple):
    """Numbers of the law; all may be traced. ``coupling`` is ``K``, ``noise`` per root time."""

    coupling: Any = 1.0
    noise: Any = 0.0


class Oscillators(NamedTuple):
    """``phases [N]`` in radians, natural ``frequencies [N]``, ``active bool[N]``.

    ``positions [N, d]`` or ``None``, used by the disc only.
    """

    phases: jax.Array
    frequencies: jax.Array
    active: jax.Array
    positions: Any = None


class KuramotoInfo(NamedTuple):
    """``order``: ``r`` in ``[0, 1]``; ``overflow`` and ``nonfinite`` of the neighbour search."""

    order: jax.Array
    overflow: jax.Array
    nonfinite: jax.Array


def kuramoto(
    num_agents: int,
    *,
    among: Mixing | Search | None = None,
    coupling: Any = 1.0,
    noise: Any = 0.0,
    dt: float = 0.05,
    frequencies: Callable[[jax.Array], jax.Array] = jax.random.normal,
) -> Law:
    """``θ_i' = ω_i + K Σ_j w_ij sin(θ_j − θ_i)``, by Runge and Kutta's fourth-order rule.

    Args:
        num_agents: ``N``.
        among: ``None`` couples all with all, ``w_ij = 1/N``, in ``O(N)``. A mixing operator of
            :func:`jaxswarm.gossip` gives ``w_ij``. A :class:`jaxswarm.space.Search` puts
            oscillators at uniform fixed positions and averages over those within its radius.
        coupling: ``K``, may be traced.
        noise: strength of additive noise, ``σ dW``; may be traced.
        dt: time step.
        frequencies: draws one natural frequency from a key; ``jax.random.cauchy`` is Lorentzian.

    Returns:
        A :class:`Law` over :class:`Oscillators`.

    Raises:
        ValueError: zero agents, ``dt`` not positive, negative noise, or an operator or search for
            another number of agents.
    """
    if num_agents < 1:
        raise ValueError(f"num_agents: expected at least 1, got {num_agents}")
    if not math.isfinite(dt) or dt <= 0.0:
        raise ValueError(f"dt: expected a positive finite time step, got {dt}")
    if among is not None and among.num_agents != num_agents:
        raise ValueError(f"among: expected {num_agents} agents, got {among.num_agents}")
    check_numbers(noise=noise)
    defaults = KuramotoParams(coupling, noise)

    def init(key: jax.Array, active: Any = None) -> Oscillators:
        start, natural, places = jax.random.split(key, 3)
        positions = None
        if isinstance(among, Search):
            positions = among.space.uniform(agents.keys(places, num_agents))
        return Oscillators(
            2.0 * jnp.pi * jax.vmap(jax.random.uniform)(agents.keys(start, num_agents)),
            jax.vmap(frequencies)(agents.keys(natural, num_agents)),
            everyone(num_agents, active),
            positions,
        )

    def field(phases: jax.Array, state: Oscillators) -> tuple[jax.Array, Report]:
        """``Σ_j w_ij sin(θ_j − θ_i)``."""
        own = jnp.where(
            state.active[:, None], jnp.stack([jnp.cos(phases), jnp.sin(phases)], axis=1), 0.0
        )
        report = Report(jnp.int32(0), jnp.int32(0), jnp.zeros(num_agents, bool))
        if among is None:
            mean = jnp.sum(own, axis=0) / jnp.maximum(jnp.sum(state.active), 1)
            seen = jnp.broadcast_to(mean, own.shape)
        elif isinstance(among, Search):
            ones = jnp.ones(num_agents)
            (seen, count), report = among.sum(state.positions, (own, ones), active=state.active)
            seen = seen / jnp.maximum(count, 1.0)[:, None]
        else:
            seen = mix(among, own)
        return seen[:, 1] * jnp.cos(phases) - seen[:, 0] * jnp.sin(phases), report

    def step(
        key: jax.Array, state: Oscillators, parameters: Any = None
    ) -> tuple[Oscillators, KuramotoInfo]:
        p = defaults if parameters is None else parameters

        def slope(phases: jax.Array) -> tuple[jax.Array, Report]:
            pull, report = field(phases, state)
            return state.frequencies + p.coupling * pull, report

        one, report = slope(state.phases)
        two, _ = slope(state.phases + 0.5 * dt * one)
        three, _ = slope(state.phases + 0.5 * dt * two)
        four, _ = slope(state.phases + dt * three)
        phases = state.phases + dt / 6.0 * (one + 2.0 * two + 2.0 * three + four)
        phases = phases + p.noise * math.sqrt(dt) * normals(key, num_agents, 1)[:, 0]
        phases = jnp.where(state.active, jnp.mod(phases, 2.0 * jnp.pi), state.phases)
        after = state._replace(phases=phases)
        return after, KuramotoInfo(phase_order(phases, state.active), *report[:2])

    return Law(init, step, defaults)
