"""A box and what happens at its border.

Shapes: ``d`` dimensions, ``...`` any leading axes.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxswarm import errors

BOUNDARIES = ("periodic", "reflecting", "open")


@dataclass(frozen=True)
class Space:
    """The box ``[0, side_1] × … × [0, side_d]``; static, so close over it.

    Attributes:
        sides: positive lengths; one to three of them.
        boundary: ``"periodic"`` (leaving on one side is entering on the other), ``"reflecting"``
            (a wall mirrors position and velocity) or ``"open"`` (nothing happens; the box only says
            where most agents are).

    Raises:
        ValueError: no, too many or non-positive sides, or an unknown boundary.

    >>> import jax.numpy as jnp
    >>> torus = Space((1.0, 1.0))
    >>> torus.displacement(jnp.array([0.9, 0.5]), jnp.array([0.1, 0.5])).round(3).tolist()
    [0.20000000298023224, 0.0]
    """

    sides: tuple[float, ...]
    boundary: str = "periodic"

    def __post_init__(self) -> None:
        sides = tuple(float(side) for side in self.sides)
        if not 1 <= len(sides) <= 3 or not all(math.isfinite(s) and s > 0.0 for s in sides):
            raise ValueError(f"sides: expected one to three positive lengths, got {self.sides}")
        if self.boundary not in BOUNDARIES:
            raise errors.unknown("boundary", self.boundary, BOUNDARIES)
        object.__setattr__(self, "sides", sides)

    @property
    def dimensions(self) -> int:
        """``d``."""
        return len(self.sides)

    def uniform(self, keys: jax.Array) -> jax.Array:
        """One position in the box per key: ``[N]`` keys to ``[N, d]``."""
        return (
            jax.vmap(lambda key: jax.random.uniform(key, (self.dimensions,)))(keys)
            * (jnp.asarray(self.sides)[None, :])
        )

    def displacement(self, one: jax.Array, two: jax.Array) -> jax.Array:
        """From ``one`` to ``two``, ``[..., d]``; the shortest way round in a periodic box."""
        offset = two - one
        return jnp.stack([self.shorten(offset[..., i], i) for i in range(self.dimensions)], axis=-1)

    def shorten(self, offset: jax.Array, axis: int) -> jax.Array:
        """One component of a displacement, the shortest way round in a periodic box."""
        if self.boundary != "periodic":
            return offset
        side = self.sides[axis]
        return offset - side * jnp.round(offset / side)

    def distance(self, one: jax.Array, two: jax.Array) -> jax.Array:
        """``[...]`` between ``[..., d]``; its gradient is zero where the points coincide."""
        return length(self.displacement(one, two))

    def move(self, positions: jax.Array, velocities: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Bring agents that left the box back by the rule of its border, however far they went.

        Args:
            positions: ``[..., d]``, anywhere.
            velocities: ``[..., d]``; a wall turns the component that ran into it.

        Returns:
            Positions in ``[0, side)`` (periodic) or ``[0, side]`` (reflecting), and velocities.
        """
        sides = jnp.broadcast_to(jnp.asarray(self.sides, positions.dtype), positions.shape)
        if self.boundary == "periodic":
            inside = positions - sides * jnp.floor(positions / sides)
            # Rounding takes -1e-9 to the side itself, which is 0.
            return jnp.where(inside >= sides, 0.0, jnp.maximum(inside, 0.0)), velocities
        if self.boundary == "reflecting":
            unfolded = positions - 2.0 * sides * jnp.floor(positions / (2.0 * sides))
            turned = unfolded > sides
            inside = jnp.where(turned, 2.0 * sides - unfolded, unfolded)
            return jnp.clip(inside, 0.0, sides), jnp.where(turned, -velocities, velocities)
        return positions, velocities

    def wrap(self, positions: jax.Array) -> jax.Array:
        """:meth:`move` for agents without a velocity."""
        return self.move(positions, jnp.zeros_like(positions))[0]


def length(vectors: jax.Array) -> jax.Array:
    """Euclidean length over the last axis, with gradient zero at the zero vector."""
    squared = jnp.sum(jnp.square(vectors), axis=-1)
    positive = squared > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
