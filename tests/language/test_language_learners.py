"""Learners of language agents: fine-tuning, GRPO, many agents side by side, bad input."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from tests.bad_input import (
    FUNCTION,
    KEY,
    NOT_NEGATIVE,
    OBJECT,
    POSITIVE,
    SHARE,
    SIZE,
    Call,
    cases,
    refuses,
)
from tests.later import Later

TOKENIZER = verifiable.tokenizer()
NEWLINE = TOKENIZER.token("\n")
MODEL = transformer.from_config(transformer.Config(TOKENIZER.vocab_size, width=16, num_layers=1))
ITEMS = verifiable.draw_items(verifiable.reverse_comparison(2), 6, seed=0)
PROBLEMS = jax.tree.map(jnp.asarray, verifiable.to_arrays(ITEMS, TOKENIZER))
ONE = TOKENIZER.token("1")


def ones(problems, completions):
    """Share of a response that is the character 1."""
    hits = completions.mask & (completions.tokens == ONE)
    return jnp.mean(hits.astype(jnp.float32), axis=-1)


EXACT = language.exact_match_reward(NEWLINE)


def make(**changes):
    options = {"num_samples": 6, "max_new_tokens": 4} | changes
    return language.grpo(MODEL, optax.adam(1e-2), options.pop("reward", ones), **options)


@jax.jit
def roll(key, params, problems=PROBLEMS):
    return language.sample_rollouts(
        key, MODEL, params, problems, ones, num_samples=6, max_new_tokens=4
    )


@jax.jit
def slope(params, rollouts):
    """Gradient of the loss, by its parts."""

    def loss(params):
        found = language.rollout_log_probs(MODEL, params, rollouts)
        return language.grpo_loss(found, rollouts.advantages, rollouts.mask).loss

    return jax.grad(loss)(params)


@jax.jit
def rate(key, params):
    return language.pass_rate(
        key, MODEL, params, PROBLEMS, separator=NEWLINE, max_new_tokens=4, num_samples=6
    )


@pytest.fixture(scope="module")
def params():
    return MODEL.init(jax.random.key(0))


@pytest.mark.slow
def test_demonstrations_are_learned_without_their_prompts(params):
    learner = language.sft(MODEL, optax.adam(1e-2), batch_size=16)
    loss = jax.jit(lambda p: language.sft_loss(MODEL, p, PROBLEMS))(params)
    scores = jax.jit(
        lambda p: transformer.completion_log_probs(
            MODEL,
            p,
            PROBLEMS.prompts,
            PROBLEMS.prompt_mask,
            PROBLEMS.solutions,
            PROBLEMS.solution_mask,
        )
    )(params)
    assert loss == pytest.approx(float(-scores[PROBLEMS.solution_mask].mean()), rel=1e-5)

    @jax.jit
    def train(key, state):
        return jax.lax.scan(
            lambda s, k: learner.step(k, s, PROBLEMS), state, jax.random.split(key, 150)
        )

    state, info = train(jax.random.key(1), learner.init(params))
    assert info.loss[0] == pytest.approx(np.log(TOKENIZER.vocab_size), rel=0.05)
    assert info.loss[-1] < 0.45  # the end is certain, the answer at worst a coin flip
    assert rate(jax.random.key(2), state.params) > 0.3


@pytest.mark.slow
def test_fine_tuning_stops_at_the_wanted_pass_rate(params):
    items = verifiable.draw_items(verifiable.reverse_comparison(2), 64, seed=3)
    demonstrations, wrong = verifiable.with_mistakes(items, 0.3, seed=4)
    assert wrong.sum() == 19
    options = {
        "separator": NEWLINE,
        "max_new_tokens": 3,
        "steps_per_check": 10,
        "batch_size": 16,
        "optimizer": optax.adam(1e-2),
    }
    data = verifiable.to_arrays(demonstrations, TOKENIZER)
    found = language.fine_tune(
        jax.random.key(0), MODEL, params, data, PROBLEMS, target=0.25, **options
    )
    assert found.reached
    assert found.pass_rates[0] < 0.05
    assert found.pass_rates[-1] >= 0.25 > max(found.pass_rates[:-1])
    assert found.num_steps == 10 * (len(found.pass_rates) - 1)
    short = language.fine_tune(
        jax.random.key(0), MODEL, params, data, PROBLEMS, target=0.99, max_steps=10, **options
    )
    assert not short.reached
    assert short.num_steps == 10


@pytest.mark.parametrize(
    "changes", [pytest.param({}, marks=pytest.mark.slow), {"num_updates": 2, "kl_weight": 0.01}]
)
def test_grpo_raises_the_reward(params, changes):
    learner = make(**changes)

    @jax.jit
    def train(key, state):
        return jax.lax.scan(
            lambda s, k: learner.step(k, s, PROBLEMS), state, jax.random.split(key, 60)
        )

    state, info = train(jax.random.key(3), learner.init(params))
    assert info.reward[:3].mean() < 0.15
    assert info.reward[-5:].mean() > 0.5
    chex.assert_tree_all_finite(info)
    assert (info.kl > 0).any() == ("kl_weight" in changes)
    if changes:
        chex.assert_trees_all_equal(state.reference, params)


@pytest.mark.slow
def test_without_variance_nothing_is_learned(params):
    """Equal rewards in each group: no gradient, no NaN, plain SGD stays to the bit."""
    learner = language.grpo(
        MODEL,
        optax.sgd(1.0),
        lambda problems, completions: jnp.full(completions.lengths.shape, 0.1),
        max_new_tokens=3,
    )
    state, info = jax.jit(learner.step)(jax.random.key(0), learner.init(params), PROBLEMS)
    chex.assert_trees_all_equal(state.params, params)
    assert (info.live, info.grad_norm, info.loss) == (0, 0, 0)


@pytest.mark.slow
def test_a_step_is_its_parts(params):
    """The update is that of grpo_loss on the rollouts of the same key."""
    learner = make(reward=ones)
    state, info = jax.jit(learner.step)(jax.random.key(5), learner.init(params), PROBLEMS)
    rollouts, rewards, completions = roll(jax.random.key(5), params)
    assert info.reward == pytest.approx(float(rewards.mean()))
    chex.assert_trees_all_close(rollouts.advantages, language.group_advantages(rewards), atol=1e-6)
    forced = jax.jit(lambda p: language.rollout_log_probs(MODEL, p, rollouts))(params)
    chex.assert_trees_all_close(forced, completions.log_probs, atol=1e-5)

    grads = slope(params, rollouts)
    assert info.grad_norm == pytest.approx(float(optax.tree.norm(grads)), rel=1e-3)
    moved = jax.tree.map(lambda a, b: a - b, state.params, params)
    step, _ = optax.adam(1e-2).update(grads, optax.adam(1e-2).init(params))
    np.testing.assert_allclose(jax.tree.leaves(moved)[0], jax.tree.leaves(step)[0], atol=2e-3)


@pytest.mark.slow
def test_padding_groups_have_no_gradient(params):
    """A group whose mask is false, such as an external one that is missing, changes nothing."""
    rollouts, _, _ = roll(jax.random.key(5), params)
    padded = jax.tree.map(lambda x: jnp.concatenate([x, x[:2]]), rollouts)
    padded = padded._replace(mask=padded.mask.at[6:].set(False))

    chex.assert_trees_all_close(slope(params, padded), slope(params, rollouts), atol=1e-5)


@pytest.mark.slow
def test_agents_learn_side_by_side(key):
    """N learners in one program are N learners; agent i draws from fold_in(key, i)."""
    learner = make(reward=EXACT)
    many = language.independent(learner)
    params = agents.initialize(key, MODEL.init, 3)
    inputs = jax.tree.map(lambda x: jnp.stack([x[:2], x[2:4], x[4:]]), PROBLEMS)
    state, info = jax.jit(many.step)(key, many.init(params), inputs)
    assert info.reward.shape == (3,)
    alone = learner.init(jax.tree.map(lambda x: x[1], params))
    own = jax.tree.map(lambda x: x[1], inputs)
    single, single_info = jax.jit(learner.step)(jax.random.fold_in(key, 1), alone, own)
    chex.assert_trees_all_close(
        jax.tree.map(lambda x: x[1], (state.params, info)), (single.params, single_info), atol=2e-4
    )


@pytest.mark.slow
def test_only_an_adapter_is_trained(params):
    adapters = transformer.lora(2)
    tuned = transformer.adapted(MODEL, params, adapters)

    def first(problems, completions):
        return completions.tokens[..., 0] * 1.0

    learner = language.grpo(tuned, optax.adam(1e-2), first, num_samples=4, max_new_tokens=2)
    state = learner.init(tuned.init(jax.random.key(1)))
    assert set(state.params) == {"block_0/qkv"}
    state, _ = jax.jit(learner.step)(jax.random.key(2), state, PROBLEMS)
    assert np.abs(state.params["block_0/qkv"]["b"]).max() > 0


def test_the_pass_rate_is_the_share_of_exact_answers(params):
    _, _, out = roll(jax.random.key(7), params)
    texts = [tokenizers.decode_batch(TOKENIZER, group) for group in np.asarray(out.tokens)]
    right = [
        [
            verifiable.final_line(text) == item.answer and bool(done)
            for text, done in zip(group, row, strict=True)
        ]
        for group, item, row in zip(texts, ITEMS, out.finished, strict=True)
    ]
    assert rate(jax.random.key(7), params) == pytest.approx(np.mean(right))
    np.testing.assert_array_equal(EXACT(PROBLEMS, out), right)


def test_rewards_of_another_shape_are_refused(params):
    learner = make(reward=lambda problems, completions: completions.lengths[:, 0] * 1.0)
    with pytest.raises(ValueError, match=r"reward: expected one for each response, shape \(6, 6\)"):
        jax.eval_shape(learner.step, jax.random.key(0), learner.init(params), PROBLEMS)


OTHER = transformer.from_config(transformer.Config(7, width=16, num_layers=1))
PARAMS = Later(MODEL.init, jax.random.key(0))
RANDOM = jax.random.key(0)
FAST = optax.sgd(0.1)
FINE = {
    "key": RANDOM,
    "model": MODEL,
    "params": PARAMS,
    "demonstrations": PROBLEMS,
    "validation": PROBLEMS,
    "target": 0.5,
    "separator": NEWLINE,
    "max_new_tokens": 2,
}
MEASURE = {
    "key": RANDOM,
    "model": MODEL,
    "params": PARAMS,
    "problems": PROBLEMS,
    "separator": NEWLINE,
    "max_new_tokens": 2,
}
ROLL = {
    "key": RANDOM,
    "model": MODEL,
    "params": PARAMS,
    "problems": PROBLEMS,
    "reward": ones,
    "num_samples": 2,
    "max_new_tokens": 2,
}
WRONG_PARAMS = (None, {}, 3, Later(OTHER.init, RANDOM))
TOKEN = (-1, 2.5, "x", None, True)
CALLS = {
    "sft": Call(
        language.sft,
        {"model": MODEL, "optimizer": FAST},
        {"model": OBJECT, "optimizer": OBJECT, "batch_size": SIZE},
    ),
    "sft_loss": Call(
        language.sft_loss,
        {"model": MODEL, "params": PARAMS, "problems": PROBLEMS},
        {"model": OBJECT, "params": WRONG_PARAMS, "problems": OBJECT},
    ),
    "fine_tune": Call(
        language.fine_tune,
        FINE,
        {
            "key": KEY,
            "model": OBJECT,
            "demonstrations": OBJECT,
            "validation": OBJECT,
            "target": (*SHARE, 0.0, 1.0),
            "separator": TOKEN,
            "steps_per_check": SIZE,
            "max_steps": SIZE[1:],
            "batch_size": SIZE,
        },
    ),
    "grpo": Call(
        language.grpo,
        {"model": MODEL, "optimizer": FAST, "reward": ones, "max_new_tokens": 2},
        {
            "model": OBJECT,
            "optimizer": OBJECT,
            "reward": FUNCTION,
            "num_samples": (1, *SIZE),
            "max_new_tokens": SIZE,
            "num_updates": SIZE,
            "clip_low": SHARE,
            "clip_high": NOT_NEGATIVE,
            "kl_weight": NOT_NEGATIVE,
            "temperature": POSITIVE,
            "top_k": (0, 99, 2.5, "x"),
        },
    ),
    "sample_rollouts": Call(
        language.sample_rollouts,
        ROLL,
        {
            "key": KEY,
            "model": OBJECT,
            "params": WRONG_PARAMS,
            "problems": OBJECT,
            "num_samples": (1, *SIZE),
            "max_new_tokens": SIZE,
        },
    ),
    "rollout_log_probs": Call(
        language.rollout_log_probs,
        {
            "model": MODEL,
            "params": PARAMS,
            "rollouts": language.Rollouts(
                PROBLEMS.prompts,
                PROBLEMS.prompt_mask,
                np.ones((6, 2, 3), np.int32),
                np.ones((6, 2, 3), bool),
                np.ones((6, 2), np.float32),
            ),
        },
        {"model": OBJECT, "params": WRONG_PARAMS, "rollouts": OBJECT},
    ),
    "pass_rate": Call(
        language.pass_rate,
        MEASURE,
        {
            "key": KEY,
            "model": OBJECT,
            "params": WRONG_PARAMS,
            "problems": OBJECT,
            "num_samples": SIZE,
            "temperature": NOT_NEGATIVE,
            "max_new_tokens": SIZE,
        },
    ),
    "exact_match_reward": Call(language.exact_match_reward, {"separator": 2}, {"separator": TOKEN}),
    "independent": Call(language.independent, {"algorithm": make()}, {"algorithm": OBJECT}),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_every_function_is_in_a_table():
    losses = {name for name in language.__all__ if name.endswith(("_loss", "_advantages"))}
    functions = {name for name in language.__all__ if inspect.isfunction(getattr(language, name))}
    elsewhere = ("_steps", "_critic", "_step_dapo", "_offline", "_ppo")  # test_language_steps.py
    elsewhere += ("_openai_compatible", "_worker_calls")  # test_language_endpoint_bad_input.py
    functions = {n for n in functions if not getattr(language, n).__module__.endswith(elsewhere)}
    assert functions - losses - {"generate"} == set(CALLS) - {"sft_loss"}
