"""States are updated in place, memory is linear in N, chunks bound activations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, gossip, learning, topology
from jaxswarm._rollout import chunk_program

D, H, B = 20, 30, 64


def loss(params, batch):
    hidden = jnp.tanh(batch @ params["w"])
    return jnp.mean(jnp.square(hidden @ params["v"]))


def learner(n, **options):
    return learning.decentralized(
        loss,
        local=optax.adam(0.01),
        gossip=gossip.averaging(gossip.mixing(topology.ring(n))),
        **options,
    )


def problem(n):
    keys = agents.keys(jax.random.key(0), n)
    normal = lambda shape: jax.vmap(lambda k: jax.random.normal(k, shape))(keys)  # noqa: E731
    return {"w": normal((D, H)), "v": normal((H,))}, normal((B, D))


def compiled(n, **options):
    """The donated step and the bytes of its state."""
    swarm = learner(n, **options)
    params, batch = problem(n)
    state = swarm.init(params)
    step = jax.jit(swarm.step, donate_argnums=1).lower(jax.random.key(0), state, batch).compile()
    return step.memory_analysis(), sum(x.nbytes for x in jax.tree.leaves(state))


def test_the_whole_state_of_a_learner_is_updated_in_place():
    memory, size = compiled(16)
    assert memory.alias_size_in_bytes == size  # parameters, adam's moments, counters
    grown = memory.output_size_in_bytes - memory.alias_size_in_bytes
    assert grown < 16 * 100  # the losses and the traffic of a round, no second state


def test_a_simulation_holds_one_state():
    swarm = learner(16)
    params, batch = problem(16)
    state = swarm.init(params)
    size = sum(x.nbytes for x in jax.tree.leaves(state))
    program = chunk_program(swarm.step, None, 1, 4, None)
    zero = np.int32(0)
    memory = program.lower(state, jax.random.key(0), batch, zero, zero).compile().memory_analysis()
    assert memory.alias_size_in_bytes == size
    assert memory.output_size_in_bytes < size + 4 * 16 * 100


def test_memory_is_linear_in_the_agents():
    few, many = (compiled(n)[0].temp_size_in_bytes / n for n in (64, 256))
    assert many < 1.05 * few


def test_chunks_bound_activations_and_change_nothing():
    whole, _ = compiled(64)
    parts, _ = compiled(64, chunk=8)
    activations = 64 * B * H * 4
    assert parts.temp_size_in_bytes < whole.temp_size_in_bytes - activations
    params, batch = problem(64)
    step = jax.jit(learner(64).step)
    expected, info = step(jax.random.key(0), learner(64).init(params), batch)
    for chunk in (1, 24, 64, 100):  # 24 leaves a remainder
        swarm = learner(64, chunk=chunk)
        found, found_info = jax.jit(swarm.step)(jax.random.key(0), swarm.init(params), batch)
        np.testing.assert_allclose(found_info.loss, info.loss, rtol=1e-5)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_bad_chunks_are_named():
    with pytest.raises(ValueError, match="chunk: expected a whole number of at least 1, got 0"):
        learner(4, chunk=0)
