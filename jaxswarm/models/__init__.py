"""Models: small flax networks that the domains share, as pure functions of one agent's parameters."""

from jaxswarm.models.functional import Model, functional
from jaxswarm.models.losses import accuracy, cross_entropy, squared_error, weighted_mean
from jaxswarm.models.networks import ACTIVATIONS, INITIALIZERS, MLP, NORMS, mlp

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "MLP",
    "NORMS",
    "Model",
    "accuracy",
    "cross_entropy",
    "functional",
    "mlp",
    "squared_error",
    "weighted_mean",
]
