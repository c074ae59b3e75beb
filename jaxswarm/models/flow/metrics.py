"""Distances between samples and data: energy distance, Fréchet distance, precision and recall.

Shapes: ``n``, ``m`` samples, ``...`` the shape of one sample (flattened), ``M`` modes.

References:
    Székely, Rizzo, Energy statistics: a class of statistics based on distances, 2013.
    Heusel et al., GANs trained by a two time-scale update rule, 2017 (Fréchet distance).
    Kynkäänniemi et al., Improved precision and recall metric for assessing generative models, 2019.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

_CHUNK = 2**22


class PrecisionRecall(NamedTuple):
    """Shares of samples on the data's support, and of data on the samples' support.

    Attributes:
        precision: share of samples within a neighbourhood of some data point, in ``[0, 1]``.
        recall: share of data points within a neighbourhood of some sample, in ``[0, 1]``.
    """

    precision: jax.Array
    recall: jax.Array


def energy_distance(x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Energy distance ``2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖`` of two samples, a scalar ``>= 0``.

    All pairs count, also each sample with itself, so that equal samples have distance 0; between
    independent samples of one distribution it is about ``(1/n + 1/m) E‖x − x'‖``. NaN if a sample
    contains NaN.

    Args:
        x: ``[n, ...]``.
        y: ``[m, ...]``.

    Raises:
        ValueError: for empty samples or samples of different shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> float(energy_distance(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]])))
        10.0
    """
    x, y = _two_samples(x, y)
    across, within_x, within_y = (_mean_distance(a, b) for a, b in ((x, y), (x, x), (y, y)))
    return jnp.maximum(2 * across - within_x - within_y, 0.0)


def precision_recall(x: ArrayLike, y: ArrayLike, *, k: int = 3) -> PrecisionRecall:
    """Precision and recall of samples by balls that reach the ``k``-th nearest neighbour.

    Args:
        x: ``[n, ...]``, the generated samples, ``n > k``.
        y: ``[m, ...]``, the data, ``m > k``.
        k: ``>= 1``; the paper takes 3.

    Raises:
        ValueError: for ``k`` below 1 or not below the number of samples, or different shapes.
    """
    x, y = _two_samples(x, y)
    k = checks.whole("k", k, 1, min(len(x), len(y)) - 1)
    return PrecisionRecall(_share_within(x, y, k), _share_within(y, x, k))


def mode_counts(samples: ArrayLike, modes: ArrayLike, radius: ArrayLike) -> jax.Array:
    """Count the samples that lie within a radius of each mode, ``int32[M]``.

    A sample counts for its nearest mode only. ``sum / n`` is the share of samples near any mode.

    Args:
        samples: ``[n, ...]``.
        modes: ``[M, ...]``, centres.
        radius: ``>= 0``.

    Raises:
        ValueError: for different shapes or a negative radius.

    Example:
        >>> import jax.numpy as jnp
        >>> samples, modes = jnp.array([[0.1], [0.2], [5.0]]), jnp.array([[0.0], [1.0]])
        >>> mode_counts(samples, modes, 0.5).tolist()
        [2, 0]
    """
    samples, modes = _two_samples(samples, modes, "samples", "modes")
    checks.real("radius", radius, 0.0)

    def nearest(sample: jax.Array) -> tuple[jax.Array, jax.Array]:
        distances = _distances(sample, modes)
        return jnp.argmin(distances), jnp.min(distances) <= radius

    mode, near = _over_rows(nearest, samples, modes)
    return jnp.zeros(len(modes), jnp.int32).at[mode].add(near.astype(jnp.int32))


def frechet_distance(features_x: ArrayLike, features_y: ArrayLike) -> float:
    """Fréchet distance of the Gaussians fitted to two samples of features, in float64 on the host.

    ``‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2 (Σ_x Σ_y)^½)``; NaN if a feature is not finite.

    Args:
        features_x: ``[n, F]``, ``n >= 2``.
        features_y: ``[m, F]``, ``m >= 2``.

    Raises:
        ValueError: for other shapes, too few samples, or traced arrays.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [2.0]])
        >>> frechet_distance(x, x + 3.0)
        9.0
    """
    checks.concrete("features_x, features_y", (features_x, features_y))
    x, y = _two_samples(features_x, features_y, "features_x", "features_y")
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"features_x, features_y: expected at least 2 samples each, got {len(x)} and {len(y)}"
        )
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    covariance_x, covariance_y = (np.atleast_2d(np.cov(v, rowvar=False)) for v in (x, y))
    root = _root(covariance_x)
    # The eigenvalues of Σ_x Σ_y are those of the symmetric Σ_x^½ Σ_y Σ_x^½.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariance_y @ root), 0.0, None)).sum()
    spread = np.trace(covariance_x) + np.trace(covariance_y) - 2.0 * cross
    return float(max(np.square(x.mean(0) - y.mean(0)).sum() + spread, 0.0))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def _two_samples(
    x: ArrayLike, y: ArrayLike, name_x: str = "x", name_y: str = "y"
) -> tuple[jax.Array, jax.Array]:
    """Two samples as ``float32[n, D]`` and ``float32[m, D]`` (float64 under x64)."""
    x, y = checks.numbers(name_x, x), checks.numbers(name_y, y)
    if x.ndim < 1 or y.ndim < 1 or 0 in (x.size, y.size) or x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"{name_x}, {name_y}: expected samples [n, ...] and [m, ...] of one shape, got "
            f"{x.shape} and {y.shape}"
        )
    dtype = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
    return x.reshape(len(x), -1).astype(dtype), y.reshape(len(y), -1).astype(dtype)


def _distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Euclidean distances of one sample ``[D]`` from samples ``[m, D]``, ``[m]``."""
    return jnp.sqrt(jnp.sum(jnp.square(x[None] - y), axis=-1))


def _over_rows(function, x: jax.Array, y: jax.Array):
    """Map over the rows of ``x`` in chunks that fit into memory beside all of ``y``."""
    return jax.lax.map(function, x, batch_size=min(len(x), max(1, _CHUNK // y.size)))


def _mean_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(_over_rows(lambda row: jnp.mean(_distances(row, y)), x, y))


def _share_within(x: jax.Array, y: jax.Array, k: int) -> jax.Array:
    """Share of ``x`` in a ball about some ``y`` that reaches the ``k``-th neighbour of ``y``."""
    radius = _over_rows(lambda row: -jax.lax.top_k(-_distances(row, y), k + 1)[0][k], y, y)
    return jnp.mean(_over_rows(lambda row: jnp.any(_distances(row, y) <= radius), x, y))
