"""An environment whose absent agents observe and earn anything, also NaN."""

from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.envs import Outcome, SwarmEnvironment, continuous_actions, discrete_actions


class Observation(NamedTuple):
    value: jax.Array
    agent_mask: jax.Array


class Physics(NamedTuple):
    """``present bool[N]``, and what absent agents observe and earn."""

    present: jax.Array
    junk: jax.Array


class World(NamedTuple):
    count: jax.Array
    physics: Physics


class Absent(SwarmEnvironment):
    """Agents observe a wave and earn their actions; who is present is physics."""

    def __init__(self, num_agents: int = 3, *, discrete: bool = False):
        self.discrete = discrete
        super().__init__(num_agents, time_limit=3)

    @property
    def params(self):
        return Physics(jnp.ones(self.num_agents, bool), jnp.float32(0.0))

    @cached_property
    def action_spec(self):
        n = self.num_agents
        return discrete_actions(n, 2) if self.discrete else continuous_actions(n, 1)

    def start(self, key, params):
        return World(jnp.int32(0), params)

    def agent_mask(self, world):
        return world.physics.present

    def advance(self, key, world, action, params):
        earned = action.reshape(self.num_agents).astype(jnp.float32) + 0.1 * world.count
        reward = jnp.where(world.physics.present, earned, world.physics.junk)
        return Outcome(world._replace(count=world.count + 1), reward, jnp.zeros((), bool), {})

    def observe(self, world, params, step_count):
        wave = jnp.sin(world.count + jnp.arange(self.num_agents, dtype=jnp.float32))
        value = jnp.where(world.physics.present, wave, world.physics.junk)
        return Observation(value[:, None], world.physics.present)
