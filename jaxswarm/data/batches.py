"""Per-agent batches drawn inside ``jit``: shards of a data set and samplers that read them.

A sampler is a pure function ``sample(key, shards) -> Batch``. Agent ``i`` draws from
``fold_in(key, i)``, so its batches do not depend on how many agents there are or where they live.

Shapes: ``N`` agents, ``S`` samples, ``M`` sample slots of the largest agent, batch size ``B``.

References:
    Lemire, Fast random integer generation in an interval, 2019 (multiply-shift instead of a
    remainder).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.data.dataset import Dataset, check_dataset
from jaxswarm.data.partition import Partition, check_partition
from jaxswarm.types import ArrayLike


class Batch(NamedTuple):
    """One agent's training batch; a sampler returns all agents' batches with a leading ``N``.

    Attributes:
        x: ``float32[B, ...]``, features; of another dtype if the data set's are.
        y: ``int32[B]``, labels, or targets ``[B, ...]``.
        weight: ``float32[B]``, 1 for a real sample, 0 for padding (all of it for an agent without
            data). A loss is the weighted mean ``Σ w l / Σ w``, and 0 where all weights are 0, as
            ``models.weighted_mean`` computes it.
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
        labels: ``int32[S]``, or targets ``[S, ...]``.
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
        """Number of agents ``N``."""
        return self.indices.shape[0]


Sampler = Callable[..., Batch]
"""``sample(key, shards, *, offset=0) -> Batch`` with leaves ``[N, B, ...]``."""


def shards(dataset: Dataset, partition: Partition) -> Shards:
    """Combine a data set and a partition into device arrays for samplers.

    Without feature skew the data set is stored once for all agents. With it every agent's samples
    are stored with that agent's distortion.

    Raises:
        ValueError: if an argument is of another kind, or the partition contains rows that the data
            set does not have.

    Example:
        >>> from jaxswarm import data
        >>> train, test = data.load("iris")
        >>> parts = data.shards(train, data.iid(train.labels, 4))
        >>> parts.num_agents, parts.counts.tolist()
        (4, [30, 30, 30, 30])
    """
    check_dataset(dataset)
    check_partition(partition)
    largest = int(np.asarray(partition.indices).max())
    if largest >= dataset.num_samples:
        raise ValueError(
            f"partition: expected rows below {dataset.num_samples}, the samples of {dataset.name}, "
            f"got row {largest}"
        )
    features, labels, indices = dataset.features, dataset.labels, partition.indices
    if partition.skew is not None:
        rows = [partition.rows(i) for i in range(partition.num_agents)]
        skewed = [partition.skew.transform(dataset.features[r], i) for i, r in enumerate(rows)]
        features, labels = np.concatenate(skewed), dataset.labels[np.concatenate(rows)]
        counts = np.asarray(partition.counts)
        starts = np.cumsum(counts) - counts
        indices = np.minimum(starts, len(labels) - 1)[:, None].repeat(partition.capacity, axis=1)
        indices = indices + np.where(partition.mask, np.arange(partition.capacity), 0)
    return Shards(
        features=jnp.asarray(features),
        labels=jnp.asarray(labels),
        indices=jnp.asarray(indices, jnp.int32),
        mask=jnp.asarray(partition.mask),
        counts=jnp.asarray(partition.counts),
    )


def stacked(features: ArrayLike, labels: ArrayLike) -> Shards:
    """Build shards from data with an agents axis, ``[N, M, ...]`` each, of any dtype.

    Args:
        features: ``[N, M, ...]``.
        labels: classes ``[N, M]``, or targets ``[N, M, ...]``.

    Raises:
        ValueError: if the two leading axes differ or one is empty, or something is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import data
        >>> data.stacked(jnp.zeros((4, 10, 3)), jnp.zeros((4, 10))).counts.tolist()
        [10, 10, 10, 10]
    """
    for name, value in (("features", features), ("labels", labels)):
        if not checks.is_traced(value) and not isinstance(value, jax.Array):
            checks.as_array(name, value, "an array [N, M, ...]")
    shape = jnp.shape(labels)[:2]
    if len(shape) != 2 or jnp.shape(features)[:2] != shape or 0 in shape:
        raise ValueError(
            "features, labels: expected shapes [N, M, ...] and [N, M, ...],"
            f" got {jnp.shape(features)} and {jnp.shape(labels)}"
        )
    n, m = shape
    return Shards(
        features=jnp.asarray(features).reshape(n * m, *jnp.shape(features)[2:]),
        labels=jnp.asarray(labels).reshape(n * m, *jnp.shape(labels)[2:]),
        indices=jnp.arange(n * m, dtype=jnp.int32).reshape(n, m),
        mask=jnp.ones((n, m), bool),
        counts=jnp.full(n, m, jnp.int32),
    )


def minibatches(batch_size: int, *, replace: bool = True) -> Sampler:
    """Sampler of uniformly random minibatches of ``B`` of each agent's own samples.

    Args:
        batch_size: ``B >= 1``.
        replace: draw with replacement (one random word per sample). Without replacement the ``B``
            samples are distinct; an agent with fewer than ``B`` gets all its samples, in random
            order, and weight 0 in the remaining slots.

    Returns:
        ``sample(key, shards, *, offset=0) -> Batch`` with leaves ``[N, B, ...]``; ``offset`` is the
        global id of the first agent.

    Raises:
        ValueError: if ``batch_size < 1``.

    Example:
        >>> import jax
        >>> from jaxswarm import data
        >>> train, test = data.load("iris")
        >>> parts = data.shards(train, data.iid(train.labels, 4))
        >>> batch = data.minibatches(8)(jax.random.key(0), parts)
        >>> batch.x.shape, batch.y.shape
        ((4, 8, 4), (4, 8))
    """
    batch_size = checks.whole("batch_size", batch_size, 1)
    replace = checks.flag("replace", replace)

    def with_replacement(key: jax.Array, capacity: int, count: jax.Array) -> jax.Array:
        del capacity
        return below(jax.random.bits(key, (batch_size,)), count)

    def without(key: jax.Array, capacity: int, count: jax.Array) -> jax.Array:
        return _fit(random_order(key, capacity, count), batch_size)

    def sample(key: jax.Array, shards: Shards, *, offset: int | jax.Array = 0) -> Batch:
        _expect_shards(shards)
        keys = agents.keys(key, shards.num_agents, offset=offset)
        draw = with_replacement if replace else without
        capacity = shards.indices.shape[1]
        slots = jax.vmap(lambda k, c: draw(k, capacity, c))(keys, shards.counts)
        held = shards.counts[:, None]
        filled = jnp.minimum(held, 1) * batch_size if replace else held
        return gather(shards, slots, jnp.arange(batch_size)[None, :] < filled)

    return sample


def epoch_batches(batch_size: int) -> Sampler:
    """Sampler that passes through each agent's data in a new random order every epoch.

    Agents with more data have longer epochs: agent ``i`` starts its next one after ``⌈count_i /
    B⌉`` steps, and the last batch of an epoch may be partly filled (weight 0). Every sample appears
    once in an epoch.

    Args:
        batch_size: ``B >= 1``.

    Returns:
        ``sample(key, shards, step, *, offset=0) -> Batch`` with leaves ``[N, B, ...]``. The key is
        the *same* for the whole run; the step, which may be traced, counts batches from 0.

    Raises:
        ValueError: if ``batch_size < 1``.
    """
    batch_size = checks.whole("batch_size", batch_size, 1)

    def sample(
        key: jax.Array, shards: Shards, step: int | jax.Array, *, offset: int | jax.Array = 0
    ) -> Batch:
        _expect_shards(shards)
        if not checks.is_traced(step):
            checks.whole("step", step)
        keys = agents.keys(key, shards.num_agents, offset=offset)
        capacity = shards.indices.shape[1]

        def slots_of(key: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array]:
            length = jnp.maximum(-(-count // batch_size), 1)
            epoch_key = jax.random.fold_in(key, step // length)
            place = (step % length) * batch_size + jnp.arange(batch_size)
            order = random_order(epoch_key, capacity, count)
            return order[jnp.minimum(place, capacity - 1)], place < count

        slots, real = jax.vmap(slots_of)(keys, shards.counts)
        return gather(shards, slots, real)

    return sample


def full_batches() -> Sampler:
    """Sampler of full batches: all local data, padded, leaves ``[N, M, ...]``; needs no key."""

    def sample(key: jax.Array, shards: Shards, *, offset: int | jax.Array = 0) -> Batch:
        del key, offset
        _expect_shards(shards)
        return _read(shards, shards.indices, shards.mask)

    return sample


def gather(shards: Shards, slots: jax.Array, real: jax.Array) -> Batch:
    """Gather all agents' batches at ``slots: int32[N, B]`` in ``[0, M)``, weighted by ``real``."""
    rows = jnp.take_along_axis(shards.indices, slots, axis=1, mode="promise_in_bounds")
    return _read(shards, rows, real)


def below(bits: jax.Array, count: jax.Array) -> jax.Array:
    """Uniform ``int32`` in ``[0, count)`` from random ``uint32`` words; 0 if ``count`` is 0.

    The high half of the 64-bit product ``bits * count``, in 32-bit arithmetic. The bias of any
    value is at most ``count / 2**32``.
    """
    count = count.astype(jnp.uint32)
    high, low = bits >> 16, bits & 0xFFFF
    count_high, count_low = count >> 16, count & 0xFFFF
    middle = high * count_low + ((low * count_low) >> 16)
    carry = low * count_high + (middle & 0xFFFF)
    return (high * count_high + (middle >> 16) + (carry >> 16)).astype(jnp.int32)


def random_order(key: jax.Array, capacity: int, count: jax.Array) -> jax.Array:
    """A random permutation of ``0..count-1`` and then the padding slots, ``int32[capacity]``.

    Sorts random words, so ties (chance below ``capacity² / 2**32``) favour the lower slot.
    """
    slots = jnp.arange(capacity)
    noise = jax.random.bits(key, (capacity,)) >> 1
    return jnp.argsort(jnp.where(slots < count, noise, jnp.uint32(0xFFFFFFFF)))


def _expect_shards(shards: Shards) -> None:
    checks.instance("shards", shards, Shards, "data.shards(dataset, partition)")


def _read(shards: Shards, rows: jax.Array, real: jax.Array) -> Batch:
    x = shards.features.at[rows].get(mode="promise_in_bounds")
    y = shards.labels.at[rows].get(mode="promise_in_bounds")
    return Batch(x, y, real.astype(jnp.float32))


def _fit(order: jax.Array, size: int) -> jax.Array:
    """The first ``size`` entries, the last one repeated if there are fewer."""
    return order[jnp.minimum(jnp.arange(size), order.shape[0] - 1)]
