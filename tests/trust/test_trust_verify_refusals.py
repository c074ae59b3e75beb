"""Wrong arguments of verified inference meet an error that names the argument."""

import numpy as np
import pytest
from verified_models import CONFIG, inputs, layers, perceptron

from jaxswarm.trust import verify
from jaxswarm.trust.verify import field, merkle, pedersen

NAN = float("nan")
EYE = np.eye(2, dtype=np.int32)
R = np.ones(2, np.uint32)
WIDE = np.ones((9, 2), np.uint32)
FIRST = {
    "quantize": {"params": layers(), "x_calibration": inputs()},
    "quantized_transformer": {"config": CONFIG, "params": {}, "x_calibration": [[0]]},
    "freivalds": {"a": EYE, "b": EYE, "c": EYE, "challenge": R},
}
REFUSED = [
    (verify.quantize, {"params": []}, "params"),
    (verify.quantize, {"params": [np.ones((2, 2))]}, r"params\[0\]"),
    (verify.quantize, {"params": [*layers(), *layers()]}, r"params\[2\] W"),
    (verify.quantize, {"params": [(np.full((6, 2), NAN), np.ones(2))]}, r"params\[0\] W"),
    (verify.quantize, {"params": [(np.ones((6, 2)), np.full(2, 1e12))]}, r"params\[0\] b"),
    (verify.quantize, {"x_calibration": inputs()[:0]}, "x_calibration"),
    (verify.quantize, {"x_calibration": np.ones((2, 5))}, "x_calibration"),
    (verify.quantize, {"x_calibration": np.full((2, 6), NAN)}, "x_calibration"),
    (verify.quantize, {"bits": 1}, "bits"),
    (verify.quantize, {"bits": 9}, "bits"),
    (verify.quantized_transformer, {"config": None}, "config"),
    (verify.quantized_transformer, {"x_calibration": [[9]]}, "x_calibration"),
    (verify.quantized_transformer, {"x_calibration": np.ones((0, 2), int)}, "x_calibration"),
    (verify.quantized_transformer, {"bits": 1.5}, "bits"),
    (verify.quantized_transformer, {}, "params"),
    (verify.freivalds, {"modulus": 4}, "modulus"),
    (verify.freivalds, {"modulus": 221}, "modulus"),
    (verify.freivalds, {"modulus": 3, "a": 2 * EYE}, r"a: expected integers in \[-1, 1\], got 2"),
    (verify.freivalds, {"b": np.ones((3, 2), int)}, r"b: expected \[..., 2, n\]"),
    (verify.freivalds, {"c": np.ones((2, 3), int)}, "c"),
    (verify.freivalds, {"a": np.ones((2, 2))}, "a: expected integers"),
    (verify.freivalds, {"challenge": np.ones(3, np.uint32)}, "challenge"),
    (verify.freivalds, {"challenge": R + np.uint32(2**31 - 2)}, "challenge"),
    (verify.run, {"model": None, "inputs": EYE}, "model"),
    (verify.run, {"model": perceptron, "inputs": np.ones((2, 6))}, "inputs"),
    (verify.plan, {"model": perceptron, "shape": (2, 5)}, "inputs"),
    (verify.prove, {"model": None, "x": inputs()}, "model"),
    (verify.prove, {"model": perceptron, "x": 2 * np.ones((1, 6))}, "x.*range of x_calibration"),
    (verify.prove, {"model": perceptron, "x": np.full((1, 6), NAN)}, "x"),
    (verify.prove, {"model": perceptron, "x": np.ones((1, 7))}, "x"),
    (verify.prove, {"model": perceptron, "x": inputs(), "modulus": 251}, "modulus.*twice"),
    (verify.prove, {"model": perceptron, "x": inputs(), "modulus": 2**31 - 2}, "modulus"),
    (verify.prove, {"model": perceptron, "x": inputs(), "nonce": b"short"}, "nonce"),
    (verify.commit, {"model": perceptron, "inputs": EYE, "products": []}, "inputs"),
    (
        verify.commit,
        {"model": perceptron, "inputs": np.ones((1, 6), np.int32), "products": [EYE]},
        "products",
    ),
    (
        verify.check_products,
        {
            "model": perceptron,
            "inputs": np.ones((1, 6), np.int32),
            "products": (),
            "challenges": (),
        },
        "products",
    ),
    (verify.check, {"commitment": None, "claim": b""}, "commitment"),
    (verify.check, {"commitment": bytes(31), "claim": b""}, "commitment"),
    (verify.check, {"commitment": bytes(32), "claim": b""}, "model"),
    (verify.check, {"commitment": perceptron, "claim": b"", "model": perceptron}, "model"),
    (verify.check, {"commitment": perceptron, "claim": b"", "repetitions": 0}, "repetitions"),
    (verify.check, {"commitment": perceptron, "claim": b"", "modulus": 9}, "modulus"),
    (verify.check, {"commitment": perceptron, "claim": b"", "x": [[NAN] * 6]}, "x"),
    (verify.check, {"commitment": perceptron, "claim": b"", "nonces": bytes(16)}, "nonces"),
    (verify.check, {"commitment": perceptron, "claim": b"", "private": 1}, "private"),
    (verify.check_batch, {"commitment": perceptron, "claims": b""}, "claims"),
    (verify.check_batch, {"commitment": perceptron, "claims": None}, "claims"),
    (field.check_modulus, {"modulus": 6}, "modulus"),
    (field.elements, {"values": [0.5]}, "values"),
    (field.elements, {"values": [2**31]}, "values"),
    (field.signed, {"residues": [1]}, "residues"),
    (field.add, {"a": R, "b": [1, 1]}, "b"),
    (field.subtract, {"a": R + np.uint32(2**31), "b": R}, "a"),
    (field.multiply, {"a": WIDE + np.uint32(250), "b": WIDE, "modulus": 251}, "a"),
    (field.power, {"a": R, "exponent": -1}, "exponent"),
    (field.inverse, {"a": R - R}, "a"),
    (field.matmul, {"a": WIDE, "b": WIDE}, "b"),
    (field.matvec, {"a": WIDE, "v": WIDE[:, 0]}, "v"),
    (field.random, {"key": 0, "shape": ()}, "key"),
    (merkle.root, {"leaves": []}, "leaves"),
    (merkle.root, {"leaves": ["x"]}, "leaves"),
    (merkle.path, {"leaves": [b"x"], "index": 1}, "index"),
    (merkle.canonical, {"array": np.ones(2, np.float32)}, "array"),
    (merkle.array_leaves, {"array": "x"}, "array"),
    (merkle.array_root, {"array": [None]}, "array"),
    (pedersen.commit_layer, {"weights": EYE, "bias": [1]}, "bias"),
    (pedersen.commit_layer, {"weights": EYE, "bias": [1.5, 1.0]}, "bias"),
    (pedersen.commit_layer, {"weights": [[2**31]], "bias": [1]}, "weights"),
    (pedersen.combine, {"commitment": None, "x": [1]}, "commitment"),
    (pedersen.prove, {"opening": None, "x": [1]}, "opening"),
    (pedersen.check, {"commitment": None, "x": [1], "proof": b""}, "commitment"),
    (pedersen.transcripts, {"opening": None, "x": [1]}, "opening"),
    (pedersen.simulated_transcripts, {"points": [b"x"], "outputs": [1]}, "point"),
    (pedersen.simulated_transcripts, {"points": [], "outputs": [1]}, "outputs"),
    (pedersen.check_transcripts, {"points": [], "outputs": [1], "found": None}, "outputs"),
]


@pytest.mark.parametrize(("function", "arguments", "words"), REFUSED)
def test_wrong_arguments_are_named(function, arguments, words):
    arguments = {**FIRST.get(function.__name__, {}), **arguments}
    arguments = {k: v() if v is perceptron else v for k, v in arguments.items()}
    with pytest.raises(ValueError, match=words):
        function(**arguments)


def test_every_public_function_has_a_refusal():
    tried = {function for function, _, _ in REFUSED}
    modules = (verify, field, merkle, pedersen)
    public = {
        value
        for module in modules
        for name, value in vars(module).items()
        if callable(value)
        and name.islower()
        and not name.startswith("_")
        and value.__module__.startswith("jaxswarm.trust.verify")
    }
    assert {f.__name__ for f in public - tried} <= {"check_path"}  # which refuses by False
