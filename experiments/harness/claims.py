"""Claims: a measured number with its interval, compared with a pre-registered threshold.

``experiments/NAME/claims.py`` states its thresholds as constants and builds its claims like this::

    MERGEABLE = 0.02  # least gain of the merged model, as a fraction of the test set

    def claims(config: Config, results: Results) -> list[Claim]:
        made = ClaimList(NAME)
        made.add(
            "The merged model is more accurate than the agents' own models",
            statement="Sparsely communicating models stay mergeable (Zhu et al. 2025, §4)",
            measured="accuracy of the merged model - mean accuracy of the agents' own models",
            metric="test accuracy",
            unit="fraction",
            arm="merged model",
            baseline="own models",
            value=statistics.compare(merged, own),
            at_least=MERGEABLE,
            judge="interval",
        )
        return made
"""

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
    "statement",
    "measured",
    "metric",
    "unit",
    "arm",
    "bound",
    "judge",
    "judged",
    "crosses",
    "verdict",
    "control",
    "note",
)
"""Keys of a claim in JSON, in this order."""

STRICTLY = 1e-9
"""Least difference that counts as higher or better; a threshold of 0 would hold for equal arms."""

NOT_JUDGED = "not judged"
"""The verdict at smoke scale, which only tests that everything runs."""

Judge = Literal["effect", "interval", "every seed"]


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, measured. Build it with :func:`claim`, which derives the verdict.

    Attributes:
        system: name of the experiment.
        claim: the sentence as measured here.
        baseline: the arm or quantity that ``effect`` is relative to; empty if it is absolute.
        effect: the measured number.
        interval: its ``(low, high)`` at 95 %, or ``None`` for a single number.
        seeds: number of independent runs.
        threshold: fixed in the experiment's source before the run.
        held: whether the judged number reached the threshold.
        seconds: wall time of the experiment that measured it.
        statement: the paper's statement with its section, or ``"Own check: …"``, ``"Control: …"``.
        measured: the expression that ``effect`` is the value of.
        metric: the measured quantity, such as ``"test accuracy"``.
        unit: unit of ``effect``: ``"fraction"``, ``"points"``, ``"ratio"``, ``"bytes"``, …
        arm: the arm whose number is compared with the baseline's.
        bound: which side of ``threshold`` is good.
        judge: the judged number: the effect, the interval's end nearer to failing, or the worst
            seed.
        judged: that number.
        crosses: whether the threshold lies inside the interval, so that the seeds do not decide.
        control: whether this is a control that should fail or a check of the set-up rather than a
            statement of the paper.
        note: a remark for the table, such as what replaces what.
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
    statement: str = ""
    measured: str = ""
    metric: str = ""
    unit: str = ""
    arm: str = ""
    bound: Literal["at least", "at most"] = "at least"
    judge: Judge = "effect"
    judged: float = math.nan
    crosses: bool = False
    control: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """``"held"`` or ``"not held"``, and whether the interval crosses the threshold."""
        return verdict(self.held, self.crosses)

    def as_json(self, *, is_judged: bool = True) -> dict[str, Any]:
        """The keys :data:`JSON_KEYS`; numbers that JSON cannot hold become ``None``.

        Args:
            is_judged: at smoke scale the verdict is ``"not judged"``; ``held`` is the plain
                comparison with the threshold all the same.
        """
        record = asdict(self) | {"verdict": self.verdict if is_judged else NOT_JUDGED}
        record["interval"] = None if self.interval is None else list(self.interval)
        return _finite({key: record[key] for key in JSON_KEYS})


class ClaimList(list[Claim]):
    """The claims of one system, in the order of the report."""

    def __init__(self, system: str):
        super().__init__()
        self.system = system

    def add(
        self,
        sentence: str,
        *,
        statement: str,
        measured: str,
        metric: str,
        unit: str,
        arm: str,
        value: Comparison | Summary | float,
        baseline: str = "",
        at_least: float | None = None,
        at_most: float | None = None,
        judge: Judge = "effect",
        seeds: int | None = None,
        control: bool = False,
        note: str = "",
    ) -> Claim:
        """Append the claim that :func:`claim` makes of these arguments, and return it."""
        made = claim(
            self.system,
            sentence,
            statement=statement,
            measured=measured,
            metric=metric,
            unit=unit,
            arm=arm,
            value=value,
            baseline=baseline,
            at_least=at_least,
            at_most=at_most,
            judge=judge,
            seeds=seeds,
            control=control,
            note=note,
        )
        self.append(made)
        return made


def claim(
    system: str,
    sentence: str,
    *,
    statement: str,
    measured: str,
    metric: str,
    unit: str,
    arm: str,
    value: Comparison | Summary | float,
    baseline: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    judge: Judge = "effect",
    seeds: int | None = None,
    control: bool = False,
    note: str = "",
) -> Claim:
    """Compare a measurement with a threshold that the experiment's source states.

    Args:
        system: name of the experiment.
        sentence: what is claimed, as measured here: a plain sentence that can be read alone.
        statement: the paper's statement, paraphrased or quoted, with its section.
        measured: the expression whose value is ``value``.
        metric: the measured quantity, such as ``"test accuracy"``.
        unit: unit of ``value``: ``"fraction"``, ``"points"``, ``"ratio"``, ``"bytes"``, …
        arm: name of the arm (or quantity) that is measured.
        value: from ``statistics.compare`` or ``statistics.summarize``, or one number without
            interval.
        baseline: name of the arm (or quantity) it is relative to; empty if ``value`` is absolute.
        at_least: the judged number must be this or more; exactly one of the two bounds is given.
        at_most: the judged number must be this or less.
        judge: ``"effect"`` judges the point estimate, ``"interval"`` the end of the interval nearer
            to failing, ``"every seed"`` the worst paired difference of a ``Comparison``.
        seeds: number of runs behind a plain number, 1 by default; for the others it must agree.
        control: see :class:`Claim`.
        note: see :class:`Claim`.

    Returns:
        The claim. A judged number that is NaN does not hold.

    Raises:
        ValueError: if a text is empty, not exactly one bound is given, a bound is not finite, or
            ``judge`` needs what ``value`` lacks.

    Example:
        >>> from jaxswarm.statistics import compare
        >>> made = claim(
        ...     "demo", "Averaging helps", statement="Own check: averaging helps",
        ...     measured="averaged - alone", metric="accuracy", unit="fraction",
        ...     arm="averaged", baseline="alone",
        ...     value=compare([0.8, 0.9, 0.9], [0.8, 0.8, 0.7]), at_least=0.05,
        ... )
        >>> made.verdict
        'held, interval crosses the threshold'
    """
    texts = {
        "sentence": sentence,
        "statement": statement,
        "measured": measured,
        "metric": metric,
        "unit": unit,
        "arm": arm,
    }
    for name, text in texts.items():
        if not text.strip():
            raise ValueError(f"{name}: expected a text, got {text!r} (claim {sentence!r})")
    if (at_least is None) == (at_most is None):
        raise ValueError(f"at_least, at_most: expected exactly one, got {at_least} and {at_most}")
    bound = at_least if at_least is not None else at_most
    threshold = float(bound if bound is not None else math.nan)
    rising = at_least is not None
    if not math.isfinite(threshold):
        raise ValueError(f"threshold: expected a finite number, got {threshold}")
    if isinstance(value, Comparison):
        effect, interval, runs = value.effect, value.interval, value.seeds
    elif isinstance(value, Summary):
        effect, interval, runs = value.value, value.interval, value.seeds
    else:
        effect, interval, runs = float(value), None, 1
    if seeds is not None:
        if interval is not None and seeds != runs:
            raise ValueError(f"seeds: expected {runs} like value, got {seeds}")
        runs = seeds
    judged = _judged(value, effect, interval, judge, rising)
    return Claim(
        system=system,
        claim=sentence,
        baseline=baseline,
        effect=effect,
        interval=interval,
        seeds=runs,
        threshold=threshold,
        held=bool(judged >= threshold if rising else judged <= threshold),
        statement=statement,
        measured=measured,
        metric=metric,
        unit=unit,
        arm=arm,
        bound="at least" if rising else "at most",
        judge=judge,
        judged=judged,
        crosses=contains(interval, threshold),
        control=control,
        note=note,
    )


def contains(interval: tuple[float, float] | list[float] | None, threshold: float) -> bool:
    """Whether ``threshold`` lies strictly inside ``interval``; false without an interval."""
    if interval is None or None in interval:
        return False
    low, high = interval
    return bool(low < threshold < high)


def verdict(held: bool, crosses: bool) -> str:
    """The verdict as text: ``"held"`` or ``"not held"``, with a warning if the interval crosses."""
    text = "held" if held else "not held"
    return f"{text}, interval crosses the threshold" if crosses else text


def _judged(
    value: Comparison | Summary | float,
    effect: float,
    interval: tuple[float, float] | None,
    judge: str,
    rising: bool,
) -> float:
    """The number that is compared with the threshold."""
    if judge == "effect":
        return effect
    if judge == "interval":
        if interval is None:
            raise ValueError(
                "judge: 'interval' expects a comparison or summary, got a plain number"
            )
        return interval[0] if rising else interval[1]
    if judge == "every seed":
        if not isinstance(value, Comparison) or not len(value.effects):
            raise ValueError("judge: 'every seed' expects a paired comparison")
        return float(value.effects.min() if rising else value.effects.max())
    raise ValueError(f"judge: expected 'effect', 'interval' or 'every seed', got {judge!r}")


def _finite(value: Any) -> Any:
    """The same nested value with ``None`` for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
