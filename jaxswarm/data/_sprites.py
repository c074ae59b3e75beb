"""Small color images of eight shapes, drawn inside ``jit`` from signed distances.

A stand-in for natural images that needs no download: the label is the shape; color, size, place and
rotation are independent of it.

References:
    Quilez, 2D distance functions, 2020 (signed distances of the shapes).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.data.batches import Batch
from jaxswarm.types import Key

Distance = Callable[[jax.Array, jax.Array], jax.Array]
"""Signed distance of points ``(x, y)`` from a shape within the unit disk, negative inside."""


def _box(width: float, height: float) -> Distance:
    return lambda x, y: jnp.maximum(jnp.abs(x) - width, jnp.abs(y) - height)


def _disk(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.hypot(x, y) - 0.9


def _triangle(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.abs(x) * math.sqrt(3) / 2 - y / 2, y) - 0.5


def _ring(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.abs(jnp.hypot(x, y) - 0.7) - 0.22


def _plus(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.minimum(_box(0.9, 0.3)(x, y), _box(0.3, 0.9)(x, y))


def _star(x: jax.Array, y: jax.Array) -> jax.Array:
    """Five points at radius 1; edges run from a point to the inner corner beside it."""
    fifth = 2 * math.pi / 5
    angle = jnp.abs(jnp.mod(jnp.arctan2(x, -y) + fifth / 2, fifth) - fifth / 2)
    along, across = jnp.hypot(x, y) * jnp.cos(angle), jnp.hypot(x, y) * jnp.sin(angle)
    inner = 0.45 * math.cos(fifth / 2) - 1.0, 0.45 * math.sin(fifth / 2)
    length = math.hypot(*inner)
    return (inner[1] * (along - 1.0) - inner[0] * across) / length


def _crescent(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.maximum(_disk(x, y), 0.75 - jnp.hypot(x - 0.45, y))


_SHAPES: dict[str, Distance] = {
    "disk": _disk,
    "square": _box(0.75, 0.75),
    "triangle": _triangle,
    "diamond": lambda x, y: (jnp.abs(x) + jnp.abs(y) - 1.0) / math.sqrt(2),
    "ring": _ring,
    "plus": _plus,
    "star": _star,
    "crescent": _crescent,
}

SPRITES = tuple(_SHAPES)
"""Names of the shapes; a label is a position in it."""


def sprites(key: Key, num_samples: int, *, size: int = 32) -> Batch:
    """Draw color images of random shapes, traceable by ``jit`` and ``vmap``.

    Args:
        key: random key.
        num_samples: ``S >= 1``.
        size: height and width in pixels, ``>= 8``.

    Returns:
        A batch of images ``x: float32[S, size, size, 3]`` in ``[−1, 1]``, labels ``y: int32[S]``
        (positions in :data:`SPRITES`), and weights 1.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import data
        >>> batch = data.sprites(jax.random.key(0), 4, size=16)
        >>> batch.x.shape, batch.y.shape
        ((4, 16, 16, 3), (4,))
    """
    checks.key(key)
    num_samples = checks.whole("num_samples", num_samples, 1)
    size = checks.whole("size", size, 8)
    label_key, image_key = jax.random.split(key)
    labels = jax.random.randint(label_key, (num_samples,), 0, len(SPRITES))
    keys = jax.random.split(image_key, num_samples)
    images = jax.vmap(lambda key, label: _image(key, label, size))(keys, labels)
    return Batch(images, labels, jnp.ones(num_samples))


def _image(key: Key, label: jax.Array, size: int) -> jax.Array:
    place_key, turn_key, scale_key, color_key = jax.random.split(key, 4)
    place = jax.random.uniform(place_key, (2,), minval=-0.2, maxval=0.2)
    turn = jax.random.uniform(turn_key, (), minval=-0.3, maxval=0.3)
    scale = jax.random.uniform(scale_key, (), minval=0.5, maxval=0.8)
    line = (jnp.arange(size) + 0.5) * (2 / size) - 1
    down, right = jnp.meshgrid(line, line, indexing="ij")
    right, down = (right - place[0]) / scale, (down - place[1]) / scale
    x = jnp.cos(turn) * right + jnp.sin(turn) * down
    y = jnp.cos(turn) * down - jnp.sin(turn) * right
    distances = jnp.stack([shape(x, y) for shape in _SHAPES.values()])
    # One pixel wide, the edge covers its pixels partly.
    cover = jnp.clip(0.5 - distances[label] * scale * size / 2, 0, 1)[..., None]
    hues = jax.random.uniform(color_key, (2,))
    front, back = _color(hues[0], 1.0), _color(hues[1], 0.35)
    return 2 * (cover * front + (1 - cover) * back) - 1


def _color(hue: jax.Array, value: float) -> jax.Array:
    """Color ``[1, 1, 3]`` of a hue in ``[0, 1]``, in ``[0, value]``, with a saturation of 0.75."""
    wheel = jnp.abs(jnp.mod(hue * 6 + jnp.array([0.0, 4.0, 2.0]), 6) - 3) - 1
    return (value * (1 - 0.75 * (1 - jnp.clip(wheel, 0, 1))))[None, None]
