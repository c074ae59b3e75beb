"""STAC, Symphony, HAMMER and BN actor-critic refuse bad input by name."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl
from jaxswarm.systems import bn_actor_critic as bn
from jaxswarm.systems import hammer, stac, symphony
from tests.later import Later
from tests.rl.bad_input import (
    FEW_SIZES,
    FLAG,
    KEY,
    NAME,
    NAN,
    NUMBER,
    OBJECT,
    SHARE,
    SIZE,
    THING,
    WIDTHS,
    accepted,
    with_defaults,
)

KEY0 = jax.random.key(0)
ENV, GAME_ENV = envs.Pendulum(2), envs.CoordinationGame(3)
OFF: dict[str, Any] = {"batch_size": 4, "capacity": 64, "warm_up": 8}
Q = rl.q_network_for(ENV, widths=(4,))
STAC = stac.stac_network_for(ENV, widths=(4,))
SYMPHONY = symphony.symphony_network_for(ENV, width=4, nodes=3)
LOOP = {name: FEW_SIZES for name in ("num_envs", "num_steps", "updates", "batch_size", "warm_up")}
LOOP |= {"capacity": (*FEW_SIZES, 1), "env": OBJECT}
HAMMER = hammer.HammerEnvironment(envs.SumGuessing(4), 1)
CENTRAL = hammer.central_agent_networks(HAMMER, widths=(4,))
TEAM = bn.Team(GAME_ENV)
NETWORK = bn.team_network(TEAM, widths=(4,), graph_width=2, iterations=2)
TEAM_PARAMS = Later(jax.jit(NETWORK.init), KEY0)
OBSERVATION = Later(lambda: jax.jit(TEAM.reset)(KEY0)[1].observation)
GAME = Later(bn.coordination_game, 2)
TABLES, LINE = np.zeros((2, 4, 4, 2), np.float32), Later(bn.line, 2)
LOGITS = bn.DagLogits(np.zeros((3, 3), np.float32), np.zeros((3, 3, 2), np.float32))
NOISE = Later(bn.dag_noise, KEY0, 3)
SQUARE = (None, "x", np.zeros((2, 3)), np.zeros(3), [[1], [1, 2]])
EYE = np.eye(2, dtype=np.float32)
DAG = (None, "x", np.ones((2, 2)), np.zeros((3, 3)), np.full((2, 2), NAN))
TEMPERATURE = (*NUMBER[:-1], 0.0, -1.0)
DISCOUNT = (*SHARE, 1.0)
PPO = rl.PPOHyperparameters


ITERATION = {name: FEW_SIZES for name in ("num_envs", "num_steps", "epochs", "minibatches")}
CASES: dict[Any, dict[str, Any]] = {
    stac: {
        "stac": (
            with_defaults(stac.stac, env=ENV, network=STAC, **OFF),
            LOOP
            | {"network": (*OBJECT, Q, SYMPHONY), "risk_seeking": FLAG, "optimizer": THING}
            | {"hyperparameters": THING, "shared": FLAG},
        ),
        "stac_learner": (
            with_defaults(stac.stac_learner, env=ENV, network=STAC),
            {"env": OBJECT, "network": (*OBJECT, Q, SYMPHONY), "optimizer": THING},
        ),
        "stac_network_for": (
            stac.stac_network_for,
            {"env": (*OBJECT, GAME_ENV)},
        ),
        "critic_distribution": (
            with_defaults(
                stac.critic_distribution,
                network=STAC,
                critic=Later(lambda: Q.init(KEY0)["critic"]),
                features=np.zeros((1, 3), np.float32),
                raw=np.zeros((1, 1), np.float32),
            ),
            {"network": (*OBJECT, Q)},
        ),
        "mean_action_network": (
            with_defaults(stac.mean_action_network, network=STAC),
            {"network": OBJECT, "samples": SIZE},
        ),
    },
    symphony: {
        "symphony": (
            with_defaults(symphony.symphony, env=ENV, network=SYMPHONY, **(OFF | {"warm_up": 4})),
            LOOP
            | {"network": (*OBJECT, Q, STAC), "fade": FLAG, "hyperparameters": THING}
            | {"shared": FLAG},
        ),
        "symphony_learner": (symphony.symphony_learner, {"network": (*OBJECT, Q, STAC)}),
        "symphony_network_for": (
            with_defaults(symphony.symphony_network_for, env=ENV),
            {"env": (*OBJECT, GAME_ENV), "width": SIZE, "nodes": (*SIZE, 4)},
        ),
        "adam_without_bias_correction": (
            symphony.adam_without_bias_correction,
            {"b1": DISCOUNT, "b2": DISCOUNT},
        ),
        "split_outputs": (symphony.split_outputs, {"outputs": (np.zeros(4), jnp.float32(1))}),
        "swaddling": (symphony.swaddling, {"outputs": (np.zeros((2, 4)), jnp.float32(1))}),
    },
    hammer: {
        "HammerEnvironment": (
            with_defaults(hammer.HammerEnvironment, env=envs.SimpleSpread(3)),
            {"env": OBJECT, "message_length": SIZE, "visible": ("position", (), ("mind",), 3)}
            | {"limited_agents": ([3], [0.5], [-1], 2, "x", [True])},
        ),
        "hammer_network": (
            with_defaults(hammer.hammer_network, env=HAMMER),
            {"env": (*OBJECT, ENV), "widths": WIDTHS, "noise": (*NUMBER, -1.0)}
            | {"executing": FLAG, "scale": (*NUMBER, 0.0)},
        ),
        "central_agent_networks": (
            with_defaults(hammer.central_agent_networks, env=HAMMER),
            {"env": (*OBJECT, ENV), "widths": WIDTHS, "std": (*NUMBER, 0.0)}
            | {"executing": FLAG, "scale": (*NUMBER, 0.0)},
        ),
        "central_agent_ppo": (
            with_defaults(hammer.central_agent_ppo, env=HAMMER, networks=CENTRAL, num_envs=2),
            ITERATION
            | {"env": (*OBJECT, ENV), "networks": (*OBJECT, CENTRAL.composed), "normalize": FLAG}
            | {"optimizer": THING, "hyperparameters": THING},
        ),
        "part_of": (
            with_defaults(hammer.part_of, params=Later(CENTRAL.composed.init, KEY0), part="local"),
            {"params": (*OBJECT, {}), "part": NAME},
        ),
        "with_message_kind": (
            with_defaults(
                hammer.with_message_kind,
                params=Later(hammer.hammer_network(HAMMER, widths=(4,)).init, KEY0),
                kind=hammer.MESSAGE_KINDS["none"],
            ),
            {"params": (*OBJECT, {}), "kind": (*OBJECT, hammer.MessageKind(NAN))},
        ),
    },
    bn: {
        "Team": (bn.Team, {"env": (*OBJECT, ENV)}),
        "team_network": (
            with_defaults(bn.team_network, team=TEAM),
            {"team": (*OBJECT, GAME_ENV), "widths": WIDTHS, "graph_width": SIZE}
            | {"iterations": SIZE, "sampled": FLAG},
        ),
        "bn_mappo": (
            with_defaults(bn.bn_mappo, team=TEAM, network=NETWORK, num_envs=2),
            ITERATION
            | {"team": (*OBJECT, GAME_ENV), "network": (*OBJECT, Q), "schedule": (3, "x")}
            | {"hyperparameters": (*THING, bn.TeamHyperparameters(bn.graph_settings("full", 2)))},
        ),
        "annealing": (
            with_defaults(bn.annealing, iterations=10),
            {"iterations": SIZE, "begin": (*SHARE, 0.9), "late": (*SHARE, 0.1), "steps": SIZE}
            | {"rise": (*NUMBER, 0.5)},
        ),
        "graph_settings": (
            with_defaults(bn.graph_settings, graph="learnt", num_agents=2),
            {"graph": ("rnadom", 3, None, *DAG[2:]), "num_agents": SIZE}
            | {"communicates": ("x", np.ones((3, 3)), np.full((2, 2), 0.5))}
            | {"edge_probability": SHARE, "temperature": TEMPERATURE}
            | {"density_weight": (*NUMBER, -1.0), "density_threshold": SHARE},
        ),
        "with_graph": (
            with_defaults(bn.with_graph, params=TEAM_PARAMS, settings=bn.graph_settings("full", 3)),
            {"params": OBJECT, "settings": OBJECT},
        ),
        "graph_of": (
            with_defaults(
                bn.graph_of, network=NETWORK, params=TEAM_PARAMS, observation=OBSERVATION
            ),
            {"network": OBJECT, "observation": OBJECT},
        ),
        "joint_log_prob": (
            with_defaults(
                bn.joint_log_prob,
                network=NETWORK,
                params=TEAM_PARAMS,
                observation=OBSERVATION,
                action=np.zeros(3, int),
            ),
            {"network": OBJECT, "observation": OBJECT}
            | {"action": (None, "x", np.zeros(2, int), np.full(3, 2), np.full(3, 0.5))},
        ),
        "check_dag": (bn.check_dag, {"dag": (*DAG[:3], DAG[4], np.zeros((2, 3)))}),
        "independent": (bn.independent, {"num_agents": SIZE}),
        "line": (bn.line, {"num_agents": SIZE}),
        "full": (bn.full, {"num_agents": SIZE}),
        "topological_order": (bn.topological_order, {"dag": DAG[:3]}),
        "permutation_matrix": (bn.permutation_matrix, {"order": ([0, 0], [0.5], None, "x", [[0]])}),
        "dag_noise": (
            with_defaults(bn.dag_noise, key=KEY0, num_agents=2),
            {"key": KEY, "num_agents": SIZE},
        ),
        "sample_dag": (
            with_defaults(bn.sample_dag, logits=LOGITS, noise=NOISE),
            {"logits": OBJECT, "noise": OBJECT, "temperature": TEMPERATURE, "iterations": SIZE}
            | {"communicates": ("x", np.ones((2, 2)), np.full((3, 3), 0.5))},
        ),
        "sample_permutation": (
            with_defaults(
                bn.sample_permutation, logits=LOGITS.permutation, noise=NOISE.permutation
            ),
            {"logits": SQUARE, "noise": SQUARE, "temperature": TEMPERATURE, "iterations": SIZE},
        ),
        "sample_edges": (
            with_defaults(bn.sample_edges, logits=LOGITS.edges, noise=NOISE.edges),
            {"logits": SQUARE, "noise": SQUARE, "temperature": TEMPERATURE},
        ),
        "sinkhorn": (
            with_defaults(bn.sinkhorn, scores=np.zeros((2, 2), np.float32)),
            {"scores": SQUARE, "iterations": SIZE},
        ),
        "max_weight_matching": (bn.max_weight_matching, {"weights": SQUARE}),
        "compose_dag": (
            with_defaults(bn.compose_dag, permutation=EYE, edges=EYE),
            {"permutation": SQUARE, "edges": (*SQUARE, np.eye(3))},
        ),
        "density": (bn.density, {"graph": SQUARE[2:4]}),
        "bayesian_policies": (
            with_defaults(bn.bayesian_policies, game=GAME, dag=LINE),
            {"game": OBJECT, "dag": DAG, "communicates": ("x", np.ones((3, 3)))},
        ),
        "bayesian_policy_gradient": (
            with_defaults(bn.bayesian_policy_gradient, game=GAME),
            {"game": OBJECT, "weight": (*NUMBER, 0.0)},
        ),
        "coordination_game": (
            with_defaults(bn.coordination_game, num_agents=2),
            {"num_agents": SIZE, "flip": (*NUMBER, 0.6), "margin": (2.5, NAN, "x", 2, -1)},
        ),
        "log_joint": (
            with_defaults(bn.log_joint, tables=TABLES, game=GAME, dag=LINE),
            {
                "tables": (None, "x", TABLES[0], TABLES * np.float32(NAN)),
                "game": OBJECT,
                "dag": DAG[:2],
            },
        ),
        "nash_gap": (
            with_defaults(bn.nash_gap, tables=TABLES, game=GAME, dag=LINE, discount=0.9),
            {"tables": (None, TABLES[0]), "game": OBJECT, "discount": DISCOUNT, "iterations": SIZE},
        ),
        "optimal_values": (
            with_defaults(bn.optimal_values, game=GAME, discount=0.9),
            {"game": OBJECT, "discount": DISCOUNT, "iterations": SIZE},
        ),
        "sample_joint_action": (
            with_defaults(
                bn.sample_joint_action, key=KEY0, tables=TABLES, game=GAME, dag=LINE, state=0
            ),
            {"key": KEY, "tables": (None, TABLES[0]), "game": OBJECT, "dag": DAG}
            | {"state": (4, -1, 0.5, None, "x")},
        ),
        "state_values": (
            with_defaults(
                bn.state_values, policy=np.full((4, 4), 0.25, np.float32), game=GAME, discount=0.9
            ),
            {"policy": (None, "x", np.zeros((4, 3))), "game": OBJECT, "discount": DISCOUNT},
        ),
        "table_rows": (
            with_defaults(bn.table_rows, game=GAME, dag=LINE),
            {"game": OBJECT, "dag": (*DAG[:2], *DAG[3:])},
        ),
    },
}
MEMBERS = [(module, name) for module, cases in CASES.items() for name in cases]


@pytest.mark.parametrize(
    ("module", "name"), MEMBERS, ids=[f"{m.__name__.split('.')[-1]}.{name}" for m, name in MEMBERS]
)
def test_bad_input_is_refused_by_name(module, name):
    call, bad = CASES[module][name]
    assert accepted(call, bad) == []


@pytest.mark.parametrize("module", CASES, ids=lambda module: module.__name__)
def test_every_public_function_is_in_the_battery(module):
    things = {name: getattr(module, name) for name in module.__all__}
    named = {
        name
        for name, thing in things.items()
        if isinstance(thing, (types.FunctionType, type)) and not hasattr(thing, "_fields")
    }
    assert named <= set(CASES[module])


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda hp: stac.stac(ENV, STAC, hyperparameters=hp, **OFF), stac.STACHyperparameters),
        (
            lambda hp: symphony.symphony(
                ENV, SYMPHONY, hyperparameters=hp, **(OFF | {"warm_up": 4})
            ),
            symphony.SymphonyHyperparameters,
        ),
    ],
    ids=["stac", "symphony"],
)
def test_every_hyperparameter_is_checked(make, kind):
    bad = {name: (*NUMBER, -1.0, jnp.float32(NAN)) for name in kind._fields}
    bad |= {"target_entropy": (NAN, "x")} if "target_entropy" in bad else {}
    assert accepted(lambda **numbers: make(kind(**numbers)), bad) == []


def test_what_a_team_s_init_and_step_get_is_checked():
    algorithm = bn.bn_mappo(TEAM, NETWORK, num_envs=2, num_steps=2, minibatches=1)
    init = with_defaults(algorithm.init, params=TEAM_PARAMS, key=KEY0)
    assert accepted(init, {"params": (None, {}, 3), "key": KEY}) == []
    state = algorithm.init(TEAM_PARAMS.value, KEY0)
    step = with_defaults(algorithm.step, key=KEY0, state=state)
    assert accepted(step, {"key": KEY, "state": OBJECT, "inputs": (*THING, PPO())}) == []
