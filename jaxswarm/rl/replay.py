"""Replay buffers for off-policy learners.

A replay buffer is three pure functions on the buffer of one learner; ``vmap`` them over learners.
:func:`uniform_replay` is flashbax's; :func:`fading_replay` samples recent items more often.

Shapes: ``B`` items of a batch, ``F`` features, ``A`` numbers of an action, ``C`` capacity, ``W``
items of the warm-up.

References:
    L.-J. Lin, Self-improving reactive agents based on reinforcement learning, planning and
    teaching, 1992 (experience replay). T. Ishuov et al., Symphony, 2025 (fading replay).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flashbax
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.hyperparameters import flag
from jaxswarm.rl.returns import select_valid
from jaxswarm.types import Key, PyTree


class Experience(NamedTuple):
    """One step of one agent; batches lead with ``B``.

    Attributes:
        features: ``[F]``, the flattened observation.
        raw: ``[A]``, the head's raw action, before squashing.
        reward: after it.
        discount: 0 where the episode terminated, 1 elsewhere (also where it was truncated).
        next_features: ``[F]``, of the true next observation, never of the following episode.
        mask: ``bool``, the agent was present; other items do not count in losses.
    """

    features: jax.Array
    raw: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_features: jax.Array
    mask: jax.Array


class Replay(NamedTuple):
    """A replay buffer as pure functions.

    Attributes:
        init: ``init(items) -> state``, holding the warm-up's items, leaves ``[W, …]``.
        add: ``add(state, items) -> state``; the oldest items are overwritten. Items without an
            agent (``mask`` false) are not stored.
        sample: ``sample(key, state) -> Experience``, leaves ``[B, …]``.
        batch_size: ``B``.
        min_size: items that ``init`` needs at least.
    """

    init: Callable[[Experience], PyTree]
    add: Callable[[PyTree, Experience], PyTree]
    sample: Callable[[Key, PyTree], Experience]
    batch_size: int
    min_size: int


def uniform_replay(capacity: int, batch_size: int) -> Replay:
    """Make a buffer whose items are sampled uniformly, with replacement.

    Args:
        capacity: ``C``.
        batch_size: ``B``.

    Raises:
        ValueError: sizes below 1, a batch larger than the buffer; in ``add``, more items than the
            buffer holds.
    """
    capacity, batch_size = _check_sizes(capacity, batch_size)
    buffer = flashbax.make_item_buffer(capacity, batch_size, batch_size, add_sequences=True)

    def init(items: Experience) -> PyTree:
        latest = jax.tree.map(lambda x: x[-capacity:], items)
        return add(buffer.init(jax.tree.map(lambda x: x[0], items)), latest)

    def add(state: Any, items: Experience) -> PyTree:
        slots, count = _slots(state.current_index, items.mask, capacity)
        store = lambda old, new: _store(old[0], new, slots, items.mask)[None]  # noqa: E731
        experience = jax.tree.map(store, state.experience, items)
        end = state.current_index + count
        return state.replace(
            experience=experience,
            current_index=end % capacity,
            is_full=state.is_full | (end >= capacity),
        )

    def sample(key: Key, state: PyTree) -> Experience:
        with jax.numpy_rank_promotion("allow"):  # flashbax adds [B, 1] and [1]
            return buffer.sample(state, key).experience

    return Replay(init, add, sample, batch_size, batch_size)


class FadingState(NamedTuple):
    """Buffer of :func:`fading_replay`.

    Attributes:
        items: leaves ``[C, …]``, rewards divided by ``reward_scale``.
        newest: ``int32[]``, index of the newest item.
        reward_scale: ``[]``, mean absolute reward of the warm-up.
    """

    items: Experience
    newest: jax.Array
    reward_scale: jax.Array


def fading_replay(
    capacity: int,
    batch_size: int,
    *,
    fade: bool | jax.Array = True,
    min_reward_scale: float = 1e-6,
) -> Replay:
    """Make a buffer that samples recent items more often.

    Item ``i`` of ``C``, newest last, has a probability proportional to ``tanh((π i/C)^e)``. The
    warm-up's items are repeated until the buffer is full, so that it always is, and all rewards are
    divided by the mean absolute reward of the warm-up.

    Args:
        capacity: ``C``, a multiple of the warm-up.
        batch_size: ``B``.
        fade: false samples uniformly, for comparison; may be traced.
        min_reward_scale: lower bound of that mean, for warm-ups without rewards.

    Raises:
        ValueError: sizes below 1, a batch larger than the buffer, a ``min_reward_scale`` that is
            not positive; at ``init``, a warm-up that does not divide the capacity.
    """
    capacity, batch_size = _check_sizes(capacity, batch_size)
    flag("fade", fade)
    checks.real("min_reward_scale", min_reward_scale, above=0.0)
    ranks = np.arange(1, capacity + 1) / capacity
    weight = np.tanh((np.pi * ranks) ** np.e)
    cumulative = jnp.asarray(np.cumsum(weight) / np.sum(weight), jnp.float32)

    def init(items: Experience) -> FadingState:
        count = items.reward.shape[0]
        if capacity % count:
            raise ValueError(
                f"capacity: expected a multiple of the warm-up's {count} items, got {capacity}"
            )
        items = select_valid(items, items.mask)
        mean = jnp.sum(jnp.abs(items.reward)) / jnp.maximum(jnp.sum(items.mask), 1)
        reward_scale = jnp.maximum(mean, min_reward_scale)
        items = items._replace(reward=items.reward / reward_scale)
        repeats = capacity // count
        tiled = jax.tree.map(lambda x: jnp.tile(x, (repeats, *(1,) * (x.ndim - 1))), items)
        return FadingState(tiled, jnp.int32(capacity - 1), reward_scale)

    def add(state: FadingState, items: Experience) -> FadingState:
        items = items._replace(reward=items.reward / state.reward_scale)
        slots, count = _slots(state.newest + 1, items.mask, capacity)
        updated = jax.tree.map(
            lambda old, new: _store(old, new, slots, items.mask), state.items, items
        )
        return state._replace(items=updated, newest=(state.newest + count) % capacity)

    def sample(key: Key, state: FadingState) -> Experience:
        u = jax.random.uniform(key, (batch_size,))
        recent = jnp.searchsorted(cumulative, u).astype(jnp.int32)
        uniform = (u * capacity).astype(jnp.int32)
        rank = jnp.minimum(jnp.where(jnp.asarray(fade), recent, uniform), capacity - 1)
        slots = (state.newest + 1 + rank) % capacity
        return jax.tree.map(lambda x: x[slots], state.items)

    return Replay(init, add, sample, batch_size, 1)


def _slots(start: jax.Array, mask: jax.Array, capacity: int) -> tuple[jax.Array, jax.Array]:
    """Places of new items from ``start`` on, those of the ``mask`` first; the number of these.

    Raises:
        ValueError: for more items than the buffer holds.
    """
    if len(mask) > capacity:
        raise ValueError(
            f"capacity: expected at least the {len(mask)} items that are added at once, got "
            f"{capacity}"
        )
    order = jnp.cumsum(mask, dtype=jnp.int32)
    rest = order[-1] + jnp.cumsum(~mask, dtype=jnp.int32)
    return (start + jnp.where(mask, order, rest) - 1) % capacity, order[-1]


def _store(old: jax.Array, new: jax.Array, slots: jax.Array, mask: jax.Array) -> jax.Array:
    """Put the items of the mask into their slots; the slots of the others keep what they hold."""
    kept = jnp.where(mask.reshape(-1, *(1,) * (new.ndim - 1)), new, old[slots])
    return old.at[slots].set(kept, unique_indices=True)


def _check_sizes(capacity: int, batch_size: int) -> tuple[int, int]:
    batch_size = checks.whole("batch_size", batch_size, 1)
    capacity = checks.whole("capacity", capacity, 1)
    if capacity < batch_size:
        raise ValueError(f"capacity: expected at least a batch of {batch_size}, got {capacity}")
    return capacity, batch_size
