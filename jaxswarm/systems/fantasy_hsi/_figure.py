"""An articulated figure of pelvis and two legs, as joint positions.

Positions are free: nothing keeps the length of a bone, so that generated motion can distort limbs.

Shapes: ``T`` frames, ``J = 9`` joints; positions in metres, ``z`` upwards from the floor.
"""

import jax
import jax.numpy as jnp
import numpy as np

JOINTS = (
    "pelvis", "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle",
    "left toe", "right toe",
)  # fmt: skip
NUM_JOINTS = len(JOINTS)
PELVIS, HIPS, KNEES, ANKLES, TOES = 0, (1, 2), (3, 4), (5, 6), (7, 8)

BONES = ((0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8))
"""Pairs of joints."""

HIP_WIDTH, THIGH, SHANK, FOOT = 0.10, 0.43, 0.43, 0.18
BONE_LENGTHS = np.array([HIP_WIDTH] * 2 + [THIGH] * 2 + [SHANK] * 2 + [FOOT] * 2, np.float32)
"""Rest lengths of :data:`BONES` in metres."""

ANKLE_HEIGHT, TOE_HEIGHT = 0.05, 0.02
STANDING, SEATED, CROUCHED = 0.87, 0.50, 0.60
"""Heights of the pelvis in metres: upright, on a seat, and the lowest of a crouch."""


def wrap(angle: jax.Array) -> jax.Array:
    """Angles in ``[-π, π)``."""
    return jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi


def pose_of(body: jax.Array) -> jax.Array:
    """Pose ``(x, y, heading)`` of joint positions ``[..., J, 3]``, ``float32[..., 3]``.

    The heading is perpendicular to the line from the right to the left hip.
    """
    side = body[..., HIPS[0], :2] - body[..., HIPS[1], :2]
    heading = jnp.arctan2(-side[..., 0], side[..., 1])
    return jnp.concatenate([body[..., PELVIS, :2], heading[..., None]], axis=-1)


def to_local(pose: jax.Array, points: jax.Array) -> jax.Array:
    """Points ``[..., 2]`` or ``[..., 3]`` in the frame of a pose ``[3]``; heights stay."""
    return _rotated(points, -pose[2], pose[:2], before=True)


def to_world(pose: jax.Array, points: jax.Array) -> jax.Array:
    """Inverse of :func:`to_local`."""
    return _rotated(points, pose[2], pose[:2], before=False)


def relative_pose(pose: jax.Array, other: jax.Array) -> jax.Array:
    """A pose ``[3]`` in the frame of another, ``(ahead, left, turn)``."""
    return jnp.append(to_local(pose, other[:2]), wrap(other[2] - pose[2]))


def compose(pose: jax.Array, offset: jax.Array) -> jax.Array:
    """The pose ``[3]`` at an offset ``(ahead, left, turn)``; inverse of :func:`relative_pose`."""
    return jnp.append(to_world(pose, offset[:2]), wrap(pose[2] + offset[2]))


def _rotated(points: jax.Array, angle: jax.Array, origin: jax.Array, *, before: bool) -> jax.Array:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = points[..., 0], points[..., 1]
    if before:
        x, y = x - origin[0], y - origin[1]
    turned = [x * cos - y * sin, x * sin + y * cos]
    if not before:
        turned = [turned[0] + origin[0], turned[1] + origin[1]]
    return jnp.stack([*turned, *jnp.moveaxis(points, -1, 0)[2:]], axis=-1)


def standing(pose: jax.Array, height: jax.Array | float = STANDING) -> jax.Array:
    """The figure upright at a pose ``[3]``, feet side by side, ``float32[J, 3]``."""
    feet = jnp.array([[0.0, HIP_WIDTH], [0.0, -HIP_WIDTH]])
    ankles = jnp.concatenate([feet, jnp.full((2, 1), ANKLE_HEIGHT)], axis=1)
    local = assemble(jnp.zeros(3), jnp.asarray(height), ankles, jnp.zeros(2))
    return to_world(pose, local)


def assemble(
    root: jax.Array, height: jax.Array, ankles: jax.Array, directions: jax.Array
) -> jax.Array:
    """All joints from pelvis and ankles, by inverse kinematics of the legs.

    Args:
        root: ``float32[3]``, pose of the pelvis.
        height: height of the pelvis; lowered where a leg would not reach its ankle.
        ankles: ``float32[2, 3]``, left and right.
        directions: ``float32[2]``, headings of the feet.

    Returns:
        ``float32[J, 3]`` with the rest lengths of all bones, if the ankles can be reached at all.
    """
    left = jnp.stack([-jnp.sin(root[2]), jnp.cos(root[2])])
    hips = root[None, :2] + jnp.array([[HIP_WIDTH], [-HIP_WIDTH]]) * left[None, :]
    reach = 0.995 * (THIGH + SHANK)
    away = jnp.sum(jnp.square(ankles[:, :2] - hips), axis=1)
    highest = ankles[:, 2] + jnp.sqrt(jnp.maximum(reach**2 - away, 0.01))
    height = jnp.minimum(height, jnp.min(highest))
    hips = jnp.concatenate([hips, jnp.broadcast_to(height, (2, 1))], axis=1)
    ahead = jnp.stack([jnp.cos(root[2]), jnp.sin(root[2]), jnp.zeros(())])
    knees = jax.vmap(lambda hip, ankle: _knee(hip, ankle, ahead))(hips, ankles)
    flat = jnp.sqrt(FOOT**2 - (ANKLE_HEIGHT - TOE_HEIGHT) ** 2)
    toes = ankles + jnp.stack(
        [flat * jnp.cos(directions), flat * jnp.sin(directions),
         jnp.full(2, TOE_HEIGHT - ANKLE_HEIGHT)], axis=1,
    )  # fmt: skip
    pelvis = jnp.append(root[:2], height)[None]
    return jnp.concatenate([pelvis, hips, knees, ankles, toes])


def _knee(hip: jax.Array, ankle: jax.Array, ahead: jax.Array) -> jax.Array:
    span = ankle - hip
    length = jnp.sqrt(jnp.sum(jnp.square(span)))
    axis = span / length
    normal = ahead - jnp.sum(ahead * axis) * axis
    normal = normal / jnp.sqrt(jnp.sum(jnp.square(normal)) + 1e-9)
    bend = jnp.sqrt(jnp.maximum(THIGH**2 - jnp.square(length / 2), 0.0))
    return hip + span / 2 + bend * normal
