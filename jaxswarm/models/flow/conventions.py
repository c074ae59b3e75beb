"""Conversion of velocity fields and noise predictors of other time conventions.

This package has noise at ``t = 0`` and data at ``t = 1``. Rectified flow, SD3 and the decentralized
diffusion models of McAllister et al. have data at 0 and noise at 1; DDPM counts steps
``0 .. T − 1`` from data to noise and gives ``ᾱ_k``, the squared signal coefficients.

References:
    Ho, Jain, Abbeel, Denoising diffusion probabilistic models, 2020.
    Song, Meng, Ermon, Denoising diffusion implicit models, 2021 (the ODE of a DDPM).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.flow.model import Field, Flow, from_functions
from jaxswarm.models.flow.paths import Path, path_from
from jaxswarm.types import ArrayLike, Key, Params


def reverse_time(field: Field) -> Field:
    """Convert a velocity field to the opposite time convention, ``(x, t) -> −field(x, 1 − t)``.

    Fields with data at 0 and noise at 1 become fields of this package; applied twice it returns the
    original field.

    Raises:
        ValueError: if ``field`` is no function.

    Example:
        >>> import jax.numpy as jnp
        >>> theirs = lambda x, t: t[:, None] * x
        >>> reverse_time(theirs)(jnp.ones((1, 1)), jnp.array([0.25])).tolist()
        [[-0.75]]
    """
    checks.function("field", field)
    return lambda x, t: -field(x, 1.0 - t)


def ddpm_time(index: ArrayLike, num_steps: int) -> jax.Array:
    """Time in ``[0, 1]`` of a DDPM step: step 0 (data) is 1, step ``num_steps − 1`` (noise) is 0.

    Args:
        index: step or steps, ``[...]`` in ``[0, num_steps − 1]``; fractions lie between steps.
        num_steps: ``T >= 2``.

    Raises:
        ValueError: for steps out of range.
    """
    num_steps = checks.whole("num_steps", num_steps, 2)
    checks.real("index", index, 0, num_steps - 1, shape=None)
    return 1.0 - jnp.asarray(index) / (num_steps - 1)


def ddpm_index(t: ArrayLike, num_steps: int) -> jax.Array:
    """DDPM step of a time, a fraction between two steps: the inverse of :func:`ddpm_time`.

    Args:
        t: ``[...]`` in ``[0, 1]``.
        num_steps: ``T >= 2``.

    Raises:
        ValueError: for times out of range.
    """
    num_steps = checks.whole("num_steps", num_steps, 2)
    checks.probability("t", t, shape=None)
    return (1.0 - jnp.asarray(t)) * (num_steps - 1)


def ddpm_path(alphas_cumprod: ArrayLike) -> Path:
    """Path of a DDPM schedule: ``signal² = ᾱ`` and ``noise² = 1 − ᾱ`` at its steps.

    Between steps the angle ``atan2(noise, signal)`` is linear, so that the path preserves variance.

    Args:
        alphas_cumprod: ``ᾱ_k``, ``[T]`` with ``T >= 2``, in ``(0, 1]`` and not increasing.

    Raises:
        ValueError: for other numbers.
    """
    checks.concrete("alphas_cumprod", alphas_cumprod)
    checks.real("alphas_cumprod", alphas_cumprod, above=0.0, high=1.0, shape=(None,))
    levels = np.asarray(alphas_cumprod, np.float64)
    if len(levels) < 2 or (np.diff(levels) > 0).any():
        raise ValueError(
            "alphas_cumprod: expected at least two numbers that do not increase, got "
            f"{checks.shown(levels)}"
        )
    angles = np.arctan2(np.sqrt(1.0 - levels), np.sqrt(levels))

    def angle(t: jax.Array) -> jax.Array:
        dtype = jnp.asarray(t).dtype
        return jnp.interp(
            (1.0 - t) * (len(angles) - 1.0),
            jnp.arange(len(angles), dtype=dtype),
            jnp.asarray(angles, dtype),
        )

    return path_from(lambda t: jnp.cos(angle(t)), lambda t: jnp.sin(angle(t)))


def from_ddpm(
    init: Callable[[Key], Params],
    apply: Callable[..., jax.Array],
    shape: Sequence[int],
    alphas_cumprod: ArrayLike,
    *,
    num_classes: int | None = None,
    prediction: str = "noise",
) -> Flow:
    """Flow model of a DDPM network ``apply(params, x, index, condition)`` of step indices.

    Args:
        init: ``init(key) -> params``.
        apply: the network; ``index: float32[B]`` in ``[0, T − 1]``, 0 next to the data.
        shape: shape of one sample.
        alphas_cumprod: as :func:`ddpm_path`.
        num_classes: number of classes; ``None`` for none.
        prediction: what the network predicts, noise by default. The ``v`` of Salimans and Ho has
            the sign of ``α ε − σ x₁`` here as there.

    Raises:
        ValueError: as :func:`ddpm_path` and ``flow.from_functions``.
    """
    checks.function("apply", apply)
    path = ddpm_path(alphas_cumprod)
    num_steps = np.shape(alphas_cumprod)[0]

    def timed(params: Params, x: jax.Array, t: jax.Array, condition: jax.Array | None) -> jax.Array:
        return apply(params, x, ddpm_index(t, num_steps), condition)

    return from_functions(
        init, timed, shape, num_classes=num_classes, path=path, prediction=prediction
    )
