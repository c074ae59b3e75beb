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


def episodes_of(team: Team, *, chunk: int = 25, jit: Any = jax.jit) -> Any:
    """Make ``play(keys, options, num_present, watch=None)`` for many worlds side by side.

    It returns ``Episodes``, or with ``watch``, the index of a world, ``(Episodes, Film)`` with a
    frame every ``chunk`` steps. All options share two compiled programs. Every ``chunk`` steps the
    host looks whether all episodes are over.

    Args:
        team: the team.
        chunk: steps between two looks, at least 1.
        jit: what compiles, ``jax.jit`` or one that trades speed for compile time.

    Raises:
        ValueError: if this is no team, or ``chunk < 1``.
    """
    checks.instance("team", team, Team, "damcs.team(env)")
    chunk = checks.whole("chunk", chunk, 1)
    checks.function("jit", jit)

    @jit
    def begin(keys: jax.Array, num_present: jax.Array) -> Play:
        return jax.vmap(lambda key: start_play(key, team, num_present))(keys)

    @jit
    def advance(keys: jax.Array, plays: Play, options: TeamOptions) -> tuple[Play, jax.Array]:
        def one(plays: Play, index: jax.Array) -> tuple[Play, jax.Array]:
            del index
            folded = jax.vmap(lambda key, play: jax.random.fold_in(key, play.steps + 1))(
                keys, plays
            )
            step = jax.vmap(lambda key, play: step_play(key, play, team, options))
            plays = step(folded, plays)
            goal = jnp.where(plays.state.world.alive, plays.memory.decision.goal, -1)
            return plays, goal

        return jax.lax.scan(one, plays, jnp.arange(chunk))

    def play(
        keys: jax.Array, options: TeamOptions, num_present: int, watch: int | None = None
    ) -> Any:
        goals: list[np.ndarray] = []
        frames: list[Any] = []
        options = jax.tree.map(jnp.asarray, options)
        plays = begin(keys, jnp.int32(num_present))
        while not bool(np.asarray(plays.over).all()):
            if watch is not None:
                one = jax.tree.map(lambda x: x[watch], plays)
                frames += [] if bool(one.over) else [jax.tree.map(np.asarray, _frame(one))]
            plays, goal = advance(keys, plays, options)
            goals += [] if watch is None else [np.asarray(goal)[:, watch]]
        world = plays.state.world
        got = np.asarray(plays.diamond)
        episodes = Episodes(
            np.where(got, np.asarray(plays.steps), team.env.time_limit),
            got,
            np.asarray(plays.memory.bytes),
            np.asarray(plays.memory.decisions),
            np.asarray(world.alive).sum(axis=1),
            np.any(np.asarray(world.achieved), axis=1),  # pyright: ignore
        )
        if watch is None:
            return episodes
        one = jax.tree.map(lambda x: x[watch], plays)
        frames.append(jax.tree.map(np.asarray, _frame(one)))
        length = int(one.steps)
        columns = [np.stack(column) for column in zip(*frames, strict=True)]
        return episodes, Film(np.concatenate(goals)[:length], *columns)

    return play
