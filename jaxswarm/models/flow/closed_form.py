"""Closed-form marginal velocity fields and posteriors of finite data sets.

For data points ``x_i`` with weights ``w_i`` the posterior of the point given ``x_t = x`` is
``p(i | x, t) ∝ w_i exp(−‖x − signal(t) x_i‖² / 2 noise(t)²)``, and the marginal velocity is the
posterior mean of the conditional velocities: the exact minimiser of the flow-matching loss.

Shapes: ``n`` data points, ``B`` samples, ``K`` clusters, ``...`` the shape of one sample.

References:
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2023.
    McAllister et al., Decentralized diffusion models, 2025 (posteriors of clusters).
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.flow.paths import Path, check_path, check_times, linear_path
from jaxswarm.models.flow.predictions import to_target
from jaxswarm.types import ArrayLike

SMALLEST_NOISE = 1e-3
"""The noise coefficient counts as this at least, so that ``t = 1`` gives finite numbers."""

_CHUNK = 2**22


def posterior(
    data: ArrayLike,
    x: ArrayLike,
    t: ArrayLike,
    *,
    path: Path | None = None,
    weights: ArrayLike | None = None,
) -> jax.Array:
    """Probability of every data point given a noised sample, ``[B, n]``.

    Args:
        data: ``[n, ...]``, the data set.
        x: ``[B, ...]``, noised samples.
        t: ``[B]`` or a number, in ``[0, 1]``; 0 is noise.
        path: the probability path, linear by default.
        weights: ``[n]``, non-negative, not all 0; equal by default.

    Raises:
        ValueError: for shapes that do not fit, times outside ``[0, 1]``, or weights that are
            negative or all 0.
    """
    data, x, t, path, logs = _checked(data, x, t, path, weights)
    return _over_batch(lambda x, t: _probabilities(data, x, t, path, logs), data, x, t)


def cluster_posterior(
    labels: ArrayLike,
    num_clusters: int,
    data: ArrayLike,
    x: ArrayLike,
    t: ArrayLike,
    *,
    path: Path | None = None,
    weights: ArrayLike | None = None,
) -> jax.Array:
    """Probability of every cluster of the data given a noised sample, ``[B, K]``.

    Args:
        labels: ``int[n]`` in ``[0, num_clusters)``, the cluster of every data point.
        num_clusters: ``K >= 1``; a cluster without data has probability 0.
        data: as :func:`posterior`.
        x: as :func:`posterior`.
        t: as :func:`posterior`.
        path: as :func:`posterior`.
        weights: as :func:`posterior`.

    Raises:
        ValueError: as :func:`posterior`; for labels out of range or of another number.
    """
    num_clusters = checks.whole("num_clusters", num_clusters, 1)
    data, x, t, path, logs = _checked(data, x, t, path, weights)
    labels = checks.wholes("labels", labels, 0, num_clusters - 1, shape=(len(data),))
    member = jax.nn.one_hot(jnp.asarray(labels), num_clusters, dtype=x.dtype)
    return _over_batch(lambda x, t: _probabilities(data, x, t, path, logs) @ member, data, x, t)


def marginal_velocity(
    data: ArrayLike,
    x: ArrayLike,
    t: ArrayLike,
    *,
    path: Path | None = None,
    weights: ArrayLike | None = None,
) -> jax.Array:
    """Exact velocity field of a finite data set, ``[B, ...]``.

    Weights of 0 outside a cluster give the cluster's own field. With the probabilities of
    :func:`cluster_posterior` the clusters' fields add up to the field of all data.

    Args:
        data: as :func:`posterior`.
        x: as :func:`posterior`.
        t: as :func:`posterior`.
        path: as :func:`posterior`.
        weights: as :func:`posterior`.

    Raises:
        ValueError: as :func:`posterior`.

    Example:
        >>> import jax.numpy as jnp
        >>> data = jnp.array([[3.0, 4.0]])  # of one point: (x₁ − x) / (1 − t)
        >>> marginal_velocity(data, jnp.zeros((1, 2)), 0.5).tolist()
        [[6.0, 8.0]]
    """
    data, x, t, path, logs = _checked(data, x, t, path, weights)
    flat = data.reshape(len(data), -1)

    def mean(x: jax.Array, t: jax.Array) -> jax.Array:
        return (_probabilities(data, x, t, path, logs) @ flat).reshape(x.shape)

    return to_target(_over_batch(mean, data, x, t), x, t, "data", "velocity", _floored(path))


def _checked(
    data: ArrayLike, x: ArrayLike, t: ArrayLike, path: Path | None, weights: ArrayLike | None
) -> tuple[jax.Array, jax.Array, jax.Array, Path, jax.Array]:
    data, x = checks.numbers("data", data), checks.numbers("x", x)
    if not data.ndim or not len(data) or not x.ndim or data.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"data, x: expected shapes [n, ...] and [B, ...] with n >= 1, got {data.shape} and "
            f"{x.shape}"
        )
    t = check_times(t, len(x))
    path = linear_path() if path is None else check_path(path)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    if weights is None:
        logs = jnp.zeros(len(data), dtype)
    else:
        checks.real("weights", weights, 0.0, shape=(len(data),))
        if not checks.is_traced(weights) and not (jnp.asarray(weights) > 0).any():
            raise ValueError("weights: expected at least one number > 0, got zeros only")
        logs = jnp.log(jnp.asarray(weights, dtype))
    return data.astype(dtype), x.astype(dtype), t, path, logs


def _probabilities(
    data: jax.Array, x: jax.Array, t: jax.Array, path: Path, logs: jax.Array
) -> jax.Array:
    """Posterior of one sample ``x: [...]``, ``[n]``; differences first, which loses no digits."""
    noise = jnp.maximum(path.noise(t), SMALLEST_NOISE)
    difference = ((x[None] - path.signal(t) * data) / noise).reshape(len(data), -1)
    return jax.nn.softmax(logs - 0.5 * jnp.sum(jnp.square(difference), axis=-1))


def _over_batch(function, data: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
    """Map over the batch in chunks, so that ``[B, n, ...]`` need not fit into memory."""
    chunk = max(1, _CHUNK // data.size)
    if chunk >= len(x):
        return jax.vmap(function)(x, t)
    return jax.lax.map(lambda pair: function(*pair), (x, t), batch_size=chunk)


def _floored(path: Path) -> Path:
    return path._replace(noise=lambda t: jnp.maximum(path.noise(t), SMALLEST_NOISE))
