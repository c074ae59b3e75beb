"""Steps, critics, step-DAPO, offline baselines and PPO: laws, controls and masks."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, language
from jaxswarm.models import transformer
from tests.language.step_world import (
    END,
    EXISTS,
    GROUP,
    LENGTH,
    MODEL,
    NEWLINE,
    NUMBER,
    PROBLEMS,
    REWARDS,
    STEPS,
    TOKENIZER,
    VALUES,
    lines,
)

RNG = np.random.default_rng(0)


@jax.jit
def dapo(key, params, rollouts, values, beta):
    """Two gradient steps with values as data; also the scored steps and the loss."""
    learner = language.step_dapo(MODEL, lambda _: values, optax.adam(1e-2), beta=beta, batch_size=4)
    start = learner.init(params, rollouts)
    state, info = learner.step(key, start)
    return learner.step(key, state)[0], start.data, info


def shape_of(rollouts):
    return rollouts.tokens.shape[1], GROUP + GROUP * (STEPS - 1) * NUMBER


def test_rows_continue_the_responses_from_their_states(rollouts):
    """Context is that of the response; the first sampled step starts at a boundary."""
    assert len(set(shape_of(rollouts))) == 1
    found = jax.tree.map(np.asarray, rollouts)
    first = found.first[:, GROUP:].reshape(-1, GROUP, STEPS - 1, NUMBER)
    assert (first == np.array([1, 2])[None, None, :, None]).all()
    assert (found.first[:, :GROUP] == 0).all()
    tokens, mask, ids = (
        x[:, GROUP:].reshape(-1, GROUP, STEPS - 1, NUMBER, LENGTH)
        for x in (found.tokens, found.mask, found.step_ids)
    )
    seen = 0
    for q, g, b, m in np.ndindex(*tokens.shape[:-1]):
        k = b + 1
        own = found.mask[q, g] & (found.step_ids[q, g] < k)
        exists = (found.mask[q, g] & (found.step_ids[q, g] == k)).any()
        assert mask[q, g, b, m].any() == exists
        if exists:
            seen += 1
            assert (tokens[q, g, b, m][own] == found.tokens[q, g][own]).all()
            assert (ids[q, g, b, m][own] < k).all()
            assert tokens[q, g, b, m][own.sum() - 1] == NEWLINE
    assert seen > 5
    chex.assert_trees_all_equal(
        rollouts.step_ids, jnp.minimum(transformer.step_ids(rollouts.tokens, NEWLINE), STEPS - 1)
    )


def test_values_are_means_of_the_completions(rollouts):
    found = jax.tree.map(np.asarray, rollouts)
    later = found.rewards[:, GROUP:].reshape(-1, GROUP, STEPS - 1, NUMBER).mean(-1)
    states = np.asarray(rollouts.states)
    np.testing.assert_allclose(found.values[:, 0, 0], found.rewards[:, :GROUP].mean(1), rtol=1e-6)
    assert (found.counts[:, 0, 0] == GROUP).all()
    assert (found.counts[:, 1, 0] == 0).all()
    inner = states[:, :GROUP, 1:]
    np.testing.assert_allclose(found.values[:, :GROUP, 1:][inner], later[inner], rtol=1e-6)
    assert (found.counts[:, :GROUP, 1:][inner] == NUMBER).all()
    assert (found.counts[~states] == 0).all()
    assert ((found.counts[:, GROUP:] > 0).sum(-1) <= 1).all()  # states after the first new step


def test_responses_without_an_end_have_reward_0(rollouts):
    found = jax.tree.map(np.asarray, rollouts)
    ended = ((found.tokens == END) & found.mask).any(-1)
    assert (~ended & found.mask.any(-1)).any()
    assert (found.rewards[~ended] == 0).all()
    assert (found.rewards[ended] > 0).any()
    advantages = language.step_advantages(rollouts.values + 0.5, rollouts.rewards, rollouts.states)
    assert np.asarray(advantages)[~ended & found.mask.any(-1)].any()  # they count


def test_the_number_of_tokens_leaves_context_out(rollouts):
    found = jax.tree.map(np.asarray, rollouts)
    wanted = 0
    for q, r in np.ndindex(*found.rewards.shape):
        wanted += (found.mask[q, r] & (found.step_ids[q, r] >= found.first[q, r])).sum()
    assert rollouts.num_tokens == wanted < found.mask.sum()


def test_advantages_add_up_to_the_reward_minus_the_first_value():
    poisoned = jnp.where(EXISTS, VALUES, jnp.nan)
    found = language.step_advantages(poisoned, REWARDS, EXISTS)
    np.testing.assert_allclose(found.sum(-1), REWARDS - VALUES[..., 0], atol=1e-6)
    assert not np.asarray(found)[~np.asarray(EXISTS)].any()
    full = language.step_advantages(poisoned, REWARDS, EXISTS, gae_lambda=1.0)
    wanted = jnp.where(EXISTS, REWARDS[..., None] - VALUES, 0.0)
    np.testing.assert_allclose(full, wanted, atol=1e-6)


def test_generalized_advantages_are_those_of_a_loop():
    found = language.step_advantages(VALUES, REWARDS, EXISTS, discount=0.9, gae_lambda=0.7)
    for i in np.ndindex(4, 6):
        count, later = int(EXISTS[i].sum()), 0.0
        for k in reversed(range(count)):
            following = REWARDS[i] if k == count - 1 else 0.9 * VALUES[i][k + 1]
            later = float(following - VALUES[i][k]) + 0.9 * 0.7 * later
            assert found[i][k] == pytest.approx(later, abs=1e-5)


def test_value_loss_is_the_likelihood_of_the_completions():
    logits, values = jnp.array([0.3, -1.0, 2.0]), jnp.array([0.25, 1.0, 0.5])
    counts = jnp.array([4.0, 1.0, 0.0])
    p = jax.nn.sigmoid(logits)
    wanted = -(jnp.log(p[0]) + 3 * jnp.log1p(-p[0]) + jnp.log(p[1])) / 5
    assert language.value_loss(logits, values, counts) == pytest.approx(float(wanted), rel=1e-5)
    slope = jax.grad(language.value_loss)(logits.at[2].set(jnp.nan), values, counts)
    np.testing.assert_allclose(slope, jnp.array([4.0, 1.0, 0.0]) * (p - values) / 5, atol=1e-6)
    assert language.value_loss(logits, values, jnp.zeros(3)) == 0


@pytest.mark.slow
def test_a_critic_learns_the_values_and_starts_from_the_policy(params, rollouts, critic):
    assert critic.losses[0] == pytest.approx(np.log(2), rel=1e-4)  # its head starts at 0
    assert critic.losses[-5:].mean() < critic.losses[0] - 0.05
    values = critic(rollouts)
    assert ((values >= 0) & (values <= 1)).all()
    kept = np.asarray(rollouts.counts) >= NUMBER
    pair = np.asarray(values)[kept], np.asarray(rollouts.values)[kept]
    assert np.corrcoef(*pair)[0, 1] > 0.5
    start = language.value_params(MODEL, params)
    chex.assert_trees_all_equal({k: v for k, v in start.items() if k != "value"}, params)


def test_a_critic_values_the_state_and_not_what_follows(rollouts, critic):
    """Changing the tokens from a step on leaves the values up to that step alone."""
    changed = rollouts._replace(
        tokens=jnp.where(rollouts.step_ids >= 1, TOKENIZER.token("1"), rollouts.tokens)
    )
    np.testing.assert_allclose(critic(changed)[..., :2], critic(rollouts)[..., :2], atol=1e-5)


def test_shuffled_values_are_a_permutation_of_those_of_states(rollouts, critic):
    values, states = np.asarray(critic(rollouts)), np.asarray(rollouts.states)
    moved = np.asarray(language.shuffled_critic(jax.random.key(3), critic)(rollouts))
    np.testing.assert_allclose(np.sort(moved[states]), np.sort(values[states]))
    assert (moved[states] != values[states]).mean() > 0.5
    np.testing.assert_allclose(moved[~states], values[~states])


def test_the_oracle_values_prefixes_of_the_solution(rollouts):
    """Responses that are the solutions have the mean values; a slip in line 2 has 0 after it."""
    solutions = jnp.broadcast_to(PROBLEMS.solutions[:, None], rollouts.tokens.shape)
    mask = jnp.broadcast_to(PROBLEMS.solution_mask[:, None], rollouts.tokens.shape)
    ids = transformer.step_ids(solutions, NEWLINE)
    right = rollouts._replace(
        tokens=solutions, mask=mask, step_ids=ids, first=jnp.zeros_like(rollouts.first),
        values=jnp.broadcast_to(jnp.array([0.1, 0.5, 0.9]), rollouts.values.shape),
        counts=jnp.ones_like(rollouts.counts),
    )  # fmt: skip
    oracle = language.oracle_critic(PROBLEMS, right)
    np.testing.assert_allclose(oracle(right), right.values, atol=1e-6)
    wrong = right._replace(tokens=jnp.where((ids == 1) & (solutions != NEWLINE), 5, solutions))
    np.testing.assert_allclose(oracle(wrong)[..., :2], right.values[..., :2], atol=1e-6)
    assert not oracle(wrong)[..., 2].any()


@pytest.mark.slow
def test_step_dapo_fits_the_sampled_steps_only(params, rollouts):
    """At the start the loss is half the mean square of A / β over sampled steps."""
    values = jnp.asarray(RNG.random(rollouts.values.shape), jnp.float32)
    _, data, info = dapo(jax.random.key(4), params, rollouts, values, 0.5)
    wanted = language.step_advantages(values, rollouts.rewards, rollouts.states)
    np.testing.assert_allclose(data.advantages, wanted, atol=1e-6)
    assert (np.asarray(data.mask) == np.asarray(rollouts.sampled_steps)).all()
    assert info.loss > 0
    loose = language.step_quadratic_loss(
        data.reference, data.reference, data.advantages, data.mask, beta=0.5
    )
    kept = np.asarray(data.mask)
    half = 0.5 * np.mean(np.square(np.asarray(data.advantages)[kept] / 0.5))
    assert loose == pytest.approx(half, rel=1e-5)


@pytest.mark.slow
def test_rows_as_questions_have_the_same_steps(params, rollouts):
    """Values, states and log-probabilities do not change; prompts are repeated."""
    rows = language.response_rows(rollouts)
    shape = rollouts.values.shape
    assert rows.tokens.shape == (shape[0] * shape[1], 1, LENGTH)
    for name in ("values", "counts", "states", "sampled_steps", "rewards"):
        whole = getattr(rollouts, name)
        np.testing.assert_array_equal(getattr(rows, name).reshape(whole.shape), whole)
    log_probs = jax.jit(lambda p, r: language.rollout_step_log_probs(MODEL, p, r))
    found = log_probs(params, rows).reshape(shape)
    np.testing.assert_allclose(found, log_probs(params, rollouts), atol=1e-5)


def test_steps_in_states_of_little_value_do_not_count(params, rollouts):
    values = jnp.asarray(RNG.random(rollouts.values.shape), jnp.float32)
    learner = language.step_dapo(MODEL, lambda _: values, min_value=0.5)
    mask = jax.jit(learner.init)(params, rollouts).data.mask
    np.testing.assert_array_equal(mask, rollouts.sampled_steps & (values >= 0.5))
    assert 0 < mask.sum() < rollouts.sampled_steps.sum()


def test_reference_log_probs_leave_the_prompt_out(params, rollouts):
    """The steps of a response add up to the log-probability of its tokens, given the question."""
    found = jax.jit(lambda p, r: language.rollout_step_log_probs(MODEL, p, r))(params, rollouts)
    scores = jax.jit(lambda p: transformer.completion_log_probs(
        MODEL, p, PROBLEMS.prompts, PROBLEMS.prompt_mask, rollouts.tokens, rollouts.mask
    ))(params)  # fmt: skip
    np.testing.assert_allclose(found.sum(-1), scores.sum(-1), atol=1e-4)


@pytest.mark.slow
def test_advantages_of_zero_leave_the_policy_and_others_move_it(params, rollouts):
    """With V = 0 and no reward the reference policy is the minimum; β scales the advantage."""
    none = rollouts._replace(rewards=jnp.zeros_like(rollouts.rewards))
    zero = jnp.zeros_like(rollouts.values)
    state, _, info = dapo(jax.random.key(4), params, none, zero, 0.1)
    assert info.loss < 1e-8
    moved, _, _ = dapo(jax.random.key(4), params, rollouts, zero, 0.1)
    gap = optax.tree.norm(jax.tree.map(lambda a, b: a - b, moved.params, params))
    assert gap > 10 * optax.tree.norm(jax.tree.map(lambda a, b: a - b, state.params, params))


@pytest.mark.slow
def test_rows_that_are_padding_have_no_influence(params, rollouts):
    values = jnp.asarray(RNG.random(rollouts.values.shape), jnp.float32)
    padding = ~rollouts.mask.any(-1)
    assert padding.any()
    poisoned = rollouts._replace(rewards=jnp.where(padding, 7.0, rollouts.rewards))
    one, _, _ = dapo(jax.random.key(4), params, rollouts, values, 0.3)
    two, _, _ = dapo(jax.random.key(4), params, poisoned, values, 0.3)
    chex.assert_trees_all_equal(one.params, two.params)


def pair_of_responses():
    """To each question one response that is all 1 and one that is all 2, the first is better."""
    tokens = jnp.broadcast_to(jnp.array([[[3, END], [4, END]]]), (4, 2, 2))
    return language.Rollouts(
        PROBLEMS.prompts,
        PROBLEMS.prompt_mask,
        tokens,
        jnp.ones(tokens.shape, bool),
        jnp.broadcast_to(jnp.array([0.5, -0.5]), (4, 2)),
    )


@pytest.mark.parametrize(
    "name", ["dpo", pytest.param("response_quadratic", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_response_level_learners_prefer_the_better_response(params, name):
    learner = getattr(language, name)(MODEL, optax.adam(1e-2), beta=0.3, batch_size=3)
    data = pair_of_responses()

    @jax.jit
    def train(key, params, data):
        def one(state, key):
            return learner.step(key, state)

        return jax.lax.scan(one, learner.init(params, data), jax.random.split(key, 15))

    state, info = train(jax.random.key(5), params, data)
    assert info.loss[-1] < info.loss[0]
    odds = []
    for p in (params, state.params):
        found = language.rollout_log_probs(MODEL, p, data).sum(-1)
        odds.append((found[:, 0] - found[:, 1]).mean())
    assert odds[1] > odds[0] + 0.5
    equal = data._replace(advantages=jnp.zeros_like(data.advantages))
    same, info = train(jax.random.key(5), params, equal)
    if name == "dpo":  # no pairs: no gradient
        chex.assert_trees_all_equal(same.params, params)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["token", "step"])
def test_ppo_raises_the_reward_and_trains_its_critic(params, level):
    options = {} if level == "token" else {"separator": NEWLINE, "num_steps": 2}

    def ones(problems, completions):
        hits = completions.mask & (completions.tokens == TOKENIZER.token("1"))
        return jnp.mean(hits.astype(jnp.float32), axis=-1)

    learner = language.ppo(
        MODEL, optax.adam(1e-2), ones, num_samples=6, max_new_tokens=4, num_updates=3, **options
    )

    @jax.jit
    def train(key, params):
        def one(state, key):
            return learner.step(key, state, PROBLEMS)

        return jax.lax.scan(one, learner.init(params), jax.random.split(key, 50))

    state, info = train(jax.random.key(6), params)
    assert info.reward[-5:].mean() > info.reward[:3].mean() + 0.3
    assert state.critic_params["value"]["kernel"].any()
    chex.assert_tree_all_finite(info)


@pytest.mark.slow
def test_agents_learn_side_by_side(params, rollouts):
    """N offline learners with data of their own are N learners."""
    values = jnp.asarray(RNG.random(rollouts.values.shape), jnp.float32)
    learner = language.step_dapo(MODEL, lambda _: values, optax.adam(1e-2), batch_size=2)
    many = language.independent(learner)
    both = agents.broadcast(params, 2)
    data = jax.tree.map(lambda x: jnp.stack([x, x]), rollouts)
    state, _ = jax.jit(many.step)(jax.random.key(7), many.init(both, data), None)
    key = jax.random.fold_in(jax.random.key(7), 1)
    alone, _ = jax.jit(learner.step)(key, learner.init(params, rollouts))
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[1], state.params), alone.params, atol=1e-3)


@pytest.mark.slow
def test_with_one_step_there_are_no_completions(params):
    """K = 1: a row for each response, whose advantage is its reward minus the question's value."""
    found = jax.jit(
        lambda key, params: language.sample_steps(
            key, MODEL, params, PROBLEMS, lines, separator=NEWLINE, num_steps=1, num_samples=GROUP,
            max_new_tokens=LENGTH,
        )
    )(jax.random.key(1), params)  # fmt: skip
    assert found.tokens.shape == (4, GROUP, LENGTH)
    assert found.values.shape == (4, GROUP, 1)
    assert found.counts[..., 0].tolist() == [[GROUP, 0.0]] * 4
    advantages = language.step_advantages(found.values, found.rewards, found.states)
    np.testing.assert_allclose(
        advantages[:, 0, 0], found.rewards[:, 0] - found.rewards.mean(1), atol=1e-6
    )
