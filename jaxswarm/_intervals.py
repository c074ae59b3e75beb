"""Interval estimates of :mod:`jaxswarm.statistics`: Student-t and widened bootstrap intervals.

All functions take validated float64 arrays of one number per seed.
"""

import math
import warnings
from typing import Any

import numpy as np

from jaxswarm import checks

_RESAMPLES = 9_999


def interquartile_mean(values: Any, axis: int = -1) -> Any:
    """Interquartile mean (IQM): a quarter of the entries (rounded down) is cut from each end.

    Args:
        values: numbers ``[...]``; infinite entries count as the largest or smallest.
        axis: the axis to average over.

    Raises:
        ValueError: for NaN, which has no place in the order, an axis that is empty or not there.

    Example:
        >>> float(interquartile_mean([0.0, 1.0, 3.0, 100.0]))
        2.0
    """
    x = checks.as_array("values", values, "numbers").astype(np.float64)
    if x.ndim == 0:
        raise ValueError("values: expected at least one axis, got a single number")
    axis = checks.whole("axis", axis, -x.ndim, x.ndim - 1)
    if x.shape[axis] == 0:
        raise ValueError("values: expected at least one entry along axis, got none")
    if np.isnan(x).any():
        raise ValueError("values: expected numbers, got nan")
    return _interquartile_mean(x, axis)


def _interquartile_mean(x: np.ndarray, axis: int = -1) -> Any:
    x = np.sort(x, axis=axis)
    size = x.shape[axis]
    cut = size // 4
    return np.take(x, np.arange(cut, size - cut), axis=axis).mean(axis=axis)


def clopper_pearson(
    successes: int, trials: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Exact two-sided bounds of a proportion (Clopper and Pearson, 1934).

    The interval covers the true probability at least as often as ``confidence`` says, at any number
    of independent trials: with no failure in 300 trials the lower bound is .9878.

    Args:
        successes: number of successes.
        trials: number of independent trials, at least 1.
        confidence: level of the interval, in ``(0, 1)``.

    Returns:
        ``(low, high)`` in ``[0, 1]``.

    Raises:
        ValueError: for no trials, more successes than trials, or a level out of range.

    Example:
        >>> low, high = clopper_pearson(0, 100)
        >>> low, round(high, 4)
        (0.0, 0.0362)
    """
    from scipy.stats import beta

    n = checks.whole("trials", trials, 1, 2**53)
    k = checks.whole("successes", successes, 0, n)
    tail = (1.0 - float(checks.real("confidence", confidence, above=0.0, below=1.0))) / 2.0
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.isf(tail, k + 1, n - k))
    return low, high


STATISTICS = {"mean": np.mean, "iqm": _interquartile_mean, "median": np.median}


def collapse(x: np.ndarray) -> np.ndarray:
    """Make numbers that differ only by rounding equal, so that rounding is not bootstrapped."""
    if np.ptp(x) <= 1e-12 * np.max(np.abs(x)):
        return np.full_like(x, np.median(x))
    return x


def _variance(x: np.ndarray) -> float:
    """Sample variance; exactly zero for equal numbers, despite the rounding of their mean."""
    x = collapse(x)
    return 0.0 if np.ptp(x) == 0.0 else float(np.var(x, ddof=1))


def t_interval(
    u: np.ndarray, v: np.ndarray, center: float, paired: bool, confidence: float
) -> tuple[float, float]:
    """Student-t interval around ``center``, from the linearised effects ``u [S]``, ``v [S']``."""
    from scipy.stats import t

    if paired:
        error = math.sqrt(_variance(u - v) / len(u))
        freedom = len(u) - 1.0
    else:
        shares = np.array([_variance(z) / len(z) for z in (u, v)])
        error = math.sqrt(shares.sum())
        parts = shares**2 / np.array([len(u) - 1, len(v) - 1])
        freedom = shares.sum() ** 2 / parts.sum() if error > 0.0 else 1.0
    if error == 0.0:
        return center, center
    half = float(t.ppf(0.5 + confidence / 2.0, freedom) * error)
    return center - half, center + half


def _widened(confidence: float, seeds: int) -> float:
    """Confidence level widened for few seeds (Hesterberg): normal quantile ``√(S/(S-1)) · t``."""
    from scipy.stats import norm, t

    quantile = math.sqrt(seeds / (seeds - 1)) * t.ppf(0.5 + confidence / 2.0, seeds - 1)
    return min(1.0 - 2.0 * float(norm.sf(quantile)), 1.0 - 1e-9)


def bootstrap_one(
    x: np.ndarray, statistic: str, confidence: float, method: str
) -> tuple[float, float]:
    """Bootstrap interval of the statistic of ``x [S]``."""
    # Sorted, and mirrored if the mirror image comes later, so that neither the order nor the sign
    # of the data changes the resamples.
    x = np.sort(collapse(x))
    mirror = np.sort(-x)
    if tuple(mirror) > tuple(x):
        low, high = bootstrap_one(mirror, statistic, confidence, method)
        return -high, -low
    take = STATISTICS[statistic]
    return _bootstrap((x,), lambda z, axis=-1: take(z, axis=axis), False, confidence, method)


def bootstrap_two(
    a: np.ndarray,
    b: np.ndarray,
    statistic: str,
    paired: bool,
    relative: bool,
    confidence: float,
    method: str,
) -> tuple[float, float]:
    """Bootstrap interval of the effect of ``a [S]`` over ``b [S']``; seeds in pairs if paired."""
    take = STATISTICS[statistic]
    if paired:
        order = np.lexsort((b, a))
        a, b = a[order], b[order]
    else:
        a, b = np.sort(collapse(a)), np.sort(collapse(b))
        if not relative and tuple(a) < tuple(b):
            low, high = bootstrap_two(b, a, statistic, False, False, confidence, method)
            return -high, -low

    def effect(u: np.ndarray, v: np.ndarray, axis: int = -1) -> np.ndarray:
        top = take(u - v, axis=axis) if paired else take(u, axis=axis) - take(v, axis=axis)
        return top / np.abs(take(v, axis=axis)) if relative else top

    return _bootstrap((a, b), effect, paired, confidence, method)


def _bootstrap(
    data: tuple[np.ndarray, ...], statistic: Any, paired: bool, confidence: float, method: str
) -> tuple[float, float]:
    from scipy.stats import bootstrap

    if all(np.ptp(x) == 0.0 for x in data):
        value = float(statistic(*data))
        return value, value
    level = _widened(confidence, min(len(x) for x in data))

    def interval(kind: str) -> tuple[float, float]:
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a degenerate BCa interval, which is replaced below
            found = bootstrap(
                data,
                statistic,
                n_resamples=_RESAMPLES,
                confidence_level=level,
                method=kind,
                paired=paired,
                vectorized=True,
                rng=np.random.default_rng(0),
            ).confidence_interval
        return float(found.low), float(found.high)

    low, high = interval("percentile" if method == "percentile" else "bca")
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = interval("percentile")
    return low, high
