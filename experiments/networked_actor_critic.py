"""Agents with private rewards who exchange what they believe, and act for the team.

First as published, with linear critics on finite games: a random one, whose limit is known from
linear solves, and a dilemma on a circle, in which whoever looks at its own reward keeps what the
team would want it to give. Then the same idea around PPO on the donation game.

Team returns are shares of what giving always earns; on the dilemma they are exact, from the
stationary distribution of the learned policies. *Alone* exchanges nothing; *told the team's reward*
is the centralised learner, every agent of which gets the mean reward and needs no neighbours.
*Critics only* leaves the own reward in PPO's advantages, as a control: averaged values alone do not
make a team. The liar tells its neighbours minus four times its critic.

At full scale a thousand agents learn by PPO at once. Reward models see the mean action there, and
half of the agents care for gifts twice as much, half not at all: alike agents would find the team's
reward in their own.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from experiments.programs import program
from jaxswarm import agents, envs, gossip, plotting, rl, rollout, statistics, topology
from jaxswarm.envs.environment import Outcome
from jaxswarm.gossip import robust
from jaxswarm.rl import networked

NAME = "networked_actor_critic"
TITLE = "Private rewards, gossiped critics: neighbours make a team"
PAPER = Paper(
    "K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar",
    "Fully decentralized multi-agent reinforcement learning with networked agents",
    2018,
)

# Fixed before the first run; team returns are shares of the best.
GAIN = 0.5  # of a ring over nobody
PARITY = 0.05  # of full averaging with the centralised learner
LOSS = 0.05  # by compression, delay or a graph that changes
LIMIT = 0.1  # relative distance of every critic from the exact fixed point
BROKEN = 0.3  # lost to one liar under plain averaging
WITHSTOOD = 0.1  # lost to the same liar under a robust rule
CRITICS_ONLY = 0.2  # gained by averaged critics with own rewards


@dataclass(frozen=True)
class Config:
    """Sizes."""

    agents: int = 8  # of the games, a power of two
    steps: int = 20_000  # of the linear learners
    every: int = 1_000
    ppo_agents: int = 8
    ppo_degree: int = 2  # of their network; 2 is a ring
    envs: int = 8
    horizon: int = 40
    iterations: int = 50
    epochs: int = 4
    minibatches: int = 2
    lr: float = 3e-3
    discount: float = 0.9
    joint: str = "all"  # what reward models see of the others' actions, or "mean"
    unlike: float = (
        0.0  # gifts are worth 1 + unlike to half of the agents, 1 − unlike to the others
    )
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.agents < 4 or self.agents & (self.agents - 1):
            raise ValueError(f"agents: expected a power of two from 4 on, got {self.agents}")
        if self.steps % self.every:
            raise ValueError(f"every: expected a divisor of {self.steps}, got {self.every}")
        if not 0.0 <= self.unlike <= 1.0:
            raise ValueError(f"unlike: expected within [0, 1], got {self.unlike}")


SCALES = {
    "smoke": Config(
        agents=4, steps=200, every=100, ppo_agents=4, envs=2, horizon=10, iterations=2, epochs=1,
        minibatches=1, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        ppo_agents=1000, ppo_degree=4, joint="mean", unlike=1.0, horizon=20, iterations=240,
        seeds=2,
    ),
}  # fmt: skip


class PaidParams(NamedTuple):
    """Physics of the donation game, what gifts are worth to each, how much is shared; traced."""

    benefit: Any = 3.0
    cost: Any = 1.0
    income: Any = 0.4
    growth: Any = 0.5
    mean_pay: Any = 0.0
    worth: Any = 1.0  # [N]


class PaidDonations(envs.Donations):
    """The donation game in which tastes differ and everybody may be paid the mean reward."""

    @property
    def params(self) -> Any:
        """Private rewards, equal tastes."""
        return PaidParams(worth=jnp.ones(self.num_agents))

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Outcome:
        """As the original's, with gifts weighed and the reward shared or not."""
        outcome = super().advance(key, world, action, params)
        spent = params.cost * (world.has & (action == 1))
        own = params.worth * (outcome.reward + spent) - spent
        return outcome._replace(reward=own + params.mean_pay * (jnp.mean(own) - own))


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Team returns over time, ``{arm: [seeds, records]}`` of both parts, and the exact limits."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    results: dict[str, Any] = {"linear": _linear(config, keys, progress)}
    results |= {"limit": _limits(config, keys, progress)}
    results |= {"spectral": _contraction(config, keys)}
    results |= {"ppo": _ppo(config, keys, progress)}
    results["steps"] = np.arange(1, config.steps // config.every + 1) * config.every
    results["iterations"] = np.arange(1, config.iterations + 1)
    return results


def _networks(n: int, near: topology.Topology) -> gossip.Mixing:
    """Nobody, ``near`` and everybody as one stacked operator: arms share a program."""
    nobody = topology.from_edges(np.zeros((0, 2), int), n)
    graphs = topology.stack([nobody, near, topology.complete(n)])
    return gossip.mixing(graphs, "metropolis", layout="dense", connected=False)


def _linear(config: Config, keys: jax.Array, progress: Callable[[str], None]) -> dict[str, Any]:
    n = config.agents
    game = networked.dilemma(n)
    features = networked.additive_features(game)
    best = networked.solve(game, np.broadcast_to([0.0, 1.0], (n, 2, 2))).average
    shared = jnp.broadcast_to(jnp.mean(game.reward, axis=0), game.reward.shape)
    ring = gossip.averaging(gossip.mixing(topology.ring(n)))
    crowd = topology.complete(n)
    everyone = gossip.averaging(gossip.mixing(crowd, "uniform"))
    liar = jnp.arange(n) == 0
    lie = gossip.ATTACKS["sign_flip"](4.0)
    matchings = gossip.mixing(topology.one_peer_exponential(n))

    def policies(reward: jax.Array, rule: Any, key: jax.Array) -> jax.Array:
        learner = networked.networked_actor_critic(game._replace(reward=reward), features, rule)
        return rollout(
            learner.step,
            learner.init(jnp.zeros((n, 2, 2))),
            config.steps,
            key=key,
            every=config.every,
            evaluate=lambda state: jax.nn.softmax(state.actors),
        )[1].evaluation

    def worth(found: np.ndarray) -> np.ndarray:
        """``[S, records]`` exact team returns of policies ``[S, records, N, 2, 2]``."""
        each = [[networked.solve(game, policy).average for policy in run] for run in found]
        return np.array(each) / best

    progress("linear: alone, ring, everyone, told")
    W = _networks(n, topology.ring(n))
    names = ("alone", "ring", "everyone", "told the team's reward")
    which = jnp.array([0, 1, 2, 0])
    rewards = jnp.stack([game.reward] * 3 + [shared])

    def arm(which: jax.Array, reward: jax.Array, key: jax.Array) -> jax.Array:
        return policies(reward, gossip.averaging(W[which]), key)

    over_seeds = jax.vmap(arm, (None, None, 0))
    every = np.asarray(program(jax.vmap(over_seeds, (0, 0, None)))(which, rewards, keys))
    found: dict[str, Any] = dict(zip(names, map(worth, every), strict=True))
    rules = {
        "one peer a step": gossip.averaging(matchings),
        "ring, 8 bits": gossip.compressed(ring, gossip.quantize(8)),
        "ring, 3 steps late": gossip.delayed(ring, 3),
        "a liar, averaging": gossip.attacked(everyone, lie, liar),
        "a liar, trimmed mean": gossip.attacked(robust.trimmed_mean(crowd, 1), lie, liar),
    }
    for name, rule in rules.items():
        progress(f"linear: {name}")
        one = program(jax.vmap(lambda key, rule=rule: policies(game.reward, rule, key)))
        found[name] = worth(np.asarray(one(keys)))
    return found


def _limits(config: Config, keys: jax.Array, progress: Callable[[str], None]) -> dict[str, Any]:
    """Relative distance of the farthest critic to the exact fixed point, under a fixed policy."""
    progress("linear: a fixed policy")
    n = config.agents
    game = networked.random_game(n, 5, 2, seed=config.seed)
    features = networked.random_features(game, 3, 6, seed=config.seed)
    exact = networked.limit(game, features, np.full((n, 5, 2), 0.5))
    target = np.concatenate([exact["value"], exact["reward"]])
    W = _networks(n, topology.ring(n))
    steps = 5 * config.steps

    def one(which: jax.Array, key: jax.Array) -> jax.Array:
        rule = gossip.averaging(W[which])
        learner = networked.networked_actor_critic(
            game, features, rule, rates=networked.Rates(actor=0.0)
        )
        start = learner.init(jnp.zeros((n, 5, 2)))
        state, _ = rollout(learner.step, start, steps, key=key, every=steps)
        return jnp.concatenate([state.critics["value"], state.critics["reward"]], axis=1)

    run = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    critics = np.asarray(run(jnp.arange(2), keys))  # [2, S, N, D + F]
    away = np.linalg.norm(critics - target, axis=-1) / np.linalg.norm(target)
    return dict(zip(("alone", "ring"), away.max(axis=-1), strict=True))


def _contraction(config: Config, keys: jax.Array) -> np.ndarray:
    """Worst one-step ratio of the disagreement on a ring, in units of ``|λ₂|²``, per seed."""
    n = config.agents
    game = networked.dilemma(n)
    W = gossip.mixing(topology.ring(n))
    still = networked.Rates(critic=0.0, actor=0.0)
    learner = networked.networked_actor_critic(
        game, networked.additive_features(game), gossip.averaging(W), rates=still
    )
    rate = float(gossip.second_eigenvalue(W)) ** 2

    def one(key: jax.Array) -> jax.Array:
        start = learner.init(jnp.zeros((n, 2, 2)))
        scattered = jax.tree.map(lambda x: jax.random.normal(key, x.shape), start.critics)
        _, records = rollout(
            learner.step,
            start._replace(critics=scattered),
            10,
            key=key,
            evaluate=lambda state: agents.disagreement(state.critics),
        )
        spread = jnp.append(agents.disagreement(scattered), records.evaluation)
        return jnp.max(spread[1:] / spread[:-1]) / rate

    return np.asarray(program(jax.vmap(one))(keys))


def _ppo(config: Config, keys: jax.Array, progress: Callable[[str], None]) -> dict[str, Any]:
    n = config.ppo_agents
    env = PaidDonations(n)
    half = jax.random.permutation(jax.random.key(config.seed), n) < n // 2
    worth = jnp.where(half, 1.0 + config.unlike, 1.0 - config.unlike)
    network = rl.network_for(env, critic="global", widths=(32,))
    graph = (
        topology.ring(n)
        if config.ppo_degree == 2
        else topology.random_regular(n, config.ppo_degree, seed=config.seed)
    )
    W = _networks(n, graph)
    give = envs.scripted(lambda key, seen: jnp.ones(n, jnp.int32))
    always = rl.evaluate(env, give, jax.random.key(config.seed), 64)
    best = float(jnp.mean(always)) / env.time_limit
    arms = {  # network, whether all are paid the mean, whether rewards are modelled
        "alone": (0, 0.0, True),
        "network": (1, 0.0, True),
        "everyone": (2, 0.0, True),
        "critics only": (1, 0.0, False),
        "told the team's reward": (0, 1.0, False),
    }

    def one(which: jax.Array, mean: jax.Array, modeled: jax.Array, key: jax.Array) -> jax.Array:
        learner = networked.networked_ppo(
            env,
            network,
            gossip.averaging(W[which]),
            num_envs=config.envs,
            num_steps=config.horizon,
            epochs=config.epochs,
            minibatches=config.minibatches,
            team_reward=modeled,
            joint=config.joint,
            parameters=rl.PPOHyperparameters(lr=config.lr, discount=config.discount),
        )
        start_key, world_key, run_key = jax.random.split(key, 3)
        params = networked.networked_parameters(start_key, network, n)
        start = learner.init(params, world_key, PaidParams(mean_pay=mean, worth=worth))
        return rollout(learner.step, start, config.iterations, key=run_key)[1].info.ppo.reward

    progress("ppo: all arms")
    which, mean, modeled = (jnp.array(column) for column in zip(*arms.values(), strict=True))

    def over_arms(key: jax.Array) -> jax.Array:
        # Networks of a thousand agents fill the machine one by one.
        if n > 64:
            each = (which, mean, modeled)
            return jax.lax.map(lambda arm: one(arm[0], arm[1], arm[2], key), each)
        return jax.vmap(one, (0, 0, 0, None))(which, mean, modeled, key)

    # One compilation; seed by seed, so that a seed's states stay in the cache.
    rewards = np.asarray(program(lambda keys: jax.lax.map(over_arms, keys))(keys)) / best
    return dict(zip(arms, np.moveaxis(rewards, 1, 0), strict=True))


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    linear = {name: run[:, -1] for name, run in results["linear"].items()}
    last = max(results["ppo"]["alone"].shape[1] // 10, 1)
    ppo = {name: run[:, -last:].mean(axis=1) for name, run in results["ppo"].items()}

    def more(table: dict[str, Any], arm: str, than: str, what: str, **bounds: Any) -> Claim:
        return claim(NAME, what, than, statistics.compare(table[arm], table[than]), **bounds)

    ring, told = "ring", "told the team's reward"
    made = [
        claim(
            NAME,
            "linear, fixed policy: distance of the farthest critic from the exact team limit",
            "the fixed point by linear solves",
            statistics.summarize(results["limit"]["ring"]),
            at_most=LIMIT,
        ),
        claim(
            NAME,
            "linear: disagreement on a ring contracts at |λ₂|² or faster (ratio)",
            "|λ₂|²",
            statistics.summarize(results["spectral"]),
            at_most=1.001,
        ),
        more(linear, ring, "alone", "linear: team return gained by a ring", at_least=GAIN),
        more(linear, told, "everyone", "linear: centralised less full averaging", at_most=PARITY),
        more(linear, ring, "one peer a step", "linear: lost by one peer a step", at_most=LOSS),
        more(linear, ring, "ring, 8 bits", "linear: lost by sending 8 bits", at_most=LOSS),
        more(linear, ring, "ring, 3 steps late", "linear: lost by delay", at_most=LOSS),
        more(
            linear,
            "everyone",
            "a liar, averaging",
            "linear: one liar breaks plain averaging (lost)",
            at_least=BROKEN,
            control=True,
        ),
        more(
            linear,
            "everyone",
            "a liar, trimmed mean",
            "linear: lost to the same liar under a trimmed mean",
            at_most=WITHSTOOD,
        ),
        more(ppo, "network", "alone", "PPO: team return gained by a network", at_least=GAIN),
        more(ppo, told, "everyone", "PPO: centralised less full averaging", at_most=PARITY),
        more(
            ppo,
            "critics only",
            "alone",
            "PPO: averaged critics with own rewards gain little",
            at_most=CRITICS_ONLY,
            control=True,
        ),
    ]
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Team returns over time: linear learners, what goes wrong, PPO."""
    left, middle, right = np.ravel(plotting.panels(1, 3, width=5.6, height=4.0))
    linear, at = results["linear"], results["steps"]
    learned = ("told the team's reward", "everyone", "ring", "alone")
    share = "team return, share of the best"
    plotting.curves(
        {name: linear[name] for name in learned},
        at,
        title="linear critics: neighbours make a team",
        xlabel="steps",
        ylabel=share,
        ax=left,
    )
    troubles = ("one peer a step", "ring, 8 bits", "ring, 3 steps late")
    troubles = (*troubles, "a liar, trimmed mean", "a liar, averaging")
    plotting.curves(
        {name: linear[name] for name in troubles},
        at,
        title="less talk is enough, a liar is not",
        xlabel="steps",
        ylabel=share,
        ax=middle,
    )
    plotting.curves(
        results["ppo"],
        results["iterations"],
        title="PPO on the donation game",
        xlabel="iterations",
        ylabel=share,
        ax=right,
    )
    plotting.save(left, path)


if __name__ == "__main__":
    harness.main(__name__)
