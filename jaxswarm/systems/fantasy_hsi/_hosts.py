"""Planner and critic of a user's own model, through the agent backends of ``coordination``.

A backend gets one call for each decision, with what can be seen as its ``demand``, and returns the
index of an answer. Calls that fail, time out or are invalid fall back to the built-in decision.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks, coordination
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._critic import Critic, Tolerances, Verdict, geometric_critic
from jaxswarm.systems.fantasy_hsi._figure import PELVIS, relative_pose
from jaxswarm.systems.fantasy_hsi._planner import Action, Goals, Planner, grammar_planner
from jaxswarm.systems.fantasy_hsi._walker import GO, STOP, TURN, duration

_OK = coordination.STATUSES.index("ok")

SEEN_BY_CRITIC = ("verb", "deviation", "angle", "path", "clearance", "lowest", "last")
"""Numbers of a clip that a critic's backend gets: verb, end deviation (m), angle (rad), mean
distance from the straight way (m), clearance (m), lowest and last height of the pelvis (m)."""

SEEN_BY_PLANNER = ("goal verb", "ahead", "left", "turn", "waypoint ahead", "waypoint left")
"""Numbers that a planner's backend gets: the goal's verb, its interaction pose and the navigator's
waypoint, both in the figure's frame (m, rad)."""

MENU = ("grammar", "walk to the waypoint", "turn to the waypoint", "goal's verb now")
"""Answers of a planner's backend: the built-in choice, or one of three atomic actions."""


def _ask(
    backend: coordination.AgentBackend, key: jax.Array, demand: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Answer to one call and whether it is valid."""
    one = jnp.zeros(1, jnp.int32)
    event = jax.random.randint(key, (1,), 0, checks.LARGEST)
    request = coordination.Request(
        worker=one, entity=one, event=event, demand=demand[None], context=jnp.zeros(1), truth=one,
        active=jnp.ones(1, bool),
    )  # fmt: skip
    _, reply = backend.answer(key, backend.init(), request)
    return reply.answer[0], reply.status[0] == _OK


def backend_critic(
    backend: coordination.AgentBackend,
    tolerances: Tolerances = Tolerances(),  # noqa: B008
) -> Critic:
    """A critic whose verdict is a backend's answer: 0 rejects, 1 accepts.

    Predicates of goals and the choice among rejected clips stay geometric: they are the world's.

    Args:
        backend: such as ``coordination.host_backend(ask, 1, num_answers=2)``; its ``demand`` is
            :data:`SEEN_BY_CRITIC`.
        tolerances: of the geometric verdict, which stands if the call fails.

    Raises:
        ValueError: for what is no backend.
    """
    checks.instance("backend", backend, coordination.AgentBackend)
    geometric = geometric_critic(tolerances)

    def judge(
        key: jax.Array, scene: scenes.Scene, action: Action, body: jax.Array, frames: jax.Array
    ) -> Verdict:
        verdict = geometric(key, scene, action, body, frames)
        seen = jnp.stack(
            [
                action.verb.astype(jnp.float32), verdict.deviation, verdict.angle, verdict.path,
                verdict.clearance, jnp.min(frames[:, PELVIS, 2]), frames[-1, PELVIS, 2],
            ]
        )  # fmt: skip
        answer, ok = _ask(backend, key, seen)
        return verdict._replace(accept=jnp.where(ok, answer == 1, verdict.accept))

    return judge


def backend_planner(backend: coordination.AgentBackend) -> Planner:
    """A planner that chooses among atomic actions by a backend's answer, an index of :data:`MENU`.

    Args:
        backend: such as ``coordination.host_backend(ask, 1, num_answers=4)``; its ``demand`` is
            :data:`SEEN_BY_PLANNER`. A call that fails counts as answer 0.

    Raises:
        ValueError: for what is no backend.
    """
    checks.instance("backend", backend, coordination.AgentBackend)
    grammar = grammar_planner()

    def next_action(
        key: jax.Array,
        scene: scenes.Scene,
        fields: jax.Array,
        goals: Goals,
        pose: jax.Array,
        progress: jax.Array,
    ) -> Action:
        built_in = grammar(key, scene, fields, goals, pose, progress)
        slot = jnp.minimum(progress, len(goals.verb) - 1)
        verb, index = goals.verb[slot], goals.object[slot]
        aim = scene.pose[index]
        way, _ = scenes.next_waypoint(scene, fields[index], pose[:2], aim[:2])
        toward = way - pose[:2]
        bearing = jnp.arctan2(toward[1], toward[0])
        goal, waypoint = relative_pose(pose, aim), relative_pose(pose, jnp.append(way, bearing))
        seen = jnp.concatenate([verb[None].astype(jnp.float32), goal, waypoint[:2]])
        answer, ok = _ask(backend, key, seen)
        answer = jnp.where(ok & (built_in.verb != STOP), answer, 0)
        verbs = jnp.stack([built_in.verb, jnp.asarray(GO), jnp.asarray(TURN), verb])
        targets = jnp.stack(
            [built_in.target, jnp.append(way, bearing), jnp.append(pose[:2], bearing), aim]
        )
        chosen, target = verbs[answer], targets[answer]
        return Action(
            chosen.astype(jnp.int32), target, duration(chosen, relative_pose(pose, target)),
            jnp.where(answer == 0, built_in.completes, answer == 3),
        )  # fmt: skip

    return next_action
