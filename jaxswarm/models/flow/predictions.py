"""Conversions between what networks of flow and diffusion models predict.

At a point ``x_t = σ ε + α x₁`` of a path the velocity, the noise ``ε``, the data ``x₁``, the
``v = α ε − σ x₁`` of Salimans and Ho and the score ``−ε / σ`` determine one another.

Shapes: ``B`` samples, ``...`` the shape of one sample.

References:
    Ho, Jain, Abbeel, Denoising diffusion probabilistic models, 2020 (noise prediction).
    Salimans, Ho, Progressive distillation for fast sampling of diffusion models, 2022 (``v``).
    Song et al., Score-based generative modeling through stochastic differential equations, 2021.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.flow.paths import (
    Path,
    check_path,
    check_times,
    linear_path,
    over_features,
)
from jaxswarm.types import ArrayLike

PREDICTIONS = ("velocity", "noise", "data", "v")
"""What a network may predict."""

QUANTITIES = (*PREDICTIONS, "score")
"""What :func:`convert` converts."""

SMALLEST_COEFFICIENT = 1e-2
"""Coefficients of a path are divided by this at least, where a prediction determines no other."""


def convert(
    value: ArrayLike,
    x: ArrayLike,
    t: ArrayLike,
    *,
    source: str,
    target: str = "velocity",
    path: Path | None = None,
) -> jax.Array:
    """Convert a prediction at ``(x, t)`` into another: velocity, noise, data, ``v`` or score.

    Args:
        value: ``[B, ...]``, the prediction.
        x: ``[B, ...]``, the point ``x_t``.
        t: ``[B]`` or a number, in ``[0, 1]``; 0 is noise.
        source: what ``value`` is, one of :data:`QUANTITIES`.
        target: what is wanted, one of :data:`QUANTITIES`.
        path: the path, linear by default.

    Returns:
        ``[B, ...]``. Exact up to rounding, except where a prediction does not determine the other:
        at ``t = 0`` the noise (or score) does not determine the data, at ``t = 1`` the data does
        not determine the noise. There the coefficient that divides is raised to
        :data:`SMALLEST_COEFFICIENT`.

    Raises:
        ValueError: for an unknown quantity, shapes or dtypes that differ, or a concrete time
            outside ``[0, 1]``.

    Example:
        >>> import jax.numpy as jnp
        >>> x, noise = jnp.array([[1.0]]), jnp.array([[0.5]])
        >>> convert(noise, x, 0.5, source="noise", target="data").tolist()
        [[1.5]]
    """
    checks.choice("source", source, QUANTITIES)
    checks.choice("target", target, QUANTITIES)
    path = linear_path() if path is None else check_path(path)
    value, x = checks.numbers("value", value), checks.numbers("x", x)
    if value.shape != x.shape or value.dtype != x.dtype or not x.ndim:
        raise ValueError(
            f"value, x: expected equal shapes [B, ...] and dtypes, got {checks.shown(value)} and "
            f"{checks.shown(x)}"
        )
    t = check_times(t, len(x))
    return value if source == target else to_target(value, x, t, source, target, path)


def to_target(
    value: jax.Array, x: jax.Array, t: jax.Array, source: str, target: str, path: Path
) -> jax.Array:
    """:func:`convert` without checks."""
    times = t.astype(jnp.promote_types(t.dtype, jnp.float32))

    def coefficient(function: object) -> jax.Array:
        return over_features(function(times), x)  # type: ignore[operator]

    noise_scale, signal_scale = coefficient(path.noise), coefficient(path.signal)
    noise_rate, signal_rate = coefficient(path.noise_rate), coefficient(path.signal_rate)
    if source == "score":
        value, source = -noise_scale * value, "noise"
    if source == "noise":
        noise = value
        data = (x - noise_scale * noise) / jnp.maximum(signal_scale, SMALLEST_COEFFICIENT)
    elif source == "data":
        data = value
        noise = (x - signal_scale * data) / jnp.maximum(noise_scale, SMALLEST_COEFFICIENT)
    elif source == "v":
        norm = jnp.square(noise_scale) + jnp.square(signal_scale)
        noise = (noise_scale * x + signal_scale * value) / norm
        data = (signal_scale * x - noise_scale * value) / norm
    else:
        determinant = noise_scale * signal_rate - signal_scale * noise_rate
        noise = (signal_rate * x - signal_scale * value) / determinant
        data = (noise_scale * value - noise_rate * x) / determinant
    if target == "noise":
        return noise
    if target == "data":
        return data
    if target == "v":
        return signal_scale * noise - noise_scale * data
    if target == "score":
        return -noise / jnp.maximum(noise_scale, SMALLEST_COEFFICIENT)
    return noise_rate * noise + signal_rate * data
