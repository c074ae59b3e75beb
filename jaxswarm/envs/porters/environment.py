"""Porters: walkers in a row carry one long package over rough ground.

A substitute for “multiwalker”, which has no JAX port, and not that task: there are no legs and no
rigid-body solver here. The coordination problem is kept: all must advance together, the package
falls if walkers drift apart, crowd or tilt it, and each observes only itself, its two neighbours
and the ground ahead.

Walkers are point masses on a line. The package rests on their heads: it falls when a gap between
neighbours leaves ``[gap_min, gap_max]`` or its slope, fitted through the heads, is too steep.

Shapes: ``N`` walkers in a row, from back to front.

References:
    J. K. Gupta, M. Egorov, M. Kochenderfer, Cooperative multi-agent control using deep
    reinforcement learning, 2017 (multiwalker, the task this stands in for).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.porters import viewer


class PortersParams(NamedTuple):
    """Physics, traced; lengths in units of the gap at rest.

    Attributes:
        time_step: seconds.
        damping: share of the velocity lost in a step.
        acceleration: of a full action.
        gravity: pull of a slope of one.
        roughness: height of the ground's waves.
        gap_min: smallest gap between neighbours that holds the package.
        gap_max: largest gap between neighbours that holds the package.
        slope_max: largest slope of the package.
        progress: reward per unit of length that the package advances.
        fall: penalty of every walker when the package falls.
    """

    time_step: Any = 0.1
    damping: Any = 0.2
    acceleration: Any = 4.0
    gravity: Any = 1.0
    roughness: Any = 0.2
    gap_min: Any = 0.5
    gap_max: Any = 1.5
    slope_max: Any = 0.5
    progress: Any = 1.0
    fall: Any = 10.0


class PortersWorld(NamedTuple):
    """``position``, ``velocity``: ``[N]`` along the line; ``phase [3]`` of the ground's waves."""

    position: jax.Array
    velocity: jax.Array
    phase: jax.Array


class PortersObservation(NamedTuple):
    """Observation of each walker.

    Attributes:
        velocity: ``[N, 1]``, its own.
        neighbors: ``[N, 4]``: gap and relative velocity to the walker behind and the one in front,
            zeros where there is none.
        ends: ``[N, 2]``: 1 if it is the last, 1 if it is the first.
        ground: ``[N, 5]``, heights ahead relative to its own.
        package: ``[N, 1]``, the package's slope.
        agent_mask: ``bool[N]``.
    """

    velocity: jax.Array
    neighbors: jax.Array
    ends: jax.Array
    ground: jax.Array
    package: jax.Array
    agent_mask: jax.Array


class Porters(SwarmEnvironment):
    """Porters with forces ``float32[N, 1]`` in ``[-1, 1]`` as actions, forward positive.

    Args:
        num_agents: ``N``, at least 2.
        time_limit: steps of an episode.

    Raises:
        ValueError: if there are fewer than two walkers.
    """

    def __init__(self, num_agents: int = 3, time_limit: int = 200):
        super().__init__(checks.whole("num_agents", num_agents, 2), time_limit)

    @property
    def params(self) -> PortersParams:
        """Physics with gentle hills."""
        return PortersParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 1]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, 1)

    def start(self, key: jax.Array, params: PortersParams) -> PortersWorld:
        """A row at rest, nearly one gap apart, on ground of its own."""
        del params
        place_key, ground_key = jax.random.split(key)
        shift = jax.vmap(lambda k: jax.random.uniform(k, (), minval=-0.1, maxval=0.1))(
            agents.keys(place_key, self.num_agents)
        )
        position = jnp.arange(self.num_agents, dtype=jnp.float32) + shift
        phase = jax.random.uniform(ground_key, (3,), maxval=2.0 * jnp.pi)
        return PortersWorld(position, jnp.zeros(self.num_agents), phase)

    def advance(
        self, key: jax.Array, world: PortersWorld, action: jax.Array, params: PortersParams
    ) -> Outcome:
        """Move; reward the package's progress; end the episode if it falls."""
        del key
        pull = -params.gravity * jax.vmap(jax.grad(self._height), (0, None, None))(
            world.position, world.phase, params
        )
        force = params.acceleration * jnp.clip(action[:, 0], -1.0, 1.0) + pull
        velocity = world.velocity * (1.0 - params.damping) + params.time_step * force
        position = world.position + params.time_step * velocity
        after = PortersWorld(position, velocity, world.phase)
        gaps = jnp.diff(position)
        slope = self._slope(after, params)
        together = jnp.all((gaps >= params.gap_min) & (gaps <= params.gap_max))
        fell = ~(
            together & (jnp.abs(slope) <= params.slope_max)
        )  # a walker that is nowhere drops it
        advance = jnp.mean(position) - jnp.mean(world.position)
        advance = jnp.where(jnp.isnan(advance), 0.0, advance)
        reward = params.progress * advance - params.fall * fell
        metrics = {"advance": advance, "fell": fell}
        return Outcome(after, jnp.full(self.num_agents, reward), fell, metrics)

    def draw(self, world: PortersWorld, params: PortersParams, ax: Any) -> None:
        """Draw a side view; see :mod:`jaxswarm.envs.porters.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: PortersWorld, params: PortersParams, step_count: jax.Array
    ) -> PortersObservation:
        """Own speed, neighbours, ground ahead, the package's slope."""
        del step_count
        n = self.num_agents
        gaps = jnp.stack([jnp.diff(world.position), jnp.diff(world.velocity)], axis=1)
        none = jnp.zeros((1, 2))
        behind = jnp.concatenate([none, gaps])
        front = jnp.concatenate([gaps, none])
        height = jax.vmap(jax.vmap(self._height, (0, None, None)), (0, None, None))
        ahead = world.position[:, None] + 0.5 * jnp.arange(6.0)[None, :]
        ground = height(ahead, world.phase, params)
        order = jnp.arange(n)
        return PortersObservation(
            velocity=world.velocity[:, None],
            neighbors=jnp.concatenate([behind, front], axis=1),
            ends=jnp.stack([order == 0, order == n - 1], axis=1).astype(jnp.float32),
            ground=ground[:, 1:] - ground[:, :1],
            package=jnp.full((n, 1), self._slope(world, params)),
            agent_mask=jnp.ones(n, bool),
        )

    def _height(self, x: jax.Array, phase: jax.Array, params: PortersParams) -> jax.Array:
        waves = jnp.array([0.7, 1.3, 2.9])
        return params.roughness * jnp.mean(jnp.sin(waves * x + phase))

    def _slope(self, world: PortersWorld, params: PortersParams) -> jax.Array:
        """Slope of the least-squares line through the heads of all walkers that are somewhere."""
        placed = ~jnp.isnan(world.position)
        position = jnp.where(placed, world.position, 0.0)
        heights = jax.vmap(self._height, (0, None, None))(position, world.phase, params)
        center = jnp.sum(position) / jnp.maximum(jnp.sum(placed), 1)
        x = jnp.where(placed, position - center, 0.0)
        return jnp.sum(x * heights) / jnp.maximum(jnp.sum(jnp.square(x)), 1e-6)
