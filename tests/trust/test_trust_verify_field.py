"""Field arithmetic equals that of Python's integers, also where 32 bits would overflow."""

import numpy as np
import pytest

from jaxswarm.trust.verify import field

PRIMES = [field.MERSENNE, 65521, 251, 3]


def residues(p: int, shape, seed: int = 0) -> np.ndarray:
    """Random residues with the extreme ones among them."""
    found = np.random.default_rng(seed).integers(0, p, shape).astype(np.uint32)
    extreme = [0, 1, p - 1, p // 2, p // 2 + 1]
    found.reshape(-1)[: len(extreme)] = extreme
    return found


@pytest.mark.parametrize("p", PRIMES)
def test_elementwise_operations_equal_python_integers(p):
    a, b = residues(p, 500), residues(p, 500, 1)
    extreme = [0, 1, p - 1, p // 2, p // 2 + 1]
    a[:25], b[:25] = np.repeat(extreme, 5), np.tile(extreme, 5)
    first, second = a.astype(object), b.astype(object)
    assert (np.asarray(field.add(a, b, p)) == (first + second) % p).all()
    assert (np.asarray(field.subtract(a, b, p)) == (first - second) % p).all()
    assert (np.asarray(field.multiply(a, b, p)) == (first * second) % p).all()


@pytest.mark.parametrize("p", [field.MERSENNE, 251])
def test_powers_and_inverses(p):
    a = np.maximum(residues(p, 50), 1)
    assert np.asarray(field.power(a, 5, p)).tolist() == [pow(int(v), 5, p) for v in a]
    assert np.asarray(field.power(a, 0, p)).tolist() == [1] * 50
    assert (np.asarray(field.multiply(a, field.inverse(a, p), p)) == 1).all()


@pytest.mark.parametrize("p", PRIMES)
def test_matrix_products_equal_python_integers(p):
    a, b = residues(p, (2, 3, 70)), residues(p, (70, 4), 1)
    a[0, 0], b[:, 0] = p - 1, p - 1
    wanted = (a.astype(object) @ b.astype(object)) % p
    assert (np.asarray(field.matmul(a, b, p)) == wanted).all()
    assert (np.asarray(field.matvec(a, b[:, 0], p)) == wanted[..., 0]).all()


@pytest.mark.parametrize("p", [field.MERSENNE, 65521])
def test_the_longest_sum_does_not_overflow(p):
    a = np.full((1, field.LONGEST), p - 1, np.uint32)
    assert int(field.matvec(a, a[0], p)[0]) == field.LONGEST % p
    with np.errstate(over="ignore"):  # which sums of 32 bits would not give
        assert int(np.sum(a * a, dtype=np.uint32)) % p != field.LONGEST % p
    with pytest.raises(ValueError, match="terms"):
        field.matvec(np.zeros((1, field.LONGEST + 1), np.uint32), np.zeros(field.LONGEST + 1, "u4"))


@pytest.mark.parametrize("p", PRIMES)
def test_signed_integers_come_back(p):
    half = (p - 1) // 2
    values = np.array([-half, -1, 0, 1, half], np.int64)
    assert np.asarray(field.elements(values, p)).tolist() == [int(v) % p for v in values]
    assert np.asarray(field.signed(field.elements(values, p), p)).tolist() == values.tolist()
    for outside in (half + 1, -half - 1, 2**40):
        with pytest.raises(ValueError, match=f"values: expected integers .* got {outside}"):
            field.elements([outside], p)


@pytest.mark.parametrize(
    "modulus", [2, 4, 9, 250, 1, 0, -3, 2**31, 2**31 - 3, 65537, 2**16, 7.0, True, None, "7"]
)
def test_other_moduli_are_refused(modulus):
    with pytest.raises(ValueError, match=r"modulus: expected 2\*\*31 - 1 or an odd prime"):
        field.check_modulus(modulus)


def test_random_residues_are_uniform(key):
    counts = np.bincount(np.asarray(field.random(key, (30_000,), 3)), minlength=3)
    assert counts.sum() == 30_000
    assert np.abs(counts - 10_000).max() < 400
