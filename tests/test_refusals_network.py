"""Wrong arguments of network meet an error that names the argument; plans from files as well."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import refusals

from jaxswarm import network, topology

NAN, INF = refusals.NAN, refusals.INF
KEY = jax.random.key(0)
RING = topology.ring(6)
PLAN = network.fault_plan([(3, "crash", 0)], 6)
CHURN = network.churn(6, crash=0.1)
POSITIONS = [np.full((6, 2), NAN), np.zeros((3, 2)), np.zeros(6), "x"]
ROUND = [-1, 2.5, NAN, INF, 2**31, 2**40, "3", True]
PROBABILITIES = [*refusals.BAD["probability"], np.ones(3), np.full(6, NAN)]

NETWORK = {
    "churn": (
        network.churn,
        {"num_agents": 6},
        {
            "num_agents": "size",
            "crash": PROBABILITIES,
            "recover": PROBABILITIES,
            "leave": PROBABILITIES,
            "join": PROBABILITIES,
            "present": "mask",
        },
    ),
    "combine": (
        lambda processes: network.combine(CHURN, processes),
        {"processes": CHURN},
        {"processes": "thing"},
    ),
    "data_holders": (
        network.data_holders,
        {"counts": np.arange(6), "share": 0.5},
        {
            "counts": [[], [NAN] * 6, [INF] * 6, np.ones((2, 2)), "x", [-1, 2]],
            "share": [1.0, -0.1, NAN, "x"],
        },
    ),
    "disaster": (
        network.disaster,
        {"victims": np.arange(6) < 2, "at": 3},
        {
            "victims": [np.ones(6, bool), np.ones(6), "x", True],
            "at": ROUND,
            "duration": [0, *ROUND],
        },
    ),
    "distance_delays": (
        network.distance_delays,
        {"topology": RING, "positions": np.eye(6), "speed": 1.0},
        {"topology": "thing", "positions": POSITIONS, "speed": ["x", 0.0, NAN, INF, 1e-30, None]},
    ),
    "fault_plan": (
        network.fault_plan,
        {"events": [(3, "cut", 0)], "num_agents": 6, "topology": RING},
        {
            "events": [
                [(2**40, "crash", 0)],
                [(2**31, "crash", 0)],
                [(0.5, "crash", 0)],
                [(3, "crash", 9)],
                [(3, "crash", 0.5)],
                [(3, "crash")],
                [(True, "crash", 0)],
                [(NAN, "cut", 0)],
                3,
                "x",
                [3],
                [(3, "cut", 99)],
            ],
            "num_agents": "size",
            "topology": [3, "x", topology.ring(5)],
        },
    ),
    "geometric_delays": (
        network.geometric_delays,
        {"key": KEY, "topology": RING, "mean": 1.0, "maximum": 3},
        {
            "key": "key",
            "topology": "thing",
            "mean": ["x", -1.0, NAN, INF, None, 1e300],
            "maximum": "count",
            "symmetric": "flag",
        },
    ),
    "hubs": (
        network.hubs,
        {"topology": RING, "share": 0.5},
        {"topology": "thing", "share": [1.0, -0.1, NAN, "x", None]},
    ),
    "link_loss": (
        network.link_loss,
        {"topology": RING, "probability": 0.1},
        {"topology": "thing", "probability": PROBABILITIES, "symmetric": "flag"},
    ),
    "partitioned": (
        network.partitioned,
        {"topology": RING, "groups": [0, 0, 0, 1, 1, 1], "at": 3},
        {
            "topology": "thing",
            "groups": [[0.5] * 6, [0, 1], [NAN] * 6, "x", None, [True] * 6],
            "at": ROUND,
            "heals": [3, 0, *ROUND],
        },
    ),
    "random_victims": (
        network.random_victims,
        {"key": KEY, "num_agents": 6, "share": 0.5},
        {"key": "key", "num_agents": "size", "share": [1.0, -0.1, NAN, "x"]},
    ),
    "record": (
        network.record,
        {"process": CHURN, "rounds": 2, "key": KEY},
        {"process": "thing", "rounds": "size", "key": "key"},
    ),
    "reliable": (network.reliable, {}, {}),
    "replay": (network.replay, {"plan": PLAN}, {"plan": "thing"}),
    "sampled": (
        network.sampled,
        {"num_agents": 6, "count": 2},
        {"num_agents": "size", "count": [*refusals.BAD["size"], 7], "among": [3, "x"]},
    ),
    "stragglers": (
        network.stragglers,
        {"speeds": [0.5] * 6},
        {
            "speeds": [[0.5, NAN], [0.0], [2.0], 0.5, [], "x"],
            "random": "flag",
            "phases": [[NAN] * 6, [1.0] * 6, [0.5], "x"],
        },
    ),
    "uniform_delays": (
        network.uniform_delays,
        {"key": KEY, "topology": RING, "low": 0, "high": 3},
        {
            "key": "key",
            "topology": "thing",
            "low": "count",
            "high": [-1, 2.5, NAN, INF, 2**40, "3"],
            "symmetric": "flag",
        },
    ),
}


@pytest.mark.parametrize("name", NETWORK)
def test_wrong_arguments_are_refused_by_name(name):
    assert refusals.refusals(NETWORK, name) == []


def test_every_public_function_is_tried():
    assert refusals.functions(network) - {"FaultPlan"} - set(NETWORK) == set()


PARTS = {
    "kind": [[0.5], [99], [-1], "x", None, [[0]]],
    "time": [[2**40], [-1], [0.5], [NAN], ["x"], [1, 2]],
    "entity": [[99], [-1], [0.5], [NAN], ["x"], [1, 2]],
    "kinds": [["crash", "explode"], "crash", 3, []],
    "fields": [["alive", "alive"], ["everything"], "alive", 3, [], [3]],
    "num_agents": [2.5, -1, NAN, "x", None, 2**40],
    "num_links": [2.5, -4, NAN, "x", None, 1000000000000],
    "version": [2, 0, "1", 1.0, None],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_plan_from_a_file_is_validated(part):
    data = PLAN.to_dict()
    assert network.FaultPlan.from_dict(data).events() == PLAN.events()
    for bad in PARTS[part]:
        with pytest.raises(ValueError, match=r"data|events|kind|fields|num_|time|entity|version"):
            network.FaultPlan.from_dict(data | {part: bad})


@pytest.mark.parametrize("field", ["time", "entity", "kind"])
def test_a_plan_made_by_hand_is_validated_when_it_is_replayed(field):
    for bad in ([0.5], [-1], [2**40], [1, 2]):
        with pytest.raises(ValueError, match=r"events|kind|time|entity"):
            network.replay(replace(PLAN, **{field: np.asarray(bad)}))


@pytest.mark.parametrize("agents", [1, 2, 3])
def test_processes_of_few_agents_give_masks_of_the_graph_s_length(agents):
    graphs = [topology.ring(agents), topology.from_edges([], agents)]
    for graph in graphs:
        for symmetric in (False, True):
            process = network.link_loss(graph, 0.5, symmetric=symmetric)
            exchange = process.step(KEY, process.init(), 0)[1]
            assert exchange.delivered.shape == (graph.num_edge_slots,)
        split = network.partitioned(graph, [0] * agents, 0)
        assert split.step(KEY, (), 0)[1].delivered.shape == (graph.num_edge_slots,)
        assert network.uniform_delays(KEY, graph, 0, 3).shape == (graph.num_edge_slots,)
        assert network.geometric_delays(KEY, graph, 1.0, 3).shape == (graph.num_edge_slots,)
        at = np.zeros((agents, 2))
        assert network.distance_delays(graph, at, 1.0).shape == (graph.num_edge_slots,)


def test_delays_fit_their_range_whatever_it_is():
    for high in (0, 1, 2**31 - 1):
        delays = network.uniform_delays(KEY, topology.complete(40), 0, high)
        assert delays.min() >= 0
        assert delays.max() <= high
