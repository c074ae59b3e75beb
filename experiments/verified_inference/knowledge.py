"""A linear layer with committed weights: honest and forged answers, and simulated transcripts.

The layer is the last one of a quantized perceptron; its inputs are public activations. Weights are
hidden up to what the answers reveal: a layer of ``d`` inputs is known after ``d + 1`` of them.
"""

from typing import Any

import numpy as np

from experiments.verified_inference.config import Config
from experiments.verified_inference.integrity import hidden, quantized
from experiments.verified_inference.splitting import Images
from jaxswarm.trust.verify import pedersen
from jaxswarm.types import Params

FORGERIES = ("output by one", "outputs swapped", "other input", "simulated", "other weights")


def run(config: Config, images: Images, models: list[Params]) -> dict[str, Any]:
    """Prove, forge and simulate answers of each seed's layer.

    Returns:
        ``honest`` and ``forged {kind: [2]}``: answers and those accepted; ``simulated [2]``,
        simulated transcripts and those that satisfy the verifier's equations; ``real`` and
        ``simulation {"announcement", "challenge", "response": [n]}``, numbers in ``[0, 1)``.
    """
    rng = np.random.default_rng([config.seed, 11])
    honest, simulated = np.zeros(2, int), np.zeros(2, int)
    forged = {kind: np.zeros(2, int) for kind in FORGERIES}
    drawn: dict[str, list[np.ndarray]] = {"real": [], "simulation": []}
    each = -(-config.forged // (len(FORGERIES) * len(models)))
    for model in models:
        layer, x = _last_layer(model, images)
        commitment, opening = pedersen.commit_layer(*layer)
        _, other = pedersen.commit_layer(rng.permutation(layer[0]), layer[1])
        for _ in range(each):
            asked, beside = x[rng.choice(len(x), 2, replace=False)]
            proof = pedersen.prove(opening, asked)
            honest += (1, pedersen.check(commitment, asked, proof.to_bytes()))
            for kind in FORGERIES:
                found = _forge(rng, kind, proof, commitment, opening, other, asked, beside)
                if found.outputs != proof.outputs:
                    forged[kind] += (1, pedersen.check(commitment, asked, found.to_bytes()))
            points = pedersen.combine(commitment, asked)
            real = pedersen.transcripts(opening, asked)
            simulation = pedersen.simulated_transcripts(points, proof.outputs)
            valid = pedersen.check_transcripts(points, proof.outputs, simulation)
            simulated += (1, valid)
            drawn["real"].append(_fractions(real))
            drawn["simulation"].append(_fractions(simulation))
    names = ("announcement", "challenge", "response")
    return {
        "honest": honest,
        "forged": forged,
        "simulated": simulated,
        **{
            which: dict(zip(names, np.concatenate(rows, axis=1), strict=True))
            for which, rows in drawn.items()
        },
    }


def _last_layer(model: Params, images: Images) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Integer weights and bias, and integer activations ``[X, d]`` of the test images."""
    network = quantized(model, images, skip=len(model) - 1)
    x = hidden(model, np.asarray(images.test_x), len(model) - 1)
    layer = network.params["layer_0"]
    return (np.asarray(layer["weight"]), np.asarray(layer["bias"])), np.asarray(network.inputs(x))


def _forge(
    rng: np.random.Generator, kind: str, proof: Any, commitment: Any, opening: Any, other: Any,
    asked: np.ndarray, beside: np.ndarray,
) -> Any:  # fmt: skip
    """An answer whose outputs (but by chance) are wrong for the input that was asked."""
    outputs = list(proof.outputs)
    if kind == "other input":
        return pedersen.prove(opening, beside)
    if kind == "other weights":
        return pedersen.prove(other, asked)
    if kind == "outputs swapped":
        order = np.argsort(outputs)
        outputs[order[0]], outputs[order[-1]] = outputs[order[-1]], outputs[order[0]]
        return pedersen.LayerProof(tuple(outputs), proof.announcements, proof.responses)
    outputs[rng.integers(len(outputs))] += int(rng.choice([-1, 1]))
    if kind == "output by one":
        return pedersen.LayerProof(tuple(outputs), proof.announcements, proof.responses)
    points = pedersen.combine(commitment, asked)
    found = pedersen.simulated_transcripts(points, outputs)
    return pedersen.LayerProof(tuple(outputs), found.announcements, found.responses)


def _fractions(found: Any) -> np.ndarray:
    """Coordinates of announcements, challenges and responses over ``2**256``: ``float[3, n]``."""
    points = [int.from_bytes(point[1:], "big") for point in found.announcements]
    return np.array([points, found.challenges, found.responses], object).astype(float) / 2.0**256
