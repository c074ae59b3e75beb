"""Direct preference optimization of flows: by hand, its gradients, its pairs, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import generative
from jaxswarm.models import flow


def shift_model():
    """Predicts data: one learned point, whatever the noise."""
    return flow.from_functions(
        lambda key: jnp.zeros(2),
        lambda params, x, t, condition: jnp.broadcast_to(params[None], x.shape),
        (2,),
        prediction="data",
    )


PAIRS = generative.Preferences(np.full((3, 2), 1.0, np.float32), np.full((3, 2), -2.0, np.float32))


def loss_of(params, pairs=PAIRS, beta=2.0, key=None):
    key = jax.random.key(0) if key is None else key
    zero = jnp.zeros(2)
    return generative.preference_loss(shift_model(), params, zero, key, pairs, beta=beta)


LOSS = jax.jit(loss_of)


def test_the_loss_is_the_published_formula_by_hand():
    params = jnp.array([0.5, 0.1])
    loss, info = LOSS(params)
    gain = lambda data: np.mean(data**2 - (np.array([0.5, 0.1]) - data) ** 2)  # noqa: E731
    first, second = gain(1.0), gain(-2.0)
    assert float(loss) == pytest.approx(np.log1p(np.exp(-2.0 * (first - second))), rel=1e-5)
    assert float(info.winner_gain) == pytest.approx(first, rel=1e-5)
    assert float(info.loser_gain) == pytest.approx(second, rel=1e-5)
    assert float(info.accuracy) == 1.0


def test_the_reference_itself_has_log_two_and_no_gain():
    loss, info = LOSS(jnp.zeros(2))
    assert float(loss) == pytest.approx(np.log(2), rel=1e-6)
    assert float(info.winner_gain) == 0.0


def test_pairs_of_weight_zero_have_no_influence_even_if_nan():
    winner = np.concatenate([PAIRS.winner, np.full((1, 2), np.nan, np.float32)])
    loser = np.concatenate([PAIRS.loser, np.full((1, 2), np.nan, np.float32)])
    pairs = generative.Preferences(winner, loser, None, np.array([1, 1, 1, 0], np.float32))
    grad = jax.jit(jax.grad(lambda p: loss_of(p, pairs)[0]))(jnp.array([0.5, 0.1]))
    wanted = jax.jit(jax.grad(lambda p: loss_of(p)[0]))(jnp.array([0.5, 0.1]))
    np.testing.assert_allclose(grad, wanted, rtol=1e-5)


def test_training_moves_towards_winners_and_leaves_the_reference():
    learner = generative.dpo(shift_model(), optax.sgd(0.1), beta=2.0)
    state = learner.init(jnp.zeros(2))
    step = jax.jit(learner.step)
    for number in range(5):
        state, info = step(jax.random.key(number), state, PAIRS)
    assert (np.asarray(state.params) > 0.2).all()
    assert np.asarray(state.reference).tolist() == [0.0, 0.0]
    assert int(state.step) == 5
    assert np.isfinite(info.grad_norm)


def test_pairs_are_the_best_and_the_worst_finite_candidates():
    samples = np.arange(8.0, dtype=np.float32).reshape(2, 4, 1)
    scores = np.array([[0.1, np.nan, 0.9, -1.0], [3.0, 2.0, np.inf, 1.0]], np.float32)
    pairs = generative.preference_pairs(samples, scores)
    assert pairs.winner.ravel().tolist() == [2.0, 4.0]
    assert pairs.loser.ravel().tolist() == [3.0, 7.0]
    traced = jax.jit(generative.preference_pairs)(samples, np.ones((2, 4), np.float32))
    assert traced.weight.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generative.preference_pairs(np.zeros((2, 1, 3)), np.zeros((2, 1))), "samples"),
        (lambda: generative.preference_pairs(np.zeros((2, 2, 3)), np.zeros((2, 3))), "scores"),
        (lambda: generative.preference_pairs(np.zeros((2, 2, 3)), np.ones((2, 2))), "equal scores"),
        (lambda: generative.dpo(shift_model(), optax.sgd(0.1), beta=0.0), "beta"),
        (lambda: generative.dpo(3, optax.sgd(0.1), beta=1.0), "model"),
        (lambda: generative.dpo(shift_model(), 3, beta=1.0), "optimizer"),
        (lambda: loss_of(jnp.zeros(2), 3), "pairs"),
        (lambda: loss_of(jnp.zeros(3)), "reference"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
