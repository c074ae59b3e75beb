"""Base class of the SwarmBench tasks: pushing, local views, anonymous messages, order of a round.

A round: all agents choose a move and a message; bodies are pushed, upward first, then down, left
and right; the task evaluates the map; agents outside the map have left; the round number grows.
Messages are received in the next round by all agents within the sender's window, the sender
included, without the sender's id.

Shapes: ``N`` agents, a map ``[H, W]``, windows ``k × k``, messages of ``L`` tokens, inboxes of
``M`` messages.

References:
    K. Ruan et al., Benchmarking LLMs' swarm intelligence, 2025.
"""

import abc
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment
from jaxswarm.envs.grid import draw_cells, place, push, windows
from jaxswarm.envs.swarmbench import metrics, viewer
from jaxswarm.envs.swarmbench.codes import (
    AGENT,
    BOX,
    DIM_AGENT,
    FORCE,
    MASS,
    NUM_CODES,
    OUTSIDE,
    PREY,
    SELF,
    STEPS,
    UNSEEN,
    WALL,
)
from jaxswarm.envs.swarmbench.types import (
    Body,
    SwarmBenchFeatures,
    SwarmBenchObservation,
    SwarmBenchParams,
    SwarmBenchWorld,
    Update,
)
from jaxswarm.types import PyTree

MARGIN = 6
"""Cells around the map in which a body that is partly outside still exists."""


class SwarmBench(SwarmEnvironment):
    """A SwarmBench task; use one of the five subclasses, or :func:`make`.

    Actions are ``int32[N]`` (up, down, left, right, stay, and in synchronization switch), or
    ``int32[N, 1 + L]`` with the message's tokens appended if ``message_length > 0``. The reward is
    the increase of the score: for all agents, or in foraging and transport for the agent that
    caused it.

    Args:
        num_agents: ``N``.
        size: ``(H, W)`` or one number for both.
        view: ``k``, odd.
        time_limit: rounds.
        message_length: ``L`` tokens; 0 for no messages.
        vocabulary: ``V``, tokens are below this; 0 is silence.
        inbox: ``M``; all agents by default.
        observe_round: include the round number in observations.
        as_features: observe :class:`SwarmBenchFeatures`, for neural networks.
        faithful: reproduce the reference's deviations from its own description; each task says
            which.

    Raises:
        ValueError: for impossible sizes, or a map without enough free cells for the agents.
    """

    num_actions = len(STEPS) - 1
    smallest = 5

    def __init__(
        self,
        num_agents: int = 10,
        size: int | tuple[int, int] = 10,
        view: int = 5,
        time_limit: int = 100,
        message_length: int = 0,
        vocabulary: int = 128,
        inbox: int | None = None,
        observe_round: bool = True,
        as_features: bool = False,
        faithful: bool = True,
    ):
        extents = checks.wholes("size", (size, size) if np.ndim(size) == 0 else size, 1, shape=(2,))
        height, width = (int(extent) for extent in extents)
        num_agents = checks.whole("num_agents", num_agents, 1)
        view = checks.whole("view", view)
        if min(height, width) < self.smallest:
            raise ValueError(
                f"size: expected at least {self.smallest} × {self.smallest} cells for "
                f"{type(self).__name__}, got {height} × {width}"
            )
        if view < 1 or view % 2 == 0:
            raise ValueError(f"view: expected an odd number of cells of at least 1, got {view}")
        message_length = checks.whole("message_length", message_length)
        vocabulary = checks.whole("vocabulary", vocabulary, 2)
        inbox = None if inbox is None else checks.whole("inbox", inbox, 1)
        for name, flag in (
            ("observe_round", observe_round),
            ("as_features", as_features),
            ("faithful", faithful),
        ):
            checks.instance(name, flag, (bool, np.bool_))
        self.shape, self.view, self.num_agents = (height, width), view, num_agents
        self.message_length, self.vocabulary = message_length, vocabulary
        self.inbox = min(num_agents, view * view) if inbox is None else inbox
        self.observe_round, self.as_features, self.faithful = (
            observe_round,
            as_features,
            faithful,
        )
        self.check(num_agents)
        super().__init__(num_agents, time_limit)

    def check(self, num_agents: int) -> None:
        """Refuse a number of agents that the task or the map does not allow.

        Raises:
            ValueError: naming the number.
        """
        free = self._num_free()
        if num_agents > free:
            raise ValueError(
                f"num_agents: expected at most {free}, the free cells to start from, got "
                f"{num_agents}"
            )

    # Written by the tasks.

    @abc.abstractmethod
    def _num_free(self) -> int:
        """Smallest number of free cells to start from."""

    @abc.abstractmethod
    def _lay(self, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, PyTree]:
        """A new map: ``(terrain, free cells to start from, marks of the agents, task)``."""

    def _lay_given(
        self, key: jax.Array, params: SwarmBenchParams
    ) -> tuple[jax.Array, jax.Array, jax.Array, PyTree]:
        """As ``_lay``, for tasks whose map is part of the physics."""
        del params
        return self._lay(key)

    @abc.abstractmethod
    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        """Evaluate the map after the pushing; ``action`` is ``int32[N]``."""

    def _begin(self, world: SwarmBenchWorld) -> SwarmBenchWorld:
        """Complete a new world after the agents are placed."""
        return world

    def _status(self, world: SwarmBenchWorld) -> jax.Array:
        """The task's status of each agent, ``float32[N]``."""
        return jnp.zeros(self.num_agents)

    def _prey(self, world: SwarmBenchWorld) -> tuple[jax.Array, jax.Array] | None:
        """Position of a prey and whether it can be pushed, if the task has one."""
        return None

    def _body(self, world: SwarmBenchWorld) -> Body | None:
        """The rigid body, if the task has one."""
        return None

    def _carried(
        self, world: SwarmBenchWorld, prey: jax.Array | None, shift: jax.Array | None
    ) -> SwarmBenchWorld:
        """Apply the prey's new position, or the step of the rigid body, after a pass."""
        return world

    # The round.

    @property
    def params(self) -> SwarmBenchParams:
        """Physics with full sight, messages delivered and no shaping."""
        return SwarmBenchParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``, or ``int32[N, 1 + L]``: the move, then tokens."""
        counts = np.full((self.num_agents, 1 + self.message_length), self.vocabulary, np.int32)
        counts[:, 0] = self.num_actions
        counts = counts if self.message_length else counts[:, 0]
        return specs.MultiDiscreteArray(num_values=jnp.asarray(counts), name="action")

    def agent_mask(self, world: SwarmBenchWorld) -> jax.Array:
        """Agents that have not left the map, ``bool[N]``."""
        return world.present

    def start(self, key: jax.Array, params: SwarmBenchParams) -> SwarmBenchWorld:
        """A new map with agents on free cells."""
        map_key, place_key = jax.random.split(key)
        terrain, free, marked, task = self._lay_given(map_key, params)
        n = self.num_agents
        position = draw_cells(place_key, free, n)
        present = jnp.ones(n, bool)
        return self._begin(
            SwarmBenchWorld(
                position=position,
                present=present,
                marked=marked,
                terrain=terrain,
                message=jnp.zeros((n, self.message_length), jnp.int32),
                explored=place(jnp.zeros(self.shape, bool), position, True, present),
                score=jnp.zeros(()),
                round=jnp.int32(0),
                task=task,
            )
        )

    def advance(
        self,
        key: jax.Array,
        world: SwarmBenchWorld,
        action: jax.Array,
        params: SwarmBenchParams,
    ) -> Outcome:
        """One round: pushing, the task's update, messages and metrics."""
        move = action[:, 0] if self.message_length else action
        sent = action[:, 1:] if self.message_length else world.message
        move = jnp.where(world.present, move, 4).astype(jnp.int32)
        sent = jnp.where(world.present[:, None], sent, 0).astype(jnp.int32)
        pushed = self._push(world, move)
        updated = self._update(key, world, pushed, move)
        after = updated.world
        present = world.present & self._inside(after.position)
        after = after._replace(
            present=present,
            message=sent,
            explored=place(after.explored, after.position, True, present),
            round=world.round + 1,
        )
        ahead = jnp.where(present & ~updated.terminated, self._potential(after), 0.0)
        dense = params.discount * ahead - self._potential(world)
        reward = updated.reward + params.shaping * dense
        measured = metrics.coordination(
            move, world.position, after.position, world.present, present, self.shape
        )
        measured["score"] = after.score
        measured["explored"] = jnp.sum(after.explored, dtype=jnp.int32)
        length = jnp.sum(sent > 0, axis=1)
        senders = jnp.sum(length > 0)
        measured["messages"] = senders.astype(jnp.int32)
        measured["message_length"] = jnp.sum(length) / jnp.maximum(senders, 1)
        return Outcome(after, reward, updated.terminated, measured)

    def _potential(self, world: SwarmBenchWorld) -> jax.Array:
        """Potential of a state ``[N]``, of which shaping is the discounted increase (Ng, 1999)."""
        return jnp.zeros(self.num_agents)

    def _inside(self, position: jax.Array) -> jax.Array:
        return jnp.all((position >= 0) & (position < jnp.array(self.shape)[None, :]), axis=1)

    def _push(self, world: SwarmBenchWorld, move: jax.Array) -> SwarmBenchWorld:
        """The four passes of pushing; agents that push the opposite way resist with their force."""
        pad = MARGIN if self._body(world) is not None else 1
        static = jnp.pad(world.terrain > 0, pad)

        def one_pass(direction: jax.Array, world: SwarmBenchWorld) -> SwarmBenchWorld:
            opposite = direction ^ 1
            force = jnp.where(move == direction, FORCE, jnp.where(move == opposite, -FORCE, 0))
            here = world.present & self._inside(world.position)
            at = world.position + pad
            loose = place(jnp.zeros(static.shape, bool), at, True, here)
            net = place(jnp.zeros(static.shape, jnp.int32), at, force - MASS, here)
            prey, body, still = self._prey(world), self._body(world), static
            if prey is not None:
                where, pushable = prey[0] + pad, prey[1]
                loose = loose.at[where[0], where[1]].set(pushable)
                still = still.at[where[0], where[1]].set(~pushable)
                net = net.at[where[0], where[1]].set(-MASS)
            cells, mass = (None, 0) if body is None else body
            moves, shifts = push(net, loose, still, direction, cells, mass)
            step = jnp.asarray(STEPS)[direction]
            moved = here & moves[at[:, 0], at[:, 1]]
            world = world._replace(
                position=world.position + jnp.where(moved[:, None], step[None, :], 0)
            )
            if prey is not None:
                pushed = moves[prey[0][0] + pad, prey[0][1] + pad]
                world = self._carried(world, prey[0] + jnp.where(pushed, step, 0), None)
            if body is not None:
                world = self._carried(world, None, jnp.where(shifts, step, 0))
            return world

        return jax.lax.fori_loop(0, 4, one_pass, world)

    # Observations.

    def cells(self, world: SwarmBenchWorld) -> jax.Array:
        """Codes of all cells, including agents, prey and body, ``int32[H, W]``."""
        grid = world.terrain
        body, prey = self._body(world), self._prey(world)
        if body is not None:
            inner = body.cells[MARGIN:-MARGIN, MARGIN:-MARGIN]
            grid = jnp.where(inner, BOX, grid)
        if prey is not None:
            grid = grid.at[prey[0][0], prey[0][1]].set(PREY)
        code = jnp.where(world.marked, AGENT, DIM_AGENT)
        return place(grid, world.position, code, world.present)

    def numbers(self, world: SwarmBenchWorld) -> jax.Array:
        """Id of the agent in each cell, −1 for none, ``int32[H, W]``."""
        n = self.num_agents
        blank = jnp.full(self.shape, -1, jnp.int32)
        return place(blank, world.position, jnp.arange(n, dtype=jnp.int32), world.present)

    def observe(
        self, world: SwarmBenchWorld, params: SwarmBenchParams, step_count: jax.Array
    ) -> PyTree:
        """Windows of the map, and messages sent nearby in the last round."""
        del step_count
        n, k = self.num_agents, self.view
        view = windows(self.cells(world), world.position, k, OUTSIDE)
        view = view.at[:, k // 2, k // 2].set(SELF)
        hidden = self._hidden(params)[None, :, :]
        view = jnp.where(hidden, UNSEEN, view)
        inbox, count = self._receive(world, params)
        shown = jnp.full(n, world.round if self.observe_round else jnp.int32(0))
        status = self._status(world).astype(jnp.float32)[:, None]
        if self.as_features:
            tokens = jax.nn.one_hot(inbox, self.vocabulary)
            filled = jnp.any(inbox > 0, axis=2)[:, :, None, None]
            number = jnp.maximum(jnp.sum(filled, axis=1), 1)
            return SwarmBenchFeatures(
                view=jax.nn.one_hot(view, NUM_CODES),
                position=world.position / jnp.array(self.shape)[None, :],
                round=shown / self.time_limit,
                status=status,
                messages=jnp.sum(jnp.where(filled, tokens, 0.0), axis=1) / number,
                agent_mask=world.present,
            )
        numbers = windows(self.numbers(world), world.position, k, -1)
        return SwarmBenchObservation(
            view=view,
            numbers=jnp.where(hidden, -1, numbers),
            position=world.position,
            round=shown,
            status=status,
            inbox=inbox,
            num_messages=count,
            agent_mask=world.present,
        )

    def _hidden(self, params: SwarmBenchParams) -> jax.Array:
        """Cells of the window that are out of sight, ``bool[k, k]``."""
        offset = jnp.abs(jnp.arange(self.view) - self.view // 2)
        return jnp.maximum(offset[:, None], offset[None, :]) > params.sight

    def _receive(
        self, world: SwarmBenchWorld, params: SwarmBenchParams
    ) -> tuple[jax.Array, jax.Array]:
        """Messages ``[N, M, L]`` of senders in the window, by id, and their number ``[N]``."""
        n, k, slots = self.num_agents, self.view, self.inbox
        if not self.message_length:
            return jnp.zeros((n, slots, 0), jnp.int32), jnp.zeros(n, jnp.int32)
        sending = jnp.any(world.message > 0, axis=1)
        ring = tuple(side + 2 for side in self.shape)  # senders that just left are outside
        blank = jnp.full(ring, n, jnp.int32)
        ids = place(blank, world.position + 1, jnp.arange(n, dtype=jnp.int32), sending)
        near = windows(ids, world.position + 1, k, n)
        near = jnp.where(self._hidden(params)[None, :, :], n, near).reshape(n, -1)
        near = jnp.where((params.communication > 0) & world.present[:, None], near, n)
        count = jnp.sum(near < n, axis=1, dtype=jnp.int32)
        fits = min(slots, near.shape[1])
        first = -jax.lax.top_k(-near, fits)[0]
        first = jnp.pad(first, ((0, 0), (0, slots - fits)), constant_values=n)
        silence = jnp.zeros((1, self.message_length), jnp.int32)
        return jnp.concatenate([world.message, silence])[first], count

    def draw(self, world: SwarmBenchWorld, params: SwarmBenchParams, ax: Any) -> None:
        """Draw the map; see :mod:`jaxswarm.envs.swarmbench.viewer`."""
        del params
        viewer.draw(self.cells(jax.tree.map(jnp.asarray, world)), world, ax)


def walled(shape: tuple[int, int]) -> np.ndarray:
    """An empty map surrounded by walls, ``int32[H, W]``."""
    terrain = np.full(shape, WALL, np.int32)
    terrain[1:-1, 1:-1] = 0
    return terrain
