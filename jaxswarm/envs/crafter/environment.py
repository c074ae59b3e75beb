"""Multi-Agent Crafter: several players share a world of Crafter and look for one diamond.

The rules of a single player are Crafter's; what differs is the reference's: other recipes (a table
of two pieces of wood, a furnace of four stones, iron tools without a table), no zombies, skeletons
or arrows, and an action that hands one unit of an item to any living player at any distance.
Players act in the order of their ids.

Differences from the reference: terrain comes from another kind of noise; vital signs are updated
after all players have acted; cows move at the same time, and the number of cows is balanced in
chunks that divide the map; a share to a player that already holds nine is refused instead of lost.

References:
    D. Hafner, Benchmarking the spectrum of agent capabilities, 2021 (Crafter);
    H. Yang et al., LLM-powered decentralized generative agents with adaptive hierarchical
    knowledge graph for cooperative planning, 2025 (Multi-Agent Crafter).
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs
from jumanji.types import TimeStep

from jaxswarm import checks
from jaxswarm.envs.crafter import creatures, generation, players, viewer
from jaxswarm.envs.crafter import rules as r
from jaxswarm.envs.crafter.types import (
    CrafterObservation,
    CrafterParams,
    CrafterWorld,
)
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, discrete_actions
from jaxswarm.types import Key, PyTree

VIEW = (7, 9)
"""Rows and columns of a view."""


class MultiAgentCrafter(SwarmEnvironment):
    """Multi-Agent Crafter, with actions ``int32[N]`` in ``[0, 17 + 14 N)``.

    The first 17 actions are Crafter's; ``share_action`` gives the number of the others. An episode
    terminates when any player holds a diamond or all are dead.

    Args:
        num_agents: ``N``, at most ``size - 2``: players start side by side in the middle row.
        size: cells of the map's side, a multiple of ``chunk``.
        time_limit: steps of an episode.
        chunk: side of the squares in which the number of cows is balanced.
        recipes: in the format of :func:`jaxswarm.envs.crafter.rules_of`; the reference's
            (``crafter.TEAM_RECIPES``) unless given.
        max_plants: most plants at a time.
        as_features: views one-hot, for networks.

    Raises:
        ValueError: for sizes below 1, more players than fit into the row, a size that is no
            multiple of ``chunk`` or below 8, or recipes of things that do not exist.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.MultiAgentCrafter(num_agents=2, size=16, chunk=8)
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0))
        >>> timestep.observation.view.shape
        (2, 7, 9)
        >>> give = env.share_action("wood", 0)  # of the second player: it has none
        >>> state, timestep = jax.jit(env.step)(state, jnp.array([0, give]))
        >>> timestep.extras["invalid_share"].tolist()
        [False, True]
    """

    def __init__(
        self,
        num_agents: int = 2,
        size: int = 64,
        time_limit: int = 1000,
        *,
        chunk: int = 16,
        recipes: Mapping[str, Any] | None = None,
        max_plants: int = 8,
        as_features: bool = False,
    ):
        self.size = checks.whole("size", size, 8, 1024)
        self.chunk = checks.whole("chunk", chunk, 1)
        if self.size % self.chunk:
            raise ValueError(f"size: expected a multiple of chunk={self.chunk}, got {self.size}")
        checks.whole("num_agents", num_agents, 1, self.size - 2)
        self.rules = r.rules_of(r.TEAM_RECIPES if recipes is None else recipes)
        self.max_plants = checks.whole("max_plants", max_plants, 1)
        self.as_features = checks.flag("as_features", as_features)
        self.max_cows = max(8, self.size**2 // 64)
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> CrafterParams:
        """Rewards: one for each first achievement, ten for the diamond."""
        return CrafterParams()

    @property
    def start_cells(self) -> np.ndarray:
        """Cells in which players start, ``int[N, 2]``."""
        columns = self.size // 2 - self.num_agents // 2 + np.arange(self.num_agents)
        return np.stack([np.full(self.num_agents, self.size // 2), columns], axis=1)

    @property
    def num_actions(self) -> int:
        """Number of actions of a player, ``17 + 14 N``."""
        return r.SHARE + len(r.SHAREABLE) * self.num_agents

    def share_action(self, item: str, player: int) -> int:
        """Number of the action that hands one unit of an item to a player.

        Raises:
            ValueError: for an item that cannot be shared, or a player that does not exist.
        """
        names = [r.ITEMS[i] for i in r.SHAREABLE]
        checks.choice("item", item, names)
        player = checks.index("player", player, self.num_agents)
        return r.SHARE + names.index(item) * self.num_agents + player

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``."""
        return discrete_actions(self.num_agents, self.num_actions)

    def start(self, key: jax.Array, params: CrafterParams) -> CrafterWorld:
        """Players side by side in the middle of a new world."""
        del params
        terrain_key, cow_key = jax.random.split(key)
        terrain = generation.generate(terrain_key, self.size, self.start_cells)
        return self._populated(cow_key, terrain)

    def reset_to_level(
        self, key: Key, terrain: jax.Array, params: PyTree = None
    ) -> tuple[SwarmState, TimeStep]:
        """Start an episode on a given map, with players in the middle row and new cows.

        Args:
            key: a random key.
            terrain: ``int8[S, S]``, codes of ``crafter.MATERIALS`` from 1.
            params: rewards; the default ones if omitted.

        Raises:
            ValueError: for a map of another size or with other codes, or as ``reset``.
        """
        shape = (self.size, self.size)
        terrain = checks.wholes("terrain", terrain, 1, len(r.MATERIALS) - 1, shape=shape)
        state, timestep = self.reset(key, params)
        world = self._populated(key, jnp.asarray(terrain, jnp.int8))
        state = state._replace(world=world)
        timestep.observation = self.observe(world, state.params, state.step_count)
        return state, timestep

    def _populated(self, key: jax.Array, terrain: jax.Array) -> CrafterWorld:
        n, position = self.num_agents, jnp.asarray(self.start_cells, jnp.int32)
        items = np.zeros((n, r.NUM_ITEMS), np.int32)
        items[:, :4] = r.LARGEST
        return CrafterWorld(
            terrain=terrain,
            position=position,
            facing=jnp.full(n, 3, jnp.int32),
            inventory=jnp.asarray(items),
            counters=jnp.zeros((n, 4)),
            sleeping=jnp.zeros(n, bool),
            alive=jnp.ones(n, bool),
            last_health=jnp.full(n, r.LARGEST, jnp.int32),
            achieved=jnp.zeros((n, len(r.ACHIEVEMENTS)), bool),
            cows=creatures.stock(key, terrain, self.start_cells, self.max_cows),
            plants=creatures.no_plants(self.max_plants),
            time=jnp.int32(0),
            solvable=jnp.all(generation.obtainable(terrain, position[0])),
        )

    def advance(
        self, key: jax.Array, world: CrafterWorld, action: jax.Array, params: CrafterParams
    ) -> Outcome:
        """Players by id, vital signs, cows and plants."""
        n, cows, chunks = self.num_agents, self.max_cows, (self.size // self.chunk) ** 2
        draw = jax.random.uniform(key, (n + 2 * cows + 3 * chunks,))
        of_players, of_cows, of_balance = jnp.split(draw, [n, n + cows])
        before = world
        known = (action >= 0) & (action < self.num_actions)
        action = jnp.where(known, action, r.NOOP)
        world, notes = players.act(
            world._replace(time=world.time + 1), action, of_players, self.rules
        )
        world = players.live(world)
        world = creatures.move_cows(of_cows, world)
        world = creatures.balance_cows(of_balance, world, self.chunk)
        holds = jnp.any(before.alive & (world.inventory[:, r.ITEMS.index("diamond")] > 0))
        firsts = jnp.sum(world.achieved & ~before.achieved, axis=1)
        health = world.inventory[:, r.HEALTH] - before.inventory[:, r.HEALTH]
        reward = params.unlock * firsts + params.health * health
        reward += params.diamond * holds
        moved = jnp.any(world.position != before.position, axis=1)
        reward += params.move * moved + params.noop * (action == r.NOOP)
        metrics = {
            "diamond": holds,
            "num_alive": jnp.sum(world.alive),
            "solvable": world.solvable,
            **notes._asdict(),
        }
        return Outcome(world, reward, holds | ~jnp.any(world.alive), metrics)

    def agent_mask(self, world: CrafterWorld) -> jax.Array:
        """Players that are alive."""
        return world.alive

    def seen(self, world: CrafterWorld) -> jax.Array:
        """Map with cows, plants and players on it, ``int8[S, S]`` of view codes."""
        cells = jnp.asarray(world.terrain)
        ripe = world.plants.age > players.RIPE_AGE
        for position, there, code in (
            (world.plants.position, world.plants.health > 0, jnp.where(ripe, r.RIPE, r.SAPLING)),
            (world.cows.position, world.cows.health > 0, r.COW),
            (world.position, world.alive, r.PLAYER),
        ):
            row = jnp.where(there, position[:, 0], self.size)
            cells = cells.at[row, position[:, 1]].set(jnp.asarray(code, jnp.int8), mode="drop")
        return cells

    def observe(
        self, world: CrafterWorld, params: CrafterParams, step_count: jax.Array
    ) -> CrafterObservation:
        """The 7 × 9 cells around each player, what it holds, and whether it is day."""
        del params, step_count
        n, (height, width) = self.num_agents, VIEW
        margin = width // 2
        padded = jnp.pad(self.seen(world), margin, constant_values=r.OUTSIDE)
        corner = world.position + (margin - np.array([[height // 2, width // 2]]))
        view = jax.vmap(lambda at: jax.lax.dynamic_slice(padded, (at[0], at[1]), VIEW))(corner)
        alive = world.alive

        def present(x: jax.Array) -> jax.Array:
            return jnp.where(alive.reshape((n,) + (1,) * (x.ndim - 1)), x, 0)

        view = present(view.astype(jnp.int32))
        if self.as_features:
            view = jax.nn.one_hot(view, r.NUM_CODES)
        return CrafterObservation(
            view=view,
            inventory=present(world.inventory),
            position=present(world.position),
            facing=present(jnp.asarray(r.DIRECTIONS)[world.facing]),
            sleeping=world.sleeping & alive,
            daylight=present(jnp.full(n, creatures.daylight(world.time))),
            agent_mask=alive,
            action_mask=self._affordable(world),
        )

    def _affordable(self, world: CrafterWorld) -> jax.Array:
        n, items = self.num_agents, world.inventory
        alive = world.alive

        def has(uses: np.ndarray) -> jax.Array:
            return jnp.all(items[:, None, :] >= uses[None], axis=2)

        simple = jnp.ones((n, r.PLACE), bool)
        held = items[:, np.array(r.SHAREABLE)]
        share = (held > 0)[:, :, None] & (held < r.LARGEST).T[None] & alive[None, None, :]
        share &= ~jnp.eye(n, dtype=bool)[:, None, :]
        mask = jnp.concatenate(
            [simple, has(self.rules.place_uses), has(self.rules.make_uses), share.reshape(n, -1)],
            axis=1,
        )
        return (mask & alive[:, None]) | (jnp.arange(self.num_actions) == r.NOOP)[None]

    def global_state(self, state: SwarmState) -> jax.Array:
        """Position, inventory and life of all players, and daylight, ``float32[19 N + 1]``."""
        world = state.world
        parts = jnp.concatenate(
            [world.position / self.size, world.inventory / r.LARGEST, world.alive[:, None]], axis=1
        )
        parts = jnp.where(world.alive[:, None], parts, 0.0)
        light = creatures.daylight(world.time)[None]
        return jnp.concatenate([parts.ravel(), light]).astype(jnp.float32)

    def draw(self, world: CrafterWorld, params: CrafterParams, ax: Any) -> None:
        """Draw the map; see :mod:`jaxswarm.envs.crafter.viewer`."""
        viewer.draw(world, params, ax)
