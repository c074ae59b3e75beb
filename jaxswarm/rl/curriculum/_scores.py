"""Scores of a level's learning potential, from transitions collected on it.

Shapes: ``T`` steps, ``E`` environments with a level each, ``N`` agents.

References:
    M. Jiang, E. Grefenstette, T. Rocktäschel, Prioritized level replay, 2021 (L1 value loss).
    M. Jiang et al., Replay-guided adversarial environment design, 2021 (positive value loss,
    maximum Monte Carlo).
    M. Dennis et al., Emergent complexity and zero-shot transfer via unsupervised environment
    design, 2020 (regret).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.rl.on_policy import Transition
from jaxswarm.rl.returns import advantages
from jaxswarm.types import ArrayLike

SCORES = ("value_l1", "positive_value_loss", "max_mc", "regret")
"""Names of the scores, in the order of :func:`level_scores`."""


class EpisodeReturns(NamedTuple):
    """Undiscounted returns of the episodes that ended, means over agents, ``float32[E]``.

    Attributes:
        mean: over episodes; 0 if none ended.
        best: the highest; ``-inf`` if none ended.
        count: ``int32[E]``, episodes that ended.
    """

    mean: jax.Array
    best: jax.Array
    count: jax.Array


def episode_returns(reward: jax.Array, last: jax.Array) -> EpisodeReturns:
    """Returns of the complete episodes of each environment, which start with the first step.

    Args:
        reward: ``float[T, E, N]``.
        last: ``bool[T, E, N]``, the episode is over after this step, the same for all agents.

    Raises:
        ValueError: for shapes that differ.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> reward = jnp.array([0.0, 1.0, 3.0, 9.0])[:, None, None]
        >>> last = jnp.array([False, True, True, False])[:, None, None]
        >>> found = curriculum.episode_returns(reward, last)
        >>> found.mean.tolist(), found.best.tolist()
        ([2.0], [3.0])
    """
    if jnp.ndim(reward) != 3:
        raise ValueError(
            f"reward: expected shape [steps, environments, agents], got {reward.shape}"
        )
    checks.mask("last", last, reward.shape)
    ended = last[:, :, 0]

    def step(running: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple:
        reward, ended = inputs
        running = running + reward
        return jnp.where(ended, 0.0, running), running

    per_step = jnp.mean(reward, axis=2)
    _, running = jax.lax.scan(step, jnp.zeros(per_step.shape[1]), (per_step, ended))
    count = jnp.sum(ended, axis=0, dtype=jnp.int32)
    total = jnp.sum(jnp.where(ended, running, 0.0), axis=0)
    best = jnp.max(jnp.where(ended, running, -jnp.inf), axis=0)
    return EpisodeReturns(total / jnp.maximum(count, 1), best, count)


def value_l1(advantage: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean absolute error of the critic, ``float32[E]``, from advantages and a mask [T, E, N]."""
    return _mean(jnp.abs(advantage), mask)


def positive_value_loss(advantage: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of the positive parts of the advantages ``[T, E, N]``, ``float32[E]``."""
    return _mean(jnp.maximum(advantage, 0.0), mask)


def max_monte_carlo(value: jax.Array, best_return: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of the highest return so far ``[E]`` minus the critic's value ``[T, E, N]``."""
    return _mean(best_return[None, :, None] - value, mask)


def regret(best_return: ArrayLike, mean_return: ArrayLike) -> jax.Array:
    """Excess of the highest known return over the policy's mean return, at least 0, ``[E]``.

    The highest known return is an antagonist's, an optimal one if it is known, or the best of the
    policy's own episodes so far.

    Args:
        best_return: ``[E]``, or one number.
        mean_return: ``[E]``.
    """
    return jnp.maximum(jnp.asarray(best_return) - jnp.asarray(mean_return), 0.0)


def level_scores(
    transitions: Transition, best_return: jax.Array, discount: ArrayLike, gae_lambda: ArrayLike
) -> jax.Array:
    """All scores of the levels on which transitions were collected, ``float32[4, E]``.

    Args:
        transitions: ``[T, E, N]``, from the beginning of an episode.
        best_return: ``float32[E]``, highest return of an episode on the level, these included;
            ``-inf`` if there was none, which counts as 0.
        discount: discount factor of the values.
        gae_lambda: of the advantages, in ``[0, 1]``.

    Returns:
        One row for each of :data:`SCORES`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.advantages`.
    """
    estimate = advantages(
        transitions.reward,
        transitions.discount * discount,
        transitions.last,
        transitions.value,
        transitions.next_value,
        gae_lambda,  # type: ignore[arg-type]
    )
    mask = transitions.mask
    best = jnp.where(jnp.isfinite(best_return), best_return, 0.0)
    mean = episode_returns(transitions.reward, transitions.last).mean
    return jnp.stack(
        [
            value_l1(estimate, mask),
            positive_value_loss(estimate, mask),
            max_monte_carlo(transitions.value, best, mask),
            regret(best, mean),
        ]
    )


def _mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over steps and present agents, ``[E]``; 0 where there are none."""
    total = jnp.sum(jnp.where(mask, x, 0.0), axis=(0, 2))
    return total / jnp.maximum(jnp.sum(mask, axis=(0, 2)), 1)
