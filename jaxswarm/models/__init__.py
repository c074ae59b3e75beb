"""Small flax networks shared by the domains, as pure functions of one agent, and their losses.

``functional(mlp(128, 10), example_x)`` gives ``init(key) -> params`` and ``apply(params, x)``;
stack agents with ``agents.initialize`` and ``vmap`` the rest. Losses take the batch's weights.
``models.flow`` has flow-matching and diffusion models, ``models.transformer`` causal language
models, ``models.vae`` variational autoencoders of grids.
"""

from jaxswarm.models import flow, transformer, vae
from jaxswarm.models._functional import Model, functional
from jaxswarm.models.losses import accuracy, cross_entropy, squared_error, weighted_mean
from jaxswarm.models.networks import ACTIVATIONS, CNN, INITIALIZERS, MLP, NORMS, cnn, logistic, mlp

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "INITIALIZERS",
    "MLP",
    "NORMS",
    "Model",
    "accuracy",
    "cnn",
    "cross_entropy",
    "flow",
    "functional",
    "logistic",
    "mlp",
    "squared_error",
    "transformer",
    "vae",
    "weighted_mean",
]
