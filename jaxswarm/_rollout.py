"""Many rounds of a step function as one pure function, and the compiled chunks of ``simulate``.

Round ``r`` (counted from 0) calls ``step(fold_in(key, r), state, inputs)``, so its random numbers
depend on ``key`` and ``r`` only: not on the number of rounds or on how they are cut into chunks.

Shapes: ``R`` records kept, ``C`` records that one chunk can hold.
"""

import functools
import math
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import EvaluateFn, Key, PyTree, StepFn

MAX_ROUNDS = 2**31 - 2  # rounds are counted in int32
_BUFFER_BYTES = 2**24
_BUFFER_RECORDS = 2**15


class Records(NamedTuple):
    """Recorded infos and evaluations, one entry every ``every`` rounds; leaves lead with ``R``.

    Attributes:
        round: ``int32[R]``, number of rounds done: ``every, 2 * every, …``.
        info: the info that ``step`` returned in the last of these rounds.
        evaluation: ``evaluate(state)`` after that round; ``None`` without ``evaluate``.
    """

    round: Any
    info: Any
    evaluation: Any

    def columns(self, *, each: bool = False) -> dict[str, np.ndarray]:
        """Return a table of numbers, ``pandas.DataFrame(records.columns())`` or polars'.

        Names are paths such as ``loss`` or ``traffic.bytes``; where info and evaluation have one
        name, the latter's is ``evaluation.name``.

        Args:
            each: one column for each entry of a leaf with further axes, ``loss.0``, ``loss.1``, …;
                by default its mean, minimum and maximum, ``loss``, ``loss.min`` and ``loss.max``.

        Returns:
            Name -> ``[R]``, beginning with ``round``.

        Example:
            >>> info = {"loss": np.array([[1.0, 3.0], [0.0, 1.0]])}
            >>> records = Records(np.array([5, 10]), info, None)
            >>> {name: column.tolist() for name, column in records.columns().items()}
            {'round': [5, 10], 'loss': [2.0, 0.5], 'loss.min': [1.0, 0.0], 'loss.max': [3.0, 1.0]}
            >>> list(records.columns(each=True))
            ['round', 'loss.0', 'loss.1']
        """
        from jaxswarm._columns import columns

        return columns(self, each=each)

    def to_csv(self, path: str | os.PathLike[str], *, each: bool = False) -> Path:
        """Write :meth:`columns` to a CSV file with a header; returns its path.

        Args:
            path: the file; parent folders are created.
            each: as in :meth:`columns`.
        """
        from jaxswarm._columns import write_csv

        return write_csv(self.columns(each=each), path)


def rollout(
    step: StepFn,
    state: PyTree,
    num_rounds: int,
    *,
    key: Key,
    inputs: PyTree = None,
    every: int = 1,
    evaluate: EvaluateFn | None = None,
) -> tuple[PyTree, Records]:
    """Run ``step`` for ``num_rounds`` rounds as a pure function, for ``jit``, ``vmap`` or ``grad``.

    One ``lax.scan`` over the records around one over the ``every`` rounds of each. Gives the same
    rounds and records as :func:`jaxswarm.simulate`, which is the one to call from the host.

    Args:
        step: ``step(key, state, inputs) -> (state, info)``, pure; keeps structure, shapes and
            dtypes.
        state: the state before the first round.
        num_rounds: at least 0, static.
        key: a typed key; round ``r`` gets ``fold_in(key, r)``.
        inputs: passed unchanged to every round, such as the agents' data.
        every: at least 1, static; a record is kept after each ``every``-th round. The
            ``num_rounds % every`` rounds after the last record are run and not recorded, so that
            the records of a shorter run are the first ones of a longer run.
        evaluate: ``evaluate(state) -> pytree``, called when a record is kept.

    Returns:
        The last state, and :class:`Records` with ``R = num_rounds // every``.

    Raises:
        ValueError: for a negative ``num_rounds``, ``every < 1``, a raw ``uint32`` key, or a step
            that changes the state's structure, a shape or a dtype; before anything runs.

    Example:
        >>> import jax, jaxswarm as js
        >>> def step(key, state, inputs):
        ...     return state + inputs, {"state": state}
        >>> state, records = js.rollout(step, 0, 6, key=jax.random.key(0), inputs=2, every=3)
        >>> int(state), records.round.tolist(), records.info["state"].tolist()
        (12, [3, 6], [4, 10])
    """
    num_rounds, every = check_rounds(num_rounds, every)
    checks.key(key)
    state = as_arrays(state)
    inputs = as_arrays(inputs, "inputs", strong=False)
    stepped = jax.jit(as_function("step", step))
    evaluated = None if evaluate is None else as_function("evaluate", evaluate)
    blank, _ = record_structure(stepped, evaluated, state, key, inputs)

    def advance(carry: tuple[Any, Any], r: jax.Array) -> tuple[tuple[Any, Any], None]:
        state, info = stepped(jax.random.fold_in(key, r), carry[0], inputs)
        return (state, info), None

    def group(state: Any, first: jax.Array) -> tuple[Any, Records]:
        (state, info), _ = jax.lax.scan(advance, (state, _zeros(blank)), first + jnp.arange(every))
        evaluation = None if evaluated is None else evaluated(state)
        return state, Records(first + every, info, evaluation)

    num_records = num_rounds // every
    done = num_records * every
    state, records = jax.lax.scan(group, state, jnp.arange(num_records, dtype=jnp.int32) * every)
    if done < num_rounds:
        rest = jnp.arange(done, num_rounds, dtype=jnp.int32)
        (state, _), _ = jax.lax.scan(advance, (state, _zeros(blank)), rest)
    return state, records


class Chunk(NamedTuple):
    """Result of one call of the compiled chunk program.

    Attributes:
        state: after the chunk's last round.
        info: ``[C, ...]``, entry ``i`` for the ``i``-th record of this chunk.
        evaluation: ``[C, ...]`` or ``None``.
        finite: ``bool[]``, whether all of ``state`` is finite.
        nonfinite: leaf name to ``bool[leading axis]`` (``bool[]`` for scalars), true where not.
    """

    state: Any
    info: Any
    evaluation: Any
    finite: jax.Array
    nonfinite: dict[str, jax.Array]


@functools.lru_cache(maxsize=16)
def chunk_program(
    step: StepFn,
    evaluate: EvaluateFn | None,
    every: int,
    capacity: int,
    placement: tuple[Any, Any, tuple[Any, ...]] | None,
) -> Callable[..., Chunk]:
    """Compile ``program(state, key, inputs, start, end) -> Chunk`` of rounds ``start … end - 1``.

    ``state`` is donated. The trip counts are arguments, so one compilation serves every chunk
    length (zero too). A chunk may start and end between two records; the slot of an unfinished
    record holds no meaningful values. ``placement`` is ``(replicated sharding, state's tree
    structure, state's shardings)`` when the state lives on a mesh: it keeps its shardings, and
    records are replicated.
    """
    stepped = jitted(step)
    evaluated = None if evaluate is None else jitted(evaluate)

    def program(state: Any, key: jax.Array, inputs: Any, start: jax.Array, end: jax.Array) -> Chunk:
        blank_info, blank_evaluation = record_structure(stepped, evaluated, state, key, inputs)

        def one_round(r: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            return stepped(jax.random.fold_in(key, r), carry[0], inputs)

        def no_evaluation(state: Any) -> Any:
            del state
            return _zeros(blank_evaluation)

        def group(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            r, slot, state, infos, evaluations = carry
            stop = r + jnp.minimum(every - r % every, end - r)
            if every == 1:
                state, info = one_round(r, (state, None))
            else:
                state, info = jax.lax.fori_loop(r, stop, one_round, (state, _zeros(blank_info)))
            if evaluated is None:
                evaluation = None
            elif every == 1:
                evaluation = evaluated(state)
            else:
                evaluation = jax.lax.cond(stop % every == 0, evaluated, no_evaluation, state)
            return (
                stop,
                slot + 1,
                state,
                _put(infos, slot, info),
                _put(evaluations, slot, evaluation),
            )

        buffers = (_zeros(blank_info, capacity), _zeros(blank_evaluation, capacity))
        _, _, state, infos, evaluations = jax.lax.while_loop(
            lambda carry: carry[0] < end, group, (start, jnp.int32(0), state, *buffers)
        )
        nonfinite = _nonfinite(state)
        bad = [jnp.any(flags) for flags in nonfinite.values()]
        finite = ~functools.reduce(operator.or_, bad, jnp.array(False))
        return Chunk(state, infos, evaluations, finite, nonfinite)

    if placement is None:
        return jax.jit(program, donate_argnums=0)
    replicated, treedef, shardings = placement
    out = Chunk(jax.tree.unflatten(treedef, shardings), *(replicated,) * 4)
    return jax.jit(program, donate_argnums=0, out_shardings=out)


@functools.lru_cache(maxsize=64)
def jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """``jax.jit(function)``, cached so that a step is traced once."""
    return jax.jit(function)


def as_arrays(
    tree: PyTree, name: str = "state", *, copy: bool = False, strong: bool = True
) -> PyTree:
    """Convert all leaves to arrays.

    Args:
        tree: arrays and numbers.
        name: the argument, for the message.
        copy: whether arrays are copied.
        strong: whether Python numbers lose their weak type.

    Raises:
        ValueError: naming the leaf that is neither an array nor a number, or whose 64-bit values
            do not fit the 32 bits that jax keeps without ``jax_enable_x64``.
    """

    def convert(path: tuple[Any, ...], leaf: Any) -> jax.Array:
        where = f"at leaf {leaf_name(path)}"
        try:
            with np.errstate(over="ignore"):  # checked below
                array = jnp.array(leaf) if copy else jnp.asarray(leaf)
        except OverflowError:
            raise _does_not_fit(name, where, leaf, "int32") from None
        except (TypeError, ValueError):
            raise ValueError(
                f"{name}: expected an array or a number {where}, got {type(leaf).__name__}"
            ) from None
        check_fits(name, where, leaf, array)
        weak = not strong or is_key(array)
        return array if weak else jax.lax.convert_element_type(array, array.dtype)

    return jax.tree_util.tree_map_with_path(convert, tree)


def check_fits(name: str, where: str, leaf: Any, array: jax.Array) -> None:
    """Check that the conversion of a leaf to 32 bits wrapped no value around nor made it infinite.

    Raises:
        ValueError: naming the argument, where the leaf is, and the value.
    """
    if isinstance(leaf, jax.Array) or checks.is_traced(array):
        return
    given = np.asarray(leaf)
    if given.dtype == array.dtype:
        return
    if given.dtype.kind in "iu":
        limits = jnp.iinfo(array.dtype)
        bad = (given < limits.min) | (given > limits.max)
    elif given.dtype.kind == "f":
        bad = np.isfinite(given) & (np.abs(given) > float(jnp.finfo(array.dtype).max))
    else:
        return
    if bad.any():
        raise _does_not_fit(name, where, given[bad].flat[0], str(array.dtype))


def _does_not_fit(name: str, where: str, value: Any, dtype: str) -> ValueError:
    return ValueError(
        f"{name}: expected values that fit {dtype} {where}, got {checks.shown(value)}; jax keeps "
        "64 bits with jax.config.update('jax_enable_x64', True)"
    )


def as_function(name: str, function: Any) -> Any:
    """Validate a callable and make it hashable, so that ``jax.jit`` caches it.

    Raises:
        ValueError: if it is not callable, naming the argument and its type.
    """
    checks.function(name, function)
    try:
        hash(function)
    except TypeError:  # such as a dataclass with __call__: works, but every run compiles it anew
        return functools.partial(function)
    return function


def check_rounds(num_rounds: Any, every: Any) -> tuple[int, int]:
    """Validate both and return them as ``int``.

    Raises:
        ValueError: unless ``0 <= num_rounds <= MAX_ROUNDS`` and ``1 <= every <= MAX_ROUNDS``.
    """
    return (
        checks.whole("num_rounds", num_rounds, 0, MAX_ROUNDS),
        checks.whole("every", every, 1, MAX_ROUNDS),
    )


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of typed PRNG keys."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def record_structure(
    step: StepFn, evaluate: EvaluateFn | None, state: PyTree, key: jax.Array, inputs: PyTree
) -> tuple[PyTree, PyTree]:
    """Shapes and dtypes of ``(info, evaluation)``, by abstract evaluation.

    Raises:
        ValueError: if ``step`` does not return a pair, changes the state's structure, a shape or a
            dtype (the message names the leaf), or a record would hold random keys; if ``state``
            lacks an attribute that ``step`` reads, such as parameters instead of a learner's state.
    """
    try:
        result = jax.eval_shape(step, key, state, inputs)
    except AttributeError as error:
        if error.name is None or type(error.obj) is not type(state):
            raise
        raise ValueError(
            f"state: expected what the algorithm's init returns, such as learner.init(params): the "
            f"step reads its {error.name!r}, which {checks.shown(state)} lacks"
        ) from error
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ValueError(f"step: expected to return (state, info), got {type(result).__name__}")
    _check_same(state, result[0])
    evaluation = None if evaluate is None else jax.eval_shape(evaluate, state)
    for what, tree in (("info", result[1]), ("evaluate", evaluation)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if is_key(leaf):
                raise ValueError(
                    f"{what}: expected arrays to record, got a random key at leaf {leaf_name(path)}"
                )
    return result[1], evaluation


def capacity(record: PyTree) -> int:
    """Number of records that a chunk's buffers hold, ``C`` in ``[1, 2¹⁵]``."""
    size = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(record))
    return max(1, min(_BUFFER_RECORDS, _BUFFER_BYTES // max(size, 1)))


def leaf_name(path: tuple[Any, ...]) -> str:
    """Name of a leaf in messages, such as ``.params['w']``."""
    return jax.tree_util.keystr(path) or "<root>"


def _check_same(before: PyTree, after: PyTree) -> None:
    old = {leaf_name(p): x for p, x in jax.tree_util.tree_leaves_with_path(before)}
    new = {leaf_name(p): x for p, x in jax.tree_util.tree_leaves_with_path(after)}
    for name in [*old, *new]:
        if name not in new or name not in old:
            verb = "lost" if name in old else "gained"
            raise ValueError(f"step: must keep the state's structure, but it {verb} leaf {name}")
        a, b = old[name], new[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ValueError(
                f"step: state leaf {name} must keep {a.dtype}{list(a.shape)}, "
                f"step returned {b.dtype}{list(b.shape)}"
            )
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise ValueError(
            f"step: must keep the state's structure {jax.tree.structure(before)}, "
            f"it returned {jax.tree.structure(after)}"
        )


def _zeros(tree: PyTree, *leading: int) -> PyTree:
    return jax.tree.map(lambda x: jnp.zeros((*leading, *x.shape), x.dtype), tree)


def _put(buffers: PyTree, slot: jax.Array, record: PyTree) -> PyTree:
    return jax.tree.map(
        lambda b, x: jax.lax.dynamic_update_index_in_dim(b, x, slot, 0), buffers, record
    )


def _nonfinite(state: PyTree) -> dict[str, jax.Array]:
    flags = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if not is_key(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact):
            bad = ~jnp.isfinite(leaf)
            flags[leaf_name(path)] = jnp.any(bad, axis=tuple(range(1, bad.ndim)))
    return flags
