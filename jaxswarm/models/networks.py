"""Small flax networks that the domains share.

Every module is called as ``module(x, train=False)`` with ``x: [B, ...]`` and returns ``[B, num_outputs]``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm.errors import unknown

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
}
INITIALIZERS: dict[str, Callable[[], Any]] = {
    "lecun": nn.initializers.lecun_normal,
    "xavier": nn.initializers.xavier_normal,
    "xavier_uniform": nn.initializers.xavier_uniform,
    "he": nn.initializers.he_normal,
    "orthogonal": nn.initializers.orthogonal,
}
NORMS = ("none", "batch", "group", "layer")


class MLP(nn.Module):
    """Dense layers with an activation between them; inputs are flattened.

    Attributes:
        widths: hidden widths, then the output width.
        activation: name in ``ACTIVATIONS``.
        initializer: name in ``INITIALIZERS``; biases start at zero.
        norm: ``"none"``, ``"batch"``, ``"group"`` or ``"layer"``, before each hidden activation.
    """

    widths: Sequence[int]
    activation: str = "relu"
    initializer: str = "lecun"
    norm: str = "none"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """``[B, ...] -> [B, widths[-1]]``."""
        kernel = INITIALIZERS[self.initializer]()
        x = x.reshape(x.shape[0], -1)
        for width in self.widths[:-1]:
            x = nn.Dense(width, kernel_init=kernel)(x)
            x = ACTIVATIONS[self.activation](_normalised(x, self.norm, train))
        return nn.Dense(self.widths[-1], kernel_init=kernel)(x)


def mlp(
    *widths: int, activation: str = "relu", initializer: str = "lecun", norm: str = "none"
) -> MLP:
    """A multi-layer perceptron, ``mlp(128, 10)`` for one hidden layer of 128 and 10 outputs.

    Raises:
        ValueError: without widths, on a width below 1, or on an unknown name.
    """
    if not widths or min(widths) < 1:
        raise ValueError(f"widths: expected at least one positive width, got {widths}")
    _check_names(activation, initializer, norm)
    return MLP(tuple(widths), activation, initializer, norm)


def _check_names(activation: str, initializer: str, norm: str) -> None:
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if initializer not in INITIALIZERS:
        raise unknown("initializer", initializer, INITIALIZERS)
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)


def _normalised(x: jax.Array, norm: str, train: bool) -> jax.Array:
    if norm == "batch":
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
    if norm == "group":
        groups = next(g for g in (8, 4, 2, 1) if x.shape[-1] % g == 0)
        return nn.GroupNorm(num_groups=groups)(x)
    if norm == "layer":
        return nn.LayerNorm()(x)
    return jnp.asarray(x)
