"""A verifiable task as an environment: conformance, the verifier's verdict, masks, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, language
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from tests.bad_input import OBJECT, SIZE, Call, cases, refuses

TOKENIZER = verifiable.tokenizer()
ITEMS = verifiable.draw_items(verifiable.chain_sums(3), 5, seed=0)
PROBLEMS = verifiable.to_arrays(ITEMS, TOKENIZER)
LENGTH = 7


def make(num_agents=3):
    return language.TokenEnv(PROBLEMS, TOKENIZER, num_agents, max_new_tokens=LENGTH)


def play(texts, seed=0):
    """Write a text for each agent, with an end token; the questions and what every step gave."""
    env = make(len(texts))
    state, first = env.reset(jax.random.key(seed))
    rows = np.asarray(state.world.row)
    rows = [TOKENIZER.encode(text(ITEMS[r]), end=True) for text, r in zip(texts, rows, strict=True)]
    step, steps = jax.jit(env.step), []
    for t in range(LENGTH):
        token = jnp.array([row[t] if t < len(row) else 0 for row in rows], jnp.int32)
        state, timestep = step(state, token)
        steps.append(timestep)
        if bool(timestep.last()):
            break
    return state, first, steps


@pytest.mark.slow
def test_the_environment_conforms():
    envs.conformance.check(make)


def test_the_reward_is_the_verdict_on_the_response():
    texts = (lambda i: i.solution, lambda i: i.answer, lambda i: i.solution + "7", lambda i: "9\n")
    state, _, steps = play(texts)
    total = np.sum([np.asarray(step.reward) for step in steps], axis=0)
    assert total.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert np.asarray(state.world.right).tolist() == [True, True, False, False]
    assert bool(steps[-1].last())
    assert not np.asarray(steps[-1].discount).any()
    assert not bool(steps[-1].extras["truncated"])


def test_agents_leave_with_their_end_token_and_what_follows_is_ignored():
    state, _, steps = play((lambda i: "1", lambda i: i.solution))
    assert np.asarray(steps[1].observation.agent_mask).tolist() == [False, True]
    assert state.world.length[0] == 2
    assert np.asarray(state.world.tokens)[0, 2:].tolist() == [0] * (LENGTH - 2)


def test_a_response_without_an_end_is_truncated_without_reward():
    env = make(1)
    state, timestep = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    for _ in range(LENGTH):
        assert not bool(timestep.last())
        state, timestep = step(state, jnp.array([TOKENIZER.token("1")]))
    assert bool(timestep.last())
    assert bool(timestep.extras["truncated"])
    assert (timestep.reward[0], timestep.discount[0]) == (0.0, 1.0)


def test_an_observation_is_what_a_policy_continues():
    """The logits at the last token are those that a completion of the question is drawn from."""
    model = transformer.from_config(transformer.Config(TOKENIZER.vocab_size, width=8))
    params = model.init(jax.random.key(0))
    _, first, steps = play((lambda i: i.solution, lambda i: i.answer))
    seen = steps[0].observation
    outputs = jax.jit(model.apply)(params, seen.tokens, seen.mask)
    row = int(seen.last[0])
    assert bool(seen.mask[0, row])
    length = int(first.observation.mask[0].sum())
    alone = jnp.append(first.observation.tokens[0, :length], seen.tokens[0, row])[None]
    wanted = jax.jit(model.apply)(params, alone).logits[0, -1]
    np.testing.assert_allclose(outputs.logits[0, row], wanted, atol=1e-4)


def test_questions_are_drawn_per_agent():
    env = make(64)
    state, _ = env.reset(jax.random.key(1))
    assert set(np.asarray(state.world.row).tolist()) == set(range(len(ITEMS)))
    fewer, _ = make(8).reset(jax.random.key(1))
    assert (np.asarray(fewer.world.row) == np.asarray(state.world.row)[:8]).all()


def test_tokens_outside_the_vocabulary_are_refused_or_wrong():
    env = make(2)
    state, _ = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match="action"):
        env.step(state, jnp.array([0, TOKENIZER.vocab_size]))
    after, _ = jax.jit(env.step)(state, jnp.array([-5, 10**6]))
    assert np.asarray(after.world.tokens)[:, 0].tolist() == [0, 0]


def test_it_draws():
    env = make(2)
    state, _ = env.reset(jax.random.key(0))
    assert len(env.render(state).texts) == 2


CALLS = {
    "TokenEnv": Call(
        language.TokenEnv,
        {"problems": PROBLEMS, "tokenizer": TOKENIZER},
        {
            "problems": OBJECT,
            "tokenizer": OBJECT,
            "num_agents": SIZE,
            "max_new_tokens": SIZE,
            "separator": (None, 3, "ab", "€"),
        },
        {"separator": "separator|character|text"},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused(name, argument):
    refuses(CALLS[name], argument)
