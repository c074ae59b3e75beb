"""Wrong arguments of topology meet an error that names the argument."""

import jax
import networkx as nx
import numpy as np
import pytest
import refusals

from jaxswarm import gossip, network, topology

NAN, INF = refusals.NAN, refusals.INF
KEY = jax.random.key(0)
RING = topology.ring(6)
W = gossip.mixing(RING)
SHORT = [np.ones(3), np.full(12, NAN), np.full(12, 1j), "x", None]  # no weights of 12 edges
ENTRIES = [[(0, 0.5)], [("a", "b")], [(0, 9)], [(0, 1, 2)], [(0, NAN)], 3, "ab", [(0, 0)]]
POSITIONS = [np.full((6, 2), NAN), np.zeros((3, 2)), np.zeros(6), "x"]

TOPOLOGY = {
    **{
        name: (getattr(topology, name), {"num_agents": 6}, {"num_agents": "size"})
        for name in (
            "ring",
            "path",
            "complete",
            "star",
            "directed_ring",
            "exponential",
            "one_peer_exponential",
        )
    },
    "circulant": (
        topology.circulant,
        {"num_agents": 6, "offsets": [1]},
        {
            "num_agents": "size",
            "offsets": [[1.5], [NAN], [0], [1, 1], [1, 7], "1", 1, None, [2**40]],
        },
    ),
    "grid": (lambda shape: topology.grid(shape, 2), {"shape": 3}, {"shape": "size"}),
    "torus": (lambda shape: topology.torus(shape, 2), {"shape": 3}, {"shape": "size"}),
    "hypercube": (topology.hypercube, {"dimension": 3}, {"dimension": [-1, 2.5, 25, NAN, "3"]}),
    "barbell": (
        topology.barbell,
        {"clique": 3, "bridge": 1},
        {"clique": "size", "bridge": "count"},
    ),
    "cluster": (
        topology.cluster,
        {"num_clusters": 3, "size": 2},
        {"num_clusters": "size", "size": "size", "backbone": "name"},
    ),
    "random_regular": (
        topology.random_regular,
        {"num_agents": 6, "degree": 3},
        {
            "num_agents": "size",
            "degree": [2.5, -1, 6, NAN, "3"],
            "seed": "seed",
            "connected": "flag",
        },
    ),
    "erdos_renyi": (
        topology.erdos_renyi,
        {"num_agents": 6, "probability": 0.9},
        {"num_agents": "size", "probability": "probability", "seed": "seed", "connected": "flag"},
    ),
    "barabasi_albert": (
        topology.barabasi_albert,
        {"num_agents": 6, "attachments": 2},
        {"num_agents": "size", "attachments": [0, 2.5, 6, NAN, "3"], "seed": "seed"},
    ),
    "watts_strogatz": (
        topology.watts_strogatz,
        {"num_agents": 6, "degree": 2, "probability": 0.1},
        {
            "num_agents": "size",
            "degree": [2.5, -1, 3, 6, NAN, "3"],
            "probability": "probability",
            "seed": "seed",
            "connected": "flag",
        },
    ),
    "random_geometric": (
        topology.random_geometric,
        {"num_agents": 6, "radius": 2.0},
        {
            "num_agents": "size",
            "radius": "positive",
            "max_degree": "optional",
            "positions": POSITIONS,
            "seed": "seed",
            "connected": "flag",
            "repair": "flag",
        },
    ),
    "random_matching": (
        topology.random_matching,
        {"num_agents": 6, "rounds": 2},
        {"num_agents": "size", "rounds": "size", "seed": "seed"},
    ),
    "resampled_random_regular": (
        topology.resampled_random_regular,
        {"num_agents": 6, "degree": 3, "rounds": 2},
        {"num_agents": "size", "degree": [2.5, NAN], "rounds": "size", "every": "size"},
    ),
    "rewired_watts_strogatz": (
        topology.rewired_watts_strogatz,
        {"num_agents": 6, "degree": 2, "probability": 0.1, "rounds": 2},
        {"num_agents": "size", "degree": [2.5, NAN], "rounds": "size", "every": "size"},
    ),
    "stack": (
        topology.stack,
        {"topologies": [RING]},
        {"topologies": [[], [3], RING, None, 3, [RING, topology.ring(5)], ["x"]], "name": [3, 2.5]},
    ),
    "from_edges": (
        topology.from_edges,
        {"edges": [(0, 1), (1, 2), (2, 0)], "num_agents": 3, "directed": True},
        {
            "edges": ENTRIES,
            "num_agents": "size",
            "directed": "flag",
            "name": [3, None],
            "offsets": [[1], [2, 1], [0], [1.5], [NAN], [2, 2], [2**40], "x", 2],
        },
    ),
    "from_networkx": (
        topology.from_networkx,
        {"graph": nx.path_graph(3)},
        {"graph": [3, None, nx.Graph(), nx.MultiGraph([(0, 1)]), nx.Graph([(0, 0)])], "name": [3]},
    ),
    "to_networkx": (
        topology.to_networkx,
        {"topology": RING},
        {"topology": "thing", "weights": SHORT[:4]},
    ),
    "in_neighbors": (
        topology.in_neighbors,
        {"topology": RING},
        {"topology": "thing", "width": [1, 2.5, NAN, "3"]},
    ),
    "per_member": (
        topology.per_member,
        {"function": lambda t: t.mask, "topology": RING},
        {"function": "function", "topology": "thing"},
    ),
    **{
        name: (getattr(topology, name), {"topology": RING}, {"topology": "thing"})
        for name in (
            "is_symmetric",
            "is_balanced",
            "is_regular",
            "is_connected",
            "degrees",
            "reverse_slots",
            "require_connected",
        )
    },
    "require_symmetric": (
        topology.require_symmetric,
        {"topology": RING, "purpose": "x"},
        {"topology": "thing"},
    ),
    "require_topology": (
        topology.require_topology,
        {"value": RING, "what": "value"},
        {"value": "thing"},
    ),
    "components": (
        topology.components,
        {"topology": RING},
        {"topology": "thing", "alive": refusals.BAD["mask"]},
    ),
    "optimal_rates": (
        topology.optimal_rates,
        {"topology": RING, "iterations": 1},
        {"topology": "thing", "objective": "name", "iterations": "size"},
    ),
}

WEIGHTS = {
    **{
        name: (getattr(topology.weights, name), {"topology": RING}, {"topology": "thing"})
        for name in ("metropolis", "max_degree", "uniform", "push", "best_constant")
    },
    "lazy": (
        topology.weights.lazy,
        {"topology": RING},
        {"topology": "thing", "weights": SHORT, "self_weight": "probability"},
    ),
    "fastest_mixing": (
        topology.weights.fastest_mixing,
        {"topology": RING},
        {
            "topology": "thing",
            "steps": "size",
            "rounds": "size",
            "through": "name",
            "nonnegative": "flag",
            "learning_rate": "positive",
            "key": [0, np.zeros(2, np.uint32)],
        },
    ),
    "edge_weights": (
        topology.weights.edge_weights,
        {"topology": RING, "weights": "lazy"},
        {"topology": "thing", "weights": SHORT},
    ),
    "size_weighted": (
        topology.weights.size_weighted,
        {"topology": RING, "sizes": np.ones(6)},
        {"topology": "thing", "sizes": [np.ones(3), np.full(6, NAN), -np.ones(6), "x", None]},
    ),
    **{
        name: (
            getattr(topology.weights, name),
            {"topology": RING, "weights": np.ones(12) / 3},
            {"topology": "thing", "weights": SHORT, "stochastic": "name"},
        )
        for name in ("self_weights", "dense")
    },
}

SPECTRA = {
    **{
        name: (
            getattr(topology.spectra, name),
            {"graph": RING},
            {
                "graph": [3, None, "x", np.ones((2, 3)), np.full((2, 2), NAN)],
                "weights": SHORT,
                "method": "name",
                "symmetric": [2, "yes", 0.5],
            },
        )
        for name in ("spectral_gap", "second_modulus")
    },
    "second_eigenvalue": (
        topology.spectra.second_eigenvalue,
        {"W": W},
        {"W": "thing", "iterations": "size"},
    ),
    "contraction": (
        topology.spectra.contraction,
        {"matrix": np.eye(3)},
        {"matrix": [3, None, "x", np.ones((2, 3)), np.full((2, 2), NAN)]},
    ),
    **{
        name: (
            getattr(topology.spectra, name),
            {"topology": RING},
            {"topology": "thing", "rates": SHORT[:4]},
        )
        for name in (
            "laplacian",
            "algebraic_connectivity",
            "laplacian_extremes",
            "effective_resistance",
            "chi",
            "chi1",
            "chi2",
        )
    },
}

CASES = [
    (f"{package.__name__.removeprefix('jaxswarm.')}.{name}", table, name)
    for package, table in (
        (topology, TOPOLOGY),
        (topology.weights, WEIGHTS),
        (topology.spectra, SPECTRA),
    )
    for name in table
]


@pytest.mark.parametrize(("label", "table", "name"), CASES, ids=[case[0] for case in CASES])
def test_wrong_arguments_are_refused_by_name(label, table, name):
    del label
    assert refusals.refusals(table, name) == []


@pytest.mark.parametrize(
    ("package", "table"),
    [
        (topology, TOPOLOGY),
        (topology.weights, WEIGHTS),
        (topology.spectra, SPECTRA),
    ],
    ids=["topology", "weights", "spectra"],
)
def test_every_public_function_is_tried(package, table):
    assert refusals.functions(package) - set(table) == set()


TRACED = {
    "components": topology.components,
    "degrees": topology.degrees,
    "in_neighbors": topology.in_neighbors,
    "is_connected": topology.is_connected,
    "is_symmetric": topology.is_symmetric,
    "is_balanced": topology.is_balanced,
    "is_regular": topology.is_regular,
    "require_connected": topology.require_connected,
    "require_symmetric": lambda graph: topology.require_symmetric(graph, "x"),
    "optimal_rates": lambda graph: topology.optimal_rates(graph, iterations=1),
    "to_networkx": topology.to_networkx,
    "stack": lambda graph: topology.stack([graph]),
    "hubs": lambda graph: network.hubs(graph, 0.5),
    "fault_plan": lambda graph: network.fault_plan([(3, "cut", 0)], 6, graph),
    "uniform_delays": lambda graph: network.uniform_delays(KEY, graph, 0, 3),
    "geometric_delays": lambda graph: network.geometric_delays(KEY, graph, 1.0, 3),
    "distance_delays": lambda graph: network.distance_delays(graph, np.eye(6), 1.0),
}


@pytest.mark.parametrize("name", TRACED)
def test_a_traced_graph_is_refused_by_name_where_numpy_computes(name):
    def inside(graph):
        TRACED[name](graph)
        return graph.mask

    with pytest.raises(ValueError, match=r"topolog(y|ies).*expected concrete arrays"):
        jax.eval_shape(inside, jax.tree.map(jax.numpy.asarray, RING))
