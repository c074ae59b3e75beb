"""Sampling from the whole data set with a class distribution of each agent's own.

No agent owns fixed samples here (samples overlap by design); agents differ in ``p[i]``, their fixed
distribution over classes. The distributions are ordinary arrays, so that their skew can be swept
under ``vmap``.

Shapes: ``N`` agents, ``S`` samples, ``C`` classes, ``B`` samples a batch.

References:
    A single merging suffices, arXiv 2507.06542, 2025 (“resample” data mode).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.data.batches import Batch, Sampler, below
from jaxswarm.data.dataset import Dataset, check_dataset
from jaxswarm.types import ArrayLike


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassShards:
    """A data set sorted by class, with every agent's distribution over classes.

    Attributes:
        features: ``float32[S, ...]``, sorted by class.
        starts: ``int32[C]``, first row of each class.
        counts: ``int32[C]``, samples of each class.
        cumulative: ``float32[N, C]``, running sums of each agent's class probabilities.
    """

    features: Any
    starts: Any
    counts: Any
    cumulative: Any

    @property
    def num_agents(self) -> int:
        """Number of agents ``N``."""
        return self.cumulative.shape[0]


def class_distributions(
    key: jax.Array, num_agents: int, num_classes: int, alpha: float | jax.Array
) -> jax.Array:
    """Independent Dirichlet(α) class distributions, ``float32[N, C]``; ``alpha > 0`` may be traced.

    Raises:
        ValueError: if a concrete ``alpha`` is not above 0, or sizes are below 1.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    num_classes = checks.whole("num_classes", num_classes, 1)
    checks.key(key)
    checks.real("alpha", alpha, above=0.0)
    concentration = jnp.full(num_classes, alpha, jnp.float32)
    keys = agents.keys(key, num_agents)
    return jax.vmap(lambda k: jax.random.dirichlet(k, concentration))(keys)


def class_shards(dataset: Dataset, probabilities: ArrayLike) -> ClassShards:
    """Sort a data set by class for :func:`class_batches`.

    Args:
        dataset: its features and labels must be concrete arrays.
        probabilities: ``float[N, C]``, rows sum to one; checked unless traced.

    Raises:
        ValueError: for another shape, rows that are negative or do not sum to one, or weight on a
            class without samples.
    """
    check_dataset(dataset)
    labels = np.asarray(dataset.labels)
    classes = dataset.num_classes
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=classes)
    if not checks.is_traced(probabilities):
        checks.as_array("probabilities", probabilities, f"distributions [N, {classes}]")
    if jnp.ndim(probabilities) != 2 or jnp.shape(probabilities)[1] != classes:
        raise ValueError(
            f"probabilities: expected [N, {classes}] for {dataset.name}, got shape"
            f" {jnp.shape(probabilities)}"
        )
    if not checks.is_traced(probabilities):
        p = np.asarray(probabilities, np.float64)
        bad = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) < 1e-3))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"probabilities: expected distributions, got {p[row]} in row {row}")
        absent = (p[:, counts == 0] > 0).any(axis=1)
        if absent.any():
            raise ValueError(
                f"probabilities: expected weight 0 on classes without samples in {dataset.name}, "
                f"got more in row {int(np.argmax(absent))}"
            )
    return ClassShards(
        features=jnp.asarray(np.asarray(dataset.features)[order]),
        starts=jnp.asarray(np.cumsum(counts) - counts, jnp.int32),
        counts=jnp.asarray(counts, jnp.int32),
        cumulative=jnp.cumsum(jnp.asarray(probabilities, jnp.float32), axis=1),
    )


def class_batches(batch_size: int) -> Sampler:
    """Sampler that draws a class from the agent's distribution, then a uniform sample of the class.

    Args:
        batch_size: ``B >= 1``.

    Returns:
        ``sample(key, class_shards, *, offset=0) -> Batch`` with leaves ``[N, B, ...]``.

    Raises:
        ValueError: if ``batch_size < 1``.
    """
    batch_size = checks.whole("batch_size", batch_size, 1)

    def sample(key: jax.Array, shards: ClassShards, *, offset: int | jax.Array = 0) -> Batch:
        checks.instance("shards", shards, ClassShards, "data.class_shards(dataset, p)")
        keys = agents.keys(key, shards.num_agents, offset=offset)
        bits = jax.vmap(lambda k: jax.random.bits(k, (2, batch_size)))(keys)
        uniform = (bits[:, 0] >> 8).astype(jnp.float32) * 2.0**-24
        # Scaling by the last sum keeps the draw below it despite the rounding of the running sums.
        level = uniform[:, :, None] * shards.cumulative[:, None, -1:]
        y = jnp.sum(level >= shards.cumulative[:, None, :], axis=-1).astype(jnp.int32)
        # The product may round up to the last sum: then take the last class of positive weight.
        last = jnp.sum(shards.cumulative < shards.cumulative[:, -1:], axis=-1)
        y = jnp.minimum(y, last[:, None].astype(jnp.int32))
        rows = shards.starts[y] + below(bits[:, 1], shards.counts[y])
        x = shards.features.at[rows].get(mode="promise_in_bounds")
        return Batch(x, y, jnp.ones(y.shape, jnp.float32))

    return sample
