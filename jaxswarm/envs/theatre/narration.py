"""The narrator: which acts are possible, what they change, and who comes to know of it.

Acts of a moment are adjudicated one after the other. An act is possible if its actor is present,
its preconditions hold in the world (whatever the actor believes) and it would change something. Its
conditions and effects are broadcast to present actors in the same place, before or after it, or to
all present ones if it is loud; a failure is explained to its actor by the conditions that do not
hold. Beliefs change in no other way.

Shapes: ``N`` actors, ``M`` acts of an actor, ``F`` facts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.theatre.stage import Stage, check_stage

SILENCE = 0
NONE, ITSELF, ALL = 0, 1, 2
"""Reach of broadcasts: none at all, an actor's own acts alone, or as the module says."""


class Narration(NamedTuple):
    """Result of the acts of one moment.

    Attributes:
        facts: ``bool[F]`` afterwards.
        beliefs: ``bool[N, F]`` afterwards.
        attempted: ``bool[N]``, the actor was not silent.
        succeeded: ``bool[N]``, its act was possible.
    """

    facts: jax.Array
    beliefs: jax.Array
    attempted: jax.Array
    succeeded: jax.Array


def narrate(
    stage: Stage,
    facts: jax.Array,
    beliefs: jax.Array,
    present: jax.Array,
    acts: jax.Array,
    order: jax.Array,
    reach: int | jax.Array = ALL,
) -> Narration:
    """Adjudicate one act of every actor, in a given order; pure, and traced but for the stage.

    Args:
        stage: facts and verbs, static.
        facts: ``bool[F]``.
        beliefs: ``bool[N, F]``.
        present: ``bool[N]``, who is on stage.
        acts: ``int32[N]``: 0 for silence, ``1 … M`` for an act; any other number fails.
        order: ``int32[N]``, actors in the order in which they act.
        reach: of broadcasts, one of :data:`NONE`, :data:`ITSELF`, :data:`ALL`.

    Raises:
        ValueError: for arrays of another shape or kind.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.envs import theatre
        >>> stage = theatre.default_stage(1, 2, 1, 1)
        >>> start = stage.bits([("at", "Ada", "hall"), ("in", "letter", "garden"),
        ...                     ("is", "letter", "intact")])
        >>> go = 1 + stage.texts[0].index("Ada goes to the garden")
        >>> after = theatre.narrate(stage, jnp.asarray(start), jnp.asarray(start)[None],
        ...                         jnp.ones(1, bool), jnp.array([go]), jnp.array([0]))
        >>> stage.named(after.facts)[0], bool(after.succeeded[0])
        (('at', 'Ada', 'garden'), True)
    """
    check_stage(stage)
    n, f = stage.num_actors, stage.num_facts
    facts = jnp.asarray(checks.mask("facts", facts, (f,)))
    beliefs = jnp.asarray(checks.mask("beliefs", beliefs, (n, f)))
    present = jnp.asarray(checks.mask("present", present, (n,)))
    acts = jnp.asarray(checks.wholes("acts", acts, -checks.LARGEST, shape=(n,)))
    order = jnp.asarray(checks.wholes("order", order, 0, n - 1, shape=(n,)))
    table = jnp.asarray(_rows(stage))
    same_group = jnp.asarray(_same_group(stage))
    at = jnp.asarray(stage.at)
    last = stage.num_acts

    def closed(content: jax.Array, now: jax.Array) -> jax.Array:
        """With a fact that holds, that the others of its exclusive group do not."""
        implied = (content & now).astype(jnp.float32) @ same_group
        return content | (implied > 0.5)

    def one(held: tuple, actor: jax.Array) -> tuple:
        facts, beliefs = held
        act = acts[actor]
        known = (act >= 1) & (act <= last)
        row = table[actor, jnp.clip(act - 1, 0, last - 1)]
        requires, required, changes, results, reveals, marks = row
        exists, loud = marks[0], marks[1]
        violated = requires & (facts != required)
        pending = jnp.any(changes & (facts != results))
        possible = known & exists & present[actor] & ~jnp.any(violated) & pending
        after = jnp.where(possible & changes, results, facts)
        where, places = after[at], facts[at]
        near = jnp.any(where & where[actor][None], axis=1) | jnp.any(
            places & places[actor][None], axis=1
        )
        itself = jnp.arange(n) == actor
        audience = present & (near | loud) & possible & (reach >= ALL)
        performer = known & present[actor] & (reach >= ITSELF)
        public = closed(requires | changes, after)
        own = jnp.where(possible, public | closed(reveals, after), closed(violated, after))
        received = (audience[:, None] & public[None]) | ((itself & performer)[:, None] & own[None])
        beliefs = jnp.where(received, after[None], beliefs)
        return (after, beliefs), possible

    (facts, beliefs), succeeded = jax.lax.scan(one, (facts, beliefs), order)
    by_actor = jnp.zeros(n, bool).at[order].set(succeeded)
    return Narration(facts, beliefs, (acts != SILENCE) & present, by_actor)


def leave(stage: Stage, facts: jax.Array, leaving: jax.Array) -> jax.Array:
    """Facts ``bool[F]`` after actors ``bool[N]`` left the stage and put down what they held."""
    if not stage.props:
        return facts
    holds, inside = facts[stage.holds], facts[stage.inside]  # [N, P], [P, L]
    dropped = holds & leaving[:, None]
    places = facts[stage.at]  # [N, L]
    lands = jnp.any(dropped[:, :, None] & places[:, None, :], axis=0)  # [P, L]
    facts = facts.at[stage.holds].set(holds & ~dropped)
    return facts.at[stage.inside].set(inside | lands)


def initial_beliefs(
    key: jax.Array, stage: Stage, facts: jax.Array, unfamiliar: jax.Array
) -> jax.Array:
    """What actors believe at the beginning, ``bool[N, F]``: the facts, but for mislaid props.

    A prop that lies elsewhere than the actor is believed to lie in a random place with the
    probability ``unfamiliar``.
    """
    n, p = stage.num_actors, len(stage.props)
    beliefs = jnp.broadcast_to(facts, (n, stage.num_facts))
    if not p:
        return beliefs
    wrong_key, place_key = jax.random.split(key)
    inside = facts[stage.inside]  # [P, L]
    near = jnp.any(inside[None] & facts[stage.at][:, None, :], axis=2)  # [N, P]
    lies = jnp.any(inside, axis=1)[None]
    wrong = (jax.random.uniform(wrong_key, (n, p)) < unfamiliar) & lies & ~near
    place = jax.random.randint(place_key, (n, p), 0, len(stage.places))
    guess = jax.nn.one_hot(place, len(stage.places), dtype=bool)
    believed = jnp.where(wrong[:, :, None], guess, inside[None])
    return beliefs.at[:, stage.inside].set(believed)


def _rows(stage: Stage) -> np.ndarray:
    """``bool[N, M, 6, F]``: what an act requires, changes and reveals; its flags come last."""
    flags = np.zeros_like(stage.requires)
    flags[:, :, 0] = stage.exists
    flags[:, :, 1] = stage.loud
    parts = (stage.requires, stage.required, stage.changes, stage.results, stage.reveals, flags)
    return np.stack(parts, axis=2)


def _same_group(stage: Stage) -> np.ndarray:
    groups = stage.groups.astype(np.float32)
    return ((groups.T @ groups) > 0).astype(np.float32)
