"""Permuted vocabularies: exact for a model, and broken by frequencies."""

import itertools

import jax
import numpy as np
import pytest

from jaxswarm.trust import obfuscation

KEY = jax.random.key(0)


def chain(rng, transition, length):
    states = [0]
    for _ in range(length - 1):
        states.append(rng.choice(len(transition), p=transition[states[-1]]))
    return np.array(states)


def test_a_permuted_model_gives_permuted_logits():
    rng = np.random.default_rng(0)
    table, head = rng.normal(size=(7, 4)).astype(np.float32), rng.normal(size=(7, 4))
    secret = np.asarray(obfuscation.draw_permutation(KEY, 7))
    tokens = np.array([[0, 3, 6, 2]])
    sent = obfuscation.obfuscate(tokens, secret)
    assert sent.tolist() == secret[tokens].tolist()
    np.testing.assert_array_equal(obfuscation.permute_rows(table, secret)[sent], table[tokens])
    logits = table[tokens] @ np.asarray(obfuscation.permute_rows(head, secret)).T
    np.testing.assert_allclose(logits[..., secret], table[tokens] @ head.T, rtol=1e-5)
    np.testing.assert_array_equal(obfuscation.restore(sent, secret), tokens)


def test_bigrams_are_counted():
    tokens = np.array([0, 1, 1, 2, 0, 1])
    expected = np.zeros((3, 3))
    for a, b in itertools.pairwise(tokens):
        expected[a, b] += 1
    np.testing.assert_array_equal(obfuscation.bigram_counts(tokens, 3), expected)


@pytest.mark.slow
def test_a_permutation_is_broken():
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.full(8, 0.3), size=8)
    known, text = chain(rng, transition, 3_000), chain(rng, transition, 1_500)
    secret = rng.permutation(8)
    sent = obfuscation.bigram_counts(secret[text], 8)
    plain = obfuscation.bigram_counts(known, 8)
    found = obfuscation.break_permutation(KEY, sent, plain, restarts=8, steps=600)
    assert obfuscation.recovered_share(text, secret, found.permutation) > 0.95
    assert found.score == found.scores.max()
    # The score that swaps add up to is the likelihood of the restored text.
    smooth = np.asarray(plain) + 0.1
    log = np.log(smooth / smooth.sum(axis=1, keepdims=True))
    restored = np.asarray(obfuscation.restore(secret[text], found.permutation))
    assert found.score == pytest.approx(log[restored[:-1], restored[1:]].mean(), abs=1e-3)
    ranks = obfuscation.frequency_match(sent, plain)
    assert sorted(ranks.tolist()) == list(range(8))


COUNTS = np.ones((3, 3))
BAD = [
    (lambda: obfuscation.draw_permutation(3, 4), "key: expected"),
    (lambda: obfuscation.draw_permutation(KEY, 1), "vocabulary: expected"),
    (lambda: obfuscation.obfuscate([0, 3], [2, 0, 1]), "tokens: expected"),
    (lambda: obfuscation.obfuscate([0], [2, 0, 2]), "permutation: expected each"),
    (lambda: obfuscation.restore([0], [1, 2, 3]), "permutation: expected each"),
    (lambda: obfuscation.permute_rows(np.ones((2, 2)), [2, 0, 1]), "table: expected 3 rows"),
    (lambda: obfuscation.bigram_counts([1], 3), "tokens: expected at least 2"),
    (lambda: obfuscation.bigram_counts([1, 3], 3), "tokens: expected"),
    (lambda: obfuscation.frequency_match(np.ones((3, 2)), COUNTS), "sent: expected"),
    (lambda: obfuscation.frequency_match(COUNTS, np.ones((2, 2))), "reference: expected"),
    (lambda: obfuscation.break_permutation(KEY, COUNTS, -COUNTS), "reference: expected"),
    (lambda: obfuscation.break_permutation(3, COUNTS, COUNTS), "key: expected"),
    (lambda: obfuscation.break_permutation(KEY, COUNTS, COUNTS, steps=0), "steps: expected"),
    (lambda: obfuscation.break_permutation(KEY, COUNTS, COUNTS, restarts=0), "restarts: exp"),
    (lambda: obfuscation.break_permutation(KEY, COUNTS, COUNTS, heat=-1.0), "heat: expected"),
    (lambda: obfuscation.break_permutation(KEY, COUNTS, COUNTS, smoothing=0.0), "smoothing"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
