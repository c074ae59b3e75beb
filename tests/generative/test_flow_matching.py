"""Training of flow models: averaged parameters, padding, vmap, bad input, a mixture learned."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import data, generative
from jaxswarm.models import flow
from tests import bad_input as bad
from tests.bad_input import Call, cases, refuses
from tests.later import Later

KEY = jax.random.key(0)
MODEL = Later(lambda: flow.from_network(flow.MLP(width=8, depth=1), (2,)))
OPTIMIZER = optax.sgd(0.1)
BATCH = Later(lambda: data.gaussian_grid(jax.random.key(1), 16, side=2))
LEARNER = Later(lambda: generative.flow_matching(MODEL.value, OPTIMIZER, ema_decay=0.5))
STEP = Later(lambda: jax.jit(LEARNER.value.step))
PARAMS = Later(lambda: MODEL.value.init(KEY))


def test_a_step_follows_the_gradient_of_the_loss_and_averages_parameters():
    state = LEARNER.value.init(PARAMS.value)
    new, info = STEP.value(KEY, state, BATCH.value)
    loss, grads = jax.jit(
        jax.value_and_grad(
            lambda p: flow.loss(MODEL.value, p, KEY, BATCH.value.x, weights=BATCH.value.weight)
        )
    )(state.params)
    np.testing.assert_allclose(info.loss, loss, rtol=1e-6)
    np.testing.assert_allclose(info.grad_norm, optax.tree.norm(grads), rtol=1e-5)
    for leaf, old, grad in zip(
        *map(jax.tree.leaves, (new.params, state.params, grads)), strict=True
    ):
        np.testing.assert_allclose(leaf, old - 0.1 * grad, rtol=1e-5, atol=1e-7)
    decay = 0.1  # (1 + 0) / (10 + 0), below the decay that was asked for
    for leaf, old, now in zip(
        *map(jax.tree.leaves, (new.ema_params, state.params, new.params)), strict=True
    ):
        np.testing.assert_allclose(leaf, decay * old + (1 - decay) * now, rtol=1e-5, atol=1e-7)
    assert new.step == 1


def test_late_averages_have_the_decay_that_was_asked_for():
    state = LEARNER.value.init(PARAMS.value)._replace(step=jnp.int32(1000))
    new, _ = STEP.value(KEY, state, BATCH.value)
    for leaf, old, now in zip(
        *map(jax.tree.leaves, (new.ema_params, state.params, new.params)), strict=True
    ):
        np.testing.assert_allclose(leaf, 0.5 * old + 0.5 * now, rtol=1e-5, atol=1e-7)


def test_padding_has_no_influence_and_missing_fields_are_allowed():
    state = LEARNER.value.init(PARAMS.value)
    weight = BATCH.value.weight.at[3].set(0.0)
    bad_batch = BATCH.value._replace(x=BATCH.value.x.at[3].set(jnp.nan), weight=weight)
    good = STEP.value(KEY, state, BATCH.value._replace(weight=weight))
    for a, b in zip(*map(jax.tree.leaves, (good, STEP.value(KEY, state, bad_batch))), strict=True):
        np.testing.assert_array_equal(a, b)
    bare = STEP.value(KEY, state, data.Batch(BATCH.value.x, None, None))
    np.testing.assert_allclose(bare[1].loss, STEP.value(KEY, state, BATCH.value)[1].loss, rtol=1e-6)


def test_many_models_train_under_vmap():
    params = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf, 2 * leaf]), PARAMS.value)
    states = jax.vmap(LEARNER.value.init)(params)
    step = jax.jit(jax.vmap(LEARNER.value.step, (None, 0, None)))
    end, info = step(KEY, states, BATCH.value)
    assert info.loss.shape == (3,)
    np.testing.assert_allclose(
        info.loss[0],
        STEP.value(KEY, LEARNER.value.init(PARAMS.value), BATCH.value)[1].loss,
        rtol=1e-5,
    )
    assert info.loss[1] == info.loss[0] != info.loss[2]
    assert end.step.tolist() == [1, 1, 1]


CALLS = {
    "flow_matching": Call(
        generative.flow_matching,
        {"model": MODEL, "optimizer": OPTIMIZER, "ema_decay": 0.9, "drop_rate": 0.1},
        {
            "model": (None, 3, flow.MLP()),
            "optimizer": (None, 3, "adam", optax.sgd),
            "ema_decay": (1.0, *bad.SHARE),
            "drop_rate": bad.SHARE,
        },
    ),
    "step": Call(
        LEARNER.step,
        {"key": KEY, "state": Later(LEARNER.init, PARAMS), "batch": BATCH},
        {"key": bad.KEY, "batch": (None, BATCH.x, (BATCH.x, None, None))},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_arguments_are_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


@pytest.mark.slow
def test_a_conditional_flow_learns_a_mixture():
    """Samples of the trained flow are near the data, and near the mode that is their condition."""
    model = flow.from_network(flow.MLP(width=64, num_classes=4), (2,), num_classes=4)
    learner = generative.flow_matching(model, optax.adam(3e-3), drop_rate=0.1)

    @jax.jit
    def train(key):
        def step(state, key):
            step_key, batch_key = jax.random.split(key)
            batch = data.gaussian_grid(batch_key, 256, side=2, deviation=0.1)
            return learner.step(step_key, state, batch)

        return jax.lax.scan(step, learner.init(model.init(key)), jax.random.split(key, 1500))

    @jax.jit
    def draw(params, condition):
        field = flow.guided(model, params, condition, 1.0)
        return flow.sample(KEY, field, 400, (2,), method="heun", num_steps=20)

    state, info = train(KEY)
    assert info.loss[-100:].mean() < 0.7 * info.loss[:20].mean()
    batch = data.gaussian_grid(jax.random.key(5), 400, side=2, deviation=0.1)
    modes = data.grid_modes(2)
    free = draw(state.ema_params, jnp.full(400, 4))
    noise = jax.random.normal(KEY, (400, 2))
    assert flow.energy_distance(free, batch.x) < 0.1 * flow.energy_distance(noise, batch.x)
    third = draw(state.ema_params, jnp.full(400, 2))
    assert flow.mode_counts(third, modes, 0.4)[2] > 360
