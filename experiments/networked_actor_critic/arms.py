"""Run linear critics on finite games and networked PPO on the donation game."""

from collections.abc import Callable

import jax

from experiments.harness.protocol import Results
from experiments.networked_actor_critic.config import Config
from experiments.networked_actor_critic.linear import (
    contraction_ratios,
    distances_from_limit,
    team_returns,
)
from experiments.networked_actor_critic.ppo import ppo_team_returns


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure team returns while learning and how linear critics converge.

    Returns:
        ``linear``: ``{arm: [seeds, evaluations]}``, team returns on the dilemma; ``limit``:
        ``{arm: [seeds]}``, distances from the exact fixed point; ``spectral``: ``[seeds]``,
        contraction of the disagreement; ``ppo``: ``{arm: [seeds, iterations]}``.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    return {
        "linear": team_returns(config, keys, progress),
        "limit": distances_from_limit(config, keys, progress),
        "spectral": contraction_ratios(config, keys),
        "ppo": ppo_team_returns(config, keys, progress),
    }
