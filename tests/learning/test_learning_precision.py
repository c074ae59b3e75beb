"""Narrow numbers, sent, stored or computed with, learn as float32 does."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, gossip, learning, models, rollout, topology

N, ROUNDS = 16, 200
W = gossip.mixing(topology.exponential(N))
RULES = {
    "wide": gossip.averaging(W),
    "sent": gossip.compressed(gossip.averaging(W), gossip.cast(), error_feedback=False),
}


@functools.cache
def task():
    split = data.load("digits")
    model = models.functional(models.mlp(32, 10), split.train.features[:1])
    dealt = data.dirichlet_over_agents(split.train.labels, N, alpha=0.5)
    return model, data.shards(split.train, dealt), learning.evaluation(model, split.test)


@functools.cache
def learned(rule, dtype, mixed=False):
    model, shards, evaluate = task()
    loss = learning.classification_loss(model)
    learner = learning.decentralized(
        learning.mixed_precision(loss) if mixed else loss,
        local=optax.sgd(0.1),
        gossip=RULES[rule],
        sample=data.minibatches(16),
    )
    params = agents.initialize(jax.random.key(0), model.init, N, shared=True)
    start = learner.init(jax.tree.map(lambda x: x.astype(dtype), params))
    key = jax.random.key(1)
    state, records = jax.jit(
        lambda s: rollout(learner.step, s, ROUNDS, key=key, inputs=shards, every=ROUNDS)
    )(start)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, start)
    assert records.info.loss.dtype == jnp.float32
    return evaluate(state)


@pytest.mark.parametrize(
    ("rule", "dtype", "mixed", "share"),
    [
        ("sent", "float32", False, 0.5),
        ("wide", "bfloat16", False, 0.5),
        ("wide", "float32", True, 1.0),
    ],
    ids=["sent", "stored", "computed"],
)
@pytest.mark.slow
def test_learning_reaches_the_accuracy_of_float32(rule, dtype, mixed, share):
    wide, narrow = learned("wide", "float32"), learned(rule, dtype, mixed)
    assert float(wide.accuracy.mean()) > 0.88
    assert float(narrow.accuracy.mean()) > float(wide.accuracy.mean()) - 0.015
    np.testing.assert_allclose(narrow.megabytes, share * wide.megabytes, rtol=1e-6)


def test_mixed_precision_rounds_inside_only():
    seen = []

    def loss(params, state, batch, key):
        seen.append((params.dtype, state.dtype, batch["x"].dtype, batch["label"].dtype))
        return jnp.sum(params * batch["x"]), state + batch["x"]

    narrowed = learning.mixed_precision(loss)
    params, state = jnp.array([1.0, 1 / 3]), jnp.zeros(2)
    batch = {"x": jnp.array([1.0, 2.0]), "label": jnp.array(1)}
    gradient = jax.value_and_grad(narrowed, has_aux=True)
    (value, moved), grads = gradient(params, state, batch, jax.random.key(0))
    assert seen[0] == (jnp.bfloat16, jnp.bfloat16, jnp.bfloat16, jnp.int32)
    assert value.dtype == moved.dtype == grads.dtype == jnp.float32
    np.testing.assert_allclose(grads, batch["x"], rtol=2**-8)


def test_bad_precision_is_named():
    with pytest.raises(ValueError, match="loss: expected a function"):
        learning.mixed_precision(None)
    with pytest.raises(ValueError, match="dtype: expected a floating type"):
        learning.mixed_precision(lambda p, b: 0.0, jnp.int8)
