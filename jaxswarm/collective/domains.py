"""Surfaces that a swarm lives on: what happens to position and heading at the border.

Torus and walled box are :class:`jaxswarm.space.Space`'s; the others glue a border on turned round,
so crossing it mirrors the agent. Crossing the same border twice is no crossing at all.

Shapes: ``N`` agents, ``I`` images of each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxswarm import errors
from jaxswarm.space import Space, search

DOMAINS = ("torus", "box", "moebius", "klein", "projective")


@dataclass(frozen=True)
class Domain:
    """The square ``[0, side]²`` with one of five borders; static, so close over it.

    ``torus``: left is right and bottom is top. ``box``: four walls that reflect. ``moebius``: left
    is right mirrored, walls below and above. ``klein``: left is right mirrored, bottom is top.
    ``projective``: both mirrored; around its two corner points an agent may be seen over two
    borders and then counts twice.

    Attributes:
        name: one of ``DOMAINS``.
        side: length, positive.

    Raises:
        ValueError: an unknown name, or a side that is not positive and finite.
    """

    name: str = "torus"
    side: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in DOMAINS:
            raise errors.unknown("domain", self.name, DOMAINS)
        if not math.isfinite(self.side) or self.side <= 0.0:
            raise ValueError(f"side: expected a positive finite length, got {self.side}")

    @property
    def space(self) -> Space:
        """The box that neighbour search looks in; without borders where they are mirrored."""
        boundary = {"torus": "periodic", "box": "reflecting"}.get(self.name, "open")
        return Space((self.side, self.side), boundary)

    def wrap(self, positions: jax.Array, headings: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Bring agents that left back by the rule of the border, however far they went.

        Args:
            positions: ``[..., 2]``, anywhere.
            headings: ``[...]`` radians.

        Returns:
            Positions in the square and headings in ``[−π, π)``.
        """
        x, y = positions[..., 0], positions[..., 1]
        if self.name == "torus":
            x, y = self._enter(x)[0], self._enter(y)[0]
        elif self.name == "box":
            (x, turned), (y, over) = self._bounce(x), self._bounce(y)
            headings = jnp.where(turned, jnp.pi - headings, headings)
            headings = jnp.where(over, -headings, headings)
        else:
            x, odd = self._enter(x)
            y = jnp.where(odd, self.side - y, y)
            headings = jnp.where(odd, -headings, headings)
            if self.name == "moebius":
                y, over = self._bounce(y)
                headings = jnp.where(over, -headings, headings)
            else:
                y, odd = self._enter(y)
                if self.name == "projective":
                    x = jnp.where(odd, self.side - x, x)
                    headings = jnp.where(odd, jnp.pi - headings, headings)
        return jnp.stack([x, y], axis=-1), wrapped(headings)

    def images(self, positions: jax.Array, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Where agents appear to be from inside, seen over no border or one (or a corner).

        Args:
            positions: ``[N, 2]`` in the square.
            vectors: ``[N, 2]``, mirrored as their bearers are.

        Returns:
            ``[I N, 2]`` each, the agents themselves first; ``I = 1`` for torus and box, whose
            search knows its border.
        """
        if self.name in ("torus", "box"):
            return positions, vectors
        across, along = jnp.array([1.0, -1.0])[None, :], jnp.array([-1.0, 1.0])[None, :]
        side, seen = self.side, [(positions, vectors)]

        def mirrored(points: jax.Array, sign: jax.Array, shift: tuple[float, float]) -> jax.Array:
            offset = jnp.where(sign < 0.0, side, 0.0) + side * jnp.array(shift)[None, :]
            return points * sign + offset

        for left in (-1.0, 1.0):
            ghost = (mirrored(positions, across, (left, 0.0)), vectors * across)
            seen.append(ghost)
            if self.name == "klein":
                up = jnp.array([0.0, side])[None, :]
                seen += [(ghost[0] + up, ghost[1]), (ghost[0] - up, ghost[1])]
                seen.append((positions + left * up, vectors))
            if self.name == "projective":
                seen.append((mirrored(positions, along, (0.0, left)), vectors * along))
        points, arrows = zip(*seen, strict=True)
        return jnp.concatenate(points), jnp.concatenate(arrows)

    def _enter(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Into ``[0, side)``, and whether an odd number of borders was crossed."""
        crossed = jnp.floor(x / self.side)
        inside = x - self.side * crossed
        return jnp.where(inside >= self.side, 0.0, inside), jnp.mod(crossed, 2.0) == 1.0

    def _bounce(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        folded = jnp.mod(x, 2.0 * self.side)
        turned = folded > self.side
        return jnp.where(turned, 2.0 * self.side - folded, folded), turned


def wrapped(angles: jax.Array) -> jax.Array:
    """Angles in ``[−π, π)``."""
    return jnp.mod(angles + jnp.pi, 2.0 * jnp.pi) - jnp.pi


def local_heading(
    domain: Domain, radius: float, num_agents: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The mean heading around each agent, itself included, in the agent's own frame.

    Args:
        domain: where they are.
        radius: how far they see; at most half the side, so that nobody is seen twice.
        num_agents: ``N``.

    Returns:
        ``look(positions [N, 2], headings [N]) -> [N, 2]``: ``mean_j (cos, sin)(θ_j − θ_i)``, in
        the unit disc; (1, 0) if alone or all aligned.

    Raises:
        ValueError: zero agents, or a radius that is not in ``(0, side / 2]``.
    """
    if not 0.0 < radius <= domain.side / 2.0:
        raise ValueError(f"radius: expected within (0, {domain.side / 2.0}], got {radius}")
    copies = {"torus": 1, "box": 1, "moebius": 3, "klein": 9, "projective": 5}[domain.name]
    shift = 0.0 if copies == 1 else domain.side
    space = domain.space if copies == 1 else Space((3.0 * domain.side,) * 2, "open")
    if num_agents < 1:
        raise ValueError(f"num_agents: expected at least 1, got {num_agents}")
    finder = search(space, radius, copies * num_agents)

    def look(positions: jax.Array, headings: jax.Array) -> jax.Array:
        own = jnp.stack([jnp.cos(headings), jnp.sin(headings)], axis=1)
        points, arrows = domain.images(positions, own)
        (seen, count), _ = finder.sum(points + shift, (arrows, jnp.ones(len(points))))
        mean = (own + seen[:num_agents]) / (1.0 + count[:num_agents, None])
        turned = mean * own[:, :1] + jnp.stack([mean[:, 1], -mean[:, 0]], axis=1) * own[:, 1:]
        return turned

    return look
