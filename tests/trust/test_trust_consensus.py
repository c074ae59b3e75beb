"""Laws of votes, thresholds, claims and commitments on generated outputs."""

import functools
import hashlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxswarm.trust import consensus, hashes

N = 30


@functools.cache
def votes(num_verifiers, seed=0):
    """Prover's hashes and verifiers' ones that differ in a few bits; some are not valid."""
    rng = np.random.default_rng(seed)
    own = rng.integers(0, 2**32, (N, 2), np.uint32)
    flips = rng.random((num_verifiers, N, 64)) < rng.uniform(0.0, 0.15, (num_verifiers, N, 1))
    valid = rng.random((num_verifiers, N)) < 0.9
    others = own[None] ^ np.asarray(hashes.pack(flips))
    own_valid = rng.random(N) < 0.9
    return (
        hashes.Hashes(own, own_valid, 64),
        hashes.Hashes(others, valid, 64),
        flips.sum(axis=-1),
    )


@pytest.mark.parametrize(
    ("count", "rule", "needed"),
    [
        (1, {}, 1),
        (3, {}, 2),
        (3, {"required": 3}, 3),
        (4, {"ties": "accept"}, 2),
        (4, {"ties": "reject"}, 3),
        (4, {"required": 1}, 1),
    ],
)
def test_the_majority_equals_a_count_by_hand(count, rule, needed):
    prover, claims, apart = votes(count)
    found = consensus.majority(claims, prover, tolerance=4, **rule)
    agrees = (apart <= 4) & claims.valid & prover.valid[None]
    np.testing.assert_array_equal(found.distances, apart)
    np.testing.assert_array_equal(found.agrees, agrees)
    np.testing.assert_array_equal(found.votes, agrees.sum(axis=0))
    np.testing.assert_array_equal(found.accepted, agrees.sum(axis=0) >= needed)
    wanted = prover.valid & (claims.valid.sum(axis=0) >= needed)
    np.testing.assert_array_equal(found.verifiable, wanted)
    assert not (np.asarray(found.accepted) & ~wanted).any()
    np.testing.assert_array_equal(consensus.vote(agrees, **rule), found.accepted)


def test_the_prover_may_stand_first_and_jit_changes_nothing():
    prover, claims, _ = votes(3)
    plain = consensus.majority(claims, prover, tolerance=4)
    both = jax.tree.map(lambda a, b: np.concatenate([a[None], b]), prover, claims)
    for found in (
        consensus.majority(both, tolerance=4),
        jax.jit(lambda c, p, t: consensus.majority(c, p, tolerance=t))(claims, prover, 4),
    ):
        jax.tree.map(np.testing.assert_array_equal, found, plain)
    one = consensus.majority(claims[:, :1], prover[:1], tolerance=4)
    np.testing.assert_array_equal(one.votes, plain.votes[:1])
    words = consensus.majority(claims.words, prover.words, tolerance=4)
    np.testing.assert_array_equal(words.distances, plain.distances)
    nothing = consensus.majority(claims, prover, tolerance=-1)
    assert not np.asarray(nothing.accepted).any()


def test_constant_images_are_never_accepted():
    blank = hashes.perceptual(np.zeros((2, 8, 8), np.uint8), "ahash")
    claims = jax.tree.map(lambda x: np.stack([x, x, x]), blank)
    found = consensus.majority(claims, blank, tolerance=31)
    assert not np.asarray(found.distances).any()
    assert not np.asarray(found.accepted).any()
    assert not np.asarray(found.verifiable).any()


def test_votes_do_not_depend_on_the_order_of_verifiers_and_grow_with_the_tolerance():
    prover, claims, _ = votes(3)
    base = np.asarray(consensus.majority(claims, prover, tolerance=4).votes)
    turned = consensus.majority(claims[::-1], prover, tolerance=4)
    np.testing.assert_array_equal(turned.votes, base)
    counts = [consensus.majority(claims, prover, tolerance=t).votes for t in (0, 4, 9, 31)]
    assert (np.diff(np.stack(counts), axis=0) >= 0).all()


@functools.cache
def calibration():
    rng = np.random.default_rng(0)
    return rng.binomial(64, 0.05, 400), rng.binomial(64, 0.3, 5000)


def test_the_roc_equals_its_definition():
    honest, impostor = calibration()
    for pair in ((honest, impostor), (honest / 64 + 0.01, impostor / 64 + 0.01)):
        curve = consensus.roc(*pair)
        for level, accepted, false in list(zip(*curve[:3], strict=True))[::5]:
            assert accepted == (pair[0] <= level).mean()
            assert false == (pair[1] <= level).mean()
        labels = np.repeat([0, 1], [len(honest), len(impostor)])
        np.testing.assert_allclose(curve.area, roc_auc_score(labels, np.concatenate(pair)))
    counted = consensus.roc(*(np.bincount(x, minlength=65) for x in calibration()), counts=True)
    jax.tree.map(np.testing.assert_array_equal, counted, consensus.roc(honest, impostor))


def test_the_threshold_is_the_largest_with_few_false_matches():
    honest, impostor = calibration()
    for share in (0.0, 0.001, 0.01, 0.3):
        found = consensus.threshold(honest, impostor, false_match=share)
        assert (impostor <= found.tolerance).mean() == found.false_match <= share
        assert (impostor <= found.tolerance + 1).mean() > share
        assert found.acceptance == (honest <= found.tolerance).mean()
        assert isinstance(found.tolerance, int)
        real = consensus.threshold(honest / 64, impostor / 64, false_match=share)
        assert real.false_match == found.false_match
        assert real.acceptance == found.acceptance
        counts = [np.bincount(x, minlength=65) for x in (honest, impostor)]
        assert consensus.threshold(*counts, false_match=share, counts=True) == found
    assert (found.honest, found.impostor) == (400, 5000)


def test_the_threshold_stays_below_half_of_the_bits_or_accepts_nothing():
    assert consensus.threshold([0], [60, 61], bits=64).tolerance == 31
    assert consensus.threshold([0], [60, 61], bits=63).tolerance == 31
    assert consensus.threshold([0.5], [60.5], bits=64).tolerance < 32
    for honest, impostor in (([0, 1], [0, 0, 9]), ([0.0, 0.5], [0.0, 0.0])):
        found = consensus.threshold(honest, impostor)
        assert (found.tolerance, found.acceptance, found.false_match) == (-1, 0.0, 0.0)
    prover, claims, _ = votes(3)
    half = consensus.threshold([0], [64], bits=64).tolerance
    consensus.majority(claims, prover, tolerance=half)  # is one that it takes


def test_the_error_of_a_majority_is_that_of_all_cases():
    rates = np.array([0.1, 0.3, 0.25, 0.02, 0.6])
    for needed in (1, 3, 5):
        total = sum(
            np.prod(np.where(case, rates, 1 - rates))
            for case in itertools.product([False, True], repeat=5)
            if sum(case) >= needed
        )
        np.testing.assert_allclose(consensus.majority_error(rates, needed=needed), total)
    np.testing.assert_allclose(consensus.majority_error([0.0193] * 3), 1 - 0.9989, atol=2e-5)
    np.testing.assert_allclose(consensus.majority_error([0.0095] * 3), 0.000267, atol=5e-6)


def test_shared_causes_of_errors_are_found_and_independent_errors_are_not():
    rng = np.random.default_rng(0)
    alone = rng.random((3, 5000)) < 0.1
    found = consensus.independence(alone)
    assert found.p_value > 0.05
    assert found.interval[0] <= found.expected <= found.interval[1]
    assert found.measured == (alone.sum(axis=0) >= 2).mean()
    assert np.abs(found.correlation - np.eye(3)).max() < 0.05
    shared = alone | (rng.random(5000) < 0.05)
    found = consensus.independence(shared)
    assert found.p_value < 1e-6
    assert found.measured > found.expected
    assert found.correlation.min() > 0.2
    never = consensus.independence(np.zeros((3, 10), bool))
    assert (never.measured, never.expected, never.p_value) == (0.0, 0.0, 1.0)
    assert np.isnan(never.correlation).all()


def tokens(seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 6, (40, 9))
    b = np.where(rng.random((40, 9)) < 0.1, rng.integers(0, 6, (40, 9)), a)
    return a, b, rng.normal(size=(40, 9, 6)).astype(np.float32)


def test_token_sequences_are_compared_until_they_stop():
    a, b, logits = tokens()
    found = consensus.agree(a, b, stop=0, logits=logits)
    for i in range(len(a)):
        first, second = (
            x[i, : list(x[i]).index(0) + 1].tolist() if 0 in x[i] else x[i].tolist() for x in (a, b)
        )
        assert bool(found.equal[i]) == (first == second)
        if first == second:
            assert found.position[i] == -1
            assert np.isnan(found.margin[i])
        else:
            at = next(t for t, (x, y) in enumerate(zip(a[i], b[i], strict=True)) if x != y)
            best = np.sort(logits[i, at])[::-1]
            assert found.position[i] == at
            np.testing.assert_allclose(found.margin[i], best[0] - best[1], rtol=1e-6)
    compiled = jax.jit(functools.partial(consensus.agree, stop=0))(a, b)
    np.testing.assert_array_equal(compiled.position, found.position)
    assert compiled.margin is None
    one = consensus.agree(a[:1], b[:1], stop=0)
    assert one.position.tolist() == found.position[:1].tolist()


def test_masks_stop_sequences_too():
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], bool)
    a = np.array([[3, 4, 9, 9], [3, 4, 5, 9]])
    b = np.array([[3, 4, 8, 8], [3, 4, 5, 8]])
    assert consensus.agree(a, b, masks=(mask, mask)).equal.tolist() == [True, True]
    shorter = mask.copy()
    shorter[1, 2] = False
    found = consensus.agree(a, b, masks=(mask, shorter))
    assert found.position.tolist() == [-1, 2]


def test_exact_hashes_are_sha256_and_one_bit_changes_all():
    rng = np.random.default_rng(0)
    outputs = rng.random((3, 4, 5)).astype(np.float32)
    found = consensus.exact_hash(outputs)
    head = b"float32[4, 5]"
    wanted = [hashlib.sha256(head + x.tobytes()).hexdigest() for x in outputs]
    assert hashes.to_hex(found) == wanted
    coarse = np.asarray(jnp.asarray(outputs, jnp.bfloat16), np.float32)
    assert (np.asarray(hashes.hamming(found, consensus.exact_hash(coarse))) > 64).all()
    near = outputs + np.float32(1e-6)
    assert (np.asarray(hashes.hamming(found, consensus.exact_hash(near))) > 64).all()
    whole = [consensus.exact_hash(np.round(x * 255).astype(np.uint8)) for x in (outputs, near)]
    np.testing.assert_array_equal(whole[0].words, whole[1].words)
    votes = consensus.majority(np.stack([found.words] * 3), found, tolerance=0)
    assert np.asarray(votes.accepted).all()


def test_pixel_distance_is_the_root_mean_square():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 5, 6, 7), np.uint8)
    wanted = np.sqrt(np.mean(((a.astype(float) - b) / 255) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(consensus.pixel_distance(a, b), wanted, rtol=1e-5)
    np.testing.assert_allclose(consensus.pixel_distance(a / 255.0, b), wanted, rtol=1e-5)
    assert not np.asarray(consensus.pixel_distance(a, a)).any()


WORDS = np.zeros((3, 4, 2), np.uint32)
ODD = np.zeros((2, 4, 2), np.uint32)
FLAGS = np.zeros((3, 4), bool)
IMAGE = np.zeros((1, 4, 4))
TOKENS = np.zeros((2, 3), int)
REFUSED = [
    ("majority", {"claims": ODD, "prover": ODD[0], "tolerance": 1}, "ties.*2 verifiers"),
    ("majority", {"claims": WORDS, "tolerance": 1}, "ties.*2 verifiers"),
    ("majority", {"claims": WORDS[:1], "tolerance": 1}, "verifiers"),
    ("majority", {"claims": WORDS, "prover": ODD[0], "tolerance": 32}, "tolerance.*half"),
    ("majority", {"claims": WORDS, "prover": ODD[0], "tolerance": -2}, "tolerance"),
    ("majority", {"claims": WORDS, "prover": ODD[0], "tolerance": 1.5}, "tolerance"),
    (
        "majority",
        {"claims": WORDS, "prover": ODD[0], "tolerance": 18, "bits": 36},
        "tolerance.*half of 36",
    ),
    ("majority", {"claims": WORDS, "prover": ODD[0, :, :1], "tolerance": 1}, "claims.*32 bits"),
    ("majority", {"claims": WORDS, "prover": ODD[0, :3], "tolerance": 1}, "prover"),
    ("majority", {"claims": WORDS[0], "prover": ODD[0], "tolerance": 1}, "claims"),
    ("majority", {"claims": 3, "tolerance": 1}, "claims"),
    (
        "majority",
        {"claims": WORDS, "prover": ODD[0], "tolerance": 1, "required": 4},
        "required",
    ),
    ("majority", {"claims": WORDS, "prover": ODD[0], "tolerance": 1, "ties": "yes"}, "ties"),
    ("vote", {"agrees": FLAGS[:2]}, "ties"),
    ("vote", {"agrees": FLAGS.astype(int)}, "agrees"),
    ("roc", {"honest": [], "impostor": [1]}, "honest"),
    ("roc", {"honest": [1], "impostor": [-1]}, "impostor"),
    ("roc", {"honest": [1], "impostor": [np.nan]}, "impostor"),
    ("roc", {"honest": [1, 0], "impostor": [1], "counts": True}, "impostor"),
    ("roc", {"honest": [0, 0], "impostor": [1, 1], "counts": True}, "honest"),
    ("roc", {"honest": [0.5], "impostor": [1], "counts": True}, "honest"),
    ("threshold", {"honest_distances": [1], "impostor_distances": []}, "impostor_distances"),
    (
        "threshold",
        {"honest_distances": [1], "impostor_distances": [1], "false_match": 1.0},
        "false_match",
    ),
    ("threshold", {"honest_distances": [1], "impostor_distances": [1], "bits": 1}, "bits"),
    ("independence", {"wrong": FLAGS[:2]}, "needed"),
    ("independence", {"wrong": FLAGS[:, :0]}, "claims"),
    ("independence", {"wrong": FLAGS.astype(int)}, "wrong"),
    ("independence", {"wrong": FLAGS, "needed": 4}, "needed"),
    ("majority_error", {"rates": [0.1, 1.2, 0.1]}, "rates"),
    ("majority_error", {"rates": [0.1, 0.2]}, "needed"),
    ("agree", {"tokens_a": TOKENS, "tokens_b": TOKENS[:, :2]}, "tokens_b"),
    ("agree", {"tokens_a": TOKENS * 0.5, "tokens_b": TOKENS}, "tokens_a"),
    ("agree", {"tokens_a": TOKENS, "tokens_b": TOKENS, "stop": 0.5}, "stop"),
    ("agree", {"tokens_a": TOKENS, "tokens_b": TOKENS, "masks": TOKENS > 0}, "masks"),
    ("agree", {"tokens_a": TOKENS, "tokens_b": TOKENS, "masks": (FLAGS, FLAGS)}, "masks"),
    ("agree", {"tokens_a": TOKENS, "tokens_b": TOKENS, "logits": IMAGE}, "logits"),
    ("agree", {"tokens_a": TOKENS, "tokens_b": TOKENS, "logits": np.zeros((2, 3, 1))}, "logits"),
    ("exact_hash", {"outputs": 1.0}, "outputs"),
    ("exact_hash", {"outputs": ["a"]}, "outputs"),
    ("pixel_distance", {"a": IMAGE, "b": IMAGE[:, :3]}, "b: "),
    ("pixel_distance", {"a": IMAGE, "b": IMAGE + np.nan}, "b: "),
    ("pixel_distance", {"a": IMAGE.astype(int), "b": IMAGE}, "a: "),
    ("canonical", {"value": object()}, "value.*object"),
    ("canonical", {"value": float("inf")}, "value"),
    ("canonical", {"value": {1: 2}}, "value"),
    ("canonical", {"value": np.zeros(2)}, "value.*ndarray"),
    ("decode", {"packet": b""}, "packet"),
    ("decode", {"packet": "n"}, "packet"),
    ("encode_claim", {"claim": {"model": "m"}}, "claim"),
    ("decode_claim", {"packet": b"n"}, "packet"),
    ("commit", {"value": object()}, "value"),
    ("commit", {"value": 1, "nonce": b"short"}, "nonce.*5"),
    ("commit", {"value": 1, "nonce": "x" * 32}, "nonce.*str"),
    ("opened_value", {"packet": b"short"}, "packet"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), REFUSED)
def test_wrong_arguments_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(consensus, name)(**arguments)


def test_every_public_function_has_a_refusal():
    public = {x for x in consensus.__all__ if callable(getattr(consensus, x)) and x.islower()}
    assert public - {"reveal"} == {name for name, _, _ in REFUSED}  # reveal returns False


def test_hashes_of_other_lengths_meet_an_error_before_tracing():
    with pytest.raises(ValueError, match="claims: expected hashes of 32 bits"):
        jax.jit(lambda c, p: consensus.majority(c, p, tolerance=3))(WORDS, ODD[0, :, :1])
