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

from jaxswarm import checks


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
    capacity, size = checks.whole("capacity", capacity, 1), checks.whole("size", size, 1)
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
    _check_memory(memory)
    k = checks.whole("k", k, 1, memory.filled.shape[0])
    embedding = checks.numbers("embedding", embedding, memory.embedding.shape[1:])
    similarity = memory.embedding @ embedding
    known = memory.filled & ~jnp.isnan(similarity)  # a NaN resembles nothing
    similarity = jnp.where(known, similarity, -1.0)
    best, slot = jax.lax.top_k(similarity, k)
    return slot, best


def mark_used(memory: Memory, slot: jax.Array, hit: jax.Array, now: float | jax.Array) -> Memory:
    """Count one use of the fragments ``slot [k]`` where ``hit [k]``, at time ``now``.

    Raises:
        ValueError: for unknown slots, or other shapes.
    """
    _check_memory(memory)
    known = checks.wholes("slot", slot, 0, memory.filled.shape[0] - 1, shape=(None,))
    slot, hit = jnp.asarray(known), checks.mask("hit", hit, known.shape)
    checks.real("now", now)
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

    Raises:
        ValueError: if this is no memory, or a number is out of range.
    """
    _check_memory(memory)
    checks.real("now", now)
    checks.real("time_constant", time_constant, above=0.0)
    frequency = memory.use_count / (1.0 + memory.use_count)
    recency = jnp.exp(-(now - memory.last_used) / time_constant)
    c = memory.filled.shape[0]
    similarity = memory.embedding @ memory.embedding.T
    other = ~jnp.eye(c, dtype=bool) & memory.filled[None, :] & ~jnp.isnan(similarity)
    resembled = jnp.max(jnp.maximum(jnp.where(other, similarity, 0.0), 0.0), axis=1)
    total = frequency + recency + 1.0 - resembled
    # A fragment that resembles nothing, not even itself, is of no use.
    return jnp.where(jnp.isnan(memory.embedding).any(axis=1), -1.0, total)


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

    Raises:
        ValueError: for another shape, an embedding or a time that is not finite, or an outcome
            outside ``[0, 1]``; traced numbers are not checked.
    """
    _check_memory(memory)
    checks.real("embedding", embedding, shape=memory.embedding.shape[1:])
    checks.wholes("content", content, -checks.LARGEST, shape=())
    checks.probability("outcome", outcome)
    checks.real("now", now)
    checks.mask("active", active, ())
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


def _check_memory(memory: Memory) -> None:
    checks.instance("memory", memory, Memory, "memory.empty_memory(8, 2)")
