"""Laws of agents that fine-tune by themselves and gossip parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, generative, gossip, network, rollout, topology
from jaxswarm.gossip import Exchange
from jaxswarm.models import flow
from tests.later import Later

N = 4
MODEL = Later(lambda: flow.from_network(flow.MLP(width=4, depth=1), (2,)))
PARAMS = Later(lambda: agents.initialize(jax.random.key(1), MODEL.value.init, N, shared=True))
REQUESTS = Later(lambda: generative.Request(context=jnp.eye(N, 2) + 0.1))
KEY = jax.random.key(0)
W = Later(lambda: gossip.mixing(topology.complete(N)))


def towards(x, direction):
    return x @ direction


ONE = Later(lambda: generative.ac_flow(MODEL.value, towards, warm_up=0, batch_size=8, num_steps=2))


AVERAGED = Later(lambda: generative.decentralized(ONE.value, gossip.averaging(W.value)))
START = Later(lambda: jax.jit(AVERAGED.value.init)(PARAMS.value, jax.random.key(2), REQUESTS.value))


def run(learner, steps=2):
    return jax.jit(lambda s: rollout(learner.step, s, steps, key=KEY, inputs=REQUESTS.value))(
        START.value
    )


def differ(tree, i, j):
    return any(bool((leaf[i] != leaf[j]).any()) for leaf in jax.tree.leaves(tree))


@pytest.mark.slow
def test_isolated_agents_are_runs_of_one_agent():
    state, _ = run(generative.decentralized(ONE.value, gossip.identity()), 1)
    train_key, _, _ = jax.random.split(jax.random.fold_in(KEY, 0), 3)
    alone = jax.tree.map(lambda leaf: leaf[2], (PARAMS.value, REQUESTS.value))
    start = jax.jit(ONE.value.init)(alone[0], agents.keys(jax.random.key(2), N)[2], alone[1])
    after, _ = jax.jit(ONE.value.step)(agents.keys(train_key, N)[2], start, alone[1])
    for a, b in zip(
        jax.tree.leaves(after), jax.tree.leaves(jax.tree.map(lambda x: x[2], state.agents)),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert differ(state.params, 0, 1)


@pytest.mark.slow
def test_the_complete_graph_agrees_on_parameters_and_on_nothing_else():
    state, info = run(AVERAGED.value)
    assert float(agents.disagreement(state.params)) < 1e-10
    assert differ(state.agents.critic, 0, 1)
    assert differ(state.agents.statistics, 0, 1)
    assert float(info.info.traffic.messages[-1]) == N * (N - 1)
    assert float(state.traffic.total.messages) == 2 * N * (N - 1)


def test_absent_agents_keep_their_states_and_change_nothing():
    def absent(key, state, index):
        return (), Exchange(index, alive=jnp.arange(N) != 3)

    process = network.Network(lambda: (), absent)
    learner = generative.decentralized(ONE.value, gossip.averaging(W.value), network=process)
    start = START.value
    poison = jax.tree.map(
        lambda leaf: leaf.at[3].set(jnp.nan) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf,
        start.agents,
    )
    step = jax.jit(learner.step)
    clean, _ = step(KEY, start, REQUESTS.value)
    dirty, _ = step(KEY, start._replace(agents=poison), REQUESTS.value)
    for before, after in zip(
        jax.tree.leaves(start.agents), jax.tree.leaves(clean.agents), strict=True
    ):
        np.testing.assert_array_equal(before[3], after[3])
    for a, b in zip(jax.tree.leaves(clean.agents), jax.tree.leaves(dirty.agents), strict=True):
        np.testing.assert_array_equal(a[:3], b[:3])


def test_noise_of_optimizers_is_independent():
    noisy = optax.chain(optax.add_noise(1e-3, 0.5, key=0), optax.adam(1e-3))
    one = generative.orw_cfm(MODEL.value, towards, optimizer=noisy, batch_size=8, num_steps=2)
    learner = generative.decentralized(one, gossip.identity())
    state = jax.jit(learner.init)(PARAMS.value, jax.random.key(2), REQUESTS.value)
    keys = jax.random.key_data(state.agents.opt_state[0].rng_key)
    assert len({tuple(key.tolist()) for key in keys}) == N


@pytest.mark.slow
def test_any_learner_with_parameters_can_gossip():
    from jaxswarm.algorithm import Algorithm
    from jaxswarm.data import Batch

    trainer = generative.flow_matching(MODEL.value, optax.adam(1e-2))
    one = Algorithm(lambda params, key, inputs: trainer.init(params), trainer.step)
    learner = generative.decentralized(one, gossip.averaging(W.value))
    x = jax.random.normal(KEY, (N, 6, 2))
    batches = Batch(x, jnp.zeros((N, 6), jnp.int32), jnp.ones((N, 6)))
    state = learner.init(PARAMS.value, KEY, batches)
    state, _ = jax.jit(learner.step)(KEY, state, batches)
    assert float(agents.disagreement(state.params)) < 1e-10
    with pytest.raises(ValueError, match="algorithm: expected a state with a field params"):
        generative.decentralized(
            Algorithm(lambda params, key, inputs: {"w": params}, trainer.step), gossip.identity()
        ).init(PARAMS.value, KEY)
