"""Succinct proof of a small multi-layer perceptron through ezkl (Halo2 with KZG commitments).

Extra ``snark``: ezkl and onnx. A proof has a few kilobytes and is checked without the
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
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify._check import Verdict
from jaxswarm.trust.verify._mlp import layers_of
from jaxswarm.types import ArrayLike

MAGIC = b"jaxswarm snark 1"
MAX_SIZE = 2**20
"""Most bytes of a proof."""
FELT_SIZE = 32
"""Bytes of a public input or output."""


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
        The public inputs and outputs of 32 bytes each, then Halo2's proof, in one encoding only.

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
    found = json.loads(Path(proof).read_text())
    felts = [bytes.fromhex(felt) for felt in found["instances"][0]]
    return MAGIC + b"".join(felts) + bytes(found["proof"])


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
    body = proof[len(MAGIC) + FELT_SIZE * len(instances) :]
    # The library ignores bytes behind a proof: one whose last byte is not needed is refused.
    if not _verified(ezkl, circuit, instances, body):
        return Verdict(False, "proof is wrong")
    if _verified(ezkl, circuit, instances, body[:-1]):
        return Verdict(False, "malformed proof")
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
    """Public inputs and outputs of a proof in hexadecimal; ``None`` if it is malformed."""
    count = circuit.num_inputs + circuit.num_outputs
    start = len(MAGIC) + FELT_SIZE * count
    if not isinstance(proof, bytes) or not start < len(proof) <= MAX_SIZE:
        return None
    if not proof.startswith(MAGIC):
        return None
    return [proof[at : at + FELT_SIZE].hex() for at in range(len(MAGIC), start, FELT_SIZE)]


def _verified(ezkl: Any, circuit: Circuit, instances: list[str], body: bytes) -> bool:
    """Whether the library accepts a proof; its errors and panics count as refusals."""
    fields = {
        "protocol": None,
        "instances": [instances],
        "proof": list(body),
        "hex_proof": "0x" + body.hex(),
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "version": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        received = Path(folder, "proof.json")
        received.write_text(json.dumps(fields))
        try:
            return (
                ezkl.verify(
                    str(received),
                    circuit.file("settings.json"),
                    circuit.file("verification.key"),
                    circuit.file("srs.params"),
                )
                is True
            )
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic of the library is no Exception
            return False


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"snark: expected the library {name} to be installed, try pip install 'jaxswarm[snark]'"
        ) from error
