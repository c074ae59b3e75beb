"""Registers of which the last write wins, and maps from keys to replicated data.

References:
    M. Shapiro, N. Preguiça, C. Baquero, M. Zawirski, Conflict-free replicated data types, 2011.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.network.crdt._clocks import Clock
from jaxswarm.types import ArrayLike, PyTree


class Written(NamedTuple):
    """State of a register.

    Attributes:
        value: of the last write.
        clock: of that write.
        writer: ``int32[]``, replica that wrote; -1 before the first write.
        present: ``bool[]``, false before the first write and after a deletion.
    """

    value: PyTree
    clock: Clock
    writer: jax.Array
    present: jax.Array


class Register(NamedTuple):
    """Functions of a replicated register.

    Attributes:
        init: ``init() -> state`` of one replica.
        merge: ``merge(state, other) -> state``.
        read: ``read(state) -> (value, present)``.
        version: ``version(state)``, the part that tells what a replica has seen.
        write: ``write(state, value, clock, replica) -> state``, with a clock after all that the
            replica has seen, see :func:`tick`.
        delete: ``delete(state, clock, replica) -> state``; the value becomes the initial one.
    """

    init: Callable[[], Written]
    merge: Callable[[Written, Written], Written]
    read: Callable[[Written], tuple[PyTree, jax.Array]]
    version: Callable[[Written], PyTree]
    write: Callable[..., Written]
    delete: Callable[..., Written]


class Keyed(NamedTuple):
    """Functions of a map from keys ``0 … K - 1`` to replicated data.

    Attributes:
        init: ``init() -> state`` of one replica, leaves ``[K, …]``.
        merge: ``merge(state, other) -> state``.
        read: ``read(state)``, what the entries' ``read`` gives, leaves ``[K, …]``.
        version: ``version(state)``, that of all entries.
        update: ``update(state, key, operation) -> state``, with ``operation(entry) -> entry``.
    """

    init: Callable[[], PyTree]
    merge: Callable[[PyTree, PyTree], PyTree]
    read: Callable[[PyTree], Any]
    version: Callable[[PyTree], PyTree]
    update: Callable[..., PyTree]


def lww_register(value: PyTree, *, tie_break: bool = True) -> Register:
    """Make a register of which the last write wins.

    Writes are ordered by ``(wall, logical, writer)``, a total order, so all replicas keep the same
    one.

    Args:
        value: initial value, a pytree of arrays, which fixes shapes and dtypes.
        tie_break: false leaves out all but the wall time, and a replica keeps its own write on
            equal times. Then replicas do **not** converge: a negative control.

    Raises:
        ValueError: a value without arrays; in ``write``, another structure or shape.

    Example:
        >>> from jaxswarm.network import crdt
        >>> register = crdt.lww_register(0.0)
        >>> time = crdt.tick(crdt.clock(), 5)
        >>> one = register.write(register.init(), 1.0, time, replica=0)
        >>> two = register.write(register.init(), 2.0, time, replica=1)  # at the same time
        >>> float(register.read(register.merge(one, two))[0])
        2.0
    """
    initial = jax.tree.map(_array, value)
    if not jax.tree.leaves(initial):
        raise ValueError(f"value: expected a pytree with arrays, got {checks.shown(value)}")
    checks.flag("tie_break", tie_break)

    def init() -> Written:
        never = Clock(jnp.full((), -1, jnp.int32), jnp.zeros((), jnp.int32))
        return Written(initial, never, jnp.full((), -1, jnp.int32), jnp.zeros((), bool))

    def merge(state: Written, other: Written) -> Written:
        later = other.clock.wall > state.clock.wall
        if tie_break:
            mine = (state.clock.wall, state.clock.logical, state.writer)
            later = later_than((other.clock.wall, other.clock.logical, other.writer), mine)
        return jax.tree.map(lambda x, y: jnp.where(later, y, x), state, other)

    def stamped(value: PyTree, clock: Clock, replica: ArrayLike, present: bool) -> Written:
        checks.instance("clock", clock, Clock, "crdt.tick(crdt.clock(), wall)")
        writer = jnp.asarray(checks.wholes("replica", replica, shape=()), jnp.int32)
        return Written(value, clock, writer, jnp.full((), present))

    def write(state: Written, value: PyTree, clock: Clock, replica: ArrayLike) -> Written:
        if jax.tree.structure(value) != jax.tree.structure(initial):
            raise ValueError(
                f"value: expected the structure {jax.tree.structure(initial)}, got "
                f"{jax.tree.structure(value)}"
            )
        new = jax.tree.map(_like, value, initial)
        return merge(state, stamped(new, clock, replica, True))

    def delete(state: Written, clock: Clock, replica: ArrayLike) -> Written:
        return merge(state, stamped(initial, clock, replica, False))

    return Register(
        init,
        merge,
        lambda state: (state.value, state.present),
        lambda state: (state.clock, state.writer),
        write,
        delete,
    )


def keyed(entry: Any, num_keys: int) -> Keyed:
    """Make a map whose entries are replicated data: registers, counters, sets.

    Args:
        entry: what :func:`lww_register`, :func:`g_counter`, … return.
        num_keys: ``K``.

    Raises:
        ValueError: an entry that is no replicated data, or fewer than one key; in
            ``update``, a key out of range.

    Example:
        >>> from jaxswarm.network import crdt
        >>> register = crdt.lww_register(0)
        >>> table = crdt.keyed(register, 3)
        >>> time = crdt.tick(crdt.clock(), 1)
        >>> state = table.update(table.init(), 1, lambda entry: register.write(entry, 9, time, 0))
        >>> table.read(state)[0].tolist()
        [0, 9, 0]
    """
    require_crdt("entry", entry)
    count = checks.whole("num_keys", num_keys, 1)

    def init() -> PyTree:
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), entry.init())

    def update(state: PyTree, key: ArrayLike, operation: Callable[[PyTree], PyTree]) -> PyTree:
        at = jnp.asarray(checks.wholes("key", key, 0, count - 1, shape=()))
        checks.function("operation", operation)
        new = operation(jax.tree.map(lambda x: x[at], state))
        return jax.tree.map(lambda x, y: x.at[at].set(y), state, new)

    return Keyed(init, jax.vmap(entry.merge), jax.vmap(entry.read), jax.vmap(entry.version), update)


def later_than(times: tuple[jax.Array, ...], others: tuple[jax.Array, ...]) -> jax.Array:
    """Whether ``times`` is after ``others`` in lexicographic order."""
    later = jnp.zeros((), bool)
    for one, other in zip(reversed(times), reversed(others), strict=True):
        later = (one > other) | ((one == other) & later)
    return later


def _array(value: Any) -> jax.Array:
    """An array of numbers with its own dtype."""
    checks.numbers("value", value)
    return jnp.asarray(value)


def _like(value: Any, example: jax.Array) -> jax.Array:
    """An array of numbers with the shape and dtype of an example."""
    checks.numbers("value", value, example.shape)
    return jnp.asarray(value, example.dtype)


def require_crdt(name: str, value: Any) -> None:
    """Refuse what has no ``init``, ``merge``, ``read`` and ``version``."""
    fields = ("init", "merge", "read", "version")
    if not all(callable(getattr(value, field, None)) for field in fields):
        raise ValueError(
            f"{name}: expected replicated data such as crdt.g_counter(4), got {checks.shown(value)}"
        )
