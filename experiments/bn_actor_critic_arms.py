"""Arms of ``bn_actor_critic`` beyond tables: networked agents, and teams that learn by PPO."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.programs import program
from jaxswarm import agents, envs, gossip, rl, rollout, topology
from jaxswarm.rl import networked
from jaxswarm.systems import bn_actor_critic

LATE = 0.999  # discount at which the best mean reward of a step is found
GIVEN = ("independent", "full")
HEARING = ("alone", "path", "everyone", "told the team's reward")


def private(game: networked.MarkovGame) -> networked.MarkovGame:
    """The same team reward, all of it paid to one agent, state by state in turn."""
    n, states = game.num_agents, game.num_states
    paid = n * (np.arange(states) % n == np.arange(n)[:, None])
    return game._replace(reward=game.reward * jnp.asarray(paid, game.reward.dtype)[:, :, None])


def neighbors(
    keys: jax.Array, *, steps: int, num_agents: int = 3, actor_rate: float = 1.0
) -> dict[str, np.ndarray]:
    """Agents on a path, ``{arm: [S]}``: exact mean rewards as shares of the best.

    Who is paid for a state is told nothing of the others' pay. Graphs over actions are part of the
    path; starts are shared by all arms.
    """
    n = num_agents
    game = bn_actor_critic.coordination_game(n)
    paid = private(game)
    best = float(jnp.mean(bn_actor_critic.best_values(game, LATE, 20_000))) * (1.0 - LATE)
    path = topology.from_edges(np.array([(i, i + 1) for i in range(n - 1)]), n)
    nobody = topology.from_edges(np.zeros((0, 2), int), n)
    graphs = topology.stack([nobody, path, topology.complete(n)])
    W = gossip.mixing(graphs, "metropolis", layout="dense", connected=False)
    heard = np.asarray(path.adjacency()) > 0

    def over(dag: np.ndarray, which: jax.Array, rewards: jax.Array) -> np.ndarray:
        """Shares of the best, ``[arms, S]``; all arms of a graph over actions are one program."""
        policies = bn_actor_critic.bayesian_policies(game, dag, communicates=heard)

        def one(which: jax.Array, reward: jax.Array, key: jax.Array) -> jax.Array:
            learner = networked.networked_actor_critic(
                game._replace(reward=reward),
                _indicators(game),
                gossip.averaging(W[which]),
                rates=networked.Rates(actor=actor_rate),
                policies=policies,
            )
            start_key, run_key = jax.random.split(key)
            start = learner.init(jax.random.normal(start_key, policies.shape))
            state, _ = rollout(learner.step, start, steps, key=run_key, every=steps)
            return jnp.exp(bn_actor_critic.log_joint(state.actors, game, jnp.asarray(dag)))

        run = jax.vmap(jax.vmap(one, (None, None, 0)), (0, 0, None))
        joints = np.asarray(program(run)(which, rewards, keys))
        return np.array([[networked.solve(game, x).average for x in arm] for arm in joints]) / best

    hears = over(
        bn_actor_critic.line(n),
        jnp.array([0, 1, 2, 0]),
        jnp.stack([paid.reward] * 3 + [game.reward]),
    )
    deaf = over(bn_actor_critic.independent(n), jnp.array([1]), paid.reward[None])
    return dict(zip(HEARING, hears, strict=True)) | {"path, deaf": deaf[0]}


def _indicators(game: networked.MarkovGame) -> networked.Features:
    """Exact: a value for every state but the first; rewards do not depend on actions here."""
    states, joint = game.num_states, game.transition.shape[1]
    here = np.eye(states, dtype=np.float32)
    return networked.Features(
        jnp.asarray(here[:, 1:]),
        jnp.asarray(np.broadcast_to(here[:, None, :], (states, joint, states)).copy()),
    )


def teams(
    env: Any,
    keys: jax.Array,
    *,
    iterations: int,
    num_envs: int,
    episodes: int,
    lr: float,
    discount: float,
    alpha: float,
    graphs: Sequence[str],
) -> dict[str, dict[str, np.ndarray]]:
    """BN-MAPPO with each graph, ``{arm: {"return", "cut", "curve", "density"}}``.

    ``return [S]``: mean over fresh episodes, members' modes; ``cut [S]``: the same policies
    executed without any edge; ``curve [S, I]``: return while learning; ``density [S, I]``. Graphs
    that are given share one program, graphs that are drawn another.
    """
    team = bn_actor_critic.Team(env)
    numbers = rl.PPOHyperparameters(lr=lr, discount=discount, entropy=0.01)
    schedule = bn_actor_critic.annealing(iterations)
    alone = bn_actor_critic.wiring("independent", env.num_agents)

    def compiled(draws: bool) -> Any:
        """``run(wiring, keys) -> results [S]``, compiled; seed by seed, so they fit the cache."""
        network = bn_actor_critic.team_network(team, draws=draws)
        learner = bn_actor_critic.bn_mappo(
            team,
            network,
            schedule=schedule,
            num_envs=num_envs,
            num_steps=env.time_limit,
            epochs=5,
            minibatches=1,
        )
        acting = rl.policy(network, shared=True, deterministic=True)

        def one(wiring: bn_actor_critic.Wiring, key: jax.Array) -> dict[str, jax.Array]:
            init_key, start_key, run_key, test_key = jax.random.split(key, 4)
            state = learner.init(rl.initialize(init_key, network, 1, shared=True), start_key)
            given = bn_actor_critic.TeamHyperparameters(wiring, numbers)
            state, records = rollout(learner.step, state, iterations, key=run_key, inputs=given)
            params = state.learner.params

            def score(params: Any) -> jax.Array:
                return jnp.mean(rl.evaluate(team, acting, test_key, episodes, params=params))

            return {
                "return": score(params),
                "cut": score(bn_actor_critic.with_wiring(params, alone)),
                "curve": records.info.ppo.reward * env.time_limit,
                "density": records.info.density,
            }

        run = program(lambda wiring, keys: jax.lax.map(lambda key: one(wiring, key), keys))
        return run.lower(alone, keys).compile()

    def arm(name: str) -> dict[str, np.ndarray]:
        wiring = bn_actor_critic.wiring(
            "learnt" if name == "annealed" else name,
            env.num_agents,
            alpha=alpha if name == "annealed" else 0.0,
        )
        return jax.tree.map(np.asarray, programs[name not in GIVEN](wiring, keys))

    # Programs of many small steps leave a core idle: the arms run side by side, in threads.
    kinds = sorted({name not in GIVEN for name in graphs})
    with ThreadPoolExecutor(2) as pool:
        programs = dict(zip(kinds, pool.map(compiled, kinds), strict=True))
        costly_first = sorted(graphs, key=lambda name: name in GIVEN)
        found = dict(zip(costly_first, pool.map(arm, costly_first), strict=True))
    return {name: found[name] for name in graphs}


def games(aloha: int, coordination: int) -> dict[str, tuple[Any, float]]:
    """Worlds and discounts of the teams; a size of 0 leaves one out."""
    found: dict[str, tuple[Any, float]] = {}
    if aloha:
        found["aloha"] = (envs.Aloha(aloha), 0.99)
    if coordination:
        found["coordination"] = (envs.CoordinationGame(coordination), 0.95)
    return found


def keys_of(seed: int, count: int) -> jax.Array:
    """One key a seed."""
    return agents.keys(jax.random.key(seed), count)
