"""Realism of a clip: foot skate, bone lengths, penetration and contact.

Contact stands beside penetration, since motion that avoids the scene altogether has neither.

Shapes: ``T`` frames, ``J`` joints; a clip in world coordinates, in metres.

References:
    He Zhang et al., Mode-adaptive neural networks for quadruped motion control, 2018 (foot skate).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._figure import ANKLES, BONE_LENGTHS, BONES, PELVIS, TOES

SKATE_HEIGHTS = {TOES: 0.04, ANKLES: 0.08}
"""Height below which horizontal motion of a joint counts as sliding, in metres."""

CONTACT_BAND = 0.05
"""Largest distance from a surface that counts as contact, in metres."""


class Realism(NamedTuple):
    """Measurements of one clip, ``float32[]`` each.

    Attributes:
        skate: metres per second, ``v (2 - 2^(h / H))`` of toes and ankles at heights ``h < H``,
            mean over frames and these four joints.
        bone_error: mean relative error of bone lengths.
        burst: ``100 · mean_t(share²)`` of the share of joints inside of obstacles or below the
            floor: a square punishes single catastrophic frames.
        depth: metres, how deep the pelvis is in an obstacle at worst; 0 outside.
        contact: joints within 5 cm of the floor or of an obstacle, mean over frames.
    """

    skate: jax.Array
    bone_error: jax.Array
    burst: jax.Array
    depth: jax.Array
    contact: jax.Array


def foot_skate(body: jax.Array, frames: jax.Array, seconds: jax.Array) -> jax.Array:
    """Mean sliding speed of feet near the ground, in metres per second, ``float32[]``.

    Args:
        body: ``float32[J, 3]``, the figure before the first frame.
        frames: ``float32[T, J, 3]``.
        seconds: duration of the clip.
    """
    times = len(frames)
    before = jnp.concatenate([body[None], frames[:-1]])
    total = jnp.zeros(())
    for joints, limit in SKATE_HEIGHTS.items():
        chosen = jnp.array(joints)
        step = frames[:, chosen, :2] - before[:, chosen, :2]
        speed = jnp.sqrt(jnp.sum(jnp.square(step), axis=-1) + 1e-12) * times / seconds
        height = jnp.clip((frames[:, chosen, 2] + before[:, chosen, 2]) / 2, 0.0, limit)
        total += jnp.mean(speed * (2.0 - 2.0 ** (height / limit)))
    return total / len(SKATE_HEIGHTS)


def bone_error(frames: jax.Array) -> jax.Array:
    """Mean relative error of bone lengths over frames and bones, ``float32[]``."""
    pairs = jnp.array(BONES)
    bones = frames[:, pairs[:, 0]] - frames[:, pairs[:, 1]]
    lengths = jnp.sqrt(jnp.sum(jnp.square(bones), axis=-1) + 1e-12)
    rest = jnp.asarray(BONE_LENGTHS)[None]
    return jnp.mean(jnp.abs(lengths - rest) / rest)


def realism(scene: scenes.Scene, body: jax.Array, frames: jax.Array, seconds: jax.Array) -> Realism:
    """Measure a clip in a scene.

    Args:
        scene: a single scene.
        body: ``float32[J, 3]``, the figure before the first frame, in world coordinates.
        frames: ``float32[T, J, 3]``.
        seconds: duration of the clip.

    Returns:
        Numbers that are NaN if the clip is not finite.
    """
    away = scenes.distance_at(scene.distance, frames[..., :2], scene.cell)
    inside = (away < 0) | (frames[..., 2] < -0.01)
    share = jnp.mean(inside.astype(jnp.float32), axis=1)
    near = jnp.minimum(jnp.abs(away), jnp.abs(frames[..., 2])) <= CONTACT_BAND
    finite = jnp.isfinite(frames).all()
    measured = Realism(
        foot_skate(body, frames, seconds),
        bone_error(frames),
        100.0 * jnp.mean(jnp.square(share)),
        jnp.maximum(jnp.max(-away[:, PELVIS]), 0.0),
        jnp.mean(jnp.sum(near, axis=1).astype(jnp.float32)),
    )
    return jax.tree.map(lambda x: jnp.where(finite, x, jnp.nan), measured)
