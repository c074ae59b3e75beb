"""Operations outside of compiled functions that only move data are done by numpy.

JAX compiles a program for every operation and shape outside of ``jax.jit``: twenty milliseconds,
thousands of times in the tests, a third of them for zeros, slices and reshapes, whose results numpy
gives to the bit. Compiled functions are left alone, and so is everything that is sharded, committed
to a device, traced, or calculates. ``make test-slow`` runs without this.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax._src import core
from jax._src.interpreters import pxla
from jax._src.lax.lax import stage_p

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
    exact = kinds[0] == "b" or kinds in (("i", "i"), ("i", "f"), ("f", "f"), ("u", "u"), ("i", "b"))
    return x.astype(new_dtype) if exact and sharding is None else None


def iota(*, dtype, shape, dimension, sharding):
    line = np.arange(shape[dimension]).astype(dtype)
    wide = [-1 if axis == dimension else 1 for axis in range(len(shape))]
    return np.broadcast_to(line.reshape(wide), shape) if sharding is None else None


def unchanged(x):
    return x


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
}


def install() -> None:
    """Replace what the primitives do with concrete arguments."""
    for primitive, rule in RULES.items():
        primitive.def_impl(functools.partial(_evaluate, primitive, rule, primitive.impl))
    put = functools.partial(_evaluate, stage_p, unchanged, stage_p.impl)
    stage_p.def_impl(lambda x: x if isinstance(x, jax.Array) else put(x))


def _evaluate(primitive, rule, compiled, *args, **params):
    if all(map(_is_plain, args)) and jax.config.jax_default_device is None:
        aval = _result(primitive, tuple(map(core.typeof, args)), tuple(params.items()))
        if aval.sharding.mesh.empty and _is_number(aval.dtype):
            found = rule(*map(np.asarray, args), **params)
            if found is not None:
                return _placed(aval, np.array(found, aval.dtype, order="C"))
    return compiled(*args, **params)


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
