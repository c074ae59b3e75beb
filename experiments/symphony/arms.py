"""Runs of the Symphony experiment: swaddling alone, and a pendulum with two kinds of replay.

Three parts:

* **Swaddling.** The regularizer of the action scale ``S`` is minimised alone, without any value
  function, from 65 starting points; ``S`` should settle near ``1/e``.
* **Bounds.** On a pendulum, the share of executed actions beyond 95 % of their range, with noise
  inside the squashing function as in Symphony, compared with Gaussian noise of the same standard
  deviation that is added after squashing and clipped.
* **Fading replay.** Environment steps until the pendulum's evaluation return reaches a threshold,
  with fading and with uniform replay of the same buffer. A run that never reaches it counts with
  its whole length.

There is no single Symphony: this is the published code of December 2025. A first pilot with twice
the width, nodes and updates held all claims in 176 s; the small scale is what fits two minutes.

Limits: two claims hold by construction and say so. The buffer is never overwritten at these sizes,
so fading only changes how often exploration is replayed.

Shapes: ``S`` seeds, ``T`` records, ``P`` starting points.

References:
    T. Ishuov et al., Symphony: A Heuristic Normalized Calibrated Advantage Actor and Critic
    Algorithm in application for Humanoid Robots, 2025.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.symphony.config import Config
from jaxswarm import envs, rl, rollout
from jaxswarm.systems import symphony
from jaxswarm.systems.symphony import NOISE, adam_without_bias_correction, split_outputs, swaddling

REPLAYS = {"fading": True, "uniform": False}
BOUND = 0.95  # an action beyond this share of its range counts as at the bounds


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all parts.

    Returns:
        ``scales [T', P]``, see :func:`swaddled_scales`; of the pendulum, ``{replay: array}`` each:
        ``return [S, T]``, ``scale [S, T]`` (mean action scale), ``inside_noise [S]`` and
        ``clipped_noise [S]`` (see :func:`shares_at_bounds`); ``steps [T]``, environment steps of
        the records.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("swaddling without values")
    results: dict[str, Any] = {"scales": swaddled_scales(config)}
    progress("pendulum: fading and uniform replay")
    results |= run_pendulum(config, keys)
    every = config.steps // config.records
    results["steps"] = config.warm_up + np.arange(1, config.records + 1) * every
    return results


def run_pendulum(config: Config, keys: jax.Array) -> dict[str, dict[str, np.ndarray]]:
    """Learn a pendulum with both kinds of replay; see :func:`run` for the entries."""
    env = envs.Pendulum()
    network = symphony.symphony_network_for(env, width=config.width, nodes=config.nodes)
    policy = rl.policy(network, shared=True, deterministic=True)
    every = config.steps // config.records

    def run_seed(fade: jax.Array, key: jax.Array) -> Any:
        learner = symphony.symphony(
            env,
            network,
            updates=config.updates,
            batch_size=config.batch,
            capacity=config.warm_up * config.repeats,
            warm_up=config.warm_up,
            fade=fade,
            hyperparameters=symphony.SymphonyHyperparameters(config.lr),
        )
        network_key, world_key, run_key, test_key = jax.random.split(key, 4)
        state = learner.init(network.init(network_key), world_key)

        def evaluate(state: Any) -> tuple[jax.Array, jax.Array]:
            params = state.learner.params
            returns = rl.evaluate(test_key, env, policy, config.episodes, params=params)
            features = state.replay.items.features[:: config.repeats]
            scale = split_outputs(network.actor_outputs(params["actor"], features))[1]
            return jnp.mean(returns), jnp.mean(scale)

        state, records = rollout(
            learner.step, state, config.steps, key=run_key, every=every, evaluate=evaluate
        )
        return *records.evaluation, *shares_at_bounds(network, state, test_key)

    fade = jnp.array(list(REPLAYS.values()))
    over_replays = jax.vmap(jax.vmap(run_seed, (None, 0)), (0, None))
    measured = jit_fast_compile(over_replays)(fade, keys)
    names = ("return", "scale", "inside_noise", "clipped_noise")
    return {
        name: dict(zip(REPLAYS, np.asarray(table), strict=True))
        for name, table in zip(names, measured, strict=True)
    }


def swaddled_scales(config: Config) -> np.ndarray:
    """Minimise the swaddling loss alone and record the action scales ``S``.

    Returns:
        ``float32[T', P]``: scales over the optimizer's steps, from 65 starting points whose scales
        reach from 0.02 to 0.98.
    """
    scale, width = np.meshgrid(np.linspace(0.02, 0.98, 13), np.linspace(0.05, 0.95, 5))
    raw = 2.0 * np.arctanh(np.stack([0.0 * scale, scale, width], axis=-1).reshape(-1, 3))
    optimizer: Any = adam_without_bias_correction()
    start = jnp.asarray(raw, jnp.float32)

    def step(key: jax.Array, state: Any, inputs: Any) -> Any:
        outputs, opt_state = state
        grads = jax.grad(lambda x: jnp.sum(swaddling(x)))(outputs)
        updates, opt_state = optimizer.update(grads, opt_state)
        return (outputs - 1e-3 * updates, opt_state), split_outputs(outputs)[1][:, 0]

    every = max(config.swaddling_steps // 50, 1)

    def minimize(start: jax.Array) -> jax.Array:
        state = (start, optimizer.init(start))
        _, records = rollout(
            step, state, config.swaddling_steps, key=jax.random.key(0), every=every
        )
        return records.info

    return np.asarray(jit_fast_compile(minimize)(start))


def shares_at_bounds(
    network: rl.QNetwork, state: Any, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Shares of executed actions beyond :data:`BOUND`, for two ways of adding noise.

    Args:
        network: of the learner.
        state: of the learner; the observations in its replay buffer are used.
        key: of the noise.

    Returns:
        The share with noise inside the squashing function, and with noise of the same standard
        deviation that is added after squashing and clipped.
    """
    features = state.replay.items.features
    outputs = network.actor_outputs(state.learner.params["actor"], features)
    noise = NOISE * jnp.clip(jax.random.normal(key, outputs[:, :1].shape), -math.e, math.e)
    mode = jax.vmap(network.head.mode)(outputs)
    inside = jnp.tanh(mode + noise)
    std = jnp.std(inside - jnp.tanh(mode))
    clipped = jnp.clip(jnp.tanh(mode) + std / NOISE * noise, -1.0, 1.0)
    return jnp.mean(jnp.abs(inside) > BOUND), jnp.mean(jnp.abs(clipped) > BOUND)
