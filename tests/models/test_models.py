import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, data, models

X = np.random.default_rng(0).random((12, 64), np.float32)
Y = np.arange(12) % 10
NETWORKS = {
    "mlp": models.mlp(16, 10),
    "mlp-tanh-xavier": models.mlp(16, 8, 10, activation="tanh", initializer="xavier"),
    "mlp-batch": models.mlp(16, 10, norm="batch"),
    "mlp-group": models.mlp(16, 10, norm="group"),
    "mlp-layer": models.mlp(16, 10, norm="layer"),
    "logistic": models.logistic(10),
    "cnn": models.cnn(10, channels=(4, 8), widths=(16,)),
    "cnn-batch": models.cnn(10, channels=(4,), widths=(), norm="batch"),
    "cnn-group": models.cnn(10, channels=(4,), widths=(16,), norm="group"),
}


def stack(model, key, count):
    return jax.jit(lambda k: agents.initialize(k, model.init, count))(key)


def make(name):
    return models.functional(NETWORKS[name], X[:1])


@pytest.mark.parametrize("name", ["mlp", "mlp-batch", "mlp-group", "logistic", "cnn-batch"])
def test_stacked_agents_predict_and_learn(name, key):
    model = make(name)
    params = stack(model, key, 3)
    assert agents.num_agents(params) == 3

    def loss(params):
        output = model.apply(params, X)
        return models.cross_entropy(output, Y), output

    def two_steps(params):
        (value, output), slope = jax.value_and_grad(loss, has_aux=True)(params)
        better = jax.tree.map(lambda p, g: p - 1e-3 * g, params, slope)
        return output, slope, value, loss(better)[0]

    output, slopes, before, after = jax.jit(jax.vmap(two_steps))(params)
    assert output.shape == (3, 12, 10)
    chex.assert_tree_all_finite((output, slopes))
    chex.assert_trees_all_equal_shapes_and_dtypes(slopes, params)
    assert (after < before).all()


@pytest.mark.parametrize("shape", [(7, 10), (3, 3, 2, 5)])
def test_weights_drawn_flat_are_those_of_flax(shape, key):
    from jaxswarm.models import layers

    for mode in ("fan_in", "fan_avg"):
        for distribution in ("truncated_normal", "normal", "uniform"):
            ours = layers.variance_scaling(2.0, mode, distribution)
            theirs = nn.initializers.variance_scaling(2.0, mode, distribution)
            np.testing.assert_allclose(ours(key, shape), theirs(key, shape), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        layers.normal(0.02)(key, shape), nn.initializers.normal(0.02)(key, shape), rtol=1e-5
    )
    x = jnp.ones((1, 4, 4, 3))
    for ours, theirs in (
        (layers.Dense(5), nn.Dense(5)),
        (layers.Conv(5, (3, 3)), nn.Conv(5, (3, 3))),
    ):
        chex.assert_trees_all_close(ours.init(key, x), theirs.init(key, x), rtol=1e-5)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_maps_to_its_outputs(name, key):
    model = make(name)
    params = jax.eval_shape(lambda k: agents.initialize(k, model.init, 3), key)
    output = jax.eval_shape(jax.vmap(model.apply, (0, None)), params, X)
    assert (output.shape, output.dtype) == ((3, 12, 10), jnp.float32)


def test_parameter_shapes(key):
    shapes = jax.tree.map(jnp.shape, jax.jit(make("mlp").init)(key))
    assert shapes == {
        "Dense_0": {"kernel": (64, 16), "bias": (16,)},
        "Dense_1": {"kernel": (16, 10), "bias": (10,)},
    }
    assert agents.message_size(stack(make("logistic"), key, 2))[0] == 650
    assert jax.eval_shape(make("cnn").init, key)["Dense_0"]["kernel"].shape == (2 * 2 * 8, 16)


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 28, 28, 1), (2, 784), (2, 8, 8), (2, 8, 8, 3)])
def test_cnn_takes_any_image_layout(shape, key):
    model = models.functional(models.cnn(7), jax.ShapeDtypeStruct(shape, jnp.float32))
    output = jax.eval_shape(lambda k: model.apply(model.init(k), jnp.ones(shape)), key)
    assert output.shape == (2, 7)


def test_initialisers_have_their_variance(key):
    for name, expected in (("lecun", 1 / 400), ("he", 2 / 400), ("xavier", 2 / 600)):
        module = models.mlp(200, 1, initializer=name)
        params = models.functional(module, jnp.zeros((1, 400))).init(key)
        assert np.var(params["Dense_0"]["kernel"]) == pytest.approx(expected, rel=0.03)
    assert not make("logistic").init(key)["Dense_0"]["kernel"].any()


def test_only_normalised_networks_have_statistics(key):
    assert [name for name in NETWORKS if make(name).has_stats] == ["mlp-batch", "cnn-batch"]
    plain = make("mlp")
    params = jax.jit(plain.init)(key)
    assert plain.init_stats() == {}
    assert plain.recalibrate(params, X[None]) == {}
    output, stats = plain.apply_train(params, {}, X)
    assert stats == {}
    np.testing.assert_array_equal(output, plain.apply(params, X))


@pytest.mark.parametrize("name", ["mlp-batch", "cnn-batch"])
def test_statistics_flow_and_never_enter_the_parameters(name, key):
    model = make(name)
    params, stats = jax.jit(model.init)(key), model.init_stats()
    assert set(params["BatchNorm_0"]) == {"scale", "bias"}
    assert set(stats["BatchNorm_0"]) == {"mean", "var"}
    train = jax.jit(model.apply_train)
    for _ in range(200):
        output, stats = train(params, stats, X)
    # Fed the same batch for ever, the moving average becomes that batch's statistics.
    np.testing.assert_allclose(model.apply(params, X, stats), output, atol=1e-4)
    np.testing.assert_allclose(model.apply(params, X), output, atol=1e-5)
    fresh = model.apply(params, X, model.init_stats())
    assert np.abs(fresh - output).max() > 1e-3


@pytest.mark.parametrize("name", ["mlp-batch", "cnn-batch"])
def test_recalibration_gives_the_statistics_of_the_data(name, key):
    model = make(name)
    params = jax.jit(model.init)(key)
    whole = model.recalibrate(params, X[None])
    np.testing.assert_allclose(model.apply(params, X, whole), model.apply(params, X), atol=1e-4)
    # In the first layer, batches pool to the statistics of all data (total variance).
    pooled = model.recalibrate(params, X.reshape(3, 4, 64))
    chex.assert_trees_all_close(pooled["BatchNorm_0"], whole["BatchNorm_0"], atol=1e-5)


@pytest.mark.slow
def test_a_merged_model_is_recalibrated_not_averaged(key):
    model = make("mlp-batch")
    params = stack(model, key, 4)
    merged = agents.mean(params)
    stats = jax.vmap(model.recalibrate, (0, None))(params, X[None])
    right = model.recalibrate(merged, X[None])
    averaged = agents.mean(stats)
    # Averaging weights shrinks the pre-activations: the average of the variances is too large.
    assert (averaged["BatchNorm_0"]["var"] > right["BatchNorm_0"]["var"]).mean() > 0.9
    np.testing.assert_allclose(model.apply(merged, X, right), model.apply(merged, X), atol=1e-4)


def test_foreign_collections_are_refused():
    class Odd(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            self.variable("cache", "seen", jnp.zeros, ())
            return nn.Dense(2)(x)

    with pytest.raises(ValueError, match=r"got also \['cache'\]"):
        models.functional(Odd(), X[:1])


def test_bad_networks_are_refused(key):
    with pytest.raises(ValueError, match="widths: expected at least one width"):
        models.mlp()
    with pytest.raises(ValueError, match="widths: expected a whole number of at least 1, got 0"):
        models.mlp(16, 0)
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        models.mlp(4, 2, activation="rellu")
    with pytest.raises(ValueError, match="did you mean 'xavier'"):
        models.mlp(4, 2, initializer="xavir")
    with pytest.raises(ValueError, match="did you mean 'batch'"):
        models.cnn(2, norm="batsh")
    with pytest.raises(ValueError, match="channels: expected at least one"):
        models.cnn(2, channels=())
    with pytest.raises(ValueError, match=r"module: expected a Module such as .*, got 3"):
        models.functional(3, jnp.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"example_x: expected an array .*, got Split"):
        models.functional(models.mlp(3), data.load("iris"))
    with pytest.raises(ValueError, match="square images"):
        models.functional(models.cnn(2), jnp.zeros((1, 15)))
    with pytest.raises(ValueError, match="expected images"):
        models.functional(models.cnn(2), jnp.zeros((1, 2, 2, 2, 2)))


def test_cross_entropy_is_minus_the_log_probability():
    logits = jnp.array([[1.0, 2.0, 0.5], [100.0, 0.0, -100.0]])
    y = jnp.array([1, 2])
    expected = -np.log(np.exp([2.0]) / np.exp([1.0, 2.0, 0.5]).sum())[0]
    assert models.cross_entropy(logits[:1], y[:1]) == pytest.approx(expected, rel=1e-5)
    assert models.cross_entropy(logits, y) == pytest.approx((expected + 200) / 2, rel=1e-5)


def test_weights_select_samples():
    logits, y = jnp.asarray(X[:4, :3]), jnp.array([0, 1, 2, 0])
    weight = jnp.array([1.0, 0.0, 1.0, 0.0])
    for score in (models.cross_entropy, models.accuracy):
        kept = score(logits[::2], y[::2])
        np.testing.assert_allclose(score(logits, y, weight), kept, rtol=1e-6)
        assert score(logits, y, 0 * weight) == 0
    slope = jax.grad(models.cross_entropy)(logits, y, 0 * weight)
    assert not slope.any()


def test_squared_error():
    output, y = jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0])
    assert models.squared_error(output, y) == pytest.approx(1.25)
    assert models.squared_error(output, y, jnp.array([1.0, 0.0])) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="equal shapes"):
        models.squared_error(output[:, None], y)
