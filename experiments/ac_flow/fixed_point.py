"""Two checks of the theory: the fixed point without a refreshed sampler, and critics of ODE states.

Shapes: ``S`` seeds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.ac_flow import mixture
from experiments.ac_flow.comparison import Job, Run, clip_of, flow_model
from experiments.ac_flow.config import Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import generative
from jaxswarm.models import flow
from jaxswarm.types import Params

NEVER = 2**30  # iterations between refreshes, more than any run has


def run_frozen(
    config: Config, run_of: dict[str, Run], pretrained: Params
) -> dict[str, dict[str, np.ndarray]]:
    """Fine-tune without refreshing the sampling copy, at ``alpha = 0``.

    Then the fixed point is known: the pretrained flow's distribution times ``exp(τ · R)``, with
    rewards in standard deviations. ORW-CFM gets the rewards divided by that of the pretrained flow.

    Returns:
        ``orw_cfm``, ``ac_flow_unclipped``, ``ac_flow`` and ``exact``: ``reward [S]`` and
        ``entropy [S]``.
    """
    count = config.at_once
    seeds = range(config.tuning_seeds, config.tuning_seeds + count)
    keys = jax.random.split(jax.random.key(config.seed + 2), count)
    exact, deviations = _exact(config, pretrained, seeds, keys)
    results = {"exact": exact}
    for name in ("orw_cfm", "ac_flow_unclipped", "ac_flow"):
        scales = 1.0 / deviations if name == "orw_cfm" else np.ones(count)
        found, _ = run_of[name](
            [
                Job(key, s, config.frozen_tau, 0.0, clip_of(config, name), scale, NEVER)
                for key, s, scale in zip(keys, seeds, scales, strict=True)
            ]
        )
        results[name] = {"reward": found["reward"], "entropy": found["entropy"]}
    return results


def _exact(
    config: Config, pretrained: Params, seeds: range, keys: jax.Array
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Measure the pretrained flows' samples, drawn again with probabilities ``∝ exp(τ · R)``.

    Returns:
        ``reward [S]`` and ``entropy [S]``, and standard deviations ``[S]`` of the reward before.
    """
    model = flow_model(config)

    def measure(params: Any, key: jax.Array) -> tuple[jax.Array, ...]:
        sample_key, pick_key = jax.random.split(key)
        x = flow.sample(
            sample_key, flow.field(model, params), 10 * config.audit, (2,),
            num_steps=config.ode_steps,
        )  # fmt: skip
        rewards = mixture.mode_reward(x, jnp.array(mixture.MODE_REWARDS))
        scores = config.frozen_tau * (rewards - jnp.mean(rewards)) / jnp.std(rewards)
        tilted = mixture.tilted_ideal(pick_key, x, scores, 10 * config.audit)
        reward = jnp.mean(mixture.mode_reward(tilted, jnp.array(mixture.MODE_REWARDS)))
        return reward, mixture.entropy(mixture.mode_shares(tilted)), jnp.std(rewards)

    chosen = jax.tree.map(lambda leaf: leaf[jnp.array(seeds)], pretrained)
    reward, entropy, deviation = map(np.asarray, jax.jit(jax.vmap(measure))(chosen, keys))
    return {"reward": reward, "entropy": entropy}, deviation


def compare_critics(config: Config, pretrained: Params) -> dict[str, np.ndarray]:
    """Train a critic on conditional-path states and one on the flow's own ODE states.

    Both get the same samples, rewards, steps and network. What is left of the rewards' variance,
    ``mean (R - V)² / var R`` on fresh states of the critic's own kind, is the variance of its
    advantages.

    Returns:
        ``conditional_path [S]`` and ``ode [S]``, the share of the variance that is left.
    """
    model = flow_model(config)
    module = generative.CriticMLP((2 * config.width, 2 * config.width))
    critic = generative.critic_from_network(module, (2,))
    optimizer = optax.adam(optax.cosine_decay_schedule(config.critic_lr, config.critic_steps))
    times = jnp.arange(config.ode_steps) / config.ode_steps
    pool = 32 * config.batch  # trajectories, drawn once

    def simulate(params: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = jax.random.normal(key, (pool, 2))
        states = flow.trajectory(flow.field(model, params), start, num_steps=config.ode_steps)
        return states, mixture.mode_reward(states[-1], jnp.array(mixture.MODE_REWARDS))

    def draw(drawn: Any, key: jax.Array, on_ode: bool) -> tuple[flow.Noised, jax.Array]:
        row_key, time_key, noise_key = jax.random.split(key, 3)
        states, rewards = drawn
        rows = jax.random.randint(row_key, (config.batch,), 0, pool)
        index = jax.random.randint(time_key, (config.batch,), 0, config.ode_steps)
        noised = flow.noised(noise_key, states[-1][rows], model.path, times[index])
        if on_ode:
            noised = noised._replace(x=states[index, rows])
        return noised, rewards[rows]

    def train(params: Any, key: jax.Array, on_ode: bool) -> jax.Array:
        init_key, data_key, run_key, test_key = jax.random.split(key, 4)
        values = critic.init(init_key)
        drawn = simulate(params, data_key)

        def step(carry: Any, key: jax.Array) -> Any:
            values, opt_state = carry
            noised, rewards = draw(drawn, key, on_ode)
            grads = jax.grad(generative.critic_error, argnums=1)(critic, values, noised, rewards)
            updates, opt_state = optimizer.update(grads, opt_state, values)
            return (optax.apply_updates(values, updates), opt_state), None

        keys = jax.random.split(run_key, config.critic_steps)
        (values, _), _ = jax.lax.scan(step, (values, optimizer.init(values)), keys)

        fresh = simulate(params, jax.random.fold_in(test_key, 0))

        def test(key: jax.Array) -> tuple[jax.Array, jax.Array]:
            noised, rewards = draw(fresh, key, on_ode)
            return generative.critic_error(critic, values, noised, rewards), jnp.var(rewards)

        errors, variances = jax.lax.map(test, jax.random.split(test_key, 50))
        return jnp.mean(errors) / jnp.mean(variances)

    def both(params: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return train(params, key, False), train(params, key, True)

    count = config.at_once
    chosen = jax.tree.map(
        lambda leaf: leaf[config.tuning_seeds : config.tuning_seeds + count], pretrained
    )
    keys = jax.random.split(jax.random.key(config.seed + 3), count)
    path, ode = jit_fast_compile(jax.vmap(both))(chosen, keys)
    return {"conditional_path": np.asarray(path), "ode": np.asarray(ode)}
