"""Replicas in several precisions, quantized weights, and verification of claimed images."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import gossip
from jaxswarm.systems import generative_consensus
from jaxswarm.trust import profiles

STEPS = 6
RNG = np.random.default_rng(0)
BATCHES = {
    "x": RNG.standard_normal((STEPS, 8, 3)).astype(np.float32),
    "y": RNG.standard_normal((STEPS, 8)).astype(np.float32),
}
SMALL = profiles.Profile("batch 2", batch_size=2)
PROFILES = ("float32", SMALL, "bfloat16", "float16")


def loss(w, batch):
    return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


def trajectory(learner):
    """Parameters of all replicas before and after every step ``[STEPS + 1, K, 3]``."""

    @jax.jit
    def run(key):
        def step(state, batch):
            state, info = learner.step(key, state, batch)
            return state, (state.params, info.distance)

        state = learner.init(jnp.zeros(3))
        _, (params, distance) = jax.lax.scan(step, state, BATCHES)
        return jnp.concatenate([state.params[None], params]), distance

    return [np.asarray(x) for x in run(jax.random.key(0))]


@pytest.fixture(scope="module")
def apart():
    return trajectory(generative_consensus.replicas(loss, optax.adam(0.1), PROFILES))


@pytest.fixture(scope="module")
def together():
    rule = gossip.server()
    learner = generative_consensus.replicas(loss, optax.sgd(0.1), PROFILES, rule=rule, every=2)
    return trajectory(learner)


def test_the_float32_replica_is_the_plain_training_loop(apart):
    optimizer = optax.adam(0.1)
    w = jnp.zeros(3)
    opt_state = optimizer.init(w)
    for t in range(STEPS):
        grads = jax.grad(loss)(w, jax.tree.map(lambda x, t=t: x[t], BATCHES))
        updates, opt_state = optimizer.update(grads, opt_state, w)
        w = optax.apply_updates(w, updates)
    np.testing.assert_allclose(apart[0][-1, 0], w, atol=1e-6)


def test_small_batches_differ_by_rounding_only_and_half_precision_by_more(apart):
    params, distance = apart
    np.testing.assert_allclose(params[:, 1], params[:, 0], atol=1e-6)
    assert (distance[:, 0] == 0).all()
    assert 1e-5 < distance[-1, 3] < distance[-1, 2] < 0.1
    norm = np.linalg.norm(params[-1], axis=1)
    expected = np.linalg.norm(params[-1] - params[-1, :1], axis=1) / norm[0]
    np.testing.assert_allclose(distance[-1], expected, rtol=1e-4)


def test_exchanges_stand_before_the_steps_that_every_divides(together):
    """Without momentum, one step from the average is one step of each from equal parameters."""
    params, _ = together
    for t in range(STEPS):
        mixed = params[t].mean(axis=0) if t and t % 2 == 0 else params[t, 0]
        batch = jax.tree.map(lambda x, t=t: x[t], BATCHES)
        np.testing.assert_allclose(
            params[t + 1, 0], mixed - 0.1 * jax.grad(loss)(mixed, batch), atol=1e-6
        )


def test_distance_of_a_claimed_update():
    start, claim = {"w": np.zeros((1, 2))}, {"w": np.array([[0.0, 1.0]])}
    reruns = {"w": np.array([[0.0, 2.0]])}
    found = generative_consensus.relative_distance(claim, reruns, start)
    np.testing.assert_allclose(found, [0.5])
    with pytest.raises(ValueError, match="params, reference"):
        generative_consensus.relative_distance(claim, np.zeros((1, 2)))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantized_weights_lie_on_a_grid_of_their_column(bits):
    kernel = RNG.standard_normal((6, 4)).astype(np.float32)
    found = generative_consensus.quantized({"kernel": kernel, "bias": kernel[0]}, bits)
    scale = np.abs(kernel).max(axis=0) / (2 ** (bits - 1) - 1)
    rounded = np.asarray(found["kernel"])
    assert np.abs(rounded - kernel).max() <= 0.5001 * scale.max()
    levels = rounded / scale
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    np.testing.assert_array_equal(found["bias"], kernel[0])
    again = generative_consensus.quantized(found, bits)
    np.testing.assert_allclose(again["kernel"], rounded, atol=1e-6)


def generate(weights, noise):
    return jax.nn.sigmoid(noise @ weights).reshape(-1, 8, 8)


def test_constant_images_are_not_verifiable_and_ties_need_a_rule():
    weights, noise = np.zeros((4, 64), np.float32), np.ones((2, 4), np.float32)
    shown = profiles.run(generate, weights, noise, "float32")
    verdict = generative_consensus.verify(
        generate, weights, noise, shown, verifiers=("float16", "bfloat16"), ties="accept"
    )
    assert not verdict.accepted.any()
    assert not verdict.verifiable.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generate": 3}, "generate"),
        ({"verifiers": ()}, "verifiers"),
        ({"verifiers": "bfloat16"}, "verifiers"),
        ({"verifiers": ("float16", "bfloat16")}, "ties"),
        ({"verifiers": ("float8",)}, "unknown verifiers"),
        ({"kind": "md5"}, "unknown kind"),
        ({"claimed": np.zeros((2, 4, 4))}, "images"),
        ({"claimed": np.full((2, 8, 8), np.nan)}, "images"),
    ],
)
def test_verification_refuses(change, message):
    good = {
        "generate": generate,
        "params": np.zeros((4, 64), np.float32),
        "jobs": np.ones((2, 4), np.float32),
        "claimed": np.zeros((2, 8, 8)),
    }
    with pytest.raises(ValueError, match=message):
        generative_consensus.verify(**(good | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": 3}, "loss"),
        ({"optimizer": 0.1}, "optimizer"),
        ({"profiles": ()}, "profiles"),
        ({"profiles": "float32"}, "profiles"),
        ({"profiles": ["op by op"]}, "profiles"),
        ({"profiles": ["batch 7"]}, "profiles"),
        ({"rule": "server"}, "rule"),
        ({"every": 0}, "every"),
    ],
)
def test_replicas_refuse(change, message):
    good = {"loss": loss, "optimizer": optax.sgd(0.1), "profiles": ["float32"]}
    with pytest.raises(ValueError, match=message):
        generative_consensus.replicas(**(good | change))


@pytest.mark.parametrize("rows", [{"x": np.zeros((3, 3)), "y": np.zeros(3)},
                                  {"x": np.zeros((4, 3)), "y": np.zeros(2)}])  # fmt: skip
def test_replicas_refuse_batches_that_do_not_divide(rows):
    learner = generative_consensus.replicas(loss, optax.sgd(0.1), [SMALL])
    state = jax.eval_shape(learner.init, jnp.zeros(3))
    with pytest.raises(ValueError, match="batch"):
        jax.eval_shape(learner.step, jax.random.key(0), state, rows)


def test_bits_out_of_range():
    with pytest.raises(ValueError, match="bits"):
        generative_consensus.quantized({}, 1)
