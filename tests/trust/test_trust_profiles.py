"""Execution profiles: the same function, other roundings, and rows that do not depend on others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import checks
from jaxswarm.trust import profiles

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((12, 5)).astype(np.float32)
ROWS = {"x": RNG.standard_normal((9, 12)).astype(np.float32), "shift": np.arange(9, dtype=np.int32)}


def model(weights, rows):
    return {"y": jnp.tanh(rows["x"] @ weights), "twice": 2 * rows["shift"]}


@pytest.fixture(scope="module")
def outputs():
    names = ("float32", "batch 1", "batch 7", "op by op", "bfloat16", "float16", "2 devices")
    return {name: profiles.run(model, WEIGHTS, ROWS, name) for name in names}


@pytest.mark.parametrize("name", ["float32", "batch 1", "batch 7", "op by op", "2 devices"])
def test_float32_profiles_compute_the_same_up_to_rounding(outputs, name):
    found = outputs[name]
    np.testing.assert_allclose(found["y"], np.tanh(ROWS["x"] @ WEIGHTS), atol=2e-6)
    np.testing.assert_array_equal(found["twice"], 2 * ROWS["shift"])  # whole numbers stay


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_half_precision_computes_in_half_precision(outputs, name):
    found = outputs[name]["y"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, found.astype(jnp.dtype(name)).astype(np.float32))
    apart = np.abs(found - outputs["float32"]["y"]).max()
    assert 1e-4 < apart < (0.05 if name == "bfloat16" else 0.01)
    np.testing.assert_array_equal(outputs[name]["twice"], 2 * ROWS["shift"])


def test_equal_calls_give_equal_bits(outputs):
    again = profiles.run(model, WEIGHTS, ROWS, "float32")
    np.testing.assert_array_equal(again["y"], outputs["float32"]["y"])


def test_how_often_and_with_what_a_profile_calls():
    """Batches share one program; only "op by op" computes on concrete arrays."""
    calls = []

    def watched(weights, x):
        calls.append((x.shape[0], checks.is_traced(x)))
        return x

    x = np.zeros((9, 1), np.float32)
    profiles.run(watched, WEIGHTS, x, profiles.Profile("four", batch_size=4, padding=2))
    assert calls == [(6, True)]
    calls.clear()
    profiles.run(watched, WEIGHTS, x, profiles.Profile("eager", batch_size=4, compiled=False))
    assert calls == [(4, False)] * 3


def test_padding_repeats_the_last_row_and_is_dropped():
    seen = []

    def watched(weights, x):
        seen.append(np.asarray(x)[:, 0].tolist())
        return x

    x = np.arange(5.0)[:, None]
    profile = profiles.Profile("padded", batch_size=2, padding=1, compiled=False)
    found = profiles.run(watched, WEIGHTS, x, profile)
    assert seen == [[0, 1, 2], [2, 3, 4], [4, 4, 4]]
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_keys_are_inputs_like_others():
    keys = jax.random.split(jax.random.key(0), 3)

    def draw(weights, keys):
        return jax.vmap(jax.random.uniform)(keys)

    small = profiles.Profile("small", batch_size=2)
    np.testing.assert_array_equal(
        profiles.run(draw, WEIGHTS, keys, "float32"), profiles.run(draw, WEIGHTS, keys, small)
    )


def test_inert_profiles_are_left_out_on_cpus():
    found = profiles.available()
    assert next(iter(found)) == "float32"
    assert "2 devices" in found
    assert ("tensorfloat32" in found) == (jax.default_backend() != "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fn": 3}, "fn"),
        ({"fn": lambda weights, rows: jnp.sum(rows["x"])}, "fn: expected outputs"),
        ({"fn": lambda weights, rows: rows["x"][:2]}, "fn: expected outputs"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": {"x": np.zeros((2, 1)), "y": np.zeros((3, 1))}}, "inputs"),
        ({"inputs": np.zeros((0, 2))}, "inputs"),
        ({"inputs": 1.0}, "inputs"),
        ({"profile": "float8"}, "unknown profile"),
        ({"profile": None}, "profile"),
        ({"profile": profiles.Profile("p", dtype="int8")}, "unknown dtype"),
        ({"profile": profiles.Profile("p", batch_size=0)}, "batch_size"),
        ({"profile": profiles.Profile("p", padding=-1)}, "padding"),
        ({"profile": profiles.Profile("p", compiled=1)}, "compiled"),  # type: ignore[arg-type]
        ({"profile": profiles.Profile("p", num_devices=99)}, "num_devices"),
        ({"profile": profiles.Profile("p", matmul_precision="int8")}, "matmul_precision"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"fn": model, "params": WEIGHTS, "inputs": ROWS, "profile": "float32"}
    with pytest.raises(ValueError, match=message):
        profiles.run(**(good | change))
