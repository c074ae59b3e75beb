"""Run tabular policies, networked agents and teams that learn by BN-MAPPO."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.bn_actor_critic.config import Config
from experiments.bn_actor_critic.games import build_games
from experiments.bn_actor_critic.neighbors import train_on_path
from experiments.bn_actor_critic.tables import ascend
from experiments.bn_actor_critic.teams import train_teams
from experiments.harness.protocol import Results
from jaxswarm import agents


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure values and returns of joint policies with different graphs.

    Returns:
        ``tables``: ``{number of agents: found}``, see :func:`ascend`; ``neighbors``:
        ``{arm: [seeds]}``, see :func:`train_on_path`; ``teams``: ``{game: {arm: found}}``, see
        :func:`train_teams`.
    """
    key = jax.random.key(config.seed)
    tables = {}
    for n in config.sizes:
        progress(f"tables, {n} agents")
        tables[str(n)] = ascend(config, n, agents.keys(key, config.seeds))
    progress("networked agents on a path")
    neighbors = train_on_path(
        agents.keys(key, config.neighbor_seeds),
        steps=config.neighbor_steps,
        actor_rate=config.actor_rate,
    )
    teams = {}
    for name, game in build_games(config).items():
        progress(f"BN-MAPPO, {name}, {game.env.num_agents} agents")
        keys = agents.keys(key, config.team_seeds)
        teams[name] = train_teams(config, game, keys)
    results = {"tables": tables, "neighbors": neighbors, "teams": teams}
    return jax.tree.map(np.asarray, results)
