"""Bounded retrieval memory: fragments found by cosine similarity, evicted by utility.

Shapes: ``C`` fragments, ``D`` numbers of an embedding. Unbatched; ``jax.vmap`` for one per agent.

References:
    Y. Yang et al., AgentNet: decentralized evolutionary coordination for LLM-based multi-agent
    systems, 2025 (utility of frequency, recency and uniqueness).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


class Memory(NamedTuple):
    """Stored fragments.

    Attributes:
        embedding: ``float32[C, D]`` of unit length.
        content: ``int32[C]``, an id of what is stored.
        outcome: ``float32[C]`` in ``[0, 1]``.
        use_count: ``float32[C]``, how often it was of use.
        last_used: ``float32[C]``, time of its last use.
        filled: ``bool[C]``, false for free slots.
    """

    embedding: jax.Array
    content: jax.Array
    outcome: jax.Array
    use_count: jax.Array
    last_used: jax.Array
    filled: jax.Array


def empty_memory(capacity: int, size: int) -> Memory:
    """Make an empty memory.

    Args:
        capacity: ``C``, at least 1.
        size: ``D``, at least 1.

    Raises:
        ValueError: if ``capacity < 1`` or ``size < 1``.
    """
    for name, value in (("capacity", capacity), ("size", size)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    zeros = jnp.zeros(capacity)
    return Memory(
        jnp.zeros((capacity, size)),
        jnp.full(capacity, -1, jnp.int32),
        zeros,
        zeros,
        zeros,
        jnp.zeros(capacity, bool),
    )


def retrieve(memory: Memory, embedding: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """Find the ``k`` fragments with the greatest cosine similarity.

    Args:
        memory: fragments.
        embedding: ``[D]`` of unit length.
        k: from 1 to ``C``; static.

    Returns:
        ``(slot int32[k], similarity float32[k])``, most similar first; similarity -1 for free
        slots.

    Raises:
        ValueError: if ``k`` is below 1 or above ``C``.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.coordination import memory
        >>> fragments = memory.empty_memory(capacity=4, size=2)
        >>> x = jnp.array([1.0, 0.0])
        >>> fragments = memory.store(fragments, x, content=7, outcome=1.0, now=0)
        >>> slot, similarity = memory.retrieve(fragments, x, 1)
        >>> int(fragments.content[slot[0]]), float(similarity[0])
        (7, 1.0)
    """
    if not 1 <= k <= memory.filled.shape[0]:
        raise ValueError(f"k: expected 1 to {memory.filled.shape[0]} fragments, got {k}")
    similarity = jnp.where(memory.filled, memory.embedding @ embedding, -1.0)
    best, slot = jax.lax.top_k(similarity, k)
    return slot, best


def mark_used(memory: Memory, slot: jax.Array, hit: jax.Array, now: float | jax.Array) -> Memory:
    """Count one use of the fragments ``slot [k]`` where ``hit [k]``, at time ``now``."""
    place = jnp.where(hit, slot, memory.filled.shape[0])
    return memory._replace(
        use_count=memory.use_count.at[place].add(1.0, mode="drop"),
        last_used=memory.last_used.at[place].set(now, mode="drop"),
    )


def utility(memory: Memory, now: float | jax.Array, *, time_constant: float = 100.0) -> jax.Array:
    """Utility ``float32[C]``: frequency + recency + uniqueness, each in ``[0, 1]``.

    Args:
        memory: fragments.
        now: present time.
        time_constant: of the exponential decay of recency, above 0.
    """
    frequency = memory.use_count / (1.0 + memory.use_count)
    recency = jnp.exp(-(now - memory.last_used) / time_constant)
    c = memory.filled.shape[0]
    similarity = jnp.where(jnp.eye(c, dtype=bool), 0.0, memory.embedding @ memory.embedding.T)
    return frequency + recency + 1.0 - jnp.max(jnp.maximum(similarity, 0.0), axis=1)


def store(
    memory: Memory,
    embedding: jax.Array,
    content: ArrayLike,
    outcome: ArrayLike,
    now: float | jax.Array,
    *,
    active: bool | jax.Array = True,
) -> Memory:
    """Store one fragment, in a free slot or in place of the one of least utility.

    Args:
        memory: before.
        embedding: ``[D]`` of unit length.
        content: ``int32[]``.
        outcome: ``float32[]`` in ``[0, 1]``.
        now: present time.
        active: ``bool[]``; false leaves the memory as it is.
    """
    keep = jnp.where(memory.filled, utility(memory, now), -jnp.inf)
    place = jnp.where(active, jnp.argmin(keep), memory.filled.shape[0])

    def put(row: jax.Array, value: ArrayLike) -> jax.Array:
        return row.at[place].set(jnp.asarray(value, row.dtype), mode="drop")

    return Memory(
        put(memory.embedding, embedding),
        put(memory.content, content),
        put(memory.outcome, outcome),
        put(memory.use_count, 0.0),
        put(memory.last_used, now),
        put(memory.filled, True),
    )
