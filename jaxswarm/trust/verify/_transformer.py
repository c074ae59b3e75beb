"""Causal transformer of :mod:`jaxswarm.models.transformer` in integers.

Shapes: ``B`` sequences of ``C`` tokens, ``H`` heads of width ``E``, ``D = H E``, ``V`` tokens of
the vocabulary.

References:
    S. Kim et al., I-BERT: integer-only BERT quantization, 2021 (the idea; other approximations).
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models import transformer
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.trust.verify import _fixed_point as fixed
from jaxswarm.trust.verify._freivalds import Factors, Product, product, product_bound
from jaxswarm.trust.verify._mlp import level, quantized, scale_of

ANGLE_BITS = 14
"""Cosines and sines are in units of ``2**-14``."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Static sizes of a quantized transformer.

    Attributes:
        config: of the network.
        num_tokens: most tokens of a sequence.
        bits: of weights and activations.
    """

    config: transformer.Config
    num_tokens: int
    bits: int

    @property
    def largest(self) -> int:
        """Bound of the magnitudes of all products."""
        top, config = level(self.bits), self.config
        terms = max(config.width, config.hidden_width)
        return max(
            product_bound(terms, top, top),
            product_bound(self.num_tokens, fixed.WEIGHT_MAX, top),
        )


def quantize(
    config: transformer.Config, params: Any, tokens: Any, bits: int
) -> tuple[dict[str, Any], Sizes]:
    """Quantize a transformer; see :func:`jaxswarm.trust.verify.quantized_transformer`."""
    # The network's own checks of parameters and tokens; its outputs are not needed.
    jax.eval_shape(transformer.from_config(config).apply, params, jnp.asarray(tokens))
    given = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(given)[0]:
        checks.real(f"params{jax.tree_util.keystr(path)}", leaf, shape=None)
    found = _ranges(config, given, np.asarray(tokens))
    top = level(bits)
    stream = 2.0 * (found["stream"] or 1.0) / fixed.RESIDUAL_MAX
    embedding = given["embed"]["embedding"]
    vocabulary = scale_of(embedding, bits)
    made: dict[str, Any] = {
        "embedding": jnp.asarray(
            np.clip(np.rint(embedding / stream), -fixed.RESIDUAL_MAX, fixed.RESIDUAL_MAX).astype(
                np.int32
            )
        ),
        "vocabulary": quantized(embedding.T, vocabulary, bits),
        "exponentials": fixed.exponential_table(),
        "angles": _angles(config, tokens.shape[1]),
    }

    def unit(name: str) -> float:
        return found[name] / top if found[name] > 0 else 1.0

    def norm(scale: np.ndarray, name: str) -> dict[str, Any]:
        largest = float(np.max(np.abs(scale))) or 1.0
        gains = np.rint(scale / largest * fixed.RESIDUAL_MAX).astype(np.int32)
        ratio = largest * math.sqrt(config.width) / fixed.RESIDUAL_MAX / unit(name)
        return {"gains": jnp.asarray(gains), "rescale": fixed.rescaling(ratio, top)}

    blocks = []
    for i in range(config.num_layers):
        block, name = given[f"block_{i}"], f"block_{i} "
        kernels = {key: block[key]["kernel"] for key in ("qkv", "out", "up", "down")}
        units = {key: scale_of(kernel, bits) for key, kernel in kernels.items()}
        qkv = unit(name + "attention") * units["qkv"]
        heads = qkv * 2.0 ** _qkv_shift(config, bits)
        scores = unit(name + "q") * unit(name + "k") / math.sqrt(config.head_width)
        values = unit(name + "v") / fixed.WEIGHT_MAX
        steps = np.linspace(-top, top, 2 * top + 1) * unit(name + "up")
        active = np.asarray(ACTIVATIONS[config.activation](jnp.asarray(steps, jnp.float32)))
        blocks.append(
            {
                **{key: quantized(kernel, units[key], bits) for key, kernel in kernels.items()},
                "attention_norm": norm(block["attention_norm"]["scale"], name + "attention"),
                "mlp_norm": norm(block["mlp_norm"]["scale"], name + "mlp"),
                "to_q": fixed.rescaling(heads / unit(name + "q"), top),
                "to_k": fixed.rescaling(heads / unit(name + "k"), top),
                "to_v": fixed.rescaling(qkv / unit(name + "v"), top),
                "to_steps": fixed.rescaling(
                    scores * fixed.LOG_STEPS / math.log(2.0), 30 * fixed.LOG_STEPS
                ),
                "to_mixed": fixed.rescaling(values / unit(name + "mixed"), top),
                "to_up": fixed.rescaling(unit(name + "mlp") * units["up"] / unit(name + "up"), top),
                "activation": quantized(active, unit(name + "down"), bits),
                "from_out": fixed.rescaling(
                    unit(name + "mixed") * units["out"] / stream, fixed.RESIDUAL_MAX
                ),
                "from_down": fixed.rescaling(
                    unit(name + "down") * units["down"] / stream, fixed.RESIDUAL_MAX
                ),
            }
        )
    made["blocks"] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    made["norm"] = norm(given["norm"]["scale"], "norm")
    made["output_scale"] = np.float64(unit("norm") * vocabulary)
    return made, Sizes(config, int(tokens.shape[1]), bits)


def inputs(params: dict[str, Any], sizes: Sizes, x: Any) -> jax.Array:
    """Check tokens ``[B, T]``."""
    vocab, most = sizes.config.vocab_size, sizes.num_tokens
    tokens = checks.wholes("x", x, 0, vocab - 1, shape=(None, None))
    if not len(tokens) or not 1 <= tokens.shape[1] <= most:
        raise ValueError(
            f"x: expected tokens [B, T] with T in [1, {most}], got shape {tokens.shape}"
        )
    return jnp.asarray(tokens)


def input_bounds(sizes: Sizes) -> tuple[int, int]:
    """Smallest and largest token."""
    return 0, sizes.config.vocab_size - 1


def plan(sizes: Sizes, shape: tuple[int, ...]) -> list[Product]:
    """Sizes of the products for tokens ``[B, C]``."""
    config, top = sizes.config, level(sizes.bits)
    if len(shape) != 2 or shape[0] < 1 or not 1 <= shape[1] <= sizes.num_tokens:
        raise ValueError(
            f"inputs: expected tokens [B, T] with T in [1, {sizes.num_tokens}], got {list(shape)}"
        )
    batch, count = shape
    layers, width, hidden = config.num_layers, config.width, config.hidden_width
    heads = (layers, batch, config.num_heads)

    def linear(terms: int, columns: int, batch: tuple[int, ...] = (layers,)) -> Product:
        largest = product_bound(terms, top, top)
        return Product(batch, shape[0] * count, terms, columns, math.prod(batch), largest)

    def attention(terms: int, columns: int, a_max: int) -> Product:
        largest = product_bound(terms, a_max, top)
        return Product(heads, count, terms, columns, math.prod(heads), largest)

    return [
        linear(width, 3 * width),
        attention(config.head_width, count, top),
        attention(count, config.head_width, fixed.WEIGHT_MAX),
        linear(width, width),
        linear(width, hidden),
        linear(hidden, width),
        linear(width, config.vocab_size, ()),
    ]


def program(
    params: dict[str, Any],
    sizes: Sizes,
    inputs: jax.Array,
    claimed: tuple[jax.Array, ...] | None,
) -> tuple[jax.Array, tuple[Factors, ...]]:
    """Compute logits ``int32[B, C, V]`` of the next tokens and the products, layers stacked."""
    config, top = sizes.config, level(sizes.bits)
    batch, count = inputs.shape
    rows = batch * count
    causal = jnp.tril(jnp.ones((1, 1, count, count), bool))
    angles = params["angles"][:, :count]

    def narrow(x: jax.Array, by: fixed.Rescale) -> jax.Array:
        return fixed.rescale(x, by, top).astype(jnp.int8)

    def normalize(x: jax.Array, by: dict[str, Any]) -> jax.Array:
        units = fixed.unit_rows(x)
        scaled = fixed.shift(units * jnp.broadcast_to(by["gains"], units.shape), 15)
        return narrow(scaled, by["rescale"])

    def add(x: jax.Array, update: jax.Array, by: fixed.Rescale) -> jax.Array:
        y = x + fixed.rescale(update, by, fixed.RESIDUAL_MAX)
        return jnp.clip(y, -fixed.RESIDUAL_MAX, fixed.RESIDUAL_MAX)

    def layer(x: jax.Array, given: Any) -> tuple[jax.Array, tuple[Factors, ...]]:
        block, known = given
        made: list[Factors] = []

        def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
            made.append(product(a, b, None if known is None else known[len(made)]))
            return made[-1].c

        y = multiply(normalize(x, block["attention_norm"]), block["qkv"])
        y = y.reshape(batch, count, 3, config.num_heads, config.head_width)
        y = y.transpose(2, 0, 3, 1, 4)  # [3, B, H, C, E]
        turned = _rotate(fixed.shift(y[:2], _qkv_shift(config, sizes.bits)), angles)
        q = narrow(turned[0], block["to_q"])
        k = narrow(turned[1], block["to_k"])
        v = narrow(y[2], block["to_v"])
        scores = multiply(q, k.swapaxes(-1, -2))
        weights = fixed.softmax(scores, causal, block["to_steps"], params["exponentials"])
        mixed = narrow(multiply(weights, v), block["to_mixed"])
        mixed = mixed.transpose(0, 2, 1, 3).reshape(rows, config.width)
        x = add(x, multiply(mixed, block["out"]), block["from_out"])
        y = multiply(normalize(x, block["mlp_norm"]), block["up"])
        y = block["activation"][fixed.rescale(y, block["to_up"], top) + top]
        x = add(x, multiply(y, block["down"]), block["from_down"])
        return x, tuple(made)

    x = params["embedding"][inputs.reshape(rows)]
    known = None if claimed is None else claimed[:-1]
    x, made = jax.lax.scan(layer, x, (params["blocks"], known))
    last = product(
        normalize(x, params["norm"]), params["vocabulary"], None if claimed is None else claimed[-1]
    )
    return last.c.reshape(batch, count, config.vocab_size), (*made, last)


def _qkv_shift(config: transformer.Config, bits: int) -> int:
    """Bits by which queries and keys are shortened to 15 before they are rotated."""
    top = level(bits)
    return max(0, product_bound(config.width, top, top).bit_length() - 15)


def _angles(config: transformer.Config, count: int) -> jax.Array:
    """Cosines and sines ``int32[2, C, E / 2]`` of rotary angles."""
    half = config.head_width // 2
    frequencies = config.rope_base ** (-np.arange(half) / half)
    angles = np.arange(count)[:, None] * frequencies
    units = np.stack([np.cos(angles), np.sin(angles)]) * 2**ANGLE_BITS
    return jnp.asarray(np.rint(units).astype(np.int32))


def _rotate(x: jax.Array, angles: jax.Array) -> jax.Array:
    """Rotate pairs ``(i, i + E / 2)`` of ``x: [..., C, E]`` of 15 bits."""
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = (jnp.broadcast_to(a, first.shape) for a in angles)
    turned = [first * cos - second * sin, first * sin + second * cos]
    return fixed.shift(jnp.concatenate(turned, axis=-1), ANGLE_BITS)


def _ranges(config: transformer.Config, params: Any, tokens: np.ndarray) -> dict[str, float]:
    """Largest magnitudes of all activations of the network in real numbers."""
    found = {"stream": 0.0}
    batch, count = tokens.shape
    half = config.head_width // 2
    cos, sin = np.asarray(_angles(config, count), np.float64) / 2**ANGLE_BITS

    def seen(name: str, x: np.ndarray) -> np.ndarray:
        found[name] = max(found.get(name, 0.0), float(np.max(np.abs(x))))
        return x

    def normalize(x: np.ndarray, by: Any, name: str) -> np.ndarray:
        return seen(name, x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * by["scale"])

    def rotate(x: np.ndarray) -> np.ndarray:
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)

    hidden = np.where(np.tril(np.ones((count, count), bool)), 0.0, -np.inf)
    x = seen("stream", params["embed"]["embedding"][tokens])
    for i in range(config.num_layers):
        block, name = params[f"block_{i}"], f"block_{i} "
        y = normalize(x, block["attention_norm"], name + "attention") @ block["qkv"]["kernel"]
        y = y.reshape(batch, count, 3, config.num_heads, -1).transpose(2, 0, 3, 1, 4)
        q, k, v = seen(name + "q", rotate(y[0])), seen(name + "k", rotate(y[1])), y[2]
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(config.head_width) + hidden
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = weights / weights.sum(-1, keepdims=True) @ seen(name + "v", v)
        mixed = seen(name + "mixed", mixed.transpose(0, 2, 1, 3).reshape(batch, count, -1))
        x = seen("stream", x + mixed @ block["out"]["kernel"])
        y = normalize(x, block["mlp_norm"], name + "mlp") @ block["up"]["kernel"]
        y = np.asarray(ACTIVATIONS[config.activation](jnp.asarray(seen(name + "up", y))))
        x = seen("stream", x + seen(name + "down", y.astype(np.float64)) @ block["down"]["kernel"])
    normalize(x, params["norm"], "norm")
    return found
