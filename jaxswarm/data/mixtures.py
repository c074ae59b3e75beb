"""Gaussian mixtures in the plane, drawn inside ``jit``, for generative models.

Shapes: ``S`` samples, ``M`` modes, ``D`` dimensions.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data.batches import Batch
from jaxswarm.types import ArrayLike, Key


def grid_modes(side: int = 8, *, extent: float = 2.0) -> np.ndarray:
    """Centres of a square grid of modes, ``float32[side², 2]``, row by row.

    Args:
        side: modes along each axis, ``>= 1``.
        extent: the grid fills ``[−extent, extent]²``, ``> 0``.

    Raises:
        ValueError: for values out of range.

    Example:
        >>> grid_modes(2, extent=1.0).tolist()
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    side = checks.whole("side", side, 1)
    extent = float(checks.real("extent", extent, above=0.0))
    line = np.linspace(-extent, extent, side) if side > 1 else np.zeros(1)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)


def circle_modes(num_modes: int = 8, *, radius: float = 2.0) -> np.ndarray:
    """Centres of modes equally spaced on a circle, ``float32[num_modes, 2]``.

    Args:
        num_modes: ``>= 1``; the first lies at angle 0.
        radius: ``> 0``.

    Raises:
        ValueError: for values out of range.
    """
    num_modes = checks.whole("num_modes", num_modes, 1)
    radius = float(checks.real("radius", radius, above=0.0))
    angles = 2 * np.pi * np.arange(num_modes) / num_modes
    return (radius * np.stack([np.cos(angles), np.sin(angles)], -1)).astype(np.float32)


def gaussian_mixture(
    key: Key,
    num_samples: int,
    modes: ArrayLike,
    *,
    deviation: ArrayLike = 0.1,
    weights: ArrayLike | None = None,
) -> Batch:
    """Draw samples of a mixture of isotropic Gaussians, traceable by ``jit`` and ``vmap``.

    Args:
        key: random key.
        num_samples: ``S >= 1``.
        modes: ``[M, D]``, the centres.
        deviation: standard deviation of every mode, ``>= 0``.
        weights: ``[M]``, non-negative, not all 0; modes are equally likely by default.

    Returns:
        A batch of samples ``x: float32[S, D]``, the modes that they came from, ``y: int32[S]``, and
        weights 1.

    Raises:
        ValueError: for shapes that do not fit or values out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import data
        >>> batch = data.gaussian_mixture(jax.random.key(0), 5, data.circle_modes(3))
        >>> batch.x.shape, batch.y.shape
        ((5, 2), (5,))
    """
    mode_key, noise_key = jax.random.split(checks.key(key))
    num_samples = checks.whole("num_samples", num_samples, 1)
    checks.real("modes", modes, shape=(None, None))
    modes = checks.numbers("modes", modes)
    if not modes.size:
        raise ValueError(f"modes: expected at least one centre [M, D], got {modes.shape}")
    checks.real("deviation", deviation, 0.0)
    if weights is None:
        chosen = jax.random.randint(mode_key, (num_samples,), 0, len(modes))
    else:
        checks.real("weights", weights, 0.0, shape=(len(modes),))
        if not checks.is_traced(weights) and not (np.asarray(weights) > 0).any():
            raise ValueError("weights: expected at least one number > 0, got zeros only")
        logits = jnp.log(jnp.asarray(weights, jnp.float32))
        chosen = jax.random.categorical(mode_key, logits, shape=(num_samples,)).astype(jnp.int32)
    noise = jax.random.normal(noise_key, (num_samples, modes.shape[1]))
    return Batch(modes[chosen] + deviation * noise, chosen, jnp.ones(num_samples))


def gaussian_grid(
    key: Key,
    num_samples: int,
    side: int = 8,
    *,
    extent: float = 2.0,
    deviation: ArrayLike = 0.05,
) -> Batch:
    """Draw samples of equally likely Gaussians on a square grid in the plane.

    Args:
        key: random key.
        num_samples: ``S >= 1``.
        side: modes along each axis, ``>= 1``; 8 gives 64 modes.
        extent: the centres fill ``[−extent, extent]²``, ``> 0``; :func:`grid_modes` lists them.
        deviation: standard deviation of every mode, ``>= 0``.

    Returns:
        As :func:`gaussian_mixture`; ``y`` in ``[0, side²)``.

    Raises:
        ValueError: for values out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import data
        >>> data.gaussian_grid(jax.random.key(0), 100, side=4).x.shape
        (100, 2)
    """
    return gaussian_mixture(key, num_samples, grid_modes(side, extent=extent), deviation=deviation)
