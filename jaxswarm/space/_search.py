"""Who is within a radius of whom: one search, two ways, sums over neighbours.

Shapes: ``N`` agents, ``d`` dimensions, ``K`` neighbour slots.

References:
    M. Allen, D. Tildesley, Computer simulation of liquids, 1987 (cell lists).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm import errors
from jaxswarm.space import pairs, strips
from jaxswarm.space.domain import Space

PyTree = Any

METHODS = ("auto", "pairs", "strips")
PAIRS_LINEAR = 1000
"""Up to this many agents a matrix product beats strips for weighted sums (two CPU cores)."""
PAIRS_GENERAL = 100
"""The same for sums of an arbitrary function of each pair."""
PAIRS_MOST = 20_000
"""Above this, all pairs are only taken when asked for by name."""


class Report(NamedTuple):
    """What a search could not do; look at it, it is never hidden.

    Attributes:
        overflow: ``int32[]``, agents that had more candidates than ``capacity`` (of a neighbour
            list: more neighbours than slots). 0 without a capacity.
        nonfinite: ``int32[]``, how many are flagged.
        flagged: ``bool[N]``, active agents with a NaN or infinite position or feature. Nobody sees
            them and they see nobody.
    """

    overflow: jax.Array
    nonfinite: jax.Array
    flagged: jax.Array


class Neighbors(NamedTuple):
    """Neighbour lists. ``indices`` and ``mask`` are ``[N, K]``; unused slots hold index 0."""

    indices: jax.Array
    mask: jax.Array
    report: Report


@dataclass(frozen=True)
class Search:
    """A neighbour search, made by :func:`search`; static, so close over it.

    Attributes:
        space: the box.
        radius: the largest distance at which agents see each other.
        num_agents: ``N``.
        method: ``"auto"``, ``"pairs"`` or ``"strips"``.
        capacity: candidates looked at per strip, or ``None`` for all.
        strict: an overflow turns every result into NaN.
    """

    space: Space
    radius: float
    num_agents: int
    method: str = "auto"
    capacity: int | None = None
    strict: bool = False

    def sum(
        self,
        positions: jax.Array,
        features: PyTree,
        weight: Callable[[jax.Array], jax.Array] | None = None,
        *,
        radius: Any = None,
        active: jax.Array | None = None,
    ) -> tuple[PyTree, Report]:
        """``Σ_j w(|x_j − x_i|²) f_j`` over the others within the radius.

        Args:
            positions: ``[N, d]``.
            features: floating leaves ``[N, ...]``; a leaf of ones counts neighbours.
            weight: of the squared distance, elementwise; 1 by default.
            radius: traced, a scalar or ``[N]`` (the seeing agent's); at most ``self.radius``.
            active: ``bool[N]``; others are neither seen nor see.

        Returns:
            A tree like ``features``, and a :class:`Report`. With few agents this is a matrix
            product.
        """
        if self._pairs(PAIRS_LINEAR):
            return self._finish(
                *pairs.weighted_sum(
                    self.space, positions, features, weight, self._reach(radius), active
                )
            )

        def fn(own: PyTree, other: PyTree, offset: jax.Array) -> PyTree:
            if weight is None:
                return other
            at = weight(jnp.sum(jnp.square(offset)))
            return jax.tree.map(lambda x: at * x, other)

        return self._reduce(positions, fn, features, "sum", radius, active, "strips")

    def reduce(
        self,
        positions: jax.Array,
        fn: Callable[[PyTree, PyTree, jax.Array], PyTree],
        features: PyTree = None,
        *,
        op: str = "sum",
        radius: Any = None,
        active: jax.Array | None = None,
    ) -> tuple[PyTree, Report]:
        """Sum (or take the least or greatest of) a function of each pair within the radius.

        Args:
            positions: ``[N, d]``.
            fn: ``fn(own, other, offset) -> pytree`` for a single pair: the seeing agent's
                features, the seen one's, and the displacement ``[d]`` to it. Write lengths with
                :func:`jaxswarm.space.length`, so gradients stay finite.
            features: leaves ``[N, ...]``, or ``None``.
            op: ``"sum"``, ``"min"`` or ``"max"``; without neighbours 0, ``inf`` and ``-inf``.
            radius: as in :meth:`sum`.
            active: as in :meth:`sum`.

        Returns:
            ``fn``'s pytree with a leading ``N``, and a :class:`Report`.
        """
        if op not in strips.OPERATIONS:
            raise errors.unknown("op", op, strips.OPERATIONS)
        method = "pairs" if self._pairs(PAIRS_GENERAL) else "strips"
        return self._reduce(positions, fn, features, op, radius, active, method)

    def neighbors(
        self,
        positions: jax.Array,
        max_neighbors: int,
        *,
        radius: Any = None,
        active: jax.Array | None = None,
    ) -> Neighbors:
        """Lists of up to ``max_neighbours`` others within the radius, in no particular order.

        Sums over neighbours are faster by :meth:`sum` and :meth:`reduce`.
        """
        if max_neighbors < 1:
            raise ValueError(f"max_neighbors: expected at least 1, got {max_neighbors}")
        self._check(positions)
        reach = self._reach(radius)
        if self._pairs(PAIRS_GENERAL):
            lists = pairs.neighbors(self.space, positions, max_neighbors, reach, active)
        else:
            plan = self._plan()
            lists = strips.neighbors(plan, positions, max_neighbors, reach, active)
        indices, mask, overflow, flagged = lists
        return Neighbors(indices, mask, self._report(overflow, flagged))

    def _reduce(
        self, positions: Any, fn: Any, features: Any, op: str, radius: Any, active: Any, method: str
    ) -> Any:
        self._check(positions)
        reach = self._reach(radius)
        if method == "pairs":
            found = pairs.reduce(self.space, positions, fn, features, op, reach, active)
        else:
            found = strips.reduce(self._plan(), positions, fn, features, op, reach, active)
        return self._finish(*found)

    def _finish(self, out: PyTree, overflow: jax.Array, flagged: jax.Array) -> Any:
        report = self._report(overflow, flagged)
        if self.strict:
            out = jax.tree.map(lambda x: jnp.where(overflow > 0, jnp.nan, x), out)
        return out, report

    def _report(self, overflow: Any, flagged: Any) -> Report:
        if self.strict and not isinstance(overflow, Tracer) and int(overflow):
            raise ValueError(
                f"capacity: {int(overflow)} agents have more neighbours than fit in "
                f"{self.capacity} slots; raise it, or pass None for no limit"
            )
        return Report(overflow, jnp.sum(flagged, dtype=jnp.int32), flagged)

    def _plan(self) -> strips.Plan:
        return strips.plan(self.space, self.radius, self.num_agents, self.capacity)

    def _pairs(self, most: int) -> bool:
        if self.method != "auto":
            return self.method == "pairs"
        return self.num_agents <= most or not strips.fits(self.space, self.radius)

    def _reach(self, radius: Any) -> jax.Array:
        given = self.radius if radius is None else radius
        if not isinstance(given, Tracer) and np.max(given) > self.radius * (1 + 1e-6):
            raise ValueError(f"radius: expected at most the search's {self.radius}, got {given}")
        # float32 rounding of a caller's equal radius must not widen the search.
        return jnp.minimum(jnp.asarray(given, jnp.float32), self.radius)

    def _check(self, positions: jax.Array) -> None:
        expected = (self.num_agents, self.space.dimensions)
        if positions.shape != expected:
            raise ValueError(f"positions: expected shape {expected}, got {positions.shape}")


def search(
    space: Space,
    radius: float,
    num_agents: int,
    *,
    method: str = "auto",
    capacity: int | None = None,
    strict: bool = False,
) -> Search:
    """A neighbour search for ``num_agents`` agents that see as far as ``radius``.

    Args:
        space: the box.
        radius: positive and static: it fixes the size of the cells. A smaller, traced one can be
            given with each call.
        num_agents: at least 1.
        method: ``"pairs"`` compares all with all; ``"strips"`` sorts agents into cells whose rows
            are contiguous windows; ``"auto"`` takes the faster one for ``N`` and the radius.
        capacity: candidates looked at in one strip (three in the plane). ``None`` looks at all,
            however agents clump: exact, but not reverse-differentiable beyond the all-pairs range
            (the loop's length is data). A number makes memory and time fixed and reverse mode
            work; whoever has more is counted in ``Report.overflow``.
        strict: outside ``jit`` an overflow raises; inside, it turns the results into NaN, which
            ``simulate(on_nonfinite="raise")`` stops at.

    Raises:
        ValueError: zero agents, a radius or capacity that is not positive, an unknown method,
            strips in a box too small for them, or all pairs of more than 20,000 agents by default.
    """
    if num_agents < 1:
        raise ValueError(f"num_agents: expected at least 1, got {num_agents}")
    if not math.isfinite(radius) or radius <= 0.0:
        raise ValueError(f"radius: expected a positive finite distance, got {radius}")
    if capacity is not None and capacity < 1:
        raise ValueError(f"capacity: expected at least 1 or None, got {capacity}")
    if method not in METHODS:
        raise errors.unknown("method", method, METHODS)
    fits = strips.fits(space, radius)
    if method == "strips" and not fits:
        raise ValueError(
            f"radius: strips need at least three cells a side in a periodic box, "
            f"got radius {radius} in {space.sides}"
        )
    if method == "auto" and not fits and num_agents > PAIRS_MOST:
        raise ValueError(
            f"radius: {radius} in a box of {space.sides} makes {num_agents} agents see a large part"
            f" of each other; ask for method='pairs' if all pairs are meant"
        )
    return Search(space, float(radius), num_agents, method, capacity, strict)


def check_positions(positions: Any, space: Space, what: str = "positions") -> None:
    """Refuse positions that are not ``[N, d]`` or not finite (host side).

    Raises:
        ValueError: naming ``what`` and the first bad agent.
    """
    at = np.asarray(positions)
    if at.ndim != 2 or at.shape[1] != space.dimensions or not len(at):
        raise ValueError(
            f"{what}: expected shape [N, {space.dimensions}] with N > 0, got {at.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(at).all(axis=1))
    if len(bad):
        raise ValueError(f"{what}: expected finite positions, agent {bad[0]} is at {at[bad[0]]}")
