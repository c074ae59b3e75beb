"""Which graph over actions a team uses: given, learned or random; numbers, so that they are swept.

Shapes: ``N`` agents; ``[j, i]`` is from ``j`` to ``i``.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks, errors
from jaxswarm.systems.bn_actor_critic import graphs
from jaxswarm.systems.bn_actor_critic.sampling import check_temperature
from jaxswarm.types import Params

FIXED = {"independent": graphs.independent, "line": graphs.line, "full": graphs.full}
KINDS = (*FIXED, "learnt", "random")


class GraphSettings(NamedTuple):
    """Which graph a team uses; numbers, all traced. Made by :func:`graph_settings`.

    Attributes:
        fixed: 1 if the graph is given, 0 if it is sampled.
        learned: 1 if logits are the networks', 0 for the same distribution in every state.
        edges: ``[N, N]``, the given graph.
        permutation: ``[N, N]``, its order.
        communicates: ``[N, N]``, 1 at ``[j, i]`` where ``i`` receives what ``j`` sends.
        edge_probability: of an edge that agrees with the order, where it is not learned.
        temperature: of the relaxations.
        density_weight: weight of ``|density − density_threshold|`` in the loss.
        density_threshold: the density aimed at, in ``[0, 1]``.
    """

    fixed: Any
    learned: Any
    edges: Any
    permutation: Any
    communicates: Any
    edge_probability: Any = 0.5
    temperature: Any = 1.0
    density_weight: Any = 0.0
    density_threshold: Any = 0.0


def graph_settings(
    graph: str | np.ndarray,
    num_agents: int,
    *,
    communicates: np.ndarray | None = None,
    edge_probability: float = 0.5,
    temperature: float = 1.0,
    density_weight: float = 0.0,
    density_threshold: float = 0.0,
) -> GraphSettings:
    """Make the settings of a graph.

    Args:
        graph: ``"independent"``, ``"line"`` or ``"full"``; ``"learnt"``: sampled from the networks'
            logits; ``"random"``: sampled from uniform orders and edges of equal probability; or the
            graph itself, ``[N, N]``.
        num_agents: ``N``.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends. Sampled
            graphs lose their other edges; a given graph with others is refused. True everywhere by
            default.
        edge_probability: in ``[0, 1]``, of the edges of a random graph.
        temperature: of the relaxations of a sampled graph.
        density_weight: weight of the density's distance from ``density_threshold`` in the loss.
        density_threshold: in ``[0, 1]``.

    Raises:
        ValueError: for an unknown name, a cycle, another number of agents, edges without
            communication, or a number out of range.
    """
    for name, given in (
        ("edge_probability", edge_probability),
        ("density_threshold", density_threshold),
    ):
        checks.probability(name, given)
    checks.real("density_weight", density_weight, 0.0)
    check_temperature(temperature)
    num_agents = checks.whole("num_agents", num_agents, 1)
    shape = (num_agents, num_agents)
    receives = np.ones(shape, bool)
    if communicates is not None:
        receives = graphs.zeros_and_ones("communicates", communicates, shape)
    if isinstance(graph, str) and graph not in KINDS:
        raise errors.unknown("graph", graph, KINDS)
    sampled = isinstance(graph, str) and graph not in FIXED
    dag = np.zeros(shape, bool)
    if isinstance(graph, str) and not sampled:
        dag = FIXED[graph](num_agents)
    elif not isinstance(graph, str):
        dag = checks.as_array("graph", graph, f"a name or [{num_agents}, {num_agents}]")
        if dag.shape != shape:
            raise ValueError(f"graph: expected shape {shape}, got {dag.shape}")
    dag = graphs.check_dag(dag, receives, name="graph")
    settings = GraphSettings(
        fixed=not sampled,
        learned=isinstance(graph, str) and graph == "learnt",
        edges=dag,
        permutation=graphs.permutation_matrix(graphs.topological_order(dag)),
        communicates=receives,
        edge_probability=edge_probability,
        temperature=temperature,
        density_weight=density_weight,
        density_threshold=density_threshold,
    )
    return jax.tree.map(jnp.float32, settings)


def with_graph(params: Params, settings: GraphSettings) -> Params:
    """The same weights of a team, with another graph.

    Raises:
        ValueError: for weights that are not a team's, or settings of another kind.
    """
    if not (isinstance(params, dict) and isinstance(params.get("actor"), dict)):
        raise ValueError(f"params: expected weights of team_network, got {checks.shown(params)}")
    checks.instance("settings", settings, GraphSettings, 'graph_settings("learnt", 3)')
    return {**params, "actor": {**params["actor"], "graph": jax.tree.map(jnp.float32, settings)}}
