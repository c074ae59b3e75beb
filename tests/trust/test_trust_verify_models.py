"""Quantized models: integers equal those of an oracle and stay close to the real network."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from verified_models import CONFIG, inputs, language_model, layers, perceptron

from jaxswarm.models import transformer
from jaxswarm.trust import verify
from jaxswarm.trust.verify import _fixed_point as fixed


def test_perceptron_equals_an_oracle_in_python_integers():
    model, x = perceptron(), inputs()
    values = np.asarray(model.inputs(x)).astype(object)
    outputs, products = verify.run(model, model.inputs(x))
    for i, product in enumerate(products):
        layer = model.params[f"layer_{i}"]
        values = values @ np.asarray(layer["weight"]).astype(object)
        assert (np.asarray(product) == values).all()
        values = values + np.asarray(layer["bias"]).astype(object)
        if i == 0:
            limit, before, multiplier, after = (int(v) for v in layer["rescale"])

            def rescaled(v, limit=limit, before=before, multiplier=multiplier, after=after):
                v = min(max(v, 0), limit)
                v = (v + ((1 << before) >> 1)) >> before
                return min((v * multiplier + ((1 << after) >> 1)) >> after, 127)

            values = np.vectorize(rescaled, otypes=[object])(values)
    assert (np.asarray(outputs) == values).all()


def test_perceptron_is_close_to_the_real_one():
    (w1, b1), (w2, b2) = layers()
    x = inputs(50)
    wanted = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    assert np.abs(np.asarray(perceptron()(x)) - wanted).max() < 0.03 * np.abs(wanted).max()


def test_transformer_is_close_to_the_real_one_and_causal():
    model, params = language_model()
    tokens = np.random.default_rng(1).integers(0, 7, (4, 5))
    wanted = np.asarray(jax.jit(transformer.from_config(CONFIG).apply)(params, tokens).logits)
    found = np.asarray(model(tokens))
    error, largest = np.abs(found - wanted), np.abs(wanted).max()
    assert error.max() < 0.15 * largest
    assert np.median(error) < 0.015 * largest
    changed = tokens.copy()
    changed[:, -1] = (changed[:, -1] + 1) % 7
    assert (np.asarray(model(changed))[:, :-1] == found[:, :-1]).all()


def test_plans_are_the_shapes_and_bounds_of_the_products():
    model, _ = language_model()
    for one, x in ((perceptron(), inputs()), (model, np.ones((4, 5), int))):
        given = one.inputs(x)
        _, products = verify.run(one, given)
        sizes = verify.plan(one, given.shape)
        assert [p.shape for p in products] == [s.shape for s in sizes]
        assert all(np.abs(p).max() <= s.largest for p, s in zip(products, sizes, strict=True))
        assert max(s.largest for s in sizes) <= one.sizes.largest


def test_extreme_weights_reach_the_bound_and_do_not_overflow():
    width = 300
    ones = [(np.ones((width, width)), np.zeros(width)), (-np.ones((width, 1)), np.zeros(1))]
    model = verify.quantize(ones, np.ones((1, width)))
    _, products = verify.run(model, model.inputs(np.ones((2, width))))
    assert np.asarray(products[0]).max() == width * 127**2 == model.sizes.largest
    assert np.asarray(products[1]).min() == -width * 127**2
    assert float(model(np.ones((1, width)))[0, 0]) == pytest.approx(-(width**2), rel=0.01)


def test_roots_bind_every_parameter():
    model = perceptron()
    assert (
        model.root == verify.quantize(layers(), np.concatenate([inputs(50), np.ones((1, 6))])).root
    )
    weight = np.array(model.params["layer_1"]["weight"])
    weight[0, 0] ^= 1
    layer = {**model.params["layer_1"], "weight": weight}
    other = verify.QuantizedModel({**model.params, "layer_1": layer}, "mlp", model.sizes)
    assert other.root != model.root
    scaled = {**model.params, "output_scale": np.float64(1.0)}
    assert verify.QuantizedModel(scaled, "mlp", model.sizes).root != model.root


@pytest.mark.parametrize("ratio", [3e-7, 0.0013, 0.51, 1.0, 7.3, 900.0])
def test_rescaling_rounds_to_the_nearest(ratio):
    by = fixed.rescaling(ratio, 127)
    x = np.unique(
        np.linspace(-140 / ratio, 140 / ratio, 999).astype(np.int64).clip(-(2**30), 2**30)
    )
    found = np.asarray(fixed.rescale(jnp.asarray(x, jnp.int32), by, 127))
    assert np.abs(found - np.clip(x * ratio, -127, 127)).max() <= 0.51


def test_integer_roots_lengths_and_softmax():
    n = np.array([0, 1, 2, 3, 4, 99, 10**6, 2**31 - 1], np.int32)
    assert np.asarray(jax.jit(fixed.root)(n)).tolist() == [math.isqrt(int(v)) for v in n]
    x = np.random.default_rng(0).integers(-30_000, 30_000, (5, 8)) >> np.arange(0, 15, 3)[:, None]
    x[-1] = 0
    lengths = np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1)
    units = np.asarray(jax.jit(fixed.unit_rows)(x.astype(np.int32))) / 2**15
    assert np.abs(units - x / lengths).max() < 2e-3
    scores = np.random.default_rng(0).integers(-(2**20), 2**20, (5, 8))
    by = fixed.rescaling(2.0**-17 * fixed.LOG_STEPS / math.log(2), 30 * fixed.LOG_STEPS)
    allowed = np.tril(np.ones((5, 8), bool))
    found = np.asarray(
        jax.jit(fixed.softmax)(scores.astype(np.int32), allowed, by, fixed.exponential_table())
    )
    weights = np.where(allowed, np.exp((scores - scores.max()) / 2**17), 0)
    wanted = weights / weights.sum(-1, keepdims=True)
    assert np.abs(found / fixed.WEIGHT_MAX - wanted).max() < 3e-3
    assert (found[~allowed] == 0).all()
