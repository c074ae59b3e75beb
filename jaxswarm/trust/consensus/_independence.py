"""Whether verifiers err independently, as the error of a majority of them shows.

Shapes: ``V`` verifiers, ``N`` claims.
"""

from typing import NamedTuple

import numpy as np

from jaxswarm import checks, statistics
from jaxswarm.trust.consensus._majority import needed_votes
from jaxswarm.types import ArrayLike


class Independence(NamedTuple):
    """Result of :func:`independence`.

    Attributes:
        single: ``float64[V]``, error of each verifier.
        measured: share of claims on which the majority errs.
        interval: Clopper–Pearson bounds of ``measured``.
        expected: error of a majority of independent verifiers that err as often, each by itself.
        p_value: of the measured number of errors, if verifiers were independent (exact binomial
            test, two-sided).
        correlation: ``float64[V, V]`` of errors; NaN for a verifier that errs never or always.
    """

    single: np.ndarray
    measured: float
    interval: tuple[float, float]
    expected: float
    p_value: float
    correlation: np.ndarray


def independence(
    wrong: ArrayLike, *, needed: int | None = None, confidence: float = 0.95
) -> Independence:
    """Compare the error of a majority of verifiers with that of independent ones.

    Verifiers that compute alike share causes of errors: their majority then errs more often than
    ``majority_error`` of their single errors.

    Args:
        wrong: ``bool[V, N]``, whether each verifier errs on each claim: refuses an honest one, or
            accepts an impostor's.
        needed: wrong votes with which the majority errs; more than half of an odd number by
            default. With ``m`` votes required it is ``m`` for impostors, ``V - m + 1`` for honest
            claims.
        confidence: of the interval.

    Raises:
        ValueError: for another shape, no claims, traced votes, or an even number of verifiers
            without ``needed``.

    Example:
        >>> same = np.arange(100) < 10
        >>> found = independence([same, same, same])
        >>> found.measured, round(found.expected, 4), found.p_value < 0.01
        (0.1, 0.028, True)
    """
    votes = np.asarray(checks.mask("wrong", checks.concrete("wrong", wrong), (None, None)))
    count = checks.whole("number of claims", votes.shape[1], 1)
    needed = _needed(votes.shape[0], needed)
    errors = int((votes.sum(axis=0) >= needed).sum())
    single = votes.mean(axis=1)
    expected = majority_error(single, needed=needed)
    from scipy.stats import binomtest

    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.atleast_2d(np.corrcoef(votes.astype(float)))
    return Independence(
        single=single,
        measured=errors / count,
        interval=statistics.clopper_pearson(errors, count, confidence=confidence),
        expected=expected,
        p_value=float(binomtest(errors, count, expected).pvalue),
        correlation=correlation,
    )


def majority_error(rates: ArrayLike, *, needed: int | None = None) -> float:
    """Probability that at least ``needed`` of independent verifiers err (Poisson binomial).

    Args:
        rates: ``[V]``, error of each verifier.
        needed: as in :func:`independence`.

    Raises:
        ValueError: for rates out of ``[0, 1]``, or an even number of them without ``needed``.

    Example:
        >>> round(majority_error([0.0193, 0.0193, 0.0193]), 4)  # the published .11 % of a majority
        0.0011
    """
    each = np.asarray(checks.probability("rates", rates, shape=(None,)), np.float64)
    needed = _needed(len(each), needed)
    counts = np.eye(1, len(each) + 1)[0]
    for rate in each:
        counts = counts * (1.0 - rate) + np.roll(counts, 1) * rate
    return float(min(counts[needed:].sum(), 1.0))


def _needed(num_verifiers: int, needed: int | None) -> int:
    if needed is None and num_verifiers % 2 == 0 and num_verifiers:
        raise ValueError(
            f"needed: expected a number of wrong votes for an even number of verifiers, got None "
            f"for {num_verifiers} verifiers"
        )
    if needed is not None:
        checks.whole("needed", needed, 1, num_verifiers)
    return needed_votes(num_verifiers, needed, None)
