"""The assignment on the device against scipy's, the streamed correlation against numpy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from jaxswarm.learning.matching import Moments, assign, cross_correlation

SIZES = (1, 2, 7, 24)  # few shapes: each is compiled once


def scores(size, kind, seed):
    rng = np.random.default_rng(seed)
    return {
        "real": rng.normal(size=(size, size)),
        "ties": rng.integers(-2, 3, size=(size, size)),
        "negative": -rng.uniform(1, 100, size=(size, size)),
        "constant": np.full((size, size), rng.normal()),
        "low rank": np.outer(rng.normal(size=size), rng.normal(size=size)),
    }[kind].astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SIZES),
    st.sampled_from(["real", "ties", "negative", "constant", "low rank"]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_assignment_is_a_bijection_of_scipys_total(size, kind, maximize, seed):
    score = scores(size, kind, seed)
    column = np.asarray(assign(jnp.asarray(score), maximize=maximize))
    assert sorted(column) == list(range(size))
    wanted = score[linear_sum_assignment(score, maximize=maximize)].sum(dtype=np.float64)
    got = score[np.arange(size), column].sum(dtype=np.float64)
    np.testing.assert_allclose(got, wanted, atol=1e-5 * max(1.0, np.abs(score).sum()))


def test_a_batch_of_assignments_is_each_of_them():
    batch = jnp.stack([jnp.asarray(scores(24, "real", seed)) for seed in range(6)])
    together = jax.jit(jax.vmap(assign))(batch)
    for one, wanted in zip(together, batch, strict=True):
        np.testing.assert_array_equal(one, assign(wanted))


def test_a_permutation_matrix_is_recovered():
    order = np.random.default_rng(3).permutation(24)
    np.testing.assert_array_equal(assign(jnp.eye(24)[order], maximize=True), order)


@pytest.mark.parametrize("shape", [(2, 3), (4,), (0, 0), (2, 2, 2)])
def test_assignment_refuses_what_is_not_square(shape):
    with pytest.raises(ValueError, match="score: expected a square matrix"):
        assign(jnp.zeros(shape))


def test_assignment_refuses_nan_and_stays_a_bijection_while_tracing():
    score = jnp.eye(7).at[2, 3].set(jnp.nan)
    with pytest.raises(ValueError, match="score: expected finite"):
        assign(score)
    column = jax.jit(assign)(score)
    assert sorted(np.asarray(column).tolist()) == list(range(7))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 5), st.sampled_from([0.0, 3.0, -100.0]))
def test_streamed_correlation_is_numpys(seed, batches, offset):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batches, 8, 5)).astype(np.float32) + np.float32(offset)
    y = (x[..., ::-1] ** 2 + rng.normal(size=x.shape)).astype(np.float32)
    got = cross_correlation(zip(x, y, strict=True))
    wanted = np.corrcoef(x.reshape(-1, 5).T, y.reshape(-1, 5).T)[:5, 5:]
    np.testing.assert_allclose(got, wanted, atol=2e-3 if offset < -50 else 2e-5)


def test_batches_of_any_size_and_pixels_as_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 2, 2, 3))
    whole = cross_correlation([(x, y)])
    parts = cross_correlation([(x[:1], y[:1]), (x[1:], y[1:])])
    np.testing.assert_allclose(whole, parts, atol=1e-6)
    np.testing.assert_allclose(
        whole, np.corrcoef(x.reshape(-1, 3).T, y.reshape(-1, 3).T)[:3, 3:], atol=1e-6
    )


def test_a_silent_unit_correlates_with_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9, 4)).astype(np.float32)
    y = x.copy()
    x[:, 1], y[:, 2] = 0.0, 5.3
    found = np.asarray(cross_correlation([(x[:4], y[:4]), (x[4:], y[4:])]))
    assert (found[1] == 0).all()
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found[0, 0], 1.0, atol=1e-6)
    column = np.asarray(assign(jnp.asarray(found), maximize=True))
    assert sorted(column) == [0, 1, 2, 3]
    assert column[0] == 0
    assert column[3] == 3


def test_traced_nan_correlates_with_nothing():
    x = jnp.asarray(np.random.default_rng(2).normal(size=(9, 3)), jnp.float32)
    found = Moments.empty(3).add(x.at[4, 1].set(jnp.nan), x).correlation()
    assert bool(jnp.isfinite(found).all())
    assert float(jnp.abs(found[1]).max()) == 0.0


def test_correlation_refuses_bad_batches():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="batches: expected at least one"):
        cross_correlation([])
    with pytest.raises(ValueError, match="at least one row"):
        cross_correlation([(x[:0], x[:0])])
    with pytest.raises(ValueError, match="expected equal shapes"):
        cross_correlation([(x, x[:, :2])])
    with pytest.raises(ValueError, match="expected 3 units"):
        cross_correlation([(x, x), (x[:, :2], x[:, :2])])
    with pytest.raises(ValueError, match="y: expected finite"):
        cross_correlation([(x, x * np.nan)])
