"""Box-shaped domains with periodic, reflecting or open boundary conditions.

Shapes: ``d`` dimensions, ``...`` any leading axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxswarm import errors

BOUNDARIES = ("periodic", "reflecting", "open")


@dataclass(frozen=True)
class Space:
    """The box ``[0, side_1] × … × [0, side_d]`` with a boundary condition; static.

    Close over it in jitted functions; it is not a pytree.

    Attributes:
        sides: one to three positive lengths.
        boundary: ``"periodic"`` (a torus), ``"reflecting"`` (a wall mirrors position and velocity)
            or ``"open"`` (unbounded; the box only says where most agents are).

    Raises:
        ValueError: for no, too many or non-positive sides, or an unknown boundary.

    Example:
        >>> import jax.numpy as jnp
        >>> torus = Space((1.0, 1.0))
        >>> gap = torus.displacement(jnp.array([0.9, 0.5]), jnp.array([0.1, 0.5]))
        >>> [round(float(x), 3) for x in gap]
        [0.2, 0.0]
    """

    sides: Sequence[float]
    boundary: str = "periodic"

    def __post_init__(self) -> None:
        try:
            sides = tuple(float(side) for side in self.sides)
        except TypeError:
            sides = ()
        if not 1 <= len(sides) <= 3 or not all(math.isfinite(s) and s > 0.0 for s in sides):
            raise ValueError(
                "sides: expected a tuple of one to three positive lengths such as (1.0, 1.0), got "
                f"{self.sides!r}"
            )
        if self.boundary not in BOUNDARIES:
            raise errors.unknown("boundary", self.boundary, BOUNDARIES)
        object.__setattr__(self, "sides", sides)

    @property
    def dimensions(self) -> int:
        """Number of dimensions ``d``."""
        return len(self.sides)

    def uniform(self, keys: jax.Array) -> jax.Array:
        """Uniform random positions in the box, one per key: ``[N]`` keys to ``[N, d]``."""
        unit = jax.vmap(lambda key: jax.random.uniform(key, (self.dimensions,)))(keys)
        return unit * jnp.asarray(self.sides)[None, :]

    def displacement(self, one: jax.Array, two: jax.Array) -> jax.Array:
        """Vector from ``one`` to ``two``, ``[..., d]``; the shortest one in a periodic box."""
        offset = two - one
        return jnp.stack([self.shorten(offset[..., i], i) for i in range(self.dimensions)], axis=-1)

    def shorten(self, offset: jax.Array, axis: int) -> jax.Array:
        """Component ``axis`` of a displacement, shortened to the nearest image if periodic."""
        if self.boundary != "periodic":
            return offset
        side = self.sides[axis]
        return offset - side * jnp.round(offset / side)

    def distance(self, one: jax.Array, two: jax.Array) -> jax.Array:
        """Distance ``[...]`` between points ``[..., d]``; zero gradient where they coincide."""
        return length(self.displacement(one, two))

    def move(self, positions: jax.Array, velocities: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Apply the boundary condition to positions outside the box, at any distance from it.

        Args:
            positions: ``[..., d]``, anywhere.
            velocities: ``[..., d]``; a wall reverses the component normal to it.

        Returns:
            Positions in ``[0, side)`` (periodic) or ``[0, side]`` (reflecting), and velocities.
        """
        sides = jnp.broadcast_to(jnp.asarray(self.sides, positions.dtype), positions.shape)
        if self.boundary == "periodic":
            inside = positions - sides * jnp.floor(positions / sides)
            # Rounding maps -1e-9 to the side itself, which is position 0.
            return jnp.where(inside >= sides, 0.0, jnp.maximum(inside, 0.0)), velocities
        if self.boundary == "reflecting":
            unfolded = positions - 2.0 * sides * jnp.floor(positions / (2.0 * sides))
            turned = unfolded > sides
            inside = jnp.where(turned, 2.0 * sides - unfolded, unfolded)
            return jnp.clip(inside, 0.0, sides), jnp.where(turned, -velocities, velocities)
        return positions, velocities

    def wrap(self, positions: jax.Array) -> jax.Array:
        """Apply the boundary condition to positions ``[..., d]`` of agents without velocity."""
        return self.move(positions, jnp.zeros_like(positions))[0]


def length(vectors: jax.Array) -> jax.Array:
    """Euclidean norm over the last axis, with gradient zero at the zero vector."""
    squared = jnp.sum(jnp.square(vectors), axis=-1)
    positive = squared > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
