"""Profiles of agents for a matchmaker that never sees models: 32 numbers per agent.

A profile is 8 flags of the model family, 12 performance numbers (here one score per category of
tasks) and a histogram of the private data over 12 categories, as in the paper.

Shapes: ``N`` agents.

References:
    I. Singh, E. Vissol-Gaudin, A. Otung, M. Sekiya, Learning to collaborate: an
    orchestrated-decentralized framework for peer-to-peer LLM federation, 2026.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

NUM_FAMILIES, NUM_SCORES, NUM_BINS = 8, 12, 12
PROFILE_SIZE = NUM_FAMILIES + NUM_SCORES + NUM_BINS
"""Numbers of a profile, 32."""

TOLERANCE = 1e-3
"""Largest distance from 1 of the sum of a histogram."""


class ProfileParts(NamedTuple):
    """A profile by its parts, leading axes ``[...]``.

    Attributes:
        family: ``float32[..., 8]``, one-hot.
        scores: ``float32[..., 12]``.
        histogram: ``float32[..., 12]``, sums to 1.
    """

    family: jax.Array
    scores: jax.Array
    histogram: jax.Array


def make_profiles(family: ArrayLike, scores: ArrayLike, histogram: ArrayLike) -> jax.Array:
    """Join model family, scores and data histogram of each agent into profiles.

    Args:
        family: ``int[N]`` in ``[0, 8)``, number of the agent's kind of model.
        scores: ``float[N, 12]``, performance, higher is better; categories that are not used are 0.
        histogram: ``float[N, 12]``, shares of the private data by category, at least 0, sum 1.

    Returns:
        ``float32[N, 32]``.

    Raises:
        ValueError: for other shapes or ranges, or a histogram whose sum is not 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.systems import knexa_fl
        >>> histogram = jnp.zeros((2, 12)).at[0, 3].set(1.0).at[1, :2].set(0.5)
        >>> knexa_fl.make_profiles([0, 1], jnp.zeros((2, 12)), histogram).shape
        (2, 32)
    """
    family = jnp.asarray(checks.wholes("family", family, 0, NUM_FAMILIES - 1, shape=(None,)))
    n = family.shape[0]
    checks.real("scores", scores, shape=(n, NUM_SCORES))
    _check_histogram(histogram, (n, NUM_BINS))
    parts = [jax.nn.one_hot(family, NUM_FAMILIES), scores, histogram]
    return jnp.concatenate([jnp.asarray(part, jnp.float32) for part in parts], axis=1)


def split_profiles(profiles: ArrayLike) -> ProfileParts:
    """Split profiles ``[..., 32]`` into family, scores and histogram.

    Raises:
        ValueError: for another number of entries.
    """
    array = checks.numbers("profiles", profiles)
    if not array.ndim or array.shape[-1] != PROFILE_SIZE:
        raise ValueError(f"profiles: expected [..., {PROFILE_SIZE}], got {array.shape}")
    family, scores, histogram = jnp.split(array, [NUM_FAMILIES, NUM_FAMILIES + NUM_SCORES], axis=-1)
    return ProfileParts(family, scores, histogram)


def check_profiles(profiles: ArrayLike, num_agents: int | None = None) -> jax.Array:
    """Check profiles that agents sent, and return them as an array.

    Args:
        profiles: ``float[N, 32]``; traced ones are only checked for their shape.
        num_agents: ``N``; any if ``None``.

    Raises:
        ValueError: for another length, numbers that are not finite, or a histogram whose sum is
            not 1.
    """
    checks.numbers("profiles", profiles, (num_agents, PROFILE_SIZE))
    checks.real("profiles", profiles, shape=None)
    _check_histogram(split_profiles(profiles).histogram, (None, NUM_BINS), "profiles: histogram")
    return jnp.asarray(profiles, jnp.float32)


def js_divergence(p: ArrayLike, q: ArrayLike) -> jax.Array:
    """Jensen–Shannon divergence of histograms in bits, in ``[0, 1]``.

    Args:
        p: ``[..., B]``, at least 0, sum 1.
        q: the same, of a shape that broadcasts.

    Returns:
        ``float32[...]``.

    References:
        J. Lin, Divergence measures based on the Shannon entropy, 1991.

    Example:
        >>> float(js_divergence([1.0, 0.0], [0.0, 1.0]))
        1.0
    """
    p, q = checks.numbers("p", p), checks.numbers("q", q)
    if not p.ndim or not q.ndim or p.shape[-1] != q.shape[-1]:
        raise ValueError(f"q: expected as many bins as p {p.shape}, got {q.shape}")
    _check_histogram(p, None, "p")
    _check_histogram(q, None, "q")
    middle = 0.5 * (p + q)

    def divergence(a: jax.Array) -> jax.Array:
        positive = a > 0
        ratio = jnp.where(positive, a, 1.0) / jnp.where(positive, middle, 1.0)
        return jnp.sum(jnp.where(positive, a * jnp.log2(ratio), 0.0), axis=-1)

    return jnp.clip(0.5 * (divergence(p) + divergence(q)), 0.0, 1.0)


def _check_histogram(value: ArrayLike, shape: object, name: str = "histogram") -> None:
    """Refuse shares below 0 or of another sum than 1; traced ones are only checked for shape."""
    checks.real(name, value, 0.0, shape=shape)
    if checks.is_traced(value):
        return
    sums = np.asarray(value, np.float64).sum(axis=-1)
    wrong = np.abs(sums - 1.0) > TOLERANCE
    if wrong.any():
        raise ValueError(f"{name}: expected shares that sum to 1, got {sums[wrong].flat[0]:.6g}")
