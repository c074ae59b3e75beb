"""Search and rescue: searchers steer through a periodic square and find drifting targets.

The task, numbers and views of jumanji's environment of that name, written for many searchers: the
time to compute views hardly depends on the number of rays, and the time limit truncates (jumanji's
terminates there). A target is found when it is near a searcher and inside its cone of vision;
searchers that find it in the same step share one point, which is worth less the later it is.

Shapes: ``N`` searchers, ``M`` targets, ``R`` rays.

References:
    C. Bonnet et al., Jumanji: a diverse suite of scalable reinforcement learning environments in
    JAX, 2023 (the task).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.search_and_rescue import viewer
from jaxswarm.space import Space, length

SQUARE = Space((1.0, 1.0))
NOTHING = -1.0
"""Value of a ray that meets no body."""


class SearchParams(NamedTuple):
    """Physics, traced: lengths in sides of the square, angles in units of π, per step.

    Attributes:
        contact: distance below which a target is found.
        max_rotate: rotation of a full action.
        max_accelerate: acceleration of a full action.
        min_speed: lower bound of a searcher's speed.
        max_speed: upper bound of a searcher's speed.
        searcher_vision: distance up to which other searchers are visible.
        target_vision: distance up to which targets are visible.
        view_angle: half angle of the cone of vision.
        radius: of all bodies; the nearer a body is, the more rays it covers.
        drift: standard deviation of a target's acceleration.
        max_drift: a target's top speed.
    """

    contact: Any = 0.02
    max_rotate: Any = 0.25
    max_accelerate: Any = 0.005
    min_speed: Any = 0.005
    max_speed: Any = 0.02
    searcher_vision: Any = 0.4
    target_vision: Any = 0.1
    view_angle: Any = 0.4
    radius: Any = 0.02
    drift: Any = 0.0001
    max_drift: Any = 0.002


class SearchWorld(NamedTuple):
    """State of searchers and targets.

    Attributes:
        position: ``[N, 2]`` in ``[0, 1)``.
        heading: ``[N]`` in ``[0, 2π)``.
        speed: ``[N]``.
        targets: ``[M, 2]``, their positions.
        drift: ``[M, 2]``, their velocities.
        found: ``bool[M]``.
        time: ``int32[]``, steps so far.
    """

    position: jax.Array
    heading: jax.Array
    speed: jax.Array
    targets: jax.Array
    drift: jax.Array
    found: jax.Array
    time: jax.Array


class SearchObservation(NamedTuple):
    """Observation of each searcher.

    Attributes:
        views: ``[N, 3, R]``: along each ray, from the left edge of the cone to the right, the
            distance to the nearest searcher, found target and missing target as a share of the
            visibility; −1 where there is none.
        remaining: ``[N, 1]``, the share of targets that are missing.
        time: ``[N, 1]``, the share of the episode that has passed.
        position: ``[N, 2]``, its own.
        agent_mask: ``bool[N]``, always true.
    """

    views: jax.Array
    remaining: jax.Array
    time: jax.Array
    position: jax.Array
    agent_mask: jax.Array


class SearchAndRescue(SwarmEnvironment):
    """Search and rescue with actions ``float32[N, 2]`` in ``[-1, 1]``: rotate and accelerate.

    Args:
        num_agents: number of searchers, ``N``.
        num_targets: ``M``.
        num_rays: ``R``.
        time_limit: steps of an episode, which ends before if all targets are found.

    Raises:
        ValueError: if there are no targets or fewer than two rays.
    """

    def __init__(
        self,
        num_agents: int = 2,
        num_targets: int = 40,
        num_rays: int = 128,
        time_limit: int = 400,
    ):
        self.num_targets = checks.whole("num_targets", num_targets, 1)
        self.num_rays = checks.whole("num_rays", num_rays, 2)
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> SearchParams:
        """The physics of the original."""
        return SearchParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 2]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: SearchParams) -> SearchWorld:
        """Searchers and targets at uniform positions, targets at rest."""
        searcher_key, target_key = jax.random.split(key)
        draw = jax.vmap(lambda k: jax.random.uniform(k, (4,)))
        x = draw(agents.keys(searcher_key, self.num_agents))
        targets = SQUARE.uniform(agents.keys(target_key, self.num_targets))
        return SearchWorld(
            position=x[:, :2],
            heading=2.0 * jnp.pi * x[:, 2],
            speed=params.min_speed + x[:, 3] * (params.max_speed - params.min_speed),
            targets=targets,
            drift=jnp.zeros_like(targets),
            found=jnp.zeros(self.num_targets, bool),
            time=jnp.int32(0),
        )

    def advance(
        self, key: jax.Array, world: SearchWorld, action: jax.Array, params: SearchParams
    ) -> Outcome:
        """Steer and move, let the targets drift, then find targets."""
        action = jnp.clip(action, -1.0, 1.0)
        turn = params.max_rotate * jnp.pi * action[:, 0]
        heading = jnp.mod(world.heading + turn, 2.0 * jnp.pi)
        speed = jnp.clip(
            world.speed + params.max_accelerate * action[:, 1], params.min_speed, params.max_speed
        )
        course = jnp.stack([jnp.cos(heading), jnp.sin(heading)], axis=1)
        position = SQUARE.wrap(world.position + speed[:, None] * course)
        draw = jax.vmap(lambda k: jax.random.normal(k, (2,)))
        drift = world.drift + params.drift * draw(agents.keys(key, self.num_targets))
        pace = length(drift)
        slower = jnp.where(pace > params.max_drift, params.max_drift / jnp.maximum(pace, 1e-12), 1)
        drift = drift * slower[:, None]
        targets = SQUARE.wrap(world.targets + drift)

        away, bearing = _bearings(position, heading, targets)
        found = (away < params.contact) & (jnp.abs(bearing) <= params.view_angle * jnp.pi)
        found &= ~world.found[None, :]
        finders = jnp.sum(found, axis=0)
        points = jnp.sum(found / jnp.maximum(finders, 1)[None, :], axis=1)
        reward = points * (self.time_limit - world.time) / self.time_limit
        all_found = world.found | (finders > 0)
        world = SearchWorld(position, heading, speed, targets, drift, all_found, world.time + 1)
        metrics = {"found": jnp.sum(all_found).astype(jnp.int32)}
        return Outcome(world, reward.astype(jnp.float32), jnp.all(all_found), metrics)

    def draw(self, world: SearchWorld, params: SearchParams, ax: Any) -> None:
        """Draw searchers and targets; see :mod:`jaxswarm.envs.search_and_rescue.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: SearchWorld, params: SearchParams, step_count: jax.Array
    ) -> SearchObservation:
        """Rays over the cone of vision, and the progress of the search."""
        del step_count
        n = self.num_agents
        to_searchers = _bearings(world.position, world.heading, world.position)
        to_targets = _bearings(world.position, world.heading, world.targets)
        others = jnp.where(jnp.eye(n, dtype=bool), -1, 0)
        kinds = jnp.broadcast_to(jnp.where(world.found, 0, 1)[None, :], to_targets[0].shape)
        cone = (params.view_angle * jnp.pi, params.radius)
        views = [
            rays(*to_searchers, others, 1, self.num_rays, params.searcher_vision, *cone),
            rays(*to_targets, kinds, 2, self.num_rays, params.target_vision, *cone),
        ]
        return SearchObservation(
            views=jnp.concatenate(views, axis=1),
            remaining=jnp.full((n, 1), 1.0 - jnp.mean(world.found.astype(jnp.float32))),
            time=jnp.full((n, 1), world.time / self.time_limit),
            position=world.position,
            agent_mask=jnp.ones(n, bool),
        )


def _bearings(
    position: jax.Array, heading: jax.Array, others: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Distances ``[N, M]``, and angles from each body to the heading, in ``[-π, π]``.

    Both are NaN where a position is.
    """
    dx = SQUARE.shorten(others[None, :, 0] - position[:, None, 0], 0)
    dy = SQUARE.shorten(others[None, :, 1] - position[:, None, 1], 1)
    squared = jnp.square(dx) + jnp.square(dy)
    same = squared == 0.0
    away = jnp.where(same, 0.0, jnp.sqrt(jnp.where(same, 1.0, squared)))
    angle = jnp.arctan2(jnp.where(same, 0.0, dy), jnp.where(same, 1.0, dx))
    past = heading[:, None] - angle
    return away, past - 2.0 * jnp.pi * jnp.round(past / (2.0 * jnp.pi))


def rays(
    away: jax.Array,
    bearing: jax.Array,
    kinds: jax.Array,
    num_kinds: int,
    num_rays: int,
    vision: jax.Array,
    angle: jax.Array,
    radius: jax.Array,
) -> jax.Array:
    """Distance to the nearest body of each kind along every ray, ``[N, num_kinds, R]``.

    A body covers a run of neighbouring rays. It is entered in the table of the largest power of two
    that fits into its run, at the run's two ends; then the minima of every table are passed to the
    one of half the length. That is ``M + R log R`` steps per agent, where comparing every ray with
    every body takes ``R M``. Views jump from ray to ray and have no gradient.

    Args:
        away: ``[N, M]`` distances.
        bearing: ``[N, M]``, angles from each body to the heading, radians.
        kinds: ``int32[N, M]``, −1 for bodies that are not shown.
        num_kinds: number of kinds.
        num_rays: ``R``, evenly from ``-angle`` to ``angle``.
        vision: distance up to which bodies are visible; distance 1 in the views.
        angle: half angle of the cone, radians.
        radius: of the bodies.
    """
    away, bearing = jax.lax.stop_gradient((away, bearing))
    n = away.shape[0]
    half = jnp.arctan2(jnp.broadcast_to(radius, away.shape), away)
    per_radian = (num_rays - 1) / (2.0 * angle)
    first = jnp.ceil((bearing - half + angle) * per_radian)
    last = jnp.floor((bearing + half + angle) * per_radian)
    visible = (away < vision) & (kinds >= 0)  # false where a position is NaN
    first = jnp.where(visible, jnp.maximum(first, 0.0), 0.0).astype(jnp.int32)
    last = jnp.where(visible, jnp.minimum(last, num_rays - 1.0), -1.0).astype(jnp.int32)
    visible &= last >= first
    levels = (num_rays - 1).bit_length() + 1
    level = 31 - jax.lax.clz(jnp.maximum(last - first + 1, 1))
    table = jnp.full((n, num_kinds, levels, num_rays), jnp.inf)
    agent = jnp.arange(n)[:, None]
    for at in (first, last - (1 << level) + 1):
        at = jnp.where(visible, at, num_rays)  # beyond the table: dropped
        table = table.at[agent, kinds, level, at].min(away / vision, mode="drop")
    nearest = table[:, :, -1]
    for size in reversed(range(levels - 1)):
        step = min(1 << size, num_rays)
        gap = jnp.full((n, num_kinds, step), jnp.inf)
        later = jnp.concatenate([gap, nearest[..., : num_rays - step]], axis=-1)
        nearest = jnp.minimum(table[:, :, size], jnp.minimum(nearest, later))
    return jnp.where(jnp.isfinite(nearest), nearest, NOTHING)
