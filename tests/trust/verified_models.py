"""Small quantized models of tests of verified inference."""

import functools
import itertools

import jax
import numpy as np

from jaxswarm.models import transformer
from jaxswarm.trust import verify

CONFIG = transformer.Config(vocab_size=7, width=8, num_layers=2, hidden=12, activation="gelu")


def layers(seed: int = 0, widths: tuple[int, ...] = (6, 5, 4)) -> list:
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=(d, n)), rng.normal(size=n) / 4) for d, n in itertools.pairwise(widths)
    ]


def inputs(count: int = 3, seed: int = 0, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, width))


@functools.cache
def perceptron(seed: int = 0) -> verify.QuantizedModel:
    return verify.quantize(layers(seed), np.concatenate([inputs(50), np.ones((1, 6))]))


@functools.cache
def language_model() -> tuple[verify.QuantizedModel, dict]:
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(transformer.from_config(CONFIG).init, jax.random.key(0))
    params = jax.tree.map(  # scales of normalizations around 1, other parameters around 0
        lambda leaf: rng.normal(leaf.ndim == 1, 0.1 if leaf.ndim == 1 else 0.3, leaf.shape), shapes
    )
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    tokens = np.random.default_rng(0).integers(0, 7, (200, 5))
    return verify.quantized_transformer(CONFIG, params, tokens), params
