"""bfloat16 messages and parameters: bytes halve, sums stay exact enough, a mesh agrees."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, sharding, topology

N, P, ROUNDS = 16, 40, 100
BF16 = 2.0**-8  # relative error of rounding to bfloat16
W = gossip.mixing(topology.torus(4, 4))
BF16_MESSAGES = gossip.compressed(gossip.averaging(W), gossip.cast(), error_feedback=False)


def start(key, dtype=jnp.float32):
    return jax.random.normal(key, (N, P)).astype(dtype)


def after(rule, x, rounds=ROUNDS):
    def body(carry, index):
        x, state = carry
        x, state, traffic = jax.jit(rule.mix)(jax.random.key(0), x, state, gossip.Exchange(index))
        return (x, state), traffic.bytes

    go = jax.jit(lambda x: jax.lax.scan(body, (x, rule.init(x)), jnp.arange(rounds)))
    (x, _), sent = go(x)
    return x, np.asarray(sent)


def test_messages_in_bfloat16_are_half_the_bytes_and_keep_the_average(key):
    x = start(key)
    wide, full = after(gossip.averaging(W), x)
    narrow, half = after(BF16_MESSAGES, x)
    assert narrow.dtype == jnp.float32
    np.testing.assert_array_equal(2 * half, full)
    # Roundings enter as W C(x) − C(x), which sums to nothing: float32 accuracy, any round count.
    np.testing.assert_allclose(agents.mean(narrow), agents.mean(x), atol=5e-6)
    # Agents agree up to the rounding of a message.
    largest = float(jnp.max(jnp.abs(narrow)))
    assert float(agents.disagreement(wide)) < float(agents.disagreement(narrow))
    assert float(agents.disagreement(narrow)) < P * (2 * BF16 * largest) ** 2


def test_error_feedback_makes_bfloat16_messages_exact(key):
    x = start(key)
    exact, half = after(gossip.compressed(gossip.averaging(W), gossip.cast()), x)
    assert float(agents.disagreement(exact)) < 1e-6
    np.testing.assert_allclose(agents.mean(exact), agents.mean(x), atol=5e-6)
    assert half[0] == 2.0 * P * 4 * N


def test_parameters_in_bfloat16_are_summed_in_float32(key):
    x = start(key, jnp.bfloat16)
    mixed = gossip.mix(W, x)
    assert mixed.dtype == jnp.bfloat16
    exact = np.asarray(W.dense(), np.float64) @ np.asarray(x, np.float64)
    rounding = BF16 * np.abs(exact) + 1e-6  # one rounding, at the end
    assert (np.abs(np.asarray(mixed, np.float64) - exact) <= rounding).all()
    many, sent = after(gossip.averaging(W), x)
    assert sent[0] == 2.0 * P * 4 * N
    drift = np.abs(np.asarray(many, np.float64).mean(0) - np.asarray(x, np.float64).mean(0))
    assert drift.max() < ROUNDS**0.5 * BF16  # a random walk of roundings of entries below one


@pytest.mark.parametrize("layout", ["circulant", "gather"])
def test_a_mesh_sends_bfloat16_and_mixes_alike(layout, key):
    ring = gossip.mixing(topology.ring(N), layout=layout)
    mesh = sharding.mesh(8)
    plain, sharded = (
        gossip.compressed(gossip.averaging(V), gossip.cast(), error_feedback=False)
        for V in (ring, sharding.shard(ring, mesh))
    )

    def once(rule):
        return jax.jit(lambda x: rule.mix(key, x, rule.init(x), gossip.Exchange(0))[0])

    x = start(key)
    placed = sharding.shard(x, mesh)
    chex.assert_trees_all_close(once(sharded)(placed), once(plain)(x), atol=1e-6)
    moved = sharding.moved_bytes(once(sharded).lower(placed).compile())
    assert moved == {"collective-permute": 2 * P * 2}
    narrow = gossip.mix(sharding.shard(ring, mesh), placed.astype(jnp.bfloat16))
    assert narrow.dtype == jnp.bfloat16
    expected = gossip.mix(ring, x.astype(jnp.bfloat16)).astype(jnp.float32)
    np.testing.assert_allclose(narrow.astype(jnp.float32), expected, rtol=2 * BF16, atol=1e-6)


def test_gradients_pass_through_bfloat16_messages_between_devices(key):
    ring = gossip.mixing(topology.ring(N))

    def energy(W, x):
        rule = gossip.compressed(gossip.averaging(W), gossip.cast(), error_feedback=False)
        return jnp.sum(jnp.square(rule.mix(key, x, rule.init(x), gossip.Exchange(0))[0]))

    x = start(key)
    gradient = jax.jit(jax.grad(energy, argnums=1))
    sharded = gradient(sharding.shard(ring, sharding.mesh(4)), x)
    chex.assert_trees_all_close(sharded, gradient(ring, x), atol=0.05)
    assert float(jnp.abs(sharded).max()) > 0.5
