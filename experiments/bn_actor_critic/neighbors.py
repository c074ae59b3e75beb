"""Networked agents on a path, with private rewards and policies that condition on a neighbor.

Shapes: ``S`` seeds, ``N`` agents.
"""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from jaxswarm import gossip, rollout, topology
from jaxswarm.rl import networked
from jaxswarm.systems import bn_actor_critic

NO_EDGES, PATH, COMPLETE = range(3)
CONDITIONED_ARMS = {
    "isolated": NO_EDGES,
    "path": PATH,
    "complete graph": COMPLETE,
    "team reward": NO_EDGES,
}
"""Arms whose agents condition their actions on their predecessor's -> graph over which critics are
exchanged. In ``team reward`` every agent receives the team's reward."""

NO_PARENTS = "path, no parents"

LATE = 0.999  # discount at which the best mean reward per step is found
VALUE_ITERATIONS = 20_000


def train_on_path(
    keys: jax.Array, *, steps: int, num_agents: int = 3, actor_rate: float = 1.0
) -> dict[str, np.ndarray]:
    """Train agents on a path, with and without parents.

    All arms have the same initial tables. Agents without the team's reward are paid in a third of
    the states only.

    Returns:
        Exact mean rewards of the learned joint policies as shares of the best, ``{arm: [S]}``.
    """
    n = num_agents
    game = bn_actor_critic.coordination_game(n)
    private = pay_in_turn(game)
    best_values = bn_actor_critic.optimal_values(game, LATE, VALUE_ITERATIONS)
    best = float(jnp.mean(best_values)) * (1.0 - LATE)
    path = topology.from_edges(np.array([(i, i + 1) for i in range(n - 1)]), n)
    no_edges = topology.from_edges(np.zeros((0, 2), int), n)
    graphs = topology.stack([no_edges, path, topology.complete(n)])
    W = gossip.mixing(graphs, "metropolis", layout="dense", connected=False)
    communicates = np.asarray(path.adjacency()) > 0

    def train(dag: np.ndarray, graph: jax.Array, rewards: jax.Array) -> np.ndarray:
        """Shares of the best, ``[arms, S]``; all arms with one DAG share a program."""
        policies = bn_actor_critic.bayesian_policies(game, dag, communicates=communicates)

        def train_seed(graph: jax.Array, reward: jax.Array, key: jax.Array) -> jax.Array:
            learner = networked.networked_actor_critic(
                game._replace(reward=reward),
                indicator_features(game),
                gossip.averaging(W[graph]),
                rates=networked.Rates(actor=actor_rate),
                policies=policies,
            )
            start_key, run_key = jax.random.split(key)
            start = learner.init(jax.random.normal(start_key, policies.shape))
            state, _ = rollout(learner.step, start, steps, key=run_key, every=steps)
            return jnp.exp(bn_actor_critic.log_joint(state.actors, game, jnp.asarray(dag)))

        over_seeds = jax.vmap(train_seed, (None, None, 0))
        train_arms = jit_fast_compile(jax.vmap(over_seeds, (0, 0, None)))
        joint_policies = np.asarray(train_arms(graph, rewards, keys))
        returns = [
            [networked.solve(game, joint).average for joint in of_arm] for of_arm in joint_policies
        ]
        return np.array(returns) / best

    conditioned = train(
        bn_actor_critic.line(n),
        jnp.array(list(CONDITIONED_ARMS.values())),
        jnp.stack([private.reward] * 3 + [game.reward]),
    )
    independent = train(bn_actor_critic.independent(n), jnp.array([PATH]), private.reward[None])
    return dict(zip(CONDITIONED_ARMS, conditioned, strict=True)) | {NO_PARENTS: independent[0]}


def pay_in_turn(game: networked.MarkovGame) -> networked.MarkovGame:
    """Pay the whole team's reward to one agent, a different one from state to state."""
    n, states = game.num_agents, game.num_states
    factor = n * (np.arange(states) % n == np.arange(n)[:, None])
    return game._replace(reward=game.reward * jnp.asarray(factor, game.reward.dtype)[:, :, None])


def indicator_features(game: networked.MarkovGame) -> networked.Features:
    """Features that represent values and rewards exactly.

    There is a value for every state but the first; rewards do not depend on actions here.
    """
    states, joint = game.num_states, game.transition.shape[1]
    indicator = np.eye(states, dtype=np.float32)
    reward = np.broadcast_to(indicator[:, None, :], (states, joint, states))
    return networked.Features(jnp.asarray(indicator[:, 1:]), jnp.asarray(reward.copy()))
