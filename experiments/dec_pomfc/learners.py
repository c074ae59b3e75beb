"""Training of decision rules and of the baselines, and execution of the rules.

Arms that differ by a number share a program: the histogram rule is the kernel rule with vanishing
bandwidth (a test verifies this), IPPO is MAPPO with a mean field of zeros.

Shapes: ``S`` seeds, ``T`` steps, ``P`` numbers of a decision rule.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.dec_pomfc.config import AGENT_ARMS, RULE_ARMS, UNCONTROLLED, Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import agents, collective, rl, rollout
from jaxswarm.envs import SwarmEnvironment

HISTOGRAM_BANDWIDTH = 1e-3  # a bandwidth at which the kernel rule is a histogram
INITIAL_STD = 0.5  # of the policies' actions
REFERENCE_SWARMS = 8  # swarms of which the oracle's reported return is the mean
REPORTED_DISCOUNT = 0.99  # discount factor of all reported returns

_BUILDERS: dict[str, Callable[[Config, int], collective.SwarmTask]] = {
    "kuramoto": lambda config, n: collective.kuramoto_task(
        n, params=collective.HeadingTaskParams(width=config.width), radius=config.radius
    ),
    "vicsek": lambda config, n: collective.vicsek_task(
        n,
        params=collective.HeadingTaskParams(width=config.width, speed=0.03),
        radius=config.radius,
    ),
    "aggregation": lambda config, n: collective.aggregation_task(n),
}


def build_task(config: Config, name: str, n: int) -> collective.SwarmTask:
    """Build a task by name, with ``n`` agents."""
    return _BUILDERS[name](config, n)


def train_rules(config: Config, task: collective.SwarmTask, keys: jax.Array) -> dict[str, Any]:
    """Train the policy that observes the mean field, with kernel and with histogram rules.

    Returns:
        ``numbers [2, S, T, P]``, the sequences of decision rules that it chose for one swarm;
        ``curves``, ``{arm: [S, iterations]}``; and ``oracle``, ``{arm: [S]}``, its own returns
        while it observes the mean field.
    """
    rule = collective.kernel_rule(task, points=config.points)
    problem = collective.MeanFieldControl(task, rule, time_limit=config.steps)
    network = rl.network_for(problem, widths=(config.hidden,), initial_std=INITIAL_STD)

    def train_seed(bandwidth: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        rule = collective.kernel_rule(task, points=config.points, bandwidth=bandwidth)
        env = problem.with_rule(rule)
        params, curve = _train(config, env, network, config.upper_lambda, key)
        policy = rl.policy(network, shared=True, deterministic=True)
        swarm_keys = agents.keys(jax.random.fold_in(key, 3), REFERENCE_SWARMS)
        chosen = jax.vmap(lambda k: collective.open_loop(k, env, policy, params=params))(swarm_keys)
        discounts = REPORTED_DISCOUNT ** jnp.arange(config.steps)
        oracle = chosen.rewards @ discounts
        return chosen.rule_params[0], curve, oracle.mean()

    bandwidths = jnp.array([config.bandwidth, HISTOGRAM_BANDWIDTH])
    over_seeds = jax.vmap(train_seed, (None, 0))
    train = jit_fast_compile(jax.vmap(over_seeds, (0, None)))
    numbers, curves, oracle = train(bandwidths, keys)
    return {
        "numbers": numbers,
        "curves": dict(zip(RULE_ARMS, curves, strict=True)),
        "oracle": dict(zip(RULE_ARMS, oracle, strict=True)),
    }


def train_agents(config: Config, task: collective.SwarmTask, keys: jax.Array) -> dict[str, Any]:
    """Train one policy for all agents; critics without (IPPO) or with the mean field (MAPPO).

    Returns:
        ``curves``, ``{arm: [S, iterations]}``, and ``returns``, ``{arm: [S]}``.
    """
    mean_field = collective.kernel_features(task)
    swarm = collective.FiniteSwarm(task, mean_field=mean_field, time_limit=config.steps)
    network = rl.network_for(
        swarm, widths=(config.hidden,), initial_std=INITIAL_STD, critic="global"
    )

    def train_seed(observed: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        scaled = collective.MeanField(
            mean_field.size, lambda state: observed * mean_field.of(state)
        )
        env = swarm.with_mean_field(scaled)
        params, curve = _train(config, env, network, config.agent_lambda, key)
        returns = rl.evaluate(
            jax.random.fold_in(key, 4),
            env,
            rl.policy(network, shared=True, deterministic=True),
            config.swarms,
            params=params,
            discount=REPORTED_DISCOUNT,
        )
        return curve, returns[:, 0].mean()

    over_seeds = jax.vmap(train_seed, (None, 0))
    train = jit_fast_compile(jax.vmap(over_seeds, (0, None)))
    curves, returns = train(jnp.array([0.0, 1.0]), keys)
    return {
        "curves": dict(zip(AGENT_ARMS, curves, strict=True)),
        "returns": dict(zip(AGENT_ARMS, returns, strict=True)),
    }


def execute_rules(
    config: Config, task: collective.SwarmTask, numbers: jax.Array, keys: jax.Array
) -> dict[str, jax.Array]:
    """Execute the sequences of decision rules in fresh swarms, and one of zero actions.

    Args:
        config: sizes.
        task: any number of agents.
        numbers: ``[2, S, T, P]`` of :func:`train_rules`.
        keys: ``[S]``.

    Returns:
        Discounted returns, ``{arm: [S]}``, means over ``config.swarms`` swarms.
    """

    def mean_return(bandwidth: jax.Array, sequence: jax.Array, key: jax.Array) -> jax.Array:
        rule = collective.kernel_rule(task, points=config.points, bandwidth=bandwidth)
        swarm_keys = agents.keys(jax.random.fold_in(key, 5), config.swarms)
        execute = jax.vmap(lambda k: collective.execute(k, task, rule, sequence).returns)
        return execute(swarm_keys).mean()

    rule = collective.kernel_rule(task, points=config.points)
    zero_action = rule.params_of(lambda y: jnp.zeros(len(task.action_bounds[0])), 0.0)
    uncontrolled = jnp.broadcast_to(zero_action, numbers.shape[1:])
    bandwidths = jnp.array([config.bandwidth, HISTOGRAM_BANDWIDTH, config.bandwidth])
    sequences = jnp.concatenate([numbers, uncontrolled[None]])

    def over_seeds(arm: tuple[jax.Array, jax.Array]) -> jax.Array:
        bandwidth, of_arm = arm
        return jax.lax.map(lambda seed: mean_return(bandwidth, *seed), (of_arm, keys))

    # One arm and seed at a time: all side by side would not fit the cache.
    returns = jax.lax.map(over_seeds, (bandwidths, sequences))
    return dict(zip((*RULE_ARMS, UNCONTROLLED), returns, strict=True))


def _train(
    config: Config, env: SwarmEnvironment, network: rl.Network, gae_lambda: float, key: jax.Array
) -> tuple[Any, jax.Array]:
    """Run PPO for one seed; parameters and mean episode returns, ``[iterations]``."""
    algorithm = rl.ppo(
        env,
        network,
        num_envs=config.envs,
        num_steps=config.steps,
        epochs=config.epochs,
        minibatches=config.minibatches,
        hyperparameters=rl.PPOHyperparameters(
            lr=config.lr, gae_lambda=gae_lambda, discount=config.discount
        ),
    )
    params = rl.initialize(jax.random.fold_in(key, 0), network, env.num_agents, shared=True)
    state = algorithm.init(params, jax.random.fold_in(key, 1))
    state, records = rollout(
        algorithm.step, state, config.iterations, key=jax.random.fold_in(key, 2)
    )
    return state.params, records.info.episodes.mean_return.mean(axis=1)
