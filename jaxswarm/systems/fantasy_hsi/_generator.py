"""A conditional motion generator: a flow model over clips of the articulated figure.

The flow models the joints of all frames in the frame of the start pose, each joint but the pelvis
relative to the pelvis, standardized by the training clips. Bones have no fixed length.

Shapes: ``T`` frames, ``J`` joints, ``B`` clips, ``C`` numbers of a condition.

References:
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2023.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.data import Batch
from jaxswarm.envs import scenes
from jaxswarm.models import flow
from jaxswarm.systems.fantasy_hsi._clips import (
    CONDITION_SIZE,
    Clips,
    condition_of,
    scene_features,
)
from jaxswarm.systems.fantasy_hsi._figure import NUM_JOINTS, pose_of, to_local, to_world
from jaxswarm.systems.fantasy_hsi._walker import NUM_FRAMES, exact_style, walk
from jaxswarm.types import Params

Generate = Callable[[jax.Array, scenes.Scene, jax.Array, jax.Array, jax.Array], jax.Array]
"""``generate(key, scene, body [J, 3], verb [], offset [3]) -> frames [T, J, 3]`` in world
coordinates: one clip from a body towards a target given in the frame of the body's pose."""

MOTION_SHAPE = (NUM_FRAMES, NUM_JOINTS, 3)


class MotionScale(NamedTuple):
    """Mean and standard deviation of encoded training clips, ``float32[T, J, 3]`` each."""

    mean: jax.Array
    std: jax.Array


def motion_model(*, width: int = 192, depth: int = 3) -> flow.Flow:
    """A flow model of clips, an MLP that predicts data.

    Args:
        width: units of the hidden layers.
        depth: number of hidden layers.

    Raises:
        ValueError: for sizes below 1.
    """
    width, depth = checks.whole("width", width, 1), checks.whole("depth", depth, 1)
    return flow.from_network(
        flow.MLP(width=width, depth=depth), MOTION_SHAPE, condition_shape=(CONDITION_SIZE,),
        prediction="data", data_range=(-6.0, 6.0),
    )  # fmt: skip


def _relative(frames: jax.Array) -> jax.Array:
    """Joints relative to the pelvis of their frame, along the floor; the pelvis stays."""
    others = frames[..., 1:, :] - frames[..., :1, :] * jnp.array([1.0, 1.0, 0.0]).reshape(
        (1,) * (frames.ndim - 1) + (3,)
    )
    return jnp.concatenate([frames[..., :1, :], others], axis=-2)


def motion_scale(frames: jax.Array) -> MotionScale:
    """Scale of clips ``[B, T, J, 3]`` in the frames of their start poses."""
    encoded = _relative(frames)
    return MotionScale(encoded.mean(axis=0), jnp.maximum(encoded.std(axis=0), 0.02))


def encode(scale: MotionScale, frames: jax.Array) -> jax.Array:
    """A clip ``[T, J, 3]`` as the flow models it; linear, inverse of :func:`decode`."""
    return (_relative(frames) - scale.mean) / scale.std


def decode(scale: MotionScale, encoded: jax.Array) -> jax.Array:
    """A clip in the frame of its start pose."""
    relative = encoded * scale.std + scale.mean
    flat = relative[:, :1] * jnp.array([1.0, 1.0, 0.0]).reshape(1, 1, 3)
    return jnp.concatenate([relative[:, :1], relative[:, 1:] + flat], axis=1)


def training_batch(
    key: jax.Array, scale: MotionScale, clips: Clips, *, drop_rate: float = 0.15,
    body_noise: float = 0.015,
) -> Batch:  # fmt: skip
    """Clips and conditions as a batch of ``generative.flow_matching``.

    Args:
        key: random key.
        scale: of the training clips.
        clips: ``B`` clips.
        drop_rate: share of clips whose scene is hidden from the condition.
        body_noise: standard deviation of noise on the start bodies in metres, as generated bodies
            have errors of their own.

    Raises:
        ValueError: for rates outside ``[0, 1]`` or negative noise.
    """
    checks.probability("drop_rate", drop_rate)
    checks.real("body_noise", body_noise, 0.0)
    noise_key, drop_key = jax.random.split(checks.key(key))
    bodies = clips.body + body_noise * flat(jax.random.normal, noise_key, clips.body.shape)
    sees = ~jax.random.bernoulli(drop_key, drop_rate, clips.verb.shape)
    condition = jax.vmap(condition_of)(bodies, clips.verb, clips.offset, clips.features, sees)
    return Batch(jax.vmap(lambda x: encode(scale, x))(clips.frames), condition, None)


def flow_generator(
    model: flow.Flow,
    params: Params,
    scale: MotionScale,
    *,
    num_steps: int = 8,
    sees_scene: bool = True,
) -> Generate:
    """Generate clips with a trained flow; ``params`` may be traced.

    Args:
        model: of :func:`motion_model`, or one of the same shapes.
        params: its parameters.
        scale: of the training clips.
        num_steps: Euler steps from noise to motion.
        sees_scene: whether the condition holds the scene; false gives the generator's motion
            without scene.

    Raises:
        ValueError: for a model of other shapes or a number of steps below 1.
    """
    flow.check_model(model)
    if model.shape != MOTION_SHAPE or model.condition_shape != (CONDITION_SIZE,):
        raise ValueError(
            f"model: expected clips {MOTION_SHAPE} under conditions {(CONDITION_SIZE,)}, got "
            f"{model.shape} and {model.condition_shape}"
        )
    num_steps = checks.whole("num_steps", num_steps, 1)
    sees_scene = checks.flag("sees_scene", sees_scene)

    def generate(
        key: jax.Array, scene: scenes.Scene, body: jax.Array, verb: jax.Array, offset: jax.Array
    ) -> jax.Array:
        pose = pose_of(body)
        condition = condition_of(
            to_local(pose, body), verb, offset, scene_features(scene, pose), sees_scene
        )
        field = flow.field(model, params, condition[None])
        encoded = flow.sample(key, field, 1, model.shape, num_steps=num_steps)[0]
        return to_world(pose, decode(scale, encoded))

    return generate


def exact_generator() -> Generate:
    """The procedural walker itself, without error: an oracle for upper bounds."""

    def generate(
        key: jax.Array, scene: scenes.Scene, body: jax.Array, verb: jax.Array, offset: jax.Array
    ) -> jax.Array:
        pose = pose_of(body)
        return to_world(pose, walk(to_local(pose, body), verb, offset, exact_style()))

    return generate
