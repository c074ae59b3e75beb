"""Probability paths from noise at ``t = 0`` to data at ``t = 1``.

A path mixes one noise sample ``ε`` and one data sample ``x₁`` into the point
``x_t = noise(t) ε + signal(t) x₁``; its velocity ``d x_t / d t`` is what a flow model learns.

Shapes: ``B`` samples, ``...`` the shape of one sample.

References:
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2023.
    Albergo, Vanden-Eijnden, Building normalizing flows with stochastic interpolants, 2023.
    Nichol, Dhariwal, Improved denoising diffusion probabilistic models, 2021 (cosine schedule).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

Schedule = Callable[[jax.Array], jax.Array]
"""A coefficient of a path: a function of the time, elementwise."""


class Path(NamedTuple):
    """Coefficients of ``x_t = noise(t) ε + signal(t) x₁`` and their derivatives.

    Attributes:
        signal: coefficient of the data, about 0 at ``t = 0`` and 1 at ``t = 1``.
        noise: coefficient of the noise, 1 at ``t = 0`` and about 0 at ``t = 1``.
        signal_rate: derivative of ``signal``.
        noise_rate: derivative of ``noise``.
    """

    signal: Schedule
    noise: Schedule
    signal_rate: Schedule
    noise_rate: Schedule

    def point(self, noise: ArrayLike, data: ArrayLike, t: ArrayLike) -> jax.Array:
        """Point ``x_t`` between noise and data, ``[B, ...]``.

        Args:
            noise: ``[B, ...]``.
            data: ``[B, ...]``.
            t: ``[B]`` or a number, in ``[0, 1]``.

        Raises:
            ValueError: for shapes that differ, or a concrete time outside ``[0, 1]``.
        """
        noise, data, t = _pair(noise, data, t)
        return scaled(self.noise, t, noise) + scaled(self.signal, t, data)

    def velocity(self, noise: ArrayLike, data: ArrayLike, t: ArrayLike) -> jax.Array:
        """Velocity ``d x_t / d t`` of the point, ``[B, ...]``; arguments as :meth:`point`.

        Raises:
            ValueError: as :meth:`point`.
        """
        noise, data, t = _pair(noise, data, t)
        return scaled(self.noise_rate, t, noise) + scaled(self.signal_rate, t, data)


def linear_path() -> Path:
    """Straight path ``x_t = (1 − t) ε + t x₁`` with constant velocity ``x₁ − ε``.

    Example:
        >>> import jax.numpy as jnp
        >>> path = linear_path()
        >>> path.point(jnp.zeros((1, 2)), jnp.ones((1, 2)), jnp.array([0.25])).tolist()
        [[0.25, 0.25]]
    """
    return _LINEAR


def cosine_path() -> Path:
    """Variance-preserving path ``x_t = cos(πt/2) ε + sin(πt/2) x₁``."""
    return _COSINE


def path_from(signal: Schedule, noise: Schedule) -> Path:
    """Path of two given coefficients; their derivatives come from automatic differentiation.

    Args:
        signal: ``signal(t)``, elementwise and differentiable by jax.
        noise: ``noise(t)``, likewise.

    Raises:
        ValueError: if one is no function.
    """
    checks.function("signal", signal)
    checks.function("noise", noise)
    return Path(signal, noise, _derivative(signal), _derivative(noise))


def check_path(path: Path) -> Path:
    """Check that a value is a :class:`Path` and return it.

    Raises:
        ValueError: if it is not.
    """
    return checks.instance("path", path, Path, "flow.linear_path()")


def check_times(t: ArrayLike, batch: int, name: str = "t") -> jax.Array:
    """Times of a batch as ``float32[B]``; a single number is repeated.

    Args:
        t: ``[B]`` or a number, in ``[0, 1]``.
        batch: ``B``.
        name: the argument, for the message.

    Raises:
        ValueError: for another shape, or a concrete time that is NaN or outside ``[0, 1]``.
    """
    single = not checks.is_traced(t) and np.ndim(checks.as_array(name, t, "times")) == 0
    single |= checks.is_traced(t) and jnp.ndim(t) == 0
    checks.real(name, t, 0.0, 1.0, shape=() if single else (batch,))
    t = jnp.asarray(t)
    if not jnp.issubdtype(t.dtype, jnp.floating):
        t = t.astype(jnp.float32)
    return jnp.broadcast_to(t, (batch,))


def over_features(values: jax.Array, like: jax.Array) -> jax.Array:
    """One number per sample, ``[B]``, with the axes and dtype of ``like: [B, ...]``."""
    return values.reshape(values.shape + (1,) * (like.ndim - 1)).astype(like.dtype)


def scaled(schedule: Schedule, t: jax.Array, x: jax.Array) -> jax.Array:
    """``schedule(t) x`` with one coefficient per sample; the schedule in float32 at least."""
    t = t.astype(jnp.promote_types(t.dtype, jnp.float32))
    return over_features(schedule(t), x) * x


def _pair(
    noise: ArrayLike, data: ArrayLike, t: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    noise, data = checks.numbers("noise", noise), checks.numbers("data", data)
    if noise.shape != data.shape or not data.ndim:
        raise ValueError(
            f"noise, data: expected equal shapes [B, ...], got {noise.shape} and {data.shape}"
        )
    if noise.dtype != data.dtype:
        raise ValueError(f"noise, data: expected equal dtypes, got {noise.dtype} and {data.dtype}")
    return noise, data, check_times(t, len(data))


def _derivative(schedule: Schedule) -> Schedule:
    def rate(t: jax.Array) -> jax.Array:
        t = jnp.asarray(t)
        return jax.jvp(schedule, (t,), (jnp.ones_like(t),))[1]

    return rate


_QUARTER = math.pi / 2
_LINEAR = Path(lambda t: t, lambda t: 1.0 - t, jnp.ones_like, lambda t: -jnp.ones_like(t))
_COSINE = Path(
    lambda t: jnp.sin(_QUARTER * t),
    lambda t: jnp.cos(_QUARTER * t),
    lambda t: _QUARTER * jnp.cos(_QUARTER * t),
    lambda t: -_QUARTER * jnp.sin(_QUARTER * t),
)
