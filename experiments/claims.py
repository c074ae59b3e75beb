"""What an experiment concludes: a sentence, an effect with its interval, a threshold, a verdict."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from jaxswarm.statistics import Comparison, Summary

JSON_KEYS = (
    "system",
    "claim",
    "baseline",
    "effect",
    "interval",
    "seeds",
    "threshold",
    "held",
    "seconds",
)

Judge = Literal["effect", "interval", "every seed"]


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, measured. Build it with :func:`claim`, which derives the verdict.

    Attributes:
        system: name of the experiment.
        claim: the sentence, as measured here.
        baseline: what the effect is against.
        effect: the measured number.
        interval: its ``(low, high)``, or ``None`` for a single number.
        seeds: how many independent runs are behind it.
        threshold: fixed in the experiment's source before the run.
        held: whether the judged number reached the threshold.
        seconds: wall time of the experiment that measured it.
        bound: which side of ``threshold`` is good.
        judge: the judged number: the effect, the interval's end nearer to failing, or the worst
            seed.
        judged: that number.
        control: a control that should fail, or a check of the set-up rather than the paper's
            sentence.
        note: a remark for the table, such as what stands in for what.
    """

    system: str
    claim: str
    baseline: str
    effect: float
    interval: tuple[float, float] | None
    seeds: int
    threshold: float
    held: bool
    seconds: float = 0.0
    bound: Literal["at least", "at most"] = "at least"
    judge: Judge = "effect"
    judged: float = math.nan
    control: bool = False
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The nine published keys; numbers that JSON cannot hold become ``None``."""
        record = self.as_record()
        return {key: record[key] for key in JSON_KEYS}

    def as_record(self) -> dict[str, Any]:
        """Every field, fit for JSON."""
        record = asdict(self)
        record["interval"] = None if self.interval is None else list(self.interval)
        return _finite(record)


def claim(
    system: str,
    sentence: str,
    baseline: str,
    measured: Comparison | Summary | float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    judge: Judge = "effect",
    seeds: int | None = None,
    control: bool = False,
    note: str = "",
) -> Claim:
    """Hold a measurement against a threshold that the experiment's source states.

    Args:
        system: name of the experiment.
        sentence: what is claimed, in the words of what was measured.
        baseline: name of the arm (or quantity) it is measured against.
        measured: of ``statistics.compare`` or ``statistics.summarize``, or one number without
            interval.
        at_least: the judged number must be this or more; exactly one of the two bounds is given.
        at_most: the judged number must be this or less.
        judge: what is judged. ``"effect"``: the point estimate (the interval is shown beside it);
            ``"interval"``: its end nearer to failing; ``"every seed"``: the worst seed of a paired
            comparison.
        seeds: runs behind a plain number (1 by default); otherwise known from ``measured``.
        control: see :class:`Claim`.
        note: see :class:`Claim`.

    Returns:
        The claim. A judged number that is NaN does not hold.

    Raises:
        ValueError: if not exactly one bound is given, a bound is not finite, or ``judge`` asks for
            what ``measured`` lacks.
    """
    if (at_least is None) == (at_most is None):
        raise ValueError(f"at_least, at_most: expected exactly one, got {at_least} and {at_most}")
    rising = at_least is not None
    threshold = float(at_least if at_least is not None else at_most)  # type: ignore[arg-type]
    if not math.isfinite(threshold):
        raise ValueError(f"threshold: expected a finite number, got {threshold}")
    if isinstance(measured, Comparison):
        effect, interval, runs = measured.effect, measured.interval, measured.seeds
    elif isinstance(measured, Summary):
        effect, interval, runs = measured.value, measured.interval, measured.seeds
    else:
        effect, interval, runs = float(measured), None, 1
    if seeds is not None:
        if interval is not None and seeds != runs:
            raise ValueError(f"seeds: expected {runs} like measured, got {seeds}")
        runs = seeds
    judged = _judged(measured, effect, interval, judge, rising)
    return Claim(
        system=system,
        claim=sentence,
        baseline=baseline,
        effect=effect,
        interval=interval,
        seeds=runs,
        threshold=threshold,
        held=bool(judged >= threshold if rising else judged <= threshold),
        bound="at least" if rising else "at most",
        judge=judge,
        judged=judged,
        control=control,
        note=note,
    )


def _judged(
    measured: Any,
    effect: float,
    interval: tuple[float, float] | None,
    judge: str,
    rising: bool,
) -> float:
    if judge == "effect":
        return effect
    if judge == "interval":
        if interval is None:
            raise ValueError(
                "judge: 'interval' expects a comparison or summary, got a plain number"
            )
        return interval[0] if rising else interval[1]
    if judge == "every seed":
        if not isinstance(measured, Comparison) or not len(measured.effects):
            raise ValueError("judge: 'every seed' expects a paired comparison")
        return float(measured.effects.min() if rising else measured.effects.max())
    raise ValueError(f"judge: expected 'effect', 'interval' or 'every seed', got {judge!r}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
