"""Replay: what learners without a policy of their own to follow remember and draw again.

A replay is three pure functions on a buffer of one learner; ``vmap`` them over learners.
:func:`uniform` is flashbax's; :func:`fading` prefers what happened lately.

Shapes: ``B`` items of a batch, ``F`` features, ``A`` numbers of an action, ``C`` capacity.

References:
    L.-J. Lin, Self-improving reactive agents based on reinforcement learning, planning and
    teaching, 1992 (experience replay). T. Ishuov et al., Symphony, 2025 (fading replay).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flashbax
import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


class Experience(NamedTuple):
    """One step of one agent; batches lead with ``B``.

    Attributes:
        features: ``[F]``, what the agent saw.
        raw: ``[A]``, the head's raw action, before squashing.
        reward: after it.
        discount: 0 where the episode terminated, 1 elsewhere (also where it was cut).
        next_features: ``[F]``, truly next: never of the episode after.
        mask: ``bool``, the agent was there to act; other items teach nothing.
    """

    features: jax.Array
    raw: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_features: jax.Array
    mask: jax.Array


class Replay(NamedTuple):
    """A buffer as pure functions.

    Attributes:
        start: ``start(items) -> state``, holding the warm-up's items, leaves ``[W, …]``.
        add: ``add(state, items) -> state``; the oldest go.
        sample: ``sample(key, state) -> Experience``, leaves ``[B, …]``.
        batch_size: ``B``.
        least: items that ``start`` needs.
    """

    start: Callable[[Experience], PyTree]
    add: Callable[[PyTree, Experience], PyTree]
    sample: Callable[[jax.Array, PyTree], Experience]
    batch_size: int
    least: int


def uniform(capacity: int, batch_size: int) -> Replay:
    """Every item held is as likely; an item buffer of flashbax.

    Args:
        capacity: ``C``.
        batch_size: ``B``.

    Raises:
        ValueError: sizes below 1, or a batch larger than the buffer.
    """
    _check_sizes(capacity, batch_size)
    buffer = flashbax.make_item_buffer(capacity, batch_size, batch_size, add_sequences=True)

    def start(items: Experience) -> PyTree:
        latest = jax.tree.map(lambda x: x[-capacity:], items)
        return buffer.add(buffer.init(jax.tree.map(lambda x: x[0], items)), latest)

    def sample(key: jax.Array, state: PyTree) -> Experience:
        with jax.numpy_rank_promotion("allow"):  # flashbax adds [B, 1] and [1]
            return buffer.sample(state, key).experience

    return Replay(start, buffer.add, sample, batch_size, batch_size)


class FadingState(NamedTuple):
    """``items``: leaves ``[C, …]``; ``newest``: where the last one is; ``unit``: of rewards."""

    items: Experience
    newest: jax.Array
    unit: jax.Array


def fading(
    capacity: int, batch_size: int, *, fade: bool | jax.Array = True, floor: float = 1e-6
) -> Replay:
    """What is new is drawn more often: item ``i`` of ``C``, newest last, by ``tanh((π i/C)^e)``.

    The warm-up's items are repeated until the buffer is full, so that it always is, and rewards
    are divided by their mean size, once and for all.

    Args:
        capacity: ``C``, a multiple of the warm-up.
        batch_size: ``B``.
        fade: false draws uniformly, for comparison; may be traced.
        floor: of that mean size, where exploring paid nothing.

    Raises:
        ValueError: sizes below 1, a batch larger than the buffer, a floor that is not positive; at
            ``start``, a warm-up that does not divide the capacity.
    """
    _check_sizes(capacity, batch_size)
    if not 0.0 < floor < math.inf:
        raise ValueError(f"floor: expected a positive number, got {floor}")
    ranks = np.arange(1, capacity + 1) / capacity
    weight = np.tanh((np.pi * ranks) ** np.e)
    rising = jnp.asarray(np.cumsum(weight) / np.sum(weight), jnp.float32)

    def start(items: Experience) -> FadingState:
        count = items.reward.shape[0]
        if capacity % count:
            raise ValueError(
                f"capacity: expected a multiple of the warm-up's {count} items, got {capacity}"
            )
        size = jnp.sum(jnp.abs(items.reward) * items.mask) / jnp.maximum(jnp.sum(items.mask), 1)
        unit = jnp.maximum(size, floor)
        items = items._replace(reward=items.reward / unit)
        many = capacity // count
        tiled = jax.tree.map(lambda x: jnp.tile(x, (many, *(1,) * (x.ndim - 1))), items)
        return FadingState(tiled, jnp.int32(capacity - 1), unit)

    def add(state: FadingState, items: Experience) -> FadingState:
        items = items._replace(reward=items.reward / state.unit)
        count = items.reward.shape[0]
        places = (state.newest + 1 + jnp.arange(count)) % capacity
        held = jax.tree.map(lambda old, new: old.at[places].set(new), state.items, items)
        return state._replace(items=held, newest=(state.newest + count) % capacity)

    def sample(key: jax.Array, state: FadingState) -> Experience:
        draw = jax.random.uniform(key, (batch_size,))
        aged = jnp.searchsorted(rising, draw).astype(jnp.int32)
        even = (draw * capacity).astype(jnp.int32)
        rank = jnp.minimum(jnp.where(jnp.asarray(fade), aged, even), capacity - 1)
        places = (state.newest + 1 + rank) % capacity
        return jax.tree.map(lambda x: x[places], state.items)

    return Replay(start, add, sample, batch_size, 1)


def _check_sizes(capacity: int, batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    if capacity < batch_size:
        raise ValueError(f"capacity: expected at least a batch of {batch_size}, got {capacity}")
