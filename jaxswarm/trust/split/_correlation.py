"""Distance correlation of two samples, as a penalty on what activations reveal.

Shapes: ``B`` samples of a batch.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

SMALL = 1e-12
"""Added inside square roots of squared distances, so that gradients exist at 0."""


def distance_correlation(x: ArrayLike, z: ArrayLike) -> jax.Array:
    """Distance correlation of two samples of vectors: 0 for independent ones, at most 1.

    Args:
        x: ``float[B, ...]``, rows are flattened.
        z: ``float[B, ...]``.

    Returns:
        The square root of distance covariance over the distance variances, differentiable
        everywhere; 0 where a sample is constant.

    Raises:
        ValueError: for other numbers of rows or fewer than two.

    References:
        G. Székely, M. Rizzo, N. Bakirov, Measuring and testing dependence by correlation of
        distances, 2007.
    """
    x, z = checks.numbers("x", x), checks.numbers("z", z)
    if x.ndim < 2 or z.ndim < 2 or len(x) != len(z) or len(x) < 2:
        raise ValueError(
            f"x, z: expected [B, ...] with the same B >= 2, got {x.shape} and {z.shape}"
        )
    a, b = _centered_distances(x), _centered_distances(z)
    spread = jnp.sqrt(jnp.mean(a * a) * jnp.mean(b * b) + SMALL)
    return jnp.sqrt(jnp.maximum(jnp.mean(a * b), 0.0) / spread + SMALL)


def _centered_distances(x: jax.Array) -> jax.Array:
    """Distances between rows, minus means of rows and columns, plus the overall mean ``[B, B]``."""
    flat = x.reshape(len(x), -1)
    gap = flat[:, None] - flat[None]
    distance = jnp.sqrt(jnp.sum(gap * gap, axis=-1) + SMALL)
    rows = jnp.mean(distance, axis=1)
    return distance - rows[:, None] - rows[None] + jnp.mean(rows)
