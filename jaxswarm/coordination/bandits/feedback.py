"""Delayed feedback: dispatches are stored with their features until their reward arrives.

A fixed number of slots per learner. A reward is learnt with the *stored* ``x``: features computed
again when it arrives would belong to another state of the world. A dispatch without a free slot is
counted in ``overflow`` and never learnt from; feedback for an unknown or already credited dispatch
is refused and counted in ``refused``.

Shapes: ``Q`` slots, ``d`` features.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import checks

NEVER = 2**31 - 1


class Pending(NamedTuple):
    """Dispatches whose reward has not been learnt yet.

    Attributes:
        dispatch: ``int32[Q]``, its number; -1 where the slot is free.
        due: ``int32[Q]``, the step from which its reward may be learnt; ``NEVER`` if unknown.
        x: ``float32[Q, d]``.
        arm: ``int32[Q]``.
        reward: ``float32[Q]``.
        overflow: ``int32[]``, dispatches without a free slot.
        refused: ``int32[]``, refused feedback.
    """

    dispatch: jax.Array
    due: jax.Array
    x: jax.Array
    arm: jax.Array
    reward: jax.Array
    overflow: jax.Array
    refused: jax.Array


def empty_pending(slots: int, num_features: int) -> Pending:
    """Make a store of pending dispatches with all slots free.

    Args:
        slots: ``Q``, at least 1.
        num_features: ``d``, at least 1.

    Raises:
        ValueError: if a number is below 1.
    """
    slots = checks.whole("slots", slots, 1)
    num_features = checks.whole("num_features", num_features, 1)
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


def add_dispatch(
    pending: Pending,
    number: int | jax.Array,
    x: jax.Array,
    arm: float | jax.Array = 0,
    *,
    active: bool | jax.Array = True,
    reward: float | jax.Array = 0.0,
    due: int | jax.Array = NEVER,
) -> Pending:
    """Store one dispatch; a simulation that knows its reward already gives ``reward`` and ``due``.

    Args:
        pending: unbatched.
        number: ``int32[]`` of at least 0, not in use.
        x: ``float32[d]``, features of the choice.
        arm: ``int32[]``.
        active: ``bool[]``; false stores nothing.
        reward: in ``[0, 1]``.
        due: ``int32[]``, step from which the reward may be learnt.

    Raises:
        ValueError: naming what is out of range or of another shape; traced numbers are not checked.
    """
    _check_pending(pending)
    checks.wholes("number", number, 0, shape=())
    x = checks.numbers("x", x, pending.x.shape[-1:])
    checks.wholes("arm", arm, -1, shape=())
    checks.mask("active", active, ())
    if not any(checks.is_traced(value) for value in (active, x)) and bool(active):
        checks.real("x", x, shape=(None,))
        checks.probability("reward", reward)
    checks.wholes("due", due, -checks.LARGEST, shape=())
    free = pending.dispatch < 0
    slot = jnp.argmax(free)
    active = jnp.asarray(active)
    place = jnp.where(active & free.any(), slot, free.shape[0])

    def put(row: jax.Array, value: ArrayLike) -> jax.Array:
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


def credit_reward(
    pending: Pending, number: int | jax.Array, reward: ArrayLike, now: int | jax.Array
) -> Pending:
    """Credit an arrived reward to its dispatch; :func:`collect_due` returns it from ``now`` on.

    Refused and counted if that dispatch is unknown or has its reward already, or the reward is not
    in ``[0, 1]`` (NaN is not).

    Args:
        pending: unbatched.
        number: ``int32[]``, of :func:`add_dispatch`.
        reward: ``float32[]``.
        now: ``int32[]``, present step.

    Raises:
        ValueError: for a number or step that is not whole.
    """
    _check_pending(pending)
    checks.wholes("number", number, -checks.LARGEST, shape=())
    checks.numbers("reward", reward, ())
    checks.wholes("now", now, -checks.LARGEST, NEVER - 1, shape=())
    waiting = (pending.dispatch == number) & (pending.due == NEVER) & (jnp.asarray(number) >= 0)
    valid = (jnp.asarray(reward) >= 0) & (jnp.asarray(reward) <= 1)
    hit = waiting & valid
    return pending._replace(
        due=jnp.where(hit, now, pending.due),
        reward=jnp.where(hit, reward, pending.reward),
        refused=pending.refused + ~hit.any(),
    )


def collect_due(pending: Pending, now: int | jax.Array) -> tuple[Pending, jax.Array]:
    """Free the slots that are due by step ``now``; their contents stay readable.

    Returns:
        ``(pending, bool[Q])``: which slots were due.

    Raises:
        ValueError: for a step that is not whole.
    """
    _check_pending(pending)
    checks.wholes("now", now, -checks.LARGEST, NEVER - 1, shape=())
    arrived = (pending.dispatch >= 0) & (pending.due <= now)
    return pending._replace(dispatch=jnp.where(arrived, -1, pending.dispatch)), arrived


def _check_pending(pending: Pending) -> None:
    checks.instance("pending", pending, Pending, "bandits.empty_pending(4, 6)")
