"""Off-policy estimators against exact values of a small decision process and their formulas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import data
from jaxswarm.rl.offline import evaluation

# Two states, two actions, deterministic moves, three steps; all 8 sequences of actions.
HORIZON, DISCOUNT = 3, 0.9
NEXT = np.array([[0, 1], [1, 0]])
REWARD = np.array([[[1.0, 0.0], [0.5, 2.0]], [[-1.0, 1.0], [3.0, 0.5]]])  # [state, action, m]
LOGGED = np.array([[0.7, 0.3], [0.4, 0.6]])
TARGET = np.array([[0.2, 0.8], [0.5, 0.5]])


def exact(policy):
    """Value of the first state, by the recursion that defines it."""
    value = np.zeros((2, 2))
    for _ in range(HORIZON):
        q = REWARD + DISCOUNT * value[NEXT]
        value = np.einsum("sa,sam->sm", policy, q)
    return value[0]


def path(actions):
    state, states = 0, []
    for action in actions:
        states.append(state)
        state = NEXT[state, action]
    return np.array(states)


def logged(sequences):
    """A log of the given sequences of actions, with the states that they lead to."""
    acts = np.array(sequences)
    states = np.stack([path(row) for row in acts])
    owners = np.repeat(np.arange(len(acts)), acts.shape[1])
    flat = (states.ravel(), acts.ravel())
    log = data.interactions(
        owners, flat[1], REWARD[flat], propensity=LOGGED[flat], features=flat[0]
    )
    return log, TARGET[states, acts], states, acts


ALL = list(itertools.product((0, 1), repeat=HORIZON))
LOG, PROBABILITY, STATES, ACTS = logged(ALL)
CHANCE = LOGGED[STATES, ACTS].prod(axis=1)


def expected_over_logs(estimate):
    """Mean of an estimator over logs of one session, weighed by how probable each is."""
    values = []
    for row in ALL:
        log, target, states, acts = logged([row])
        values.append(np.asarray(estimate(log, target, states, acts).value))
    return CHANCE @ np.stack(values)


def test_importance_sampling_is_unbiased():
    found = expected_over_logs(
        lambda log, target, *_: evaluation.ips(log, target, discount=DISCOUNT, floor=0.0)
    )
    np.testing.assert_allclose(found, exact(TARGET), rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_doubly_robust_is_unbiased_whatever_the_values_are(seed):
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(HORIZON, 2, 2, 2))
    v = np.einsum("sa,tsam->tsm", TARGET, q)
    step = np.arange(HORIZON)

    def estimate(log, target, states, acts):
        return evaluation.doubly_robust(
            log, target, q[step, states, acts], v[step, states], discount=DISCOUNT, floor=0.0
        )

    np.testing.assert_allclose(expected_over_logs(estimate), exact(TARGET), rtol=1e-4)


def test_exact_values_leave_doubly_robust_without_variance():
    value, qs = np.zeros((2, 2)), []
    for _ in range(HORIZON):
        q = REWARD + DISCOUNT * value[NEXT]
        value = np.einsum("sa,sam->sm", TARGET, q)
        qs.append((q, value))
    q = np.stack([qs[HORIZON - 1 - t][0][STATES[:, t], ACTS[:, t]] for t in range(HORIZON)], 1)
    v = np.stack([qs[HORIZON - 1 - t][1][STATES[:, t]] for t in range(HORIZON)], 1)
    found = evaluation.doubly_robust(LOG, PROBABILITY, q, v, discount=DISCOUNT, floor=0.0)
    np.testing.assert_allclose(found.value, exact(TARGET), rtol=1e-5)
    np.testing.assert_allclose(found.standard_error, 0.0, atol=1e-6)


def test_normalized_estimators_are_their_formulas():
    ratio = PROBABILITY / LOGGED[STATES, ACTS]
    rewards, power = REWARD[STATES, ACTS], DISCOUNT ** np.arange(HORIZON)
    weights = np.cumprod(ratio, axis=1)
    for cap, found in (
        (np.inf, evaluation.snips(LOG, PROBABILITY, discount=DISCOUNT, floor=0.0)),
        (1.1, evaluation.ncis(
            LOG, PROBABILITY, cap=1.1, per_step=False, discount=DISCOUNT, floor=0.0)),
    ):  # fmt: skip
        capped = np.minimum(weights, cap)
        means = np.einsum("st,stm->tm", capped, rewards) / capped.sum(0)[:, None]
        np.testing.assert_allclose(found.value, power @ means, rtol=1e-5)
        last = capped[:, -1]
        size = last.sum() ** 2 / (last**2).sum()
        np.testing.assert_allclose(found.effective_samples, size, rtol=1e-5)
    steps = np.minimum(ratio, 1.5)
    found = evaluation.ncis(LOG, PROBABILITY, cap=1.5, floor=0.0)
    want = np.einsum("st,stm->m", steps, rewards) / steps.sum()
    np.testing.assert_allclose(found.value, want, rtol=1e-5)


@pytest.mark.parametrize("name", ["ips", "snips", "ncis"])
def test_the_logged_policy_gets_its_mean_and_every_sample_counts(name):
    rng = np.random.default_rng(0)
    rows = [ALL[k] for k in rng.choice(len(ALL), 200, p=CHANCE)]
    log, _, states, acts = logged(rows)
    found = getattr(evaluation, name)(log, LOGGED[states, acts])
    rewards = REWARD[states, acts]
    want = rewards.mean((0, 1)) if name == "ncis" else rewards.sum(1).mean(0)
    np.testing.assert_allclose(found.value, want, rtol=1e-5)
    np.testing.assert_allclose(found.effective_samples, 600 if name == "ncis" else 200, rtol=1e-5)
    if name == "ips":
        error = rewards.sum(1).std(0, ddof=1) / np.sqrt(200)
        np.testing.assert_allclose(found.standard_error, error, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ips", "snips"])
def test_standard_errors_are_those_of_repeated_logs(name):
    rng, values, errors = np.random.default_rng(1), [], []
    estimate = jax.jit(lambda log, target: getattr(evaluation, name)(log, target, floor=0.0))
    for _ in range(300):
        rows = [ALL[k] for k in rng.choice(len(ALL), 200, p=CHANCE)]
        log, target, *_ = logged(rows)
        found = estimate(log, target)
        values.append(np.asarray(found.value))
        errors.append(np.asarray(found.standard_error))
    np.testing.assert_allclose(np.std(values, axis=0), np.mean(errors, axis=0), rtol=0.15)


def test_what_is_padded_has_no_influence_and_jit_equals_eager():
    acts = np.array([0, 1, 1, 0, 1])
    owners = np.array([0, 0, 0, 1, 1])
    rewards = np.arange(5.0)
    log = data.interactions(owners, acts, rewards, propensity=np.full(5, 0.5))
    spoiled = data.Interactions(
        log.features,
        np.where(log.mask, log.actions, 7),
        np.where(log.mask[..., None], log.rewards, np.nan),
        np.where(log.mask, log.propensities, 0.0),
        log.mask,
    )
    target = np.where(log.mask, 0.25, 0.0)
    for name in ("ips", "snips", "ncis"):
        estimate = getattr(evaluation, name)
        plain = estimate(log, target, floor=0.0)
        for other in (
            estimate(spoiled, target, floor=0.0),
            jax.jit(lambda log, p, f=estimate: f(log, p, floor=0.0))(log, target),
        ):
            for one, two in zip(plain, other, strict=True):
                np.testing.assert_allclose(one, two, rtol=1e-6)


def test_fitted_q_evaluation_finds_the_values_of_a_table():
    """Sessions that never end in a state with a future: values of an infinite horizon."""
    rng = np.random.default_rng(2)
    acts = rng.integers(0, 2, (40, 60))
    states = np.stack([path(row) for row in acts])
    flat = (states.ravel(), acts.ravel())
    log = data.interactions(
        np.repeat(np.arange(40), 60), flat[1], REWARD[flat], propensity=np.full(2400, 0.5)
    )
    one_hot = np.eye(4)[2 * states + acts]
    expected = (np.eye(2)[states][..., None] * TARGET[states][..., None, :]).reshape(40, 60, 4)
    found = evaluation.fitted_q_evaluation(
        log, one_hot[:, :, :], expected, discount=0.5, ridge=1e-6, num_iterations=60
    )
    moves = np.zeros((2, 2))
    for s, a in itertools.product(range(2), repeat=2):
        moves[s, NEXT[s, a]] += TARGET[s, a]
    mean = np.einsum("sa,sam->sm", TARGET, REWARD)
    value = np.linalg.solve(np.eye(2) - 0.5 * moves, mean)
    # The last of 60 steps is terminal: 1 part in 60 of the regression's targets has no future.
    np.testing.assert_allclose(found.value, value[0], rtol=0.05)
    assert found.q.shape == found.v.shape == log.rewards.shape


def test_fitted_q_evaluation_is_the_fixed_point_of_its_regression():
    rng = np.random.default_rng(3)
    x, mean = rng.normal(size=(8, 3, 2)), 0.3 * rng.normal(size=(8, 3, 2))
    found = evaluation.fitted_q_evaluation(LOG, x, mean, discount=0.5, ridge=0.1)
    after = np.concatenate([mean[:, 1:], np.zeros((8, 1, 2))], axis=1).reshape(24, 2)
    x = x.reshape(24, 2)
    y = REWARD[STATES, ACTS].reshape(24, 2)
    left = x.T @ (x - 0.5 * after) / 24 + 0.1 * np.eye(2)
    np.testing.assert_allclose(found.weights, np.linalg.solve(left, x.T @ y / 24), rtol=1e-4)


def test_too_few_effective_samples_are_refused_outside_jit_and_nan_inside():
    with pytest.raises(ValueError, match=r"effective sample size of at least 10 .*got"):
        evaluation.ips(LOG, PROBABILITY)
    with pytest.raises(ValueError, match="effective sample size"):
        evaluation.snips(LOG, np.zeros_like(PROBABILITY), floor=1.0)
    found = jax.jit(evaluation.ips)(LOG, PROBABILITY)
    assert np.isnan(found.value).all()
    assert float(found.effective_samples) < 10.0


ONES = np.ones((8, 3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.ips("x", PROBABILITY), "log: expected a Interactions"),
        (lambda: evaluation.ips(LOG, PROBABILITY[:2]), "target: expected"),
        (lambda: evaluation.snips(LOG, -PROBABILITY), "target: expected"),
        (lambda: evaluation.ips(LOG, PROBABILITY * np.nan), "target: expected"),
        (lambda: evaluation.ips(LOG, PROBABILITY, discount=1.5), "discount: expected"),
        (lambda: evaluation.ips(LOG, PROBABILITY, floor=-1.0), "floor: expected"),
        (lambda: evaluation.ncis(LOG, PROBABILITY, cap=0.0), "cap: expected"),
        (lambda: evaluation.ncis(LOG, PROBABILITY, per_step=2), "per_step: expected"),
        (lambda: evaluation.doubly_robust(LOG, PROBABILITY, ONES[:1], ONES), "q: expected"),
        (lambda: evaluation.doubly_robust(LOG, PROBABILITY, ONES, ONES * np.inf), "v: expected"),
        (lambda: evaluation.fitted_q_evaluation(LOG, ONES[:3], ONES), "features: expected"),
        (lambda: evaluation.fitted_q_evaluation(LOG, ONES, ONES[..., :1]), "expected: expected"),
        (lambda: evaluation.fitted_q_evaluation(LOG, ONES, ONES, discount=1.0), "discount: exp"),
        (lambda: evaluation.fitted_q_evaluation(LOG, ONES, ONES, ridge=0.0), "ridge: expected"),
        (lambda: evaluation.fitted_q_evaluation(LOG, ONES, ONES, num_iterations=0), "num_iter"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_estimates_are_differentiable_in_the_policy():
    slope = jax.grad(lambda p: evaluation.snips(LOG, p, floor=0.0).value.sum())(
        jnp.asarray(PROBABILITY)
    )
    assert bool(jnp.isfinite(slope).all())
    assert float(jnp.abs(slope).max()) > 0.0
