"""Feedback that comes later: dispatches wait with the features they were chosen by.

A fixed number of slots per learner. What is learnt is the *stored* ``x``: features computed again
when the reward arrives would credit another state of the world. A dispatch that finds no free slot
is counted in ``overflow`` and never learnt from; feedback for an unknown or already credited
dispatch is refused and counted in ``refused``.

Shapes: ``Q`` slots, ``d`` features.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

NEVER = 2**31 - 1


class Pending(NamedTuple):
    """Dispatches under way.

    Attributes:
        dispatch: ``int32[Q]``, its number; -1 where the slot is free.
        due: ``int32[Q]``, the step from which its reward may be learnt; ``NEVER`` if unknown.
        x: ``float32[Q, d]``.
        arm: ``int32[Q]``.
        reward: ``float32[Q]``.
        overflow: ``int32[]``, dispatches that found no slot.
        refused: ``int32[]``, feedback that nobody waited for.
    """

    dispatch: jax.Array
    due: jax.Array
    x: jax.Array
    arm: jax.Array
    reward: jax.Array
    overflow: jax.Array
    refused: jax.Array


def nothing_pending(slots: int, num_features: int) -> Pending:
    """All slots free.

    Raises:
        ValueError: if a number is below 1.
    """
    for name, value in (("slots", slots), ("num_features", num_features)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    zero = jnp.zeros((), jnp.int32)
    return Pending(
        jnp.full(slots, -1, jnp.int32),
        jnp.full(slots, NEVER, jnp.int32),
        jnp.zeros((slots, num_features)),
        jnp.zeros(slots, jnp.int32),
        jnp.zeros(slots),
        zero,
        zero,
    )


def dispatched(
    pending: Pending,
    number: Any,
    x: jax.Array,
    arm: Any = 0,
    *,
    active: Any = True,
    reward: Any = 0.0,
    due: Any = NEVER,
) -> Pending:
    """One more under way; a simulation that knows ``reward`` says when it is ``due``.

    Args:
        pending: unbatched.
        number: ``int32[]`` of at least 0, not in use.
        x: ``[d]``, kept.
        arm: ``int32[]``, kept.
        active: false: nothing happens.
        reward: in ``[0, 1]``.
        due: step.
    """
    free = pending.dispatch < 0
    slot = jnp.argmax(free)
    active = jnp.asarray(active)
    place = jnp.where(active & free.any(), slot, free.shape[0])

    def put(row: jax.Array, value: Any) -> jax.Array:
        return row.at[place].set(jnp.asarray(value, row.dtype), mode="drop")

    return Pending(
        put(pending.dispatch, number),
        put(pending.due, due),
        put(pending.x, x),
        put(pending.arm, arm),
        put(pending.reward, reward),
        pending.overflow + (active & ~free.any()),
        pending.refused,
    )


def credited(pending: Pending, number: Any, reward: Any, now: Any) -> Pending:
    """The reward of a dispatch has arrived; :func:`delivered` hands it out from ``now`` on.

    Refused and counted if that dispatch is unknown or has its reward already, or the reward is not
    in ``[0, 1]`` (NaN is not).
    """
    waiting = (pending.dispatch == number) & (pending.due == NEVER) & (jnp.asarray(number) >= 0)
    fine = (jnp.asarray(reward) >= 0) & (jnp.asarray(reward) <= 1)
    hit = waiting & fine
    return pending._replace(
        due=jnp.where(hit, now, pending.due),
        reward=jnp.where(hit, reward, pending.reward),
        refused=pending.refused + ~hit.any(),
    )


def delivered(pending: Pending, now: Any) -> tuple[Pending, jax.Array]:
    """``(pending, bool[Q])``: slots due by ``now`` are freed, their contents stay readable."""
    arrived = (pending.dispatch >= 0) & (pending.due <= now)
    return pending._replace(dispatch=jnp.where(arrived, -1, pending.dispatch)), arrived
