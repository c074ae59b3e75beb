"""Environments of the SAC experiment: a quadratic bandit and pendula with private rewards.

Shapes: ``N`` agents.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import envs
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions


class ConstantObservation(NamedTuple):
    """An observation without information: ``one`` is ``float32[1, 1]``, ``agent_mask`` ``[1]``."""

    one: jax.Array
    agent_mask: jax.Array


class QuadraticBandit(SwarmEnvironment):
    """One-step episodes of one agent with reward ``-a²`` for the action ``a`` in ``[-1, 1]``."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    @cached_property
    def action_spec(self) -> Any:
        """``float32[1, 1]`` in ``[-1, 1]``."""
        return continuous_actions(1, 1)

    def start(self, key: jax.Array, params: Any) -> jax.Array:
        """The only state, a zero."""
        return jnp.zeros(())

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Outcome:
        """Reward ``-a²`` and the end of the episode."""
        return Outcome(world, -jnp.square(action[:, 0]), jnp.ones((), bool), {})

    def observe(self, world: Any, params: Any, step_count: jax.Array) -> ConstantObservation:
        """A constant."""
        return ConstantObservation(jnp.ones((1, 1)), jnp.ones(1, bool))


class PrivatePendulaParams(NamedTuple):
    """Physics of the pendula (see :class:`jaxswarm.envs.Pendulum`) and the kind of reward.

    Attributes:
        true_reward: 1 gives all agents the true reward, 0 (default) their private rewards.
    """

    mass: Any = 1.0
    length: Any = 1.0
    gravity: Any = 10.0
    torque: Any = 2.0
    top_speed: Any = 8.0
    seconds: Any = 0.05
    true_reward: Any = 0.0


class PrivatePendula(envs.Pendulum):
    """Pendula with private rewards: odd agents are charged twice the true cost, even ones nothing.

    The mean over agents of the private rewards is the true reward, for an even ``num_agents``.
    """

    @property
    def params(self) -> PrivatePendulaParams:
        """Masses evenly spaced from 0.8 to 1.2 kg, private rewards."""
        return PrivatePendulaParams(mass=np.linspace(0.8, 1.2, self.num_agents, dtype=np.float32))

    def cost(self, angle: jax.Array, velocity: Any, torque: Any, params: Any) -> jax.Array:
        """``float32[N]``: the true cost times 0 or 2, or times 1 with ``true_reward = 1``."""
        private = 2.0 * (jnp.arange(self.num_agents) % 2)
        factor = private + params.true_reward * (1.0 - private)
        return factor * super().cost(angle, velocity, torque, params)
