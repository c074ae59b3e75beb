"""Procedural motion of the figure: walking, turning, sitting, picking up and placing.

A clip is one action. The foot behind swings first, the other one second; the pelvis follows a
smooth curve from the start to the target, with a lateral detour. Legs follow by inverse kinematics,
so that bones keep their lengths and feet on the ground do not slide. Motion is made in the frame of
the start pose.

Shapes: ``T`` frames, ``J`` joints.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.systems.fantasy_hsi._figure import (
    ANKLE_HEIGHT,
    ANKLES,
    CROUCHED,
    HIP_WIDTH,
    PELVIS,
    SEATED,
    STANDING,
    TOES,
    assemble,
)

VERBS = ("go", "turn", "sit", "pick", "place")
"""Verbs of the task grammar; each is also an atomic action of the generator."""

GO, TURN, SIT, PICK, PLACE = range(len(VERBS))
STOP = len(VERBS)
"""Verb of no action, behind the last one of a plan."""

NUM_FRAMES = 8
"""Frames of a clip, the start pose not included."""

SPEED, TURN_RATE = 0.9, 1.8  # metres and radians per second
SHORTEST, INTERACTION = 0.7, 1.6  # seconds


class Style(NamedTuple):
    """What differs between two clips of the same action.

    Attributes:
        error: ``float32[3]``, displacement of the end pose from the target in its own frame.
        detour: largest lateral displacement on the way, in metres, positive to the left.
        lift: height of a swinging foot, in metres.
        sway: lateral amplitude of the pelvis, in metres.
        pace: exponent of the progress along the curve, > 0.
        crouch: change of the lowest height of the pelvis when sitting, picking or placing.
    """

    error: jax.Array
    detour: jax.Array
    lift: jax.Array
    sway: jax.Array
    pace: jax.Array
    crouch: jax.Array


def exact_style() -> Style:
    """The style of a clip that ends at its target."""
    zero = jnp.zeros(())
    return Style(jnp.zeros(3), zero, jnp.asarray(0.08), zero, jnp.ones(()), zero)


def draw_style(key: jax.Array, verb: jax.Array, offset: jax.Array) -> Style:
    """Draw a style: errors grow with the distance walked and the angle turned."""
    normal = jax.random.normal(key, (8,))
    distance = jnp.linalg.norm(offset[:2])
    place = 0.03 + 0.12 * distance
    angle = 0.06 + 0.06 * distance + 0.09 * jnp.abs(offset[2])
    missed = (verb >= SIT) & (normal[7] > 1.6)  # one interaction in eighteen stays too high
    return Style(
        normal[:3] * jnp.stack([place, place, angle]),
        jnp.zeros(()),
        0.08 + 0.015 * normal[3],
        0.015 * normal[4],
        jnp.exp(0.1 * normal[5]),
        0.02 * normal[6] + jnp.where(missed, 0.18, 0.0),
    )


def duration(verb: jax.Array, offset: jax.Array) -> jax.Array:
    """Seconds that an action takes: walking at 0.9 m/s, turning at 1.8 rad/s, else 1.6 s."""
    distance = jnp.linalg.norm(offset[..., :2], axis=-1)
    walking = jnp.maximum(distance / SPEED, SHORTEST)
    turning = jnp.maximum(jnp.abs(offset[..., 2]) / TURN_RATE, SHORTEST)
    return jnp.where(verb == GO, walking, jnp.where(verb == TURN, turning, INTERACTION))


def path_point(offset: jax.Array, detour: jax.Array, share: jax.Array) -> jax.Array:
    """Pose ``float32[3]`` on the way at a share in ``[0, 1]`` of the way to an offset."""
    distance = jnp.linalg.norm(offset[:2])
    end = offset[:2]
    # A cubic whose tangents are the start and end headings, plus a bump across the straight line.
    pull = 0.35 * distance
    first = jnp.stack([pull, jnp.zeros(())])
    last = end - pull * jnp.stack([jnp.cos(offset[2]), jnp.sin(offset[2])])
    a, b = 3 * share * jnp.square(1 - share), 3 * jnp.square(share) * (1 - share)
    at = a * first + b * last + share**3 * end
    across = jnp.stack([-end[1], end[0]]) / jnp.maximum(distance, 0.1)
    at = at + detour * jnp.square(jnp.sin(jnp.pi * share)) * across
    smooth = share * share * (3 - 2 * share)
    return jnp.append(at, smooth * offset[2])


def walk(body: jax.Array, verb: jax.Array, offset: jax.Array, style: Style) -> jax.Array:
    """A clip of one action in the frame of its start pose, ``float32[T, J, 3]``.

    Args:
        body: ``float32[J, 3]``, the figure at the start, in the frame of its own pose.
        verb: ``int32[]``.
        offset: ``float32[3]``, the target pose in the frame of the start pose.
        style: of this clip.
    """
    cos, sin = jnp.cos(offset[2]), jnp.sin(offset[2])
    error = style.error
    end = offset + jnp.stack(
        [cos * error[0] - sin * error[1], sin * error[0] + cos * error[1], error[2]]
    )
    starts = body[jnp.array(ANKLES)]
    toes = body[jnp.array(TOES)]
    ahead = toes[:, :2] - starts[:, :2]
    facing = jnp.arctan2(ahead[:, 1], ahead[:, 0])
    # The foot behind swings first; on the spot, the one on the side of the turn.
    way = jnp.where(jnp.linalg.norm(end[:2]) > 0.15, 1.0, 0.0) * end[:2]
    behind = jnp.sum((starts[0, :2] - starts[1, :2]) * way)
    left_first = jnp.where(jnp.abs(behind) > 0.01, behind < 0, end[2] > 0)
    order = jnp.where(left_first, jnp.array([0, 1]), jnp.array([1, 0]))  # of left and right
    reach = 0.12 * jnp.minimum(jnp.linalg.norm(end[:2]) / 0.8, 1.0)
    on_spot = jnp.linalg.norm(end[:2]) < 0.15
    landings = jax.vmap(
        lambda turn: _landing(end, style.detour, jnp.where(turn == 0, 0.5, 1.0), reach, on_spot)
    )(order)
    side = jnp.array([1.0, -1.0]) * HIP_WIDTH
    normal = jnp.stack([-jnp.sin(landings[:, 2]), jnp.cos(landings[:, 2])], axis=1)
    landed = landings[:, :2] + side[:, None] * normal
    turns = jnp.mod(landings[:, 2] - facing + jnp.pi, 2 * jnp.pi) - jnp.pi

    def frame(share: jax.Array) -> jax.Array:
        along = share**style.pace
        root = path_point(end, style.detour, along)
        swing = jnp.clip(2 * share - order, 0.0, 1.0)  # the second foot starts at half time
        smooth = swing * swing * (3 - 2 * swing)
        flat = starts[:, :2] * (1 - smooth)[:, None] + landed * smooth[:, None]
        lift = style.lift * jnp.sin(jnp.pi * swing)
        rise = starts[:, 2] * (1 - smooth) + ANKLE_HEIGHT * smooth
        ankles = jnp.concatenate([flat, (rise + lift)[:, None]], axis=1)
        sway = style.sway * jnp.sin(2 * jnp.pi * share)
        root = root + sway * jnp.stack([-jnp.sin(root[2]), jnp.cos(root[2]), jnp.zeros(())])
        height = _height(verb, share, body[PELVIS, 2], style.crouch)
        return assemble(root, height, ankles, facing + smooth * turns)

    return jax.vmap(frame)(jnp.arange(1, NUM_FRAMES + 1) / NUM_FRAMES)


def _landing(
    end: jax.Array, detour: jax.Array, share: jax.Array, reach: jax.Array, on_spot: jax.Array
) -> jax.Array:
    """Where a foot lands: a little ahead of the pelvis half-way or at the end."""
    at = path_point(end, detour, jnp.where(on_spot, 1.0, share))
    return at + reach * jnp.stack([jnp.cos(at[2]), jnp.sin(at[2]), jnp.zeros(())])


def _height(verb: jax.Array, share: jax.Array, start: jax.Array, crouch: jax.Array) -> jax.Array:
    smooth = share * share * (3 - 2 * share)
    rising = start + (STANDING - start) * jnp.minimum(2 * smooth, 1.0)
    sitting = start + (SEATED + crouch - start) * smooth
    depth = STANDING - (CROUCHED + crouch)
    bowing = rising - depth * jnp.square(jnp.sin(jnp.pi * share))
    bowing = jnp.where(share == 1.0, rising, bowing)
    return jnp.where(verb == SIT, sitting, jnp.where(verb >= PICK, bowing, rising))
