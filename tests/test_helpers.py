"""Helpers of the tests: numpy gives what programs give; tables are built late."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax._src import dispatch, pjit

from tests import eager
from tests.later import Later, built

KEY = jax.random.key(7)
X = np.arange(12, dtype=np.float32).reshape(3, 4)


def moved(x, index):
    """Results of every rule of ``eager``, with several types and without elements."""
    return {
        "filled": (jnp.zeros((2, 3), jnp.bfloat16), jnp.full((2,), jnp.nan), jnp.ones((0, 3))),
        "weak": jnp.asarray(2.5),
        "rows": (x[index], x[-1], x[:, 1:3], x[::2, ::-1], x[2, 3]),
        "beyond the end": lax.dynamic_slice(x, (index + 5, 3), (2, 2)),
        "shapes": (x.T, x.ravel(), x[None, ..., None], jnp.squeeze(x[:1]), jnp.moveaxis(x, 0, 1)),
        "joined": (jnp.stack([x, x]), jnp.concatenate([x, x], axis=1), jnp.tile(x, (2, 1))),
        "wide": jnp.broadcast_to(x[0], (5, 4)),
        "types": tuple(x.astype(t) for t in (jnp.float16, jnp.int32, bool, jnp.complex64)),
        "wrapped": (index + 300).astype(jnp.uint8),
        "lines": (jnp.arange(5), lax.broadcasted_iota(jnp.float32, (2, 3), 1), jnp.eye(3)),
        "chosen": lax.select(x > 2, x, -x),
        "copied": jnp.array(x),
        "read": (
            x[jnp.array([2, -1])],
            x[jnp.array([0, 1]), index],
            jnp.take(x, index + 1, axis=0),
        ),
        "beyond the last row": jnp.take(x, jnp.array([1, 7]), axis=0),
        "written": (x.at[1].set(0.0), lax.dynamic_update_slice(x, x[:2, :2], (index, index + 3))),
        "keys": jax.random.key_data(jax.random.split(jax.random.key(0), 3)[1:]),
    }


def test_numpy_moves_data_as_compiled_programs_do(monkeypatch):
    calls = []
    placed = eager._placed
    monkeypatch.setattr(eager, "_placed", lambda *args: calls.append(0) or placed(*args))
    found = moved(jnp.asarray(X), jnp.int32(1))
    if not calls:
        pytest.skip("every operation is compiled, as in make test-slow")
    wanted = jax.jit(moved)(jnp.asarray(X), jnp.int32(1))
    for (path, one), two in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(wanted), strict=True
    ):
        name = jax.tree_util.keystr(path)
        assert one.aval == two.aval, name
        assert (one.weak_type, one.committed) == (two.weak_type, two.committed), name
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two), err_msg=name)


def calculated(x, y, whole):
    """Results of operations that are rounded once, of extremes, and of functions of a few."""
    yes = x > y
    return {
        "arithmetic": (x + y, x - 1, 2 * x, x / y, 1 / y, -x, abs(x), x**2, jnp.sqrt(abs(x))),
        "whole": (whole + 1, whole * whole, whole * 2**30, abs(whole), x * whole),
        "compared": (x < y, x <= 0, x == y, x != x, x >= y),
        "bits": (~yes, yes & (whole > 1), yes | yes, whole ^ 3),
        "limited": (jnp.maximum(x, y), jnp.minimum(x, 1), jnp.clip(x, -1, 1)),
        "rounded": (jnp.floor(x), jnp.ceil(x)),
        "extreme": (x.max(), x.min(1), whole.max(0), yes.any(), yes.all(1)),
        "counted": (whole.sum(), yes.sum(0), jnp.argmax(x, 1), whole.argmin()),
        "keys": jax.random.key_data(jax.random.split(jax.random.fold_in(KEY, whole[0, 0]), (2, 3))),
        "many keys": jax.random.key_data(jax.vmap(lambda i: jax.random.fold_in(KEY, i))(whole[1])),
        "functions": (jnp.where(yes, x, 0), jnp.isfinite(x), jnp.isnan(x), jnp.diag(y)),
    }


def test_numpy_calculates_as_single_operations_do_to_the_bit(monkeypatch):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    y = x[::-1].copy()
    x[0, :3], y[2] = (np.nan, np.inf, -np.inf), 0.0
    arguments = jnp.asarray(x), jnp.asarray(y), jnp.arange(-6, 6).reshape(3, 4)
    call = pjit._pjit_call_impl_python
    if not isinstance(call, functools.partial):
        pytest.skip("every operation is compiled, as in make test-slow")
    found = calculated(*arguments)
    compiled = []
    for primitive in eager.RULES:
        one_program = functools.partial(dispatch.apply_primitive, primitive)
        monkeypatch.setattr(primitive, "impl", one_program)
    monkeypatch.setattr(
        pjit,
        "_pjit_call_impl_python",
        lambda *args, **params: compiled.append(0) or call.args[0](*args, **params),
    )
    wanted = calculated(*arguments)
    assert len(compiled) > 30
    for (path, one), two in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(wanted), strict=True
    ):
        name = jax.tree_util.keystr(path)
        assert (one.aval, one.weak_type) == (two.aval, two.weak_type), name
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two), err_msg=name)


def test_what_is_placed_on_devices_stays_there():
    mesh = jax.make_mesh((4,), ("agents",))
    spread = jax.device_put(X[:, :, None].repeat(4, 2).T, jax.NamedSharding(mesh, jax.P("agents")))
    assert len(spread[:, 0].sharding.device_set) == 4
    second = jax.device_put(X, jax.devices()[1])
    assert second[0].devices() == {jax.devices()[1]}


def test_results_do_not_follow_the_array_that_they_were_made_of():
    array = X.copy()
    held = jnp.asarray(array)
    array[:] = 7.0
    np.testing.assert_array_equal(held, X)


def test_later_values_are_built_once_and_when_needed():
    calls = []
    value = Later(lambda: calls.append(0) or {"a": 1})
    table = {"call": (value.get, [Later(len, value)]), "other": 3}
    assert not calls
    call, (length,) = built(table)["call"]
    assert (call("a"), length, len(calls)) == (1, 1, 1)


def test_later_values_may_be_needed_first_in_a_traced_function():
    ones = Later(jnp.ones, 3)
    np.testing.assert_array_equal(jax.jit(lambda x: x + ones.value)(jnp.zeros(3)), 1.0)
    np.testing.assert_array_equal(ones.value, 1.0)  # no tracer was kept
