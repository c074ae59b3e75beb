"""The worlds and programs of the experiment ``sac``."""

import math
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from experiments.programs import program
from jaxswarm import envs, gossip, rl, topology
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.rl import networked
from jaxswarm.rollout import rollout

STEADY = 0.1  # deviation of the deterministic ablation's noise, before squashing
ARMS = {  # temperature to begin with, whether it is learned, pessimism, deterministic
    "learned temperature": (1.0, True, 1.0, False),
    "mean of the critics": (1.0, True, 0.0, False),
    "temperature 0.01": (0.01, False, 1.0, False),
    "temperature 1": (1.0, False, 1.0, False),
    "deterministic": (1e-8, False, 1.0, True),
}
NETWORKS = {  # who exchanges, whether all are told the true reward, whether rewards are modelled
    "alone": (0, False, True),
    "ring": (1, False, True),
    "everyone": (2, False, True),
    "critics only": (2, False, False),
    "told": (2, True, True),
}


class Seen(NamedTuple):
    """A constant."""

    one: jax.Array
    agent_mask: jax.Array


class Quadratic(SwarmEnvironment):
    """One step that costs the square of the action, and the episode is over."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    @cached_property
    def action_spec(self) -> Any:
        """``float32[1, 1]`` in ``[-1, 1]``."""
        return continuous_actions(1, 1)

    def start(self, key: jax.Array, params: Any) -> jax.Array:
        """Nothing to remember."""
        return jnp.zeros(())

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Outcome:
        """``-a²``."""
        return Outcome(world, -jnp.square(action[:, 0]), jnp.ones((), bool), {})

    def observe(self, world: Any, params: Any, step_count: jax.Array) -> Seen:
        """Nothing to see."""
        return Seen(jnp.ones((1, 1)), jnp.ones(1, bool))


def steadied(network: rl.QNetwork, steady: Any) -> rl.QNetwork:
    """The same network; where ``steady``, noise is small, constant and not the network's to say."""
    size, head = network.num_actions, network.head

    def of(outputs: jax.Array) -> jax.Array:
        said = jnp.where(steady, math.log(STEADY), outputs[size:])
        return jnp.concatenate([outputs[:size], said])

    return network._replace(
        head=head._replace(
            sample=lambda key, outputs: head.sample(key, of(outputs)),
            log_prob=lambda outputs, raw: head.log_prob(of(outputs), raw),
        )
    )


def alone(config: Any, keys: jax.Array) -> dict[str, Any]:
    """Returns, entropies and temperatures of every arm on one pendulum, ``[S, records]`` each."""
    env = envs.Pendulum()
    plain = rl.q_network_for(env, widths=(config.width,) * 2)
    every = config.steps // config.records

    def one(temperature: Any, learned: Any, pessimism: Any, steady: Any, key: jax.Array) -> Any:
        network = steadied(plain, steady)
        numbers = rl.SACParameters(
            config.lr, config.lr, jnp.where(learned, config.lr, 0.0), pessimism=pessimism
        )
        learner = rl.sac(
            env,
            network,
            batch_size=config.batch,
            capacity=config.steps + config.warm_up,
            warm_up=config.warm_up,
            parameters=numbers,
        )
        best = rl.policy(network, shared=True, deterministic=True)
        start, world, run, test = jax.random.split(key, 4)
        state = learner.init(network.init(start), world, temperature=temperature)

        def judge(state: Any) -> jax.Array:
            params = state.learner.params
            return jnp.mean(rl.evaluate(env, best, test, config.episodes, params=params))

        def step(key: jax.Array, state: Any, inputs: Any) -> Any:
            state, info = learner.step(key, state, None)
            return state, (info.learning["entropy"], info.learning["temperature"])

        _, kept = rollout(step, state, config.steps, key=run, every=every, evaluate=judge)
        return kept.evaluation, *kept.info

    columns = [jnp.array(column) for column in zip(*ARMS.values(), strict=True)]
    over_seeds = jax.vmap(one, (None, None, None, None, 0))
    found = program(jax.vmap(over_seeds, (0, 0, 0, 0, None)))(*columns, keys)
    names = ("return", "entropy", "temperature")
    tables = dict(zip(names, map(np.asarray, found), strict=True))
    return {name: dict(zip(ARMS, table, strict=True)) for name, table in tables.items()}


def bandit(config: Any, keys: jax.Array) -> dict[str, Any]:
    """Learned temperatures on ``-a²`` for each entropy asked for, ``[S]``, and the exact ones."""
    env = Quadratic()
    network = rl.q_network_for(env, widths=(32, 32), activation="silu")

    def one(wanted: jax.Array, key: jax.Array) -> jax.Array:
        learner = rl.sac(
            env,
            network,
            num_envs=4,
            batch_size=config.batch,
            capacity=4 * (config.bandit_steps + config.warm_up),
            warm_up=config.warm_up,
            parameters=rl.SACParameters(3e-3, 3e-3, 1e-2, target_entropy=wanted),
        )
        start, world, run = jax.random.split(key, 3)
        state = learner.init(network.init(start), world, temperature=0.3)
        half = config.bandit_steps // 2
        state, _ = rollout(learner.step, state, half, key=start, every=half)

        def step(key: jax.Array, held: Any, inputs: Any) -> Any:
            state, info = learner.step(key, held[0], None)
            return (state, held[1] + info.learning["temperature"] / half), ()

        return rollout(step, (state, jnp.zeros(())), half, key=run, every=half)[0][1]

    wanted = jnp.array(config.entropies)
    found = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(wanted, keys)
    exact = [closed_form(h) for h in config.entropies]
    return {"found": np.asarray(found), "exact": np.array(exact)}


def closed_form(entropy: float) -> float:
    """``α`` at which the best squashed Gaussian for ``-a² + α H`` has the given entropy."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()

    def moments(std: float) -> tuple[float, float]:
        raw = std * nodes
        slope = 2.0 * (math.log(2.0) - raw - np.logaddexp(0.0, -2.0 * raw))
        height = 0.5 * math.log(2.0 * math.pi * math.e) + math.log(std) + weights @ slope
        return float(weights @ np.square(np.tanh(raw))), float(height)

    root: Any = optimize.brentq(lambda s: moments(s)[1] - entropy, 1e-3, 0.85)
    std = float(root)
    above, below = moments(std * (1 + 1e-4)), moments(std * (1 - 1e-4))
    return (above[0] - below[0]) / (above[1] - below[1])


class PrivateParams(NamedTuple):
    """A pendulum's physics and who is told what; see :class:`jaxswarm.envs.Pendulum`."""

    mass: Any = 1.0
    length: Any = 1.0
    gravity: Any = 10.0
    torque: Any = 2.0
    top_speed: Any = 8.0
    seconds: Any = 0.05
    told: Any = 0.0


class PrivatePendula(envs.Pendulum):
    """Every second agent is charged double, the others nothing at all.

    The mean of all the private rewards is the pendulum's true one, which ``told = 1`` pays to all.
    ``num_agents`` is even.
    """

    @property
    def params(self) -> PrivateParams:
        """Masses from 0.8 to 1.2, private rewards."""
        return PrivateParams(mass=np.linspace(0.8, 1.2, self.num_agents, dtype=np.float32))

    def cost(self, angle: jax.Array, velocity: Any, torque: Any, params: Any) -> jax.Array:
        """The true one times 0 or 2, or 1 where told."""
        charged = 2.0 * (jnp.arange(self.num_agents) % 2)
        share = charged + params.told * (1.0 - charged)
        return share * super().cost(angle, velocity, torque, params)


def network(config: Any, keys: jax.Array) -> dict[str, Any]:
    """True team returns, ``{arm: [S, records]}``."""
    n = config.agents
    env = PrivatePendula(n)
    net = rl.q_network_for(env, widths=(config.network_width,) * 2)
    nobody = topology.from_edges(np.zeros((0, 2), int), n)
    graphs = topology.stack([nobody, topology.ring(n), topology.complete(n)])
    W = gossip.mixing(graphs, "metropolis", layout="dense", connected=False)
    best = rl.policy(net, shared=False, deterministic=True)
    physics = jax.tree.map(jnp.asarray, env.params)

    def one(which: jax.Array, told: jax.Array, modelled: jax.Array, key: jax.Array) -> jax.Array:
        learner = networked.networked_sac(
            env,
            net,
            gossip.averaging(W[which]),
            batch_size=config.network_batch,
            capacity=config.network_steps + config.warm_up,
            warm_up=config.warm_up,
            team_reward=modelled,
            parameters=rl.SACParameters(*(config.network_lr,) * 3),
        )
        start, world, run, test = jax.random.split(key, 4)
        params = networked.networked_parameters(start, net, n)
        paid = physics._replace(told=told.astype(jnp.float32))
        state = learner.init(params, world, paid)

        def judge(state: Any) -> jax.Array:
            params, true = state.agents.learner.sac.params, physics._replace(told=jnp.ones(()))
            returns = rl.evaluate(env, best, test, config.episodes, params=params, physics=true)
            return jnp.mean(returns)

        every = config.network_steps // config.records
        _, kept = rollout(
            learner.step, state, config.network_steps, key=run, every=every, evaluate=judge
        )
        return kept.evaluation

    columns = (jnp.array(column) for column in zip(*NETWORKS.values(), strict=True))
    over_seeds = jax.vmap(one, (None, None, None, 0))
    found = program(jax.vmap(over_seeds, (0, 0, 0, None)))(*columns, keys)
    return dict(zip(NETWORKS, np.asarray(found), strict=True))
