"""Bristle's prioritizer: selection of received heads to test, by distance to the own head.

Shapes: ``K`` in-neighbour slots, ``Q`` heads tested.

References:
    J. Verbraeken, M. de Vos, J. Pouwelse, Bristle: decentralized federated learning in Byzantine,
    non-i.i.d. environments, 2021.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import Key

SELECTIONS = ("thirds", "random", "nearest", "mostly_nearest")
"""The paper's thirds; random peers (the authors' newest code); the nearest; four nearest to one
random (an older revision of their code)."""


def prioritize(
    key: Key,
    distances: jax.Array,
    valid: jax.Array,
    quota: int,
    alpha: float | jax.Array = 0.4,
    selection: str = "thirds",
) -> tuple[jax.Array, jax.Array]:
    """Choose up to ``quota`` of the received heads to test.

    ``"thirds"``: the heads are sorted by distance and cut into a near, a middle and a far third;
    ``(1−α)²``, ``2α(1−α)`` and ``α²`` of the quota are drawn from them at random (see
    :func:`thirds`). With fewer valid heads than the quota all of them are chosen.

    Args:
        key: consumed.
        distances: ``float32[K]``, to the own head.
        valid: ``bool[K]``, slots that hold a head.
        quota: heads to choose, at least 1; static.
        alpha: ``α`` in ``[0, 1]``: 0 takes the near ones, 1 the far ones; may be traced.
        selection: one of :data:`SELECTIONS`.

    Returns:
        ``(slots int32[Q], real bool[Q])`` with ``Q = min(quota, K)``, in ascending order of slots,
        the real ones first.

    Raises:
        ValueError: if ``quota < 1``, ``alpha`` is out of range or the selection is unknown.
    """
    check_prioritizer(quota, alpha, selection)
    if jnp.ndim(distances) != 1:
        raise ValueError(f"distances: expected shape [K], got {jnp.shape(distances)}")
    checks.mask("valid", valid, jnp.shape(distances))
    slots = distances.shape[0]
    quota = min(quota, slots)
    count = jnp.sum(valid, dtype=jnp.int32)
    wanted = jnp.minimum(count, quota)
    rank = _places(jnp.lexsort((distances, ~valid)))
    noise = jax.random.uniform(key, (slots,))
    if selection == "thirds":
        sizes = _sizes(count)
        third = (rank >= sizes[0]).astype(jnp.int32) + (rank >= sizes[0] + sizes[1])
        place = _places(jnp.lexsort((noise, third, ~valid)))
        start = jnp.cumsum(sizes) - sizes
        chosen = place - start[third] < thirds(count, quota, alpha)[third]
    elif selection == "random":
        chosen = _places(jnp.lexsort((noise, ~valid))) < wanted
    elif selection == "nearest":
        chosen = rank < wanted
    else:
        near = rank < (4 * wanted + 4) // 5
        chosen = _places(jnp.lexsort((noise, ~near, ~valid))) < wanted
    order = jnp.argsort(~(chosen & valid), stable=True)
    return order[:quota].astype(jnp.int32), jnp.arange(quota) < wanted


def thirds(count: int | jax.Array, quota: int | jax.Array, alpha: float | jax.Array) -> jax.Array:
    """Numbers ``int32[3]`` of heads drawn from the near, the middle and the far third.

    The shares of ``min(quota, count)`` are rounded by largest remainders (ties to the nearer third)
    and sum to it exactly. What exceeds a third's size goes to the others, the nearest first. The
    thirds of ``count`` heads differ by at most one, the nearer ones being the larger.

    Args:
        count: number of valid heads.
        quota: heads wanted.
        alpha: ``α`` in ``[0, 1]``.
    """
    alpha = jnp.asarray(alpha, jnp.float32)
    wanted = jnp.minimum(count, quota)
    share = jnp.stack([(1.0 - alpha) ** 2, 2.0 * alpha * (1.0 - alpha), alpha**2])
    exact = share * wanted
    floor = jnp.floor(exact + 1e-4)  # so that rounding errors do not cost a whole head
    rest = wanted - jnp.sum(floor)
    rest_rank = _places(jnp.argsort(-jnp.round(exact - floor, 4), stable=True))
    take = (floor + (rest_rank < rest)).astype(jnp.int32)
    sizes = _sizes(count)
    take = jnp.minimum(take, sizes)
    room = sizes - take
    before = jnp.cumsum(room) - room
    return take + jnp.clip(wanted - jnp.sum(take) - before, 0, room).astype(jnp.int32)


def check_prioritizer(quota: int, alpha: float | jax.Array, selection: str) -> None:
    """Refuse options that :func:`prioritize` cannot work with.

    Raises:
        ValueError: naming the option.
    """
    checks.whole("quota", quota, 1)
    checks.real("alpha", alpha, 0.0, 1.0)
    checks.choice("selection", selection, SELECTIONS)


def _sizes(count: int | jax.Array) -> jax.Array:
    ends = jnp.stack([(count + 2) // 3, (2 * count + 2) // 3, jnp.asarray(count)])
    return jnp.diff(ends, prepend=0).astype(jnp.int32)


def _places(order: jax.Array) -> jax.Array:
    """Position of each item in an order."""
    size = order.shape[0]
    return jnp.zeros(size, jnp.int32).at[order].set(jnp.arange(size, dtype=jnp.int32))
