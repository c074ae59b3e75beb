"""Whole episodes of a team, in chunks that end when all episodes have.

Shapes: ``W`` worlds side by side, ``N`` agents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.environment import SwarmState
from jaxswarm.systems.damcs._team import Team, TeamOptions, TeamState
from jaxswarm.types import Key


class Play(NamedTuple):
    """What happened in an episode so far.

    Attributes:
        state: the environment.
        observation: its last observation.
        memory: the team.
        over: ``bool[]``.
        steps: ``int32[]``, steps played.
        diamond: ``bool[]``, whether the team got a diamond.
    """

    state: SwarmState
    observation: Any
    memory: TeamState
    over: jax.Array
    steps: jax.Array
    diamond: jax.Array


def start_play(key: Key, team: Team, num_present: int | jax.Array | None = None) -> Play:
    """Start an episode.

    Args:
        key: a random key.
        team: the team.
        num_present: agents that take part, the first of the row; the others count as dead. All
            unless given; may be traced.
    """
    env = team.env
    state, timestep = env.reset(key)
    if num_present is not None:
        present = jnp.arange(env.num_agents) < num_present
        world = state.world._replace(alive=present)
        state = state._replace(world=world)
        timestep.observation = env.observe(world, state.params, state.step_count)
    zero = jnp.int32(0)
    none = jnp.zeros((), bool)
    return Play(state, timestep.observation, team.init(), none, zero, none)


def step_play(key: Key, play: Play, team: Team, options: TeamOptions) -> Play:
    """One step of an episode; one that is over stays as it is."""
    seen = team.env.seen(play.state.world)
    memory, action = team.act(key, play.memory, play.observation, seen, options)
    state, timestep = team.env.step(play.state, action)
    after = Play(
        state,
        timestep.observation,
        memory,
        jnp.asarray(timestep.last()),
        play.steps + 1,
        timestep.extras["diamond"],
    )
    return jax.tree.map(lambda old, new: jnp.where(play.over, old, new), play, after)


class Episodes(NamedTuple):
    """Outcomes of episodes.

    Attributes:
        steps: ``int[W]``, until the diamond; the time limit where there is none.
        diamond: ``bool[W]``.
        bytes: ``float[W]``, sent by all agents.
        decisions: ``int[W]``, of all agents.
        num_alive: ``int[W]``, at the end.
        achieved: ``bool[W, 20]``, by any agent.
    """

    steps: np.ndarray
    diamond: np.ndarray
    bytes: np.ndarray
    decisions: np.ndarray
    num_alive: np.ndarray
    achieved: np.ndarray


class Film(NamedTuple):
    """One episode, recorded.

    Attributes:
        goal: ``int[T, N]``, goal of every agent at every step, -1 once it is dead.
        step: ``int[F]``, times of the frames.
        terrain: ``int8[F, S, S]``.
        position: ``int[F, N, 2]``.
        alive: ``bool[F, N]``.
        inventory: ``int[F, N, 16]``.
        cows: ``int[F, C, 2]``, their positions, -1 in free slots.
    """

    goal: np.ndarray
    step: np.ndarray
    terrain: np.ndarray
    position: np.ndarray
    alive: np.ndarray
    inventory: np.ndarray
    cows: np.ndarray


def _frame(play: Play) -> tuple[jax.Array, ...]:
    world = play.state.world
    cows = jnp.where((world.cows.health > 0)[:, None], world.cows.position, -1)
    return play.steps, world.terrain, world.position, world.alive, world.inventory, cows


def episodes_of(
    team: Team, *, chunk: int = 25, num_worlds: int | None = None, jit: Any = jax.jit
) -> Any:
    """Make ``play(keys, options, num_present, watch=None)`` for many episodes.

    It returns ``Episodes``, or with ``watch``, the index of an episode, ``(Episodes, Film)`` with a
    frame every ``chunk`` steps. Options and ``num_present`` are one for all episodes or have one
    value for each, ``[W]``; all share two compiled programs. Every ``chunk`` steps the host looks
    which episodes are over and starts the next ones in their place. The outcome of an episode
    depends on its key and options alone.

    Args:
        team: the team.
        chunk: steps between two looks, at least 1.
        num_worlds: most episodes that are played side by side, at least 1; all unless given.
        jit: what compiles, ``jax.jit`` or one that trades speed for compile time.

    Raises:
        ValueError: if this is no team, ``chunk < 1`` or ``num_worlds < 1``.
    """
    checks.instance("team", team, Team, "damcs.team(env)")
    chunk = checks.whole("chunk", chunk, 1)
    if num_worlds is not None:
        num_worlds = checks.whole("num_worlds", num_worlds, 1)
    checks.function("jit", jit)

    @jit
    def begin(keys: jax.Array, num_present: jax.Array) -> Play:
        return jax.vmap(lambda key, count: start_play(key, team, count))(keys, num_present)

    @jit
    def advance(keys: jax.Array, plays: Play, options: TeamOptions) -> tuple[Play, jax.Array]:
        def one(plays: Play, index: jax.Array) -> tuple[Play, jax.Array]:
            del index
            folded = jax.vmap(lambda key, play: jax.random.fold_in(key, play.steps + 1))(
                keys, plays
            )
            step = jax.vmap(lambda key, play, options: step_play(key, play, team, options))
            plays = step(folded, plays, options)
            goal = jnp.where(plays.state.world.alive, plays.memory.decision.goal, -1)
            return plays, goal

        return jax.lax.scan(one, plays, jnp.arange(chunk))

    def play(
        keys: jax.Array, options: TeamOptions, num_present: Any, watch: int | None = None
    ) -> Any:
        count = len(keys)
        each = jax.tree.map(lambda x: np.broadcast_to(np.asarray(x), count), (options, num_present))
        options, present = each
        side = count if num_worlds is None else min(num_worlds, count)
        number, waiting = np.arange(side), side  # episode of each place; the next that waits
        outcomes: list[Any] = [None] * count
        recorder = _Recorder(watch)
        plays = begin(keys[number], present[number])
        open_ = np.ones(side, bool)
        while open_.any():
            recorder.before(plays, number, open_)
            plays, goal = advance(
                keys[number], plays, jax.tree.map(lambda x, n=number: x[n], options)
            )
            recorder.after(goal, plays, number, open_)
            ended = open_ & np.asarray(plays.over)
            if not ended.any():
                continue
            outcome = jax.tree.map(np.asarray, _outcome(plays, team.env.time_limit))
            starts = np.zeros(side, bool)
            for place in np.flatnonzero(ended):
                outcomes[number[place]] = [field[place] for field in outcome]
                starts[place] = waiting < count
                open_[place] = starts[place]
                if starts[place]:
                    number[place], waiting = waiting, waiting + 1
            if starts.any():
                plays = _replace(plays, begin(keys[number], present[number]), starts)
        episodes = Episodes(*[np.stack(column) for column in zip(*outcomes, strict=True)])
        return episodes if watch is None else (episodes, recorder.film())

    return play


def _replace(plays: Play, fresh: Play, starts: np.ndarray) -> Play:
    """Plays of which some are replaced by ones that have just started."""

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(starts.reshape((-1,) + (1,) * (old.ndim - 1)), new, old)

    return jax.tree.map(choose, fresh, plays)


def _outcome(plays: Play, time_limit: int) -> Episodes:
    world, memory = plays.state.world, plays.memory
    return Episodes(
        jnp.where(plays.diamond, plays.steps, time_limit),  # pyright: ignore
        plays.diamond,  # pyright: ignore
        memory.bytes,  # pyright: ignore
        memory.decisions,  # pyright: ignore
        jnp.sum(world.alive, axis=1),  # pyright: ignore
        jnp.any(world.achieved, axis=1),  # pyright: ignore
    )


class _Recorder:
    """Keeps the frames of one episode and the goals at each of its steps."""

    def __init__(self, watch: int | None):
        self.watch = watch
        self.goals: list[np.ndarray] = []
        self.frames: list[Any] = []

    def _place(self, number: np.ndarray, running: np.ndarray) -> Any:
        return np.flatnonzero(running & (number == self.watch))

    def _keep(self, plays: Play, place: int) -> None:
        one = jax.tree.map(lambda x: x[place], plays)
        self.frames.append(jax.tree.map(np.asarray, _frame(one)))

    def before(self, plays: Play, number: np.ndarray, running: np.ndarray) -> None:
        for place in self._place(number, running):
            self._keep(plays, place)

    def after(self, goal: Any, plays: Play, number: np.ndarray, running: np.ndarray) -> None:
        for place in self._place(number, running):
            self.goals.append(np.asarray(goal)[:, place])
            if bool(plays.over[place]):
                self._keep(plays, place)

    def film(self) -> Film:
        columns = [np.stack(column) for column in zip(*self.frames, strict=True)]
        return Film(np.concatenate(self.goals)[: int(columns[0][-1])], *columns)
