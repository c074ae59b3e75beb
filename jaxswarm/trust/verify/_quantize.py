"""Quantization of trained networks to integers, for checked execution.

References:
    B. Jacob et al., Quantization and training of neural networks for efficient
    integer-arithmetic-only inference, 2018.
"""

from typing import Any

from jaxswarm import checks
from jaxswarm.models import transformer
from jaxswarm.trust.verify import _mlp, _transformer
from jaxswarm.trust.verify._model import QuantizedModel
from jaxswarm.types import ArrayLike


def quantize(params: Any, x_calibration: ArrayLike, bits: int = 8) -> QuantizedModel:
    """Quantize a multi-layer perceptron with ReLU between its layers.

    Weights and activations become symmetric integers with one scale per layer, products are
    ``int32``; between products they are rescaled in integers. Nothing is trained.

    Args:
        params: layers ``(W float[d_in, d_out], b float[d_out])``, at least one.
        x_calibration: ``float[B, d]``, inputs that set the scales of activations. Later inputs of
            larger magnitude are refused.
        bits: of weights and activations, in ``[2, 8]``: magnitudes up to ``2**(bits - 1) - 1``.

    Returns:
        The quantized model; ``model(x)`` gives logits ``float32[B, n]``.

    Raises:
        ValueError: for layers that do not fit together, numbers that are not finite, no rows, bits
            out of range, or a width whose products might exceed 30 bits.

    Example:
        >>> from jaxswarm.trust import verify
        >>> layers = [([[1.0, -1.0], [0.5, 0.5]], [0.0, 0.1]), ([[1.0], [-1.0]], [0.2])]
        >>> model = verify.quantize(layers, [[1.0, 1.0], [-1.0, 0.5]])
        >>> round(float(model([[0.5, 1.0]])[0, 0]), 1)  # 1.0 - 0.1 + 0.2
        1.1
    """
    bits = checks.whole("bits", bits, 2, 8)
    made, sizes = _mlp.quantize_layers(params, x_calibration, bits)
    model = QuantizedModel(made, "mlp", sizes)
    sizes.largest  # noqa: B018 - refuses widths whose products might not fit
    return model


def quantized_transformer(
    config: transformer.Config, params: Any, x_calibration: ArrayLike, bits: int = 8
) -> QuantizedModel:
    """Quantize a causal transformer of :mod:`jaxswarm.models.transformer`.

    Linear layers, attention scores and mixing are products of integers. Softmax (powers of 2 from a
    table), root-mean-square normalization (integer square root), rotary angles, activations (a
    table) and residual sums are integer arithmetic of 15 bits.

    Args:
        config: of the network, without a value head.
        params: of ``transformer.from_config(config).init(key)``, trained.
        x_calibration: tokens ``int[B, T]`` without padding; ``T`` bounds the length of inputs.
        bits: of weights and activations, in ``[2, 8]``; attention weights have 12.

    Returns:
        The quantized model; ``model(tokens)`` gives logits ``float32[B, T, V]``.

    Raises:
        ValueError: for a value head, parameters or tokens that do not fit, numbers that are not
            finite, or sizes whose products might exceed 30 bits.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> from jaxswarm.trust import verify
        >>> config = transformer.Config(vocab_size=5, width=8)
        >>> params = transformer.from_config(config).init(jax.random.key(0))
        >>> model = verify.quantized_transformer(config, params, [[0, 1, 2, 3]])
        >>> model([[3, 1]]).shape
        (1, 2, 5)
    """
    checks.instance("config", config, transformer.Config, "transformer.Config(vocab_size=50)")
    if config.value_head:
        raise ValueError("config: expected a network without a value head, got value_head=True")
    bits = checks.whole("bits", bits, 2, 8)
    checks.concrete("params", params)
    tokens = checks.wholes(
        "x_calibration", x_calibration, 0, config.vocab_size - 1, shape=(None, None)
    )
    if not tokens.size:
        raise ValueError(f"x_calibration: expected at least one token, got shape {tokens.shape}")
    made, sizes = _transformer.quantize(config, params, tokens, bits)
    sizes.largest  # noqa: B018
    return QuantizedModel(made, "transformer", sizes)
