"""Pareto fronts of vector returns: non-dominated sets, exact hypervolume, spacing, sparsity.

All objectives are maximized. A point dominates another if it is at least as good in every objective
and better in one. Points that a ``mask`` leaves out, and points that are not finite, count as
absent, so that functions can be compiled for a fixed number of points.

Shapes: ``P`` points, ``m`` objectives, ``F`` points of a front.

References:
    E. Zitzler, L. Thiele, Multiobjective optimization using evolutionary algorithms, 1998
    (hypervolume). L. While et al., A faster algorithm for calculating hypervolume, 2006 (slicing
    objectives). J. Schott, Fault tolerant design using single and multicriteria genetic algorithm
    optimization, 1995 (spacing). J. Xu et al., Prediction-guided multi-objective reinforcement
    learning for continuous robot control, 2020 (sparsity).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

__all__ = ["front", "hypervolume", "non_dominated", "spacing", "sparsity"]


def non_dominated(points: ArrayLike, mask: ArrayLike | None = None) -> jax.Array:
    """Flag the points that no other point dominates, ``bool[P]``; equal points share their flag.

    Args:
        points: ``[P, m]``.
        mask: ``bool[P]``, points that count; all by default.

    Raises:
        ValueError: for fewer than two objectives, known numbers that are not finite, or another
            shape.

    Example:
        >>> from jaxswarm import rl
        >>> rl.pareto.non_dominated([[3.0, 0.0], [1.0, 1.0], [0.5, 1.0]]).tolist()
        [True, True, False]
    """
    x, here = _checked(points, mask)
    at_least = jnp.all(x[:, None, :] >= x[None, :, :], axis=-1)
    better = jnp.any(x[:, None, :] > x[None, :, :], axis=-1)
    dominated = jnp.any(at_least & better & here[:, None], axis=0)
    return here & ~dominated


def front(points: ArrayLike) -> np.ndarray:
    """The Pareto front of points: its distinct points ``[F, m]``, sorted by the first objective.

    Args:
        points: ``[P, m]``, concrete.

    Raises:
        ValueError: without points, for fewer than two objectives, or numbers that are not finite.

    Example:
        >>> from jaxswarm import rl
        >>> rl.pareto.front([[3.0, 0.0], [1.0, 1.0], [0.5, 1.0], [1.0, 1.0]]).tolist()
        [[1.0, 1.0], [3.0, 0.0]]
    """
    checks.concrete("points", points)
    array = np.asarray(checks.real("points", points, shape=(None, None)), np.float64)
    _check_sizes(array.shape)
    distinct = np.unique(array, axis=0)
    no_worse = np.all(distinct[:, None] >= distinct[None], axis=-1)
    others = ~np.eye(len(distinct), dtype=bool)
    return distinct[~np.any(no_worse & others, axis=0)]


def hypervolume(
    points: ArrayLike, reference: ArrayLike, mask: ArrayLike | None = None
) -> jax.Array:
    """Volume that points dominate above a reference point, exact, ``float[]``.

    With two objectives by one sort; with more by slicing along the last objective, ``O(P^(m-1) log
    P)``. Points below the reference in some objective, which only a trace can bring, add nothing.

    Args:
        points: ``[P, m]``.
        reference: ``[m]``, dominated by every point.
        mask: ``bool[P]``, points that count; all by default.

    Raises:
        ValueError: without points, for fewer than two objectives, known numbers that are not
            finite, a reference that a point does not dominate, or another shape.

    Example:
        >>> from jaxswarm import rl
        >>> float(rl.pareto.hypervolume([[3.0, 1.0], [1.0, 2.0]], [0.0, 0.0]))
        4.0
    """
    x, here = _checked(points, mask)
    checks.real("reference", reference, shape=(x.shape[1],))
    if not any(map(checks.is_traced, (points, reference, mask))):
        low, known = np.asarray(reference, np.float64), np.asarray(points, np.float64)
        known = known[np.asarray(here)]
        if not len(known):
            raise ValueError("points: expected at least one that counts, got none")
        bad = (known < low).any(axis=1) | (known == low).all(axis=1)
        if bad.any():
            raise ValueError(
                f"reference: expected a point that every point dominates, got {low.tolist()} beside"
                f" {known[bad][0].tolist()}"
            )
    above = jnp.maximum(x - jnp.asarray(reference, x.dtype)[None], 0.0)
    return _volume(jnp.where(here[:, None], above, 0.0))


def spacing(points: ArrayLike, mask: ArrayLike | None = None) -> jax.Array:
    """Standard deviation of the distances between neighbors on the front, ``float[]``.

    Schott's spacing: of the front's distinct points, with the sum of absolute differences as the
    distance and the nearest point as the neighbor. 0 for evenly spaced points; NaN for fewer than
    two.

    Args:
        points: ``[P, m]``; dominated ones do not count.
        mask: ``bool[P]``, points that count; all by default.

    Raises:
        ValueError: as :func:`non_dominated`.

    Example:
        >>> from jaxswarm import rl
        >>> float(rl.pareto.spacing([[0.0, 3.0], [1.0, 2.0], [2.0, 1.0]]))
        0.0
    """
    x, here = _distinct_front(points, mask)
    count = jnp.sum(here)
    apart = jnp.sum(jnp.abs(x[:, None, :] - x[None, :, :]), axis=-1)
    pairs = here[:, None] & here[None, :] & ~jnp.eye(len(x), dtype=bool)
    nearest = jnp.min(jnp.where(pairs, apart, jnp.inf), axis=1)
    nearest = jnp.where(here & (count > 1), nearest, 0.0)
    mean = jnp.sum(nearest) / jnp.maximum(count, 1)
    squares = jnp.where(here, jnp.square(nearest - mean), 0.0)
    return jnp.where(count > 1, jnp.sqrt(jnp.sum(squares) / jnp.maximum(count - 1, 1)), jnp.nan)


def sparsity(points: ArrayLike, mask: ArrayLike | None = None) -> jax.Array:
    """Mean squared difference of neighbors on the front, summed over objectives, ``float[]``.

    Neighbors are consecutive values of an objective on the front's distinct points. Smaller is
    denser; NaN for fewer than two points.

    Args:
        points: ``[P, m]``; dominated ones do not count.
        mask: ``bool[P]``, points that count; all by default.

    Raises:
        ValueError: as :func:`non_dominated`.

    Example:
        >>> from jaxswarm import rl
        >>> float(rl.pareto.sparsity([[0.0, 3.0], [1.0, 2.0], [3.0, 1.0]]))
        3.5
    """
    x, here = _distinct_front(points, mask)
    count = jnp.sum(here)
    ordered = jnp.sort(jnp.where(here[:, None], x, jnp.inf), axis=0)
    is_pair = (jnp.arange(len(x) - 1) < count - 1)[:, None]
    steps = jnp.where(is_pair, ordered[1:], 0.0) - jnp.where(is_pair, ordered[:-1], 0.0)
    return jnp.where(count > 1, jnp.sum(jnp.square(steps)) / jnp.maximum(count - 1, 1), jnp.nan)


def _volume(above: jax.Array) -> jax.Array:
    """Volume of the union of boxes from 0 to ``above: [P, m]``, entries at least 0."""
    if above.shape[1] == 2:
        order = jnp.argsort(-above[:, 0])
        width, height = above[order, 0], above[order, 1]
        tallest = jax.lax.cummax(height)
        lower = jnp.concatenate([jnp.zeros(1, above.dtype), tallest[:-1]])
        return jnp.sum(width * (tallest - lower))
    order = jnp.argsort(-above[:, -1])
    above = above[order]
    depth = above[:, -1] - jnp.concatenate([above[1:, -1], jnp.zeros(1, above.dtype)])
    until = jnp.tri(len(above), dtype=bool)  # row i: the i + 1 deepest points
    slices = jnp.where(until[:, :, None], above[None, :, :-1], 0.0)
    return jnp.sum(depth * jax.vmap(_volume)(slices))


def _distinct_front(points: ArrayLike, mask: ArrayLike | None) -> tuple[jax.Array, jax.Array]:
    """Points with 0 for absent ones, and flags of the first copy of each point of the front."""
    x, _ = _checked(points, mask)
    best = non_dominated(points, mask)
    x = jnp.where(best[:, None], x, 0.0)
    equal = jnp.all(x[:, None, :] == x[None, :, :], axis=-1) & best[None, :]
    is_copy = jnp.any(equal & jnp.tri(len(x), k=-1, dtype=bool), axis=1)
    return x, best & ~is_copy


def _checked(points: ArrayLike, mask: ArrayLike | None) -> tuple[jax.Array, jax.Array]:
    """Points as floats with 0 for absent ones, and flags of those that count."""
    if mask is None or checks.is_traced(mask) or checks.is_traced(points):
        given: Any = checks.real("points", points, shape=(None, None))
    else:  # what does not count may be anything
        given = checks.numbers("points", points, (None, None))
        flags = checks.mask("mask", mask, given.shape[:1])
        checks.real("points", np.asarray(given)[np.asarray(flags)], shape=(None, None))
    x = jnp.asarray(given)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    _check_sizes(x.shape)
    here = jnp.all(jnp.isfinite(x), axis=1)
    if mask is not None:
        here = here & jnp.asarray(checks.mask("mask", mask, x.shape[:1]))
    return jnp.where(here[:, None], x, 0.0), here


def _check_sizes(shape: tuple[int, ...]) -> None:
    if not shape[0]:
        raise ValueError("points: expected at least one, got none")
    if shape[1] < 2:
        raise ValueError(f"points: expected at least two objectives, got {shape[1]}")
