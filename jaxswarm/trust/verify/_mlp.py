"""Multi-layer perceptron with ReLU in integers.

Shapes: ``B`` rows, widths ``d_0 … d_L``.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify import _fixed_point as fixed
from jaxswarm.trust.verify._freivalds import Factors, Product, product, product_bound


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Static sizes of a perceptron.

    Attributes:
        widths: ``d_0 … d_L``.
        bits: of weights and activations.
    """

    widths: tuple[int, ...]
    bits: int

    @property
    def largest(self) -> int:
        """Bound of the magnitudes of all products."""
        top = level(self.bits)
        return max(product_bound(width, top, top) for width in self.widths[:-1])


def level(bits: int) -> int:
    """Largest magnitude of a symmetric integer of some bits."""
    return 2 ** (bits - 1) - 1


def quantized(array: Any, scale: float, bits: int) -> jax.Array:
    """Round an array to ``int8`` units of ``scale``, saturating."""
    top = level(bits)
    return jnp.asarray(np.clip(np.rint(np.asarray(array) / scale), -top, top).astype(np.int8))


def scale_of(array: Any, bits: int) -> float:
    """The unit in which the largest magnitude is the largest integer; 1 for zeros."""
    top = float(np.max(np.abs(np.asarray(array, np.float64)), initial=0.0))
    return top / level(bits) if top > 0 else 1.0


def layers_of(params: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Check layers ``(W float[d_in, d_out], b float[d_out])`` and return them as ``float64``.

    Raises:
        ValueError: naming the layer and what came.
    """
    if not isinstance(params, Sequence) or isinstance(params, str) or not params:
        raise ValueError(f"params: expected a list of layers (W, b), got {checks.shown(params)}")
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    for position, layer in enumerate(params):
        if not isinstance(layer, Sequence) or isinstance(layer, str) or len(layer) != 2:
            raise ValueError(f"params[{position}]: expected (W, b), got {checks.shown(layer)}")
        width = layers[-1][0].shape[1] if layers else None
        w = checks.real(f"params[{position}] W", layer[0], shape=(width, None))
        b = checks.real(f"params[{position}] b", layer[1], shape=(np.shape(w)[1],))
        if 0 in np.shape(w):
            raise ValueError(f"params[{position}] W: expected sizes above 0, got {np.shape(w)}")
        layers.append((np.asarray(w, np.float64), np.asarray(b, np.float64)))
    return layers


def quantize_layers(params: Any, x: Any, bits: int) -> tuple[dict[str, Any], Sizes]:
    """Quantize a perceptron; see :func:`jaxswarm.trust.verify.quantize`."""
    layers = layers_of(params)
    widths = (layers[0][0].shape[0], *(w.shape[1] for w, _ in layers))
    values = np.asarray(checks.real("x_calibration", x, shape=(None, widths[0])), np.float64)
    if not len(values):
        raise ValueError("x_calibration: expected at least one row, got none")
    input_scale = scale = scale_of(values, bits)
    made: dict[str, Any] = {}
    for position, (w, b) in enumerate(layers):
        unit = scale_of(w, bits)
        bias = np.rint(b / (scale * unit))
        if np.abs(bias).max() >= 2**30:
            raise ValueError(
                f"params[{position}] b: expected magnitudes below 2**30 units of {scale * unit:.3g}"
                f", got {np.abs(b).max():.6g}"
            )
        layer: dict[str, Any] = {
            "weight": quantized(w, unit, bits),
            "bias": jnp.asarray(bias.astype(np.int32)),
        }
        accumulator = scale * unit
        if position < len(layers) - 1:
            values = np.maximum(values @ w + b, 0.0)
            scale = scale_of(values, bits)
            layer["rescale"] = fixed.rescaling(accumulator / scale, level(bits))
        made[f"layer_{position}"] = layer
    made["input_scale"] = np.float64(input_scale)
    made["output_scale"] = np.float64(accumulator)
    return made, Sizes(widths, bits)


def inputs(params: dict[str, Any], sizes: Sizes, x: Any) -> jax.Array:
    """Quantize inputs ``[B, d_0]``; raises rather than clips."""
    values = np.asarray(checks.real("x", x, shape=(None, sizes.widths[0])), np.float64)
    top = level(sizes.bits)
    scale = float(params["input_scale"])
    found = np.rint(values / scale)
    if not len(found):
        raise ValueError("x: expected at least one row, got none")
    if np.abs(found).max() > top:
        raise ValueError(
            f"x: expected magnitudes of at most {scale * top:.6g}, the range of x_calibration, got "
            f"{np.abs(values).max():.6g}"
        )
    return jnp.asarray(found.astype(np.int32))


def input_bounds(sizes: Sizes) -> tuple[int, int]:
    """Smallest and largest entry of quantized inputs."""
    return -level(sizes.bits), level(sizes.bits)


def plan(sizes: Sizes, shape: tuple[int, ...]) -> list[Product]:
    """Sizes of the products for inputs ``[B, d_0]``."""
    if len(shape) != 2 or shape[1] != sizes.widths[0] or shape[0] < 1:
        raise ValueError(f"inputs: expected shape [B, {sizes.widths[0]}], got {list(shape)}")
    top = level(sizes.bits)
    return [
        Product((), shape[0], d, n, 1, product_bound(d, top, top))
        for d, n in zip(sizes.widths[:-1], sizes.widths[1:], strict=True)
    ]


def program(
    params: dict[str, Any],
    sizes: Sizes,
    inputs: jax.Array,
    claimed: tuple[jax.Array, ...] | None,
) -> tuple[jax.Array, tuple[Factors, ...]]:
    """Compute logits ``int32[B, d_L]`` and the products."""
    top, x = level(sizes.bits), inputs
    last = len(sizes.widths) - 2
    made = []
    for position in range(last + 1):
        layer = params[f"layer_{position}"]
        made.append(
            product(
                x.astype(jnp.int8), layer["weight"], None if claimed is None else claimed[position]
            )
        )
        x = made[-1].c + jnp.broadcast_to(layer["bias"], made[-1].c.shape)
        if position < last:
            x = fixed.rescale(jnp.maximum(x, 0), layer["rescale"], top)
    return x, tuple(made)
