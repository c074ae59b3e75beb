"""Losses of language agents: closed forms, gradients by finite differences, masks, bad input."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import language
from tests.bad_input import FLAG, INF, NAN, NOT_NEGATIVE, POSITIVE, SHARE, Call, cases, refuses

RNG = np.random.default_rng(0)
SHAPE = (2, 4, 5)
LOG_PROBS, OLD, REFERENCE = (
    jnp.asarray(-RNG.exponential(size=SHAPE), jnp.float32) for _ in range(3)
)
LENGTHS = RNG.integers(1, 6, SHAPE[:2])
MASK = jnp.asarray(np.arange(5)[None, None] < LENGTHS[..., None])
ADVANTAGES = jnp.asarray(RNG.normal(size=SHAPE[:2]), jnp.float32)
STEP_ADVANTAGES = jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)
PAIRS = tuple(jnp.asarray(RNG.normal(size=6), jnp.float32) for _ in range(4))


def slope_is_that_of_finite_differences(function, x, eps=1e-2):
    """Along a random direction, central differences."""
    direction = jnp.asarray(np.random.default_rng(1).normal(size=x.shape), jnp.float32)
    slope = jnp.sum(jax.grad(function)(x) * direction)
    difference = (function(x + eps * direction) - function(x - eps * direction)) / (2 * eps)
    np.testing.assert_allclose(slope, difference, rtol=3e-2, atol=2e-3)


def test_group_advantages():
    rewards = RNG.random((3, 8)).astype(np.float32)
    found = language.group_advantages(rewards)
    wanted = (rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(found.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(1), 1, atol=1e-5)
    centered = language.group_advantages(rewards, normalize=False)
    np.testing.assert_allclose(centered, rewards - rewards.mean(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-6, 1e6])
def test_groups_without_variance_have_no_advantage(value):
    """Exactly zero, also where the mean of equal numbers is rounded, and so is the gradient."""
    rewards = jnp.full((2, 8), value, jnp.float32)
    assert not language.group_advantages(rewards).any()
    slope = jax.grad(lambda r: jnp.sum(language.group_advantages(r) ** 2))(rewards)
    assert not slope.any()


def test_masked_responses_do_not_count_in_a_group():
    rewards = jnp.array([[1.0, 0.0, jnp.nan, 1.0], [1.0, jnp.nan, jnp.nan, 0.0]])
    mask = ~jnp.isnan(rewards)
    found = language.group_advantages(rewards, mask)
    np.testing.assert_allclose(
        found[0, [0, 1, 3]], language.group_advantages(rewards[0, [0, 1, 3]])
    )
    assert found[1].tolist() == [1.0, 0.0, 0.0, -1.0]
    assert not language.group_advantages(rewards, jnp.zeros_like(mask)).any()


def test_grpo_loss_by_hand():
    found = language.grpo_loss(
        LOG_PROBS,
        ADVANTAGES,
        MASK,
        old_log_probs=OLD,
        clip_low=0.2,
        clip_high=0.28,
        reference_log_probs=REFERENCE,
        kl_weight=0.3,
    )
    total = divergence = outside = count = 0.0
    for q, g, t in np.argwhere(np.asarray(MASK)):
        ratio = np.exp(float(LOG_PROBS[q, g, t] - OLD[q, g, t]))
        advantage = float(ADVANTAGES[q, g])
        total -= min(ratio * advantage, np.clip(ratio, 0.8, 1.28) * advantage)
        gap = float(REFERENCE[q, g, t] - LOG_PROBS[q, g, t])
        divergence += np.exp(gap) - gap - 1
        outside += not 0.8 <= ratio <= 1.28
        count += 1
    assert found.kl == pytest.approx(divergence / count, rel=1e-4)
    assert found.loss == pytest.approx((total + 0.3 * divergence) / count, rel=1e-4)
    assert found.clip_fraction == pytest.approx(outside / count)
    assert found.kl >= 0


def test_one_update_is_weighted_likelihood():
    """Without old log-probabilities the gradient is that of A log π, and clipping is inert."""

    def surrogate(x):
        return language.grpo_loss(x, ADVANTAGES, MASK).loss

    def likelihood(x):
        return -jnp.sum(jnp.where(MASK, x * ADVANTAGES[..., None], 0.0)) / MASK.sum()

    chex.assert_trees_all_close(
        jax.grad(surrogate)(LOG_PROBS), jax.grad(likelihood)(LOG_PROBS), atol=1e-6
    )
    assert language.grpo_loss(LOG_PROBS, ADVANTAGES, MASK).clip_fraction == 0


def test_clipping_stops_the_gradient_on_one_side():
    """Beyond the clip range only a move back towards it has a gradient."""
    old = jnp.log(jnp.array([[0.1, 0.1], [0.9, 0.9]]))
    new = jnp.log(jnp.array([[0.2, 0.2], [0.3, 0.3]]))
    for sign, moves in ((1.0, [0, 1]), (-1.0, [1, 0])):
        slope = jax.grad(
            lambda x, s=sign: language.grpo_loss(x, jnp.full(2, s), old_log_probs=old).loss
        )(new)
        assert (slope != 0).all(axis=1).tolist() == [bool(m) for m in moves]


def test_token_advantages_and_permutations():
    spread = jnp.broadcast_to(ADVANTAGES[..., None], SHAPE)
    a = language.grpo_loss(LOG_PROBS, ADVANTAGES, MASK, old_log_probs=OLD)
    chex.assert_trees_all_close(
        a, language.grpo_loss(LOG_PROBS, spread, MASK, old_log_probs=OLD), atol=1e-6
    )
    order = jnp.array([2, 0, 3, 1])
    shuffled = language.grpo_loss(
        LOG_PROBS[:, order], ADVANTAGES[:, order], MASK[:, order], old_log_probs=OLD[:, order]
    )
    chex.assert_trees_all_close(a, shuffled, atol=1e-6)


def test_reinforce_is_the_score_function():
    found = language.reinforce_loss(LOG_PROBS, ADVANTAGES, MASK)
    sums = np.where(MASK, LOG_PROBS, 0).sum(-1)
    assert found == pytest.approx(-(sums * np.asarray(ADVANTAGES)).mean(), rel=1e-4)
    slope_is_that_of_finite_differences(
        lambda x: language.reinforce_loss(x, ADVANTAGES, MASK), LOG_PROBS
    )
    # On a bandit with all arms enumerated: the gradient of the expected reward.
    logits, rewards = jnp.array([0.3, -0.5, 1.0]), jnp.array([1.0, 2.0, 4.0])
    probs = jax.nn.softmax(logits)

    def expected(x):
        log_probs = jax.nn.log_softmax(x)
        each = jnp.stack(
            [language.reinforce_loss(log_probs[i : i + 1], rewards[i]) for i in range(3)]
        )
        return jnp.sum(jax.lax.stop_gradient(probs) * each)

    wanted = -jax.grad(lambda x: jnp.sum(jax.nn.softmax(x) * rewards))(logits)
    chex.assert_trees_all_close(jax.grad(expected)(logits), wanted, atol=1e-6)


def test_dpo_by_hand():
    chosen, rejected, base, other = map(np.asarray, PAIRS)
    margin = 0.5 * ((chosen - base) - (rejected - other))
    found = language.dpo_loss(*PAIRS, beta=0.5)
    assert found == pytest.approx(np.log1p(np.exp(-margin)).mean(), rel=1e-5)
    weight = jnp.array([1.0, 2.0, 0.0, 0.0, 1.0, 0.0])
    broken = PAIRS[0].at[2].set(jnp.nan)
    each = np.log1p(np.exp(-margin))
    weighted = language.dpo_loss(broken, *PAIRS[1:], beta=0.5, weight=weight)
    assert weighted == pytest.approx((each[0] + 2 * each[1] + each[4]) / 4, rel=1e-5)
    slope = jax.grad(lambda x: language.dpo_loss(x, *PAIRS[1:], weight=weight))(broken)
    assert not slope[np.array([2, 3, 5])].any()
    chex.assert_tree_all_finite(slope)
    slope_is_that_of_finite_differences(lambda x: language.dpo_loss(x, *PAIRS[1:]), PAIRS[0])


def test_quadratic_losses_by_hand():
    found = language.response_quadratic_loss(LOG_PROBS, REFERENCE, ADVANTAGES, MASK, beta=0.5)
    ratio = np.where(MASK, LOG_PROBS - REFERENCE, 0).sum(-1)
    assert found == pytest.approx(0.5 * float(((ADVANTAGES / 0.5 - ratio) ** 2).mean()), rel=1e-4)
    steps = language.step_quadratic_loss(LOG_PROBS, REFERENCE, STEP_ADVANTAGES, MASK, beta=0.5)
    gap = np.asarray(STEP_ADVANTAGES / 0.5 - (LOG_PROBS - REFERENCE))[np.asarray(MASK)]
    assert steps == pytest.approx(0.5 * (gap**2).mean(), rel=1e-5)
    for function in (
        lambda x: language.response_quadratic_loss(x, REFERENCE, ADVANTAGES, MASK),
        lambda x: language.step_quadratic_loss(x, REFERENCE, STEP_ADVANTAGES, MASK),
    ):
        slope_is_that_of_finite_differences(function, LOG_PROBS)


def test_the_minimum_of_the_quadratic_loss_is_the_tilted_reference():
    """π ∝ π_ref exp(A / β) has loss ½ (log Σ π_ref exp(A / β))², the dropped partition function."""
    reference = jnp.log(jnp.array([0.2, 0.5, 0.3]))
    advantages = jnp.array([0.03, -0.02, 0.4 / 30])
    assert float(jnp.sum(jnp.exp(reference) * advantages)) == pytest.approx(0, abs=1e-6)
    tilted = jax.nn.log_softmax(reference + advantages / 0.1)
    log_partition = jax.nn.logsumexp(reference + advantages / 0.1)
    loss = language.step_quadratic_loss(tilted, reference, advantages)
    assert loss == pytest.approx(0.5 * float(log_partition) ** 2, rel=1e-3)
    assert log_partition < 0.05  # small, since E[A] = 0 under the reference


LOSSES = {
    "grpo": lambda x, m: (
        language.grpo_loss(
            x, ADVANTAGES, m, old_log_probs=OLD, reference_log_probs=REFERENCE, kl_weight=0.1
        ).loss
    ),
    "reinforce": lambda x, m: language.reinforce_loss(x, ADVANTAGES, m),
    "response": lambda x, m: language.response_quadratic_loss(x, REFERENCE, ADVANTAGES, m),
    "step": lambda x, m: language.step_quadratic_loss(x, REFERENCE, STEP_ADVANTAGES, m),
}


@pytest.mark.parametrize("name", list(LOSSES))
def test_masked_tokens_have_no_influence(name):
    function = LOSSES[name]
    for poison in (jnp.nan, jnp.inf, -jnp.inf):
        broken = jnp.where(MASK, LOG_PROBS, poison)
        assert function(broken, MASK) == function(LOG_PROBS, MASK)
        slope = jax.grad(function)(broken, MASK)
        chex.assert_trees_all_close(slope, jax.grad(function)(LOG_PROBS, MASK))
        assert not np.asarray(slope)[~np.asarray(MASK)].any()
    none = jnp.zeros(SHAPE, bool)
    assert function(LOG_PROBS, none) == 0
    assert not jax.grad(function)(LOG_PROBS, none).any()


NUMBERS = ("x", None, object(), [[1j]])


def changed(array, index, value):
    found = np.array(array)
    found[index] = value
    return found


OTHER = (np.asarray(LOG_PROBS)[0], np.zeros(3), *NUMBERS)
BROKEN = (changed(ADVANTAGES, (0, 0), NAN), changed(ADVANTAGES, (1, 1), INF), *OTHER)
MASKS = (np.asarray(MASK)[0], np.asarray(MASK, int), "x")
CALLS = {
    "group_advantages": Call(
        language.group_advantages,
        {"rewards": ADVANTAGES},
        {
            "rewards": (np.asarray(ADVANTAGES)[:, :1], 1.0, BROKEN[0], *NUMBERS),
            "mask": (MASK, ADVANTAGES, "x"),
            "normalize": FLAG,
        },
    ),
    "grpo_loss": Call(
        language.grpo_loss,
        {"log_probs": LOG_PROBS, "advantages": ADVANTAGES, "reference_log_probs": OLD},
        {
            "log_probs": NUMBERS,
            "advantages": BROKEN,
            "mask": MASKS,
            "old_log_probs": (OTHER[0], "x"),
            "reference_log_probs": (OTHER[0], "x"),
            "clip_low": SHARE,
            "clip_high": NOT_NEGATIVE,
            "kl_weight": NOT_NEGATIVE,
        },
    ),
    "reinforce_loss": Call(
        language.reinforce_loss,
        {"log_probs": LOG_PROBS, "advantages": ADVANTAGES},
        {"log_probs": NUMBERS, "advantages": BROKEN, "mask": MASKS},
    ),
    "dpo_loss": Call(
        language.dpo_loss,
        dict(
            zip(
                ("chosen", "rejected", "reference_chosen", "reference_rejected"), PAIRS, strict=True
            )
        ),
        {
            "chosen": NUMBERS,
            "rejected": OTHER,
            "reference_chosen": OTHER,
            "reference_rejected": OTHER,
            "beta": POSITIVE,
            "weight": (np.ones(5), -np.ones(6), "x"),
        },
    ),
    "response_quadratic_loss": Call(
        language.response_quadratic_loss,
        {"log_probs": LOG_PROBS, "reference_log_probs": OLD, "advantages": ADVANTAGES},
        {
            "log_probs": NUMBERS,
            "reference_log_probs": OTHER,
            "advantages": BROKEN,
            "mask": MASKS,
            "beta": POSITIVE,
        },
    ),
    "step_quadratic_loss": Call(
        language.step_quadratic_loss,
        {
            "step_log_probs": LOG_PROBS,
            "reference_step_log_probs": OLD,
            "advantages": STEP_ADVANTAGES,
        },
        {
            "step_log_probs": NUMBERS,
            "reference_step_log_probs": OTHER,
            "advantages": (changed(STEP_ADVANTAGES, (0, 0, 0), NAN), ADVANTAGES, *NUMBERS),
            "mask": MASKS,
            "beta": POSITIVE,
        },
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_a_divergence_needs_a_reference():
    with pytest.raises(ValueError, match="reference_log_probs: expected an array"):
        language.grpo_loss(LOG_PROBS, ADVANTAGES, kl_weight=0.1)
