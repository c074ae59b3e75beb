"""Candidates of perceive-and-decide: what an actor would do fast, slowly, by chance, or directed.

All of them look at the actor's own beliefs alone, except the directed one, which is an oracle.

Shapes: ``N`` actors, ``M`` acts of an actor, ``F`` facts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.envs import theatre
from jaxswarm.types import Key


class Candidates(NamedTuple):
    """Acts ``int32[N]`` of each way to decide; 0 is silence."""

    fast: jax.Array
    slow: jax.Array
    random: jax.Array
    directed: jax.Array


def candidates(
    key: Key,
    verbs: theatre.Tables,
    beliefs: jax.Array,
    target: jax.Array,
    present: jax.Array,
    helpful: jax.Array,
    noise: jax.Array,
    depth: int,
) -> Candidates:
    """Compute the candidates of all actors.

    *Fast*: the possible act that gains most facts of the goal at once; any possible act if none
    gains, or with the probability ``noise``. *Slow*: a relaxed plan over own beliefs and the acts
    of all present actors, to a bounded depth; an own act of its first layer, silence if only others
    can help now or if it finds no way. Both are silent if the goal is reached as far as the actor
    believes.

    Args:
        key: consumed; actor ``i`` draws from ``fold_in(key, i)``.
        verbs: of all actors.
        beliefs: ``bool[N, F]``.
        target: ``bool[N, F]``, the goal that each one pursues now.
        present: ``bool[N]``.
        helpful: ``bool[N, M]``, of the planner, for the directed candidate.
        noise: probability in ``[0, 1]``.
        depth: layers of the look-ahead, static.
    """
    n = present.shape[0]

    def one(
        key: Key,
        actor: jax.Array,
        own: theatre.Tables,
        believed: jax.Array,
        goal: jax.Array,
        beats: jax.Array,
    ) -> Candidates:
        numbers = jax.random.uniform(key, (3, own.needs.shape[0]))
        chance = numbers[0, 0]
        seen = theatre.options(own, believed, goal)
        plan = theatre.relaxed_plan(verbs, believed, goal, present, depth)
        done = theatre.holds(believed, goal)
        anything = _pick(numbers[1], seen.possible)
        best = _pick(numbers[2] + 2.0 * seen.gain, seen.possible & (seen.gain > 0.5))
        hasty = (best == 0) | (chance < noise)
        mine = plan.helpful[actor]
        thought = _pick(numbers[2], seen.possible & mine)
        return Candidates(
            fast=jnp.where(done, 0, jnp.where(hasty, anything, best)),
            slow=jnp.where(done, 0, thought),
            random=anything,
            directed=_pick(numbers[2], beats),
        )

    keys = agents.keys(key, n)
    return jax.vmap(one)(keys, jnp.arange(n), verbs, beliefs, target, helpful)


def _pick(scores: jax.Array, allowed: jax.Array) -> jax.Array:
    """The allowed act of the highest score as an action, 0 if none is allowed."""
    best = jnp.argmax(jnp.where(allowed, scores, -jnp.inf))
    return jnp.where(jnp.any(allowed), best + 1, 0).astype(jnp.int32)
