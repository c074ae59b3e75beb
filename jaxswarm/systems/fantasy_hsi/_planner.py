"""The planner: a task grammar of verbs and objects, and their split into atomic actions.

A goal is a verb with an object: sit on a seat, pick up an item, place on a surface. The planner
returns the next atomic action from where the figure is: walk to a waypoint, turn, or the verb of
the goal itself. A plan is what it returns when every action ends exactly at its target.

Shapes: ``O`` objects, ``G`` goals, ``L`` actions of a plan.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._figure import relative_pose, wrap
from jaxswarm.systems.fantasy_hsi._walker import GO, PICK, PLACE, SIT, STOP, TURN, VERBS, duration
from jaxswarm.types import ArrayLike

REACH, FACING = 0.15, 0.35
"""Distance in metres and angle in radians from an interaction pose at which the verb can begin."""

WIDEST = 1.0
"""Angle in radians to a waypoint from which the figure turns before it walks."""

OBJECT_OF = {SIT: scenes.SEAT, PICK: scenes.ITEM, PLACE: scenes.SURFACE}
"""Kind of object that a verb needs."""


class Goals(NamedTuple):
    """A long goal, a sequence of verbs with objects.

    Attributes:
        verb: ``int32[G]``, index into ``VERBS``; ``STOP`` in padded slots, which come last.
        object: ``int32[G]`` in ``[0, O)``.
    """

    verb: jax.Array
    object: jax.Array


class Action(NamedTuple):
    """An atomic action.

    Attributes:
        verb: ``int32[]``, index into ``VERBS``; ``STOP`` when nothing is left to do.
        target: ``float32[3]``, pose at its end.
        seconds: ``float32[]``, its duration.
        completes: ``bool[]``, whether it is the last action of a goal.
    """

    verb: jax.Array
    target: jax.Array
    seconds: jax.Array
    completes: jax.Array


class Planner(Protocol):
    """The next action from the actual state; :func:`grammar_planner` or a user's own."""

    def __call__(
        self,
        key: jax.Array,
        scene: scenes.Scene,
        fields: jax.Array,
        goals: Goals,
        pose: jax.Array,
        progress: jax.Array,
    ) -> Action:
        """Return the action; ``progress`` is the number of goals reached."""
        ...


def goals(scene: scenes.Scene, *steps: tuple[str, int], length: int | None = None) -> Goals:
    """A sequence of goals such as ``("pick", 1), ("place", 2)``, checked against the grammar.

    Args:
        scene: the scene of the objects.
        steps: verb and object of each goal, at least one.
        length: number of slots ``G``; that of ``steps`` by default.

    Raises:
        ValueError: without a goal (an empty plan), for an unknown verb or one that is no goal, an
            object of another kind than the verb needs, placing before picking, or more goals than
            slots.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import scenes
        >>> from jaxswarm.systems import fantasy_hsi
        >>> scene = scenes.draw(jax.random.key(0))
        >>> fantasy_hsi.goals(scene, ("pick", 1), ("place", 2), length=3).verb.tolist()
        [3, 4, 5]
    """
    scenes.check_scene(scene)
    checks.concrete("scene", scene)
    if not steps:
        raise ValueError('steps: expected at least one goal such as ("sit", 0), got none')
    names = [VERBS[verb] for verb in OBJECT_OF]
    verbs, objects, held = [], [], False
    for step in steps:
        if not isinstance(step, Sequence) or isinstance(step, str) or len(step) != 2:
            raise ValueError(f'steps: expected pairs such as ("sit", 0), got {checks.shown(step)}')
        verb = VERBS.index(checks.choice("steps", step[0], names))
        index = checks.index("steps", step[1], len(scene.kind))
        kind = int(scene.kind[index])
        if kind != OBJECT_OF[verb]:
            raise ValueError(
                f"steps: {step[0]} expected a {scenes.KINDS[OBJECT_OF[verb]]}, got object {index}, "
                f"a {scenes.KINDS[kind]}"
            )
        if verb == PLACE and not held:
            raise ValueError("steps: expected something to be picked up before it is placed")
        held = verb == PICK or (held and verb != PLACE)
        verbs.append(verb)
        objects.append(index)
    length = checks.whole("length", len(steps) if length is None else length, len(steps))
    missing = length - len(steps)
    return Goals(
        jnp.asarray(verbs + [STOP] * missing, jnp.int32),
        jnp.asarray(objects + [0] * missing, jnp.int32),
    )


def grammar_planner(*, stride: ArrayLike = scenes.STRIDE) -> Planner:
    """The planner of the task grammar over a navigator's distance fields.

    Args:
        stride: longest distance of one walk, in metres, > 0.

    Raises:
        ValueError: for a stride that is not positive.
    """
    checks.real("stride", stride, above=0.0)

    def next_action(
        key: jax.Array,
        scene: scenes.Scene,
        fields: jax.Array,
        goals: Goals,
        pose: jax.Array,
        progress: jax.Array,
    ) -> Action:
        del key  # deterministic
        slot = jnp.minimum(progress, len(goals.verb) - 1)
        verb = jnp.where(progress >= len(goals.verb), STOP, goals.verb[slot])
        index = goals.object[slot]
        aim = scene.pose[index]
        way, is_last = scenes.next_waypoint(scene, fields[index], pose[:2], aim[:2], stride=stride)
        toward = way - pose[:2]
        bearing = jnp.arctan2(toward[1], toward[0])
        is_there = jnp.linalg.norm(aim[:2] - pose[:2]) <= REACH
        is_facing = jnp.abs(wrap(aim[2] - pose[2])) <= FACING
        # The last walk ends facing as the object needs it, if that is on the way.
        blend = (jnp.abs(wrap(aim[2] - pose[2])) < WIDEST) & (jnp.abs(wrap(aim[2] - bearing)) < 0.8)
        heading = jnp.where(is_last & blend, aim[2], bearing)
        walk = jnp.append(way, heading)
        turn = jnp.append(pose[:2], bearing)
        must_turn = jnp.abs(wrap(bearing - pose[2])) > WIDEST
        chosen = jnp.where(must_turn, TURN, GO)
        target = jnp.where(must_turn, turn, walk)
        chosen = jnp.where(is_there, jnp.where(is_facing, verb, TURN), chosen)
        target = jnp.where(is_there, aim, target)
        chosen = jnp.where(verb == STOP, STOP, chosen).astype(jnp.int32)
        target = jnp.where(verb == STOP, pose, target)
        seconds = duration(chosen, relative_pose(pose, target))
        return Action(chosen, target, seconds, is_there & is_facing & (verb != STOP))

    return next_action


class Plan(NamedTuple):
    """Actions from a pose to the end of all goals, if each ends exactly at its target.

    Attributes:
        actions: leaves ``[L, …]``; ``STOP`` behind the last one.
        length: ``int32[]``, number of actions.
        is_complete: ``bool[]``, whether the last goal is reached within ``L`` actions.
    """

    actions: Action
    length: jax.Array
    is_complete: jax.Array


def plan(
    scene: scenes.Scene,
    fields: jax.Array,
    goals: Goals,
    pose: ArrayLike,
    *,
    max_actions: int = 16,
    planner: Planner | None = None,
    key: jax.Array | None = None,
) -> Plan:
    """Unroll a planner from a pose under the assumption that every action is exact.

    Args:
        scene: a single scene.
        fields: ``int32[O, H, W]`` of ``scenes.fields``.
        goals: what to do.
        pose: ``float[3]``.
        max_actions: ``L``, static, at least 1.
        planner: :func:`grammar_planner` by default.
        key: random key of a planner that draws.

    Raises:
        ValueError: for a scene, fields or pose of other shapes.
    """
    scenes.check_scene(scene)
    checks.instance("goals", goals, Goals, 'fantasy_hsi.goals(scene, ("sit", 0))')
    checks.real("pose", pose, shape=(3,))
    max_actions = checks.whole("max_actions", max_actions, 1)
    planner = grammar_planner() if planner is None else checks.function("planner", planner)
    key = jax.random.key(0) if key is None else checks.key(key)

    def step(carry: tuple[jax.Array, jax.Array], index: jax.Array):
        pose, progress = carry
        action = planner(jax.random.fold_in(key, index), scene, fields, goals, pose, progress)
        return (action.target, progress + action.completes), action

    carry = jnp.asarray(pose, jnp.float32), jnp.zeros((), jnp.int32)
    (_, progress), actions = jax.lax.scan(step, carry, jnp.arange(max_actions))
    length = jnp.sum(actions.verb != STOP)
    return Plan(actions, length, progress >= jnp.sum(goals.verb != STOP))
