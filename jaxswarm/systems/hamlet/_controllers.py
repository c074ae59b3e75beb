"""The controllers that keep a play moving: planner, transfer and advancer, as pure functions.

None of them changes a fact of the world; that is the narrator's alone, by acts that are possible.
The planner sees the world and the point's flag, never an actor's private goal.

Shapes: ``N`` actors, ``M`` acts of an actor, ``F`` facts, ``Q`` points.

References:
    S. Jiang et al., HAMLET: a hierarchical and adaptive multi-agent framework, 2026.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.envs import theatre
from jaxswarm.types import Key


class Move(NamedTuple):
    """Result of :func:`transfer`.

    Attributes:
        reached: ``bool[]``, the flag holds.
        point: ``int32[]`` afterwards.
        facts: ``bool[F]``, after those who leave put down what they hold.
    """

    reached: jax.Array
    point: jax.Array
    facts: jax.Array


def planner(
    verbs: theatre.Tables, facts: jax.Array, flag: jax.Array, present: jax.Array, depth: int
) -> theatre.Relaxed:
    """Split a flag into beats: the acts that start some shortest relaxed trajectory to it.

    Args:
        verbs: of all actors.
        facts: ``bool[F]``, the world.
        flag: ``bool[F]``.
        present: ``bool[N]``.
        depth: of the trajectories, static.
    """
    return theatre.relaxed_plan(verbs, facts, flag, present, depth)


def transfer(
    stage: theatre.Stage, plays: theatre.Blueprint, play: jax.Array, point: jax.Array,
    facts: jax.Array,
) -> Move:  # fmt: skip
    """Test the flag, go to the next point, let actors of the next scene enter and others leave."""
    flag, _, cast = theatre.goals_at(plays, play, point)
    reached = theatre.holds(facts, flag)
    after = point + reached
    _, _, then = theatre.goals_at(plays, play, after)
    return Move(reached, after, theatre.leave(stage, facts, cast & ~then & reached))


def advancer(
    key: Key, helpful: jax.Array, possible: jax.Array, prompt: jax.Array, due: jax.Array
) -> jax.Array:
    """Prompt one actor with one beat, if the play has stalled.

    Args:
        key: consumed.
        helpful: ``bool[N, M]``, of the planner.
        possible: ``bool[N, M]``, acts whose conditions hold in the world, of present actors.
        prompt: ``int32[N]``, prompts that stand, 0 for none.
        due: ``bool[]``, whether a prompt is due.

    Returns:
        Prompts ``int32[N]``; a new one replaces all others.
    """
    beats = helpful & possible
    scores = jnp.where(beats, jax.random.uniform(key, beats.shape), -1.0)
    actor, act = jnp.divmod(jnp.argmax(scores.reshape(-1)), beats.shape[1])
    fresh = jnp.where(jnp.arange(beats.shape[0]) == actor, act + 1, 0).astype(jnp.int32)
    return jnp.where(due & jnp.any(beats), fresh, prompt)
