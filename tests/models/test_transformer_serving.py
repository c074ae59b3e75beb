"""Serving: every acceleration gives the tokens of plain greedy generation; int8 and bf16 nearly."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.models import transformer
from jaxswarm.models.transformer import serving
from tests.later import Later, built

V, P, S, T, R, B = 12, 7, 4, 5, 5, 2
MODEL = Later(lambda: transformer.from_config(transformer.Config(V, width=8, num_layers=1)))
PARAMS = Later(lambda: jax.jit(MODEL.value.init)(jax.random.key(0)))
PROMPTS = np.random.default_rng(0).integers(2, V, (R, P))
PROMPTS[:, :S] = PROMPTS[0, :S]
LENGTHS = np.array([5, 1, 3, 2, 5])
EXACT = {
    "no cache": serving.Acceleration(cache=False),
    "KV cache": serving.Acceleration(),
    "prefix reuse, chunks": serving.Acceleration(prefix=True, chunk=2),
    "continuous batching": serving.Acceleration(continuous=True),
    "all but 8-bit weights": serving.Acceleration(prefix=True, chunk=2, continuous=True),
}


def make(how, **changes):
    sizes = {"batch_size": B, "prompt_length": P, "prefix_length": S, "max_new_tokens": T}
    return serving.server(MODEL.value, how, **(sizes | changes))


@functools.cache
def wanted():
    """Plain greedy tokens by the whole network for each new token, one request at a time."""
    apply = jax.jit(MODEL.value.apply)
    tokens = np.zeros((R, P + T), int)
    tokens[:, :P] = PROMPTS
    for t in range(T):
        logits = np.asarray(apply(PARAMS.value, jnp.asarray(tokens)).logits)
        tokens[:, P + t] = logits[:, P + t - 1].argmax(axis=1)
    return np.where(np.arange(T) < LENGTHS[:, None], tokens[:, P:], 0)


@pytest.mark.parametrize("name", EXACT)
def test_tokens_are_those_of_plain_generation(name):
    server = make(EXACT[name])
    served = jax.jit(server.run)(server.load(PARAMS.value), PROMPTS, LENGTHS)
    np.testing.assert_array_equal(served.tokens, wanted())
    static = 5 + 3 + 5  # the longest of each batch of two
    assert int(served.steps) == static if not EXACT[name].continuous else int(served.steps) < static


def test_plain_generation_agrees_with_generate():
    found = jax.jit(
        lambda params: transformer.generate(
            jax.random.key(0), MODEL.value, params, PROMPTS, max_new_tokens=T, temperature=0.0,
            end_token=0, pad_token=0,
        ).tokens
    )(PARAMS.value)  # fmt: skip
    kept = (np.arange(T) < LENGTHS[:, None]) & (np.cumprod(found != 0, axis=1) > 0)
    np.testing.assert_array_equal(np.where(kept, found, 0), np.where(kept, wanted(), 0))


@pytest.mark.parametrize(("weights", "tolerance"), [("bfloat16", 2e-2), ("int8", 3e-2)])
def test_logits_with_fewer_bytes_are_near(weights, tolerance):
    import dataclasses

    model, params = MODEL.value, PARAMS.value
    kept = serving.store(params, weights)
    dtype = "bfloat16" if weights == "bfloat16" else "float32"
    other = transformer.from_config(dataclasses.replace(model.config, dtype=dtype))
    near = jax.jit(lambda kept: other.apply(serving.restore(kept), PROMPTS).logits)(kept)
    exact = jax.jit(model.apply)(params, PROMPTS).logits
    assert float(jnp.abs(near - exact).max()) < tolerance * float(jnp.abs(exact).max())
    assert serving.num_bytes(kept) < 0.6 * serving.num_bytes(params)


def test_8_bit_weights_are_within_half_a_step():
    x = jax.random.normal(jax.random.key(1), (6, 3))
    kept = serving.store({"kernel": x, "scale": x[0]})
    assert kept["kernel"].values.dtype == jnp.int8
    error = jnp.abs(serving.restore(kept)["kernel"] - x)
    assert (error <= 0.5001 * kept["kernel"].scale).all()
    np.testing.assert_array_equal(kept["scale"], x[0])
    zero = serving.restore(serving.store({"kernel": jnp.zeros((2, 2))}))["kernel"]
    np.testing.assert_array_equal(zero, 0.0)


def test_timing_is_the_median_after_a_warm_up():
    calls, times = [], iter([0.0, 1.0, 1.0, 4.0, 4.0, 6.0])
    found = serving.timed(lambda: calls.append(0), repeats=3, warm_up=2, clock=lambda: next(times))
    assert found.median == 2.0
    assert found.seconds.tolist() == [1.0, 3.0, 2.0]
    assert len(calls) == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: serving.Acceleration(cache=False, prefix=True), "cache"),
        (lambda: serving.Acceleration(chunk=0), "chunk"),
        (lambda: serving.Acceleration(weights="int4"), "weights"),
        (lambda: serving.Acceleration(continuous=1), "continuous"),
        (lambda: make(3), "acceleration"),
        (lambda: make(serving.Acceleration(), batch_size=0), "batch_size"),
        (lambda: make(serving.Acceleration(), prefix_length=P), "prefix_length"),
        (lambda: make(serving.Acceleration(), max_new_tokens=0), "max_new_tokens"),
        (lambda: serving.server(3, serving.Acceleration(), batch_size=1, prompt_length=1,
                                max_new_tokens=1), "model"),
        (lambda: make(serving.Acceleration()).run(PARAMS.value, PROMPTS[:, :3], LENGTHS),
         "prompts"),
        (lambda: make(serving.Acceleration()).run(PARAMS.value, PROMPTS, LENGTHS + T), "lengths"),
        (lambda: make(serving.Acceleration(prefix=True)).run(
            PARAMS.value, np.arange(R * P).reshape(R, P) % V, LENGTHS), "prompts"),
        (lambda: serving.store({"kernel": jnp.ones((2, 2))}, "int4"), "weights"),
        (lambda: serving.timed(3), "fn"),
        (lambda: serving.timed(lambda: 0, repeats=0), "repeats"),
        (lambda: serving.timed(lambda: 0, warm_up=0), "warm_up"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        built(call)()
