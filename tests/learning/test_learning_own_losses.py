"""A user's own losses, targets and optimizers: metrics, regression, tokens, line searches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import data, gossip, learning, rollout, topology
from tests.later import Later

N = 4
W = Later(lambda: gossip.mixing(topology.ring(N)))
TARGETS = np.arange(N * 2, dtype=np.float32).reshape(N, 2)


def quadratic(params, target):
    away = params - target
    return 0.5 * jnp.sum(away**2), {"worst": jnp.max(jnp.abs(away)), "away": away}


def plain(params, target):
    return quadratic(params, target)[0]


def run(learner, rounds, start=None, inputs=TARGETS, model_state=None):
    state = learner.init(jnp.zeros((N, 2)) if start is None else start, model_state)
    step = jax.jit(lambda s: rollout(learner.step, s, rounds, key=jax.random.key(0), inputs=inputs))
    return step(state)


@pytest.mark.parametrize("local_steps", [1, 2])
def test_metrics_of_a_loss_reach_the_info_averaged_over_local_steps(local_steps):
    options = {"local": optax.sgd(0.5), "local_steps": local_steps}
    state, records = run(learning.isolated(quadratic, has_aux=True, **options), 1)
    others, without = run(learning.isolated(plain, **options), 1)
    np.testing.assert_array_equal(state.params, others.params)
    np.testing.assert_array_equal(records.info.loss, without.info.loss)
    assert without.info.metrics is None
    share = np.mean([0.5**k for k in range(local_steps)])  # what is left before each step
    np.testing.assert_allclose(records.info.metrics["away"][0], -share * TARGETS, rtol=1e-6)
    assert records.info.metrics["worst"].shape == (1, N)


def test_metrics_come_after_the_model_state():
    def loss(params, seen, target):
        value, metrics = quadratic(params, target)
        return value, seen + 1.0, metrics

    learner = learning.decentralized(
        loss, local=optax.sgd(0.1), gossip=gossip.averaging(W.value), stateful=True, has_aux=True
    )
    state, records = run(learner, 3, model_state=jnp.zeros(N))
    assert state.model_state.tolist() == [3.0] * N
    assert records.info.metrics["away"].shape == (3, N, 2)


def test_metrics_survive_mixed_precision_and_chunks():
    loss = learning.mixed_precision(quadratic)
    options = {"local": optax.sgd(0.5), "has_aux": True}
    _, records = run(learning.isolated(loss, chunk=3, **options), 1)
    np.testing.assert_allclose(records.info.metrics["away"][0], -TARGETS, rtol=1e-2)


def test_the_pooled_baseline_takes_metrics_and_line_searches():
    learner = learning.centralized(quadratic, local=optax.lbfgs(), has_aux=True)
    state, records = run(learner, 3, jnp.zeros((1, 2)))
    np.testing.assert_allclose(state.params[0], TARGETS.mean(axis=0), rtol=1e-5)
    assert records.info.metrics["worst"].shape == (3, N)


def test_a_line_search_solves_a_quadratic_that_its_first_step_misses():
    scales = jnp.array([1.0, 30.0])
    learner = learning.isolated(lambda p, t: jnp.sum(scales * (p - t) ** 2), local=optax.lbfgs())
    state, records = run(learner, 8)
    np.testing.assert_allclose(state.params, TARGETS, atol=1e-4)
    assert (np.diff(records.info.loss, axis=0) <= 1e-6).all()


def test_a_plateau_reduces_the_rate_of_the_agent_that_stands_still():
    optimizer = optax.chain(optax.sgd(1.0), optax.contrib.reduce_on_plateau(factor=0.5, patience=2))

    def loss(params, slope):
        return jnp.sum(slope * params)

    slopes = np.array([[0.0] * 2, [1.0] * 2, [0.0] * 2, [1.0] * 2], np.float32)
    state, _ = run(learning.isolated(loss, local=optimizer), 6, inputs=slopes)
    scale = np.asarray(state.opt_state[1].scale)
    assert (scale[[1, 3]] == 1.0).all()
    assert (scale[[0, 2]] < 1.0).all()


def test_a_learner_with_a_corrected_direction_refuses_a_line_search():
    learner = learning.gradient_tracking(
        plain, local=optax.lbfgs(), gossip=gossip.averaging(W.value)
    )
    with pytest.raises(ValueError, match=r"local: .*value.* learning.decentralized"):
        run(learner, 1)


@pytest.mark.parametrize(
    ("loss", "flags", "expected"),
    [
        (quadratic, {}, "scalar of one agent, got .* has_aux=True"),
        (plain, {"has_aux": True}, "scalar and metrics of one agent"),
        (quadratic, {"has_aux": True, "stateful": True}, "scalar and model_state and metrics"),
    ],
)
def test_a_loss_that_returns_something_else_is_refused(loss, flags, expected):
    stateful = flags.get("stateful", False)
    function = (lambda p, s, t: loss(p, t)) if stateful else loss
    learner = learning.isolated(function, local=optax.sgd(0.1), **flags)
    with pytest.raises(ValueError, match=f"loss: expected to return {expected}"):
        run(learner, 1, model_state=jnp.zeros(N) if stateful else None)


def test_regression_targets_are_learnt_from_samples_without_classes():
    x = np.linspace(-1.0, 1.0, 40, dtype=np.float32)[:, None]
    curve = data.from_samples(x, np.concatenate([2.0 * x, 1.0 - x], axis=1), name="lines")
    train, test = data.split_by_class(curve, test_fraction=0.2)
    classes = data.as_classes(train.labels[:, 0], N)
    shards = data.shards(train, data.disjoint_classes(classes, N))

    def loss(params, batch):
        error = batch.x @ params["w"] + params["b"][None] - batch.y
        return jnp.sum(batch.weight[:, None] * error**2) / jnp.sum(batch.weight)

    learner = learning.decentralized(
        loss,
        local=optax.sgd(0.2),
        gossip=gossip.averaging(W.value),
        sample=data.full_batches(),
    )
    start = {"w": jnp.zeros((N, 1, 2)), "b": jnp.zeros((N, 2))}
    state, _ = run(learner, 200, start, shards)
    mean = jax.tree.map(lambda leaf: np.asarray(leaf).mean(axis=0), state.params)
    predicted = test.features @ mean["w"] + mean["b"]
    np.testing.assert_allclose(predicted, test.labels, atol=0.05)


def test_tokens_and_bytes_keep_their_dtype():
    tokens = np.arange(24, dtype=np.int32).reshape(6, 4)
    shards = data.shards(data.from_samples(tokens), data.iid(np.zeros(6, np.int32), 3))
    batch = data.minibatches(2)(jax.random.key(0), shards)
    assert (batch.x.dtype, batch.x.shape) == (jnp.int32, (3, 2, 4))
    assert batch.y.tolist() == [[0, 0]] * 3
    images = data.from_samples(np.zeros((6, 2, 2), np.uint8), np.zeros((6, 3), np.float16))
    assert (images.features.dtype, images.labels.dtype) == (np.uint8, np.float16)
    dealt = data.stacked(tokens.reshape(3, 2, 4), np.zeros((3, 2, 5), np.float32))
    assert (dealt.labels.shape, dealt.features.dtype) == ((6, 5), jnp.int32)


def test_classes_of_any_values():
    assert data.as_classes([-5, 100, -5]).tolist() == [0, 1, 0]
    assert data.as_classes([True, False]).tolist() == [1, 0]
    floats = data.as_classes(np.arange(100.0)[::-1], 4)
    assert np.bincount(floats).tolist() == [25] * 4
    assert floats[0] == 3
    assert data.as_classes([0.5] * 6, 3).tolist() == [0] * 6  # equal values are of one class
    for bad in ([], [[1, 2]], [float("nan"), 1.0], [object()]):
        with pytest.raises(ValueError, match="values: expected"):
            data.as_classes(bad)


def test_samples_without_classes_are_checked():
    for features, targets, message in [
        (np.zeros((3, 2)), np.zeros(2), "one target per row"),
        (np.zeros((0, 2)), None, "features: expected numbers"),
        ([["a"]], None, "features: expected numbers"),
        (np.zeros((2, 1)), [0.0, np.nan], "targets: .*row 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            data.from_samples(features, targets)
