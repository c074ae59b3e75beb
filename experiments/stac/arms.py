"""The worlds and programs of the experiment ``stac``."""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.programs import program
from jaxswarm import agents, envs, rl
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.rl.stac import critic_law
from jaxswarm.rollout import rollout

NOISE = (0.5, 1.0, 2.0, 1.0, 0.5)  # deviations of the chain's rewards, state by state
STAYS = 0.3
CELLS = 24  # of a side of the map of visits


class Seen(NamedTuple):
    """Which state, one-hot."""

    place: jax.Array
    agent_mask: jax.Array


class Chain(SwarmEnvironment):
    """A state after the other, or the same again; rewards are 1 and noise; actions do nothing."""

    def __init__(self) -> None:
        super().__init__(1, 100)

    @cached_property
    def action_spec(self) -> Any:
        """``float32[1, 1]`` in ``[-1, 1]``."""
        return continuous_actions(1, 1)

    def start(self, key: jax.Array, params: Any) -> jax.Array:
        """The first state."""
        return jnp.int32(0)

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Outcome:
        """Reward of this state, then perhaps the next."""
        noise_key, move_key = jax.random.split(key)
        reward = 1.0 + jnp.array(NOISE)[world] * jax.random.normal(noise_key)
        moved = world + ~jax.random.bernoulli(move_key, STAYS)
        return Outcome(moved, reward[None], moved >= len(NOISE), {})

    def observe(self, world: Any, params: Any, step_count: jax.Array) -> Seen:
        """Where it is."""
        return Seen(jax.nn.one_hot(world, len(NOISE))[None], jnp.ones(1, bool))


def exact_chain(discount: float, beta: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """True values of the states, and the spread of STAC's one-step target at ``β``."""
    n = len(NOISE)
    follow = STAYS * np.eye(n) + (1.0 - STAYS) * np.eye(n, k=1)
    values = np.linalg.solve(np.eye(n) - discount * follow, np.ones(n))
    held, spread = values, np.array(NOISE)
    for _ in range(500):  # what is bootstrapped is mean less β deviations
        ahead = held - beta * spread
        held = 1.0 + discount * follow @ ahead
        scatter = follow @ np.square(ahead) - np.square(follow @ ahead)
        spread = np.sqrt(np.square(NOISE) + discount**2 * scatter)
    return values, spread


def chain(config: Any, keys: jax.Array) -> dict[str, Any]:
    """Deviations ``[β, S, states]``, value errors ``[β, S]``, exact spreads ``[β, states]``."""
    env, discount = Chain(), 0.9
    network = rl.stac_network_for(env, widths=(32, 32))
    places = jnp.eye(len(NOISE))
    values = jnp.asarray(exact_chain(discount)[0], jnp.float32)

    def one(beta: jax.Array, key: jax.Array) -> Any:
        learner = rl.stac(
            env,
            network,
            num_envs=2,
            batch_size=64 if config.batch > 64 else config.batch,
            capacity=config.chain_capacity,
            warm_up=config.warm_up,
            parameters=rl.STACParameters(1e-3, 1e-3, 0.0, discount, beta=beta),
        )
        start, world, run = jax.random.split(key, 3)
        state = learner.init(network.init(start), world, temperature=1e-4)

        def judge(state: Any) -> tuple[jax.Array, jax.Array]:
            held = state.learner.params
            raw = jax.vmap(network.head.mode)(network.outputs(held["actor"], places))
            mean, std = critic_law(network, held["critic"], places, raw)
            return std, jnp.mean(mean - values)

        # The last half, ten looks at it: a single one sees the noise of the latest batches.
        every = max(config.chain_steps // 20, 1)
        _, kept = rollout(
            learner.step, state, config.chain_steps, key=run, every=every, evaluate=judge
        )
        std, error = kept.evaluation
        half = std.shape[0] // 2
        return jnp.mean(std[half:], axis=0), jnp.mean(error[half:])

    betas = jnp.array(config.betas)
    found = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(betas, keys)
    exact = np.stack([exact_chain(discount, beta)[1] for beta in config.betas])
    return {
        "deviation": np.asarray(found[0]),
        "value_error": np.asarray(found[1]),
        "exact": exact,
    }


def point_mass(config: Any, keys: jax.Array) -> dict[str, Any]:
    """Per weight and seed: return over time, then of evaluation episodes what claims count."""
    env, discount = envs.RiskyPointMass(), 0.99
    network = rl.stac_network_for(env, widths=(config.width,) * 2)
    policy = rl.policy(rl.averaged(network), shared=True)

    def one(beta: jax.Array, key: jax.Array) -> Any:
        learner = rl.stac(
            env,
            network,
            num_envs=config.envs,
            batch_size=config.batch,
            capacity=config.envs * (config.steps + config.warm_up),
            warm_up=config.warm_up,
            parameters=rl.STACParameters(config.lr, config.lr, config.lr, discount, beta=beta),
        )
        start, world, run, test = jax.random.split(key, 4)
        state = learner.init(network.init(start), world, temperature=config.temperature)

        def judge(state: Any) -> jax.Array:
            params = state.learner.params
            return jnp.mean(rl.evaluate(env, policy, test, 10, params=params))

        every = config.steps // config.records
        state, kept = rollout(
            learner.step, state, config.steps, key=run, every=every, evaluate=judge
        )
        return kept.evaluation, _audit(config, env, network, policy, state.learner, test, discount)

    betas = jnp.array(config.betas)
    returns, audit = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(betas, keys)
    return {"return": np.asarray(returns)} | {k: np.asarray(x) for k, x in audit.items()}


def _audit(
    config: Any, env: Any, network: Any, policy: Any, learner: Any, key: jax.Array, discount: float
) -> dict[str, jax.Array]:
    """What episodes of the evaluation policy did, and what the critic had expected."""
    params = learner.params

    def episode(key: jax.Array) -> Any:
        _, done = envs.unroll(env, policy, key, env.time_limit, params=params)
        there = done.observation.agent_mask[:, 0]
        place = done.observation.position[:, 0]
        timestep: Any = done.timestep
        reward = timestep.reward[:, 0]
        raw = jnp.arctanh(jnp.clip(done.action[:1, 0], -1.0 + 1e-6, 1.0 - 1e-6))
        value, _ = critic_law(network, params["critic"], place[:1], raw)
        gained = jnp.sum(reward * there * discount ** jnp.arange(env.time_limit))
        cell = jnp.clip((place * CELLS).astype(jnp.int32), 0, CELLS - 1)
        visits = jnp.zeros((CELLS, CELLS)).at[cell[:, 0], cell[:, 1]].add(there)
        safe = jnp.linalg.norm(place[0] - 0.5) >= env.params.disc_radius
        inside = safe * jnp.sum(timestep.extras["inside"])
        arrived = timestep.extras["arrived"][-1]
        return inside, safe * jnp.sum(there), arrived, value[0] - gained, jnp.sum(reward), visits

    audited: Any = jax.vmap(episode)(agents.keys(key, config.episodes))
    inside, steps, arrived, error, total, visits = audited
    return {
        "inside": jnp.sum(inside) / jnp.maximum(jnp.sum(steps), 1),
        "goal": jnp.mean(arrived > 0),
        "value_error": jnp.mean(error),
        "final_return": jnp.mean(total),
        "visits": jnp.sum(visits, axis=0),
    }
