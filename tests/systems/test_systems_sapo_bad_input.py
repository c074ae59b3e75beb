"""Wrong arguments of SAPO and malformed packets meet an error that names what is wrong."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.systems import sapo
from tests.bad_input import (
    FLAG,
    FUNCTION,
    KEY,
    NAME,
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
V = TOKENIZER.vocab_size
MODEL = transformer.from_config(transformer.Config(V, width=8, num_layers=1))
ITEMS = verifiable.draw_items(verifiable.reversal(2), 2, seed=0)
ARRAYS = verifiable.to_arrays(ITEMS, TOKENIZER)
RIGHT = np.stack([ARRAYS.solutions, ARRAYS.solutions], axis=1)
PACKETS = sapo.Packets(
    ARRAYS.prompts, ARRAYS.prompt_mask, ARRAYS.answers, ARRAYS.answer_lengths, RIGHT, RIGHT > 0
)
TEAM = sapo.Packets(*(None if x is None else np.asarray(x)[None] for x in PACKETS))
REWARD = language.exact_match_reward(NEWLINE)
RANDOM = jax.random.key(0)
LEARNER = sapo.sapo(MODEL, optax.sgd(0.1), REWARD, local=1, external=1, max_new_tokens=3)
STATE = Later(lambda: LEARNER.init(jax.vmap(MODEL.init)(jax.random.split(RANDOM, 2))))
PROBLEMS = jax.tree.map(lambda x: np.stack([x, x]), ARRAYS)
FAMILIES = {"a": sapo.Family(LEARNER, TOKENIZER, 3)}

CALLS = {
    "sapo": Call(
        sapo.sapo,
        {"model": MODEL, "optimizer": optax.sgd(0.1), "reward": REWARD, "max_new_tokens": 2},
        {
            "model": OBJECT,
            "optimizer": OBJECT,
            "reward": FUNCTION,
            "local": SIZE[1:],
            "external": SIZE[1:],
            "num_groups": (7, *SIZE),
            "num_samples": (1, *SIZE),
            "max_new_tokens": SIZE,
            "topology": OBJECT[1:],
            "max_age": SIZE[1:],
            "filter_local": FLAG,
            "negative_weight": SHARE,
            "ratio_mode": NAME,
            "forge": FUNCTION[1:],
            "tokenizer": OBJECT[1:],
            "clip_low": SHARE,
            "clip_high": NOT_NEGATIVE,
            "temperature": POSITIVE,
            "top_k": (0, 99, 2.5, "x"),
        },
        {"ratio_mode": "ratio_mode|unknown"},
    ),
    "choose_groups": Call(
        sapo.choose_groups,
        {"key": RANDOM, "eligible": np.ones(3, bool), "count": 2},
        {"key": KEY, "eligible": (None, 3, np.ones(3), np.ones((2, 2), bool)), "count": SIZE[1:]},
    ),
    "informative": Call(
        sapo.informative,
        {"rewards": np.ones((2, 3))},
        {"rewards": (None, "x", 1.0, np.ones(1), np.ones((3, 1)), 1j)},
    ),
    "verify": Call(
        sapo.verify,
        {"packets": PACKETS, "reward": REWARD},
        {"packets": OBJECT, "reward": (*FUNCTION, lambda problems, completions: jnp.ones(2))},
    ),
    "token_bytes": Call(sapo.token_bytes, {"tokenizer": TOKENIZER}, {"tokenizer": OBJECT}),
    "packet_bytes": Call(
        sapo.packet_bytes,
        {"packets": PACKETS, "sizes": np.ones(V, int)},
        {"packets": OBJECT, "sizes": (3, "x", [0.5], [[1]])},
    ),
    "check_packets": Call(
        sapo.check_packets,
        {"packets": PACKETS, "vocab_size": V, "num_samples": 2, "max_age": 1},
        {
            "packets": OBJECT,
            "vocab_size": SIZE,
            "num_samples": (1, *SIZE),
            "age": (2, *SIZE[1:]),
            "max_age": SIZE[1:],
        },
    ),
    "reencode_packets": Call(
        sapo.reencode_packets,
        {
            "packets": TEAM,
            "source": TOKENIZER,
            "target": tokenizers.character(verifiable.ALPHABET + "z"),
            "prompt_length": 6,
            "answer_length": 2,
            "max_new_tokens": 3,
        },
        {
            "packets": OBJECT,
            "source": OBJECT,
            "target": OBJECT,
            "prompt_length": SIZE,
            "answer_length": SIZE,
            "max_new_tokens": SIZE,
        },
        {"prompt_length": "prompts", "answer_length": "answers", "max_new_tokens": "tokens"},
    ),
    "padded_answers": Call(
        sapo.padded_answers,
        {"separator": NEWLINE, "vocab_size": V},
        {"separator": (-1, 2.5, "x", None), "vocab_size": SIZE},
    ),
    "mixed_round": Call(
        sapo.mixed_round,
        {
            "key": RANDOM,
            "families": FAMILIES,
            "states": {"a": STATE},
            "problems": {"a": PROBLEMS},
        },
        {
            "key": KEY,
            "families": (None, 3, {}, {"a": 3}),
            "states": (None, 3, {}, {"b": STATE}),
            "problems": (None, 3, {}, {"b": PROBLEMS}),
        },
    ),
    "step": Call(
        LEARNER.step,
        {"key": RANDOM, "state": STATE, "inputs": PROBLEMS},
        {
            "key": KEY,
            "state": OBJECT,
            "inputs": (
                *OBJECT,
                sapo.Round(None),  # pyright: ignore[reportArgumentType]
                sapo.Round(ARRAYS),
                sapo.Round(jax.tree.map(lambda x: x[:, :0], PROBLEMS)),
            ),
        },
        {"inputs": "inputs|problems"},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_every_function_is_in_the_table():
    functions = {name for name in sapo.__all__ if inspect.isfunction(getattr(sapo, name))}
    texts = {"round_with_texts", "text_packets"}  # test_systems_text_models.py
    assert functions - texts - {"solved"} == set(CALLS) - {"step"}


def test_good_packets_pass():
    assert sapo.check_packets(PACKETS, vocab_size=V, num_samples=2) is PACKETS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": RIGHT[:, :1]}, r"tokens: expected shape \[Q, 2, T\]"),
        ({"tokens": RIGHT * 1.0}, "tokens: expected whole numbers"),
        ({"tokens": RIGHT + V}, "tokens: expected whole numbers"),
        ({"mask": np.zeros(RIGHT.shape, bool)}, "mask: expected at least one token of each"),
        ({"mask": RIGHT}, "mask: expected bool"),
        ({"prompts": ARRAYS.prompts + V}, "prompts: expected whole numbers"),
        ({"answer_lengths": ARRAYS.answer_lengths * 0}, "answer_lengths: expected an answer"),
        ({"answer_lengths": ARRAYS.answer_lengths - 1}, "answer_lengths: expected the number of"),
        ({"answer_lengths": ARRAYS.answer_lengths + 1}, "answer_lengths: expected the number of"),
        ({"answer_lengths": None}, "answer_lengths: expected"),
        ({"answers": None}, "answers: expected"),
        ({"answers": ARRAYS.answers + V}, "answers: expected tokens in"),
        ({"log_probs": np.ones(RIGHT.shape)}, "log_probs"),
    ],
)
def test_malformed_packets_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        sapo.check_packets(PACKETS._replace(**changes), vocab_size=V, num_samples=2)


def test_a_group_that_comes_twice_is_refused():
    twice = sapo.Packets(*(None if x is None else np.repeat(x[:1], 2, axis=0) for x in PACKETS))
    with pytest.raises(ValueError, match="packets: expected each group once, got a duplicate"):
        sapo.check_packets(twice, vocab_size=V, num_samples=2)


def test_an_update_without_groups_and_a_swarm_without_sharers_are_refused():
    with pytest.raises(ValueError, match=r"local, external: expected at least one group.* 0 \+ 0"):
        sapo.sapo(MODEL, optax.sgd(0.1), REWARD, local=0, external=0, max_new_tokens=2)
    silent = sapo.Round(PROBLEMS, sharing=np.zeros(2, bool))
    with pytest.raises(ValueError, match="sharing: expected at least one agent that shares"):
        LEARNER.step(RANDOM, STATE.value, silent)
    few = sapo.sapo(MODEL, optax.sgd(0.1), REWARD, local=3, external=1, max_new_tokens=2)
    with pytest.raises(ValueError, match="problems: expected at least local=3 questions, got 2"):
        few.step(RANDOM, STATE.value, PROBLEMS)
    with pytest.raises(ValueError, match="num_groups: expected a number, since local is traced"):
        jax.jit(lambda i: sapo.sapo(MODEL, optax.sgd(0.1), REWARD, local=i, max_new_tokens=2)[0:0])(
            1
        )
