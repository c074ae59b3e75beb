"""Samples of weight 0 and agents without data have no influence: losses, statistics, gradients."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, gossip, learning, models, topology
from jaxswarm.data import Batch, synthetic
from jaxswarm.models import losses
from jaxswarm.systems import bristle

KEY = jax.random.key(0)
NAN = float("nan")


class OwnNetwork(nn.Module):
    """A user's network, which knows nothing of masks."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Dense(6)(x.reshape(x.shape[0], -1)))
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(3)(x)


SHAPES = {"mlp": (4,), "cnn": (4, 4), "own": (4,)}
NETWORKS = {
    "mlp": lambda norm: models.mlp(8, 3, norm=norm),
    "cnn": lambda norm: models.cnn(3, channels=(4,), widths=(5,), norm=norm),
    "own": lambda norm: OwnNetwork(),
}
CASES = [(name, norm) for name in ("mlp", "cnn") for norm in models.NORMS] + [("own", "batch")]


@functools.cache
def build(name, norm):
    model = models.functional(NETWORKS[name](norm), jnp.zeros((1, *SHAPES[name])))
    loss = learning.classification_loss(model)
    params = jax.jit(model.init)(KEY)

    def whole(params, stats, batch):
        return loss(params, stats, batch) if model.has_stats else (loss(params, batch), stats)

    gradient = jax.jit(jax.value_and_grad(whole, has_aux=True))
    return params, model.init_stats(), gradient


def real(name, count=4):
    x = jax.random.normal(jax.random.key(1), (count, *SHAPES[name]))
    return Batch(x, jnp.arange(count) % 3, jnp.ones(count))


def padded(batch, fill, label):
    extra = 3
    x = jnp.concatenate([batch.x, jnp.full((extra, *batch.x.shape[1:]), fill)])
    y = jnp.concatenate([batch.y, jnp.full(extra, label, batch.y.dtype)])
    return Batch(x, y, jnp.concatenate([batch.weight, jnp.zeros(extra)]))


def close(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "fill", [0.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (7.0, float("inf"))), NAN]
)
@pytest.mark.parametrize(("name", "norm"), CASES)
def test_padding_changes_no_loss_no_statistics_and_no_gradient(name, norm, fill):
    params, stats, gradient = build(name, norm)
    batch = real(name)
    exact = gradient(params, stats, batch)
    close(exact, gradient(params, stats, padded(batch, fill, label=-1)))


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_an_agent_without_data_keeps_its_statistics_and_has_no_gradient(name, norm):
    params, stats, gradient = build(name, norm)
    batch = real(name)
    empty = batch._replace(x=batch.x * NAN, weight=jnp.zeros(4))
    (value, after), grads = gradient(params, stats, empty)
    assert float(value) == 0.0
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(stats), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((np.asarray(g) == 0).all() for g in jax.tree.leaves(grads))


def test_agents_without_data_in_a_learner():
    labels = np.array([0, 1, 2, 0, 1, 2])
    train = data.from_arrays(np.random.default_rng(0).normal(size=(6, 4)), labels)
    shards = data.shards(
        train,
        data.from_rows([np.array(rows) for rows in ([0, 1, 2], [], [3])], 6, allow_empty=True),
    )
    model = models.functional(models.mlp(8, 3, norm="batch"), train.features[:1])
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.1),
        gossip=gossip.identity(),
        sample=data.minibatches(4),
        local_steps=3,
        stateful=True,
    )
    stats = agents.broadcast(model.init_stats(), 3)
    state = learner.init(agents.initialize(KEY, model.init, 3), stats)
    after, _ = jax.jit(learner.step)(KEY, state, shards)
    for field in ("params", "model_state"):
        pairs = zip(*(jax.tree.leaves(getattr(s, field)) for s in (state, after)), strict=True)
        same = [np.array_equal(old[1], new[1]) for old, new in pairs]
        assert all(same), field


def test_a_weight_of_another_length_is_refused():
    model = models.functional(models.mlp(8, 3, norm="batch"), jnp.zeros((1, 4)))
    with pytest.raises(ValueError, match="weight: expected shape"):
        model.apply_train(model.init(KEY), model.init_stats(), jnp.zeros((5, 4)), jnp.ones(4))


def squared(params, batch):
    return losses.squared_error(batch.x @ params, batch.y, batch.weight)


PROBLEMS = {
    "cross_entropy": (
        lambda p, b: losses.cross_entropy(b.x @ p, b.y.astype(jnp.int32), b.weight),
        (4, 3),
    ),
    "squared_error": (squared, (4,)),
    "linear_regression": (synthetic.linear_regression(2, 8, 4, l2=0.1).loss, (4,)),
    "logistic_regression": (synthetic.logistic_regression(2, 8, 4).loss, (4,)),
    "bristle.head_loss": (bristle.head_loss(0.1), (4, 3)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_nan_of_weight_zero_reaches_no_loss_and_no_gradient(name):
    loss, shape = PROBLEMS[name]
    x = jax.random.normal(KEY, (5, 4))
    labels = jnp.array([0, 1, 1, 0, 1], jnp.int32)
    if name in ("squared_error", "linear_regression"):
        labels = labels.astype(jnp.float32).at[2].set(NAN)
    weight = jnp.array([1.0, 1, 0, 1, 1])
    kept = np.array([0, 1, 3, 4])
    params = 0.3 * jnp.ones(shape)
    spoiled = x.at[2].set(0.0 if name in ("cross_entropy", "squared_error") else NAN)
    found = jax.value_and_grad(loss)(params, Batch(spoiled, labels, weight))
    exact = jax.value_and_grad(loss)(params, Batch(x[kept], labels[kept], jnp.ones(4)))
    close(found, exact)


@pytest.mark.parametrize("jitted", [False, True])
def test_weighted_mean_selects(jitted):
    mean = jax.value_and_grad(losses.weighted_mean)
    mean = jax.jit(mean) if jitted else mean
    value, grads = mean(jnp.array([1.0, NAN, 3.0]), jnp.array([1.0, 0.0, 1.0]))
    assert float(value) == 2.0
    assert grads.tolist() == [0.5, 0.0, 0.5]
    value, grads = mean(jnp.array([NAN, NAN]), jnp.zeros(2))
    assert (float(value), grads.tolist()) == (0.0, [0.0, 0.0])


def test_masked_logits_have_no_influence_on_loss_and_gradient():
    logits = jnp.array([[1.0, -jnp.inf, 0.0], [0.0, 2.0, -jnp.inf]])
    value, grads = jax.value_and_grad(losses.cross_entropy)(logits, jnp.array([0, 1]))
    exact = np.mean([np.log(1 + np.exp(-1.0)), np.log(1 + np.exp(-2.0))])
    assert float(value) == pytest.approx(exact, rel=1e-5)
    assert np.isfinite(grads).all()
    assert grads[0, 1] == grads[1, 2] == 0.0


def test_padding_whose_logits_are_nan_has_no_gradient():
    logits = jnp.array([[1.0, 0.0], [NAN, 0.0]])
    value, grads = jax.value_and_grad(losses.cross_entropy)(
        logits, jnp.array([0, -1]), jnp.array([1.0, 0.0])
    )
    assert float(value) == pytest.approx(np.log(1 + np.exp(-1.0)), rel=1e-5)
    assert grads[1].tolist() == [0.0, 0.0]


def test_accuracy_counts_a_nan_as_wrong_and_ignores_padding():
    logits = jnp.array([[2.0, 1.0], [NAN, 1.0], [0.0, 5.0]])
    assert float(losses.accuracy(logits, jnp.array([0, 0, 1]))) == pytest.approx(2 / 3)
    weight = jnp.array([1.0, 0.0, 1.0])
    assert float(losses.accuracy(logits, jnp.array([0, -1, 1]), weight)) == 1.0


@pytest.mark.slow
def test_evaluation_of_a_model_on_a_graph_with_padding_is_that_without():
    """The whole way: shards of unequal size, batches, learner, metrics."""
    train, test = data.load("iris")
    model = models.functional(models.mlp(6, 3, norm="batch"), train.features[:1])
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.1),
        gossip=gossip.averaging(gossip.mixing(topology.ring(4))),
        sample=data.full_batches(),
        stateful=True,
    )
    labels = np.asarray(train.labels)
    rows = np.array_split(np.random.default_rng(0).permutation(len(labels)), 4)
    rows[3] = rows[3][:5]
    shards = data.shards(train, data.from_rows(rows, len(labels)))
    state = learner.init(
        agents.initialize(KEY, model.init, 4), agents.broadcast(model.init_stats(), 4)
    )
    garbage = np.asarray(shards.features)
    one, _ = jax.jit(learner.step)(KEY, state, shards)
    # The same batch with other padding: garbage behind the last agent's five samples.
    batch = data.full_batches()(KEY, shards)
    spoiled = jnp.where((batch.weight > 0)[:, :, None], batch.x, 1e6)
    direct = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.1),
        gossip=gossip.averaging(gossip.mixing(topology.ring(4))),
        stateful=True,
    )
    other, _ = jax.jit(direct.step)(KEY, state, batch._replace(x=spoiled))
    close((one.params, one.model_state), (other.params, other.model_state))
    calibration = jnp.asarray(garbage[:20]).reshape(2, 10, 4)
    metrics = learning.evaluation(model, test, calibration=calibration)(one)
    assert np.isfinite(metrics.accuracy).all()


@pytest.mark.slow
def test_the_centralized_baseline_is_not_diluted_by_agents_without_data():
    model = models.functional(models.mlp(6, 3), jnp.zeros((1, 4)))
    learner = learning.centralized(learning.classification_loss(model), local=optax.sgd(0.1))
    start = learner.init(jax.tree.map(lambda x: x[None], model.init(KEY)))
    batch = Batch(
        jax.random.normal(KEY, (2, 5, 4)), jnp.arange(10).reshape(2, 5) % 3, jnp.ones((2, 5))
    )
    empty = jax.tree.map(lambda x: jnp.concatenate([x, jnp.zeros_like(x)]), batch)
    step = jax.jit(learner.step)
    close(step(KEY, start, batch)[0].params, step(KEY, start, empty)[0].params)
