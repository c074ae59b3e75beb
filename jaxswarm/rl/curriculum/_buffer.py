"""A buffer of levels with scores: replay weights over two supports, updates, insertion.

The first slots hold a starting set, which may be protected: its levels are never evicted. Weights
mix three distributions, as DRED does: a primary one by rank of the score, over the starting set or
the whole buffer; a secondary one by rank of the grounded score, over the whole buffer, whose share
rises during training; and one by staleness, over the primary support. PLR and ACCEL are cases.

Shapes: ``C`` slots, ``P`` levels of the starting set, ``K`` levels at once.

References:
    M. Jiang, E. Grefenstette, T. Rocktäschel, Prioritized level replay, 2021.
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (protected starting set, grounded score, mixture of supports).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.curriculum._weights import (
    check_temperature,
    proportional_weights,
    rank_weights,
    staleness_weights,
)
from jaxswarm.rl.hyperparameters import UNIT, check_ranges, flag
from jaxswarm.types import ArrayLike, Key, PyTree


class LevelBuffer(NamedTuple):
    """Levels with what is known of them; the empty slots hold copies of the first level.

    Attributes:
        levels: leaves ``[C, …]``.
        score: ``float32[C]``, learning potential when a level was last played.
        best_return: ``float32[C]``, highest return of an episode so far; ``-inf`` before the first.
        last_seen: ``int32[C]``, iteration of the last play.
        filled: ``bool[C]``.
        seen: ``bool[C]``, played at least once, so that the score is known.
        protected: ``bool[C]``, levels of the starting set, which are never evicted.
        clock: ``int32[]``, iterations so far.
    """

    levels: PyTree
    score: jax.Array
    best_return: jax.Array
    last_seen: jax.Array
    filled: jax.Array
    seen: jax.Array
    protected: jax.Array
    clock: jax.Array


class ReplayHyperparameters(NamedTuple):
    """How levels are replayed; all may be traced, so that methods are members of one ``vmap``.

    Attributes:
        score: index in :data:`jaxswarm.rl.curriculum.SCORES`.
        grounded: the primary distribution ranks grounded scores: 0 for levels without an episode of
            positive return.
        proportional: primary weights in proportion to scores instead of by rank.
        temperature: of the primary distribution, above 0; infinite for uniform replay.
        starting_set: primary distribution and staleness are over protected levels only.
        second_share: share of the secondary distribution at the end of its ramp, in ``[0, 1]``.
        ramp: iterations in which that share rises from 0, at least 1.
        second_temperature: of the secondary distribution, above 0.
        staleness: share of the staleness distribution, in ``[0, 1]``.
        retain_grounded: the level that is evicted has the lowest grounded score instead of the
            lowest score.
        replay: probability that a level to train on is replayed instead of new, in ``[0, 1]``.
    """

    score: Any = 0
    grounded: Any = False
    proportional: Any = False
    temperature: Any = 0.3
    starting_set: Any = False
    second_share: Any = 0.0
    ramp: Any = 1
    second_temperature: Any = 1.0
    staleness: Any = 0.3
    retain_grounded: Any = False
    replay: Any = 1.0


def check_replay(hp: ReplayHyperparameters, name: str = "replay") -> ReplayHyperparameters:
    """Check the known values and return all; traced ones pass.

    Raises:
        ValueError: for another type, or naming a value that is out of its range.
    """
    checks.instance(name, hp, ReplayHyperparameters)
    if not checks.is_traced(hp.score):
        checks.whole("score", hp.score, 0, 3)
    for each in ("grounded", "proportional", "starting_set", "retain_grounded"):
        flag(each, getattr(hp, each))
    for each in ("temperature", "second_temperature"):
        check_temperature(each, getattr(hp, each))
    check_ranges(hp, {"second_share": UNIT, "staleness": UNIT, "replay": UNIT})
    checks.real("ramp", hp.ramp, 1)
    return hp


def level_buffer(levels: PyTree, capacity: int, *, protected: ArrayLike = True) -> LevelBuffer:
    """Make a buffer whose first slots hold the levels of a starting set, not yet played.

    Args:
        levels: leaves ``[P, …]``, ``P`` at least 1.
        capacity: ``C``, at least ``P``, static.
        protected: ``bool[]``, the starting set is never evicted; may be traced.

    Raises:
        ValueError: without levels, for leaves of different length, or a buffer smaller than its
            starting set.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> buffer = curriculum.level_buffer({"goal": jnp.arange(3)}, 5)
        >>> buffer.filled.tolist()
        [True, True, True, False, False]
    """
    count = num_levels(levels)
    capacity = checks.whole("capacity", capacity, 1)
    if capacity < count:
        raise ValueError(f"capacity: expected at least {count}, the starting set, got {capacity}")
    flag("protected", protected)
    slots = jnp.where(jnp.arange(capacity) < count, jnp.arange(capacity), 0)
    filled = jnp.arange(capacity) < count
    return LevelBuffer(
        levels=jax.tree.map(lambda x: jnp.asarray(x)[slots], levels),
        score=jnp.zeros(capacity),
        best_return=jnp.full(capacity, -jnp.inf),
        last_seen=jnp.zeros(capacity, jnp.int32),
        filled=filled,
        seen=jnp.zeros(capacity, bool),
        protected=filled & protected,
        clock=jnp.int32(0),
    )


def grounded_score(buffer: LevelBuffer) -> jax.Array:
    """Scores of levels that were solved, 0 for those without an episode of positive return, [C]."""
    return jnp.where(buffer.best_return > 0.0, buffer.score, 0.0)


def replay_weights(buffer: LevelBuffer, hp: ReplayHyperparameters) -> jax.Array:
    """Probabilities of replay, ``float32[C]`` of sum 1.

    While levels have not been played yet, their scores are unknown: weights are then uniform over
    these. If an empty support leaves nothing, weights are uniform over the filled slots.

    Args:
        buffer: with at least one level.
        hp: supports, temperatures and shares.

    Raises:
        ValueError: for another kind of buffer, or hyper-parameters out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> buffer = curriculum.level_buffer({"goal": jnp.arange(2)}, 2)
        >>> one = jnp.array([1.0, 3.0])
        >>> buffer = curriculum.update_levels(buffer, jnp.arange(2), one, best_return=one)
        >>> hp = curriculum.ReplayHyperparameters(temperature=1.0, staleness=0.0)
        >>> (3 * curriculum.replay_weights(buffer, hp)).round(2).tolist()
        [1.0, 2.0]
    """
    return _first_unseen(buffer, _mixture(buffer, hp))


def sample_levels(
    key: Key, buffer: LevelBuffer, hp: ReplayHyperparameters, count: int
) -> jax.Array:
    """Draw slots without replacement by their replay weights, ``int32[count]``.

    If fewer levels than ``count`` have not been played yet, others follow by their weights; other
    filled slots come last.

    Args:
        key: consumed.
        buffer: with at least ``count`` levels.
        hp: as of :func:`replay_weights`.
        count: in ``[1, C]``, static.

    Raises:
        ValueError: for a legacy key, or a count out of range; also if a known buffer holds fewer.
    """
    checks.key(key)
    mixture = _mixture(buffer, hp)
    weights = _first_unseen(buffer, mixture)
    count = checks.whole("count", count, 1, len(weights))
    if not checks.is_traced(buffer.filled):
        checks.whole("count", count, 1, int(np.asarray(buffer.filled).sum()))
    weights = jnp.maximum(weights, 1e-15 * mixture + 1e-35)  # in this order where weights are 0
    logits = jnp.where(buffer.filled, jnp.log(weights), -jnp.inf)
    return jax.lax.top_k(logits + jax.random.gumbel(key, logits.shape), count)[1]


def update_levels(
    buffer: LevelBuffer,
    index: ArrayLike,
    score: ArrayLike,
    *,
    best_return: ArrayLike,
    valid: ArrayLike | None = None,
) -> LevelBuffer:
    """Record what was found when levels of the buffer were played.

    Args:
        buffer: of levels.
        index: ``int32[K]``, distinct slots.
        score: ``float[K]``, replaces the old one.
        best_return: ``float[K]``, highest return of an episode; the slot keeps the largest.
        valid: ``bool[K]``, which entries count; all if omitted.

    Raises:
        ValueError: for shapes that differ, or known NaN.
    """
    checks.instance("buffer", buffer, LevelBuffer, "curriculum.level_buffer(levels, 100)")
    capacity = buffer.filled.shape[0]
    index = jnp.asarray(checks.wholes("index", index, 0, capacity - 1, shape=(None,)))
    shape = index.shape
    score = jnp.asarray(checks.real("score", score, shape=shape, infinite=True))
    best = jnp.asarray(checks.real("best_return", best_return, shape=shape, infinite=True))
    if valid is not None:
        index = jnp.where(checks.mask("valid", valid, shape), index, capacity)
    return buffer._replace(
        score=buffer.score.at[index].set(score, mode="drop"),
        best_return=buffer.best_return.at[index].max(best, mode="drop"),
        last_seen=buffer.last_seen.at[index].set(buffer.clock, mode="drop"),
        seen=buffer.seen.at[index].set(True, mode="drop"),
    )


def insert_levels(
    buffer: LevelBuffer,
    levels: PyTree,
    score: ArrayLike,
    *,
    best_return: ArrayLike,
    valid: ArrayLike | None = None,
    grounded: ArrayLike = False,
) -> LevelBuffer:
    """Insert new levels: into empty slots, then in place of levels with lower scores.

    The result is that of inserting one after another, best first, each in place of the level with
    the lowest score that is not protected, if that score is lower.

    Args:
        buffer: of levels.
        levels: leaves ``[K, …]``, of the buffer's shapes.
        score: ``float[K]``.
        best_return: ``float[K]``, highest return of an episode.
        valid: ``bool[K]``, which levels to insert; all if omitted.
        grounded: compare grounded scores, 0 for levels without an episode of positive return.

    Raises:
        ValueError: for levels of other shapes than the buffer's, or known NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> buffer = curriculum.level_buffer({"goal": jnp.arange(2)}, 3)
        >>> new = {"goal": jnp.array([7, 8])}
        >>> buffer = curriculum.insert_levels(buffer, new, jnp.array([1.0, 2.0]),
        ...                                   best_return=jnp.zeros(2))
        >>> buffer.levels["goal"].tolist()  # the better one, since one slot was empty
        [0, 1, 8]
    """
    checks.instance("buffer", buffer, LevelBuffer, "curriculum.level_buffer(levels, 100)")
    count = num_levels(levels)
    check_same_levels(buffer.levels, levels)
    score = jnp.asarray(checks.real("score", score, shape=(count,), infinite=True))
    best = jnp.asarray(checks.real("best_return", best_return, shape=(count,), infinite=True))
    flag("grounded", grounded)
    key = jnp.where(jnp.asarray(grounded) & ~(best > 0.0), 0.0, score)
    if valid is not None:
        key = jnp.where(checks.mask("valid", valid, (count,)), key, -jnp.inf)
    held = jnp.where(grounded, grounded_score(buffer), buffer.score)
    held = jnp.where(buffer.filled, held, -jnp.inf)
    held = jnp.where(buffer.protected, jnp.inf, held)
    capacity = held.shape[0]
    fits = min(count, capacity)
    order = jnp.argsort(-key, stable=True)[:fits]
    slots = jnp.argsort(held, stable=True)[:fits]
    index = jnp.where(key[order] > held[slots], slots, capacity)
    chosen = jax.tree.map(lambda x: jnp.asarray(x)[order], levels)
    return buffer._replace(
        levels=jax.tree.map(
            lambda old, new: old.at[index].set(new, mode="drop"), buffer.levels, chosen
        ),
        score=buffer.score.at[index].set(score[order], mode="drop"),
        best_return=buffer.best_return.at[index].set(best[order], mode="drop"),
        last_seen=buffer.last_seen.at[index].set(buffer.clock, mode="drop"),
        filled=buffer.filled.at[index].set(True, mode="drop"),
        seen=buffer.seen.at[index].set(True, mode="drop"),
    )


def _mixture(buffer: LevelBuffer, hp: ReplayHyperparameters) -> jax.Array:
    """Replay weights ``[C]`` as if all levels had been played."""
    checks.instance("buffer", buffer, LevelBuffer, "curriculum.level_buffer(levels, 100)")
    check_replay(hp, "hp")
    support = buffer.filled & (buffer.protected | ~jnp.asarray(hp.starting_set))
    grounded = grounded_score(buffer)
    score = jnp.where(hp.grounded, grounded, buffer.score)
    primary = jnp.where(
        hp.proportional,
        proportional_weights(score, support, hp.temperature),
        rank_weights(score, support, hp.temperature),
    )
    second = rank_weights(grounded, buffer.filled, hp.second_temperature)
    share = hp.second_share * jnp.minimum(buffer.clock / hp.ramp, 1.0)
    weights = (1.0 - share) * primary + share * second
    stale = staleness_weights(buffer.last_seen, buffer.clock, support)
    weights = (1.0 - hp.staleness) * weights + hp.staleness * stale
    total, uniform = jnp.sum(weights), buffer.filled / jnp.maximum(jnp.sum(buffer.filled), 1)
    return jnp.where(total > 0.0, weights / jnp.where(total > 0.0, total, 1.0), uniform)


def _first_unseen(buffer: LevelBuffer, weights: jax.Array) -> jax.Array:
    """Uniform weights over levels that have not been played yet, or the given ones."""
    unseen = buffer.filled & ~buffer.seen
    return jnp.where(jnp.any(unseen), unseen / jnp.maximum(jnp.sum(unseen), 1), weights)


def num_levels(levels: PyTree, name: str = "levels") -> int:
    """Number of stacked levels, at least 1.

    Raises:
        ValueError: without leaves or levels, or for leaves whose leading axes differ.
    """
    leaves = jax.tree.leaves_with_path(levels)
    if not leaves:
        raise ValueError(f"{name}: expected stacked levels, leaves [levels, …], got no arrays")
    counts = set()
    for path, leaf in leaves:
        array = leaf if hasattr(leaf, "shape") else checks.as_array(name, leaf, "arrays")
        if not array.ndim or not array.shape[0]:
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)}: expected at least one level on axis 0, got "
                f"shape {array.shape}"
            )
        counts.add(array.shape[0])
    if len(counts) > 1:
        raise ValueError(f"{name}: expected leaves of the same length, got {sorted(counts)}")
    return counts.pop()


def check_same_levels(known: PyTree, levels: PyTree, name: str = "levels") -> None:
    """Refuse levels whose structure or shapes differ from known ones, all ``[K, …]``.

    Raises:
        ValueError: naming the leaf.
    """
    if jax.tree.structure(known) != jax.tree.structure(levels):
        raise ValueError(
            f"{name}: expected {jax.tree.structure(known)}, got {jax.tree.structure(levels)}"
        )
    for (path, old), new in zip(
        jax.tree.leaves_with_path(known), jax.tree.leaves(levels), strict=True
    ):
        if jnp.shape(old)[1:] != jnp.shape(new)[1:]:
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)}: expected the size {jnp.shape(old)[1:]} of "
                f"the other levels, got {jnp.shape(new)[1:]}"
            )
