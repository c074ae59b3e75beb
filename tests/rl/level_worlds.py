"""A tiny environment with levels: walk along a line to a goal."""

import functools
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import envs, rl
from jaxswarm.envs import Outcome, SwarmEnvironment


class LineLevel(NamedTuple):
    """``goal int32[]``, a cell; ``blocked bool[]``, no move succeeds."""

    goal: Any
    blocked: Any


class LineParams(NamedTuple):
    level: Any


class LineWorld(NamedTuple):
    position: jax.Array


class LineObservation(NamedTuple):
    offset: jax.Array
    agent_mask: jax.Array


class Line(SwarmEnvironment):
    """Cells 0 to 6, start in 3; moves left and right; reward 1 and the end at the goal."""

    def __init__(self, num_agents: int = 1, time_limit: int = 6):
        super().__init__(num_agents, time_limit)

    @property
    def params(self):
        return LineParams(LineLevel(jnp.int32(5), jnp.zeros((), bool)))

    @cached_property
    def action_spec(self):
        return envs.discrete_actions(self.num_agents, 2)

    def start(self, key, params):
        return LineWorld(jnp.full(self.num_agents, 3, jnp.int32))

    def advance(self, key, world, action, params):
        step = jnp.where(params.level.blocked, 0, 2 * action - 1)
        position = jnp.clip(world.position + step, 0, 6)
        there = position == params.level.goal
        return Outcome(LineWorld(position), there.astype(jnp.float32), jnp.any(there), {})

    def observe(self, world, params, step_count):
        offset = (params.level.goal - world.position)[:, None] / 3.0
        return LineObservation(offset, jnp.ones(self.num_agents, bool))


def line_levels(goals, blocked=()) -> LineLevel:
    """Stacked levels with these goals; those numbered in ``blocked`` cannot be solved."""
    goals = jnp.asarray(goals, jnp.int32)
    return LineLevel(goals, jnp.isin(jnp.arange(len(goals)), jnp.asarray(blocked, int)))


ENV = Line()
SIZES = {"num_envs": 4, "num_steps": 12, "epochs": 2, "minibatches": 1, "capacity": 8}
STARTING = ([6, 5, 0, 1, 4], (1,))  # the second level cannot be solved


@functools.cache
def network():
    return rl.network_for(ENV, widths=(16,))


def random_level(key):
    goal = jax.random.randint(key, (), 0, 6)
    return LineLevel(jnp.where(goal == 3, 6, goal), jnp.zeros((), bool))


def moved(key, level):
    return level._replace(goal=jnp.clip(level.goal + 1, 4, 6))
