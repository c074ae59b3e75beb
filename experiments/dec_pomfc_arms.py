"""What ``dec_pomfc`` measures: a fixed rule's bias, two ways to learn, and execution.

Arms that differ by a number share a program: the histogram rule is the kernel rule with vanishing
bandwidth (a law of the tests), IPPO is MAPPO with a mean field of zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.programs import program
from jaxswarm import agents, collective, errors, rl, rollout

ARMS = ("kernel", "histogram", "IPPO", "MAPPO")
NARROW = 1e-3  # a bandwidth in which the kernel rule is a histogram
GAIN = 1.5  # of the fixed rule whose swarms of all sizes are compared with the limit


@dataclass(frozen=True)
class Config:
    """Sizes; every learner of a task shares them."""

    tasks: tuple[str, ...] = ("kuramoto",)
    agents: int = 64  # N in training
    steps: int = 50  # T of an episode, and of one iteration's collection
    envs: int = 8
    iterations: int = 64
    epochs: int = 2
    minibatches: int = 4
    points: int = 5  # of a decision rule, per dimension of the observation
    bandwidth: float = 0.6
    hidden: int = 32
    lr: float = 5e-3
    upper_lambda: float = 0.3
    agent_lambda: float = 0.9
    discount: float = 0.97  # in training; returns are reported with 0.99
    width: float = 0.8  # of the headings at the start
    radius: float = 0.25
    swarms: int = 24  # executions per seed that a return is averaged over
    sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256)  # of the fixed rule
    chaos_radius: float = 0.35
    chaos_swarms: int = 64  # per seed and size
    transfer: tuple[int, ...] = (16, 128)  # besides N
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASKS:
                raise errors.unknown("task", name, TASKS)
        if not self.tasks or len(self.sizes) < 2 or self.seeds < 2:
            raise ValueError(
                f"tasks, sizes, seeds: expected one, two and two at least, got {self.tasks}, "
                f"{self.sizes}, {self.seeds}"
            )


TASKS: dict[str, Callable[[Config, int], collective.SwarmTask]] = {
    "kuramoto": lambda c, n: collective.kuramoto(
        n, parameters=collective.HeadingParams(width=c.width), radius=c.radius
    ),
    "vicsek": lambda c, n: collective.vicsek(
        n, parameters=collective.HeadingParams(width=c.width, speed=0.03), radius=c.radius
    ),
    "aggregation": lambda c, n: collective.aggregation(n),
}


def chaos(key: jax.Array, config: Config) -> dict[str, Any]:
    """``bias [sizes, seeds]``: mean return of the fixed rule less that of infinitely many agents.

    Kuramoto on a disc; the limit is the density pushed forward, nothing is sampled.
    """
    physics = collective.HeadingParams(width=config.width)

    def make(n: int) -> collective.SwarmTask:
        return collective.kuramoto(n, parameters=physics, radius=config.chaos_radius)

    rule = collective.kernel_rule(make(1), points=config.points)
    numbers = rule.numbers_of(lambda y: GAIN * y[1:], 0.1)
    limit = program(
        lambda: collective.kuramoto_limit(rule, numbers, config.steps, physics, cells=1024).returns
    )()
    runs = collective.convergence(
        make,
        rule,
        numbers,
        key,
        config.sizes,
        config.seeds * config.chaos_swarms,
        num_steps=config.steps,
        jit=program,
    )
    means = {n: np.asarray(r).reshape(config.seeds, -1).mean(axis=1) for n, r in runs.items()}
    bias = np.stack([means[n] - float(limit) for n in config.sizes])
    return {"sizes": np.array(config.sizes), "bias": bias, "limit": float(limit)}


def _train(config: Config, env: Any, network: rl.Network, lam: float, key: jax.Array) -> Any:
    """One seed of PPO; returns parameters and the mean episode return of eight stretches."""
    algorithm = rl.ppo(
        env,
        network,
        num_envs=config.envs,
        num_steps=config.steps,
        epochs=config.epochs,
        minibatches=config.minibatches,
        parameters=rl.PPOHyperparameters(lr=config.lr, gae_lambda=lam, discount=config.discount),
    )
    params = rl.initialize(jax.random.fold_in(key, 0), network, env.num_agents, shared=True)
    state = algorithm.init(params, jax.random.fold_in(key, 1))
    state, records = rollout(
        algorithm.step, state, config.iterations, key=jax.random.fold_in(key, 2)
    )
    return state.params, records.info.finished.episode_return.mean(axis=1)


def upper_level(config: Config, task: collective.SwarmTask, keys: jax.Array) -> dict[str, Any]:
    """Train the upper level with both rules; the open-loop sequences it ends with."""
    rule = collective.kernel_rule(task, points=config.points)
    problem = collective.MeanFieldControl(task, rule, time_limit=config.steps)
    network = rl.network_for(problem, widths=(config.hidden,), initial_std=0.5)

    def one(bandwidth: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        rule = collective.kernel_rule(task, points=config.points, bandwidth=bandwidth)
        env = problem.with_rule(rule)
        params, curve = _train(config, env, network, config.upper_lambda, key)
        acts = rl.policy(network, shared=True, deterministic=True)
        again = agents.keys(jax.random.fold_in(key, 3), 8)
        chosen = jax.vmap(lambda k: collective.open_loop(env, acts, k, params=params))(again)
        oracle = chosen.rewards @ _discounts(config)
        return chosen.numbers[0], curve, oracle.mean()

    widths = jnp.array([config.bandwidth, NARROW])
    train = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    numbers, curves, oracle = train(widths, keys)
    return {
        "numbers": numbers,
        "curves": dict(zip(ARMS[:2], curves, strict=True)),
        "oracle": dict(zip(ARMS[:2], oracle, strict=True)),
    }


def agents_themselves(
    config: Config, task: collective.SwarmTask, keys: jax.Array
) -> dict[str, Any]:
    """Train one policy for all agents, critics without and with the mean field; evaluate it."""
    whole = collective.kernel_features(task)
    swarm = collective.FiniteSwarm(task, mean_field=whole, time_limit=config.steps)
    network = rl.network_for(swarm, widths=(config.hidden,), initial_std=0.5, critic="global")

    def one(sees: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        seen = collective.MeanField(whole.size, lambda state: sees * whole.of(state))
        env = swarm.with_mean_field(seen)
        params, curve = _train(config, env, network, config.agent_lambda, key)
        acts = rl.policy(network, shared=True, deterministic=True)
        returns = rl.evaluate(
            env, acts, jax.random.fold_in(key, 4), config.swarms, params=params, discount=0.99
        )
        return curve, returns[:, 0].mean()

    train = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    curves, returns = train(jnp.array([0.0, 1.0]), keys)
    return {
        "curves": dict(zip(ARMS[2:], curves, strict=True)),
        "returns": dict(zip(ARMS[2:], returns, strict=True)),
    }


def execution(
    config: Config, task: collective.SwarmTask, numbers: jax.Array, keys: jax.Array
) -> dict[str, Any]:
    """Fresh swarms of this size carry out the sequences, and one that does nothing."""

    def one(bandwidth: jax.Array, sequence: jax.Array, key: jax.Array) -> jax.Array:
        rule = collective.kernel_rule(task, points=config.points, bandwidth=bandwidth)
        swarms = agents.keys(jax.random.fold_in(key, 5), config.swarms)
        once = jax.vmap(lambda k: collective.execute(task, rule, sequence, k).returns)
        return once(swarms).mean()

    rule = collective.kernel_rule(task, points=config.points)
    idle = rule.numbers_of(lambda y: jnp.zeros(len(task.action_bounds[0])), 0.0)
    idle = jnp.broadcast_to(idle, numbers.shape[1:])
    widths = jnp.array([config.bandwidth, NARROW, config.bandwidth])
    every = jnp.concatenate([numbers, idle[None]])
    # One arm and seed at a time: all side by side would not fit the cache.
    each = lambda x: jax.lax.map(lambda y: one(x[0], *y), (x[1], keys))  # noqa: E731
    found = jax.lax.map(each, (widths, every))
    return dict(zip((*ARMS[:2], "uncontrolled"), found, strict=True))


def _discounts(config: Config) -> jax.Array:
    return 0.99 ** jnp.arange(config.steps)
