"""Choices by which a server generates the same tokens sooner, and named combinations of them."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from jaxswarm import checks

WEIGHTS = ("float32", "bfloat16", "int8")
"""Types in which a server keeps weights; ``int8`` with one scale for each output of a matrix."""

CHUNK = 16
"""Tokens of a prompt that are processed at once by chunked prefill, by default."""


@dataclasses.dataclass(frozen=True)
class Acceleration:
    """How a server generates; hashable, so that it can be a static argument of ``jit``.

    Attributes:
        cache: keep keys and values of earlier tokens (KV cache). Without it all tokens are
            processed anew for each new one, and no other choice but ``weights`` is possible.
        prefix: process what all prompts begin with once and copy its keys and values.
        chunk: process prompts in chunks of so many tokens; at once if ``None``.
        continuous: give the slot of a finished request to the next one at once (in-flight
            batching); otherwise requests are served in batches that last as long as their longest.
        weights: a name in ``WEIGHTS``; with ``bfloat16`` the network computes in it as well.

    Raises:
        ValueError: for a chunk below 1, an unknown type, or choices that need the cache without it.
    """

    cache: bool = True
    prefix: bool = False
    chunk: int | None = None
    continuous: bool = False
    weights: str = "float32"

    def __post_init__(self) -> None:
        checks.flag("cache", self.cache)
        checks.flag("prefix", self.prefix)
        checks.flag("continuous", self.continuous)
        checks.choice("weights", self.weights, WEIGHTS)
        if self.chunk is not None:
            checks.whole("chunk", self.chunk, 1)
        if not self.cache and (self.prefix or self.continuous or self.chunk is not None):
            raise ValueError(
                "cache: expected True with prefix, chunk or continuous, which keep keys and "
                "values, got False"
            )


ACCELERATIONS: Mapping[str, Acceleration] = MappingProxyType(
    {
        "no cache": Acceleration(cache=False),
        "KV cache": Acceleration(),
        "prefix reuse": Acceleration(prefix=True),
        "chunked prefill": Acceleration(chunk=CHUNK),
        "continuous batching": Acceleration(continuous=True),
        "bfloat16": Acceleration(weights="bfloat16"),
        "int8 weights": Acceleration(weights="int8"),
        "prefix + continuous": Acceleration(prefix=True, continuous=True),
        "all on": Acceleration(prefix=True, chunk=CHUNK, continuous=True, weights="int8"),
    }
)
"""Single choices and combinations by name; all but the first keep a KV cache."""
