"""A small network proved by ezkl (slow), and what is refused before."""

import json
import sys

import numpy as np
import pytest
from verified_models import layers

from jaxswarm.trust.verify import snark


@pytest.mark.parametrize(("library", "name"), [(True, "onnx"), (False, "ezkl")])
def test_a_missing_library_is_named(monkeypatch, tmp_path, library, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{name} .* pip install 'jaxswarm\[snark\]'"):
        snark.onnx_bytes(layers()) if library else snark.setup(layers(), tmp_path)


def test_wrong_arguments_are_named(tmp_path):
    circuit = snark.Circuit(tmp_path, 6, 4)
    for function, words in (
        (lambda: snark.onnx_bytes([]), "params"),
        (lambda: snark.setup([(np.ones((2, 3)), np.ones(2))], tmp_path), r"params\[0\] b"),
        (lambda: snark.setup(layers(), tmp_path / "none"), "folder"),
        (lambda: snark.setup(layers(), tmp_path, scale=0), "scale"),
        (lambda: snark.prove(circuit, np.ones(5)), "x"),
        (lambda: snark.prove(None, np.ones(6)), "circuit"),
        (lambda: snark.check(circuit, [np.nan] * 6, b""), "x"),
    ):
        with pytest.raises(ValueError, match=words):
            function()


@pytest.mark.slow
def test_a_small_network_is_proved(tmp_path):
    pytest.importorskip("ezkl")
    pytest.importorskip("onnx")
    params, x = layers(), np.round(np.linspace(-1, 1, 6), 2)
    circuit = snark.setup(params, tmp_path)
    proof = snark.prove(circuit, x)
    verdict = snark.check(circuit, x, proof)
    assert verdict, verdict.reason
    (w1, b1), (w2, b2) = params
    assert verdict.output == pytest.approx(np.maximum(x @ w1 + b1, 0) @ w2 + b2, abs=0.1)
    assert snark.check(circuit, x + 0.1, proof).reason == "other inputs than expected"
    forged = json.loads(proof)
    forged["instances"][0][-1] = forged["instances"][0][-2]
    assert snark.check(circuit, x, json.dumps(forged).encode()).reason == "proof is wrong"
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(proof)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        assert snark.check(circuit, x, bytes(data)).reason or data == proof
    for data in (b"", b"{}", b"[" * 10**5, proof[:-9], None):
        assert snark.check(circuit, x, data).reason == "malformed proof"
