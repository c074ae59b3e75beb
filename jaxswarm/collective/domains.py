"""Surfaces on which swarms move: torus, box, Möbius strip, Klein bottle, projective plane.

Torus and walled box are :class:`jaxswarm.space.Space`'s; the others identify a border with the
reversed opposite one, so crossing it mirrors the agent, and crossing it twice changes nothing.

Shapes: ``N`` agents, ``I`` images of each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.space import Space, search

DOMAINS = ("torus", "box", "moebius", "klein", "projective")


@dataclass(frozen=True)
class Domain:
    """The square ``[0, side]²`` with one of five borders; static, so close over it.

    ``torus``: left is right and bottom is top. ``box``: four walls that reflect. ``moebius``: left
    is right mirrored, walls below and above. ``klein``: left is right mirrored, bottom is top.
    ``projective``: both mirrored; around its two corner points an agent may be a neighbour across
    two borders and then counts twice.

    Attributes:
        name: one of ``DOMAINS``.
        side: length, positive.

    Raises:
        ValueError: an unknown name, or a side that is not positive and finite.
    """

    name: str = "torus"
    side: float = 1.0

    def __post_init__(self) -> None:
        checks.choice("domain", self.name, DOMAINS)
        side = checks.real("side", checks.concrete("side", self.side), above=0.0)
        object.__setattr__(self, "side", float(side))

    @property
    def space(self) -> Space:
        """The box that neighbour search looks in; without borders where they are mirrored."""
        boundary = {"torus": "periodic", "box": "reflecting"}.get(self.name, "open")
        return Space((self.side, self.side), boundary)

    def wrap(self, positions: jax.Array, headings: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map positions outside the square back into it by the rule of its borders.

        Args:
            positions: ``[..., 2]``, anywhere.
            headings: ``[...]`` radians.

        Returns:
            Positions in the square and headings in ``[−π, π)``.

        Raises:
            ValueError: for other shapes.
        """
        positions, headings = _pair(positions, headings, 0)
        x, y = positions[..., 0], positions[..., 1]
        if self.name == "torus":
            x, y = self._enter(x)[0], self._enter(y)[0]
        elif self.name == "box":
            (x, flip_x), (y, flip_y) = self._bounce(x), self._bounce(y)
            headings = jnp.where(flip_x, jnp.pi - headings, headings)
            headings = jnp.where(flip_y, -headings, headings)
        else:
            x, odd = self._enter(x)
            y = jnp.where(odd, self.side - y, y)
            headings = jnp.where(odd, -headings, headings)
            if self.name == "moebius":
                y, flip = self._bounce(y)
                headings = jnp.where(flip, -headings, headings)
            else:
                y, odd = self._enter(y)
                if self.name == "projective":
                    x = jnp.where(odd, self.side - x, x)
                    headings = jnp.where(odd, jnp.pi - headings, headings)
        return jnp.stack([x, y], axis=-1), wrapped(headings)

    def images(self, positions: jax.Array, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Positions of all images of the agents: across no border, one, or a corner.

        Args:
            positions: ``[N, 2]`` in the square.
            vectors: ``[N, 2]``, mirrored as their agents are.

        Returns:
            ``[I N, 2]`` each, the agents themselves first; ``I = 1`` for torus and box, whose
            search knows its border.

        Raises:
            ValueError: for other shapes.
        """
        positions, vectors = _pair(positions, vectors, 1)
        if self.name in ("torus", "box"):
            return positions, vectors
        across, along = jnp.array([1.0, -1.0])[None, :], jnp.array([-1.0, 1.0])[None, :]
        side, images = self.side, [(positions, vectors)]

        def mirrored(points: jax.Array, sign: jax.Array, shift: tuple[float, float]) -> jax.Array:
            offset = jnp.where(sign < 0.0, side, 0.0) + side * jnp.array(shift)[None, :]
            return points * sign + offset

        for left in (-1.0, 1.0):
            image = (mirrored(positions, across, (left, 0.0)), vectors * across)
            images.append(image)
            if self.name == "klein":
                up = jnp.array([0.0, side])[None, :]
                images += [(image[0] + up, image[1]), (image[0] - up, image[1])]
                images.append((positions + left * up, vectors))
            if self.name == "projective":
                images.append((mirrored(positions, along, (0.0, left)), vectors * along))
        points, directions = zip(*images, strict=True)
        return jnp.concatenate(points), jnp.concatenate(directions)

    def _enter(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Into ``[0, side)``, and whether an odd number of borders was crossed."""
        crossed = jnp.floor(x / self.side)
        inside = x - self.side * crossed
        return jnp.where(inside >= self.side, 0.0, inside), jnp.mod(crossed, 2.0) == 1.0

    def _bounce(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        folded = jnp.mod(x, 2.0 * self.side)
        flip = folded > self.side
        return jnp.where(flip, 2.0 * self.side - folded, folded), flip


def _pair(positions: jax.Array, other: jax.Array, axes: int) -> tuple[jax.Array, jax.Array]:
    """Check ``positions [..., 2]`` and headings (``axes=0``) or vectors (1) of their agents."""
    positions = checks.numbers("positions", positions)
    if positions.shape[-1:] != (2,):
        raise ValueError(f"positions: expected shape [..., 2], got {list(positions.shape)}")
    leading = positions.shape[:-1] + positions.shape[-1:] * axes
    return positions, checks.numbers("vectors" if axes else "headings", other, leading)


def wrapped(angles: jax.Array) -> jax.Array:
    """Wrap angles to ``[−π, π)``."""
    return jnp.mod(angles + jnp.pi, 2.0 * jnp.pi) - jnp.pi


def local_heading(
    domain: Domain, radius: float, num_agents: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Make the function of the mean heading around each agent, in the agent's own frame.

    Args:
        domain: where agents are.
        radius: of the neighbourhood; at most half the side, so that no agent is counted twice.
        num_agents: ``N``.

    Returns:
        ``mean_heading(positions [N, 2], headings [N]) -> [N, 2]``: ``mean_j (cos, sin)(θ_j − θ_i)``
        over the agents within the radius, itself included, in the unit disc; (1, 0) if there are no
        others or all are aligned, NaN for an agent whose position or heading is not finite, which
        is no other's neighbour.

    Raises:
        ValueError: zero agents, or a radius that is not in ``(0, side / 2]``.
    """
    checks.instance("domain", domain, Domain, "Domain('torus', 1.0)")
    num_agents = checks.whole("num_agents", num_agents, 1)
    known = checks.concrete("radius", radius)
    radius = float(checks.real("radius", known, high=domain.side / 2.0, above=0.0))
    copies = {"torus": 1, "box": 1, "moebius": 3, "klein": 9, "projective": 5}[domain.name]
    shift = 0.0 if copies == 1 else domain.side
    space = domain.space if copies == 1 else Space((3.0 * domain.side,) * 2, "open")
    finder = search(space, radius, copies * num_agents)

    def mean_heading(positions: jax.Array, headings: jax.Array) -> jax.Array:
        positions = checks.numbers("positions", positions, (num_agents, 2))
        headings = checks.numbers("headings", headings, (num_agents,))
        own = jnp.stack([jnp.cos(headings), jnp.sin(headings)], axis=1)
        points, directions = domain.images(positions, own)
        (total, count), report = finder.sum(points + shift, (directions, jnp.ones(len(points))))
        mean = (own + total[:num_agents]) / (1.0 + count[:num_agents, None])
        rotated = mean * own[:, :1] + jnp.stack([mean[:, 1], -mean[:, 0]], axis=1) * own[:, 1:]
        return jnp.where(report.flagged[:num_agents, None], jnp.nan, rotated)

    return mean_heading
