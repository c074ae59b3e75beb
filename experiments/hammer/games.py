"""The games that messenger and agents play, with the sizes of their training."""

from typing import Any, NamedTuple

from experiments.hammer.config import (
    GLOBAL_REWARD,
    MORE_NAVIGATORS,
    NAVIGATION,
    ONE_LIMITED,
    SUM_GUESSING,
    Config,
    navigation_of,
)
from jaxswarm import envs
from jaxswarm.systems import hammer

OWN_MOTION = ("velocity", "position")  # what agents with limited observations observe


class Game(NamedTuple):
    """An environment and how agents are trained in it.

    Attributes:
        env: the environment, with a messenger.
        seeds: number of repetitions.
        steps: environment steps per PPO iteration and copy.
        copies: environments that are simulated at once.
        iterations: PPO iterations.
        scale: size of the agents' actions.
        initial_std: standard deviation of the actions at the start.
        ppo_messenger: whether the arm with a PPO messenger is run.
        physics: parameters of the environment; ``None`` for its own.
    """

    env: hammer.HammerEnvironment
    seeds: int
    steps: int
    copies: int
    iterations: int
    scale: float
    initial_std: float
    ppo_messenger: bool
    physics: Any = None


def build_games(config: Config) -> dict[str, Game]:
    """Build sum guessing and the variants of navigation."""
    games = {
        SUM_GUESSING: Game(
            hammer.HammerEnvironment(envs.SumGuessing(config.guessers), 1),
            seeds=config.seeds,
            steps=8,
            copies=config.guess_envs,
            iterations=config.guess_iterations,
            scale=10.0,
            initial_std=0.1,
            ppo_messenger=True,
        )
    }
    plain = envs.SimpleSpread(config.navigators)
    games[NAVIGATION] = navigation(config, hammer.HammerEnvironment(plain, 2, visible=OWN_MOTION))
    if not config.variants:
        return games
    for n in MORE_NAVIGATORS:
        larger = hammer.HammerEnvironment(envs.SimpleSpread(n), 2, visible=OWN_MOTION)
        games[navigation_of(n)] = navigation(config, larger)
    one_limited = hammer.HammerEnvironment(plain, 2, visible=OWN_MOTION, limited_agents=(0,))
    games[ONE_LIMITED] = navigation(config, one_limited)
    games[GLOBAL_REWARD] = navigation(
        config,
        hammer.HammerEnvironment(plain, 2, visible=OWN_MOTION),
        physics=plain.params._replace(team_share=1.0),
    )
    return games


def navigation(config: Config, env: hammer.HammerEnvironment, physics: Any = None) -> Game:
    """Describe the training in one variant of navigation."""
    return Game(
        env,
        seeds=config.navigation_seeds,
        steps=25,
        copies=config.envs,
        iterations=config.iterations,
        scale=1.0,
        initial_std=0.5,
        ppo_messenger=config.variants,
        physics=physics,
    )
