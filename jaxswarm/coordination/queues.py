"""First-in first-out message queues in ring buffers of fixed capacity, one per owner.

A message is a pytree of numbers and the time from which it may be read. A batch of messages is
pushed in its order, for any owners; what does not fit is dropped and counted, and no message is
overwritten. Both operations are pure and of fixed shape, so an event loop is a ``lax.scan``.

Shapes: ``Q`` queues of capacity ``C``, ``B`` messages of a batch, ``P`` read at once.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.types import PyTree


class Queues(NamedTuple):
    """Message queues, made by :func:`empty_queues`.

    Attributes:
        messages: leaves ``[Q, C, ...]``.
        due: ``float32[Q, C]``, time from which a message may be read.
        head: ``int32[Q]``, slot of the oldest.
        size: ``int32[Q]``, at most ``C``.
        dropped: ``int32[Q]``, messages dropped so far because their queue was full.
    """

    messages: PyTree
    due: jax.Array
    head: jax.Array
    size: jax.Array
    dropped: jax.Array

    @property
    def capacity(self) -> int:
        """``C``."""
        return self.due.shape[1]


def empty_queues(num_queues: int, capacity: int, message: PyTree) -> Queues:
    """Make ``Q`` empty queues of messages like ``message`` (arrays or scalars of one message).

    Raises:
        ValueError: if ``num_queues`` or ``capacity`` is below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import coordination
        >>> queues = coordination.empty_queues(2, 4, jnp.int32(0))
        >>> queues = jax.jit(coordination.push)(
        ...     queues, jnp.array([0, 1, 0]), jnp.array([7, 8, 9]), jnp.ones(3, bool))
        >>> queues, messages, exist = coordination.pop(queues, now=0.0)
        >>> messages[:, 0].tolist(), queues.size.tolist()
        ([7, 8], [1, 0])
    """
    num_queues = checks.whole("num_queues", num_queues, 1)
    capacity = checks.whole("capacity", capacity, 1)

    def blank(leaf: Any) -> jax.Array:
        like = jnp.asarray(leaf)
        return jnp.zeros((num_queues, capacity, *like.shape), like.dtype)

    none = jnp.zeros(num_queues, jnp.int32)
    return Queues(jax.tree.map(blank, message), jnp.zeros((num_queues, capacity)), none, none, none)


def push(
    queues: Queues,
    owner: jax.Array,
    messages: PyTree,
    active: jax.Array,
    due: ArrayLike = 0.0,
) -> Queues:
    """Append a batch of messages to their owners' queues.

    Args:
        queues: before.
        owner: ``int32[B]``, index of the queue; several messages may have one owner.
        messages: leaves ``[B, ...]``.
        active: ``bool[B]``, false for empty slots of the batch.
        due: ``[B]`` or a scalar, time from which the messages may be read.

    Raises:
        ValueError: for unknown owners, messages unlike the queue's, or other shapes. A traced owner
            that names no queue is skipped.
    """
    checks.instance("queues", queues, Queues, "coordination.empty_queues(2, 4, 0)")
    count, capacity = queues.due.shape
    owner = jnp.asarray(checks.wholes("owner", owner, -1, count - 1, shape=(None,)))
    active = jnp.asarray(checks.mask("active", active, owner.shape))
    if not checks.is_traced(owner) and not checks.is_traced(active):
        checks.wholes("owner", owner[active], 0, count - 1)
    active = active & (owner >= 0) & (owner < count)
    messages = _checked_messages(queues, messages, len(owner))
    due_shape = () if np.ndim(due) == 0 else owner.shape
    checks.real("due", due, shape=due_shape, infinite=True)
    place = jnp.where(active, owner, count)
    rank = _rank(place)
    clipped = jnp.minimum(place, count - 1)
    fits = active & (queues.size[clipped] + rank < capacity)
    slot = (queues.head[clipped] + queues.size[clipped] + rank) % capacity
    row = jnp.where(fits, place, count)

    def write(stored: jax.Array, new: jax.Array) -> jax.Array:
        return stored.at[row, slot].set(new, mode="drop")

    times = jnp.broadcast_to(jnp.asarray(due, jnp.float32), owner.shape)
    refused = jnp.where(active & ~fits, owner, count)
    return Queues(
        jax.tree.map(write, queues.messages, messages),
        write(queues.due, times),
        queues.head,
        queues.size.at[row].add(1, mode="drop"),
        queues.dropped.at[refused].add(1, mode="drop"),
    )


def pop(
    queues: Queues, now: ArrayLike, count: ArrayLike = 1, *, most: int = 1
) -> tuple[Queues, PyTree, jax.Array]:
    """Take the oldest messages out of every queue.

    A message that is not due yet blocks those behind it.

    Args:
        queues: before.
        now: present time; messages due later stay.
        count: ``int32[Q]`` or a scalar, how many to take at most; 0 for none.
        most: ``P``, static, the largest ``count``.

    Returns:
        The queues, messages with leaves ``[Q, P, ...]``, and which of them exist, ``bool[Q, P]``.

    Raises:
        ValueError: if ``most`` is not between 1 and the capacity, or ``count`` is above it or no
            whole number.
    """
    checks.instance("queues", queues, Queues, "coordination.empty_queues(2, 4, 0)")
    most = checks.whole("most", most, 1, queues.capacity)
    rows, capacity = queues.due.shape
    checks.real("now", now, infinite=True)
    count_shape = () if np.ndim(count) == 0 else (rows,)
    checks.wholes("count", count, 0, most, shape=count_shape)
    ahead = jnp.arange(most)
    slot = (queues.head[:, None] + ahead[None, :]) % capacity
    wanted = jnp.minimum(jnp.broadcast_to(jnp.asarray(count, jnp.int32), (rows,)), queues.size)
    index = jnp.arange(rows)[:, None]
    ready = (ahead[None, :] < wanted[:, None]) & (queues.due[index, slot] <= now)
    taken = jnp.cumprod(ready.astype(jnp.int32), axis=1).astype(bool)
    messages = jax.tree.map(lambda stored: stored[index, slot], queues.messages)
    removed = jnp.sum(taken, axis=1, dtype=jnp.int32)
    left = queues._replace(head=(queues.head + removed) % capacity, size=queues.size - removed)
    return left, messages, taken


def _checked_messages(queues: Queues, messages: PyTree, batch: int) -> PyTree:
    stored, wanted = jax.tree.flatten(queues.messages)
    leaves, found = jax.tree.flatten(messages)
    if found != wanted:
        raise ValueError(f"messages: expected the structure {wanted}, got {found}")
    for new, old in zip(leaves, stored, strict=True):
        shape, dtype = (batch, *old.shape[2:]), jnp.result_type(new)
        fits = dtype == old.dtype or jnp.promote_types(dtype, old.dtype) == old.dtype
        if jnp.shape(new) != shape or not fits:
            raise ValueError(
                f"messages: expected {old.dtype}{list(shape)}, got {dtype}{list(jnp.shape(new))}"
            )
    return jax.tree.map(jnp.asarray, messages)


def _rank(place: jax.Array) -> jax.Array:
    """Number of earlier entries of the batch with the same place, ``int32[B]``."""
    order = jnp.argsort(place, stable=True)
    ordered = place[order]
    index = jnp.arange(place.shape[0], dtype=jnp.int32)
    begins = jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]])
    first = jax.lax.cummax(jnp.where(begins, index, 0))
    return jnp.zeros_like(index).at[order].set(index - first)
