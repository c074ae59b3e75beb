"""A sweep equals the loop it replaces, compiles once, and picks groups that fit."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, rollout, sweep, topology
from jaxswarm._sweep import automatic, largest_result

N, ROUNDS = 6, 4
GRAPHS = [topology.random_regular(N, 3, seed=seed) for seed in range(3)]


@functools.cache
def operators():
    return gossip.mixing(topology.stack(GRAPHS), layout="gather")


def noisy_gossip(W, key, noise):
    """Averaging with noise; the final values and the disagreement after every round."""

    def step(key, x, _):
        x = gossip.mix(W, x) + noise * jax.random.normal(key, x.shape)
        return x, agents.disagreement(x)

    start = jnp.linspace(0.0, 1.0, N * 5).reshape(N, 5)
    return rollout(step, start, ROUNDS, key=key)


@pytest.mark.parametrize("at_once", [None, 1, 4, 100])
def test_every_combination_is_what_a_loop_gives(at_once):
    chex.clear_trace_counter()
    keys = jax.random.split(jax.random.key(0), 2)
    noise = {"size": jnp.array([0.0, 0.1])}

    def run(W, key, noise):
        return noisy_gossip(W, key, noise["size"])

    @jax.jit
    @chex.assert_max_traces(n=1)
    def swept(W, keys, noise):
        return sweep(run, W, keys, noise, at_once=at_once)

    found, records = swept(operators(), keys, noise)
    swept(operators(), keys, noise)
    assert found.shape == (3, 2, 2, N, 5)
    assert records.info.shape == (3, 2, 2, ROUNDS)
    single = jax.jit(run)
    for t, s, size in np.ndindex(3, 2, 2):
        expected, _ = single(operators()[t], keys[s], {"size": noise["size"][size]})
        np.testing.assert_allclose(found[t, s, size], expected, atol=1e-6)


def test_groups_fit_the_cache_and_divide_the_whole_if_they_can():
    def copies(size):
        return lambda i: jnp.zeros(size // 4) + i

    assert largest_result(copies(400), jnp.float32(0)) == 400
    assert automatic(copies(400), jnp.float32(0), 12) == 12
    assert automatic(copies(1_000_000), jnp.float32(0), 12) == 4  # 5 fit, 4 divide
    assert automatic(copies(1_000_000), jnp.float32(0), 7) == 5  # 1 divides, too few
    assert automatic(copies(10**8), jnp.float32(0), 12) == 1


def test_the_state_of_a_rollout_is_its_largest_result():
    bytes_of_state = N * 5 * 4
    found = largest_result(noisy_gossip, operators()[0], jax.random.key(0), jnp.float32(0.1))
    assert bytes_of_state <= found <= 2 * bytes_of_state + 100  # state, record, key words


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="axes: expected at least one axis"):
        sweep(lambda: 1)
    with pytest.raises(ValueError, match=r"axes\[1\]: expected leaves .* got \[\(2,\), \(3,\)\]"):
        sweep(lambda a, b: a, jnp.zeros(2), (jnp.zeros(2), jnp.zeros(3)))
    with pytest.raises(ValueError, match=r"axes\[0\].* got \[\(0,\)\]"):
        sweep(lambda a: a, jnp.zeros(0))
    with pytest.raises(ValueError, match=r"axes\[0\].* got \[\(\)\]"):
        sweep(lambda a: a, 1.0)
    with pytest.raises(ValueError, match="at_once: expected a whole number of at least 1, got 0"):
        sweep(lambda a: a, jnp.zeros(2), at_once=0)


@pytest.mark.parametrize("at_once", [2.5, float("nan"), True, "all", -1])
def test_bad_group_sizes_are_named(at_once):
    with pytest.raises(ValueError, match="at_once: expected a whole number of at least 1"):
        sweep(lambda a: a, jnp.zeros(2), at_once=at_once)


@pytest.mark.parametrize("axis", ["abc", {"a": object()}, [None, "x"], None, [1.0, 2.0]])
def test_axes_without_arrays_are_named(axis):
    with pytest.raises(ValueError, match=r"axes\[1\]: expected"):
        sweep(lambda a, b: a, jnp.zeros(2), axis)


@pytest.mark.parametrize("run", [None, 3, "run"])
def test_what_is_no_function_is_named(run):
    with pytest.raises(ValueError, match="run: expected a function"):
        sweep(run, jnp.zeros(2))
