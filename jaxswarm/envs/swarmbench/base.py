"""What the five tasks share: pushing, local views, anonymous messages, and the order of a round.

A round: everybody chooses a move and a message; bodies are pushed, upward first, then down, left
and right; the task looks at the map; who stands outside is gone; the round number grows. Messages
are heard in the next round by everyone within the window of whoever spoke, the speaker included,
without a name.

Shapes: ``N`` agents, a map ``[H, W]``, windows ``k × k``, messages of ``L`` tokens, inboxes of
``M`` messages.

References:
    K. Ruan et al., Benchmarking LLMs' swarm intelligence, 2025.
"""

import abc
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

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

PyTree = Any
MARGIN = 6  # cells around the map in which a body that is half outside still exists


class SwarmBenchParams(NamedTuple):
    """Physics, traced.

    Attributes:
        sight: cells farther than this (Chebyshev) are hidden, and so are messages from there; at
            most ``k // 2`` matters. So many views share one program.
        hearing: 1, or 0 if messages are lost.
        shaping: weight of a dense reward of ours that guides learners; 0 leaves the score alone.
    """

    sight: Any = 1_000
    hearing: Any = 1.0
    shaping: Any = 0.0


class SwarmBenchWorld(NamedTuple):
    """The map and everybody on it.

    Attributes:
        position: ``int32[N, 2]``; agents that left stand where they left.
        present: ``bool[N]``.
        marked: ``bool[N]``, the light is on, or food is carried; true where a task has neither.
        terrain: ``int32[H, W]``, codes of what never moves.
        message: ``int32[N, L]``, tokens said in the last round, 0 for silence.
        explored: ``bool[H, W]``, where agents have been.
        score: ``float32[]``, as the benchmark counts.
        round: ``int32[]``.
        task: the task's own pytree.
    """

    position: jax.Array
    present: jax.Array
    marked: jax.Array
    terrain: jax.Array
    message: jax.Array
    explored: jax.Array
    score: jax.Array
    round: jax.Array
    task: PyTree


class SwarmBenchObservation(NamedTuple):
    """What each agent sees.

    Attributes:
        view: ``int32[N, k, k]`` of codes.
        numbers: ``int32[N, k, k]``, which agent stands in a cell, −1 for none.
        position: ``int32[N, 2]``, row and column on the map.
        round: ``int32[N]``, 0 if hidden.
        status: ``float32[N, 1]``, what the task tells: the score, the own light, carrying or not.
        inbox: ``int32[N, M, L]``, messages heard, zeros where there are fewer.
        heard: ``int32[N]``, messages in reach; more than ``M`` did not fit.
        agent_mask: ``bool[N]``.
    """

    view: jax.Array
    numbers: jax.Array
    position: jax.Array
    round: jax.Array
    status: jax.Array
    inbox: jax.Array
    heard: jax.Array
    agent_mask: jax.Array


class SwarmBenchFeatures(NamedTuple):
    """The same for neural networks, all ``float32``.

    Attributes:
        view: ``[N, k, k, 11]``, indicators of the codes.
        position: ``[N, 2]``, shares of the map.
        round: ``[N]``, share of the time limit, 0 if hidden.
        status: ``[N, 1]``.
        heard: ``[N, L, V]``, how often each token stands in each place of the messages heard, as
            shares.
        agent_mask: ``bool[N]``.
    """

    view: jax.Array
    position: jax.Array
    round: jax.Array
    status: jax.Array
    heard: jax.Array
    agent_mask: jax.Array


class Update(NamedTuple):
    """What a task makes of a round: ``world``, ``reward float32[N]``, ``done bool[]``."""

    world: SwarmBenchWorld
    reward: jax.Array
    done: jax.Array


class Body(NamedTuple):
    """A rigid body: its ``cells bool[H + 2 P, W + 2 P]`` in the padded map, and its ``mass``."""

    cells: jax.Array
    mass: int


class SwarmBench(SwarmEnvironment):
    """A task of the benchmark; use one of the five subclasses, or :func:`make`.

    Actions are ``int32[N]`` (up, down, left, right, stay, and in synchronisation switch), or
    ``int32[N, 1 + L]`` with the message's tokens behind if ``message_length > 0``. The reward is
    what the score grew by: to everybody, or in foraging and transport to who earned it.

    Args:
        num_agents: ``N``.
        size: ``(H, W)`` or one number for both.
        view: ``k``, odd.
        time_limit: rounds.
        message_length: ``L`` tokens; 0 for a silent swarm.
        vocabulary: tokens are below this; 0 is silence.
        inbox: ``M``; all agents by default.
        observe_round: show the number of the round.
        as_features: observe :class:`SwarmBenchFeatures`, for neural networks.
        faithful: keep what the reference does against its own description; each task says what.

    Raises:
        ValueError: for sizes that cannot be, or a map on which the agents find no room.
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
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < self.smallest:
            raise ValueError(
                f"size: {type(self).__name__} needs at least {self.smallest} × {self.smallest} "
                f"cells, got {height} × {width}"
            )
        if view < 1 or view % 2 == 0:
            raise ValueError(f"view: expected an odd number of cells, got {view}")
        if message_length < 0:
            raise ValueError(f"message_length: expected at least 0, got {message_length}")
        if vocabulary < 2:
            raise ValueError(f"vocabulary: expected at least 2 tokens, got {vocabulary}")
        if inbox is not None and inbox < 1:
            raise ValueError(f"inbox: expected at least 1 message, got {inbox}")
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
        """Refuse a number of agents that the task or the map cannot have.

        Raises:
            ValueError: naming the number.
        """
        room = self._room()
        if num_agents > room:
            raise ValueError(f"num_agents: only {room} free cells to start from, got {num_agents}")

    # What a task writes.

    @abc.abstractmethod
    def _room(self) -> int:
        """Free cells to start from, at the least."""

    @abc.abstractmethod
    def _lay(self, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, PyTree]:
        """``(terrain, free, marked, task)``: a new map, where agents may start, their marks."""

    @abc.abstractmethod
    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        """Look at the map after the pushing; ``action`` is ``int32[N]``."""

    def _begin(self, world: SwarmBenchWorld) -> SwarmBenchWorld:
        """Complete a new world once agents have places."""
        return world

    def _status(self, world: SwarmBenchWorld) -> jax.Array:
        """``float32[N]``."""
        return jnp.zeros(self.num_agents)

    def _prey(self, world: SwarmBenchWorld) -> tuple[jax.Array, jax.Array] | None:
        """Position and whether it can be pushed, of a prey."""
        return None

    def _body(self, world: SwarmBenchWorld) -> Body | None:
        """The rigid body."""
        return None

    def _carried(
        self, world: SwarmBenchWorld, prey: jax.Array | None, shift: jax.Array | None
    ) -> SwarmBenchWorld:
        """The prey's new position, or the step of the rigid body, after a pass."""
        return world

    # The round.

    @property
    def params(self) -> SwarmBenchParams:
        """Full sight, messages arrive, no shaping."""
        return SwarmBenchParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """``int32[N]``, or ``int32[N, 1 + L]``: the move, then tokens."""
        counts = np.full((self.num_agents, 1 + self.message_length), self.vocabulary, np.int32)
        counts[:, 0] = self.num_actions
        counts = counts if self.message_length else counts[:, 0]
        return specs.MultiDiscreteArray(num_values=jnp.asarray(counts), name="action")

    def agent_mask(self, world: SwarmBenchWorld) -> jax.Array:
        """Who has not left the map."""
        return world.present

    def start(self, key: jax.Array, params: SwarmBenchParams) -> SwarmBenchWorld:
        """A new map, and agents on free cells of it."""
        del params
        map_key, place_key = jax.random.split(key)
        terrain, free, marked, task = self._lay(map_key)
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
        """One round."""
        move = action[:, 0] if self.message_length else action
        said = action[:, 1:] if self.message_length else world.message
        move = jnp.where(world.present, move, 4).astype(jnp.int32)
        said = jnp.where(world.present[:, None], said, 0).astype(jnp.int32)
        pushed = self._push(world, move)
        updated = self._update(key, world, pushed, move)
        after = updated.world
        present = world.present & self._inside(after.position)
        after = after._replace(
            present=present,
            message=said,
            explored=place(after.explored, after.position, True, present),
            round=world.round + 1,
        )
        reward = updated.reward + params.shaping * self._shaped(world, after)
        seen = metrics.coordination(
            move, world.position, after.position, world.present, present, self.shape
        )
        seen["score"] = after.score
        seen["explored"] = jnp.sum(after.explored, dtype=jnp.int32)
        length = jnp.sum(said > 0, axis=1)
        spoke = jnp.sum(length > 0)
        seen["messages"] = spoke.astype(jnp.int32)
        seen["message_length"] = jnp.sum(length) / jnp.maximum(spoke, 1)
        return Outcome(after, reward, updated.done, seen)

    def _shaped(self, before: SwarmBenchWorld, after: SwarmBenchWorld) -> jax.Array:
        """A dense reward ``[N]`` of ours; differences of a potential where there is one."""
        return jnp.zeros(self.num_agents)

    def _inside(self, position: jax.Array) -> jax.Array:
        return jnp.all((position >= 0) & (position < jnp.array(self.shape)[None, :]), axis=1)

    def _push(self, world: SwarmBenchWorld, move: jax.Array) -> SwarmBenchWorld:
        """The four passes; who pushes the other way holds its ground with its force."""
        pad = MARGIN if self._body(world) is not None else 1
        static = jnp.pad(world.terrain > 0, pad)

        def one(direction: jax.Array, world: SwarmBenchWorld) -> SwarmBenchWorld:
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
            gone = here & moves[at[:, 0], at[:, 1]]
            world = world._replace(
                position=world.position + jnp.where(gone[:, None], step[None, :], 0)
            )
            if prey is not None:
                goes = moves[prey[0][0] + pad, prey[0][1] + pad]
                world = self._carried(world, prey[0] + jnp.where(goes, step, 0), None)
            if body is not None:
                world = self._carried(world, None, jnp.where(shifts, step, 0))
            return world

        return jax.lax.fori_loop(0, 4, one, world)

    # What is seen and heard.

    def cells(self, world: SwarmBenchWorld) -> jax.Array:
        """``int32[H, W]`` of codes: the map with everything on it."""
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
        """``int32[H, W]``: which agent stands in a cell, −1 for none."""
        n = self.num_agents
        blank = jnp.full(self.shape, -1, jnp.int32)
        return place(blank, world.position, jnp.arange(n, dtype=jnp.int32), world.present)

    def observe(
        self, world: SwarmBenchWorld, params: SwarmBenchParams, step_count: jax.Array
    ) -> PyTree:
        """Windows of the map, and what was said in the last round nearby."""
        del step_count
        n, k = self.num_agents, self.view
        view = windows(self.cells(world), world.position, k, OUTSIDE)
        view = view.at[:, k // 2, k // 2].set(SELF)
        hidden = self._hidden(params)[None, :, :]
        view = jnp.where(hidden, UNSEEN, view)
        inbox, heard = self._listen(world, params)
        shown = jnp.full(n, world.round if self.observe_round else jnp.int32(0))
        status = self._status(world).astype(jnp.float32)[:, None]
        if self.as_features:
            tokens = jax.nn.one_hot(inbox, self.vocabulary)
            told = jnp.any(inbox > 0, axis=2)[:, :, None, None]
            number = jnp.maximum(jnp.sum(told, axis=1), 1)
            return SwarmBenchFeatures(
                view=jax.nn.one_hot(view, NUM_CODES),
                position=world.position / jnp.array(self.shape)[None, :],
                round=shown / self.time_limit,
                status=status,
                heard=jnp.sum(jnp.where(told, tokens, 0.0), axis=1) / number,
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
            heard=heard,
            agent_mask=world.present,
        )

    def _hidden(self, params: SwarmBenchParams) -> jax.Array:
        """``bool[k, k]``: cells out of sight."""
        offset = jnp.abs(jnp.arange(self.view) - self.view // 2)
        return jnp.maximum(offset[:, None], offset[None, :]) > params.sight

    def _listen(
        self, world: SwarmBenchWorld, params: SwarmBenchParams
    ) -> tuple[jax.Array, jax.Array]:
        """Messages of speakers in the window, ``[N, M, L]``, in the order of who spoke."""
        n, k, slots = self.num_agents, self.view, self.inbox
        if not self.message_length:
            return jnp.zeros((n, slots, 0), jnp.int32), jnp.zeros(n, jnp.int32)
        spoke = jnp.any(world.message > 0, axis=1)
        ring = tuple(side + 2 for side in self.shape)  # speakers that just left stand outside
        blank = jnp.full(ring, n, jnp.int32)
        ids = place(blank, world.position + 1, jnp.arange(n, dtype=jnp.int32), spoke)
        near = windows(ids, world.position + 1, k, n)
        near = jnp.where(self._hidden(params)[None, :, :], n, near).reshape(n, -1)
        near = jnp.where((params.hearing > 0) & world.present[:, None], near, n)
        heard = jnp.sum(near < n, axis=1, dtype=jnp.int32)
        fits = min(slots, near.shape[1])
        first = -jax.lax.top_k(-near, fits)[0]
        first = jnp.pad(first, ((0, 0), (0, slots - fits)), constant_values=n)
        silence = jnp.zeros((1, self.message_length), jnp.int32)
        return jnp.concatenate([world.message, silence])[first], heard

    def draw(self, world: SwarmBenchWorld, params: SwarmBenchParams, ax: Any) -> None:
        """See :mod:`jaxswarm.envs.swarmbench.viewer`."""
        del params
        viewer.draw(self.cells(jax.tree.map(jnp.asarray, world)), world, ax)


def walled(shape: tuple[int, int]) -> np.ndarray:
    """An empty map in a ring of walls, ``int32[H, W]``."""
    terrain = np.full(shape, WALL, np.int32)
    terrain[1:-1, 1:-1] = 0
    return terrain
