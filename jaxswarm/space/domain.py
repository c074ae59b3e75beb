"""Box-shaped domains with periodic, reflecting or open boundary conditions.

Shapes: ``d`` dimensions, ``...`` any leading axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxswarm import checks

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
        wanted = "a tuple of one to three positive lengths such as (1.0, 1.0)"
        array = checks.as_array("sides", self.sides, wanted)
        if array.ndim != 1 or not 1 <= array.size <= 3:
            raise ValueError(f"sides: expected {wanted}, got {checks.shown(self.sides)}")
        sides = tuple(float(s) for s in checks.real("sides", array, above=0.0, shape=(None,)))
        checks.choice("boundary", self.boundary, BOUNDARIES)
        object.__setattr__(self, "sides", sides)

    @property
    def dimensions(self) -> int:
        """Number of dimensions ``d``."""
        return len(self.sides)

    def uniform(self, keys: jax.Array) -> jax.Array:
        """Uniform random positions in the box, one per key: ``[N]`` keys to ``[N, d]``."""
        checks.key(keys, "keys", shape=(None,))
        unit = jax.vmap(lambda key: jax.random.uniform(key, (self.dimensions,)))(keys)
        return unit * jnp.asarray(self.sides)[None, :]

    def displacement(self, one: jax.Array, two: jax.Array) -> jax.Array:
        """Vector from ``one`` to ``two``, ``[..., d]``; the shortest one in a periodic box."""
        one, two = self._points("one", one), self._points("two", two)
        try:
            jnp.broadcast_shapes(one.shape, two.shape)
        except ValueError:
            raise ValueError(
                f"two: expected a shape that broadcasts against {one.shape}, got {two.shape}"
            ) from None
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

        Raises:
            ValueError: if positions are not ``[..., d]``, or velocities of another shape.
        """
        positions = self._points("positions", positions)
        velocities = checks.numbers("velocities", velocities, positions.shape)
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
        positions = self._points("positions", positions)
        return self.move(positions, jnp.zeros_like(positions))[0]

    def _points(self, name: str, points: jax.Array) -> jax.Array:
        array = checks.numbers(name, points)
        if array.shape[-1:] != (self.dimensions,):
            raise ValueError(
                f"{name}: expected shape [..., {self.dimensions}], got {list(array.shape)}"
            )
        return array


def length(vectors: jax.Array) -> jax.Array:
    """Euclidean norm over the last axis, with gradient zero at the zero vector; NaN of a NaN.

    Example:
        >>> length(jnp.array([[3.0, 4.0], [0.0, 0.0], [jnp.nan, 0.0]])).tolist()
        [5.0, 0.0, nan]

    Raises:
        ValueError: if this is no array of real numbers with at least one axis.
    """
    vectors = checks.numbers("vectors", vectors)
    if not vectors.ndim:
        raise ValueError("vectors: expected shape [..., d], got []")
    squared = jnp.sum(jnp.square(vectors), axis=-1)
    zero = squared == 0.0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, squared)))
