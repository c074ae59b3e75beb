"""Effect sizes and confidence intervals over seeds, linear fits, and time to a target.

:func:`clopper_pearson` bounds a proportion of independent trials, such as claims accepted.

Shapes: ``S`` seeds (independent repetitions of a whole run), ``T`` points of a curve. All functions
run on the host in float64; scipy is imported on first use.

Intervals. Runs are expensive, so ``S`` is often 3-10, where a plain bootstrap is too narrow: it
cannot leave the range of the data, so at ``S = 3`` a "95 %" interval of a mean covers about 75 %.
Hence ``method="auto"``:

- the mean of fewer than 10 seeds gets the Student-t interval (Welch's when unpaired, linearised
  when relative), which keeps its level for roughly normal effects at any ``S``;
- everything else gets the BCa bootstrap at a level widened for small ``S`` (Hesterberg), with a
  fixed generator, so the same numbers always give the same interval. Below about 8 seeds such an
  interval is practically the range of the seeds, still too narrow for 95 %.

References:
    Bradley Efron, Better bootstrap confidence intervals, 1987.
    Tim Hesterberg, What teachers should know about the bootstrap, 2015.
    Rishabh Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from jaxswarm import checks, errors
from jaxswarm._intervals import (
    STATISTICS,
    bootstrap_one,
    bootstrap_two,
    clopper_pearson,
    collapse,
    interquartile_mean,
    t_interval,
)

__all__ = [
    "Comparison",
    "LinearFit",
    "Summary",
    "clopper_pearson",
    "compare",
    "interquartile_mean",
    "linear_fit",
    "probability_of_improvement",
    "summarize",
    "time_to_target",
]

Statistic = Literal["mean", "iqm", "median"]
Method = Literal["auto", "t", "bca", "percentile"]

_METHODS = ("auto", "t", "bca", "percentile")
_FEW_SEEDS = 10


@dataclass(frozen=True)
class Summary:
    """A statistic over the seeds of one arm, with its confidence interval.

    Attributes:
        value: the statistic.
        interval: ``(low, high)`` at level ``confidence``.
        seeds: ``S``.
        statistic: ``"mean"``, ``"iqm"`` or ``"median"``.
        confidence: level of the interval.
    """

    value: float
    interval: tuple[float, float]
    seeds: int
    statistic: str = "mean"
    confidence: float = 0.95

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4g} [{low:.4g}, {high:.4g}] ({self.seeds} seeds)"


@dataclass(frozen=True)
class Comparison:
    """Effect of an arm over its baseline, positive if the arm's number is larger.

    Attributes:
        effect: the difference, or with ``relative`` the difference as a share of the baseline.
        interval: ``(low, high)`` of the effect at level ``confidence``.
        seeds: ``S`` of the arm.
        arm: the arm's own statistic.
        baseline: the baseline's own statistic.
        effects: ``[S]`` one effect per seed when paired, else empty.
        statistic: ``"mean"``, ``"iqm"`` or ``"median"``.
        paired: whether seed ``s`` of one arm was compared with seed ``s`` of the other.
        relative: whether the effect is a share of the baseline.
        confidence: level of the interval.
    """

    effect: float
    interval: tuple[float, float]
    seeds: int
    arm: float
    baseline: float
    effects: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    statistic: str = "mean"
    paired: bool = True
    relative: bool = False
    confidence: float = 0.95

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.effect:+.4g} [{low:+.4g}, {high:+.4g}] ({self.seeds} seeds)"


def compare(
    arm: ArrayLike,
    baseline: ArrayLike,
    *,
    paired: bool = True,
    statistic: Statistic = "mean",
    relative: bool = False,
    confidence: float = 0.95,
    method: Method = "auto",
) -> Comparison:
    """Effect of ``arm`` over ``baseline`` with a confidence interval, from one number per seed.

    Args:
        arm: ``[S]``, the measured quantity, one entry per seed.
        baseline: ``[S]``, the same quantity of the baseline; with ``paired`` seed by seed.
        paired: both arms used the same seeds (data, initialization): compare within each seed,
            which removes the variation between seeds. Otherwise lengths may differ.
        statistic: taken over the per-seed effects when paired, else over each arm. ``"iqm"`` is the
            mean of the middle half (:func:`interquartile_mean`).
        relative: divide by the absolute value of the baseline's statistic: ``0.1`` is ten per cent
            more.
        confidence: level of the interval, in ``(0, 1)``.
        method: of the interval, ``"auto"``, ``"t"``, ``"bca"`` or ``"percentile"``, see the module;
            ``"t"`` needs ``statistic="mean"``.

    Returns:
        The comparison. Effects that are all equal give an interval of width zero. Without
        ``relative``, ``compare(a, b)`` and ``compare(b, a)`` are exact mirror images, and the order
        of seeds does not matter.

    Raises:
        ValueError: for fewer than two seeds, a shape other than ``[S]``, non-finite values,
            different lengths when paired, an unknown ``statistic`` or ``method``, or a relative
            effect over zero.

    Example:
        >>> from jaxswarm import statistics
        >>> str(statistics.compare([0.9, 0.8, 0.85], [0.7, 0.6, 0.65]))
        '+0.2 [+0.2, +0.2] (3 seeds)'
    """
    a, b = _per_seed(arm, "arm"), _per_seed(baseline, "baseline")
    _check_options(statistic, confidence, method)
    paired, relative = _flag("paired", paired), _flag("relative", relative)
    if paired and len(a) != len(b):
        raise ValueError(
            f"baseline: expected {len(a)} seeds like arm for a paired comparison, got {len(b)}; "
            "pass paired=False if the arms used different seeds"
        )
    take = STATISTICS[statistic]
    scale = 1.0
    if relative:
        scale = abs(take(b))
        if scale == 0.0:
            raise ValueError("baseline: expected a non-zero statistic for relative=True, got 0")
    effects = collapse((a - b) / scale) if paired else np.zeros(0)
    effect = float(take(effects)) if paired else float((take(a) - take(b)) / scale)
    if _use_t(method, statistic, min(len(a), len(b))):
        # A ratio varies with its denominator too: to first order its influence is
        # a - (effect ± 1) b.
        tilt = 1.0 + effect * float(np.sign(take(b))) if relative else 1.0
        interval = t_interval(a / scale, tilt * b / scale, effect, paired, confidence)
    elif paired and not relative:
        interval = bootstrap_one(effects, statistic, confidence, method)
    else:
        interval = bootstrap_two(a, b, statistic, paired, relative, confidence, method)
    return Comparison(
        effect=effect,
        interval=interval,
        seeds=len(a),
        arm=float(take(a)),
        baseline=float(take(b)),
        effects=effects,
        statistic=statistic,
        paired=paired,
        relative=relative,
        confidence=confidence,
    )


def summarize(
    values: ArrayLike,
    *,
    statistic: Statistic = "mean",
    confidence: float = 0.95,
    method: Method = "auto",
) -> Summary:
    """Statistic over seeds ``[S]`` with a confidence interval; arguments as in :func:`compare`.

    Raises:
        ValueError: as :func:`compare`.

    Example:
        >>> from jaxswarm import statistics
        >>> str(statistics.summarize([1.0, 2.0, 3.0]))
        '2 [-0.4841, 4.484] (3 seeds)'
    """
    x = _per_seed(values, "values")
    _check_options(statistic, confidence, method)
    value = float(STATISTICS[statistic](x))
    if _use_t(method, statistic, len(x)):
        interval = t_interval(x, np.zeros_like(x), value, True, confidence)
    else:
        interval = bootstrap_one(x, statistic, confidence, method)
    return Summary(value, interval, len(x), statistic, confidence)


def probability_of_improvement(arm: ArrayLike, baseline: ArrayLike) -> float:
    """Probability that a random seed of ``arm`` exceeds one of ``baseline``; ties count one half.

    Args:
        arm: ``[S]``.
        baseline: ``[S']``, any length.

    Raises:
        ValueError: for fewer than two seeds, another shape or non-finite values.

    Example:
        >>> from jaxswarm import statistics
        >>> statistics.probability_of_improvement([1.0, 3.0], [0.0, 2.0])
        0.75
    """
    a, b = _per_seed(arm, "arm"), _per_seed(baseline, "baseline")
    return float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))


@dataclass(frozen=True)
class LinearFit:
    """Least-squares line ``y = slope · x + intercept``.

    Attributes:
        slope: of the line.
        intercept: value at ``x = 0``.
        r_squared: share of the variance explained.
        slope_error: standard error of the slope, 0 with two points.
    """

    slope: float
    intercept: float
    r_squared: float
    slope_error: float


def linear_fit(x: ArrayLike, y: ArrayLike) -> LinearFit:
    """Fit a straight line by least squares; on logarithms, the slope is a rate or an exponent.

    Args:
        x: ``[M]`` with at least two distinct values.
        y: ``[M]``. For a constant ``y``, ``r_squared`` is 1.

    Raises:
        ValueError: for non-finite values, lengths that differ, or fewer than two distinct ``x``.
    """
    u, v = _per_seed(x, "x", what="points"), _per_seed(y, "y", what="points")
    if len(u) != len(v):
        raise ValueError(f"y: expected {len(u)} points like x, got {len(v)}")
    du, dv = u - u.mean(), v - v.mean()
    spread = float(du @ du)
    if np.ptp(u) == 0.0:
        raise ValueError(f"x: expected at least two distinct values, got only {u[0]:g}")
    slope = float(du @ dv) / spread
    rest = dv - slope * du
    total, residual = float(dv @ dv), float(rest @ rest)
    r_squared = 1.0 if total == 0.0 else 1.0 - residual / total
    error = math.sqrt(residual / (len(u) - 2) / spread) if len(u) > 2 else 0.0
    return LinearFit(slope, float(v.mean() - slope * u.mean()), r_squared, error)


def time_to_target(
    curve: ArrayLike, target: float, x: ArrayLike | None = None, *, rising: bool = True
) -> np.ndarray:
    """Position at which each curve first reaches ``target``; ``inf`` if it never does.

    Args:
        curve: ``[..., T]``; NaN entries count as not reached.
        target: the level to reach, from below if ``rising``, else from above.
        x: ``[T]`` positions (rounds, bytes, seconds); the index by default.
        rising: whether larger is better.

    Returns:
        ``[...]`` float64 positions of the first entry at or beyond the target.

    Raises:
        ValueError: if ``curve`` has no points, ``target`` or ``x`` is not finite, or ``x`` has
            another length.

    Example:
        >>> from jaxswarm import statistics
        >>> statistics.time_to_target([[0.1, 0.5, 0.9], [0.1, 0.2, 0.3]], 0.5).tolist()
        [1.0, inf]
    """
    y = checks.as_array("curve", curve, "numbers [..., T]").astype(np.float64)
    rising = _flag("rising", rising)
    if y.ndim == 0 or y.shape[-1] == 0:
        raise ValueError(f"curve: expected [..., T] with at least one point, got shape {y.shape}")
    target = float(checks.real("target", target))
    count = y.shape[-1]
    at = np.arange(count) if x is None else np.asarray(checks.real("x", x, shape=count))
    at = at.astype(np.float64)
    reached = y >= target if rising else y <= target
    first = at[np.argmax(reached, axis=-1)]
    return np.where(reached.any(axis=-1), first, np.inf)


def _per_seed(values: ArrayLike, name: str, what: str = "seeds") -> np.ndarray:
    x = checks.as_array(name, values, f"one number for each of {what}, shape [S]").astype(
        np.float64
    )
    if x.ndim != 1:
        raise ValueError(
            f"{name}: expected one number for each of {what}, shape [S], got {x.shape}"
        )
    if len(x) < 2:
        raise ValueError(f"{name}: expected at least two {what}, got {len(x)}")
    finite = np.isfinite(x)
    if not finite.all():
        at = int(np.argmin(finite))
        raise ValueError(f"{name}: expected finite values, got {x[at]} at index {at}")
    return x


def _check_options(statistic: str, confidence: float, method: str) -> None:
    if statistic not in tuple(STATISTICS):
        raise errors.unknown("statistic", statistic, STATISTICS)
    checks.real("confidence", confidence, above=0.0, below=1.0)
    if method not in _METHODS:
        raise errors.unknown("method", method, _METHODS)
    if method == "t" and statistic != "mean":
        raise ValueError(f"method: expected statistic='mean' for 't', got statistic={statistic!r}")


def _flag(name: str, value: bool) -> bool:
    return bool(checks.mask(name, value, ()))


def _use_t(method: str, statistic: str, seeds: int) -> bool:
    return method == "t" or (method == "auto" and statistic == "mean" and seeds < _FEW_SEEDS)
