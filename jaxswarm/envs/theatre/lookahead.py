"""Look-ahead on arrays: what acts are possible, what they gain, and layered relaxed plans.

All functions are of one state of facts (or beliefs); ``vmap`` them over plays and actors. The
relaxed plan ignores that acts undo facts: facts are reached layer by layer, then supporters are
collected backwards from the goal.

Shapes: ``N`` actors, ``M`` acts of an actor, ``F`` facts, ``A = N M`` acts.

References:
    J. Hoffmann, B. Nebel, The FF planning system: fast plan generation through heuristic search,
    2001 (layers of the relaxed planning graph, helpful actions).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.theatre.stage import Stage, check_stage


class Tables(NamedTuple):
    """Verbs as numbers, made by :func:`tables`; constants of a program.

    Attributes:
        true: ``float32[N, M, F]``, facts that must hold.
        false: ``float32[N, M, F]``, facts that must not.
        adds: ``float32[N, M, F]``.
        deletes: ``float32[N, M, F]``.
        needs: ``float32[N, M]``, number of facts that must hold; infinite for padded rows.
        reveals: ``float32[N, M]``, number of facts that the actor learns beyond its act.
    """

    true: np.ndarray
    false: np.ndarray
    adds: np.ndarray
    deletes: np.ndarray
    needs: np.ndarray
    reveals: np.ndarray


class Options(NamedTuple):
    """Own acts of one actor as it sees them.

    Attributes:
        possible: ``bool[M]``, preconditions hold and something would change.
        gain: ``float32[M]``, goal facts gained less goal facts lost.
    """

    possible: jax.Array
    gain: jax.Array


class Relaxed(NamedTuple):
    """A relaxed plan.

    Attributes:
        distance: ``int32[]``, sum over goal facts of the layer that reaches them, ``depth + 1`` for
            those out of reach; 0 if and only if the goal holds.
        helpful: ``bool[N, M]``, acts of the first layer on some shortest relaxed trajectory.
    """

    distance: jax.Array
    helpful: jax.Array


def tables(stage: Stage) -> Tables:
    """Make the tables of a stage."""
    check_stage(stage)
    true = stage.requires & stage.required
    needs = np.where(stage.exists, true.sum(axis=2), np.inf)
    parts = (
        true,
        stage.requires & ~stage.required,
        stage.changes & stage.results,
        stage.changes & ~stage.results,
        needs,
        np.where(stage.exists, stage.reveals.sum(axis=2), 0),
    )
    return Tables(*(part.astype(np.float32) for part in parts))


def options(own: Tables, facts: jax.Array, goal: jax.Array) -> Options:
    """Possible acts of one actor and their gain.

    Args:
        own: tables of one actor, without the axis ``N``.
        facts: ``bool[F]``, what it believes.
        goal: ``bool[F]``.
    """
    holds = facts.astype(jnp.float32)
    lacks = 1.0 - holds
    wanted = goal.astype(jnp.float32)
    missing = own.needs - own.true @ holds + own.false @ holds
    changed = own.adds @ lacks + own.deletes @ holds
    gain = own.adds @ (wanted * lacks) - own.deletes @ (wanted * holds)
    possible = (missing < 0.5) & (changed > 0.5)
    return Options(jnp.asarray(possible), jnp.asarray(gain))


def relaxed_plan(
    verbs: Tables, facts: jax.Array, goal: jax.Array, usable: jax.Array, depth: int
) -> Relaxed:
    """Relaxed plan of the actors who may act, to a bounded depth.

    Args:
        verbs: of all actors.
        facts: ``bool[F]``, the world or what an actor believes of it.
        goal: ``bool[F]``.
        usable: ``bool[N]``, whose acts count.
        depth: number of layers, static, at least 1.

    Raises:
        ValueError: if ``depth < 1``.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.envs import theatre
        >>> stage = theatre.default_stage(1, 2, 1, 1)
        >>> start = stage.bits([("at", "Ada", "hall"), ("in", "letter", "garden"),
        ...                     ("is", "letter", "intact")])
        >>> goal = stage.bits([("holds", "Ada", "letter")])
        >>> found = theatre.relaxed_plan(theatre.tables(stage), jnp.asarray(start),
        ...                              jnp.asarray(goal), jnp.ones(1, bool), 4)
        >>> int(found.distance), stage.texts[0][int(found.helpful[0].argmax())]
        (2, 'Ada goes to the garden')
    """
    depth = checks.whole("depth", depth, 1)
    n, m, f = verbs.true.shape
    true, adds = (x.reshape(n * m, f) for x in (verbs.true, verbs.adds))
    ready = jnp.where(jnp.repeat(usable, m), verbs.needs.reshape(-1) - 0.5, jnp.inf)
    holds = facts.astype(jnp.float32)
    reached = holds
    fact_layer = jnp.where(facts, 0, depth + 1)
    act_layer = jnp.full(n * m, depth + 1)

    def forward(held: tuple, layer: jax.Array) -> tuple:
        reached, fact_layer, act_layer = held
        possible = true @ reached > ready
        act_layer = jnp.where(possible & (act_layer > depth), layer, act_layer)
        gained = possible.astype(jnp.float32) @ adds > 0.5
        fact_layer = jnp.where(gained & (fact_layer > depth), layer + 1, fact_layer)
        return (jnp.maximum(reached, gained.astype(jnp.float32)), fact_layer, act_layer), None

    layers = jnp.arange(depth)
    (_, fact_layer, act_layer), _ = jax.lax.scan(forward, (reached, fact_layer, act_layer), layers)
    distance = jnp.sum(jnp.where(goal, fact_layer, 0))

    def backward(needed: jax.Array, layer: jax.Array) -> tuple:
        now = (needed & (fact_layer == layer + 1)).astype(jnp.float32)
        helpful = (adds @ now > 0.5) & (act_layer == layer)
        return needed | (helpful.astype(jnp.float32) @ true > 0.5), helpful

    _, marks = jax.lax.scan(backward, goal & (fact_layer <= depth), layers, reverse=True)
    helpful = marks[0]
    return Relaxed(distance.astype(jnp.int32), helpful.reshape(n, m))
