"""Two-dimensional mixture of eight modes, a reward on three of them, and the tilted ideal.

Shapes: ``B`` samples, ``K = 8`` modes.
"""

import jax
import jax.numpy as jnp

from jaxswarm import data
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike

CENTERS = data.circle_modes(8, radius=2.0)
NUM_MODES = len(CENTERS)
SPREAD = 0.2  # standard deviation of every mode
REACH = 0.4  # standard deviation of the reward's bumps
MODE_REWARDS = (1.0, 0.0, 0.0, 0.8, 0.0, 0.6, 0.0, 0.0)  # reward at the center of every mode
SHARPNESS = 4.0  # the ideal is the mixture times exp(SHARPNESS · reward), normalized


def sample_mixture(key: jax.Array, num_samples: int) -> jax.Array:
    """Draw from the mixture with equal weights, ``[num_samples, 2]``."""
    return data.gaussian_mixture(key, num_samples, CENTERS, deviation=SPREAD).x


def mode_reward(x: jax.Array, mode_rewards: jax.Array) -> jax.Array:
    """Reward of samples ``[B, 2]``: bumps of height ``mode_rewards [K]`` at the centers."""
    squared = jnp.sum(jnp.square(x[:, None, :] - jnp.asarray(CENTERS)[None]), axis=-1)
    return jnp.exp(-0.5 * squared / REACH**2) @ jnp.asarray(mode_rewards, jnp.float32)


def mode_shares(x: jax.Array) -> jax.Array:
    """Share of the samples whose nearest center is each mode's, ``[K]``; NaN if a sample is NaN."""
    shares = flow.mode_counts(x, CENTERS, 1e6) / x.shape[0]
    return jnp.where(jnp.isfinite(x).all(), shares, jnp.nan)


def near_mode(x: jax.Array) -> jax.Array:
    """Share of the samples within four standard deviations of a center."""
    return jnp.sum(flow.mode_counts(x, CENTERS, 4.0 * SPREAD)) / x.shape[0]


def entropy(shares: ArrayLike) -> jax.Array:
    """Entropy in nats over the last axis."""
    shares = jnp.asarray(shares)
    return -jnp.sum(shares * jnp.log(jnp.maximum(shares, 1e-12)), axis=-1)


def tilted_ideal(
    key: jax.Array, samples: jax.Array, scores: jax.Array, num_samples: int
) -> jax.Array:
    """Draw from the distribution of ``samples`` times ``exp(scores)``, ``[num_samples, ...]``.

    Exact in the limit of many samples: they are drawn again, with probabilities ``∝ exp(scores)``.
    """
    return jax.random.choice(key, samples, (num_samples,), p=jax.nn.softmax(scores))
