"""SwarmBench synchronization: all lights on, then all lights off, in turn."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.envs.swarmbench.base import SwarmBench, SwarmBenchWorld, Update, walled
from jaxswarm.envs.swarmbench.codes import SWITCH


class SynchronizationTask(NamedTuple):
    """``last``: the common state that last scored, 1 for on, 0 for off, −1 for none yet."""

    last: jax.Array


class Synchronization(SwarmBench):
    """Synchronization: a point whenever all lights agree, in the other state than the last time.

    There is one more action, switch. With the round number in the observation the task is trivial:
    lights that follow its parity score in nearly every round without messages.
    ``observe_round=False`` hides it.

    Args:
        *args: as :class:`SwarmBench`.
        **kwargs: likewise.
    """

    num_actions = 6
    smallest = 3

    def _num_free(self) -> int:
        return (self.shape[0] - 2) * (self.shape[1] - 2)

    def _lay(self, key: jax.Array) -> Any:
        terrain = jnp.asarray(walled(self.shape))
        lights = jax.random.bernoulli(key, 0.5, (self.num_agents,))
        return terrain, terrain == 0, lights, SynchronizationTask(jnp.int32(-1))

    def _status(self, world: SwarmBenchWorld) -> jax.Array:
        return world.marked

    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        del key
        lights = jnp.where(action == SWITCH, ~before.marked, before.marked)
        agree = jnp.all(lights) | jnp.all(~lights)
        state = lights[0].astype(jnp.int32)
        scored = agree & (state != world.task.last)
        world = world._replace(
            marked=lights,
            score=world.score + scored,
            task=SynchronizationTask(jnp.where(scored, state, world.task.last)),
        )
        reward = jnp.full(self.num_agents, scored.astype(jnp.float32))
        return Update(world, reward, jnp.zeros((), bool))

    def _potential(self, world: SwarmBenchWorld) -> jax.Array:
        """Share of the lights that are in the state that scores next."""
        aim = world.task.last != 1
        return jnp.full(self.num_agents, jnp.mean(world.marked == aim))
