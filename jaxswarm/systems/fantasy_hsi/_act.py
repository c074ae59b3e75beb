"""One call for users: check the task, then run the closed loop to its end."""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._critic import Critic
from jaxswarm.systems.fantasy_hsi._figure import NUM_JOINTS, pose_of
from jaxswarm.systems.fantasy_hsi._generator import Generate
from jaxswarm.systems.fantasy_hsi._loop import Episode, StepInfo, closed_loop, start
from jaxswarm.systems.fantasy_hsi._planner import Goals, Planner
from jaxswarm.systems.fantasy_hsi._walker import STOP
from jaxswarm.types import ArrayLike, Key


def check_task(scene: scenes.Scene, goals: Goals, body: ArrayLike) -> jax.Array:
    """Check that a task can be begun, before any motion is generated, and return the fields.

    Args:
        scene: a single scene.
        goals: of :func:`goals`.
        body: ``float[J, 3]``, the figure at the start, in world coordinates.

    Returns:
        ``int32[O, H, W]``, the navigator's distance fields.

    Raises:
        ValueError: for an empty plan, a body of another shape or one that is not finite, a start
            outside of the scene or inside an obstacle, or a goal that cannot be reached from it.
    """
    scenes.check_scene(scene)
    checks.concrete("scene, goals, body", (scene, goals, body))
    checks.instance("goals", goals, Goals, 'fantasy_hsi.goals(scene, ("sit", 0))')
    checks.real("body", body, shape=(NUM_JOINTS, 3))
    wanted = [int(o) for o, v in zip(goals.object, goals.verb, strict=True) if int(v) != STOP]
    if not wanted:
        raise ValueError("goals: expected at least one goal, got an empty plan")
    point = pose_of(jnp.asarray(body, jnp.float32))[:2]
    height, width = scene.occupied.shape
    inside = bool(((point >= 0) & (point < scene.cell * jnp.array([width, height]))).all())
    at = scenes.cell_of(scene, point)
    if not inside or bool(scene.occupied[at[0], at[1]]):
        where = "inside an obstacle" if inside else "outside of the scene"
        raise ValueError(f"body: expected a start in free space, got {point.tolist()}, {where}")
    fields = scenes.fields(scene)
    begin = scenes.nearest_walkable(scene, point, fields[wanted[0]])
    for goal, index in enumerate(wanted):
        if int(fields[index][begin[0], begin[1]]) >= fields[index].size or (
            goal == 0 and bool(jnp.linalg.norm(scenes.center_of(scene, begin) - point) > 0.6)
        ):
            raise ValueError(
                f"goals: expected goals that can be reached from {point.tolist()}, got object "
                f"{index}, to which no way leads"
            )
    return fields


def act(
    key: Key,
    scene: scenes.Scene,
    goals: Goals,
    body: ArrayLike,
    generate: Generate,
    *,
    planner: Planner | None = None,
    critic: Critic | None = None,
    retries: int = 3,
    max_calls: int = 32,
) -> tuple[Episode, StepInfo]:
    """Pursue goals in a scene: plan, generate, judge, retry, and correct from the actual state.

    Args:
        key: random key.
        scene: a single scene.
        goals: of :func:`goals`.
        body: ``float[J, 3]``, the figure at the start, such as ``standing(pose)``.
        generate: the motion generator: :func:`flow_generator`, or a user's own.
        planner: :func:`grammar_planner` by default; :func:`backend_planner` asks a host.
        critic: :func:`geometric_critic` by default; :func:`backend_critic` asks a host.
        retries: new tries after a rejected clip before the least bad one counts.
        max_calls: calls of the generator, at least 1; also the capacity of the graph.

    Returns:
        The last state (``progress`` goals reached, ``graph`` of states and actions) and what every
        call did, leaves ``[max_calls, …]``; ``active`` marks the calls that were made.

    Raises:
        ValueError: as :func:`check_task` and :func:`closed_loop`.

    References:
        Mu et al., FantasyHSI: video-generation-centric 4D human synthesis in any scene through a
        graph-based multi-agent framework, 2025.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import scenes
        >>> from jaxswarm.systems import fantasy_hsi
        >>> scene = scenes.draw(jax.random.key(0), "clutter")
        >>> goals = fantasy_hsi.goals(scene, ("pick", 1), ("sit", 0))
        >>> body = fantasy_hsi.standing(scene.pose[2])
        >>> episode, steps = fantasy_hsi.act(
        ...     jax.random.key(1), scene, goals, body, fantasy_hsi.exact_generator()
        ... )
        >>> int(episode.progress), int(episode.graph.overflow)
        (2, 0)
    """
    checks.key(key)
    max_calls = checks.whole("max_calls", max_calls, 1)
    fields = check_task(scene, goals, body)
    step = closed_loop(generate, planner=planner, critic=critic, retries=retries)

    def run(key: jax.Array, scene: scenes.Scene, fields: jax.Array, goals: Goals, body: jax.Array):
        def call(state: Episode, index: jax.Array) -> tuple[Episode, StepInfo]:
            return step(
                jax.random.fold_in(key, index), state, scene, fields, goals, jnp.asarray(max_calls)
            )

        return jax.lax.scan(call, start(body, max_calls), jnp.arange(max_calls))

    return jax.jit(run)(key, scene, fields, goals, jnp.asarray(body, jnp.float32))
