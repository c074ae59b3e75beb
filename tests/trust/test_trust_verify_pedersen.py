"""Hidden linear layers: honest proofs pass, forged ones do not, transcripts show nothing."""

import copy
import hashlib
import pickle
import sys

import numpy as np
import pytest
from scipy import stats

from jaxswarm.trust.verify import _curve as curve
from jaxswarm.trust.verify import pedersen

pytest.importorskip("coincurve")

W = np.array([[20011, -3], [0, 127], [-128, 4]])
B = np.array([7, -30047])
X = np.array([5, 0, -9])


@pytest.fixture(scope="module")
def layer():
    return pedersen.commit_layer(W, B)


def test_honest_proofs_are_accepted(layer):
    commitment, opening = layer
    for x in (X, np.zeros(3, int), [2**31 - 1, -(2**31), 1]):
        proof = pedersen.prove(opening, x)
        assert list(proof.outputs) == (np.asarray(x).astype(object) @ W + B).tolist()
        assert pedersen.check(commitment, x, proof)
        assert pedersen.check(commitment, x, proof.to_bytes())
        assert pedersen.LayerProof.from_bytes(proof.to_bytes()) == proof


def test_forged_outputs_are_refused(layer):
    commitment, opening = layer
    rng = np.random.default_rng(0)
    proof = pedersen.prove(opening, X)
    points = pedersen.combine(commitment, X)
    for i in range(200):
        outputs = list(proof.outputs)
        outputs[i % 2] += int(rng.choice([-1, 1])) * int(rng.integers(1, 2 ** (1 + i % 40)))
        forged = pedersen.LayerProof(tuple(outputs), proof.announcements, proof.responses)
        if i % 2:  # a simulated transcript satisfies the equations, with challenges of its own
            simulated = pedersen.simulated_transcripts(points, outputs)
            assert pedersen.check_transcripts(points, outputs, simulated)
            forged = pedersen.LayerProof(
                tuple(outputs), simulated.announcements, simulated.responses
            )
        assert not pedersen.check(commitment, X, forged)


def test_proofs_are_about_one_commitment_and_one_input(layer):
    commitment, opening = layer
    proof = pedersen.prove(opening, X)
    again, _ = pedersen.commit_layer(W, B)
    assert again.root != commitment.root  # blinded anew: equal weights cannot be recognized
    assert not pedersen.check(again, X, proof)
    assert not pedersen.check(commitment, X + 1, proof)


def test_a_thousand_mutated_proofs_are_refused(layer):
    commitment, opening = layer
    rng = np.random.default_rng(0)
    packet = pedersen.prove(opening, X).to_bytes()
    for i in range(1000):
        data, at = bytearray(packet), int(rng.integers(len(packet)))
        if i % 3 == 0:
            data[at] ^= 1 << rng.integers(8)
        elif i % 3 == 1:
            data = data[:at] + data[at + int(rng.integers(0, 9)) :] + rng.bytes(rng.integers(9))
        else:
            size = int(rng.integers(1, 60))
            data[at : at + size] = bytes(size) if i % 2 else rng.bytes(size)
        if bytes(data) != packet:
            assert not pedersen.check(commitment, X, bytes(data))


@pytest.mark.parametrize("part", [None, 3, "x", (), (None, None), (-1, 2**300), (1.5, 2.0)])
def test_malformed_proofs_are_refused(layer, part):
    commitment, opening = layer
    proof = pedersen.prove(opening, X)
    parts = [proof.outputs, proof.announcements, proof.responses]
    assert not pedersen.check(commitment, X, part)
    for i in range(3):
        changed = [*parts[:i], part, *parts[i + 1 :]]
        assert not pedersen.check(commitment, X, pedersen.LayerProof(*changed))


def test_simulated_transcripts_are_distributed_as_real_ones(layer):
    commitment, opening = layer
    points = pedersen.combine(commitment, X)
    outputs = pedersen.prove(opening, X).outputs
    real = [pedersen.transcripts(opening, X) for _ in range(300)]
    made = [pedersen.simulated_transcripts(points, outputs) for _ in range(300)]
    assert all(pedersen.check_transcripts(points, outputs, t) for t in (*real[:20], *made[:20]))
    scale = 1 / curve.ORDER
    views = {
        "announcements": lambda t: [int.from_bytes(p[1:], "big") / 2**256 for p in t.announcements],
        "parity": lambda t: [p[0] for p in t.announcements],
        "challenges": lambda t: [e * scale for e in t.challenges],
        "responses": lambda t: [s * scale for s in t.responses],
        "sums": lambda t: [
            (s + e) * scale % 1 for s, e in zip(t.responses, t.challenges, strict=True)
        ],
    }
    for name, view in views.items():
        samples = [np.ravel([view(t) for t in group]) for group in (real, made)]
        # The exact method gives up, with a warning, on some draws of these tied values.
        assert stats.ks_2samp(*samples, method="asymp").pvalue > 1e-6, name


def test_generators_come_from_a_hash_and_have_the_order_of_the_group():
    point = curve.second_generator()
    labels = [
        b"jaxswarm.trust.verify.pedersen second generator" + i.to_bytes(4, "big") for i in range(9)
    ]
    assert point.encoded[1:] in [hashlib.sha256(label).digest() for label in labels]
    assert point.times(curve.ORDER) == curve.Point(None)
    assert point.times(curve.ORDER - 1) + point == curve.Point(None)
    assert curve.base_times(3) - curve.base_times(2) == curve.base_times(1)


def test_secrets_are_not_shown(layer):
    commitment, opening = layer
    shown = [repr(commitment), repr(opening), str(opening), repr(pedersen.prove(opening, X))]
    assert not any(secret in text for text in shown for secret in ("20011", "30047"))
    for function in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="secrets"):
            function(opening)
    for weights in ([[20011.5]], [[20011, 2**40]], [[20011], [1, 2]], 20011):
        with pytest.raises(ValueError, match="weights: expected integers") as caught:
            pedersen.commit_layer(weights, [30047])
        assert "20011" not in str(caught.value)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "coincurve", None)
    curve.library.cache_clear()
    with pytest.raises(ImportError, match=r"coincurve .* pip install 'jaxswarm\[zk\]'"):
        pedersen.commit_layer(W, B)
    curve.library.cache_clear()
