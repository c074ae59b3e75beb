"""Sizes and choices of a causal transformer, and named sizes from 27 thousand to 50 million."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.networks import ACTIVATIONS

DTYPES = ("float32", "bfloat16", "float16")
"""Names of the types in which a network can compute; parameters are always float32."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of a causal transformer; hashable, so that it can be a static argument of ``jit``.

    Attributes:
        vocab_size: ``V >= 2``, number of tokens.
        width: ``D``, a multiple of twice the number of heads (rotary embeddings turn pairs).
        num_layers: blocks of attention and a multi-layer perceptron.
        num_heads: attention heads; few are fast on a CPU.
        hidden: width inside the multi-layer perceptron, ``4 D`` if ``None``.
        activation: name in ``models.ACTIVATIONS``.
        value_head: add a scalar output per position, for a critic.
        rope_base: base of the rotary frequencies, > 1.
        dtype: name of the type of the computation, one of ``DTYPES``. Parameters, normalization,
            softmax and outputs are float32.

    Raises:
        ValueError: for sizes that are not whole and positive or do not fit, or unknown names.
    """

    vocab_size: int
    width: int = 32
    num_layers: int = 2
    num_heads: int = 2
    hidden: int | None = None
    activation: str = "relu"
    value_head: bool = False
    rope_base: float = 10_000.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        checks.whole("vocab_size", self.vocab_size, 2)
        checks.whole("width", self.width, 1)
        checks.whole("num_layers", self.num_layers, 1)
        checks.whole("num_heads", self.num_heads, 1)
        if self.width % (2 * self.num_heads):
            raise ValueError(
                f"width: expected a multiple of twice the number of heads "
                f"({2 * self.num_heads}), got {self.width}"
            )
        if self.hidden is not None:
            checks.whole("hidden", self.hidden, 1)
        checks.choice("activation", self.activation, ACTIVATIONS)
        checks.flag("value_head", self.value_head)
        checks.real("rope_base", self.rope_base, above=1.0)
        checks.choice("dtype", self.dtype, DTYPES)

    @property
    def hidden_width(self) -> int:
        """Width inside the multi-layer perceptron."""
        return 4 * self.width if self.hidden is None else self.hidden

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.num_heads

    @property
    def compute_dtype(self) -> Any:
        """The type of the computation."""
        return jnp.dtype(self.dtype)

    @property
    def num_params(self) -> int:
        """Number of parameters."""
        d, h = self.width, self.hidden_width
        blocks = self.num_layers * (4 * d * d + 2 * d * h + 2 * d)
        return self.vocab_size * d + blocks + d + (d if self.value_head else 0)


SIZES: dict[str, dict[str, int]] = {
    "27k": {"width": 32, "num_layers": 2, "num_heads": 2},
    "100k": {"width": 64, "num_layers": 2, "num_heads": 4},
    "1m": {"width": 128, "num_layers": 5, "num_heads": 4},
    "10m": {"width": 384, "num_layers": 6, "num_heads": 6},
    "50m": {"width": 512, "num_layers": 16, "num_heads": 8},
}
"""Sizes by their approximate number of parameters, embeddings of a small vocabulary included."""


def sized(size: str, vocab_size: int, **changes: Any) -> Config:
    """Configure a transformer of a named size.

    Args:
        size: a name in ``SIZES``.
        vocab_size: ``V >= 2``.
        **changes: other fields of :class:`Config`, which take precedence over the size's.

    Raises:
        ValueError: for an unknown size or field, or as :class:`Config`.

    Example:
        >>> sized("27k", 50).num_params
        26336
        >>> sized("50m", 256).num_layers
        16
    """
    checks.choice("size", size, SIZES)
    known = {field.name for field in dataclasses.fields(Config)} - {"vocab_size"}
    for name in changes:
        checks.choice("field", name, known)
    return Config(vocab_size, **{**SIZES[size], **changes})


def attention_scale(config: Config) -> float:
    """Factor of attention scores, one over the root of the width of a head."""
    return 1.0 / math.sqrt(config.head_width)
