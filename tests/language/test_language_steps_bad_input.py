"""Steps, critics, step-DAPO, offline baselines and PPO refuse bad input by name."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import language
from jaxswarm.models import transformer
from tests.bad_input import FUNCTION, KEY, OBJECT, POSITIVE, SHARE, SIZE, Call, cases, refuses
from tests.language.step_world import EXISTS, LENGTH, MODEL, PROBLEMS, REWARDS, VALUES, lines

NUMBERS = np.asarray(VALUES)
SCALARS = {"key": jax.random.key(0), "model": MODEL}
BAD_STEPS = np.zeros((4, 14, LENGTH), np.int32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_ids": BAD_STEPS + 3}, "step_ids"),  # past the end
        ({"step_ids": BAD_STEPS[:, :2]}, "step_ids"),
        ({"first": np.full((4, 14), 3, np.int32)}, "first"),
        ({"values": np.full((4, 14, 3), 1.5, np.float32)}, "values"),
        ({"counts": np.zeros((4, 14, 3), np.float32)}, "counts: expected at least one completion"),
        (
            {"counts": np.ones((4, 14, 3), np.float32)},
            "counts: expected 0 for a step without tokens",
        ),
        ({"rewards": np.full((4, 14), np.nan, np.float32)}, "rewards"),
        ({"mask": np.ones((4, 14, 2), bool)}, "mask"),
    ],
)
def test_wrong_rollouts_are_refused(params, rollouts, change, message):
    with pytest.raises(ValueError, match=message):
        language.fit_critic(
            jax.random.key(0), MODEL, params, rollouts._replace(**change), num_updates=1
        )


@pytest.mark.slow
def test_other_vocabularies_and_nan_are_refused(params, rollouts, critic):
    other = transformer.from_config(transformer.Config(12, width=8, num_layers=1))
    learner = language.step_dapo(MODEL, critic._replace(model=language.with_value_head(other)))
    with pytest.raises(ValueError, match="critic: expected the vocabulary of model"):
        learner.init(params, rollouts)
    with pytest.raises(ValueError, match="params"):
        language.step_dapo(MODEL, critic).init(other.init(jax.random.key(0)), rollouts)
    with pytest.raises(ValueError, match="advantages"):
        language.step_dapo(MODEL, lambda r: r.values * jnp.nan).init(params, rollouts)
    with pytest.raises(ValueError, match="critic"):
        language.step_dapo(MODEL, lambda r: r.values[..., 0]).init(params, rollouts)
    with pytest.raises(ValueError, match="model"):
        language.step_outputs(MODEL, params, rollouts)


CALLS = {
    "sample_steps": Call(
        lambda **x: language.sample_steps(
            SCALARS["key"], params=None, max_new_tokens=4, temperature=1.0, **x
        ),
        {"model": MODEL, "problems": PROBLEMS, "reward": lines, "separator": 3, "num_steps": 2},
        {
            "model": OBJECT,
            "problems": OBJECT,
            "separator": SIZE[1:],
            "num_steps": SIZE,
            "num_samples": (1, *SIZE),
            "num_completions": SIZE,
        },
    ),
    "fit_critic": Call(
        lambda **x: language.fit_critic(params=None, **x),
        {**SCALARS, "rollouts": None},
        {"key": KEY, "rollouts": OBJECT},
    ),
    "step_dapo": Call(
        language.step_dapo,
        {"model": MODEL, "critic": lines},
        {
            "model": OBJECT,
            "critic": FUNCTION,
            "optimizer": OBJECT[1:],
            "beta": POSITIVE,
            "batch_size": SIZE,
            "min_value": SHARE,
        },
    ),
    "response_rows": Call(language.response_rows, {"rollouts": None}, {"rollouts": OBJECT}),
    "state_ids": Call(language.state_ids, {"rollouts": None}, {"rollouts": OBJECT}),
    "monte_carlo_values": Call(
        language.monte_carlo_values, {"rollouts": None}, {"rollouts": OBJECT}
    ),
    "dpo": Call(
        language.dpo,
        {"model": MODEL},
        {
            "model": OBJECT,
            "optimizer": OBJECT[1:],
            "beta": POSITIVE,
            "num_pairs": SIZE,
            "batch_size": SIZE,
        },
    ),
    "response_quadratic": Call(
        language.response_quadratic,
        {"model": MODEL},
        {"model": OBJECT, "optimizer": OBJECT[1:], "beta": POSITIVE, "batch_size": SIZE},
    ),
    "ppo": Call(
        language.ppo,
        {"model": MODEL, "optimizer": optax.adam(1e-3), "reward": lines, "max_new_tokens": 4},
        {
            "model": OBJECT,
            "optimizer": OBJECT,
            "critic_optimizer": OBJECT[1:],
            "reward": FUNCTION,
            "separator": (3, -1),
            "num_steps": (3, -1),
            "num_samples": (1, *SIZE),
            "max_new_tokens": SIZE,
            "num_updates": SIZE,
            "clip": SHARE,
            "discount": SHARE,
            "gae_lambda": SHARE,
            "temperature": POSITIVE,
            "top_k": SIZE,
        },
    ),
    "step_advantages": Call(
        language.step_advantages,
        {"values": VALUES, "rewards": REWARDS, "states": EXISTS},
        {
            "values": ("x", None, 1.0),
            "rewards": (np.asarray(REWARDS)[0], "x"),
            "states": (np.asarray(EXISTS)[0], NUMBERS, "x"),
            "discount": SHARE,
            "gae_lambda": SHARE,
        },
    ),
    "value_loss": Call(
        language.value_loss,
        {"logits": VALUES, "values": VALUES, "counts": VALUES},
        {
            "logits": ("x", None),
            "values": (NUMBERS[0], NUMBERS + 1, NUMBERS - 1, NUMBERS * np.float32(np.nan), "x"),
            "counts": (NUMBERS[0], NUMBERS - 1, NUMBERS * np.float32(np.nan), "x"),
        },
    ),
    "shuffled_critic": Call(
        language.shuffled_critic,
        {"key": SCALARS["key"], "critic": lines},
        {"key": KEY, "critic": FUNCTION},
    ),
    "oracle_critic": Call(
        language.oracle_critic,
        {"problems": PROBLEMS, "rollouts": None},
        {"problems": OBJECT},
    ),
    "score_steps": Call(
        lambda **x: language.score_steps(params=None, **x),
        {"model": MODEL, "critic": lines, "rollouts": None},
        {"model": OBJECT, "critic": FUNCTION, "rollouts": OBJECT},
    ),
    "with_value_head": Call(language.with_value_head, {"model": MODEL}, {"model": OBJECT}),
    "value_params": Call(
        language.value_params, {"model": MODEL, "params": None}, {"model": OBJECT}
    ),
    "step_outputs": Call(
        language.step_outputs,
        {"model": language.with_value_head(MODEL), "params": None, "rollouts": None},
        {"model": OBJECT, "rollouts": OBJECT},
    ),
    "rollout_step_log_probs": Call(
        language.rollout_step_log_probs,
        {"model": MODEL, "params": None, "rollouts": None},
        {"rollouts": OBJECT},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused(name, argument):
    refuses(CALLS[name], argument)


def test_every_function_of_these_modules_is_in_the_table():
    modules = ("_steps", "_critic", "_step_dapo", "_offline", "_ppo")
    public = {name: getattr(language, name) for name in language.__all__}
    functions = {
        name
        for name, value in public.items()
        if inspect.isfunction(value) and value.__module__.endswith(modules)
    }
    assert functions == set(CALLS) - {"value_loss"}
