"""Optimizer states of many agents: independent noise, and nothing else changed."""

import re
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxswarm
from jaxswarm import agents, data, envs, gossip, learning, models, rl, topology
from jaxswarm._optimizers import independent_keys, init_per_agent
from jaxswarm.learning import matching
from jaxswarm.systems import bristle, disrupted, modest

N = 16
GRAPH = topology.ring(N)
W = gossip.mixing(GRAPH)
KEY = jax.random.key(0)
NOISY = {
    "noisy_sgd": optax.noisy_sgd(0.1, eta=1.0, gamma=0.0, key=0),
    "add_noise": optax.chain(optax.add_noise(1.0, 0.0, key=jax.random.key(3)), optax.adam(0.1)),
    "dpsgd": optax.contrib.differentially_private_aggregate(1.0, 1.0, key=1),
}
PLAIN = {
    "sgd": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adamw(0.1),
    "adafactor": optax.adafactor(0.1),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.rmsprop(0.1)),
    "injected": optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
}
PARAMS = {"w": jnp.ones((N, 3, 2)), "b": jnp.zeros((N, 2))}


def key_leaves(tree):
    leaves = jax.tree.leaves(tree)
    return [x for x in leaves if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]


def assert_distinct_keys(state, n=N):
    found = key_leaves(state)
    assert found
    for leaf in found:
        assert leaf.shape[0] == n
        assert len(np.unique(np.asarray(jax.random.key_data(leaf)), axis=0)) == n


@pytest.mark.parametrize("name", NOISY)
def test_every_agent_has_a_key_of_its_own(name):
    assert_distinct_keys(init_per_agent(NOISY[name], PARAMS))


@pytest.mark.parametrize("name", NOISY)
def test_a_key_depends_on_the_agents_id_alone(name):
    few = jax.tree.map(lambda x: x[:4], PARAMS)
    all_keys = key_leaves(init_per_agent(NOISY[name], PARAMS))
    shared = key_leaves(init_per_agent(NOISY[name], few, jnp.arange(4) + 4))
    for whole, part in zip(all_keys, shared, strict=True):
        np.testing.assert_array_equal(jax.random.key_data(whole[4:8]), jax.random.key_data(part))


@pytest.mark.parametrize("name", NOISY)
def test_a_state_that_is_initialised_in_every_round_has_other_keys_in_each(name):
    rounds = [init_per_agent(NOISY[name], PARAMS, index=jnp.int32(i)) for i in range(2)]
    for one, other in zip(*map(key_leaves, rounds), strict=True):
        assert (jax.random.key_data(one) != jax.random.key_data(other)).any(axis=-1).all()


@pytest.mark.parametrize("name", PLAIN)
def test_states_without_keys_are_those_of_vmap(name):
    expected = jax.vmap(PLAIN[name].init)(PARAMS)
    found = init_per_agent(PLAIN[name], PARAMS)
    assert jax.tree.structure(expected) == jax.tree.structure(found)
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


class Legacy(NamedTuple):
    rng_key: jax.Array
    seeds: jax.Array


def test_legacy_keys_are_found_by_the_name_of_their_field():
    pair = jnp.zeros((N, 2), jnp.uint32)
    state = independent_keys(Legacy(pair, pair), jnp.arange(N))
    assert len(np.unique(np.asarray(state.rng_key), axis=0)) == N
    np.testing.assert_array_equal(state.seeds, pair)


def test_no_optimizer_is_initialised_by_vmap_alone():
    root = Path(jaxswarm.__file__).parent
    pattern = re.compile(r"vmap\(\s*[\w.]*(local|opt|optimizer)\.init\b")
    found = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path.name != "_optimizers.py" and pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert not found


def target_loss(params, target):
    return 0.0 * jnp.sum(params * target)


VECTORS = {
    "decentralized": lambda **k: learning.decentralized(target_loss, gossip=gossip.identity(), **k),
    "dpsgd": lambda **k: learning.dpsgd(target_loss, W, **k),
    "local_sgd": lambda **k: learning.local_sgd(target_loss, W, local_steps=1, **k),
    "fedavg": lambda **k: learning.fedavg(target_loss, local_steps=1, **k),
    "isolated": lambda **k: learning.isolated(target_loss, **k),
    "gradient_tracking": lambda **k: learning.gradient_tracking(
        target_loss, gossip=gossip.averaging(W), **k
    ),
    "exact_diffusion": lambda **k: learning.exact_diffusion(
        target_loss, gossip=gossip.averaging(W), **k
    ),
    "d2": lambda **k: learning.d2(target_loss, gossip=gossip.averaging(W), **k),
    "cross_gradient": lambda **k: learning.cross_gradient(target_loss, GRAPH, iterations=2, **k),
    "decavg": lambda **k: disrupted.decavg(target_loss, disrupted.decavg_mixing(GRAPH), **k),
    "bristle": lambda **k: bristle.bristle(
        bristle.performance_based(GRAPH), sample=data.full_batches(), **k
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_learners_draw_noise_for_each_agent(name):
    params = jnp.zeros((N, 3, 2)) if name == "bristle" else jnp.zeros((N, 3))
    state = VECTORS[name](local=NOISY["noisy_sgd"]).init(params)
    assert_distinct_keys(state.opt_state)


def test_noise_alone_spreads_the_agents():
    learner = VECTORS["isolated"](local=NOISY["noisy_sgd"])
    state = learner.init(jnp.zeros((64, 3)))
    for i in range(3):
        state, _ = learner.step(jax.random.key(i), state, jnp.ones((64, 3)))
    one = float(jnp.abs(state.params[0]).mean())
    assert (np.asarray(state.params.std(axis=0)) > 0.3 * one).all()


def test_merge_and_train_draws_noise_for_each_agent_and_round():
    model = models.functional(models.mlp(4, 3), jnp.zeros((1, 4)))
    learner = matching.merge_and_train(
        learning.classification_loss(model),
        model=model,
        local=NOISY["noisy_sgd"],
        gossip=gossip.averaging(W),
        local_steps=1,
    )
    state = learner.init(agents.initialize(KEY, model.init, N))
    batch = data.Batch(jnp.ones((N, 5, 4)), jnp.zeros((N, 5), jnp.int32), jnp.ones((N, 5)))
    before = state
    for index in range(2):
        state, _ = jax.jit(learner.step)(jax.random.key(index), state, batch)
        assert_distinct_keys(state.opt_state)
        old, new = key_leaves(before.opt_state)[0], key_leaves(state.opt_state)[0]
        assert (jax.random.key_data(old) != jax.random.key_data(new)).any(axis=-1).all()
        before = state


@pytest.mark.parametrize("factory", [modest.modest, modest.federated])
@pytest.mark.slow
def test_trainers_of_a_sample_draw_noise_of_their_own_in_each_round(factory):
    """Models of noise alone: the average of s trainers is √s closer to 0 than one of them."""
    n = 8
    shards = data.stacked(np.ones((n, 2, 1), np.float32), np.zeros((n, 2), np.int32))
    local = optax.noisy_sgd(1.0, eta=1.0, gamma=0.0, key=0)
    learner = factory(
        lambda x, batch: 0.0 * jnp.sum(x) * jnp.sum(batch.x),
        n,
        local=local,
        sample_size=8,
        sample=data.full_batches(),
    )
    state = learner.init(jnp.zeros(4000))
    moved = []
    for index in range(2):
        before = state
        state, _ = jax.jit(learner.step)(
            jax.random.key(index), state, (shards, modest.always_online(2, n))
        )
        name = "aggregates" if factory is modest.modest else "model"
        moved.append(np.asarray(getattr(state, name)[0] - getattr(before, name)[0]))
    assert np.abs(moved[0].std() - 8**-0.5) < 0.05
    assert np.abs(np.corrcoef(moved)[0, 1]) < 0.1


@pytest.mark.slow
def test_independent_reinforcement_learners_draw_noise_of_their_own():
    env, local = envs.SimpleSpread(3), NOISY["add_noise"]
    network = rl.network_for(env, widths=(8,))
    learner = rl.ippo(env, network, num_envs=2, num_steps=4, optimizer=local)
    params = rl.initialize(KEY, network, 3, shared=False)
    assert_distinct_keys(jax.jit(learner.init)(params, KEY).opt_state, 3)
    critics = rl.q_network_for(env, widths=(8,))
    learner = rl.sac(
        env,
        critics,
        num_envs=2,
        batch_size=2,
        capacity=64,
        warm_up=4,
        shared=False,
        optimizer=local,
    )
    params = rl.initialize(KEY, critics, 3, shared=False)
    assert_distinct_keys(jax.jit(learner.init)(params, KEY).learner.opt_state, 3)
