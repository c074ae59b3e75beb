"""Every argument of the public functions of models.transformer refuses bad values by name."""

import inspect

import jax
import numpy as np
import pytest

from jaxswarm.models import transformer
from tests.bad_input import FLAG, KEY, NAME, NAN, NOT_NEGATIVE, OBJECT, SIZE, Call, cases, refuses
from tests.later import Later

CONFIG = transformer.Config(7, width=4, num_layers=1, num_heads=1)
MODEL = transformer.from_config(CONFIG)
RANDOM = jax.random.key(0)
INIT = jax.jit(MODEL.init)
PARAMS = Later(INIT, RANDOM)
TOKENS = np.array([[2, 3, 4], [5, 6, 2]], np.int32)
MASK = np.ones((2, 3), bool)
CACHE = Later(MODEL.start, 2, 4)
BAD_TOKENS = (
    [[7]],
    [[-1]],
    [[0.5]],
    [1, 2],
    "ab",
    None,
    3,
    [[NAN]],
    np.zeros((2, 0), np.int32),
    TOKENS * 1.0,
)
BAD_MASK = (np.ones((2, 3)), np.ones((2, 2), bool), "x", 3)
BAD_PARAMS = (None, {}, 3, Later(transformer.from_config(transformer.Config(9)).init, RANDOM))
STACKED = Later(jax.tree.map, lambda x: np.stack([x, x]), PARAMS)
GENERATE = {
    "key": RANDOM,
    "model": MODEL,
    "params": PARAMS,
    "prompts": TOKENS,
    "max_new_tokens": 2,
}
COMPLETE = {
    "model": MODEL,
    "params": PARAMS,
    "prompts": TOKENS,
    "prompt_mask": None,
    "completions": TOKENS,
}
BAD_COMPLETE = {
    "model": OBJECT,
    "params": (*BAD_PARAMS, STACKED),
    "prompts": BAD_TOKENS,
    "prompt_mask": BAD_MASK,
    "completions": (TOKENS[0], TOKENS[:1], [[7], [2]], TOKENS * 1.0),
    "completion_mask": BAD_MASK,
}
NAMED = {"prompt_mask": "prompts_mask", "completion_mask": "completions_mask"}
SWARM = transformer.families({"a": MODEL}, ["a", "a"])
CALLS = {
    "Config": Call(
        transformer.Config,
        {"vocab_size": 7},
        {
            "vocab_size": (1, *SIZE),
            "width": (3, 6, *SIZE),
            "num_layers": SIZE,
            "num_heads": (3, *SIZE),
            "hidden": SIZE,
            "activation": NAME,
            "value_head": FLAG,
            "rope_base": (1.0, 0.0, -1.0, NAN, "x", None),
            "dtype": NAME,
        },
        {"num_heads": "num_heads|number of heads"},
    ),
    "sized": Call(
        transformer.sized,
        {"size": "27k", "vocab_size": 9},
        {"size": NAME, "vocab_size": (1, *SIZE), "no_such": (1,)},
    ),
    "from_config": Call(transformer.from_config, {"config": CONFIG}, {"config": OBJECT}),
    "init": Call(MODEL.init, {"key": RANDOM}, {"key": KEY}),
    "apply": Call(
        MODEL.apply,
        {"params": PARAMS, "tokens": TOKENS},
        {"params": (*BAD_PARAMS, STACKED), "tokens": BAD_TOKENS, "mask": BAD_MASK},
    ),
    "start": Call(
        MODEL.start, {"batch_size": 2, "num_slots": 4}, {"batch_size": SIZE, "num_slots": SIZE}
    ),
    "extend": Call(
        MODEL.extend,
        {"params": PARAMS, "cache": CACHE, "tokens": TOKENS},
        {
            "params": BAD_PARAMS,
            "cache": OBJECT,
            "tokens": (*BAD_TOKENS, TOKENS[:1], np.ones((2, 5), int)),
            "mask": BAD_MASK,
        },
    ),
    "generate": Call(
        transformer.generate,
        GENERATE,
        {
            "key": KEY,
            "model": OBJECT,
            "params": (*BAD_PARAMS, STACKED),
            "prompts": BAD_TOKENS,
            "mask": (*BAD_MASK, MASK & [[True], [False]]),
            "max_new_tokens": SIZE,
            "num_samples": SIZE,
            "temperature": (*NOT_NEGATIVE, np.ones(3), -np.ones(2)),
            "top_k": (8, *SIZE),
            "end_token": (-1, 7, 2.5, "x", None),
            "pad_token": (-1, 7, 2.5, "x", None),
        },
        {"mask": "mask"},
    ),
    "beam_search": Call(
        transformer.beam_search,
        {
            "model": MODEL,
            "params": PARAMS,
            "prompts": TOKENS,
            "max_new_tokens": 2,
            "num_beams": 2,
        },
        {
            "model": OBJECT,
            "params": (*BAD_PARAMS, STACKED),
            "prompts": BAD_TOKENS,
            "mask": BAD_MASK,
            "max_new_tokens": SIZE,
            "num_beams": (8, *SIZE),
            "end_token": (-1, 7, 2.5, "x", None),
            "pad_token": (-1, 7, 2.5, "x", None),
        },
        {"mask": "mask"},
    ),
    "log_probs": Call(
        transformer.log_probs,
        {"model": MODEL, "params": PARAMS, "tokens": TOKENS},
        {"model": OBJECT, "params": BAD_PARAMS, "tokens": BAD_TOKENS, "mask": BAD_MASK},
    ),
    "completion_log_probs": Call(transformer.completion_log_probs, COMPLETE, BAD_COMPLETE, NAMED),
    "completion_outputs": Call(transformer.completion_outputs, COMPLETE, BAD_COMPLETE, NAMED),
    "token_log_probs": Call(
        transformer.token_log_probs,
        {"logits": np.zeros((2, 3), np.float32), "tokens": np.zeros(2, int)},
        {"tokens": (np.zeros(3, int), np.zeros((2, 3), int))},
    ),
    "step_ids": Call(
        transformer.step_ids,
        {"tokens": TOKENS, "separator": 2},
        {"tokens": ([[0.5]], [[-1]], "x"), "separator": (-1, 2.5, "x", None)},
    ),
    "step_log_probs": Call(
        transformer.step_log_probs,
        {"token_log_probs": np.zeros((2, 3), np.float32), "step_ids": TOKENS, "num_steps": 2},
        {
            "token_log_probs": ("x", None),
            "step_ids": (TOKENS[0], TOKENS * 1.0),
            "num_steps": SIZE,
            "mask": (MASK[0], TOKENS),
        },
    ),
    "lora": Call(
        transformer.lora,
        {"rank": 2},
        {
            "rank": SIZE,
            "alpha": (0.0, -1.0, NAN, "x", [1.0]),
            "targets": ("qkv", (), [3], None),
        },
    ),
    "lora.init": Call(
        lambda key, targets: transformer.lora(2, targets=targets).init(key, PARAMS.value),
        {"key": RANDOM, "targets": ("qkv",)},
        {"key": KEY, "targets": (("query",),)},
    ),
    "adapted": Call(
        transformer.adapted,
        {"model": MODEL, "params": PARAMS, "adapters": transformer.lora(1)},
        {"model": OBJECT, "adapters": OBJECT},
    ),
    "families": Call(
        transformer.families,
        {"models": {"a": MODEL}, "assignment": ["a"]},
        {
            "models": (None, {}, [MODEL], 3),
            "assignment": (None, "a", 3, ["b"], [], [3]),
        },
    ),
    "families.map": Call(
        lambda **given: SWARM.map(given["function"], given["params"], given["inputs"]),
        {
            "function": lambda m, p, x: x,
            "params": {"a": STACKED},
            "inputs": np.zeros((2, 1)),
        },
        {
            "function": OBJECT,
            "params": (None, {}, {"b": STACKED}, {"a": PARAMS}),
            "inputs": (np.zeros((3, 1)), np.zeros(())),
        },
    ),
    "check_model": Call(
        transformer.check_model,
        {"model": MODEL},
        {"model": OBJECT},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_every_function_is_in_the_table():
    functions = {n for n in transformer.__all__ if inspect.isfunction(getattr(transformer, n))}
    assert functions <= {*CALLS, "check_tokens", "sample_tokens"}  # those of arrays inside jit


def test_a_value_head_is_asked_for():
    with pytest.raises(ValueError, match="model: expected one with a value head"):
        transformer.check_model(MODEL, values=True)
