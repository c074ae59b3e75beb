"""Split networks: segments, gradients by messages, distance correlation, inversion, bad input."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import models
from jaxswarm.trust import split

KEY = jax.random.key(0)
NETWORK = models.mlp(6, 5, 3)


@functools.cache
def data():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.random((12, 4)), jnp.float32), jnp.asarray(rng.integers(0, 3, 12))


@functools.cache
def whole():
    return NETWORK.init(KEY, data()[0])["params"]


def loss_of(y):
    return lambda out: jnp.mean(-jax.nn.log_softmax(out)[jnp.arange(len(y)), y])


@pytest.mark.parametrize("at", [1, 2, [1, 2]])
def test_segments_compose_to_the_network_and_train_alike(at):
    x, y = data()
    segments = split.cut(NETWORK, at)
    params = split.own_params(segments, whole())
    names = [set(each) for each in params]
    assert set.union(*names) == set(whole())
    assert sum(map(len, names)) == len(whole())
    found = split.gradients(segments, params, x, loss_of(y))

    def full(params):
        return loss_of(y)(NETWORK.apply({"params": params}, x))

    value, grads = jax.value_and_grad(full)(whole())
    assert found.loss == pytest.approx(float(value), rel=1e-6)
    merged = {name: own for each in found.grads for name, own in each.items()}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), merged, dict(grads))
    for up, down in zip(found.sent, found.returned, strict=True):
        assert up.shape == down.shape


def test_modules_and_functions_may_be_listed():
    x, _ = data()
    layers = [nn.Dense(6), nn.relu, nn.LayerNorm(), nn.Dense(3)]
    module = nn.Sequential(layers)
    params = module.init(KEY, x)["params"]
    lower, upper = split.cut(module, 3)
    own = split.own_params((lower, upper), params)
    assert [sorted(each) for each in own] == [["layers_0", "layers_2"], ["layers_3"]]
    z = lower.apply(own[0], x)
    np.testing.assert_allclose(upper.apply(own[1], z), module.apply({"params": params}, x))
    drawn = split.initialize(KEY, split.cut(layers, 1), x)
    shapes = [jax.tree.map(jnp.shape, each) for each in drawn]
    assert shapes[0]["layers_0"]["kernel"] == (4, 6)
    assert shapes[1]["layers_3"]["kernel"] == (6, 3)


def test_noise_reaches_what_is_sent_and_the_penalty_only_the_first_segment():
    x, y = data()
    segments = split.cut(NETWORK, 1)
    params = split.own_params(segments, whole())
    plain = split.gradients(segments, params, x, loss_of(y))
    noisy = split.gradients(segments, params, x, loss_of(y), key=KEY, noise=0.5)
    assert not np.allclose(plain.sent[0], noisy.sent[0])
    held = split.gradients(segments, params, x, loss_of(y), penalty=0.7)
    np.testing.assert_array_equal(
        plain.grads[1]["Dense_1"]["bias"], held.grads[1]["Dense_1"]["bias"]
    )
    np.testing.assert_array_equal(plain.sent[0], held.sent[0])

    def own(p):
        return split.distance_correlation(x, segments[0].apply(p, x))

    expected = jax.tree.map(lambda a, b: a + 0.7 * b, plain.grads[0], jax.grad(own)(params[0]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), held.grads[0], expected)


def slow_distance_correlation(x, z):
    def centered(v):
        d = np.array([[np.linalg.norm(a - b) for b in v] for a in v])
        return d - d.mean(0) - d.mean(1)[:, None] + d.mean()

    a, b = centered(x), centered(z)
    return np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


def test_distance_correlation_against_its_definition():
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    found = split.distance_correlation(x, z)
    assert found == pytest.approx(float(slow_distance_correlation(x, z)), rel=1e-4)
    assert split.distance_correlation(x, 2.0 * x + 1.0) == pytest.approx(1.0, abs=1e-4)
    constant = np.ones((20, 2))
    assert split.distance_correlation(x, constant) < 0.02
    slope = jax.grad(lambda v: split.distance_correlation(x, v))(jnp.asarray(constant))
    assert np.isfinite(slope).all()


def test_attacks_invert_a_linear_segment():
    x = jnp.asarray(np.random.default_rng(2).random((80, 3)), jnp.float32)
    mix = jnp.asarray([[1.0, 0.5, 0.0, 0.2], [0.0, 1.0, 0.5, 0.1], [0.3, 0.0, 1.0, 0.7]])
    start = jnp.full((10, 3), 0.5)
    found = split.invert(lambda v: v @ mix, x[70:] @ mix, start, steps=300)
    assert jnp.mean((found - x[70:]) ** 2) < 1e-4
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    decoder = split.fit_decoder(KEY, x[:70] @ mix, x[:70], hidden=16, steps=200)
    error = jnp.mean((split.decode(decoder, x[70:] @ mix) - x[70:]) ** 2)
    assert error < 0.1 * jnp.var(x)
    blind = split.invert(lambda v: 0.0 * v, 0.0 * start, start, steps=3)
    np.testing.assert_array_equal(blind, start)


BAD = [
    (lambda: split.cut(NETWORK, 0), "at: expected"),
    (lambda: split.cut(NETWORK, 3), "at: expected"),
    (lambda: split.cut(NETWORK, 1.0), "at: expected"),
    (lambda: split.cut(NETWORK, []), "at: expected"),
    (lambda: split.cut(NETWORK, [2, 1]), "at: expected ascending"),
    (lambda: split.cut(models.mlp(3), 1), "network: expected at least 2"),
    (lambda: split.cut(models.mlp(3, 3, norm="layer"), 1), "network: expected norm"),
    (lambda: split.cut(models.cnn(3), 1), "network: expected"),
    (lambda: split.cut([nn.Dense(2), 3], 1), "network: expected"),
    (lambda: split.own_params(split.cut(NETWORK, 1), {"Dense_0": 0}), "params: expected"),
    (lambda: split.initialize(3, split.cut(NETWORK, 1), np.ones((1, 4))), "key: expected"),
    (
        lambda: split.initialize(
            KEY, split.cut([nn.BatchNorm(False), nn.relu], 1), np.ones((2, 4))
        ),
        "network: expected params only",
    ),
    (lambda: _gradients(noise=-1.0), "noise: expected"),
    (lambda: _gradients(noise=1.0), "key.*expected"),
    (lambda: _gradients(penalty=-1.0), "penalty: expected"),
    (
        lambda: split.gradients(split.cut(NETWORK, 1), [{}], np.ones((2, 4)), jnp.mean),
        "params: expected 2 segments",
    ),
    (lambda: split.distance_correlation(np.ones((3, 1)), np.ones((2, 1))), "x, z: expected"),
    (lambda: split.distance_correlation(np.ones((1, 1)), np.ones((1, 1))), "x, z: expected"),
    (lambda: split.invert(3, np.ones((2, 1)), np.ones((2, 1))), "forward: expected"),
    (lambda: split.invert(jnp.sin, np.ones((2, 1)), np.ones((3, 1))), "start: expected"),
    (lambda: split.invert(jnp.sin, np.ones((2, 1)), np.ones((2, 1)), steps=0), "steps: expected"),
    (lambda: split.invert(jnp.sin, np.ones((2, 1)), np.ones((2, 1)), high=-1.0), "high: expected"),
    (lambda: split.invert(jnp.sin, np.ones((2, 1)), np.ones((2, 1)), pull=-1.0), "pull: expected"),
    (lambda: split.fit_decoder(KEY, np.ones((3, 2)), np.ones((2, 2))), "inputs: expected"),
    (lambda: split.fit_decoder(KEY, np.ones((3, 2)), np.ones((3, 2)), hidden=0), "hidden: expe"),
]


def _gradients(**options):
    segments = split.cut(NETWORK, 1)
    return split.gradients(segments, [{}, {}], np.ones((2, 4)), jnp.mean, **options)


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
