"""Exact loops over the events of a server: static batches, and in-flight batching with stalls.

Shapes: ``R`` requests, ``B`` slots.
"""

from typing import Any

import jax
import jax.numpy as jnp


def static_seconds(x: Any, part: Any, lengths: jax.Array) -> jax.Array:
    """Serve what has arrived in batches that end with their longest reply.

    Args:
        x: sheet with ``arrivals [R]``, ``requests``.
        part: costs.
        lengths: ``[R]``, tokens of the replies.

    Returns:
        The time of the last reply, or the mean latency if requests arrive over time.
    """
    order = jnp.arange(len(lengths))

    def batch(carry: tuple[jax.Array, jax.Array, jax.Array], _: None) -> tuple[Any, None]:
        time, queued, waited = carry
        time = jnp.maximum(time, x.arrivals[jnp.minimum(queued, len(lengths) - 1)])
        taken = (order >= queued) & (order < queued + part.slots) & (order < x.requests)
        taken &= x.arrivals <= time
        longest = jnp.max(jnp.where(taken, lengths, 0.0))
        end = time + part.prefill + jnp.maximum(longest - 1.0, 0.0) * part.step
        waited = waited + jnp.sum(jnp.where(taken, end - x.arrivals, 0.0))
        left = queued < x.requests
        moved = (end, queued + jnp.sum(taken), waited)
        return jax.tree.map(lambda a, b: jnp.where(left, a, b), moved, carry), None

    zero = jnp.zeros((), lengths.dtype)
    start = (zero, jnp.zeros((), jnp.int32), zero)
    (end, _, waited), _ = jax.lax.scan(batch, start, None, length=len(lengths))
    return jnp.where(x.arrivals[0] > 0, waited / x.requests, end)


def continuous_seconds(x: Any, part: Any, lengths: jax.Array, num_slots: int) -> jax.Array:
    """Admit a request as soon as a slot is free.

    An admission stalls the slots, or each chunk of it accompanies a token of all of them.

    Args:
        x: sheet with ``arrivals [R]``, ``requests``, ``chunk``.
        part: costs.
        lengths: ``[R]``, tokens of the replies.
        num_slots: size of the array of slots, at least ``part.slots``; static.

    Returns:
        The time of the last reply, or the mean latency if requests arrive over time.
    """
    exists = jnp.arange(num_slots) < part.slots
    chunked = x.chunk > 0

    def going(carry: Any) -> jax.Array:
        _, queued, left, _, _ = carry
        return (queued < x.requests) | jnp.any(left > 0)

    def event(carry: Any) -> Any:
        time, queued, left, since, waited = carry
        at = jnp.minimum(queued, len(lengths) - 1)
        next_arrival = jnp.where(queued < x.requests, x.arrivals[at], jnp.inf)
        free = exists & (left <= 0)
        busy = jnp.any(left > 0)
        admits = (next_arrival <= time) & jnp.any(free)
        # An admission: all chunks, each beside one token of the slots in use.
        beside = jnp.where(chunked, part.chunks, 0.0)
        admission = jnp.where(chunked & busy, part.chunks * part.mixed, part.prefill)
        # Decoding until a reply ends, or until a request arrives for a free slot.
        shortest = jnp.min(jnp.where(left > 0, left, jnp.inf))
        until = jnp.ceil((next_arrival - time) / part.step)
        steps = jnp.where(jnp.any(free), jnp.minimum(shortest, jnp.maximum(until, 1.0)), shortest)
        tokens = jnp.where(admits, beside, jnp.where(busy, steps, 0.0))
        passed = jnp.where(
            admits, admission, jnp.where(busy, steps * part.step, next_arrival - time)
        )
        time = time + passed
        ended = (left > 0) & (left <= tokens)
        waited = waited + jnp.sum(jnp.where(ended, time - since, 0.0))
        left = jnp.maximum(left - jnp.where(left > 0, tokens, 0.0), 0.0)
        # The admitted request has its first token now.
        enters = admits & (jnp.arange(num_slots) == jnp.argmax(free))
        rest = lengths[at] - 1.0
        waited = waited + jnp.where(admits & (rest <= 0), time - x.arrivals[at], 0.0)
        left = jnp.where(enters, rest, left)
        since = jnp.where(enters, x.arrivals[at], since)
        return time, queued + admits, left, since, waited

    zero = jnp.zeros((), lengths.dtype)
    slots = jnp.zeros(num_slots, lengths.dtype)
    start = (zero, jnp.zeros((), jnp.int32), slots, slots, zero)
    end, _, _, _, waited = jax.lax.while_loop(going, event, start)
    return jnp.where(x.arrivals[0] > 0, waited / x.requests, end)
