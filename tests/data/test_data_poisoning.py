"""Data attacks change what they name, on malicious agents only."""

import jax
import numpy as np
import pytest

from jaxswarm import data
from tests.later import Later

N, M = 4, 10
LABELS = np.tile(np.arange(10, dtype=np.int32), (N, 1))
SHARDS = Later(data.stacked, np.zeros((N, M, 16), np.float32), LABELS)
BAD = np.arange(N) >= 2
PATCH = data.square_patch(4, 4, 2)


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        (data.flip_pair(0, 1), [1, 0, 2, 3, 4, 5, 6, 7, 8, 9]),
        (data.flip_pair(7, 1, both=False), [0, 1, 2, 3, 4, 5, 6, 1, 8, 9]),
        (data.flip_all(10), list(range(9, -1, -1))),
        (data.flip_all(10, 3), [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]),
        (data.backdoor(PATCH, 5), [5] * 10),
    ],
)
def test_labels_of_the_malicious_change_as_named(attack, expected, key):
    sample = jax.jit(data.poisoned(data.full_batches(), attack, BAD))
    batch = sample(key, SHARDS.value)
    assert np.array_equal(batch.y[:2], LABELS[:2])
    assert np.array_equal(batch.y[2:], np.tile(expected, (2, 1)))
    assert batch.y.dtype == LABELS.dtype
    assert np.array_equal(batch.weight, np.ones((N, M)))


def test_the_patch_is_stamped_on_the_share_and_only_there(key):
    attack = data.backdoor(PATCH, 5, value=2.0, share=0.5)
    batch = data.poisoned(data.full_batches(), attack, BAD)(key, SHARDS.value)
    hit = np.asarray(batch.x[..., 0]) == 2.0
    assert 0 < hit[2:].sum() < 20
    assert not hit[:2].any()
    assert (np.asarray(batch.x)[hit].reshape(-1, 4, 4)[:, :2, :2] == 2.0).all()
    assert np.asarray(batch.x).sum() == hit.sum() * 8.0
    assert (np.asarray(batch.y)[hit] == 5).all()
    assert data.stamp(np.zeros((3, 4, 4)), data.square_patch(4, 4, 1, flat=False)).sum() == 3


def test_honest_draws_are_those_of_the_plain_sampler(key):
    plain = data.minibatches(6)
    x, y = plain(key, SHARDS.value), data.poisoned(plain, data.flip_all(10), BAD)(key, SHARDS.value)
    assert np.array_equal(x.y[:2], y.y[:2])
    assert np.array_equal(9 - x.y[2:], y.y[2:])


def test_the_score_counts_only_the_class_under_attack():
    labels = np.array([0, 0, 1, 1])
    predicted = np.array([[1, 0, 1, 1], [1, 1, 0, 0]])
    assert np.array_equal(data.attack_score(predicted, labels, 0, 1), [0.5, 1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.flip_pair(1, 1), "different"),
        (lambda: data.flip_all(1), "num_classes"),
        (lambda: data.flip_all(5, 10), "shift"),
        (lambda: data.backdoor(np.zeros(4, bool), 1), "patch"),
        (lambda: data.backdoor(PATCH, -1), "target"),
        (lambda: data.backdoor(PATCH, 1, share=2.0), "share"),
        (lambda: data.square_patch(4, 4, 5), "size"),
        (lambda: data.stamp(np.zeros((3, 5)), PATCH), "patch"),
        (lambda: data.poisoned(data.full_batches(), data.flip_all(3), [1, 0]), "malicious"),
        (
            lambda: data.attack_score(np.zeros(2, int), np.ones(2, int), 0, 1),
            "source: expected a class among",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
