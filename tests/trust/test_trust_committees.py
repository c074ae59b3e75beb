"""Committees: drawing, the median rule, calibration, commitments, stakes, and bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxswarm.trust import committees

KEY = jax.random.key(0)
RIGHT, NEAR, WRONG = [0.9, 0.1], [0.88, 0.12], [0.2, 0.8]
NAN = [float("nan")] * 2


@functools.cache
def drawn():
    return np.asarray(committees.draw_committees(KEY, 20_000, 1_000, 5))


def test_members_are_distinct_and_uniform():
    members = drawn()
    assert (np.diff(np.sort(members, axis=1)) > 0).all()
    assert members.min() >= 0
    assert members.max() < 1_000
    assert stats.kstest(members.ravel() / 1_000, "uniform").pvalue > 0.01
    everyone = np.asarray(committees.draw_committees(KEY, 50, 4, 3))
    assert {tuple(sorted(row)) for row in everyone} == {
        (0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)
    }  # fmt: skip


def test_coalitions_in_drawn_committees_follow_the_hypergeometric_law():
    byzantine = (drawn() < 300).sum(axis=1)
    law = committees.detection_probability(1_000, 300, 5)
    assert law == pytest.approx(stats.hypergeom.cdf(2, 1_000, 300, 5))
    low, high = stats.binom.interval(0.999, len(byzantine), law)
    assert low <= (byzantine <= 2).sum() <= high


def test_a_public_committee_depends_on_beacon_and_request():
    draw = functools.partial(committees.draw_committee, num_nodes=50, size=5)
    first = draw(b"beacon", b"request")
    assert len(set(first.tolist())) == 5
    np.testing.assert_array_equal(first, draw(b"beacon", b"request"))
    assert first.tolist() != draw(b"beacon", b"request 2").tolist()
    assert first.tolist() != draw(b"beaco", b"nrequest").tolist()


@pytest.mark.parametrize("metric", committees.METRICS)
def test_a_minority_cannot_win_or_flag(metric):
    found = committees.decide([RIGHT, NEAR, RIGHT, WRONG, WRONG], 0.05, metric=metric)
    assert bool(found.accepted)
    assert found.flagged.tolist() == [False] * 3 + [True] * 2
    assert found.output.tolist() == pytest.approx(RIGHT)


def test_distances_have_oracles():
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])
    total = committees.pairwise_distances([p, q])
    assert total[0, 1] == pytest.approx(0.5 * np.abs(p - q).sum())
    divergence = committees.pairwise_distances([p, q], "symmetric_kl")
    assert divergence[1, 0] == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), rel=1e-5)


def test_what_is_no_distribution_agrees_with_nothing():
    for bad in (NAN, [np.inf, -np.inf], [-0.1, 1.1], [0.9, 0.9], [0.0, 0.0]):
        found = committees.decide([bad, bad, RIGHT], 0.5)
        assert not bool(found.accepted)
        assert not found.agrees.any()
        assert np.isnan(found.output).all()
        assert not bool(committees.label_majority([bad, bad, RIGHT]).accepted)
    found = committees.decide([RIGHT, NAN, RIGHT], 0.0)
    assert found.flagged.tolist() == [False, True, False]


def test_ties():
    half = [RIGHT, RIGHT, WRONG, WRONG]
    assert not bool(committees.decide(half, 0.1, tie="refuse").accepted)
    assert bool(committees.decide(half, 0.1, tie="accept").accepted)


def test_members_that_revealed_nothing_count_against():
    outputs = jnp.asarray([RIGHT, RIGHT, RIGHT])
    found = committees.decide(outputs, 0.1, revealed=np.array([True, False, False]))
    assert not bool(found.accepted)
    found = committees.decide(outputs, 0.1, revealed=np.array([True, True, False]))
    assert found.flagged.tolist() == [False, False, True]


def test_decisions_are_those_of_each_request():
    outputs = np.random.default_rng(0).dirichlet(np.ones(3), (6, 5)).astype(np.float32)
    together = jax.jit(committees.decide)(outputs, 0.3)
    for place in range(6):
        alone = committees.decide(outputs[place], 0.3)
        assert alone.agrees.tolist() == together.agrees[place].tolist()
        ordered = np.sort(committees.pairwise_distances(outputs[place]), axis=1)
        np.testing.assert_allclose(alone.spread, ordered[:, 2], rtol=1e-6)


def test_labels_see_classes_only():
    found = committees.label_majority([RIGHT, [0.51, 0.49], WRONG])
    assert found.flagged.tolist() == [False, False, True]
    assert not bool(committees.decide([RIGHT, [0.51, 0.49], WRONG], 0.1).accepted)


def test_the_tolerance_covers_what_it_was_calibrated_on():
    p = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    profiles = np.stack([p, 0.99 * p + 0.0025, 0.98 * p + 0.005])
    tolerance = committees.calibrate(profiles, rate=0.0)
    found = committees.decide(np.swapaxes(profiles, 0, 1), tolerance)
    assert bool(found.agrees.all())
    assert committees.calibrate(profiles, rate=0.5) < tolerance


def test_outputs_cannot_be_copied_or_changed():
    sent = {node: committees.publish(b"r", node, RIGHT) for node in (3, 4)}
    (own, packet), (other, _) = sent[3], sent[4]
    cases = [
        (own, packet, True),
        (other, packet, False),  # the packet of another node
        (own, packet[:-1] + b"x", False),
        (own, None, False),
        (b"short", packet, False),
    ]
    for commitment, given, expected in cases:
        outputs, revealed = committees.collect(b"r", [3], [commitment], [given], num_classes=2)
        assert revealed.tolist() == [expected]
        assert np.isnan(outputs).all() == (not expected)
    assert not committees.collect(b"s", [3], [own], [packet], num_classes=2)[1].any()
    assert not committees.collect(b"r", [3], [own], [packet], num_classes=3)[1].any()


def test_stakes():
    agrees = np.array([[True, True, False], [False, False, False]])
    members = np.array([[0, 1, 2], [0, 1, 2]])
    stakes = committees.settle(np.ones(4), members, agrees, np.array([True, False]), reward=0.5)
    assert stakes.tolist() == [1.5, 1.5, 0.5, 1.0]


BAD = [
    (lambda: committees.needed_members(4), "size: expected an odd number or a rule for ties"),
    (lambda: committees.needed_members(4, "coin"), "tie"),
    (lambda: committees.draw_committees(KEY, 1, 4, 5), "size: expected"),
    (lambda: committees.draw_committees(KEY, 1, 9, 4), "size: expected an odd"),
    (lambda: committees.draw_committees(3, 1, 4, 3), "key: expected"),
    (lambda: committees.draw_committees(KEY, 0, 4, 3), "num_committees: expected"),
    (lambda: committees.draw_committee(b"b", b"r", 4, 5), "size: expected"),
    (lambda: committees.draw_committee("b", b"r", 4, 3), "beacon: expected"),
    (lambda: committees.detection_probability(10, 11, 3), "num_byzantine: expected"),
    (lambda: committees.decide([RIGHT] * 4, 0.1), "size: expected an odd"),
    (lambda: committees.decide([RIGHT] * 3, -0.1), "tolerance: expected"),
    (lambda: committees.decide([RIGHT] * 3, float("nan")), "tolerance: expected"),
    (lambda: committees.decide(RIGHT, 0.1), "outputs: expected"),
    (lambda: committees.decide([RIGHT] * 3, 0.1, metric="cosine"), "metric"),
    (lambda: committees.decide([RIGHT] * 3, 0.1, revealed=[True]), "revealed: expected"),
    (lambda: committees.label_majority([RIGHT] * 2), "size: expected an odd"),
    (lambda: committees.calibrate([[RIGHT]]), "number of profiles: expected"),
    (lambda: committees.calibrate([[RIGHT], [NAN]]), "outputs: expected probability"),
    (lambda: committees.calibrate([[RIGHT], [NEAR]], rate=1.0), "rate: expected"),
    (lambda: committees.publish("r", 1, RIGHT), "request: expected"),
    (lambda: committees.publish(b"r", -1, RIGHT), "node: expected"),
    (lambda: committees.publish(b"r", 1, 0.5), "output: expected"),
    (lambda: committees.collect(b"r", [1], [], [b""], num_classes=2), "commitments: expected"),
    (lambda: committees.settle([1.0], [[1]], [[True]], [True]), "members: expected"),
    (lambda: committees.settle([1.0], [[0]], [[True]], [True], penalty=2.0), "penalty: expected"),
    (lambda: committees.settle([-1.0], [[0]], [[True]], [True]), "stakes: expected"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
