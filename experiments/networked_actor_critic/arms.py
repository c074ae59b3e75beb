"""Run linear critics on finite games and networked PPO on the donation game."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.harness.protocol import LearningCurves, Results
from experiments.networked_actor_critic.config import Config
from experiments.networked_actor_critic.linear import (
    contraction_ratios,
    distances_from_limit,
    team_returns,
)
from experiments.networked_actor_critic.ppo import ppo_team_returns

LIMIT_SEEDS = 5  # of a fixed policy, whose runs are five times as long


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure team returns while learning and how linear critics converge.

    Returns:
        ``linear``: ``{arm: [seeds, evaluations]}``, team returns on the dilemma; ``limit``:
        ``{arm: [seeds]}``, distances from the exact fixed point; ``spectral``: ``[seeds]``,
        contraction of the disagreement; ``ppo``: ``{arm: [seeds, iterations]}``, in training;
        ``ppo_final``: ``{arm: [seeds]}``, of the learned policies on evaluation episodes.
    """
    # Keys depend on the number of agents, so that full scale is not small's first seeds again.
    key = jax.random.fold_in(jax.random.key(config.seed), config.ppo_agents)
    linear_key, ppo_key = jax.random.split(key)
    linear_keys = jax.random.split(linear_key, config.linear_seeds)
    curves, final = ppo_team_returns(config, jax.random.split(ppo_key, config.seeds), progress)
    return {
        "linear": team_returns(config, linear_keys, progress),
        "limit": distances_from_limit(config, linear_keys[:LIMIT_SEEDS], progress),
        "spectral": contraction_ratios(config, linear_keys[:LIMIT_SEEDS]),
        "ppo": curves,
        "ppo_final": final,
    }


def learning_curves(config: Config, results: Results) -> dict[str, LearningCurves]:
    """Team returns of linear critics on the dilemma, and of PPO on the donation game."""
    evaluations = len(next(iter(results["linear"].values()))[0])
    iteration = config.envs * config.horizon
    return {
        "dilemma": LearningCurves(
            np.arange(1, evaluations + 1) * config.every, results["linear"], None
        ),
        "donations": LearningCurves(
            np.arange(1, config.iterations + 1) * iteration, results["ppo"], results["ppo_final"]
        ),
    }
