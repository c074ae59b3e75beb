"""Properties of the statistics: coverage, antisymmetry, invariance, exact cases, bad input."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxswarm import statistics
from jaxswarm.statistics import compare, linear_fit, summarize, time_to_target

STATISTICS = ("mean", "iqm", "median")
OPTIONS = [
    {"statistic": name, "paired": paired, "method": method}
    for name in STATISTICS
    for paired in (True, False)
    for method in ("auto", "bca", "percentile")
]


def _arms(seeds: int, gap: float = 0.5, key: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(key)
    shared = generator.normal(size=seeds)
    noise = generator.normal(size=(2, seeds)) * 0.3
    return 2.0 + gap + shared + noise[0], 2.0 + shared + noise[1]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_of_few_seeds_cover_as_often_as_they_say(seeds, paired):
    generator = np.random.default_rng(1)
    hits, repeats = 0, 1_500
    for _ in range(repeats):
        low, high = compare(
            generator.normal(1.0, 1.0, seeds), generator.normal(size=seeds), paired=paired
        ).interval
        hits += low <= 1.0 <= high
    assert 0.93 <= hits / repeats <= 0.98  # Welch errs on the wide side


@pytest.mark.parametrize("statistic", STATISTICS)
def test_bootstrap_covers_with_twelve_seeds(statistic):
    generator = np.random.default_rng(2)
    hits, repeats = 0, 150
    for _ in range(repeats):
        low, high = summarize(generator.normal(size=12), statistic=statistic, method="bca").interval
        hits += low <= 0.0 <= high
    assert hits / repeats >= 0.90


def test_plain_bootstrap_of_three_seeds_would_cover_too_rarely():
    """Why 'auto' is Student's t for few seeds: the control that should fail."""
    generator = np.random.default_rng(3)
    hits, repeats = 0, 150
    for _ in range(repeats):
        x = generator.normal(size=3)
        found = stats.bootstrap((x,), np.mean, n_resamples=500, rng=generator, method="percentile")
        hits += found.confidence_interval.low <= 0.0 <= found.confidence_interval.high
    assert hits / repeats < 0.85


def test_mean_of_few_seeds_is_students_interval():
    a, b = _arms(5)
    found = compare(a, b)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    np.testing.assert_allclose(found.interval, [expected.low, expected.high], rtol=1e-12)
    found = compare(a, b, paired=False, confidence=0.9)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose(found.interval, [expected.low, expected.high], rtol=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seeds", [2, 4, 12])
def test_swapping_the_arms_mirrors_the_comparison(options, seeds):
    a, b = _arms(seeds)
    there, back = compare(a, b, **options), compare(b, a, **options)
    assert there.effect == -back.effect
    np.testing.assert_allclose(there.interval, [-back.interval[1], -back.interval[0]], atol=1e-14)
    assert there.arm == back.baseline
    assert there.interval[0] <= there.effect <= there.interval[1]


@pytest.mark.parametrize(
    "options", [*OPTIONS, {"relative": True}, {"relative": True, "method": "bca"}]
)
def test_order_of_seeds_does_not_matter(options):
    a, b = _arms(11)
    order = np.random.default_rng(0).permutation(11)
    first, second = compare(a, b, **options), compare(a[order], b[order], **options)
    np.testing.assert_allclose(first.effect, second.effect, rtol=1e-13)
    np.testing.assert_allclose(first.interval, second.interval, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_effects_shift_and_scale_with_the_data(shift, scale):
    a, b = _arms(5)
    plain, moved = compare(a, b), compare(scale * (a + shift), scale * b)
    np.testing.assert_allclose(moved.effect, scale * (plain.effect + shift), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        np.subtract(*moved.interval), scale * np.subtract(*plain.interval), rtol=1e-7
    )


@pytest.mark.parametrize("options", OPTIONS)
def test_equal_effects_give_a_zero_width_interval(options):
    found = compare([0.9, 0.9, 0.9], [0.7, 0.7, 0.7], **options)
    assert found.interval == (found.effect, found.effect)
    assert found.effect == pytest.approx(0.2)


def test_rounding_of_equal_differences_is_not_spread():
    found = compare([0.9, 0.8, 0.85], [0.7, 0.6, 0.65])
    assert found.interval[0] == found.interval[1]


def test_pairing_removes_what_seeds_share():
    a, b = _arms(8)
    paired, unpaired = compare(a, b), compare(a, b, paired=False)
    assert paired.effect == pytest.approx(unpaired.effect)
    assert np.ptp(paired.interval) < 0.6 * np.ptp(unpaired.interval)


@pytest.mark.parametrize("paired", [True, False])
def test_relative_is_a_share_of_the_baseline(paired):
    a, b = _arms(6)
    share = compare(a, b, relative=True, paired=paired)
    assert share.effect == pytest.approx((a.mean() - b.mean()) / b.mean())
    scaled = compare(7.0 * a, 7.0 * b, relative=True, paired=paired)
    np.testing.assert_allclose(scaled.interval, share.interval, rtol=1e-12)


def test_relative_interval_of_a_pure_ratio_has_no_width():
    b = np.array([1.0, 2.0, 4.0])
    found = compare(1.5 * b, b, relative=True)
    assert found.effect == pytest.approx(0.5)
    assert np.ptp(found.interval) < 1e-12


def test_takes_jax_arrays_and_keeps_effects_per_seed():
    found = compare(jnp.array([3.0, 5.0]), jnp.array([1.0, 1.0]))
    assert (found.effect, found.seeds, found.arm, found.baseline) == (3.0, 2, 4.0, 1.0)
    np.testing.assert_array_equal(found.effects, [2.0, 4.0])


def test_same_numbers_same_interval():
    a, b = _arms(12)
    assert compare(a, b, method="bca").interval == compare(a, b, method="bca").interval


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 20), (1, 10**6)])
def test_bounds_of_a_proportion_are_exact(k, n):
    for level in (0.9, 0.99):
        wanted = stats.binomtest(k, n).proportion_ci(level, method="exact")
        found = statistics.clopper_pearson(k, n, confidence=level)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize(
    ("k", "n", "level", "name"),
    [
        (1, 0, 0.9, "trials"),
        (2, 1, 0.9, "successes"),
        (-1, 1, 0.9, "successes"),
        (0.5, 1, 0.9, "successes"),
        (1, 1, 1.0, "confidence"),
    ],
)
def test_bounds_of_a_proportion_refuse(k, n, level, name):
    with pytest.raises(ValueError, match=name):
        statistics.clopper_pearson(k, n, confidence=level)


def test_interquartile_mean_ignores_the_outer_quarters():
    assert statistics.interquartile_mean([-1e9, 1.0, 2.0, 1e9]) == 1.5
    x = np.random.default_rng(0).normal(size=(3, 20))
    np.testing.assert_allclose(
        statistics.interquartile_mean(x), stats.trim_mean(x, 0.25, axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        statistics.interquartile_mean(x.T, axis=0), stats.trim_mean(x.T, 0.25)
    )


def test_probability_of_improvement():
    probability = statistics.probability_of_improvement
    assert probability([2, 3], [0, 1]) == 1.0
    assert probability([1, 1], [1, 1]) == 0.5
    a, b = _arms(7)
    assert probability(a, b) == pytest.approx(1.0 - probability(b, a))
    assert probability(a, b) == pytest.approx(stats.mannwhitneyu(a, b).statistic / 49)


def test_linear_fit_agrees_with_scipy():
    generator = np.random.default_rng(0)
    x = generator.normal(size=20)
    y = 3.0 * x - 1.0 + generator.normal(size=20)
    found, oracle = linear_fit(x, y), stats.linregress(x, y)
    assert found.slope == pytest.approx(oracle.slope)
    assert found.intercept == pytest.approx(oracle.intercept)
    assert found.r_squared == pytest.approx(oracle.rvalue**2)
    assert found.slope_error == pytest.approx(oracle.stderr)
    assert linear_fit([0, 1], [1, 3]).slope_error == 0.0
    assert linear_fit([0, 1, 2], [5, 5, 5]).r_squared == 1.0


def test_time_to_target():
    curves = np.array([[0.1, 0.5, 0.9, 0.4], [0.0, 0.1, np.nan, 0.2]])
    np.testing.assert_array_equal(time_to_target(curves, 0.5), [1.0, np.inf])
    np.testing.assert_array_equal(time_to_target(curves, 0.5, [0, 10, 20, 30]), [10.0, np.inf])
    assert time_to_target(1 - curves[0], 0.5, rising=False) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare([1.0], [1.0]), "arm: expected at least two seeds, got 1"),
        (lambda: compare([1.0, 2.0], [1.0, 2.0, 3.0]), "baseline: expected 2 seeds"),
        (
            lambda: compare([1.0, np.nan], [1.0, 2.0]),
            "arm: expected finite values, got nan at index 1",
        ),
        (lambda: compare([1.0, 2.0], [np.inf, 2.0]), "baseline: expected finite"),
        (lambda: compare(np.ones((2, 2)), [1, 2]), r"arm: .* shape \[S\], got \(2, 2\)"),
        (
            lambda: compare([1, 2], [1, 2], statistic="mode"),
            "unknown statistic 'mode', did you mean 'mean'",
        ),  # type: ignore[arg-type]
        (lambda: compare([1, 2], [1, 2], method="magic"), "unknown method 'magic'"),  # type: ignore[arg-type]
        (
            lambda: compare([1, 2], [1, 2], method="t", statistic="iqm"),
            "method: expected statistic='mean' for 't'",
        ),
        (lambda: compare([1, 2], [1, 2], confidence=95), "confidence: expected"),
        (lambda: compare([1, 2], [-1, 1], relative=True), "baseline: expected a non-zero"),
        (lambda: summarize([1.0]), "values: expected at least two"),
        (lambda: statistics.interquartile_mean([]), "values: expected at least one"),
        (lambda: linear_fit([1, 1], [1, 2]), "x: expected at least two distinct"),
        (lambda: linear_fit([1, 2], [1, 2, 3]), "y: expected 2 points"),
        (lambda: time_to_target([], 1.0), "curve: expected"),
        (lambda: time_to_target([1.0], np.nan), "target: expected a finite"),
        (lambda: time_to_target([1.0], 1.0, [1, 2]), "x: expected shape"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_is_light():
    program = (
        "import sys, jaxswarm.statistics, jaxswarm.plotting;"
        "heavy = {'scipy.stats', 'matplotlib', 'networkx'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


NO_NUMBERS = ["text", ["a", "b"], None, [1.0, None], [[1.0], [1.0, 2.0]], [1j, 2j], object()]
SEEDS = [1.0, 2.0, 4.0]
ARRAYS = {
    "arm": (lambda v: compare(v, SEEDS), lambda v: statistics.probability_of_improvement(v, SEEDS)),
    "baseline": (
        lambda v: compare(SEEDS, v, paired=False),
        lambda v: statistics.probability_of_improvement(SEEDS, v),
    ),
    "values": (summarize, statistics.interquartile_mean),
    "x": (lambda v: linear_fit(v, SEEDS), lambda v: time_to_target(SEEDS, 2.0, [v, v])),
    "y": (lambda v: linear_fit(SEEDS, v),),
    "curve": (lambda v: time_to_target(v, 1.0),),
}


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("name", ARRAYS)
def test_what_is_no_array_of_numbers_is_named(name, value):
    for call in ARRAYS[name]:
        with pytest.raises(ValueError, match=f"{name}: expected"):
            call(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["arm", "baseline", "x", "y"])
def test_numbers_that_are_not_finite_are_named(name, value):
    for call in ARRAYS[name]:
        with pytest.raises(ValueError, match=f"{name}: expected"):
            call([value, 1.0, 2.0])


def test_the_interquartile_mean_refuses_nan_and_orders_infinities():
    with pytest.raises(ValueError, match="values: expected numbers, got nan"):
        statistics.interquartile_mean([1.0, 2.0, np.nan, 3.0])
    assert statistics.interquartile_mean([1.0, 2.0, np.inf, -np.inf]) == 1.5
    with pytest.raises(ValueError, match=r"axis: expected a whole number in \[-1, 0\], got 1"):
        statistics.interquartile_mean([1.0, 2.0], axis=1)
    with pytest.raises(ValueError, match="values: expected at least one axis"):
        statistics.interquartile_mean(1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("statistic", value) for value in (None, 3, ["mean"], {})),
        *(("method", value) for value in (None, 3, ["t"])),
        *(("confidence", value) for value in (None, "x", 0.0, 1.0, np.nan, [0.9, 0.9])),
        *(("paired", value) for value in (None, "yes", 1)),
        *(("relative", value) for value in (None, "yes", 1)),
    ],
)
def test_bad_options_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        compare(SEEDS, SEEDS, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", None),
        ("target", "x"),
        ("target", np.inf),
        ("x", [0, 1, np.nan]),
        ("x", [0, 1]),
        ("rising", 1),
    ],
)
def test_bad_options_of_time_to_target_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        time_to_target(SEEDS, **{"target": 2.0, name: value})
