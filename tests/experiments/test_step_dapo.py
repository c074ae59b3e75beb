"""Laws of the step-DAPO experiment: its one training program is the library's learners."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness.compile import jit_fast_compile
from experiments.step_dapo import arms, sampling, training
from experiments.step_dapo.config import SCALES, Config
from experiments.step_dapo.programs import LOSSES, batch_loss, build
from experiments.step_dapo.world import NEWLINE, policy
from jaxswarm import language
from jaxswarm.language._steps import check_steps

CONFIG = dataclasses.replace(SCALES["smoke"], demonstrations=40, sft_updates=150)


@pytest.fixture(scope="module")
def programs():
    return build(CONFIG)


@pytest.fixture(scope="module")
def given(programs):
    return arms.start(CONFIG, programs, 3)


def test_rollouts_are_those_of_the_library(given):
    rollouts = jax.tree.map(jnp.asarray, given.rollouts)
    check_steps(rollouts)
    np.testing.assert_array_equal(sampling.states_of(given.rollouts), rollouts.states)
    np.testing.assert_array_equal(sampling.sampled_steps(given.rollouts), rollouts.sampled_steps)
    assert sampling.num_tokens(given.rollouts) == int(rollouts.num_tokens) == given.budget
    assert given.spent <= given.budget
    # A completion shares with its response what comes before its first step.
    for q, row in np.ndindex(given.rollouts.rewards.shape):
        if row >= CONFIG.samples and given.rollouts.mask[q, row].any():
            before = given.rollouts.step_ids[q, row] < given.rollouts.first[q, row]
            own = given.rollouts.tokens[q, (row - CONFIG.samples) // (CONFIG.terms - 2)]
            np.testing.assert_array_equal(given.rollouts.tokens[q, row][before], own[before])


def test_rewards_are_those_of_whole_solutions(given):
    train = given.data.train
    whole = np.asarray(train.solutions)[:, None]
    mask = np.asarray(train.solution_mask)[:, None]
    assert (sampling.rewards_of(train, whole, mask) == 1).all()
    assert (sampling.rewards_of(train, np.where(whole == NEWLINE, 0, whole), mask) == 0).all()


@pytest.mark.slow
def test_exact_values_are_the_pass_rates_of_samples(programs, given):
    test = given.data.test
    exact = sampling.exact_values(CONFIG, programs, given.params, test)
    assert (np.diff(exact, axis=1) >= 0).all()
    assert exact.max() <= 1
    samples = 60
    found = sampling.respond(
        CONFIG, programs, jax.random.key(8), given.params, test, samples
    ).rewards.mean(1)
    rate = exact[:, 0].mean()
    assert rate > 0.01  # it has learned something
    assert abs(found.mean() - rate) < 4 * np.sqrt(rate / (samples * len(found)))


@pytest.mark.slow
def test_ppo_keeps_to_the_budget(programs, given):
    more = given._replace(budget=1_500)  # enough for a right response among them
    params, critic, spent = arms.learn(CONFIG, programs, more, "ppo", (1e-3,))
    assert critic is not None
    assert 1_400 < spent <= 1_500
    assert any(
        bool(jnp.any(a != b))
        for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(given.params), strict=True)
    )


def _library_loss(given, rows, loss, moved):
    """Loss of the library's learner on all questions."""
    model = policy(CONFIG)
    if loss == "response":
        responses = language.Rollouts(
            rows.prompts, rows.prompt_mask, rows.tokens, rows.mask, rows.targets[..., 0]
        )
        found, reference = (
            language.rollout_log_probs(model, p, responses) for p in (moved, given.params)
        )
        return language.response_quadratic_loss(
            found, reference, responses.advantages, responses.mask, beta=0.3
        )
    rollouts = jax.tree.map(jnp.asarray, given.rollouts)
    scored = language.score_steps(
        model, given.params, lambda _: jnp.asarray(given.credit["values"]), rollouts
    )
    return language.step_quadratic_loss(
        language.rollout_step_log_probs(model, moved, rollouts), scored.reference,
        scored.advantages, scored.mask, beta=0.3,
        states=language.state_ids(rollouts) if loss == "partition" else None,
    )  # fmt: skip


def test_losses_are_those_of_the_learners(given):
    model = policy(CONFIG)
    moved = jax.tree.map(lambda x: 1.1 * x, given.params)
    compiled = jit_fast_compile(functools.partial(batch_loss, model, CONFIG.terms - 1), level=0)
    for loss in ("step", "partition", "response"):
        rows = given.responses
        if loss != "response":
            rows = given.rows._replace(
                targets=given.credit["advantages"]["step_dapo"], states=given.credit["states"]
            )
        found = compiled(moved, rows, jnp.int32(LOSSES.index(loss)), jnp.float32(0.3))
        wanted = _library_loss(given, rows, loss, moved)
        assert float(found) == pytest.approx(float(wanted), rel=1e-4)


def test_pairs_are_a_better_and_a_worse_response(given):
    advantages = given.responses.targets[..., 0]
    if not ((advantages > 0).any(1) & (advantages < 0).any(1)).any():
        targets = np.zeros_like(given.responses.targets)
        targets[:, 0], targets[:, 1] = 1, -1
        rows = given.responses._replace(targets=targets)
    else:
        rows = given.responses
    batch = training.draw_pairs(CONFIG, np.random.default_rng(0), rows, 5)
    half = CONFIG.rows // 2
    assert (batch.targets[:, :, :half, 0] > 0).all()
    assert (batch.targets[:, :, half:, 0] < 0).all()
    none = rows._replace(targets=np.zeros_like(rows.targets))
    assert (training.draw_pairs(CONFIG, np.random.default_rng(0), none, 2).weights == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "seeds: expected at least 2"),
        ({"audit_questions": 999}, "audit_questions: expected at most"),
        ({"samples": 3}, "samples, rows"),
        ({"groups": 5}, "groups: expected"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Config(), **change)
