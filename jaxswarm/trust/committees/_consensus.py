"""Consensus of a committee by the median distance between output distributions.

Shapes: ``k`` members, ``C`` classes, ``P`` execution profiles, ``S`` samples; leading axes of
outputs stand for requests.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.committees._sampling import needed_members
from jaxswarm.types import ArrayLike

METRICS = ("total_variation", "symmetric_kl")
"""Distances between distributions: ``Σ|p - q| / 2``, and ``Σ (p - q)(log p - log q)``."""

FLOOR = 1e-7
"""Smallest probability inside the logarithms of ``symmetric_kl``."""

OFF_SIMPLEX = 0.02
"""How far the sum of an output may be from 1, which covers bfloat16."""


class Decision(NamedTuple):
    """What a committee decided.

    Attributes:
        accepted: ``bool[...]``, whether a majority of the members lies near one of them.
        agrees: ``bool[..., k]``, members with a majority within the tolerance.
        flagged: ``bool[..., k]``, members that do not agree where an output was accepted.
        output: ``float32[..., C]``, of the member with the smallest median distance; NaN where
            nothing was accepted.
        spread: ``float32[..., k]``, each member's median distance to all members, oneself included;
            infinite for outputs that count as no distribution.
    """

    accepted: jax.Array
    agrees: jax.Array
    flagged: jax.Array
    output: jax.Array
    spread: jax.Array


def pairwise_distances(outputs: ArrayLike, metric: str = "total_variation") -> jax.Array:
    """Distances between the output distributions of a committee's members.

    Args:
        outputs: ``float[..., k, C]``, a probability distribution of each member.
        metric: one of :data:`METRICS`.

    Returns:
        ``float32[..., k, k]``; infinite, also to itself, for an output with NaN, infinities,
        negative entries or a sum other than 1, which therefore agrees with nothing.

    Raises:
        ValueError: for an unknown metric or fewer than two axes.
    """
    checks.choice("metric", metric, METRICS)
    p = _outputs(outputs)
    valid = jnp.all(jnp.isfinite(p) & (p >= 0), axis=-1)
    valid &= jnp.abs(jnp.sum(p, axis=-1) - 1.0) <= OFF_SIMPLEX
    p = jnp.where(valid[..., None], p, 0.0)
    gap = p[..., :, None, :] - p[..., None, :, :]
    if metric == "total_variation":
        distance = 0.5 * jnp.sum(jnp.abs(gap), axis=-1)
    else:
        log = jnp.log(jnp.maximum(p, FLOOR))
        distance = jnp.sum(gap * (log[..., :, None, :] - log[..., None, :, :]), axis=-1)
    both = valid[..., :, None] & valid[..., None, :]
    return jnp.where(both, distance, jnp.inf)


def decide(
    outputs: ArrayLike,
    tolerance: ArrayLike,
    *,
    metric: str = "total_variation",
    tie: str | None = None,
    revealed: ArrayLike | None = None,
) -> Decision:
    """Accept an output that a majority of a committee lies near to; runs inside ``jit``.

    A member agrees if the median of its distances to all members, itself included, is at most the
    tolerance, that is if a majority lies within it. Fewer members than half, however they collude,
    can neither make their output accepted nor flag a member of an honest majority. Tolerance 0
    compares bits (up to the sign of zeros).

    Args:
        outputs: ``float[..., k, C]``, a probability distribution of each member; NaN never agrees,
            not even with NaN.
        tolerance: largest distance at which two outputs agree, see :func:`calibrate`.
        metric: one of :data:`METRICS`.
        tie: for an even ``k``, one of :data:`TIES`.
        revealed: ``bool[..., k]``, members whose output arrived and opened their commitment; the
            others count as members that agree with nothing. All if ``None``.

    Returns:
        The decision for every request.

    Raises:
        ValueError: for an even ``k`` without a rule for ties, a negative tolerance, or shapes and
            names that do not fit.

    Example:
        >>> right, wrong, nan = [0.9, 0.1], [0.2, 0.8], [float("nan")] * 2
        >>> found = decide([right, [0.89, 0.11], wrong], tolerance=0.05)
        >>> bool(found.accepted), found.flagged.tolist()
        (True, [False, False, True])
        >>> bool(decide([nan, nan, right], tolerance=0.05).accepted)
        False
    """
    p = _outputs(outputs)
    needed = needed_members(p.shape[-2], tie)
    checks.real("tolerance", tolerance, 0.0)
    distance = pairwise_distances(p, metric)
    if revealed is not None:
        there = jnp.asarray(checks.mask("revealed", revealed, p.shape[:-1]))
        both = there[..., :, None] & there[..., None, :]
        distance = jnp.where(both, distance, jnp.inf)
    return _decision(p, distance, needed, tolerance)


def label_majority(outputs: ArrayLike, *, tie: str | None = None) -> Decision:
    """Accept the class that a majority of the members predicts: the baseline without distances.

    Args:
        outputs: ``float[..., k, C]``; outputs that are no distribution predict nothing.
        tie: for an even ``k``, one of :data:`TIES`.

    Returns:
        As :func:`decide` with distance 0 between equal classes and 1 between others.

    Raises:
        ValueError: as :func:`decide`.

    Example:
        >>> label_majority([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).flagged.tolist()
        [False, False, True]
    """
    p = _outputs(outputs)
    needed = needed_members(p.shape[-2], tie)
    distance = pairwise_distances(p)
    label = jnp.argmax(p, axis=-1)
    other = (label[..., :, None] != label[..., None, :]).astype(jnp.float32)
    distance = jnp.where(jnp.isfinite(distance), other, jnp.inf)
    return _decision(p, distance, needed, 0.0)


def calibrate(outputs: ArrayLike, *, rate: float = 1e-3, metric: str = "total_variation") -> float:
    """Tolerance that at most a share of the distances between honest executions exceeds.

    Args:
        outputs: ``float[P, S, C]``, the same samples under ``P >= 2`` execution profiles, such as
            float32 and bfloat16.
        rate: share of the distances between two profiles that may lie above, in ``[0, 1)``.
        metric: one of :data:`METRICS`.

    Returns:
        One of the distances. It says nothing about other samples: measure false alarms on those.

    Raises:
        ValueError: for another shape, fewer than two profiles, a rate out of range, or outputs
            that are no distributions.

    Example:
        >>> calibrate([[[0.5, 0.5], [0.75, 0.25]], [[0.5, 0.5], [1.0, 0.0]]], rate=0.0)
        0.25
    """
    checks.real("rate", rate, 0.0, below=1.0)
    p = checks.numbers("outputs", checks.concrete("outputs", outputs), (None, None, None))
    profiles = checks.whole("number of profiles", p.shape[0], 2)
    distance = np.asarray(pairwise_distances(jnp.swapaxes(p, 0, 1), metric))
    first, second = np.triu_indices(profiles, 1)
    pairs = distance[:, first, second].ravel()
    if not np.isfinite(pairs).all():
        raise ValueError("outputs: expected probability distributions, got NaN or another sum")
    return float(np.quantile(pairs, 1.0 - rate, method="higher"))


def _decision(p: jax.Array, distance: jax.Array, needed: int, tolerance: ArrayLike) -> Decision:
    # The needed-th smallest distance; by counting, since sorts of a few numbers compile slowly.
    within = jnp.sum(distance[..., None, :] <= distance[..., :, None], axis=-1)
    spread = jnp.min(jnp.where(within >= needed, distance, jnp.inf), axis=-1)
    agrees = spread <= tolerance
    accepted = jnp.any(agrees, axis=-1)
    chosen = jnp.argmin(spread, axis=-1)
    output = jnp.take_along_axis(p, chosen[..., None, None], axis=-2)[..., 0, :]
    return Decision(
        accepted,
        agrees,
        accepted[..., None] & ~agrees,
        jnp.where(accepted[..., None], output, jnp.nan),
        spread,
    )


def _outputs(outputs: ArrayLike) -> jax.Array:
    p = checks.numbers("outputs", outputs).astype(jnp.float32)
    if p.ndim < 2:
        raise ValueError(f"outputs: expected shape [..., members, classes], got {list(p.shape)}")
    return p
