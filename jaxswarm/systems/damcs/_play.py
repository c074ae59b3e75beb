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
        timestep.last(),
        play.steps + 1,
        timestep.extras["diamond"],
    )
    return jax.tree.map(lambda old, new: jnp.where(play.over, old, new), play, after)


class Episodes(NamedTuple):
    """Outcomes of episodes.

    Attributes:
        steps: ``int[W]``, until the end.
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


def episodes_of(team: Team, *, chunk: int = 25, jit: Any = jax.jit) -> Any:
    """Make ``play(keys, options, num_present) -> Episodes`` for many worlds side by side.

    All options share two compiled programs. Every ``chunk`` steps the host looks whether all
    episodes are over.

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
    def advance(keys: jax.Array, plays: Play, options: TeamOptions) -> Play:
        def one(plays: Play, index: jax.Array) -> tuple[Play, None]:
            folded = jax.vmap(lambda key, play: jax.random.fold_in(key, play.steps + 1))(
                keys, plays
            )
            step = jax.vmap(lambda key, play: step_play(key, play, team, options))
            return step(folded, plays), None

        return jax.lax.scan(one, plays, jnp.arange(chunk))[0]

    def play(keys: jax.Array, options: TeamOptions, num_present: int) -> Episodes:
        options = jax.tree.map(jnp.asarray, options)
        plays = begin(keys, jnp.int32(num_present))
        while not bool(np.asarray(plays.over).all()):
            plays = advance(keys, plays, options)
        world = plays.state.world
        return Episodes(
            *(np.asarray(x) for x in (plays.steps, plays.diamond)),
            np.asarray(plays.memory.bytes),
            np.asarray(plays.memory.decisions),
            np.asarray(world.alive).sum(axis=1),
            np.asarray(world.achieved).any(axis=1),
        )

    return play
