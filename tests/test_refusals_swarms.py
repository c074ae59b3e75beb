"""Wrong arguments of space, swarms and collective meet an error that names the argument."""

import jax
import numpy as np
import pytest
import refusals

from jaxswarm import collective, envs, gossip, space, swarms, topology

NAN, INF = refusals.NAN, refusals.INF
KEY = jax.random.key(0)
N = 5
BOX, OPEN = space.Space((4.0, 4.0)), space.Space((4.0, 4.0), "open")
SEARCH = space.search(BOX, 1.0, N)
AT, ONES = np.full((N, 2), 0.5, np.float32), np.ones(N, np.float32)
PLACES = [np.zeros((N, 3)), np.zeros(N), "x", None, np.zeros((N, 2), complex)]
ACTIVE = [np.ones(3, bool), np.ones(N), np.ones((N, 2), bool), "x", 3]
RADIUS = [-1.0, NAN, 5.0, "x", np.ones(3)]
TASK = collective.kuramoto_task(N)
RULE = collective.kernel_rule(TASK, points=3)
WEIGHTS = RULE.params_of(lambda y: y[1:], 0.1)
PARAMS = [np.zeros(3), np.full(RULE.num_params, NAN), "x", None, np.zeros(RULE.num_params, complex)]
SEARCHED = {"capacity": "optional", "method": "name"}

SPACE = {
    "Space": (
        space.Space,
        {"sides": (1.0, 1.0)},
        {
            "sides": [
                (),
                (0.0,),
                (NAN,),
                (INF, 1.0),
                (1.0,) * 4,
                "12",
                3,
                None,
                ((1.0,),),
                (1j,),
                "x",
            ],
            "boundary": "name",
        },
    ),
    **{
        name: (
            getattr(space, name),
            {"space": BOX, "radius": 1.0, "num_agents": N},
            {
                "space": "thing",
                "radius": "positive",
                "num_agents": "size",
                "strict": "flag",
                **SEARCHED,
            },
        )
        for name in ("search", "Search")
    },
    "length": (space.length, {"vectors": AT}, {"vectors": [3.0, "x", None, [[1j]]]}),
    "uniform": (BOX.uniform, {"keys": jax.random.split(KEY, 3)}, {"keys": "key"}),
    "wrap": (BOX.wrap, {"positions": AT}, {"positions": PLACES}),
    "move": (
        BOX.move,
        {"positions": AT, "velocities": AT},
        {"positions": PLACES, "velocities": PLACES},
    ),
    "displacement": (
        BOX.displacement,
        {"one": AT, "two": AT},
        {"one": PLACES, "two": [*PLACES, np.zeros((3, 2))]},
    ),
    "distance": (BOX.distance, {"one": AT, "two": AT}, {"one": PLACES, "two": PLACES}),
    "sum": (
        SEARCH.sum,
        {"positions": AT, "features": ONES},
        {
            "positions": PLACES,
            "features": [np.ones(3), "x", 3.0],
            "weight": [3, "x"],
            "radius": RADIUS,
            "active": ACTIVE,
        },
    ),
    "reduce": (
        SEARCH.reduce,
        {"positions": AT, "fn": lambda own, other, offset: offset},
        {
            "positions": PLACES,
            "fn": "function",
            "features": [np.ones(3), "x", 3.0],
            "op": "name",
            "radius": RADIUS,
            "active": ACTIVE,
        },
    ),
    "neighbors": (
        SEARCH.neighbors,
        {"positions": AT, "max_neighbors": 3},
        {"positions": PLACES, "max_neighbors": "size", "radius": RADIUS, "active": ACTIVE},
    ),
}

SWARMS = {
    "vicsek": (
        swarms.vicsek,
        {"space": BOX, "num_agents": N},
        {
            "space": "thing",
            "num_agents": "size",
            "speed": [2.0, *refusals.BAD["nonnegative"]],
            "noise": "nonnegative",
            "radius": "positive",
            **SEARCHED,
        },
    ),
    "boids": (
        swarms.boids,
        {"space": BOX, "num_agents": N},
        {
            "space": "thing",
            "num_agents": "size",
            "radius": "positive",
            "dt": [1e9, *refusals.BAD["positive"]],
            **dict.fromkeys(
                ("separation", "alignment", "cohesion", "personal", "max_speed"), "nonnegative"
            ),
            "min_speed": [0.5, *refusals.BAD["nonnegative"]],
            **SEARCHED,
        },
    ),
    "cucker_smale": (
        swarms.cucker_smale,
        {"space": BOX, "num_agents": N, "radius": 1.0},
        {
            "space": "thing",
            "num_agents": "size",
            "radius": "positive",
            "dt": [1e9, *refusals.BAD["positive"]],
            "strength": "nonnegative",
            "decay": "nonnegative",
            "speed": "nonnegative",
            **SEARCHED,
        },
    ),
    "couzin": (
        swarms.couzin,
        {"space": OPEN, "num_agents": N},
        {
            "space": "thing",
            "num_agents": "size",
            "radius": "positive",
            "dt": [1e9, *refusals.BAD["positive"]],
            **dict.fromkeys(
                ("repulsion", "orientation", "attraction", "field", "turn", "noise", "speed"),
                "nonnegative",
            ),
            **SEARCHED,
        },
    ),
    "aggregation": (
        swarms.aggregation,
        {"space": OPEN, "num_agents": N},
        {
            "space": ["x", 3, BOX],
            "num_agents": "size",
            "dt": [1e9, 0.0, -1.0, NAN, INF, "x"],
            "attraction": "nonnegative",
            "repulsion": "nonnegative",
            "width": "positive",
        },
    ),
    "kuramoto": (
        swarms.kuramoto,
        {"space": None, "num_agents": N},
        {
            "space": [3, "x"],
            "num_agents": "size",
            "radius": [1.0],  # without a space
            "among": [3, "x", gossip.mixing(topology.ring(6))],
            "coupling": "number",
            "noise": "nonnegative",
            "dt": [1e9, *refusals.BAD["positive"]],
            "frequencies": "function",
        },
    ),
    "swarm_radius": (
        swarms.swarm_radius,
        {"parameters": swarms.AggregationParams()},
        {"parameters": "thing"},
    ),
    "polarization": (
        swarms.polarization,
        {"velocities": AT},
        {"velocities": [np.zeros(N), "x", None], "active": ACTIVE},
    ),
    "phase_order": (
        swarms.phase_order,
        {"phases": ONES},
        {"phases": [AT, "x", None, 3.0], "active": ACTIVE},
    ),
    "milling": (
        swarms.milling,
        {"positions": AT, "velocities": AT},
        {
            "positions": [np.zeros((N, 1)), np.zeros(N), "x", None],
            "velocities": PLACES,
            "active": ACTIVE,
        },
    ),
    "mean_pair_distance": (
        swarms.mean_pair_distance,
        {"space": BOX, "positions": AT},
        {"space": "thing", "positions": PLACES, "active": ACTIVE},
    ),
    **{
        name: (
            getattr(swarms, name),
            {"search": SEARCH, "positions": AT},
            {"search": "thing", "positions": PLACES, "active": ACTIVE},
        )
        for name in ("nearest_distance", "clusters")
    },
    "largest_cluster": (
        swarms.largest_cluster,
        {"labels": np.zeros(N, int)},
        {"labels": [[0.5], [-2], [7, 7], "x", None, 3, []]},
    ),
}

COLLECTIVE = {
    "Domain": (collective.Domain, {}, {"name": "name", "side": "positive"}),
    "aggregation_task": (
        collective.aggregation_task,
        {"num_agents": N},
        {
            "num_agents": "size",
            "params": [3, "x", collective.HeadingTaskParams()],
            "side": "positive",
        },
    ),
    **{
        name: (
            getattr(collective, name),
            {"num_agents": N},
            {
                "num_agents": "size",
                "params": [3, "x", collective.AggregationTaskParams()],
                "domain": [3, "x"],
                "radius": [0.9, *refusals.BAD["positive"]],
            },
        )
        for name in ("kuramoto_task", "vicsek_task")
    },
    "local_heading": (
        collective.local_heading,
        {"domain": collective.Domain(), "radius": 0.2, "num_agents": N},
        {"domain": "thing", "radius": [0.9, *refusals.BAD["positive"]], "num_agents": "size"},
    ),
    "histogram": (collective.histogram, {"task": TASK}, {"task": "thing", "bins": "size"}),
    "kernel_features": (
        collective.kernel_features,
        {"task": TASK},
        {"task": "thing", "points": "size", "bandwidth": [0.0, -1.0, NAN, INF, "x"]},
    ),
    "kernel_rule": (
        collective.kernel_rule,
        {"task": TASK},
        {
            "task": "thing",
            "points": [1, *refusals.BAD["size"]],
            "bandwidth": "positive",
            "std_range": [(0.5, 0.1), (NAN, 1.0), (0.0, 1.0), 3, None, "x", (0.1,)],
        },
    ),
    "histogram_rule": (
        collective.histogram_rule,
        {"task": TASK},
        {
            "task": "thing",
            "points": [1, *refusals.BAD["size"]],
            "std_range": [(0.5, 0.1), 3, None, "x"],
        },
    ),
    "MeanFieldControl": (
        collective.MeanFieldControl,
        {"task": TASK, "rule": RULE},
        {"task": "thing", "rule": "thing", "mean_field": [3, "x"]},
    ),
    "FiniteSwarm": (
        collective.FiniteSwarm,
        {"task": TASK},
        {"task": "thing", "mean_field": [3, "x"]},
    ),
    "act_by_rule": (
        collective.act_by_rule,
        {"key": KEY, "rule": RULE, "rule_params": WEIGHTS, "observations": AT},
        {
            "key": "key",
            "rule": "thing",
            "rule_params": [np.zeros(3), "x", None],
            "observations": PLACES,
        },
    ),
    "execute": (
        collective.execute,
        {"key": KEY, "task": TASK, "rule": RULE, "rule_params": WEIGHTS, "num_steps": 2},
        {
            "key": "key",
            "task": "thing",
            "rule": "thing",
            "rule_params": PARAMS,
            "num_steps": "size",
            "discount": "probability",
        },
    ),
    "convergence": (
        collective.convergence,
        {
            "key": KEY,
            "make_task": lambda n: collective.kuramoto_task(n),
            "rule": RULE,
            "rule_params": WEIGHTS,
            "sizes": (2,),
            "repetitions": 1,
            "num_steps": 2,
        },
        {
            "key": "key",
            "make_task": "function",
            "rule": "thing",
            "rule_params": PARAMS[:1],
            "sizes": [(), (0,), (2.5,), "x", None, 3],
            "repetitions": "size",
            "jit": "function",
        },
    ),
    "open_loop": (
        collective.open_loop,
        {
            "key": KEY,
            "control": collective.MeanFieldControl(TASK, RULE),
            "policy": envs.scripted(lambda key, seen: None),
        },
        {"key": "key", "control": "thing", "policy": "thing"},
    ),
    **{
        name: (
            getattr(collective, name),
            {"rule": rule, "rule_params": weights, "num_steps": 2, "params": params},
            {
                "rule": "thing",
                "rule_params": PARAMS,
                "num_steps": "size",
                "params": [3, None],
                "cells": [7, 8.5, NAN, "x"],
                "nodes": "size",
                "discount": "probability",
            },
        )
        for name, rule, weights, params in (
            ("kuramoto_limit", RULE, WEIGHTS, collective.HeadingTaskParams()),
            ("aggregation_limit", RULE, WEIGHTS, collective.AggregationTaskParams()),
        )
    },
    "mean_distance": (
        collective.mean_distance,
        {"points": AT},
        {"points": [np.zeros(3), np.zeros((0, 2)), "x", None], "block": "size"},
    ),
    "mean_phase_distance": (
        collective.mean_phase_distance,
        {"headings": ONES},
        {"headings": [AT, np.zeros(0), "x", None]},
    ),
}

TABLES = {
    "space": (space, SPACE),
    "swarms": (swarms, SWARMS),
    "collective": (collective, COLLECTIVE),
}


@pytest.mark.parametrize(
    ("package", "name"),
    [(package, name) for package, (_, table) in TABLES.items() for name in table],
)
def test_wrong_arguments_are_refused_by_name(package, name):
    assert refusals.refusals(TABLES[package][1], name) == []


@pytest.mark.parametrize("package", TABLES)
def test_every_public_function_is_tried(package):
    module, table = TABLES[package]
    assert refusals.functions(module) - set(table) == set()
