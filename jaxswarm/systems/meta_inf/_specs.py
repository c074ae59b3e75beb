"""Spec sheets and descriptions of devices, models and workloads, known before anything runs."""

import dataclasses
import functools
import math

import numpy as np
import scipy.stats

from jaxswarm import checks
from jaxswarm.models.transformer import Config


@dataclasses.dataclass(frozen=True)
class Device:
    """Spec sheet of a device.

    Attributes:
        name: unique among the devices of a table.
        flops: peak of float32 arithmetic, in operations per second.
        bandwidth: of its memory, in bytes per second.
        memory: in bytes.
        half_rate: peak of bfloat16 as a multiple of ``flops``.
        int8_rate: peak with 8-bit weights as a multiple of ``flops``; below 1 where they are
            converted first.
        price: in currency units per second.
        description: text.

    Raises:
        ValueError: for numbers that are not above 0, or names that are no text.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    half_rate: float = 1.0
    int8_rate: float = 1.0
    price: float = 1.0
    description: str = ""

    def __post_init__(self) -> None:
        _texts(self)
        for field in ("flops", "bandwidth", "memory", "half_rate", "int8_rate", "price"):
            checks.real(field, getattr(self, field), above=0.0)


@dataclasses.dataclass(frozen=True)
class Model:
    """Sizes of a transformer.

    Attributes:
        name: unique among the models of a table.
        layers: number of blocks.
        width: of the residual stream.
        hidden: width inside the multi-layer perceptrons.
        heads: attention heads.
        vocab_size: tokens of the vocabulary.
        description: text.

    Raises:
        ValueError: for sizes below 1, or names that are no text.
    """

    name: str
    layers: int
    width: int
    hidden: int
    heads: int
    vocab_size: int
    description: str = ""

    def __post_init__(self) -> None:
        _texts(self)
        for field in ("layers", "width", "hidden", "heads", "vocab_size"):
            checks.whole(field, getattr(self, field), 1, 2**31 - 1)

    @property
    def num_params(self) -> float:
        """Weights of all matrices."""
        block = 4 * self.width**2 + 2 * self.width * self.hidden
        return float(self.layers * block + self.vocab_size * self.width)


def model_of(config: Config, name: str, description: str = "") -> Model:
    """Sizes of a transformer of this package.

    Raises:
        ValueError: for what is no ``transformer.Config``.
    """
    checks.instance("config", config, Config, "transformer.Config(vocab_size=50)")
    return Model(
        name, config.num_layers, config.width, config.hidden_width, config.num_heads,
        config.vocab_size, description,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Workload:
    """Requests that are served together.

    Lengths of replies are quantiles of a lognormal distribution in a fixed shuffled order, and so
    are the gaps between arrivals of an exponential one: a workload is the same on every device.

    Attributes:
        name: unique among the workloads of a table.
        requests: ``R >= 1``, their number.
        batch: slots of the server.
        prompt: tokens of each prompt.
        output: mean tokens of a reply.
        spread: standard deviation of the replies' lengths as a fraction of their mean.
        prefix_share: share in ``[0, 1)`` of the prompt that all prompts have in common.
        rate: arrivals per second; 0 if all requests are there at the start. With arrivals the time
            that counts is the mean latency of a request, without them that of the whole run.
        description: text.

    Raises:
        ValueError: for numbers out of range, or names that are no text.
    """

    name: str
    requests: int
    batch: int
    prompt: int
    output: int
    spread: float = 0.0
    prefix_share: float = 0.0
    rate: float = 0.0
    description: str = ""

    def __post_init__(self) -> None:
        _texts(self)
        for field in ("requests", "batch", "prompt", "output"):
            checks.whole(field, getattr(self, field), 1, 2**31 - 1)
        checks.real("spread", self.spread, 0.0)
        checks.real("prefix_share", self.prefix_share, 0.0, below=1.0)
        checks.real("rate", self.rate, 0.0)

    @property
    def prefix(self) -> int:
        """Tokens that all prompts begin with."""
        return int(self.prefix_share * self.prompt)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each reply, ``int32[R]``."""
        return np.asarray(_lengths(self.requests, self.output, self.spread), np.int32)

    @property
    def arrivals(self) -> np.ndarray:
        """Times at which requests arrive, ``float64[R]`` in seconds."""
        if self.rate == 0:
            return np.zeros(self.requests)
        return np.cumsum(_order(-np.log1p(-_quantiles(self.requests)), 1)) / self.rate


@functools.lru_cache(maxsize=4096)
def _lengths(requests: int, output: int, spread: float) -> tuple[int, ...]:
    sigma = math.sqrt(math.log1p(spread**2))
    normal = scipy.stats.norm.ppf(_quantiles(requests))
    values = output * np.exp(sigma * normal - sigma**2 / 2)
    return tuple(np.maximum(np.rint(_order(values, 0)), 1).astype(int).tolist())


def _quantiles(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count


def _order(values: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(values)


def _texts(spec: "Device | Model | Workload") -> None:
    for field in ("name", "description"):
        value = getattr(spec, field)
        if not isinstance(value, str) or (field == "name" and not value):
            raise ValueError(f"{field}: expected a text, got {checks.shown(value)}")
