"""Pendulum: swing a rod up with a motor too weak to lift it.

A rod hangs from a motor; the angle is 0 when it is upright and grows anticlockwise. The motor
cannot lift it directly: it has to be swung. Every step costs ``angle² + 0.1 velocity² + 0.001
torque²``, so that a return of about -150 over 200 steps is good and -1,200 is that of random
actions. Agents do not interact: each has a pendulum, and its mass, length or motor may be its own.

Shapes: ``N`` agents.

References:
    G. Brockman et al., OpenAI Gym, 2016 (equations and costs of Pendulum-v1).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.pendulum import viewer


class PendulumParams(NamedTuple):
    """Physics, traced; a number for all agents or ``[N]``.

    Attributes:
        mass: of the rod, kg.
        length: of the rod, m.
        gravity: m/s².
        torque: the motor's largest torque, N m.
        top_speed: bound of the angular velocity, rad/s.
        seconds: duration of one step.
    """

    mass: Any = 1.0
    length: Any = 1.0
    gravity: Any = 10.0
    torque: Any = 2.0
    top_speed: Any = 8.0
    seconds: Any = 0.05


class PendulumWorld(NamedTuple):
    """``angle [N]``, rad, 0 when upright; ``velocity [N]``, rad/s."""

    angle: jax.Array
    velocity: jax.Array


class PendulumObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        tip: ``[N, 2]``, position of the rod's end, up and left, in rod lengths.
        velocity: ``[N]``, share of the top speed.
        agent_mask: ``bool[N]``, always true.
    """

    tip: jax.Array
    velocity: jax.Array
    agent_mask: jax.Array


class Pendulum(SwarmEnvironment):
    """Pendulum swing-up; actions ``float32[N, 1]`` in ``[-1, 1]`` are shares of the largest torque.

    Args:
        num_agents: independent pendula.
        time_limit: steps of an episode; episodes never terminate before.
    """

    def __init__(self, num_agents: int = 1, time_limit: int = 200):
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> Any:
        """The physics of Pendulum-v1."""
        return PendulumParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 1]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, 1)

    def start(self, key: jax.Array, params: Any) -> PendulumWorld:
        """Uniform angles, and velocities uniform in ``[-1, 1]``."""
        del params

        def draw(key: jax.Array) -> jax.Array:
            return jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)

        drawn = jax.vmap(draw)(agents.keys(key, self.num_agents))
        return PendulumWorld(jnp.pi * drawn[:, 0], drawn[:, 1])

    def advance(
        self, key: jax.Array, world: PendulumWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """One semi-implicit Euler step of a rod that turns about its end."""
        del key
        angle = wrapped(world.angle)
        torque = params.torque * jnp.clip(action[:, 0], -1.0, 1.0)
        reward = -self.cost(angle, world.velocity, torque, params)
        pull = 1.5 * params.gravity / params.length * jnp.sin(angle)
        push = 3.0 * torque / (params.mass * params.length**2)
        velocity = world.velocity + params.seconds * (pull + push)
        velocity = jnp.clip(velocity, -params.top_speed, params.top_speed)
        after = PendulumWorld(angle + params.seconds * velocity, velocity)
        upright = jnp.cos(after.angle) > 0.95
        return Outcome(after, reward, jnp.zeros((), bool), {"upright": jnp.mean(upright)})

    def cost(
        self, angle: jax.Array, velocity: jax.Array, torque: jax.Array, params: Any
    ) -> jax.Array:
        """Cost of a step from a state, ``[N]``."""
        del params
        return jnp.square(angle) + 0.1 * jnp.square(velocity) + 0.001 * jnp.square(torque)

    def draw(self, world: PendulumWorld, params: Any, ax: Any) -> None:
        """Draw the rods; see :mod:`jaxswarm.envs.pendulum.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: PendulumWorld, params: Any, step_count: jax.Array
    ) -> PendulumObservation:
        """Each agent's own pendulum."""
        del step_count
        tip = jnp.stack([jnp.cos(world.angle), jnp.sin(world.angle)], axis=1)
        share = world.velocity / params.top_speed
        return PendulumObservation(tip, share, jnp.ones(self.num_agents, bool))


def wrapped(angle: jax.Array) -> jax.Array:
    """The angle wrapped to ``[-π, π)``."""
    return jnp.mod(angle + jnp.pi, 2.0 * jnp.pi) - jnp.pi
