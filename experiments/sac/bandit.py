"""The temperature that SAC learns on a quadratic bandit, and its closed form.

Shapes: ``S`` seeds, ``H`` target entropies.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from experiments.harness.compile import jit_fast_compile
from experiments.sac.config import Config
from experiments.sac.worlds import QuadraticBandit
from jaxswarm import rl, rollout


def run_bandit(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Learn the temperature for each target entropy.

    Args:
        config: sizes.
        keys: ``[S]``, one per seed.

    Returns:
        ``learned [H, S]``, the temperature averaged over the second half of the steps, and
        ``closed_form [H]``.
    """
    env = QuadraticBandit()
    network = rl.q_network_for(env, widths=(32, 32), activation="silu")

    def run_seed(target_entropy: jax.Array, key: jax.Array) -> jax.Array:
        learner = rl.sac(
            env,
            network,
            num_envs=4,
            batch_size=config.batch,
            capacity=4 * (config.bandit_steps + config.warm_up),
            warm_up=config.warm_up,
            hyperparameters=rl.SACHyperparameters(3e-3, 3e-3, 1e-2, target_entropy=target_entropy),
        )
        network_key, world_key, begin_key, run_key = jax.random.split(key, 4)
        state = learner.init(network.init(network_key), world_key, temperature=0.3)
        half = config.bandit_steps // 2
        state, _ = rollout(learner.step, state, half, key=begin_key, every=half)

        def step(key: jax.Array, carry: Any, inputs: Any) -> Any:
            state, info = learner.step(key, carry[0], None)
            return (state, carry[1] + info.learning["temperature"] / half), ()

        return rollout(step, (state, jnp.zeros(())), half, key=run_key, every=half)[0][1]

    targets = jnp.array(config.entropies)
    over_targets = jax.vmap(jax.vmap(run_seed, (None, 0)), (0, None))
    learned = jit_fast_compile(over_targets)(targets, keys)
    exact = [closed_form_temperature(entropy) for entropy in config.entropies]
    return {"learned": np.asarray(learned), "closed_form": np.array(exact)}


def closed_form_temperature(entropy: float) -> float:
    """Temperature at which the optimal squashed Gaussian policy has a given entropy.

    The policy ``a = tanh(std · ε)`` maximises ``E[-a²] + α H``; at its optimum
    ``α = dE[a²] / dH``, evaluated by Gauss-Hermite quadrature and central differences.

    Args:
        entropy: target entropy in nats, below that of the uniform distribution on ``[-1, 1]``.

    Returns:
        The temperature ``α``.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()

    def moments(std: float) -> tuple[float, float]:
        """``E[a²]`` and the entropy of the policy, in nats."""
        raw = std * nodes
        log_slope = 2.0 * (math.log(2.0) - raw - np.logaddexp(0.0, -2.0 * raw))
        policy_entropy = (
            0.5 * math.log(2.0 * math.pi * math.e) + math.log(std) + weights @ log_slope
        )
        return float(weights @ np.square(np.tanh(raw))), float(policy_entropy)

    root: Any = optimize.brentq(lambda std: moments(std)[1] - entropy, 1e-3, 0.85)
    std = float(root)
    above, below = moments(std * (1 + 1e-4)), moments(std * (1 - 1e-4))
    return (above[0] - below[0]) / (above[1] - below[1])
