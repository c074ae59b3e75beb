"""Minima of the step-level loss on a tree of two steps whose every path is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import brentq
from scipy.special import lambertw

from jaxswarm import language
from tests.language.step_world import GROUP, MODEL

STATES, ACTIONS, BETA = 4, 3, 0.25  # the root, and one state after each of its steps
REWARDS = np.array([[1.0, 0.1, 0.2], [0.0, 0.3, 0.9], [0.5, 0.5, 0.5]])
IDS = jnp.broadcast_to(jnp.arange(STATES)[:, None], (STATES, ACTIONS))


def loss_of(policy, log_probs, scores, states):
    policy, log_probs, scores = map(jnp.asarray, (policy, log_probs, scores))
    return language.step_quadratic_loss(policy, log_probs, scores, beta=BETA, states=states)


def reference(uniform):
    """Log-probabilities ``[S, A]`` of steps in states under the reference policy."""
    logits = np.random.default_rng(0).normal(size=(STATES, ACTIONS)) * (not uniform)
    return np.asarray(jax.nn.log_softmax(logits))


def advantages(log_probs):
    """Exact advantages under the reference policy, by enumeration, ``[S, A]``."""
    probs = np.exp(log_probs)
    values = (probs[1:] * REWARDS).sum(1)
    following = np.concatenate([values[None], REWARDS])
    return following - (probs * following).sum(1, keepdims=True)


def optimum(log_probs, scores):
    """``π_ref exp(A / β) / Z``, the maximizer of ``E A − β KL`` in each state."""
    return np.asarray(jax.nn.softmax(log_probs + scores / BETA))


def minimum(log_probs, scores, states):
    """Minimum of the loss over policies with logits of their own in each state, every step once."""

    def loss(logits):
        return loss_of(jax.nn.log_softmax(logits), log_probs, scores, states)

    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 800))

    def one(carry, _):
        logits, state = carry
        value, grads = jax.value_and_grad(loss)(logits)
        updates, state = optimizer.update(grads, state)
        return (logits + updates, state), value

    start = jnp.asarray(log_probs)
    (logits, _), losses = jax.jit(lambda x: jax.lax.scan(one, (x, optimizer.init(x)), length=800))(
        start
    )
    return np.asarray(jax.nn.softmax(logits)), float(losses[-1])


@pytest.mark.parametrize("uniform", [True, False])
def test_with_states_the_minimum_is_the_regularized_maximizer(uniform):
    """Whatever distribution steps come from: here each once, although π_ref is not uniform."""
    log_probs = reference(uniform)
    scores = advantages(log_probs)
    found, loss = minimum(log_probs, scores, IDS)
    np.testing.assert_allclose(found, optimum(log_probs, scores), atol=2e-3)
    assert loss < 1e-5
    best = np.log(optimum(log_probs, scores))
    exact = loss_of(best, log_probs, scores, IDS)
    assert exact < 1e-10


def test_without_states_the_minimum_is_another_distribution():
    """The log-ratio is ``A / β − W(λ exp(A / β))``: the best step gets less than it should."""
    log_probs = reference(uniform=True)
    scores = advantages(log_probs)
    found, loss = minimum(log_probs, scores, None)

    def ratios(state, multiplier):
        scaled = scores[state] / BETA
        return scaled - lambertw(multiplier * np.exp(scaled)).real

    for state in range(STATES):
        best = brentq(lambda x, s=state: np.exp(ratios(s, x)).mean() - 1.0, -1e-3, 100.0)
        wanted = np.exp(log_probs[state] + ratios(state, best))
        np.testing.assert_allclose(found[state], wanted, atol=2e-3)
    gap = optimum(log_probs, scores) - found
    assert (gap[1:3].max(1) > 0.05).all()
    assert loss > 0.05
    np.testing.assert_allclose(found[3], np.full(ACTIONS, 1 / 3), atol=2e-3)  # no advantages: Z = 1
    assert (found.argsort(1)[:3] == scores.argsort(1)[:3]).all()


def test_advantages_minus_the_log_partition_have_the_same_minimum():
    log_probs = reference(uniform=False)
    scores = advantages(log_probs)
    log_z = np.log((np.exp(log_probs + scores / BETA)).sum(1, keepdims=True))
    assert (log_z > -1e-6).all()  # by Jensen's inequality, as advantages are 0 on average
    best = np.log(optimum(log_probs, scores))
    shifted = loss_of(best, log_probs, scores - BETA * log_z, None)
    assert shifted < 1e-10
    assert loss_of(best, log_probs, scores, None) > 0.05


def test_an_error_in_the_value_of_a_state_has_no_influence_with_states():
    log_probs = reference(uniform=False)
    scores, error = advantages(log_probs), np.array([[0.4], [-0.3], [0.2], [0.1]])
    policy = np.asarray(jax.nn.log_softmax(2 * log_probs))

    def loss(scores, states):
        return loss_of(policy, log_probs, scores, states)

    assert loss(scores + error, IDS) == pytest.approx(float(loss(scores, IDS)), rel=1e-5)
    assert abs(loss(scores + error, None) - loss(scores, None)) > 0.1


def test_states_with_a_single_step_do_not_count():
    ids = jnp.array([0, 0, 2, 3])
    ratio, scores = jnp.array([0.5, -0.5, 9.0, 1.0]), jnp.array([0.2, 0.1, -5.0, jnp.nan])
    mask = jnp.array([True, True, True, False])
    found, slope = jax.value_and_grad(
        lambda x: language.step_quadratic_loss(x, jnp.zeros(4), scores, mask, beta=1.0, states=ids)
    )(ratio)
    assert found == pytest.approx(0.5 * 0.45**2)  # terms -.3 and .6, centered -.45 and .45
    np.testing.assert_allclose(slope, [0.225, -0.225, 0.0, 0.0], atol=1e-6)
    alone = language.step_quadratic_loss(ratio, jnp.zeros(4), ratio, states=jnp.arange(4))
    assert alone == 0


@pytest.mark.slow
def test_equal_numbers_of_states_are_equal_prefixes(rollouts):
    found, kept = np.asarray(language.state_ids(rollouts)), np.asarray(rollouts.states)
    tokens, mask, ids = (np.asarray(getattr(rollouts, x)) for x in ("tokens", "mask", "step_ids"))
    groups, pairs = {}, 0
    for q, r, k in np.argwhere(kept):
        prefix = (q, k, tuple(tokens[q, r][mask[q, r] & (ids[q, r] < k)]))
        groups.setdefault(prefix, set()).add(found[q, r, k])
        pairs += 1
    assert all(len(numbers) == 1 for numbers in groups.values())
    assert len(set().union(*groups.values())) == len(groups) < pairs
    assert 0 <= found.min() <= found.max() < found.size


def test_monte_carlo_values_are_means_over_what_was_sampled_from_a_state(rollouts):
    found, kept = np.asarray(language.monte_carlo_values(rollouts)), np.asarray(rollouts.states)
    ids, sampled = np.asarray(language.state_ids(rollouts)), np.asarray(rollouts.sampled_steps)
    rewards = np.broadcast_to(np.asarray(rollouts.rewards)[..., None], ids.shape)
    for number in np.unique(ids[kept]):
        own = kept & (ids == number)
        np.testing.assert_allclose(found[own], rewards[own & sampled].mean(), rtol=1e-5)
    responses = rewards[:, :GROUP, 0].mean(1)  # all of them start from the question
    np.testing.assert_allclose(found[:, :GROUP, 0], np.stack([responses] * GROUP, 1), rtol=1e-5)


@pytest.mark.parametrize("size", [2, 7])
def test_groups_of_rows_are_rows_of_the_same_question(rollouts, size):
    found = language.response_rows(rollouts, size)
    count, rows, length = rollouts.tokens.shape
    parts = rows // size
    assert found.tokens.shape == (count * parts, size, length)
    for q, part, i in ((0, 0, 1), (2, parts - 1, 0), (3, 1, size - 1)):
        chosen = found.tokens[q * parts + part, i], found.prompts[q * parts + part]
        np.testing.assert_array_equal(chosen[0], rollouts.tokens[q, part + i * parts])
        np.testing.assert_array_equal(chosen[1], rollouts.prompts[q])
    with pytest.raises(ValueError, match="size: expected a divisor of the 14 rows"):
        language.response_rows(rollouts, 5)


@pytest.mark.slow
def test_step_dapo_fits_the_log_partition_of_the_batch(params, rollouts):
    """At the start the loss is half the variance of A / β within states of several steps."""
    values = jnp.asarray(np.random.default_rng(1).random(rollouts.values.shape), jnp.float32)
    learner = language.step_dapo(
        MODEL, lambda _: values, beta=0.5, batch_size=3, log_partition="fitted"
    )
    state = jax.jit(learner.init)(params, rollouts)
    key = jax.random.key(3)
    _, info = jax.jit(learner.step)(key, state)
    rows = np.asarray(jax.random.randint(jax.random.split(key)[0], (3,), 0, len(values)))
    batch = jax.tree.map(lambda x: np.asarray(x)[rows], state.data)
    ids, scaled = np.asarray(language.state_ids(batch.rollouts)), batch.advantages / 0.5
    squares = []
    for number in np.unique(ids[batch.mask]):
        own = scaled[batch.mask & (ids == number)]
        squares += list((own - own.mean()) ** 2) if len(own) > 1 else []
    assert len(squares) > 5
    assert info.loss == pytest.approx(0.5 * np.mean(squares), rel=1e-4)


@pytest.mark.parametrize(
    ("states", "message"),
    [(np.zeros(2, int), "states: expected"), (np.full((2, 3), 6), "states: expected"),
     (np.zeros((2, 3)), "states: expected whole numbers")],
)  # fmt: skip
def test_states_of_another_shape_or_range_are_refused(states, message):
    zero = jnp.zeros((2, 3))
    with pytest.raises(ValueError, match=message):
        language.step_quadratic_loss(zero, zero, zero, states=states)


def test_step_dapo_refuses_a_log_partition_that_it_cannot_fit(params, rollouts):
    def critic(rows):
        return jnp.zeros(rows.values.shape)

    with pytest.raises(ValueError, match="unknown log_partition 'sampled'"):
        language.step_dapo(MODEL, critic, log_partition="sampled")
    learner = language.step_dapo(MODEL, critic, log_partition="fitted")
    with pytest.raises(ValueError, match="rollouts: expected several rows of each question"):
        learner.init(params, language.response_rows(rollouts))
