"""Freivalds' check: complete, and sound to the probability that theory gives."""

import functools

import jax
import numpy as np
import pytest
from scipy import stats

from jaxswarm.trust import verify

M, K, N = 3, 4, 5


def checked(p: int, count: int, errors) -> int:
    """How many of ``count`` products with errors ``[count, M, N]`` pass, with random challenges."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, p, (M, K)).astype(np.uint32)
    b = rng.integers(0, p, (K, N)).astype(np.uint32)
    right = (a.astype(object) @ b.astype(object)) % p
    c = ((right[None] + errors) % p).astype(np.uint32)
    r = np.random.default_rng(1).integers(0, p, (count, N)).astype(np.uint32)
    return int(np.sum(passed(a, b, c, r, p)))


@functools.partial(jax.jit, static_argnums=4)
def passed(a, b, c, r, p):
    return jax.vmap(lambda c, r: verify.freivalds(a, b, c, r, p))(c, r)


def single(count: int, size: int = 1) -> np.ndarray:
    """Errors ±1 in one random element each."""
    rng = np.random.default_rng(2)
    errors = np.zeros((count, M * N), np.int64)
    errors[np.arange(count), rng.integers(0, M * N, count)] = size * rng.choice([-1, 1], count)
    return errors.reshape(count, M, N)


@pytest.mark.parametrize("p", [verify.field.MERSENNE, 251])
def test_right_products_always_pass(p):
    assert checked(p, 20_000, np.zeros((20_000, M, N), np.int64)) == 20_000


def test_no_wrong_product_passes_in_the_large_field():
    assert checked(verify.field.MERSENNE, 20_000, single(20_000)) == 0


def test_wrong_products_pass_a_small_field_as_often_as_theory_says():
    count = 20_000
    low, high = stats.binom.interval(0.99, count, 1 / 251)
    assert low <= checked(251, count, single(count)) <= high


def test_errors_of_higher_rank_pass_less_often():
    count, errors = 20_000, np.zeros((20_000, M, N), np.int64)
    errors[:, 0, 0] = errors[:, 1, 2] = 1
    low, high = stats.binom.interval(0.99, count, 1 / 9)
    assert low <= checked(3, count, errors) <= high
    low, high = stats.binom.interval(0.99, count, 1 / 3)
    assert low <= checked(3, count, single(count)) <= high


def test_leading_axes_signed_integers_and_shared_matrices(key):
    rng = np.random.default_rng(0)
    a = rng.integers(-127, 128, (2, 3, 6, 4)).astype(np.int8)
    b = rng.integers(-127, 128, (4, 5)).astype(np.int8)
    c = a.astype(np.int32) @ b
    r = verify.field.random(key, (2, 3, 5))
    c[1, 2, 0, 0] += 1
    wanted = np.ones((2, 3), bool)
    wanted[1, 2] = False
    assert np.asarray(verify.freivalds(a, b, c, r)).tolist() == wanted.tolist()


def test_the_verifier_needs_a_fifth_of_the_work_at_1024():
    square = verify.Product((), 1024, 1024, 1024, 1, 0)
    assert square.multiply_adds == 1024**3
    assert square.check_multiply_adds == 3 * 1024**2
    assert verify.Product((2,), 8, 1024, 1024, 2, 0).check_multiply_adds == 2 * (2**20 + 2**14)
    # With few rows there is nothing to save: one row costs more to check than to compute.
    single_row = verify.Product((), 1, 1024, 1024, 1, 0)
    assert single_row.check_multiply_adds > single_row.multiply_adds
