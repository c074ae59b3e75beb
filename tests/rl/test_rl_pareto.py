"""Pareto measures against brute force, and the laws they keep."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm.rl import pareto
from tests.rl.bad_input import NAN, accepted

non_dominated, hypervolume = jax.jit(pareto.non_dominated), jax.jit(pareto.hypervolume)


def by_hand(points):
    """Flags of the points that no other dominates."""
    return [not any((q >= p).all() and (q > p).any() for q in points) for p in np.asarray(points)]


def by_inclusion(points, reference):
    """Hypervolume by inclusion and exclusion of all sets of points."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in itertools.combinations(points, size):
            total -= (-1) ** size * np.prod(np.min(chosen, axis=0) - reference)
    return total


@pytest.mark.parametrize("m", [2, 3, 4])
def test_measures_equal_brute_force(m):
    rng = np.random.default_rng(m)
    for _ in range(6):
        points = rng.integers(0, 5, (7, m)).astype(np.float32)  # with ties and copies
        points[2:4] += 0.25
        assert non_dominated(points).tolist() == by_hand(points)
        found = hypervolume(points, np.full(m, -1.0, np.float32))
        assert float(found) == pytest.approx(by_inclusion(points, -1.0), rel=1e-5)
        front = pareto.front(points)
        np.testing.assert_array_equal(front, np.unique(points[by_hand(points)], axis=0))


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=5, max_size=5))
def test_laws_of_the_hypervolume(pairs):
    points, low = np.array(pairs, np.float32) + 1.0, np.zeros(2, np.float32)
    volume = float(hypervolume(points, low))
    assert float(hypervolume(points[::-1], low)) == pytest.approx(volume)  # order
    assert float(hypervolume(points[:, ::-1], low)) == pytest.approx(volume)  # objectives
    assert float(hypervolume(2.0 * points, low)) == pytest.approx(4.0 * volume)  # scale
    assert float(hypervolume(points + 3.0, low + 3.0)) == pytest.approx(volume)  # shift
    best = np.array(by_hand(points))
    dominated = np.where(best[:, None], points, points[np.argmax(best)])
    assert float(hypervolume(dominated, low)) == pytest.approx(volume)  # dominated points
    better = points.copy()
    better[0] += 1.0
    assert float(hypervolume(better, low)) >= volume
    assert float(hypervolume(points, low, best)) == pytest.approx(volume)  # masks
    assert volume == pytest.approx(float(pareto.hypervolume(points, low)))  # jit = eager


def test_what_does_not_count_has_no_influence():
    points = np.array([[1.0, 3.0], [2.0, 2.0], [4.0, 0.5], [NAN, 9.0]], np.float32)
    mask = np.array([True, True, True, False])
    for measure in (pareto.spacing, pareto.sparsity):
        masked = jax.jit(measure)(points, mask)
        np.testing.assert_allclose(masked, measure(points[:3]), rtol=1e-6)
    assert non_dominated(points, mask).tolist() == mask.tolist()
    assert float(pareto.hypervolume(points, [0.0, 0.0], mask)) == 6.0
    assert float(hypervolume(points, np.zeros(2, np.float32))) == 6.0  # NaN is absent in a trace


def test_spacing_and_sparsity_as_counted_by_hand():
    front = np.array([[0.0, 6.0], [1.0, 4.0], [5.0, 3.0], [5.0, 3.0], [4.0, 2.0]], np.float32)
    # Distances to the nearest: 3, 3, 5 on three distinct points; the last is dominated.
    assert float(pareto.spacing(front)) == pytest.approx(np.std([3.0, 3.0, 5.0], ddof=1))
    assert float(pareto.sparsity(front)) == pytest.approx((1 + 16 + 4 + 1) / 2)
    for one in (pareto.spacing(front[:1]), pareto.sparsity(front[2:4])):
        assert np.isnan(one)


def test_hypervolume_equals_pymoo():
    hv = pytest.importorskip("pymoo.indicators.hv")
    rng = np.random.default_rng(0)
    for m in (2, 3, 4):
        points = rng.random((12, m)).astype(np.float32)
        theirs = hv.HV(ref_point=np.zeros(m))(-points)  # pymoo minimizes
        assert float(pareto.hypervolume(points, np.zeros(m))) == pytest.approx(theirs, rel=1e-5)


def test_bad_points_are_refused_by_name():
    good, low = [[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0]
    wrong = ([], [[1.0], [2.0]], [1.0, 2.0], [[NAN, 1.0]], [[np.inf, 1.0]], "x", None, [[1j, 2]])
    for measure in (pareto.non_dominated, pareto.front, pareto.spacing, pareto.sparsity):
        assert accepted(measure, {"points": wrong}) == []
    call = lambda **given: pareto.hypervolume(**{"points": good, "reference": low, **given})  # noqa: E731
    references = ([0.0], [NAN, 0.0], [1.5, 0.0], "x", None)
    masks = ([True], [1, 0], "x")
    assert accepted(call, {"points": wrong, "reference": references, "mask": masks}) == []
    with pytest.raises(ValueError, match="reference: expected a point that every point dominates"):
        pareto.hypervolume(good, [1.0, 1.5])
    with pytest.raises(ValueError, match="reference"):
        pareto.hypervolume([[0.0, 0.0]], low)  # equal, not dominated
    with pytest.raises(ValueError, match="points: expected at least one that counts"):
        pareto.hypervolume(good, low, [False, False])
    with pytest.raises(ValueError, match="concrete"):
        jax.jit(pareto.front)(jnp.array(good))
