"""A chain of states with noisy rewards, and the exact spread of STAC's one-step target on it.

Shapes: ``K`` states.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions

REWARD_STD = (0.5, 1.0, 2.0, 1.0, 0.5)  # standard deviation of the reward in each state
STAY_PROBABILITY = 0.3  # chance that a step stays in the same state


class ChainObservation(NamedTuple):
    """The state: ``state`` is ``float32[1, K]``, one-hot, ``agent_mask`` is ``bool[1]``."""

    state: jax.Array
    agent_mask: jax.Array


class NoisyChain(SwarmEnvironment):
    """States in a fixed order; each step earns 1 plus noise, then stays or moves to the next state.

    The episode ends after the last state. Actions have no effect.
    """

    def __init__(self) -> None:
        super().__init__(1, 100)

    @cached_property
    def action_spec(self) -> Any:
        """``float32[1, 1]`` in ``[-1, 1]``."""
        return continuous_actions(1, 1)

    def start(self, key: jax.Array, params: Any) -> jax.Array:
        """The first state, ``int32[]``."""
        return jnp.int32(0)

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Outcome:
        """The reward of the current state, then a move with chance ``1 - STAY_PROBABILITY``."""
        noise_key, move_key = jax.random.split(key)
        reward = 1.0 + jnp.array(REWARD_STD)[world] * jax.random.normal(noise_key)
        moved = world + ~jax.random.bernoulli(move_key, STAY_PROBABILITY)
        return Outcome(moved, reward[None], moved >= len(REWARD_STD), {})

    def observe(self, world: Any, params: Any, step_count: jax.Array) -> ChainObservation:
        """The state, one-hot."""
        return ChainObservation(jax.nn.one_hot(world, len(REWARD_STD))[None], jnp.ones(1, bool))


def exact_values_and_spread(discount: float, beta: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Exact values of the chain's states and spread of STAC's one-step target.

    Args:
        discount: discount factor ``γ`` in ``[0, 1)``.
        beta: pessimism weight ``β``: the target bootstraps from mean - ``β`` · standard deviation.

    Returns:
        ``values [K]``, the true expected returns, and ``spread [K]``, the standard deviation of the
        one-step target at the fixed point for ``β``.
    """
    n = len(REWARD_STD)
    transition = STAY_PROBABILITY * np.eye(n) + (1.0 - STAY_PROBABILITY) * np.eye(n, k=1)
    values = np.linalg.solve(np.eye(n) - discount * transition, np.ones(n))
    mean, spread = values, np.array(REWARD_STD)
    for _ in range(500):
        bootstrap = mean - beta * spread
        mean = 1.0 + discount * transition @ bootstrap
        variance = transition @ np.square(bootstrap) - np.square(transition @ bootstrap)
        spread = np.sqrt(np.square(REWARD_STD) + discount**2 * variance)
    return values, spread
