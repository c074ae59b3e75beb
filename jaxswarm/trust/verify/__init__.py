"""Verified inference: claims about a quantized model's execution that are cheaper to check than it.

``quantize`` and ``quantized_transformer`` turn trained networks into integers; ``prove`` executes
one and commits to inputs and products; ``check`` accepts the claim after checking every product
with Freivalds in a prime field. This is verifiable computing and not zero-knowledge: claims show
inputs, weights are public. ``run``, ``check_products`` and ``freivalds`` are the same on arrays,
inside ``jit``.

``field`` has the exact arithmetic, ``merkle`` the commitments. ``pedersen`` (extra ``zk``) proves a
linear layer with hidden weights in zero knowledge, ``snark`` (extra ``snark``) a small network
through ezkl.

References:
    H. Zhang et al. (Nesa), Towards secure and private AI: a framework for decentralized inference,
    arXiv 2407.19401, 2024.
"""

from jaxswarm.trust.verify import field, merkle, pedersen, snark
from jaxswarm.trust.verify._check import Verdict, check, check_batch
from jaxswarm.trust.verify._claims import Claim, commit, prove
from jaxswarm.trust.verify._freivalds import Product, freivalds
from jaxswarm.trust.verify._model import QuantizedModel, check_products, plan, run
from jaxswarm.trust.verify._quantize import quantize, quantized_transformer
from jaxswarm.trust.verify._transcript import Nonces, Transcript

__all__ = [
    "Claim",
    "Nonces",
    "Product",
    "QuantizedModel",
    "Transcript",
    "Verdict",
    "check",
    "check_batch",
    "check_products",
    "commit",
    "field",
    "freivalds",
    "merkle",
    "pedersen",
    "plan",
    "prove",
    "quantize",
    "quantized_transformer",
    "run",
    "snark",
]
