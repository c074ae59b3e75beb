"""Operations outside of compiled functions whose results numpy gives to the bit are done by numpy.

JAX compiles a program for every operation and shape outside of ``jax.jit``: twenty milliseconds,
thousands of times in the tests. Most of them move data (zeros, slices, reshapes), are one rounded
operation for each element (sums, products, comparisons) or find an extreme; so are the functions
of ``jax.numpy`` that consist of a few of these (one by one, so that they may differ by a rounding
from a compiled function, which fuses them). What the tests compile themselves is left alone,
and so is everything that is sharded, committed to a device, traced, or rounds in an order of its
own (sums along an axis, products of matrices, exponentials). ``make test-slow`` runs without this.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax._src import core, pjit, prng
from jax._src.interpreters import pxla
from jax._src.lax import lax as lax_internal
from jax._src.util import weakref_lru_cache

JAX = os.path.join("jax", "_src", "")
PLAIN = (bool, int, float, np.generic, np.ndarray)


def broadcast_in_dim(x, *, shape, broadcast_dimensions, sharding):
    wide = np.ones(len(shape), int)
    wide[list(broadcast_dimensions)] = x.shape
    return np.broadcast_to(x.reshape(wide), shape) if sharding is None else None


def reshape(x, *, new_sizes, dimensions, sharding):
    return x.reshape(new_sizes) if dimensions is None and sharding is None else None


def squeeze(x, *, dimensions):
    return np.squeeze(x, dimensions)


def transpose(x, *, permutation):
    return np.transpose(x, permutation)


def concatenate(*arrays, dimension):
    return np.concatenate(arrays, dimension)


def strided(x, *, start_indices, limit_indices, strides):
    strides = strides or (1,) * x.ndim
    return x[tuple(map(slice, start_indices, limit_indices, strides))]


def dynamic_slice(x, *starts, slice_sizes):
    low = [min(max(int(s), 0), n - size) for s, n, size in zip(starts, x.shape, slice_sizes)]  # noqa: B905
    return x[tuple(slice(s, s + size) for s, size in zip(low, slice_sizes))]  # noqa: B905


def select_n(which, *cases):
    return np.where(which, cases[1], cases[0]) if which.dtype == bool else None


def convert_element_type(x, *, new_dtype, weak_type, sharding):
    """Only where every value has one nearest value of the other type."""
    kinds = x.dtype.kind, np.dtype(new_dtype).kind
    exact = kinds[0] == "b" or kinds in (
        *(("i", "i"), ("i", "u"), ("i", "f"), ("f", "f"), ("u", "u"), ("u", "i"), ("i", "b")),
    )
    return x.astype(new_dtype) if exact and sharding is None else None


def iota(*, dtype, shape, dimension, sharding):
    line = np.arange(shape[dimension]).astype(dtype)
    wide = [-1 if axis == dimension else 1 for axis in range(len(shape))]
    return np.broadcast_to(line.reshape(wide), shape) if sharding is None else None


def dynamic_update_slice(x, update, *starts):
    low = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, update.shape)]  # noqa: B905
    x = x.copy()
    x[tuple(slice(s, s + k) for s, k in zip(low, update.shape))] = update  # noqa: B905
    return x


def gather(x, indices, *, dimension_numbers, slice_sizes, mode, **_):
    """Only what ``x[i]`` and ``x[i, j]`` read with whole numbers for the leading axes."""
    n, batch, d = indices.shape[-1], indices.ndim - 1, dimension_numbers
    rows = (
        d.start_index_map == d.collapsed_slice_dims == tuple(range(n))
        and d.offset_dims == tuple(range(batch, batch + x.ndim - n))
        and not d.operand_batching_dims
        and slice_sizes == (1,) * n + x.shape[n:]
    )
    if not rows or not all(x.shape[:n]):
        return None
    inside = np.clip(indices, 0, np.array(x.shape[:n]) - 1)
    filled = mode == lax.GatherScatterMode.FILL_OR_DROP and (inside != indices).any()
    return None if filled else x[tuple(np.moveaxis(inside, -1, 0))]


def rev(x, *, dimensions):
    return np.flip(x, dimensions)


def stack(*arrays, axis):
    return np.stack(arrays, axis)


def tile(x, *, reps):
    return np.tile(x, reps)


def integer_pow(x, *, y):
    return elementwise(np.square)(x) if y == 2 else None


def argument(function):
    def rule(x, *, axes, index_dtype):
        known = x.size and x.dtype.kind in "biuf"
        return function(x, axes[0]).astype(index_dtype) if known else None

    return rule


def extreme(function):
    def rule(x, *, axes, out_sharding=None):
        known = x.size and x.dtype.kind in "biuf" and out_sharding is None
        return function(x, axis=axes) if known else None

    return rule


def reduce_sum(x, *, axes, out_sharding):
    """Only of whole numbers, whose order does not matter."""
    whole = x.dtype.kind in "iu" and out_sharding is None
    return x.sum(axes, x.dtype) if whole else None


def elementwise(function, kinds="biuf"):
    """One operation for each element, rounded once; not on types that JAX widens by itself."""

    def rule(*arrays, **_):
        if any(x.dtype.kind not in kinds or x.dtype == np.float16 for x in arrays):
            return None
        with np.errstate(all="ignore"):
            return function(*arrays)

    return rule


def unchanged(x):
    return x


def shift_right_logical(x, by):
    bits = 8 * x.dtype.itemsize
    return np.where(by < bits, x >> (by % bits), 0) if x.dtype.kind == "u" else None


def split(x, *, sizes, axis):
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def iota_2x32_shape(*, shape):
    count = np.arange(np.prod(shape, dtype=np.uint64), dtype=np.uint64).reshape(shape)
    return (count >> np.uint64(32)).astype(np.uint32), count.astype(np.uint32)


@np.errstate(over="ignore")
def threefry2x32(*words):
    """Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011): twenty rounds."""
    one, two, x, y = (word.astype(np.uint32) for word in np.broadcast_arrays(*words))
    keys = one, two, one ^ two ^ np.uint32(0x1BD11BDA)
    x, y = x + keys[0], y + keys[1]
    for group in range(5):
        for by in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x = x + y
            y = x ^ ((y << np.uint32(by)) | (y >> np.uint32(32 - by)))
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


RULES: dict[Any, Callable[..., np.ndarray | None]] = {
    lax.broadcast_in_dim_p: broadcast_in_dim,
    lax.reshape_p: reshape,
    lax.squeeze_p: squeeze,
    lax.transpose_p: transpose,
    lax.concatenate_p: concatenate,
    lax.slice_p: strided,
    lax.dynamic_slice_p: dynamic_slice,
    lax.select_n_p: select_n,
    lax.convert_element_type_p: convert_element_type,
    lax.iota_p: iota,
    lax.copy_p: unchanged,
    lax.dynamic_update_slice_p: dynamic_update_slice,
    lax.gather_p: gather,
    lax.rev_p: rev,
    lax.shift_right_logical_p: shift_right_logical,
    lax.integer_pow_p: integer_pow,
    lax.argmax_p: argument(np.argmax),
    lax.argmin_p: argument(np.argmin),
    lax.reduce_max_p: extreme(np.max),
    lax.reduce_min_p: extreme(np.min),
    lax.reduce_and_p: extreme(np.bitwise_and.reduce),
    lax.reduce_or_p: extreme(np.bitwise_or.reduce),
    lax.reduce_sum_p: reduce_sum,
    lax.add_p: elementwise(np.add, "iuf"),
    lax.sub_p: elementwise(np.subtract, "iuf"),
    lax.mul_p: elementwise(np.multiply),
    lax.div_p: elementwise(np.divide, "f"),
    lax.max_p: elementwise(np.maximum),
    lax.min_p: elementwise(np.minimum),
    lax.neg_p: elementwise(np.negative, "iuf"),
    lax.abs_p: elementwise(np.abs, "if"),
    lax.square_p: elementwise(np.square, "iuf"),
    lax.sqrt_p: elementwise(np.sqrt, "f"),
    lax.floor_p: elementwise(np.floor, "f"),
    lax.ceil_p: elementwise(np.ceil, "f"),
    lax.is_finite_p: elementwise(np.isfinite, "f"),
    lax.and_p: elementwise(np.bitwise_and, "biu"),
    lax.or_p: elementwise(np.bitwise_or, "biu"),
    lax.xor_p: elementwise(np.bitwise_xor, "biu"),
    lax.not_p: elementwise(np.bitwise_not, "biu"),
    lax.eq_p: elementwise(np.equal),
    lax.ne_p: elementwise(np.not_equal),
    lax.lt_p: elementwise(np.less),
    lax.le_p: elementwise(np.less_equal),
    lax.gt_p: elementwise(np.greater),
    lax.ge_p: elementwise(np.greater_equal),
    lax.clamp_p: elementwise(lambda low, x, high: np.minimum(np.maximum(x, low), high)),
}
RULES |= {  # newer ones
    getattr(lax_internal, name): rule
    for name, rule in {"stack_p": stack, "tile_p": tile}.items()
    if hasattr(lax_internal, name)
}
SEVERAL: dict[Any, Callable[..., Any]] = {  # results; only within functions of JAX
    getattr(module, name): rule
    for module, name, rule in (
        (lax_internal, "split_p", split),
        (prng, "iota_2x32_shape_p", iota_2x32_shape),
        (prng, "threefry2x32_p", threefry2x32),
    )
    if hasattr(module, name)
}


def install() -> None:
    """Replace what the primitives do with concrete arguments."""
    for primitive, rule in RULES.items():
        primitive.def_impl(functools.partial(_evaluate, primitive, rule, primitive.impl))
    put = functools.partial(_evaluate, lax_internal.stage_p, unchanged, lax_internal.stage_p.impl)
    lax_internal.stage_p.def_impl(lambda x: x if isinstance(x, jax.Array) else put(x))
    pjit._pjit_call_impl_python = functools.partial(_call, pjit._pjit_call_impl_python)


def _evaluate(primitive, rule, compiled, *args, **params):
    if all(map(_is_plain, args)) and jax.config.jax_default_device is None:
        aval = _result(primitive, tuple(map(core.typeof, args)), tuple(params.items()))
        if aval.sharding.mesh.empty and _is_number(aval.dtype):
            found = rule(*map(np.asarray, args), **params)
            if found is not None:
                return _placed(aval, np.array(found, aval.dtype, order="C"))
    return compiled(*args, **params)


FEW = 24  # operations of a function that is not compiled


def _call(compiled, *args, jaxpr, **params):
    """A function of JAX itself that consists of a few of these operations is not compiled."""
    if _is_few(jaxpr) and all(map(_is_plain, args)) and jax.config.jax_default_device is None:
        found = _interpret(jaxpr.jaxpr, args)
        if found is not None:
            placed = map(_placed, jaxpr.out_avals, map(np.array, found))
            return list(placed), None, None, []
    return compiled(*args, jaxpr=jaxpr, **params)


def _interpret(jaxpr, args):
    """What the operations of a function give; None if one of them is not done by numpy."""
    known = {v: np.asarray(x, v.aval.dtype) for v, x in zip(jaxpr.invars, args)}  # noqa: B905

    def read(v):
        return np.asarray(v.val, v.aval.dtype) if isinstance(v, core.Literal) else known[v]

    for eqn in jaxpr.eqns:
        inputs = map(read, eqn.invars)
        if eqn.primitive is pjit.jit_p:
            found = _interpret(eqn.params["jaxpr"].jaxpr, inputs)
        elif eqn.primitive in SEVERAL:
            found = SEVERAL[eqn.primitive](*inputs, **eqn.params)
        else:
            found = RULES[eqn.primitive](*inputs, **eqn.params)
            found = found if found is None else [found]
        if found is None:
            return None
        for v, x in zip(eqn.outvars, found):  # noqa: B905
            known[v] = np.array(x, v.aval.dtype, order="C")
    return [read(v) for v in jaxpr.outvars]


@weakref_lru_cache
def _is_few(jaxpr) -> bool:
    source = jaxpr.jaxpr.debug_info.func_src_info or ""
    return JAX in source and 0 < _operations(jaxpr) <= FEW


def _operations(jaxpr) -> float:
    """How many operations a function consists of; infinite if one of them has no rule here."""
    avals = [v.aval for v in (*jaxpr.jaxpr.invars, *jaxpr.jaxpr.outvars)]
    if jaxpr.consts or jaxpr.effects or not all(map(_is_here, avals)):
        return float("inf")
    return sum(
        _operations(eqn.params["jaxpr"]) if eqn.primitive is pjit.jit_p
        else 1 if eqn.primitive in (*RULES, *SEVERAL) and all(_is_here(v.aval) for v in eqn.outvars)
        else float("inf")
        for eqn in jaxpr.jaxpr.eqns
    )  # fmt: skip


def _is_here(aval) -> bool:
    return (
        isinstance(aval, core.ShapedArray) and aval.sharding.mesh.empty and _is_number(aval.dtype)
    )


@functools.cache
def _result(primitive, avals, params):
    return primitive.abstract_eval(*avals, **dict(params))[0]


def _is_number(dtype) -> bool:
    return not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)


def _is_plain(x) -> bool:
    if isinstance(x, jax.Array):
        return (
            not x.committed and _is_number(x.dtype) and not x.is_deleted()
            and x.sharding.device_set == _place().device_set
        )  # fmt: skip
    return type(x) in PLAIN[:3] or isinstance(x, PLAIN[3:])


@functools.cache
def _place():
    return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])


def _placed(aval, value):
    (device,) = _place().device_set
    return pxla.batched_device_put(aval, _place(), [value], [device], committed=False)
