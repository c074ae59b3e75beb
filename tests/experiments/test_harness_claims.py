"""Claims: verdicts are derived from the measurement, and bad input is refused."""

import pytest

from experiments.harness.claims import JSON_KEYS, ClaimList, claim
from jaxswarm.statistics import compare, summarize

GAP = compare([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])  # effects 0.5, 1.5, 2.5
TEXTS = {
    "statement": "Own check: s",
    "measured": "a - b",
    "metric": "accuracy",
    "unit": "fraction",
    "arm": "a",
}


def _claim(value, **options):
    return claim("system", "sentence", value=value, **{**TEXTS, **options})


@pytest.mark.parametrize(
    ("options", "held", "judged", "crosses"),
    [
        ({"at_least": 1.5}, True, 1.5, True),
        ({"at_least": 1.6}, False, 1.5, True),
        ({"at_most": 1.5}, True, 1.5, True),
        ({"at_least": -9.0}, True, 1.5, False),
        ({"at_least": 9.0}, False, 1.5, False),
        ({"at_least": 0.0, "judge": "interval"}, False, GAP.interval[0], True),
        ({"at_least": GAP.interval[0], "judge": "interval"}, True, GAP.interval[0], False),
        ({"at_most": 9.0, "judge": "interval"}, True, GAP.interval[1], False),
        ({"at_least": 0.5, "judge": "every seed"}, True, 0.5, True),
        ({"at_least": 0.6, "judge": "every seed"}, False, 0.5, True),
        ({"at_most": 2.4, "judge": "every seed"}, False, 2.5, True),
    ],
)
def test_verdict_is_derived(options, held, judged, crosses):
    made = _claim(GAP, **options)
    assert (made.held, made.crosses) == (held, crosses)
    assert made.judged == pytest.approx(judged)
    assert (made.effect, made.interval, made.seeds) == (GAP.effect, GAP.interval, 3)
    suffix = ", interval crosses the threshold" if crosses else ""
    assert made.verdict == ("held" if held else "not held") + suffix


def test_claims_of_summaries_and_numbers():
    assert _claim(summarize([1.0, 3.0]), at_least=2.0).held
    assert _claim(2.0, at_least=2.0, seeds=5).seeds == 5
    assert not _claim(2.0, at_least=2.0).crosses
    undefined = _claim(float("nan"), at_least=0.0)
    assert not undefined.held
    assert undefined.as_json()["effect"] is None
    assert not _claim(float("inf"), at_most=10.0).held


def test_json_keys_in_order_and_smoke_is_not_judged():
    made = _claim(GAP, at_least=0.0, baseline="b", note="n")
    assert tuple(made.as_json()) == JSON_KEYS
    assert made.as_json()["verdict"] == "held, interval crosses the threshold"
    assert made.as_json(is_judged=False)["verdict"] == "not judged"
    assert made.as_json()["interval"] == list(GAP.interval)


def test_a_list_adds_claims_of_its_system():
    made = ClaimList("dimat")
    added = made.add("sentence", value=GAP, at_least=0.0, **TEXTS)
    assert list(made) == [added]
    assert added == claim("dimat", "sentence", value=GAP, at_least=0.0, **TEXTS)


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (GAP, {}, "expected exactly one"),
        (GAP, {"at_least": 1, "at_most": 2}, "expected exactly one"),
        (GAP, {"at_least": float("nan")}, "threshold: expected a finite"),
        (GAP, {"at_least": 1, "judge": "mood"}, "judge: expected"),
        (1.0, {"at_least": 1, "judge": "interval"}, "judge: 'interval'"),
        (1.0, {"at_least": 1, "judge": "every seed"}, "judge: 'every seed'"),
        (GAP, {"at_least": 1, "seeds": 7}, "seeds: expected 3"),
        (GAP, {"at_least": 1, "statement": " "}, "statement: expected a text"),
        (GAP, {"at_least": 1, "unit": ""}, "unit: expected a text"),
    ],
)
def test_bad_claims_are_refused(value, options, message):
    with pytest.raises(ValueError, match=message):
        _claim(value, **options)
