"""Succinct proof of a small multi-layer perceptron through ezkl (Halo2 with KZG commitments).

Extra ``snark``: ezkl and onnx. A proof has a few tens of kilobytes and is checked without the
weights, which the verification key binds. Setting up and proving take minutes of one core and more
than 100 MB of keys for networks of some thousand weights.

The structured reference string is made here: its maker could know a trapdoor and forge proofs. For
more than experiments take one of a public ceremony. Weights are part of the circuit ("fixed"), and
inputs and outputs are public. Nothing here is claimed to hide the weights from the owner of the
proving key.

References:
    ezkl contributors, ezkl: zero-knowledge proofs of neural networks with Halo2.
"""

import dataclasses
import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify._check import Verdict
from jaxswarm.trust.verify._mlp import layers_of
from jaxswarm.types import ArrayLike

MAX_SIZE = 2**24
"""Most bytes of a proof."""


@dataclasses.dataclass(frozen=True)
class Circuit:
    """A compiled network and its keys, files in one folder.

    Attributes:
        folder: with ``settings.json``, ``verification.key`` and ``srs.params`` for the verifier,
            and ``circuit.ezkl`` and ``proving.key`` for the prover.
        num_inputs: ``d``.
        num_outputs: ``n``.
    """

    folder: Path
    num_inputs: int
    num_outputs: int

    def file(self, name: str) -> str:
        """Path of one of the files."""
        return str(self.folder / name)


def setup(params: Any, folder: str | os.PathLike[str], *, scale: int = 7) -> Circuit:
    """Compile a perceptron with ReLU and make its keys and a reference string.

    Args:
        params: layers ``(W float[d_in, d_out], b float[d_out])``.
        folder: an existing one; files of the same names are overwritten.
        scale: bits behind the binary point of inputs and weights, in ``[1, 12]``.

    Returns:
        The circuit, for one row of inputs.

    Raises:
        ValueError: for layers that do not fit together or a folder that does not exist.
        ImportError: without ezkl and onnx.
        RuntimeError: of ezkl, if the network cannot be compiled.
    """
    layers = layers_of(params)
    bits = checks.whole("scale", scale, 1, 12)
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f"folder: expected an existing folder, got {str(folder)!r}")
    ezkl = _library("ezkl")
    circuit = Circuit(path, layers[0][0].shape[0], layers[-1][0].shape[1])
    path.joinpath("network.onnx").write_bytes(onnx_bytes(params))
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = arguments.output_visibility = "public"
    arguments.param_visibility = "fixed"
    arguments.input_scale = arguments.param_scale = bits
    network, settings = circuit.file("network.onnx"), circuit.file("settings.json")
    ezkl.gen_settings(network, settings, py_run_args=arguments)
    sample = circuit.file("sample.json")
    Path(sample).write_text(json.dumps({"input_data": [[0.5] * circuit.num_inputs]}))
    ezkl.calibrate_settings(
        sample, network, settings, "resources", lookup_safety_margin=4, scales=[bits]
    )
    ezkl.compile_circuit(network, circuit.file("circuit.ezkl"), settings)
    rows = json.loads(Path(settings).read_text())["run_args"]["logrows"]
    ezkl.gen_srs(circuit.file("srs.params"), rows)
    ezkl.setup(
        circuit.file("circuit.ezkl"),
        circuit.file("verification.key"),
        circuit.file("proving.key"),
        circuit.file("srs.params"),
    )
    return circuit


def prove(circuit: Circuit, x: ArrayLike) -> bytes:
    """Execute the network on one input and prove it.

    Args:
        circuit: of :func:`setup`.
        x: ``float[d]``.

    Returns:
        The proof, with the public input and output.

    Raises:
        ValueError: for inputs of another shape or that are not finite.
        ImportError: without ezkl.
        RuntimeError: of ezkl.
    """
    checks.instance("circuit", circuit, Circuit, "snark.setup(params, folder)")
    values = np.asarray(checks.real("x", x, shape=(circuit.num_inputs,)), np.float64)
    ezkl = _library("ezkl")
    asked, witness = circuit.file("input.json"), circuit.file("witness.json")
    proof = circuit.file("proof.json")
    Path(asked).write_text(json.dumps({"input_data": [values.tolist()]}))
    ezkl.gen_witness(asked, circuit.file("circuit.ezkl"), witness)
    ezkl.prove(
        witness,
        circuit.file("circuit.ezkl"),
        circuit.file("proving.key"),
        proof,
        circuit.file("srs.params"),
    )
    return Path(proof).read_bytes()


def check(circuit: Circuit, x: ArrayLike, proof: bytes) -> Verdict:
    """Check a proof for an input with the verification key; a malformed proof is refused.

    Args:
        circuit: of :func:`setup`; only the verifier's files are read.
        x: ``float[d]`` that was asked; the proof must be about it.
        proof: of :func:`prove`.

    Returns:
        The verdict with the proved output ``float32[n]``; multiply-adds are not counted.

    Raises:
        ValueError: for inputs of another shape or that are not finite.
        ImportError: without ezkl.
    """
    checks.instance("circuit", circuit, Circuit, "snark.setup(params, folder)")
    values = np.asarray(checks.real("x", x, shape=(circuit.num_inputs,)), np.float64)
    ezkl = _library("ezkl")
    settings = json.loads(Path(circuit.file("settings.json")).read_text())
    instances = _instances(proof, circuit)
    if instances is None:
        return Verdict(False, "malformed proof")
    input_scale = settings["run_args"]["input_scale"]
    wanted = [ezkl.float_to_felt(float(v), input_scale) for v in values]
    if instances[: len(wanted)] != wanted:
        return Verdict(False, "other inputs than expected")
    received = circuit.folder / "received.json"
    received.write_bytes(proof)
    try:
        right = ezkl.verify(
            str(received),
            circuit.file("settings.json"),
            circuit.file("verification.key"),
            circuit.file("srs.params"),
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic of the library is no Exception
        right = False
    finally:
        received.unlink()
    if right is not True:
        return Verdict(False, "proof is wrong")
    output_scale = settings["model_output_scales"][0]
    outputs = [ezkl.felt_to_float(v, output_scale) for v in instances[len(wanted) :]]
    return Verdict(True, output=np.asarray(outputs, np.float32))


def onnx_bytes(params: Any) -> bytes:
    """Encode a perceptron with ReLU as an ONNX graph with inputs ``x float[1, d]``.

    Raises:
        ValueError: for layers that do not fit together.
        ImportError: without onnx.
    """
    layers = layers_of(params)
    onnx = _library("onnx")
    helper, numbers = onnx.helper, onnx.numpy_helper
    nodes, constants, name = [], [], "x"
    for i, (w, b) in enumerate(layers):
        constants += [
            numbers.from_array(w.astype(np.float32), f"w{i}"),
            numbers.from_array(b.astype(np.float32), f"b{i}"),
        ]
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        name = f"z{i}"
        if i < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"a{i}"]))
            name = f"a{i}"
    real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "perceptron",
        [helper.make_tensor_value_info("x", real, [1, layers[0][0].shape[0]])],
        [helper.make_tensor_value_info(name, real, [1, layers[-1][0].shape[1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _instances(proof: Any, circuit: Circuit) -> list[str] | None:
    """Public inputs and outputs of a proof; ``None`` if it is malformed."""
    if not isinstance(proof, bytes) or not 0 < len(proof) <= MAX_SIZE:
        return None
    try:
        found = json.loads(proof)["instances"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    count = circuit.num_inputs + circuit.num_outputs
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], list):
        return None
    felts = found[0]
    if len(felts) != count or any(not isinstance(v, str) or len(v) != 64 for v in felts):
        return None
    return felts


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"snark: expected the library {name} to be installed, try pip install 'jaxswarm[snark]'"
        ) from error
