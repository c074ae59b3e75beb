"""SwarmBench flocking: form a hollow square anywhere on the map."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from optax import assignment

from jaxswarm import checks
from jaxswarm.envs.swarmbench.base import SwarmBench, SwarmBenchWorld, Update, walled

LARGEST = 64


class FlockingTask(NamedTuple):
    """``initial``, ``distance``: ``int32[]``, distance from the formation at the start and now."""

    initial: jax.Array
    distance: jax.Array


class Flocking(SwarmBench):
    """Flocking: the score is the largest decrease of the distance to the formation so far.

    The formation is a hollow square of side ``N // 4 + 1``; spare agents may stand anywhere. The
    distance is the smallest sum of steps (L1) of an assignment of agents to its cells, over all
    translations that put some agent onto some cell. At distance 0 the episode ends.

    Args:
        *args: as :class:`SwarmBench`.
        **kwargs: likewise.

    Raises:
        ValueError: also below 4 agents, and above 64, where the exact distance takes too long.
    """

    smallest = 4

    def check(self, num_agents: int) -> None:
        """Also refuse fewer than 4 or more than 64 agents."""
        if not 4 <= num_agents <= LARGEST:
            raise ValueError(
                f"num_agents: expected 4 to {LARGEST} agents for flocking, got {num_agents}"
            )
        super().check(num_agents)

    @property
    def formation(self) -> np.ndarray:
        """The hollow square's cells, ``int32[n, 2]``."""
        side = self.num_agents // 4 + 1
        inner = np.zeros((side, side), bool)
        inner[1:-1, 1:-1] = True
        return np.argwhere(~inner).astype(np.int32)

    def _num_free(self) -> int:
        return (self.shape[0] - 2) * (self.shape[1] - 2)

    def _lay(self, key: jax.Array) -> Any:
        del key
        terrain = jnp.asarray(walled(self.shape))
        nothing = FlockingTask(jnp.int32(0), jnp.int32(0))
        return terrain, terrain == 0, jnp.ones(self.num_agents, bool), nothing

    def _begin(self, world: SwarmBenchWorld) -> SwarmBenchWorld:
        distance = formation_distance(world.position, self.formation)
        return world._replace(task=FlockingTask(distance, distance))

    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        del key, action
        distance = formation_distance(world.position, self.formation)
        score = jnp.maximum(world.score, (world.task.initial - distance).astype(jnp.float32))
        reward = jnp.full(self.num_agents, score - world.score)
        world = world._replace(score=score, task=world.task._replace(distance=distance))
        return Update(world, reward, distance == 0)

    def _potential(self, world: SwarmBenchWorld) -> jax.Array:
        """Minus the distance from the formation."""
        return jnp.full(self.num_agents, -world.task.distance.astype(jnp.float32))


def formation_distance(position: jax.Array, formation: np.ndarray) -> jax.Array:
    """Smallest L1 distance of agents ``[N, 2]`` from a translated formation ``[n, 2]``.

    Exact minimum over all translations that put an agent onto a cell of the formation.

    Args:
        position: ``int32[N, 2]``.
        formation: ``int[n, 2]``, at most as many cells as agents.

    Raises:
        ValueError: for other shapes or floats, or more cells than agents.
    """
    position = jnp.asarray(checks.wholes("position", position, -checks.LARGEST, shape=(None, 2)))
    formation = checks.wholes("formation", formation, -checks.LARGEST, shape=(None, 2))
    if not 1 <= len(formation) <= len(position):
        raise ValueError(
            f"formation: expected 1 to {len(position)} cells, as many as agents at most, got "
            f"{len(formation)}"
        )
    difference = position[:, None, :] - jnp.asarray(formation)[None, :, :]
    offsets = difference.reshape(-1, 2)

    def cost(offset: jax.Array) -> jax.Array:
        steps = jnp.sum(jnp.abs(difference - offset[None, None, :]), axis=2)
        rows, columns = assignment.hungarian_algorithm(steps)
        return jnp.sum(steps[rows, columns])

    return jnp.min(jax.vmap(cost)(offsets)).astype(jnp.int32)
