"""Preferences between objectives: grids, uniform draws, and a guide towards gaps of the front.

A preference is a point of the simplex: entries of at least 0 that sum to 1. The guide looks at the
vector returns that a team attains under a grid of preferences, and draws new preferences where
neighboring points of their front are far apart.

Shapes: ``m`` objectives, ``W`` preferences of a grid, ``B`` draws.

References:
    T. Hu, B. Luo, C. Yang, T. Huang, MO-MIX: multi-objective multi-agent cooperative
    decision-making with deep reinforcement learning, 2023. Its guide samples preferences from the
    current non-dominated set to make the front uniform; no formula was available, so that this one
    is a choice of this package.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl import pareto
from jaxswarm.types import ArrayLike, Key

TOLERANCE = 1e-6  # by which the sum of a preference may differ from 1

GUIDES = ("gaps", "uniform")


class Gaps(NamedTuple):
    """Gaps of a front, one for each preference of the grid; most are empty.

    Attributes:
        preference: ``[W, 2]``, halfway between the preferences of the gap's two ends.
        length: ``[W]``, Euclidean distance of the two points; 0 where there is no gap.
    """

    preference: jax.Array
    length: jax.Array


def preference_grid(divisions: int = 10, num_objectives: int = 2) -> np.ndarray:
    """All preferences whose entries are multiples of ``1 / divisions``, ``float32[W, m]``.

    Args:
        divisions: steps from 0 to 1, at least 1.
        num_objectives: ``m``, at least 2.

    Raises:
        ValueError: for sizes below these.

    Example:
        >>> from jaxswarm.rl import value_decomposition as vd
        >>> vd.preference_grid(2).tolist()
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    divisions = checks.whole("divisions", divisions, 1)
    m = checks.whole("num_objectives", num_objectives, 2)
    counts = [
        (*parts, divisions - sum(parts))
        for parts in itertools.product(range(divisions + 1), repeat=m - 1)
        if sum(parts) <= divisions
    ]
    return (np.array(counts) / divisions).astype(np.float32)


def check_preferences(name: str, value: ArrayLike, num_objectives: int) -> jax.Array:
    """Check preferences ``[…, m]`` and return them as floats; traced values pass.

    Raises:
        ValueError: for another number of objectives, negative entries, or entries that do not sum
            to 1.
    """
    if not checks.is_traced(value):
        array = checks.as_array(name, value, "preferences [..., m]")
        if not array.ndim or array.shape[-1] != num_objectives or not array.size:
            raise ValueError(
                f"{name}: expected entries for {num_objectives} objectives, got shape {array.shape}"
            )
        checks.real(name, array, 0.0, shape=array.shape)
        total = array.astype(np.float64).sum(axis=-1)
        off = np.abs(total - 1.0) > TOLERANCE
        if off.any():
            raise ValueError(
                f"{name}: expected entries that sum to 1, got a sum of {total[off].flat[0]:.6g}"
            )
    elif jnp.shape(value)[-1:] != (num_objectives,):
        raise ValueError(
            f"{name}: expected entries for {num_objectives} objectives, got shape "
            f"{jnp.shape(value)}"
        )
    return jnp.asarray(value, jnp.float32)


def uniform_preferences(key: Key, count: int, num_objectives: int) -> jax.Array:
    """Draw preferences uniformly from the simplex, ``[B, m]``."""
    if num_objectives == 2:
        first = jax.random.uniform(key, (count, 1))
        return jnp.concatenate([first, 1.0 - first], axis=1)
    parts = jax.random.exponential(key, (count, num_objectives))
    return parts / jnp.sum(parts, axis=1, keepdims=True)


def gaps(preferences: ArrayLike, returns: ArrayLike) -> Gaps:
    """Find the gaps between neighbors on the front that a grid of preferences attains.

    Neighbors are consecutive non-dominated points in the order of the first objective. Where
    several preferences attain the same point, they are expected in the order of their first entry.

    Args:
        preferences: ``[W, 2]``.
        returns: ``[W, 2]``, the vector return under each of them.

    Raises:
        ValueError: for another number of objectives than two, or shapes that differ.

    Example:
        >>> from jaxswarm.rl import value_decomposition as vd
        >>> found = vd.gaps(vd.preference_grid(2), [[0.0, 4.0], [3.0, 0.0], [3.0, 0.0]])
        >>> found.preference[found.length > 0].tolist(), found.length.max().item()
        ([[0.25, 0.75]], 5.0)
    """
    w = check_preferences("preferences", preferences, 2)
    if w.ndim != 2:
        raise ValueError(f"preferences: expected shape [W, 2], got {w.shape}")
    points = jnp.asarray(checks.real("returns", returns, shape=w.shape), jnp.float32)
    best = pareto.non_dominated(points)
    # Without a sort, which takes long to compile: the next point of each, and its last copy only.
    x = points[:, 0]
    further = jnp.where(best[None, :] & (x[None, :] > x[:, None]), x[None, :], jnp.inf)
    following = jnp.argmin(further, axis=1)
    equal = jnp.all(points[:, None, :] == points[None, :, :], axis=-1)
    has_later_copy = jnp.any(equal & ~jnp.tri(len(w), dtype=bool), axis=1)
    is_end = best & ~has_later_copy & jnp.any(jnp.isfinite(further), axis=1)
    apart = jnp.linalg.norm(points[following] - points, axis=1)
    return Gaps(0.5 * (w + w[following]), jnp.where(is_end, apart, 0.0))


def guided_preferences(key: Key, count: int, found: Gaps, uniform_share: ArrayLike) -> jax.Array:
    """Draw preferences at gaps, with probability in proportion to their length, ``[B, 2]``.

    Args:
        key: consumed.
        count: ``B``.
        found: of :func:`gaps`; without any, all draws are uniform.
        uniform_share: probability in ``[0, 1]`` of a uniform draw instead.
    """
    uniform_key, gap_key = jax.random.split(key)
    anywhere = uniform_preferences(uniform_key, count, found.preference.shape[1])
    share = jnp.where(jnp.sum(found.length) > 0.0, 1.0 - jnp.asarray(uniform_share), 0.0)
    # One uniform number decides whether a draw is guided, and to which gap it goes.
    u = jax.random.uniform(gap_key, (count,))
    ends = jnp.cumsum(found.length) / jnp.maximum(jnp.sum(found.length), 1e-30)
    place = jnp.sum(u[:, None] >= share * ends[None, :], axis=1)
    at_gap = found.preference[jnp.minimum(place, len(ends) - 1)]
    return jnp.where((u < share)[:, None], at_gap, anywhere)


def rounded_preferences(preferences: jax.Array, interval: ArrayLike) -> jax.Array:
    """Round preferences between two objectives to multiples of an interval, ``[…, 2]``.

    Args:
        preferences: ``[…, 2]``.
        interval: of the first entry, in ``[0, 1]``; 0 leaves preferences as they are.
    """
    step = jnp.asarray(interval, jnp.float32)
    first = jnp.round(preferences[..., :1] / jnp.maximum(step, 1e-6)) * step
    first = jnp.minimum(first, 1.0)
    return jnp.where(step > 0.0, jnp.concatenate([first, 1.0 - first], axis=-1), preferences)
