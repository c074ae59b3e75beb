"""Per-agent batches drawn inside ``jit``: shards of a data set and the samplers that read them.

A sampler is a pure function ``sample(key, shards) -> Batch``. Agent ``i`` draws from
``fold_in(key, i)``, so its batches do not depend on how many agents there are or where they live.

Shapes: ``N`` agents, ``S`` samples, ``M`` sample slots of the largest agent, ``B`` samples a batch.

References:
    Lemire, Fast random integer generation in an interval, 2019 (multiply-shift instead of a remainder).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.data.datasets import Dataset
from jaxswarm.data.partition import Partition


class Batch(NamedTuple):
    """What one agent trains on; a sampler returns all agents' with a leading ``N``.

    Attributes:
        x: ``float32[B, ...]``, features.
        y: ``int32[B]``, labels.
        weight: ``float32[B]``, 1 for a real sample, 0 for padding (all of them for an agent without data).
            A loss is the weighted mean ``Σ w l / max(Σ w, 1)``: finite, and zero where nothing is held.
    """

    x: Any
    y: Any
    weight: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shards:
    """The agents' private data as arrays, to be passed to a jitted step as an argument.

    Attributes:
        features: ``float32[S, ...]``, the whole data set once, read through ``indices``.
        labels: ``int32[S]``.
        indices: ``int32[N, M]``, rows of each agent.
        mask: ``bool[N, M]``, false on padding slots.
        counts: ``int32[N]``, samples of each agent.
    """

    features: Any
    labels: Any
    indices: Any
    mask: Any
    counts: Any

    @property
    def num_agents(self) -> int:
        """``N``."""
        return self.indices.shape[0]


Sampler = Callable[..., Batch]


def shards(dataset: Dataset, partition: Partition) -> Shards:
    """Join a data set and who holds what of it, as device arrays.

    Raises:
        ValueError: if the partition names rows that the data set does not have.
    """
    largest = int(np.asarray(partition.indices).max())
    if largest >= dataset.num_samples:
        raise ValueError(
            f"partition: names row {largest} but {dataset.name} has {dataset.num_samples} samples"
        )
    return Shards(
        features=jnp.asarray(dataset.features),
        labels=jnp.asarray(dataset.labels),
        indices=jnp.asarray(partition.indices),
        mask=jnp.asarray(partition.mask),
        counts=jnp.asarray(partition.counts),
    )


def minibatches(batch_size: int, *, replace: bool = True) -> Sampler:
    """A sampler of ``B`` of each agent's own samples, uniformly at random.

    Args:
        batch_size: ``B >= 1``.
        replace: draw with replacement (one random word per sample, nothing else). Without, the ``B``
            samples are distinct; an agent with fewer than ``B`` gets all it has, in random order, and
            weight 0 in the remaining slots.

    Returns:
        ``sample(key, shards, *, offset=0) -> Batch`` with leaves ``[N, B, ...]``; ``offset`` is the global
        id of the first agent.

    Raises:
        ValueError: if ``batch_size < 1``.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")

    def one_with(key: jax.Array, rows: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array]:
        slot = below(jax.random.bits(key, (batch_size,)), count)
        return rows[slot], jnp.full(batch_size, count > 0)

    def one_without(
        key: jax.Array, rows: jax.Array, count: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        order = random_order(key, rows.shape[0], count)
        order = jnp.resize(order, batch_size)
        return rows[order], jnp.arange(batch_size) < count

    one = one_with if replace else one_without

    def sample(key: jax.Array, shards: Shards, *, offset: int | jax.Array = 0) -> Batch:
        keys = agents.keys(key, shards.num_agents, offset=offset)
        rows, real = jax.vmap(one)(keys, shards.indices, shards.counts)
        return gather(shards, rows, real)

    return sample


def full_batches() -> Sampler:
    """A sampler that returns all local data, padded: leaves ``[N, M, ...]``; its key is not used."""

    def sample(key: jax.Array, shards: Shards, *, offset: int | jax.Array = 0) -> Batch:
        del key, offset
        return gather(shards, shards.indices, shards.mask)

    return sample


def gather(shards: Shards, rows: jax.Array, real: jax.Array) -> Batch:
    """The batch of data-set rows ``rows: int32[N, B]``, weighted by ``real: bool[N, B]``."""
    x = shards.features.at[rows].get(mode="promise_in_bounds")
    y = shards.labels.at[rows].get(mode="promise_in_bounds")
    return Batch(x, y, real.astype(jnp.float32))


def below(bits: jax.Array, count: jax.Array) -> jax.Array:
    """Uniform integers in ``[0, count)`` from random words ``uint32``, as ``int32``; 0 if ``count`` is 0.

    The high half of the 64-bit product ``bits * count``, in 32-bit arithmetic. No value is favoured by
    more than ``count / 2**32``.
    """
    count = count.astype(jnp.uint32)
    high, low = bits >> 16, bits & 0xFFFF
    count_high, count_low = count >> 16, count & 0xFFFF
    middle = high * count_low + ((low * count_low) >> 16)
    carry = low * count_high + (middle & 0xFFFF)
    return (high * count_high + (middle >> 16) + (carry >> 16)).astype(jnp.int32)


def random_order(key: jax.Array, capacity: int, count: jax.Array) -> jax.Array:
    """A random permutation of ``0..count-1``, followed by the padding slots: ``int32[capacity]``."""
    slots = jnp.arange(capacity)
    noise = jax.random.bits(key, (capacity,)) >> 1
    return jnp.argsort(jnp.where(slots < count, noise, jnp.uint32(0xFFFFFFFF)))
