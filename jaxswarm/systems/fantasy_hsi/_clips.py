"""Training clips: procedural motion at random places of scenes, with what the generator is given.

Shapes: ``T`` frames, ``J`` joints, ``B`` clips, ``F`` scene features, ``C`` numbers of a condition.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._figure import (
    NUM_JOINTS,
    compose,
    pose_of,
    standing,
    to_local,
    to_world,
)
from jaxswarm.systems.fantasy_hsi._walker import (
    GO,
    NUM_FRAMES,
    TURN,
    VERBS,
    draw_style,
    exact_style,
    path_point,
    walk,
)
from jaxswarm.types import Key

FEATURE_POINTS = tuple((x, y) for x in (0.0, 0.25, 0.5, 0.75, 1.0) for y in (-0.35, 0.0, 0.35))
"""Points of the start frame whose signed distances the generator is given, in metres."""

NUM_FEATURES = len(FEATURE_POINTS)
LONGEST_GO, WIDEST_GO = 0.9, 1.1  # metres and radians of a walked offset
KEPT_AWAY = 0.3  # metres from obstacles that detours keep if they can
_DETOURS = tuple(0.15 * k for k in range(-4, 5))
_TRIES = 4


class Clips(NamedTuple):
    """Clips in the frames of their start poses, and their conditions.

    Attributes:
        body: ``float32[B, J, 3]``, the figure at the start.
        verb: ``int32[B]``.
        offset: ``float32[B, 3]``, the commanded target, which the motion misses by a little.
        features: ``float32[B, F]``, of :func:`scene_features`.
        frames: ``float32[B, T, J, 3]``.
        pose: ``float32[B, 3]``, the start pose in the scene.
    """

    body: jax.Array
    verb: jax.Array
    offset: jax.Array
    features: jax.Array
    frames: jax.Array
    pose: jax.Array


def scene_features(scene: scenes.Scene, pose: jax.Array) -> jax.Array:
    """Signed distances around a pose ``[3]``, clipped to ``[-0.2, 0.6]`` m, ``float32[F]``."""
    points = to_world(pose, jnp.array(FEATURE_POINTS))
    return jnp.clip(scenes.distance_at(scene.distance, points, scene.cell), -0.2, 0.6)


def condition_of(
    body: jax.Array, verb: jax.Array, offset: jax.Array, features: jax.Array, sees: jax.Array
) -> jax.Array:
    """Condition of the generator for one clip, ``float32[C]``.

    Args:
        body: ``float32[J, 3]`` in the frame of the start pose.
        verb: ``int32[]``.
        offset: ``float32[3]``.
        features: ``float32[F]`` of the scene.
        sees: 1 with the scene, 0 without: its features become 0.
    """
    sees = jnp.asarray(sees, jnp.float32)
    shown = jnp.where(sees > 0, (features - 0.2) * 2.5, 0.0)
    rest = standing(jnp.zeros(3))
    return jnp.concatenate(
        [
            jax.nn.one_hot(verb, len(VERBS)),
            2.0 * offset,
            jnp.stack([jnp.sin(offset[2]), jnp.cos(offset[2]), sees]),
            5.0 * (body - rest).ravel(),
            shown,
        ]
    )


CONDITION_SIZE = len(VERBS) + 6 + 3 * NUM_JOINTS + NUM_FEATURES


def draw_clips(key: Key, scene: scenes.Scene, count: int) -> Clips:
    """Draw clips of all verbs at random places of one scene.

    Start bodies are ends of walks and turns. Walked targets are free places up to 0.9 m away,
    preferably with an obstacle on the way, to
    which the figure makes the smallest detour that keeps it 0.3 m away from obstacles, or comes
    closest to that.

    Args:
        key: random key.
        scene: a single scene.
        count: ``B``, static, at least 1.

    Raises:
        ValueError: for a batch of scenes or a count below 1.
    """
    checks.key(key)
    scenes.check_scene(scene)
    count = checks.whole("count", count, 1)
    free = scene.distance >= 0.2
    logits = jnp.where(free, 0.0, -jnp.inf).ravel()

    def one(key: jax.Array) -> Clips:
        place_key, uniform_key, style_key = jax.random.split(key, 3)
        uniform = jax.random.uniform(uniform_key, (9 + 3 * _TRIES,))
        index = jax.random.categorical(place_key, logits)
        cell = jnp.stack(jnp.unravel_index(index, free.shape))
        point = scenes.center_of(scene, cell) + scene.cell * (uniform[:2] - 0.5)
        pose = jnp.append(point, 2 * jnp.pi * uniform[2])
        body = _start(uniform[3:6])
        shares = jnp.array([0.6, 0.75, 0.83, 0.92])  # of go, turn, sit, pick; place is the rest
        verb = jnp.sum(uniform[6] >= shares)
        offset, detour = _walked(scene, pose, uniform[9:].reshape(_TRIES, 3))
        turn = jnp.pi * (2 * uniform[7] - 1)
        small = jnp.stack([0.3, 0.3, 0.8]) * (uniform[jnp.array([4, 5, 8])] - 0.5)
        offset = jnp.where(verb == GO, offset, small)
        offset = jnp.where(verb == TURN, jnp.stack([0.3 * small[0], 0.3 * small[1], turn]), offset)
        style = draw_style(style_key, verb, offset)
        style = style._replace(detour=jnp.where(verb == GO, detour, 0.0))
        frames = walk(body, verb, offset, style)
        return Clips(body, verb, offset, scene_features(scene, pose), frames, pose)

    return jax.vmap(one)(jax.random.split(key, count))


def _start(uniform: jax.Array) -> jax.Array:
    """A body in its own frame: upright, or the end of a walk or a turn, either foot behind."""
    rest = standing(jnp.zeros(3))
    is_turn = uniform[0] > 0.75
    length, angle = 0.2 + 0.7 * uniform[1], 2 * uniform[2] - 1
    offset = jnp.stack([length * jnp.cos(angle), length * jnp.sin(angle), angle])
    offset = jnp.where(is_turn, jnp.stack([0.0, 0.0, 1.0]) * jnp.pi * angle, offset)
    end = walk(rest, jnp.where(is_turn, TURN, GO), offset, exact_style())[-1]
    moved = to_local(pose_of(end), end)
    moved = jnp.where(uniform[1] * 7 % 1 < 0.5, moved, _mirrored(moved))
    return jnp.where(uniform[0] < 0.2, rest, moved)


def _mirrored(body: jax.Array) -> jax.Array:
    """Left and right exchanged."""
    return body[jnp.array([0, 2, 1, 4, 3, 6, 5, 8, 7])] * jnp.array([[1.0, -1.0, 1.0]])


def _walked(
    scene: scenes.Scene, pose: jax.Array, uniform: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """An offset to a free place and the detour on the way, the best of a few."""
    detours = jnp.array(_DETOURS)

    def candidate(uniform: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        length = 0.15 + (LONGEST_GO - 0.15) * uniform[0]
        bearing = WIDEST_GO * (2 * uniform[1] - 1)
        turn = bearing + 0.8 * (uniform[2] - 0.5)
        offset = jnp.stack([length * jnp.cos(bearing), length * jnp.sin(bearing), turn])
        shares = jnp.arange(1, NUM_FRAMES + 1) / NUM_FRAMES

        def closest(detour: jax.Array) -> jax.Array:
            way = jax.vmap(lambda share: path_point(offset, detour, share))(shares)
            points = to_world(pose, way[:, :2])
            return jnp.min(scenes.distance_at(scene.distance, points, scene.cell))

        room = jax.vmap(closest)(detours)
        cost = jnp.abs(detours) + 10.0 * jnp.maximum(KEPT_AWAY - room, 0.0)
        best = jnp.argmin(cost)
        target = compose(pose, offset)
        end = scenes.distance_at(scene.distance, target[:2], scene.cell)
        return offset, detours[best], jnp.minimum(room[best], end - 0.05)

    offsets, chosen, room = jax.vmap(candidate)(uniform)
    # Among free targets one with a detour first, so that the scene has something to say.
    good = room > 0.12
    rank = good + 0.5 * (good & (jnp.abs(chosen) > 0.0))
    best = jnp.where(jnp.any(good), jnp.argmax(rank), jnp.argmax(room))
    return offsets[best], chosen[best]
