"""Draw tasks of a given horizon: goals and a start from which the plan has that many actions."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._planner import Goals, Plan, plan
from jaxswarm.systems.fantasy_hsi._walker import PICK, PLACE, SIT, STOP
from jaxswarm.types import Key


class Tasks(NamedTuple):
    """Tasks in one scene, grouped by horizon.

    Attributes:
        pose: ``float32[K, 3]``, start poses.
        goals: leaves ``[K, 2]``.
        plan: leaves ``[K, …]``, from the start.
        horizon: ``int32[K]``, the horizon that was asked for.
        valid: ``bool[K]``, whether a plan of that length was found; others must not be counted.
    """

    pose: jax.Array
    goals: Goals
    plan: Plan
    horizon: jax.Array
    valid: jax.Array


def draw_tasks(
    key: Key,
    scene: scenes.Scene,
    fields: jax.Array,
    horizons: Sequence[int],
    per_horizon: int,
    *,
    tries: int = 96,
) -> Tasks:
    """Draw tasks whose plans have given numbers of actions.

    Goals are to sit, to pick something up, or to pick something up and then to place it or to sit.

    Args:
        key: random key.
        scene: a single scene with an object of each kind at indices 0, 1 and 2 modulo 3, as
            ``scenes.draw`` makes them.
        fields: ``int32[O, H, W]`` of ``scenes.fields``.
        horizons: numbers of actions, each at least 1, static.
        per_horizon: tasks of each horizon, at least 1, static.
        tries: random starts and goals among which tasks are looked for, static.

    Returns:
        ``K = len(horizons) · per_horizon`` tasks.

    Raises:
        ValueError: for sizes below 1, fewer tries than tasks, or a scene with fewer than three
            objects.
    """
    checks.key(key)
    scenes.check_scene(scene)
    horizons = [checks.whole("horizons", horizon, 1) for horizon in horizons]
    per_horizon = checks.whole("per_horizon", per_horizon, 1)
    tries = checks.whole("tries", tries, per_horizon)
    groups = len(scene.kind) // 3
    if not groups:
        raise ValueError(f"scene: expected at least three objects, got {len(scene.kind)}")
    place_key, uniform_key = jax.random.split(key)
    free = scenes.walkable(scene, 0.3)
    uniform = jax.random.uniform(uniform_key, (tries, 6))
    noise = jax.random.gumbel(place_key, (tries, free.size))

    def candidate(uniform: jax.Array, noise: jax.Array) -> tuple[jax.Array, Goals, Plan, jax.Array]:
        first = jnp.where(uniform[1] < 0.5, PICK, SIT)
        second = jnp.where(uniform[2] < 0.5, PLACE, SIT)
        second = jnp.where((first == SIT) | (uniform[2] < 0.25), STOP, second)
        verbs = jnp.stack([first, second]).astype(jnp.int32)
        kinds = jnp.where(verbs == STOP, 0, verbs - SIT)
        objects = kinds + 3 * jnp.floor(uniform[3:5] * groups).astype(jnp.int32)
        wanted = Goals(verbs, objects)
        # Starts near the first object as often as far from it, so that short plans occur.
        near = fields[objects[0]] <= 3 + 45 * uniform[5] ** 3
        index = jnp.argmax(jnp.where((free & near).ravel(), noise, -jnp.inf))
        cell = jnp.stack(jnp.unravel_index(index, free.shape))
        pose = jnp.append(scenes.center_of(scene, cell), 2 * jnp.pi * uniform[0] - jnp.pi)
        made = plan(scene, fields, wanted, pose, max_actions=max(horizons) + 1)
        reachable = fields[:, cell[0], cell[1]] < free.size
        return pose, wanted, made, reachable[objects].all() & free[cell[0], cell[1]]

    poses, wanted, made, near = jax.vmap(candidate)(uniform, noise)
    good = near & made.is_complete
    rows, valid = [], []
    order = jnp.arange(tries) / tries
    for horizon in horizons:
        score, index = jax.lax.top_k((good & (made.length == horizon)) + 0.5 * order, per_horizon)
        rows.append(index)
        valid.append(score >= 1.0)
    chosen = jnp.concatenate(rows)
    pick = lambda tree: jax.tree.map(lambda leaf: leaf[chosen], tree)  # noqa: E731
    asked = jnp.repeat(jnp.array(horizons, jnp.int32), per_horizon)
    return Tasks(pick(poses), pick(wanted), pick(made), asked, jnp.concatenate(valid))
