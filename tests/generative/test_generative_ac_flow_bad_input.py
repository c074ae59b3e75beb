"""Public functions of fine-tuning refuse bad values, naming the argument."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import generative, gossip, topology
from jaxswarm.models import flow
from tests.bad_input import (
    COUNT,
    FLAG,
    FUNCTION,
    INF,
    KEY,
    NAME,
    NAN,
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

MODEL = flow.from_network(flow.MLP(width=4, depth=1), (2,))
PARAMS = Later(jax.jit(MODEL.init), jax.random.key(0))
RANDOM = jax.random.key(1)
OTHER = Later(flow.from_network(flow.MLP(width=5, depth=1), (2,)).init, RANDOM)
DEEPER = Later(flow.from_network(flow.MLP(width=4, depth=2), (2,)).init, RANDOM)
DATA = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)
REWARDS = np.array([0.0, 1.0], np.float32)
NOISED = Later(flow.noised, RANDOM, DATA, flow.linear_path())
WIDE = np.zeros((2, 2), np.float32)
BATCH = (np.zeros(3), WIDE, "x", None, [[1.0], [2.0, 3.0]])
TIMES = (-0.1, 1.1, NAN, [0.5, 0.5, 0.5], "x")


def reward(x):
    return x[:, 0]


LEARNER = generative.orw_cfm(MODEL, reward, batch_size=4, num_steps=1)
STATE = Later(jax.jit(LEARNER.init), PARAMS, RANDOM)
W = Later(gossip.mixing, topology.ring(3))
STATISTICS = Later(generative.reward_statistics)
SETTINGS = {
    "model": (*OBJECT, PARAMS),
    "reward": FUNCTION,
    "alpha": NOT_NEGATIVE,
    "optimizer": (3, "adam", [1]),
    "updates": SIZE,
    "refresh_every": tuple(value for value in SIZE if not hasattr(value, "dtype")),
    "batch_size": (1, *SIZE),
    "num_steps": SIZE,
    "method": NAME,
    "decay": (-0.1, 1.0, NAN, "x", [0.5]),
}
BUILT = {"model": MODEL, "reward": reward}
CALLS = {
    "ac_flow": Call(
        generative.ac_flow,
        BUILT,
        SETTINGS
        | {
            "clip": tuple(value for value in POSITIVE if value is not None),
            "warm_up": COUNT,
            "temperature": NOT_NEGATIVE,
            "shaping": NAME,
            "weighting": FUNCTION[1:],
            "critic": OBJECT[1:],
            "critic_optimizer": (3, "adam", [1]),
            "total_steps": SIZE,
        },
    ),
    "ac_flow, too long a warm-up": Call(
        generative.ac_flow, BUILT | {"warm_up": 5, "total_steps": 6}, {"warm_up": (6, 7)}
    ),
    "naive_actor_critic": Call(
        generative.naive_actor_critic, BUILT, SETTINGS | {"temperature": NOT_NEGATIVE}
    ),
    "orw_cfm": Call(
        generative.orw_cfm, BUILT, SETTINGS | {"temperature": NOT_NEGATIVE, "shaping": NAME}
    ),
    "reward_ranked": Call(generative.reward_ranked, BUILT, SETTINGS | {"share": (0.0, *SHARE)}),
    "init": Call(
        LEARNER.init,
        {"params": PARAMS, "key": RANDOM},
        {"key": KEY, "reference": (OTHER, DEEPER, 3.0), "inputs": OBJECT[1:]},
    ),
    "step": Call(LEARNER.step, {"key": RANDOM, "state": STATE}, {"inputs": OBJECT[1:]}),
    "critic_from_network": Call(
        generative.critic_from_network,
        {"module": generative.CriticMLP((4,)), "shape": (2,)},
        {
            "module": (*OBJECT, flow.MLP(width=4)),
            "shape": (2, None, "x", (0,), (2.5,)),
            "num_classes": SIZE,
            "condition_shape": (2, "x", (0,), (2.5,)),
        },
    ),
    "clip_advantages": Call(
        generative.clip_advantages,
        {"advantages": REWARDS, "clip": 0.5},
        {"clip": POSITIVE, "advantages": (WIDE, "x", None)},
    ),
    "exponential_weights": Call(
        generative.exponential_weights,
        {"advantages": REWARDS, "temperature": 1.0},
        {
            "temperature": NOT_NEGATIVE,
            "advantages": (WIDE, "x", None),
            "where": (np.ones(2), np.ones(3, bool), "x"),
        },
    ),
    "function_weights": Call(
        generative.function_weights,
        {"advantages": REWARDS, "weighting": jax.nn.softplus},
        {"weighting": (*FUNCTION, jnp.sum), "advantages": (WIDE, "x", None)},
    ),
    "top_share_weights": Call(
        generative.top_share_weights,
        {"rewards": REWARDS, "share": 0.5},
        {"share": (0.0, *SHARE), "rewards": (WIDE, "x", None)},
    ),
    "update_statistics": Call(
        generative.update_statistics,
        {"statistics": STATISTICS, "rewards": REWARDS},
        {"rewards": (WIDE, "x", None), "decay": (-0.1, 1.0, NAN, "x")},
    ),
    "shape_rewards": Call(
        generative.shape_rewards,
        {"rewards": REWARDS, "statistics": STATISTICS},
        {"rewards": (WIDE, "x", None)},
    ),
    "check_rewards": Call(
        generative.check_rewards,
        {"rewards": REWARDS},
        {"rewards": (np.ones(4), [1.0, NAN], [1.0, INF], WIDE, [], "x")},
    ),
    "weighted_loss": Call(
        generative.weighted_loss,
        {"model": MODEL, "params": PARAMS, "state": NOISED, "weights": REWARDS},
        {"alpha": NOT_NEGATIVE, "weights": BATCH, "reference": (OTHER, DEEPER)},
    ),
    "critic_error": Call(
        generative.critic_error,
        {
            "critic": generative.Critic(lambda key: (), lambda p, x, t, c: jnp.zeros(len(x))),
            "params": (),
            "state": NOISED,
            "targets": REWARDS,
        },
        {
            "targets": BATCH,
            "critic": (generative.Critic(lambda key: (), lambda p, x, t, c: jnp.zeros(1)),),
        },
    ),
    "optimal_values": Call(
        generative.optimal_values,
        {"data": DATA, "rewards": REWARDS, "x": DATA, "t": 0.5},
        {"rewards": BATCH, "x": (np.zeros((2, 3)), "x"), "t": TIMES},
    ),
    "fine_tuned_velocity": Call(
        generative.fine_tuned_velocity,
        {"data": DATA, "rewards": REWARDS, "x": DATA, "t": 0.5, "temperature": 1.0},
        {
            "rewards": BATCH,
            "x": (np.zeros((2, 3)), "x"),
            "t": TIMES,
            "temperature": NOT_NEGATIVE,
            "alpha": NOT_NEGATIVE,
            "clip": POSITIVE,
            "use_critic": FLAG,
        },
    ),
    "decentralized": Call(
        generative.decentralized,
        {"algorithm": LEARNER, "gossip": Later(gossip.averaging, W)},
        {
            "algorithm": (*OBJECT, generative.ac_flow),
            "gossip": (*OBJECT, W, gossip.averaging),
            "network": OBJECT[1:],
        },
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_values_are_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


MODULES = {
    f"_{name}"
    for name in (
        "ac_flow",
        "closed_form",
        "critic",
        "decentralized",
        "fine_tuning",
        "losses",
        "rewards",
        "weights",
    )
}


def test_every_public_function_is_a_member():
    mine = {
        name
        for name in generative.__all__
        if callable(getattr(generative, name))
        and not isinstance(getattr(generative, name), type)
        and getattr(generative, name).__module__.rpartition(".")[2] in MODULES
    }
    assert mine - {"reward_statistics"} <= set(CALLS)  # which has no arguments


@pytest.mark.parametrize("returned", [np.zeros(3), np.zeros((4, 1)), 1.0, "x"])
def test_a_reward_of_another_shape_is_refused(returned):
    learner = generative.orw_cfm(MODEL, lambda x: returned, batch_size=4, num_steps=1)
    with pytest.raises(ValueError, match=r"reward: expected one number for each sample"):
        learner.init(PARAMS.value, RANDOM)
    with pytest.raises(ValueError, match=r"reward: expected one number for each sample"):
        learner.step(RANDOM, STATE.value)


def test_an_unknown_shaping_is_refused():
    with pytest.raises(ValueError, match=r"unknown shaping 'standardise'.*standardize"):
        generative.shape_rewards(REWARDS, generative.reward_statistics(), "standardise")


def test_agents_of_another_number_are_refused():
    def towards(x, direction):
        return x @ direction

    one = generative.orw_cfm(MODEL, towards, batch_size=4, num_steps=1)
    learner = generative.decentralized(one, gossip.averaging(W.value))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), PARAMS.value)
    with pytest.raises(ValueError, match=r"inputs: leaf \.context must lead with 3 agents"):
        learner.init(stacked, RANDOM, generative.Request(context=jnp.ones((2, 2))))
