"""Linear critics on finite games: learning curves, distance from the exact limit, contraction.

Shapes: ``N`` agents, ``S`` seeds.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.networked_actor_critic.config import Config
from experiments.networked_actor_critic.graphs import COMPLETE, NO_EDGES, SPARSE, stacked_mixing
from jaxswarm import agents, gossip, rollout, topology
from jaxswarm.gossip import robust
from jaxswarm.rl import networked

FORGED_SCALE = 4.0  # the Byzantine agent sends minus this many times its critic
DELAY = 3  # steps by which messages of the delayed arm are late
DELAYED = f"ring, delay {DELAY}"  # name of that arm
EXCHANGES = 10  # exchanges over which the contraction is measured

GRAPH_ARMS = {
    "isolated": (NO_EDGES, False),
    "ring": (SPARSE, False),
    "complete graph": (COMPLETE, False),
    "team reward": (NO_EDGES, True),
}
"""Arm -> graph, and whether every agent receives the mean reward of all."""

ACTION_VALUES = ("isolated, action values", "ring, action values")
"""Arms of the paper's Algorithm 1, on the first two graphs."""


def team_returns(
    config: Config, keys: jax.Array, progress: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Exact team returns on the dilemma while learning, ``{arm: [S, evaluations]}``.

    They are shares of what always giving earns.
    """
    n = config.agents
    game = networked.dilemma(n)
    best = networked.solve(game, np.broadcast_to([0.0, 1.0], (n, 2, 2))).average

    def shares(policies: np.ndarray) -> np.ndarray:
        """Evaluate policies ``[S, evaluations, N, 2, 2]`` exactly."""
        returns = [[networked.solve(game, policy).average for policy in run] for run in policies]
        return np.array(returns) / best

    progress("linear critics: isolated, ring, complete graph, team reward")
    W = stacked_mixing(n, topology.ring(n))
    graph = jnp.array([graph for graph, _ in GRAPH_ARMS.values()])
    mean_reward = jnp.broadcast_to(jnp.mean(game.reward, axis=0), game.reward.shape)
    reward = jnp.stack(
        [mean_reward if is_shared else game.reward for _, is_shared in GRAPH_ARMS.values()]
    )

    def train_on_graph(graph: jax.Array, reward: jax.Array, key: jax.Array) -> jax.Array:
        return train(config, game._replace(reward=reward), gossip.averaging(W[graph]), key)

    over_seeds = jax.vmap(train_on_graph, (None, None, 0))
    policies = jit_fast_compile(jax.vmap(over_seeds, (0, 0, None)))(graph, reward, keys)
    returns = dict(zip(GRAPH_ARMS, map(shares, np.asarray(policies)), strict=True))
    for name, rule in restricted_rules(n):
        progress(f"linear critics: {name}")
        train_seeds = jit_fast_compile(
            jax.vmap(lambda key, rule=rule: train(config, game, rule, key))
        )
        returns[name] = shares(np.asarray(train_seeds(keys)))
    progress("linear critics: action values")

    def train_action_values(graph: jax.Array, key: jax.Array) -> jax.Array:
        return train(config, game, gossip.averaging(W[graph]), key, critic="action")

    over_seeds = jax.vmap(train_action_values, (None, 0))
    policies = jit_fast_compile(jax.vmap(over_seeds, (0, None)))(graph[:2], keys)
    returns |= zip(ACTION_VALUES, map(shares, np.asarray(policies)), strict=True)
    return returns


def train(
    config: Config,
    game: networked.MarkovGame,
    rule: gossip.GossipTransformation,
    key: jax.Array,
    critic: str = "value",
) -> jax.Array:
    """Train one seed on the dilemma and return the policies, ``[evaluations, N, 2, 2]``."""
    features = networked.additive_features(game)
    learner = networked.networked_actor_critic(game, features, rule, critic=critic)
    _, records = rollout(
        learner.step,
        learner.init(jnp.zeros((config.agents, 2, 2))),
        config.steps,
        key=key,
        every=config.every,
        evaluate=lambda state: jax.nn.softmax(state.actors),
    )
    return records.evaluation


def restricted_rules(n: int) -> Iterator[tuple[str, gossip.GossipTransformation]]:
    """Exchanges with less communication than a ring, and with a Byzantine agent."""
    ring = gossip.averaging(gossip.mixing(topology.ring(n)))
    complete = topology.complete(n)
    averaging = gossip.averaging(gossip.mixing(complete, "uniform"))
    matchings = gossip.mixing(topology.one_peer_exponential(n))
    byzantine = jnp.arange(n) == 0
    forge = gossip.attacks.sign_flip(FORGED_SCALE)
    yield "one peer per step", gossip.averaging(matchings)
    yield "ring, 8 bits", gossip.compressed(ring, gossip.quantize(8))
    yield DELAYED, gossip.delayed(ring, DELAY)
    yield "Byzantine agent, averaging", gossip.attacked(averaging, forge, byzantine)
    trimmed = robust.trimmed_mean(complete, 1)
    yield "Byzantine agent, trimmed mean", gossip.attacked(trimmed, forge, byzantine)


def distances_from_limit(
    config: Config, keys: jax.Array, progress: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Relative distance of the farthest critic from the exact fixed point, ``{arm: [S]}``.

    The policy is fixed (uniform) and the game random; the fixed point is that of the team's mean
    reward.
    """
    progress("linear critics: a fixed policy")
    n = config.agents
    game = networked.random_game(n, 5, 2, seed=config.seed)
    features = networked.random_features(game, 3, 6, seed=config.seed)
    exact = networked.critic_fixed_point(game, features, np.full((n, 5, 2), 0.5))
    target = np.concatenate([exact["value"], exact["reward"]])
    W = stacked_mixing(n, topology.ring(n))
    steps = 5 * config.steps

    def evaluate_policy(graph: jax.Array, key: jax.Array) -> jax.Array:
        learner = networked.networked_actor_critic(
            game, features, gossip.averaging(W[graph]), rates=networked.Rates(actor=0.0)
        )
        start = learner.init(jnp.zeros((n, 5, 2)))
        state, _ = rollout(learner.step, start, steps, key=key, every=steps)
        return jnp.concatenate([state.critics["value"], state.critics["reward"]], axis=1)

    over_seeds = jax.vmap(evaluate_policy, (None, 0))
    graphs = jnp.array([NO_EDGES, SPARSE])
    critics = np.asarray(jit_fast_compile(jax.vmap(over_seeds, (0, None)))(graphs, keys))
    distances = np.linalg.norm(critics - target, axis=-1) / np.linalg.norm(target)  # [2, S, N]
    return dict(zip(("isolated", "ring"), distances.max(axis=-1), strict=True))


def contraction_ratios(config: Config, keys: jax.Array) -> np.ndarray:
    """Largest one-step ratio of the critics' disagreement on a ring, over ``|λ₂|²``; ``[S]``.

    Critics start at random; learning rates are zero, so that this is the mixing matrix alone.
    """
    n = config.agents
    game = networked.dilemma(n)
    W = gossip.mixing(topology.ring(n))
    learner = networked.networked_actor_critic(
        game,
        networked.additive_features(game),
        gossip.averaging(W),
        rates=networked.Rates(critic=0.0, actor=0.0),
    )
    rate = float(topology.spectra.second_eigenvalue(W)) ** 2

    def largest_ratio(key: jax.Array) -> jax.Array:
        start = learner.init(jnp.zeros((n, 2, 2)))
        keys = dict(zip(start.critics, jax.random.split(key), strict=True))
        critics = {
            name: jax.random.normal(keys[name], x.shape) for name, x in start.critics.items()
        }
        _, records = rollout(
            learner.step,
            start._replace(critics=critics),
            EXCHANGES,
            key=key,
            evaluate=lambda state: agents.disagreement(state.critics),
        )
        disagreement = jnp.append(agents.disagreement(critics), records.evaluation)
        return jnp.max(disagreement[1:] / disagreement[:-1]) / rate

    return np.asarray(jit_fast_compile(jax.vmap(largest_ratio))(keys))
