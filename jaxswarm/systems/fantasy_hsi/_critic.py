"""The critic: how far a generated clip is from its plan, without access to the generator's noise.

Shapes: ``T`` frames, ``J`` joints.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._figure import PELVIS, pose_of, wrap
from jaxswarm.systems.fantasy_hsi._planner import Action
from jaxswarm.systems.fantasy_hsi._walker import PICK, SIT


class Tolerances(NamedTuple):
    """What the critic accepts.

    Attributes:
        position: metres between end pose and target.
        angle: radians between them.
        path: mean distance of the pelvis from the straight line to the target, in metres.
        clearance: smallest distance of the pelvis from obstacles, in metres.
        seated: largest height of the pelvis at the end of sitting, in metres.
        crouched: largest value of its lowest height when picking or placing, in metres.
        upright: smallest height at the end of every other action, in metres.
    """

    position: float = 0.2
    angle: float = 0.4
    path: float = 0.35
    clearance: float = 0.08
    seated: float = 0.6
    crouched: float = 0.68
    upright: float = 0.72


class Verdict(NamedTuple):
    """The critic's judgement of one clip.

    Attributes:
        accept: ``bool[]``.
        reached: ``bool[]``, whether the predicate of the action holds: the end pose is at its
            target and the pelvis was as low or high as the verb needs.
        deviation: ``float32[]``, metres between end pose and target.
        angle: ``float32[]``, radians between them.
        path: ``float32[]``, mean distance from the straight line, in metres.
        clearance: ``float32[]``, smallest distance of the pelvis from obstacles, in metres.
        badness: ``float32[]``, what the least bad of rejected clips is chosen by; ``inf`` for a
            clip that is not finite.
    """

    accept: jax.Array
    reached: jax.Array
    deviation: jax.Array
    angle: jax.Array
    path: jax.Array
    clearance: jax.Array
    badness: jax.Array


class Critic(Protocol):
    """Judges a clip from what can be seen; :func:`geometric_critic` or a user's own."""

    def __call__(
        self,
        key: jax.Array,
        scene: scenes.Scene,
        action: Action,
        body: jax.Array,
        frames: jax.Array,
    ) -> Verdict:
        """Judge ``frames [T, J, 3]`` that were generated from ``body [J, 3]``, both in metres."""
        ...


def check_tolerances(tolerances: Tolerances) -> Tolerances:
    """Check tolerances and return them.

    Raises:
        ValueError: naming the first that is negative or not finite.
    """
    checks.instance("tolerances", tolerances, Tolerances, "fantasy_hsi.Tolerances()")
    for name, value in tolerances._asdict().items():
        checks.real(f"tolerances.{name}", value, 0.0)
    return tolerances


def geometric_critic(tolerances: Tolerances = Tolerances()) -> Critic:  # noqa: B008
    """Judge clips by end pose, path, collision and the predicate of the action.

    Args:
        tolerances: what is accepted.

    Raises:
        ValueError: for tolerances that are negative or not finite.
    """
    limits = check_tolerances(tolerances)

    def judge(
        key: jax.Array, scene: scenes.Scene, action: Action, body: jax.Array, frames: jax.Array
    ) -> Verdict:
        del key  # deterministic
        finite = jnp.isfinite(frames).all()
        frames = jnp.where(finite, frames, body[None])
        end = pose_of(frames[-1])
        deviation = jnp.linalg.norm(end[:2] - action.target[:2])
        angle = jnp.abs(wrap(end[2] - action.target[2]))
        pelvis = frames[:, PELVIS]
        path = jnp.mean(_distance_to_segment(pelvis[:, :2], body[PELVIS, :2], action.target[:2]))
        away = scenes.distance_at(scene.distance, pelvis[:, :2], scene.cell)
        lowest, last = jnp.min(pelvis[:, 2]), pelvis[-1, 2]
        excess = jnp.where(
            action.verb == SIT,
            last - limits.seated,
            jnp.maximum(
                limits.upright - last,
                jnp.where(action.verb >= PICK, lowest - limits.crouched, -1.0),
            ),
        )
        reached = (
            finite & (deviation <= limits.position) & (angle <= limits.angle) & (excess <= 0.0)
        )
        clearance = jnp.min(away)
        accept = reached & (path <= limits.path) & (clearance >= limits.clearance)
        badness = (
            deviation / jnp.maximum(limits.position, 1e-6)
            + angle / jnp.maximum(limits.angle, 1e-6)
            + 10.0 * jnp.maximum(excess, 0.0)
            + 20.0 * jnp.maximum(limits.clearance - clearance, 0.0)
            + jnp.maximum(path - limits.path, 0.0)
        )
        return Verdict(
            accept, reached, deviation, angle, path, clearance,
            jnp.where(finite, badness, jnp.inf),
        )  # fmt: skip

    return judge


def _distance_to_segment(points: jax.Array, start: jax.Array, stop: jax.Array) -> jax.Array:
    span = stop - start
    share = jnp.sum((points - start[None]) * span[None], axis=1)
    share = jnp.clip(share / jnp.maximum(jnp.sum(span * span), 1e-6), 0.0, 1.0)
    nearest = start[None] + share[:, None] * span[None]
    return jnp.sqrt(jnp.sum(jnp.square(points - nearest), axis=1) + 1e-12)
