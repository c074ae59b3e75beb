"""Split learning: a network cut between nodes, and attacks that measure what activations reveal.

``cut`` turns a network into segments, pure functions with their own parameters only; ``gradients``
trains them by passing activations up and gradients down. What an activation reveals is measured:
``invert`` searches inputs with equal activations (white box), ``fit_decoder`` learns to decode from
inputs of the attacker's own (black box). ``distance_correlation`` is a penalty against both.

Shapes: ``B`` samples of a batch, ``S`` samples, ``D`` input features, ``E`` activations.

References:
    O. Gupta, R. Raskar, Distributed learning of deep neural network over multiple agents, 2018.
    P. Vepakomma et al., NoPeek: information leakage reduction to share activations in distributed
    deep learning, 2020.
    Z. He, T. Zhang, R. Lee, Model inversion attacks against collaborative inference, 2019.
"""

from jaxswarm.trust.split._correlation import distance_correlation
from jaxswarm.trust.split._inversion import Decoder, decode, fit_decoder, invert
from jaxswarm.trust.split._segments import (
    Segment,
    SplitGradients,
    cut,
    gradients,
    initialize,
    own_params,
)

__all__ = [
    "Decoder",
    "Segment",
    "SplitGradients",
    "cut",
    "decode",
    "distance_correlation",
    "fit_decoder",
    "gradients",
    "initialize",
    "invert",
    "own_params",
]
