"""A bounded memory of fragments, retrieved by likeness, with utility eviction.

Shapes: ``C`` fragments, ``D`` numbers of a key. Unbatched; ``jax.vmap`` for one per agent.

References: Y. Yang et al., AgentNet, 2025 (utility of frequency, recency and uniqueness).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Memory(NamedTuple):
    """Fragments.

    Attributes:
        key: ``float32[C, D]`` of unit length.
        content: ``int32[C]``, what was remembered.
        outcome: ``float32[C]`` in ``[0, 1]``.
        used: ``float32[C]``, how often it was retrieved.
        last: ``float32[C]``, when it was last of use.
        filled: ``bool[C]``.
    """

    key: jax.Array
    content: jax.Array
    outcome: jax.Array
    used: jax.Array
    last: jax.Array
    filled: jax.Array


def empty_memory(capacity: int, size: int) -> Memory:
    """No fragments.

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


def retrieve(memory: Memory, key: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """``(slot int32[k], likeness float32[k])`` of the most alike; ``-1`` likeness where empty.

    Raises:
        ValueError: if ``k`` is below 1 or above ``C``.
    """
    if not 1 <= k <= memory.filled.shape[0]:
        raise ValueError(f"k: expected 1 to {memory.filled.shape[0]} fragments, got {k}")
    likeness = jnp.where(memory.filled, memory.key @ key, -1.0)
    best, slot = jax.lax.top_k(likeness, k)
    return slot, best


def touched(memory: Memory, slot: jax.Array, hit: jax.Array, now: Any) -> Memory:
    """Fragments ``slot [k]`` were of use where ``hit [k]``."""
    place = jnp.where(hit, slot, memory.filled.shape[0])
    return memory._replace(
        used=memory.used.at[place].add(1.0, mode="drop"),
        last=memory.last.at[place].set(now, mode="drop"),
    )


def utility(memory: Memory, now: Any, *, patience: float = 100.0) -> jax.Array:
    """``float32[C]``: frequency, recency and uniqueness, each in ``[0, 1]``, added up."""
    frequency = memory.used / (1.0 + memory.used)
    recency = jnp.exp(-(now - memory.last) / patience)
    c = memory.filled.shape[0]
    alike = jnp.where(jnp.eye(c, dtype=bool), 0.0, memory.key @ memory.key.T)
    return frequency + recency + 1.0 - jnp.max(jnp.maximum(alike, 0.0), axis=1)


def remembered(
    memory: Memory, key: jax.Array, content: Any, outcome: Any, now: Any, *, active: Any = True
) -> Memory:
    """One more fragment, in a free slot or in place of the least useful one."""
    worth = jnp.where(memory.filled, utility(memory, now), -jnp.inf)
    place = jnp.where(active, jnp.argmin(worth), memory.filled.shape[0])

    def put(row: jax.Array, value: Any) -> jax.Array:
        return row.at[place].set(jnp.asarray(value, row.dtype), mode="drop")

    return Memory(
        put(memory.key, key),
        put(memory.content, content),
        put(memory.outcome, outcome),
        put(memory.used, 0.0),
        put(memory.last, now),
        put(memory.filled, True),
    )
