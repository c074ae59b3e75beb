"""Multi-layer perceptrons and small convolutional networks.

Every module is called as ``module(x, train=False)`` with ``x: [B, ...]`` and returns
``[B, num_outputs]``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
}
INITIALIZERS: dict[str, Callable[[], Any]] = {
    "lecun": lambda: layers.lecun_normal,
    "xavier": lambda: layers.variance_scaling(1.0, "fan_avg"),
    "xavier_uniform": lambda: layers.variance_scaling(1.0, "fan_avg", "uniform"),
    "he": lambda: layers.variance_scaling(2.0),
    "orthogonal": nn.initializers.orthogonal,
    "zeros": lambda: nn.initializers.zeros,
}
NORMS = ("none", "batch", "group", "layer")


class MLP(nn.Module):
    """Multi-layer perceptron: dense layers with an activation between them; inputs are flattened.

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
        """Apply the network to a batch, ``[B, ...] -> [B, widths[-1]]``."""
        kernel = INITIALIZERS[self.initializer]()
        x = x.reshape(x.shape[0], -1)
        for width in self.widths[:-1]:
            x = layers.Dense(width, kernel_init=kernel, dot_general=dot_general)(x)
            x = ACTIVATIONS[self.activation](_normalized(x, self.norm, train))
        return layers.Dense(self.widths[-1], kernel_init=kernel, dot_general=dot_general)(x)


class CNN(nn.Module):
    """Convolutional network: 3×3 convolutions with 2×2 average pooling, then dense layers.

    After Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document
    recognition, 1998.

    Attributes:
        num_outputs: outputs per sample.
        channels: channels of each convolution; each halves the image while it is larger than 1×1.
        widths: widths of the hidden dense layers.
        activation: name in ``ACTIVATIONS``.
        initializer: name in ``INITIALIZERS``; biases start at zero.
        norm: ``"none"``, ``"batch"``, ``"group"`` or ``"layer"``, before each activation.
    """

    num_outputs: int
    channels: Sequence[int] = (16, 32)
    widths: Sequence[int] = (64,)
    activation: str = "relu"
    initializer: str = "lecun"
    norm: str = "none"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply to images ``[B, H, W]``, ``[B, H, W, C]`` or flat ``[B, H²]``; ``[B, outputs]``."""
        kernel = INITIALIZERS[self.initializer]()
        activate = ACTIVATIONS[self.activation]
        x = _as_images(x)
        for width in self.channels:
            x = layers.Conv(width, (3, 3), kernel_init=kernel)(x)
            x = activate(_normalized(x, self.norm, train))
            if min(x.shape[1:3]) > 1:
                x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = layers.Dense(width, kernel_init=kernel, dot_general=dot_general)(x)
            x = activate(_normalized(x, self.norm, train))
        return layers.Dense(self.num_outputs, kernel_init=kernel, dot_general=dot_general)(x)


def mlp(
    *widths: int, activation: str = "relu", initializer: str = "lecun", norm: str = "none"
) -> MLP:
    """Multi-layer perceptron; ``mlp(128, 10)`` has one hidden layer of 128 units and 10 outputs.

    Args:
        *widths: hidden widths, then the output width.
        activation: name in ``ACTIVATIONS``.
        initializer: name in ``INITIALIZERS``.
        norm: ``"none"``, ``"batch"``, ``"group"`` or ``"layer"``.

    Raises:
        ValueError: without widths, for a width below 1, or an unknown name.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> network = mlp(32, 10)
        >>> params = network.init(jax.random.key(0), jnp.zeros((1, 64)))
        >>> network.apply(params, jnp.zeros((5, 64))).shape
        (5, 10)
    """
    if not widths:
        raise ValueError("widths: expected at least one width, got none")
    widths = tuple(checks.whole("widths", width, 1) for width in widths)
    _check_names(activation, initializer, norm)
    return MLP(widths, activation, initializer, norm)


def logistic(num_classes: int, *, initializer: str = "zeros") -> MLP:
    """Softmax (logistic) regression, convex in its parameters: an MLP without hidden layers.

    Raises:
        ValueError: if ``num_classes < 1``, or for an unknown initializer.
    """
    return mlp(checks.whole("num_classes", num_classes, 1), initializer=initializer)


def cnn(
    num_outputs: int,
    *,
    channels: Sequence[int] = (16, 32),
    widths: Sequence[int] = (64,),
    activation: str = "relu",
    initializer: str = "lecun",
    norm: str = "none",
) -> CNN:
    """LeNet-like convolutional network for small images, 8×8 digits as well as 28×28 MNIST.

    Args:
        num_outputs: outputs per sample.
        channels: channels of each convolution, at least one.
        widths: widths of the hidden dense layers.
        activation: name in ``ACTIVATIONS``.
        initializer: name in ``INITIALIZERS``.
        norm: ``"none"``, ``"batch"``, ``"group"`` or ``"layer"``.

    Raises:
        ValueError: for sizes below 1, no convolution, or an unknown name.
    """
    num_outputs = checks.whole("num_outputs", num_outputs, 1)
    channels, widths = _sizes("channels", channels), _sizes("widths", widths)
    if not channels:
        raise ValueError("channels: expected at least one convolution, got none")
    _check_names(activation, initializer, norm)
    return CNN(num_outputs, channels, widths, activation, initializer, norm)


def _sizes(name: str, values: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ValueError(f"{name}: expected a sequence of sizes, got {checks.shown(values)}")
    return tuple(checks.whole(name, value, 1) for value in values)


def _check_names(activation: str, initializer: str, norm: str) -> None:
    checks.choice("activation", activation, ACTIVATIONS)
    checks.choice("initializer", initializer, INITIALIZERS)
    checks.choice("norm", norm, NORMS)


def _normalized(x: jax.Array, norm: str, train: bool) -> jax.Array:
    if norm == "batch":
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
    if norm == "group":
        # Normalizing very few channels together removes their information: group at least eight.
        width = x.shape[-1]
        groups = next((g for g in (8, 4, 2) if width % g == 0 and width // g >= 8), 1)
        return nn.GroupNorm(num_groups=groups)(x)
    if norm == "layer":
        return nn.LayerNorm()(x)
    return x


def _as_images(x: jax.Array) -> jax.Array:
    if x.ndim == 2:
        side = round(x.shape[1] ** 0.5)
        if side * side != x.shape[1]:
            raise ValueError(f"x: expected square images, got {x.shape[1]} pixels per sample")
        x = x.reshape(-1, side, side)
    if x.ndim not in (3, 4):
        raise ValueError(f"x: expected images [B, H, W] or [B, H, W, C], got shape {x.shape}")
    return x if x.ndim == 4 else x[..., None]
