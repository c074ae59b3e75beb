"""Small environments whose optimum is known analytically."""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.envs import Outcome, SwarmEnvironment, continuous_actions, discrete_actions


class Observation(NamedTuple):
    value: jax.Array
    agent_mask: jax.Array


class Bandit(SwarmEnvironment):
    """Bandit of one step: arm ``a`` has reward ``params[i, a]`` for agent ``i``."""

    def __init__(self, payoff: Any):
        self._payoff = payoff
        super().__init__(len(payoff), time_limit=1)

    @property
    def params(self):
        return jnp.asarray(self._payoff, jnp.float32)

    @cached_property
    def action_spec(self):
        return discrete_actions(self.num_agents, len(self._payoff[0]))

    def start(self, key, params):
        return jnp.zeros(())

    def advance(self, key, world, action, params):
        reward = params[jnp.arange(self.num_agents), action]
        return Outcome(world, reward, jnp.ones((), bool), {})

    def observe(self, world, params, step_count):
        return Observation(jnp.ones((self.num_agents, 1)), jnp.ones(self.num_agents, bool))


class Clock(SwarmEnvironment):
    """Agents observe the step count, rewards are 1; the last step truncates, or terminates.

    ``params`` is true if it terminates.
    """

    def __init__(self, num_agents: int = 2, time_limit: int = 4):
        super().__init__(num_agents, time_limit)

    @property
    def params(self):
        return False

    @cached_property
    def action_spec(self):
        return discrete_actions(self.num_agents, 2)

    def start(self, key, params):
        return jnp.int32(0)

    def advance(self, key, world, action, params):
        over = (world + 1 >= self.time_limit) & params
        return Outcome(world + 1, jnp.ones(self.num_agents), over, {})

    def observe(self, world, params, step_count):
        now = jnp.broadcast_to(world.astype(jnp.float32), (self.num_agents, 1))
        return Observation(now, jnp.ones(self.num_agents, bool))

    def global_state(self, state):
        return 100.0 + state.world.astype(jnp.float32)[None]


class Recall(SwarmEnvironment):
    """A bit is observed in the first of three steps only; the last action should repeat it."""

    def __init__(self):
        super().__init__(1, time_limit=3)

    @cached_property
    def action_spec(self):
        return discrete_actions(1, 2)

    def start(self, key, params):
        return jnp.int32(0), jax.random.bernoulli(key).astype(jnp.int32)

    def advance(self, key, world, action, params):
        step, bit = world
        over = step == 2
        reward = jnp.where(over, (action == bit).astype(jnp.float32), 0.0)
        return Outcome((step + 1, bit), reward, over, {})

    def observe(self, world, params, step_count):
        step, bit = world
        cue = jnp.where(step == 0, 2.0 * bit - 1.0, 0.0)
        return Observation(cue[None, None].astype(jnp.float32), jnp.ones(1, bool))


class MaskedObservation(NamedTuple):
    value: jax.Array
    action_mask: jax.Array
    agent_mask: jax.Array


class Forbidden(SwarmEnvironment):
    """Action ``a`` earns ``a``; which actions are legal changes with agent and step.

    Agent ``i`` may not take action ``A - 1`` and, in odd steps, neither action ``i % (A - 1)``.
    """

    def __init__(self, num_agents: int = 2, num_actions: int = 4):
        self.num_actions = num_actions
        super().__init__(num_agents, time_limit=3)

    @cached_property
    def action_spec(self):
        return discrete_actions(self.num_agents, self.num_actions)

    def start(self, key, params):
        return jnp.int32(0)

    def legal(self, world):
        actions, ids = jnp.arange(self.num_actions)[None], jnp.arange(self.num_agents)[:, None]
        barred = (world % 2 == 1) & (actions == ids % (self.num_actions - 1))
        return (actions < self.num_actions - 1) & ~barred

    def advance(self, key, world, action, params):
        wrong = ~self.legal(world)[jnp.arange(self.num_agents), action]
        reward = action.astype(jnp.float32)
        return Outcome(world + 1, reward, jnp.zeros((), bool), {"illegal": jnp.sum(wrong)})

    def observe(self, world, params, step_count):
        value = jnp.broadcast_to(world.astype(jnp.float32), (self.num_agents, 1))
        mask = jnp.ones(self.num_agents, bool)
        return MaskedObservation(value, self.legal(world), mask)


class Echo(SwarmEnvironment):
    """Each agent sees a bit of its own; it should act as the bit of the agent before it says."""

    def __init__(self, num_agents: int = 3):
        super().__init__(num_agents, time_limit=2)

    @cached_property
    def action_spec(self):
        return discrete_actions(self.num_agents, 2)

    def start(self, key, params):
        return jax.random.bernoulli(key, shape=(self.num_agents,)).astype(jnp.int32)

    def advance(self, key, world, action, params):
        reward = (action == jnp.roll(world, 1)).astype(jnp.float32)
        return Outcome(self.start(key, params), reward, jnp.zeros((), bool), {})

    def observe(self, world, params, step_count):
        value = (2.0 * world - 1.0)[:, None]
        return Observation(value, jnp.ones(self.num_agents, bool))


class Target(SwarmEnvironment):
    """One step, one number: the reward is minus its squared distance from ``0.5 (i + 1) / N``."""

    def __init__(self, num_agents: int = 2):
        super().__init__(num_agents, time_limit=1)

    @cached_property
    def action_spec(self):
        return continuous_actions(self.num_agents, 1)

    def start(self, key, params):
        return jnp.zeros(())

    def advance(self, key, world, action, params):
        goal = 0.5 * (jnp.arange(self.num_agents) + 1.0) / self.num_agents
        reward = -jnp.square(action[:, 0] - goal)
        return Outcome(world, reward, jnp.ones((), bool), {})

    def observe(self, world, params, step_count):
        return Observation(jnp.ones((self.num_agents, 1)), jnp.ones(self.num_agents, bool))
