"""A small network proved by ezkl (slow), and what is refused before."""

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
    start = len(snark.MAGIC) + 6 * snark.FELT_SIZE
    felts = [proof[start + i * 32 : start + (i + 1) * 32] for i in range(4)]
    forged = proof[:start] + b"".join(reversed(felts)) + proof[start + 128 :]
    assert snark.check(circuit, x, forged).reason == "proof is wrong"
    rng = np.random.default_rng(0)
    for i in range(200):
        data, at = bytearray(proof), int(rng.integers(len(proof)))
        if i % 4:
            data[at] ^= 1 << rng.integers(8)
        else:
            data[at:] = rng.bytes(rng.integers(1, 300)) + (data[at:] if i % 8 else b"")
        assert snark.check(circuit, x, bytes(data)).reason
    for data in (b"", b"x" * 10**4, proof[: start + 128], proof + b"\0", proof + proof, None):
        assert snark.check(circuit, x, data).reason == "malformed proof"
