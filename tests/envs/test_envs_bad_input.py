"""Every public function and environment refuses bad input by name."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs
from jaxswarm.envs import swarmbench
from jaxswarm.envs.swarmbench import flocking
from tests.later import Later
from tests.rl.bad_input import (
    COUNT,
    FLAG,
    FUNCTION,
    KEY,
    NAME,
    NAN,
    NUMBER,
    OBJECT,
    SIZE,
    THING,
    accepted,
    with_defaults,
)

KEY0 = jax.random.key(0)
SPREAD = envs.SimpleSpread(3)
PURSUIT = swarmbench.make("pursuit", num_agents=4, size=8)
RESET = Later(jax.jit(SPREAD.reset), KEY0)
STATE, FIRST = Later(lambda: RESET.value[0]), Later(lambda: RESET.value[1])
SIZES = {"num_agents": SIZE, "time_limit": SIZE}
OPTIONAL = tuple(value for value in SIZE if value is not None)
GRID = {"size": (*SIZE[:-2], [2, 2, 2], 1j)} | {"view": (*SIZE, 4), "message_length": COUNT}
GRID |= SIZES | {"vocabulary": (*SIZE, 1), "inbox": OPTIONAL, "observe_round": FLAG}
GRID |= {"as_features": FLAG, "faithful": FLAG}


class Blank:
    """An environment of another library."""


CASES: dict[str, Any] = {
    "Aloha": (envs.Aloha, SIZES | {"topology": THING}),
    "CaveEscape": (
        with_defaults(envs.CaveEscape, size=7),
        {"num_agents": SIZE, "size": (*SIZE, 3), "view": (*SIZE, 4), "time_limit": OPTIONAL},
    ),
    "CoordinationGame": (
        with_defaults(envs.CoordinationGame, num_agents=5, margin=1),
        SIZES | {"margin": (*OPTIONAL[1:], 5)},
    ),
    "CoverageEnergy": (envs.CoverageEnergy, SIZES),
    "DeepSeaTreasure": (envs.DeepSeaTreasure, SIZES),
    "CorridorMaze": (
        envs.CorridorMaze,
        {"num_agents": SIZE, "rows": SIZE, "columns": (*SIZE, 1), "time_limit": OPTIONAL},
    ),
    "Donations": (envs.Donations, SIZES | {"topology": THING}),
    "FeedEnv": (
        envs.FeedEnv,
        SIZES
        | {"num_candidates": SIZE, "num_factors": SIZE, "num_items": (*SIZE, 1)}
        | {"actions": (*NAME, "slate"), "seed": COUNT},
    ),
    "LiveFeedEnv": (
        envs.LiveFeedEnv,
        {"num_agents": SIZE, "num_groups": SIZE, "num_factors": SIZE, "num_items": (*SIZE, 1)}
        | {"num_days": SIZE, "requests_per_day": SIZE, "time_limit": OPTIONAL, "seed": COUNT},
    ),
    "MultiAgentCrafter": (
        with_defaults(envs.MultiAgentCrafter, num_agents=2, size=16, chunk=8),
        {"num_agents": (*SIZE, 15), "size": (*SIZE, 20), "time_limit": SIZE, "chunk": (*SIZE, 5)}
        | {"recipes": (3, "x", {}, {"collect": {}}), "max_plants": SIZE, "as_features": FLAG},
    ),
    "Pendulum": (envs.Pendulum, SIZES),
    "Porters": (envs.Porters, SIZES | {"num_agents": (*SIZE, 1)}),
    "RiskyPointMass": (envs.RiskyPointMass, SIZES),
    "SearchAndRescue": (
        envs.SearchAndRescue,
        SIZES | {"num_targets": SIZE, "num_rays": (*SIZE, 1)},
    ),
    "SimpleSpread": (envs.SimpleSpread, SIZES),
    "SimpleTag": (
        envs.SimpleTag,
        {"num_hunters": SIZE, "num_prey": SIZE, "num_obstacles": COUNT, "time_limit": SIZE},
    ),
    "SumGuessing": (
        envs.SumGuessing,
        {"num_agents": SIZE, "largest_guess": [x for x in (*NUMBER, 0.0, -1.0) if x is not None]},
    ),
    "Theatre": (envs.Theatre, SIZES | {"stage": (3, "x"), "plays": (3, "x", [], [3])}),
    "TwoObjectiveGrid": (
        envs.TwoObjectiveGrid,
        SIZES
        | {"size": SIZE}
        | {"treasures": ((), 3, "x", None, (((0, 1), "x"),), (((0, NAN), (1, 1)),))},
    ),
    "WithIdentity": (
        envs.WithIdentity,
        {"env": (*OBJECT, Later(lambda: envs.WithIdentity(SPREAD)))},
    ),
    "AutoReset": (
        with_defaults(envs.AutoReset, env=SPREAD),
        {"env": OBJECT},
    ),
    "Vmapped": (
        with_defaults(envs.Vmapped, env=SPREAD, num_envs=2),
        {"env": OBJECT, "num_envs": SIZE},
    ),
    "SwarmEnvironment": (
        with_defaults(SPREAD.step, state=STATE, action=np.zeros((3, 2), np.float32)),
        {"state": OBJECT, "action": (None, "x", np.zeros(3), np.zeros((3, 2), bool), 1j, [[1]])},
    ),
    "continuous_actions": (
        with_defaults(envs.continuous_actions, num_agents=2, size=1),
        {"num_agents": SIZE, "size": SIZE, "low": (*NUMBER, 2.0), "high": (*NUMBER, -2.0)},
    ),
    "discrete_actions": (
        with_defaults(envs.discrete_actions, num_agents=2, num_actions=2),
        {"num_agents": SIZE, "num_actions": SIZE},
    ),
    "from_brax": (envs.from_brax, {"env": OBJECT}),
    "from_gymnax": (envs.from_gymnax, {"env": OBJECT}),
    "from_jaxmarl": (envs.from_jaxmarl, {"env": OBJECT}),
    "to_gymnasium": (envs.to_gymnasium, {"env": OBJECT}),
    "to_gymnax": (envs.to_gymnax, {"env": OBJECT}),
    "to_jaxmarl": (envs.to_jaxmarl, {"env": OBJECT}),
    "to_pettingzoo": (envs.to_pettingzoo, {"env": OBJECT}),
    "from_jumanji": (envs.from_jumanji, {"env": (*OBJECT, Blank())}),
    "from_xminigrid": (envs.from_xminigrid, {"env": (*OBJECT, Blank())}),
    "random_policy": (envs.random_policy, {"action_spec": OBJECT}),
    "register": (envs.register, {}),
    "scripted": (envs.scripted, {"act": FUNCTION}),
    "spec_of": (lambda observation: envs.spec_of(observation), {"observation": OBJECT}),
    "unroll": (
        with_defaults(
            envs.unroll,
            key=KEY0,
            env=SPREAD,
            policy=Later(lambda: envs.random_policy(SPREAD.action_spec)),
            num_steps=1,
        ),
        {"key": KEY, "env": OBJECT, "policy": OBJECT, "num_steps": SIZE},
    ),
    "reset": (
        with_defaults(SPREAD.reset, key=KEY0),
        {
            "key": KEY,
            "params": (
                3,
                {},
                SPREAD.params._replace(damping=NAN),
                SPREAD.params._replace(damping=jnp.float32(NAN)),
                SPREAD.params._replace(damping="x"),
            ),
        },
    ),
    "render": (SPREAD.render, {"state": OBJECT}),
    "animate": (
        with_defaults(SPREAD.animate, states=[STATE]),
        {"states": (None, 3, [3], "x", []), "interval": (*NUMBER, 0.0, -1.0)},
    ),
}
SWARMBENCH: dict[str, Any] = {
    "make": (swarmbench.make, {"task": (*NAME, "pursuits", ["pursuit"])}),
    "Pursuit": (with_defaults(swarmbench.Pursuit, num_agents=2, inbox=2), GRID),
    "Flocking": (with_defaults(swarmbench.Flocking, num_agents=4, inbox=2), GRID),
    "Foraging": (with_defaults(swarmbench.Foraging, num_agents=2, inbox=2), GRID),
    "ForagingArena": (with_defaults(swarmbench.ForagingArena, num_agents=2, inbox=2), GRID),
    "Synchronization": (with_defaults(swarmbench.Synchronization, num_agents=2, inbox=2), GRID),
    "Transport": (with_defaults(swarmbench.Transport, num_agents=6, inbox=2), GRID),
    "formation_distance": (
        with_defaults(
            swarmbench.formation_distance,
            position=np.zeros((2, 2), int),
            formation=np.zeros((1, 2), int),
        ),
        {
            "position": (None, "x", np.zeros((2, 2)), np.zeros(2, int)),
            "formation": (None, np.full((1, 2), 0.5), np.zeros((3, 2), int), np.zeros((0, 2), int)),
        },
    ),
    "levels_from_foraging": (swarmbench.levels_from_foraging, {"size": (*SIZE, 6)}),
    "terrain_of": (swarmbench.terrain_of, {"level": (*OBJECT, [])}),
    "message_statistics": (
        with_defaults(swarmbench.message_statistics, messages=["a", "b"]),
        {
            "messages": ("ab", [3], [None]),
            "embed": (3, "x", lambda m: np.zeros((2, 3)), lambda m: [[NAN], [1]], lambda m: [1]),
        },
    ),
    "parse": (swarmbench.parse, {"answer": (None, 3, ["ACTION: UP"])}),
    "play": (
        with_defaults(
            swarmbench.play,
            key=KEY0,
            env=PURSUIT,
            policy=Later(swarmbench.scripted_policy, PURSUIT),
        ),
        {"key": KEY, "env": (*OBJECT, SPREAD), "policy": OBJECT, "rounds": OPTIONAL},
    ),
    "render": (
        with_defaults(
            swarmbench.render,
            view=np.zeros((3, 3), int),
            numbers=np.zeros((3, 3), int),
            position=[1, 1],
        ),
        {
            "view": (None, "x", np.zeros(3, int), np.full((3, 3), 99), np.zeros((3, 3))),
            "numbers": (None, np.zeros((2, 3), int), np.zeros((3, 3))),
            "position": (None, [1], [1.5, 1], 1),
        },
    ),
    "scripted_policy": (swarmbench.scripted_policy, {"env": (*OBJECT, SPREAD)}),
    "text_policy": (
        with_defaults(swarmbench.text_policy, env=PURSUIT, answers=list),
        {"env": (*OBJECT, SPREAD), "answers": FUNCTION},
    ),
}
HELD = ("ENVIRONMENTS", "TASKS", "SwarmBench")


def names_of(module):
    things = {name: getattr(module, name) for name in module.__all__}
    return {
        name
        for name, thing in things.items()
        if not isinstance(thing, types.ModuleType)
        and not hasattr(thing, "_fields")
        and name not in HELD
    }


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


@pytest.mark.parametrize("name", SWARMBENCH)
def test_bad_input_of_swarmbench_is_refused_by_name(name):
    call, bad = SWARMBENCH[name]
    assert accepted(call, bad) == []


def test_every_public_function_is_in_the_battery():
    assert names_of(envs) <= set(CASES)
    assert names_of(swarmbench) <= set(SWARMBENCH)


def test_numbers_that_are_integers_elsewhere_are_sizes():
    env = envs.SimpleSpread(np.int64(3), time_limit=jnp.int32(4))
    assert (env.num_agents, env.time_limit) == (3, 4)
    assert type(env.num_agents) is int


def test_traced_physics_and_actions_pass():
    def reward(damping, action):
        state, _ = SPREAD.reset(KEY0, SPREAD.params._replace(damping=damping))
        return SPREAD.step(state, action)[1].reward

    assert jax.jit(reward)(jnp.float32(NAN), jnp.zeros((3, 2))).shape == (3,)


def test_an_absent_agent_s_action_may_be_anything():
    env = envs.CorridorMaze(num_agents=2, rows=1, columns=2)
    state, _ = jax.jit(env.reset)(KEY0)
    state = state._replace(world=state.world._replace(arrived=jnp.array([True, False])))
    env.step(state, jnp.array([99, 3]))
    with pytest.raises(ValueError, match="action"):
        env.step(state, jnp.array([3, 99]))


def test_the_formation_is_still_measured():
    env = swarmbench.Flocking(num_agents=4, size=6)
    assert int(flocking.formation_distance(jnp.asarray(env.formation), env.formation)) == 0
