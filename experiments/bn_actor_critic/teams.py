"""Teams that learn by BN-MAPPO, with graphs that are given, learned, random or annealed.

Shapes: ``S`` seeds, ``I`` iterations.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bn_actor_critic.config import ANNEALED, Config
from experiments.bn_actor_critic.games import Game
from experiments.harness.compile import jit_fast_compile
from jaxswarm import rl, rollout
from jaxswarm.systems import bn_actor_critic

GIVEN = ("independent", "full")
"""Graphs that are fixed; the others are sampled for every state."""

Program = Callable[[bn_actor_critic.GraphSettings, jax.Array], dict[str, jax.Array]]


def train_teams(config: Config, game: Game, keys: jax.Array) -> dict[str, dict[str, np.ndarray]]:
    """Train BN-MAPPO with every graph of ``config.team_graphs``.

    Graphs that are given share one program, graphs that are sampled another.

    Returns:
        ``{arm: found}`` with ``return [S]``, the mean over fresh episodes with each agent's most
        likely action; ``cut [S]``, the same policies executed without any edge; ``curve [S, I]``,
        the return in training; and ``density [S, I]`` of the graphs.
    """

    def train_arm(name: str) -> dict[str, np.ndarray]:
        is_annealed = name == ANNEALED
        wiring = bn_actor_critic.graph_settings(
            "learnt" if is_annealed else name,
            game.env.num_agents,
            density_weight=config.alpha if is_annealed else 0.0,
        )
        return jax.tree.map(np.asarray, programs[name not in GIVEN](wiring, keys))

    # Programs of many small steps leave a core idle: the arms run side by side, in threads.
    kinds = sorted({name not in GIVEN for name in config.team_graphs})
    with ThreadPoolExecutor(2) as pool:
        compiled = pool.map(
            lambda samples: compile_team(config, game, keys, samples=samples),
            kinds,
        )
        programs = dict(zip(kinds, compiled, strict=True))
        costly_first = sorted(config.team_graphs, key=lambda name: name in GIVEN)
        found = dict(zip(costly_first, pool.map(train_arm, costly_first), strict=True))
    return {name: found[name] for name in config.team_graphs}


def compile_team(config: Config, game: Game, keys: jax.Array, *, samples: bool) -> Program:
    """Compile ``(wiring, keys) -> results``; seed by seed, so that they fit the cache.

    Args:
        config: sizes.
        game: the environment, its discount factor and the length of the training.
        keys: ``[S]``.
        samples: whether the graph is sampled for every state rather than given.
    """
    env = game.env
    team = bn_actor_critic.Team(env)
    network = bn_actor_critic.team_network(team, sampled=samples)
    hyperparameters = bn_actor_critic.PAPER._replace(lr=config.team_lr, discount=game.discount)
    without_edges = bn_actor_critic.graph_settings("independent", env.num_agents)
    learner = bn_actor_critic.bn_mappo(
        team,
        network,
        schedule=bn_actor_critic.annealing(game.iterations),
        num_envs=config.team_envs,
        num_steps=env.time_limit,
        epochs=5,
        minibatches=1,
    )
    policy = rl.policy(network, shared=True, deterministic=True)

    def train_seed(wiring: bn_actor_critic.GraphSettings, key: jax.Array) -> dict[str, jax.Array]:
        init_key, start_key, run_key, test_key = jax.random.split(key, 4)
        state = learner.init(rl.initialize(init_key, network, 1, shared=True), start_key)
        inputs = bn_actor_critic.TeamHyperparameters(wiring, hyperparameters)
        state, records = rollout(learner.step, state, game.iterations, key=run_key, inputs=inputs)
        params = state.learner.params

        def mean_return(params: object) -> jax.Array:
            returns = rl.evaluate(test_key, team, policy, config.episodes, params=params)
            return jnp.mean(returns)

        return {
            "return": mean_return(params),
            "cut": mean_return(bn_actor_critic.with_graph(params, without_edges)),
            "curve": records.info.ppo.reward * env.time_limit,
            "density": records.info.density,
        }

    train_seeds = jit_fast_compile(
        lambda wiring, keys: jax.lax.map(lambda key: train_seed(wiring, key), keys)
    )
    return train_seeds.lower(without_edges, keys).compile()
