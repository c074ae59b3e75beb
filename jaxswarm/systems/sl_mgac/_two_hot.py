"""Two-hot encoding: real targets as class probabilities whose expectation is the target.

A value between two neighbouring support points shares its mass linearly between them, so that the
encoding keeps the mean, and a softmax fitted by cross-entropy estimates the conditional mean with
bounded gradients, however heavy the tail of the targets.

Shapes: ``K`` bins.

References:
    J. Liu, X. Gao, Y. Li et al., Supervised learning-enhanced multi-group actor critic for live
    stream allocation in feed, 2025 (watch times as classes; the encoding is our choice).
    E. Imani, M. White, Improving regression performance with distributional losses, 2018.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike


def log_bins(num_bins: int, smallest: float, largest: float) -> np.ndarray:
    """Make bins at 0 and at geometrically spaced values, ``float32[K]``.

    Args:
        num_bins: ``K``, at least 3.
        smallest: the second bin, above 0.
        largest: the last bin, above ``smallest``; larger targets are clipped to it.

    Raises:
        ValueError: naming the argument.

    Example:
        >>> from jaxswarm.systems import sl_mgac
        >>> sl_mgac.log_bins(4, 1.0, 100.0).tolist()
        [0.0, 1.0, 10.0, 100.0]
    """
    num_bins = checks.whole("num_bins", num_bins, 3)
    checks.real("smallest", smallest, above=0.0)
    checks.real("largest", largest, above=float(smallest))
    return np.concatenate([[0.0], np.geomspace(smallest, largest, num_bins - 1)]).astype(np.float32)


def check_bins(bins: ArrayLike) -> np.ndarray:
    """Check support points and return them as ``float32[K]``.

    Raises:
        ValueError: unless there are at least two, the first is 0, and they increase strictly.
    """
    points = np.asarray(checks.real("bins", checks.concrete("bins", bins), shape=(None,)))
    points = points.astype(np.float32)
    if len(points) < 2 or points[0] != 0.0 or not (np.diff(points) > 0.0).all():
        raise ValueError(
            "bins: expected at least two strictly increasing numbers, the first 0 (log_bins makes "
            f"some), got {points.tolist() if len(points) < 9 else checks.shown(points)}"
        )
    return points


def two_hot(values: ArrayLike, bins: ArrayLike) -> jax.Array:
    """Encode values as probabilities of bins whose expectation is the value, ``[…] -> […, K]``.

    Args:
        values: at least 0; those beyond the last bin are clipped to it, :func:`num_clipped` counts
            them.
        bins: ``[K]``, support points, see :func:`log_bins`.

    Raises:
        ValueError: for negative values or values that are not finite; bins that are unsorted,
            repeated, or do not start at 0.

    Example:
        >>> from jaxswarm.systems import sl_mgac
        >>> sl_mgac.two_hot([0.25, 4.0, 9.0], [0.0, 1.0, 5.0]).tolist()
        [[0.75, 0.25, 0.0], [0.0, 0.25, 0.75], [0.0, 0.0, 1.0]]
    """
    points = check_bins(bins)
    checks.real("values", values, 0.0, shape=None)
    return encode(jnp.asarray(values, jnp.float32), points)


def encode(values: jax.Array, bins: np.ndarray) -> jax.Array:
    """:func:`two_hot` without checks: one triangular function for each bin."""
    x = jnp.minimum(values, bins[-1])[..., None]
    lead = (1,) * values.ndim
    rising = (x - bins[:-1].reshape(*lead, -1)) / np.diff(bins).reshape(*lead, -1)
    one = jnp.ones_like(x)
    up, down = jnp.concatenate([one, rising], -1), jnp.concatenate([1.0 - rising, one], -1)
    return jnp.clip(jnp.minimum(up, down), 0.0, 1.0)


def expected_value(logits: jax.Array, bins: ArrayLike) -> jax.Array:
    """Expectation of a softmax over bins, ``[…, K] -> […]``.

    Raises:
        ValueError: as :func:`two_hot` for bins, or if there are not ``K`` logits.
    """
    points = check_bins(bins)
    if jnp.shape(logits)[-1:] != points.shape:
        raise ValueError(
            f"logits: expected {len(points)} in the last axis, one for each bin, got "
            f"{checks.shown(logits)}"
        )
    return jax.nn.softmax(logits, axis=-1) @ points


def num_clipped(values: ArrayLike, bins: ArrayLike) -> int:
    """Count the values beyond the last bin, which :func:`two_hot` clips.

    Raises:
        ValueError: as :func:`two_hot`.

    Example:
        >>> from jaxswarm.systems import sl_mgac
        >>> sl_mgac.num_clipped([0.5, 7.0], [0.0, 1.0, 5.0])
        1
    """
    points = check_bins(bins)
    checks.real("values", checks.concrete("values", values), 0.0, shape=None)
    return int(np.sum(np.asarray(values) > points[-1]))
