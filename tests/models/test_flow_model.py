"""Flow models, losses and guidance: laws of the batch, conditions, dtypes; networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.models import flow

KEY = jax.random.key(0)
NETWORKS = {
    "mlp": (flow.MLP(width=8, depth=2), (2,)),
    "mlp of images": (flow.MLP(width=8, depth=2, num_classes=3), (4, 4, 1)),
    "dit": (flow.DiT(patch=2, width=8, depth=1, num_heads=2, num_classes=3), (4, 6)),
    "unet": (flow.UNet(channels=(4, 8), num_classes=3), (4, 6, 2)),
}


def make(name, **settings):
    module, shape = NETWORKS[name]
    return flow.from_network(module, shape, num_classes=module.num_classes, **settings)


def random_params(model):
    """Parameters without zeros, so that layers that start at zero have an influence."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda spec: (0.4 * rng.standard_normal(spec.shape)).astype(spec.dtype),
        jax.eval_shape(model.init, KEY),
    )


def inputs(model, batch=5):
    x = jax.random.normal(jax.random.key(1), (batch, *model.shape))
    condition = None if model.num_classes is None else jnp.arange(batch) % (model.num_classes + 1)
    return x, jnp.linspace(0, 1, batch), condition


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_maps_samples_times_and_classes(name):
    model = make(name)
    params, velocity = random_params(model), jax.jit(model.velocity)
    x, t, condition = inputs(model)
    out = velocity(params, x, t, condition)
    assert out.shape == x.shape
    order = jnp.array([4, 2, 0, 1, 3])
    permuted = velocity(params, x[order], t[order], None if condition is None else condition[order])
    np.testing.assert_allclose(permuted, out[order], atol=1e-4)
    assert not np.allclose(velocity(params, x, t[::-1], condition), out, atol=1e-3)
    if condition is not None:
        free = velocity(params, x, t, jnp.full(5, model.num_classes))
        np.testing.assert_allclose(free[3], out[3], atol=1e-4)  # its condition is "no condition"
        assert not np.allclose(free[0], out[0], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dit", "unet"])
def test_image_networks_start_at_zero(name):
    model = make(name)
    params = jax.jit(model.init)(KEY)
    np.testing.assert_allclose(jax.jit(model.velocity)(params, *inputs(model)), 0.0)


def test_no_condition_is_the_last_class_and_one_number_stands_for_all():
    model = make("mlp of images")
    params = random_params(model)
    x, t, _ = inputs(model)
    velocity = jax.jit(model.velocity)
    free = velocity(params, x, t, None)
    np.testing.assert_allclose(free, velocity(params, x, t, jnp.full(5, 3)), atol=1e-6)
    np.testing.assert_allclose(free, velocity(params, x, t, 3), atol=1e-6)
    np.testing.assert_allclose(velocity(params, x[1:2], t[1]), free[1:2], atol=1e-5)


def test_samples_of_a_network_that_extrapolates_stay_in_the_range_of_the_data():
    def grows(bounds, factor):
        return flow.from_functions(
            lambda key: jnp.float32(factor),
            lambda factor, x, t, condition: factor * x,
            (2,),
            prediction="data",
            data_range=bounds,
        )

    def sample(bounds, factor):
        model = grows(bounds, factor)
        noise = jax.random.normal(KEY, (6, 2))
        return flow.integrate(flow.field(model, jnp.float32(factor)), noise, num_steps=8)

    bounded = sample((-1.0, 1.0), 50.0)
    np.testing.assert_allclose(jnp.abs(bounded), 1.0, atol=1e-5)  # the last step reaches the data
    assert float(jnp.abs(sample(None, 50.0)).max()) > 1e3
    np.testing.assert_array_equal(sample((-9.0, 9.0), 0.5), sample(None, 0.5))
    model, plain = grows((-1.0, 1.0), 50.0), grows(None, 50.0)
    x = jnp.ones((3, 2))
    one, two = (flow.losses(m, jnp.float32(50.0), KEY, x) for m in (model, plain))
    np.testing.assert_array_equal(one, two)  # training sees the network's own prediction
    with pytest.raises(ValueError, match="data_range: expected none unless prediction='data'"):
        flow.from_network(flow.MLP(width=4), (2,), data_range=(0.0, 1.0))


def test_a_condition_may_be_real_numbers():
    model = flow.from_network(flow.MLP(width=8, depth=1), (2,), condition_shape=(2, 3))
    params, velocity = random_params(model), jax.jit(model.velocity)
    x, t, _ = inputs(model)
    condition = jax.random.normal(KEY, (5, 2, 3))
    out = velocity(params, x, t, condition)
    assert out.shape == (5, 2)
    assert not np.allclose(out, velocity(params, x, t, condition + 1), atol=1e-3)
    field = flow.field(model, params, condition)
    assert jax.eval_shape(field, x, t).shape == (5, 2)
    losses = jax.eval_shape(lambda: flow.losses(model, params, KEY, x, condition))
    assert losses.shape == (5,)
    with pytest.raises(ValueError, match="conditional flow model"):
        flow.guided(model, params, condition, 2.0)


def constants(prediction="velocity", num_classes=None, dtype=jnp.float32):
    """A model that predicts one learned number, plus its condition if it has any."""

    def apply(params, x, t, condition):
        out = jnp.full(x.shape, params, dtype)
        return out if condition is None else out + condition[:, None].astype(dtype)

    return flow.from_functions(
        lambda key: jnp.zeros(()), apply, (2,), num_classes=num_classes, prediction=prediction
    )


@pytest.mark.parametrize("prediction", flow.PREDICTIONS)
def test_the_velocity_of_every_prediction_is_its_conversion(prediction):
    model = constants(prediction)
    x, t, _ = inputs(model)
    value = jnp.full(x.shape, 0.7)
    np.testing.assert_allclose(model.predict(0.7, x, t), value)
    expected = flow.convert(value, x, t, source=prediction)
    np.testing.assert_allclose(model.velocity(0.7, x, t), expected, rtol=1e-6)


def test_losses_are_mean_squares_of_the_target():
    data = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    targets = {"data": data, "noise": None, "velocity": None}
    for prediction in targets:
        model = constants(prediction)
        state = flow.noised(KEY, data, model.path, jnp.array([0.25, 0.5]))
        target = {"data": data, "noise": state.noise, "velocity": data - state.noise}[prediction]
        expected = jnp.square(target - 0.5).mean(1)
        np.testing.assert_allclose(flow.losses_at(model, 0.5, state), expected, rtol=1e-6)


def test_permuting_a_batch_permutes_its_losses_and_keeps_the_weighted_mean():
    """Data, conditions and weights move together: nothing is drawn anew or coupled in between."""
    model = make("mlp of images")
    params = random_params(model)
    data, _, condition = inputs(model)
    weights = jnp.arange(5.0)
    order = jnp.array([3, 0, 4, 1, 2])
    state = flow.noised(KEY, data, model.path)
    moved = jax.tree.map(lambda leaf: leaf[order], state)
    losses = jax.jit(lambda state, condition: flow.losses_at(model, params, state, condition))
    each, again = losses(state, condition), losses(moved, condition[order])
    np.testing.assert_allclose(again, each[order], rtol=1e-5)
    np.testing.assert_allclose((again * weights[order]).sum(), (each * weights).sum(), rtol=1e-5)


def test_permuting_a_batch_does_not_change_the_expected_loss():
    model = constants()
    data = jnp.array([[5.0, 0.0], [0.0, 0.0], [-1.0, 1.0]])
    weights = jnp.array([3.0, 1.0, 0.0])
    order = jnp.array([2, 0, 1])
    keys = jax.random.split(KEY, 4000)

    @jax.jit
    def mean(data, weights):
        return jax.vmap(lambda k: flow.loss(model, 0.0, k, data, weights=weights))(keys).mean()

    one, other = mean(data, weights), mean(data[order], weights[order])
    np.testing.assert_allclose(one, other, rtol=0.02)
    np.testing.assert_allclose(one, 1 + 0.75 * 25 / 2, rtol=0.02)


def test_samples_of_weight_zero_have_no_influence_even_if_they_are_nan():
    model = make("mlp")
    params = random_params(model)
    data = jax.random.normal(KEY, (4, 2))
    bad, weights = data.at[2].set(jnp.nan), jnp.array([1.0, 2.0, 0.0, 1.0])
    value = jax.jit(jax.value_and_grad(lambda p, x, w: flow.loss(model, p, KEY, x, weights=w)))
    results = [jax.tree.leaves(value(params, x, weights)) for x in (data, bad)]
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert value(params, bad, jnp.zeros(4))[0] == 0.0
    assert jnp.isnan(value(params, bad, jnp.ones(4))[0])


def test_conditions_are_dropped_at_the_given_rate():
    model = constants(num_classes=3)
    data, condition = jnp.zeros((2000, 2)), jnp.zeros(2000, jnp.int32)

    def share(rate):
        # A dropped condition predicts 3 instead of 0: its loss is larger by about 9.
        losses = flow.losses(model, 0.0, KEY, data, condition, drop_rate=rate)
        whole = flow.losses(model, 0.0, KEY, data, 3)
        return float((losses == whole).mean())

    assert share(0.0) == 0.0
    assert share(1.0) == 1.0
    assert abs(share(0.2) - 0.2) < 0.03
    np.testing.assert_array_equal(
        flow.losses(model, 0.0, KEY, data, None), flow.losses(model, 0.0, KEY, data, 3)
    )


def test_guidance_of_scale_one_is_conditional_and_of_scale_zero_unconditional():
    model = make("mlp of images")
    params = random_params(model)
    x, t, condition = inputs(model)
    conditional = flow.field(model, params, condition)(x, t)
    free = flow.field(model, params)(x, t)
    np.testing.assert_array_equal(flow.guided(model, params, condition, 1.0)(x, t), conditional)
    np.testing.assert_array_equal(flow.guided(model, params, condition, 0.0)(x, t), free)
    twice = flow.guided(model, params, condition, 2)(x, t)
    np.testing.assert_allclose(twice, 2 * conditional - free, atol=1e-5)
    traced = jax.jit(lambda s: flow.guided(model, params, condition, s)(x, t))(2.0)
    np.testing.assert_allclose(traced, twice, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_samples_stay_half_and_losses_are_float32(dtype):
    model = constants("v")
    x = jnp.ones((3, 2), dtype)
    assert model.velocity(0.5, x, 0.5).dtype == dtype
    assert flow.losses(model, 0.5, KEY, x).dtype == jnp.float32
    assert flow.integrate(flow.field(model, 0.5), x, num_steps=2).dtype == dtype


def test_one_sample_jit_and_vmap_over_models():
    model, params = constants("data"), jnp.array([0.0, 0.5, 1.0])
    data = jnp.array([[1.0, -1.0]])
    each = jax.jit(jax.vmap(lambda p: flow.losses(model, p, KEY, data)))(params)
    assert each.shape == (3, 1)
    eager = [flow.losses(model, p, KEY, data) for p in params]
    np.testing.assert_allclose(each, jnp.stack(eager), rtol=1e-5)


class Scale(nn.Module):
    """A user's own network."""

    @nn.compact
    def __call__(self, x, t, condition):
        return self.param("scale", nn.initializers.ones, ()) * x


def test_a_module_and_its_functions_are_the_same_model():
    module = Scale()
    one = flow.from_network(module, (2,))
    other = flow.from_functions(
        lambda key: {"scale": jnp.ones(())},
        lambda params, x, t, condition: params["scale"] * x,
        (2,),
    )
    x = jnp.ones((3, 2))
    np.testing.assert_array_equal(
        one.velocity(one.init(KEY), x, 0.5), other.velocity(other.init(KEY), x, 0.5)
    )
