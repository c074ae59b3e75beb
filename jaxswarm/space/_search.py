"""Fixed-radius neighbour search and reductions over neighbours, by all pairs or a cell list.

Shapes: ``N`` agents, ``d`` dimensions, ``K`` neighbour slots.

References:
    M. Allen, D. Tildesley, Computer simulation of liquids, 1987 (cell lists).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm import checks
from jaxswarm.space import pairs, strips
from jaxswarm.space._common import OPERATIONS
from jaxswarm.space.domain import Space
from jaxswarm.types import ArrayLike, PyTree

METHODS = ("auto", "pairs", "strips")
PAIRS_LINEAR = 1000
"""Up to this many agents a matrix product beats strips for weighted sums (two CPU cores)."""
PAIRS_GENERAL = 100
"""The same for sums of an arbitrary function of each pair."""
PAIRS_MOST = 20_000
"""Above this, all pairs are only used when requested by name."""


class Report(NamedTuple):
    """Counts of what a search had to leave out.

    Attributes:
        overflow: ``int32[]``, agents that had more candidates than ``capacity`` (of a neighbour
            list: more neighbours than slots). 0 without a capacity.
        nonfinite: ``int32[]``, number of flagged agents.
        flagged: ``bool[N]``, active agents with a NaN or infinite position or feature. They have no
            neighbours and are no agent's neighbour.
    """

    overflow: jax.Array
    nonfinite: jax.Array
    flagged: jax.Array


class Neighbors(NamedTuple):
    """Padded neighbour lists.

    Attributes:
        indices: ``int32[N, K]``; unused slots hold 0.
        mask: ``bool[N, K]``, true on used slots.
        report: what was left out.
    """

    indices: jax.Array
    mask: jax.Array
    report: Report


@dataclass(frozen=True)
class Search:
    """A fixed-radius neighbour search, made by :func:`search`; static, so close over it.

    Attributes:
        space: the domain.
        radius: the largest distance of two neighbours.
        num_agents: ``N``.
        method: ``"auto"``, ``"pairs"`` or ``"strips"``.
        capacity: candidates tested per strip, or ``None`` for all.
        strict: an overflow turns every result into NaN.

    Raises:
        ValueError: as :func:`search`.
    """

    space: Space
    radius: float
    num_agents: int
    method: str = "auto"
    capacity: int | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        checks.instance("space", self.space, Space, "Space((1.0, 1.0))")
        num_agents = checks.whole("num_agents", self.num_agents, 1)
        radius = float(checks.real("radius", checks.concrete("radius", self.radius), above=0.0))
        if self.capacity is not None:
            object.__setattr__(self, "capacity", checks.whole("capacity", self.capacity, 1))
        checks.choice("method", self.method, METHODS)
        checks.flag("strict", self.strict)
        fits = strips.fits(self.space, radius)
        if self.method == "strips" and not fits:
            raise ValueError(
                "radius: expected at most a third of each side of a periodic box for method "
                f"'strips', got radius {radius} in a box of sides {self.space.sides}"
            )
        if self.method == "auto" and not fits and num_agents > PAIRS_MOST:
            raise ValueError(
                "radius: expected at most a third of each side of a periodic box for more than "
                f"{PAIRS_MOST} agents, got {radius} in a box of sides {self.space.sides}; pass "
                "method='pairs' to compare all pairs"
            )
        object.__setattr__(self, "num_agents", num_agents)
        object.__setattr__(self, "radius", radius)

    def sum(
        self,
        positions: jax.Array,
        features: PyTree,
        weight: Callable[[jax.Array], jax.Array] | None = None,
        *,
        radius: ArrayLike | None = None,
        active: jax.Array | None = None,
    ) -> tuple[PyTree, Report]:
        """Sum of neighbours' features, ``Σ_j w(|x_j − x_i|²) f_j`` over ``j`` within the radius.

        Args:
            positions: ``[N, d]``.
            features: floating leaves ``[N, ...]``; a leaf of ones counts neighbours.
            weight: elementwise function of the squared distance; 1 by default.
            radius: a scalar, or ``[N]`` for a radius of each agent's own; may be traced; at most
                ``self.radius``.
            active: ``bool[N]``; inactive agents have no neighbours and are none.

        Returns:
            A tree like ``features``, and a :class:`Report`. With few agents this is a matrix
            product.

        Raises:
            ValueError: for positions, features, a radius or flags of another shape or kind, or a
                larger radius than the search's.
        """
        positions, features, active = self._checked(positions, features, active)
        if weight is not None:
            checks.function("weight", weight)
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
        radius: ArrayLike | None = None,
        active: jax.Array | None = None,
    ) -> tuple[PyTree, Report]:
        """Sum, minimum or maximum of a function of each pair within the radius.

        Args:
            positions: ``[N, d]``.
            fn: ``fn(own, other, offset) -> pytree`` for a single pair: the agent's own features,
                the neighbour's, and the displacement ``[d]`` to the neighbour. Write lengths with
                :func:`jaxswarm.space.length`, so that gradients stay finite.
            features: leaves ``[N, ...]``, or ``None``.
            op: ``"sum"``, ``"min"`` or ``"max"``; without neighbours 0, ``inf`` and ``-inf``.
            radius: as in :meth:`sum`.
            active: as in :meth:`sum`.

        Returns:
            ``fn``'s pytree with a leading ``N``, and a :class:`Report`.

        Raises:
            ValueError: for an unknown ``op``, positions of another shape, or a larger radius.
        """
        checks.choice("op", op, tuple(OPERATIONS))
        checks.function("fn", fn)
        positions, features, active = self._checked(positions, features, active)
        method = "pairs" if self._pairs(PAIRS_GENERAL) else "strips"
        return self._reduce(positions, fn, features, op, radius, active, method)

    def neighbors(
        self,
        positions: jax.Array,
        max_neighbors: int,
        *,
        radius: ArrayLike | None = None,
        active: jax.Array | None = None,
    ) -> Neighbors:
        """Padded lists of up to ``max_neighbors`` agents within the radius, in no fixed order.

        Sums over neighbours are faster by :meth:`sum` and :meth:`reduce`.

        Args:
            positions: ``[N, d]``.
            max_neighbors: ``K``; an agent with more is counted in ``report.overflow``.
            radius: as in :meth:`sum`.
            active: as in :meth:`sum`.

        Raises:
            ValueError: if ``max_neighbors < 1``, or positions have another shape.
        """
        max_neighbors = checks.whole("max_neighbors", max_neighbors, 1)
        positions, _, active = self._checked(positions, None, active)
        reach = self._reach(radius)
        if self._pairs(PAIRS_GENERAL):
            lists = pairs.neighbors(self.space, positions, max_neighbors, reach, active)
        else:
            plan = self._plan()
            lists = strips.neighbors(plan, positions, max_neighbors, reach, active)
        indices, mask, overflow, flagged = lists
        return Neighbors(indices, mask, self._report(overflow, flagged))

    def _reduce(
        self,
        positions: jax.Array,
        fn: Callable[[PyTree, PyTree, jax.Array], PyTree],
        features: PyTree,
        op: str,
        radius: ArrayLike | None,
        active: jax.Array | None,
        method: str,
    ) -> tuple[PyTree, Report]:
        reach = self._reach(radius)
        if method == "pairs":
            found = pairs.reduce(self.space, positions, fn, features, op, reach, active)
        else:
            found = strips.reduce(self._plan(), positions, fn, features, op, reach, active)
        return self._finish(*found)

    def _finish(
        self, out: PyTree, overflow: jax.Array, flagged: jax.Array
    ) -> tuple[PyTree, Report]:
        report = self._report(overflow, flagged)
        if self.strict:
            out = jax.tree.map(lambda x: jnp.where(overflow > 0, jnp.nan, x), out)
        return out, report

    def _report(self, overflow: Any, flagged: Any) -> Report:
        if self.strict and not isinstance(overflow, Tracer) and int(overflow):
            raise ValueError(
                f"capacity: expected room for all candidates, got {self.capacity} slots, too few "
                f"for {int(overflow)} agents; raise it, or pass None for no limit"
            )
        return Report(overflow, jnp.sum(flagged, dtype=jnp.int32), flagged)

    def _plan(self) -> strips.Plan:
        return strips.plan(self.space, self.radius, self.num_agents, self.capacity)

    def _pairs(self, most: int) -> bool:
        if self.method != "auto":
            return self.method == "pairs"
        return self.num_agents <= most or not strips.fits(self.space, self.radius)

    def _reach(self, radius: ArrayLike | None) -> jax.Array:
        if radius is None:
            return jnp.float32(self.radius)
        shape = () if np.ndim(radius) == 0 else (self.num_agents,)
        most = self.radius * (1 + 1e-6)
        given = jnp.asarray(checks.real("radius", radius, 0.0, most, shape=shape), jnp.float32)
        # Rounding the caller's equal radius to float32 must not widen the search.
        return jnp.minimum(given, self.radius)

    def _checked(self, positions: Any, features: Any, active: Any) -> tuple[Any, Any, Any]:
        n = self.num_agents
        positions = checks.numbers("positions", positions, (n, self.space.dimensions))
        for leaf in jax.tree.leaves(features):
            if np.shape(leaf)[:1] != (n,):
                raise ValueError(
                    f"features: expected leaves [{n}, ...], got shape {list(np.shape(leaf))}"
                )
        features = jax.tree.map(jnp.asarray, features)
        if active is not None:
            active = jnp.asarray(checks.mask("active", active, (n,)))
        return positions, features, active


def search(
    space: Space,
    radius: float,
    num_agents: int,
    *,
    method: str = "auto",
    capacity: int | None = None,
    strict: bool = False,
) -> Search:
    """Build a fixed-radius neighbour search for ``num_agents`` agents in a space.

    Args:
        space: the domain.
        radius: positive and static: it fixes the size of the cells. A smaller, traced one can be
            given with each call. In a periodic box narrower than two radii every other agent counts
            once, at its nearest image.
        num_agents: ``N``, at least 1.
        method: ``"pairs"`` compares all pairs; ``"strips"`` is a cell list whose rows are
            contiguous windows; ``"auto"`` takes the faster one for ``N`` and the radius.
        capacity: candidates tested in one strip (three in the plane). ``None`` tests all, however
            densely agents cluster: exact, but not reverse-differentiable with strips (the loop's
            length depends on the data). A number makes memory and time fixed and reverse mode
            work; agents with more candidates are counted in ``Report.overflow``.
        strict: outside ``jit`` an overflow raises; inside, it turns the results into NaN, which
            ``simulate(on_nonfinite="raise")`` stops at.

    Raises:
        ValueError: for another kind of space, zero agents, a radius or capacity that is not
            positive, an unknown method, strips in a box too small for them, or all pairs of more
            than 20,000 agents unless requested by name.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.space import Space, search
        >>> near = search(Space((1.0, 1.0)), radius=0.2, num_agents=3)
        >>> positions = jnp.array([[0.1, 0.5], [0.95, 0.5], [0.5, 0.5]])
        >>> count, report = near.sum(positions, jnp.ones(3))
        >>> count.tolist()  # the first two are neighbours across the periodic boundary
        [1.0, 1.0, 0.0]
    """
    return Search(space, radius, num_agents, method, capacity, strict)
