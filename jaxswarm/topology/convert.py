"""Convert topologies to and from networkx graphs."""

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from jaxswarm import checks
from jaxswarm.topology.graph import Topology, from_edges
from jaxswarm.topology.validation import is_symmetric, require_topology

if TYPE_CHECKING:
    import networkx as nx


@overload
def from_networkx(graph: Any, *, weight: None = None, name: str | None = None) -> Topology: ...
@overload
def from_networkx(
    graph: Any, *, weight: str, name: str | None = None
) -> tuple[Topology, np.ndarray]: ...
def from_networkx(
    graph: Any, *, weight: str | None = None, name: str | None = None
) -> Topology | tuple[Topology, np.ndarray]:
    """Convert a networkx graph to a topology.

    Args:
        graph: a ``Graph``, or a ``DiGraph`` whose edge ``(u, v)`` means that ``v`` receives from
            ``u``. Any labels; agent ``i`` is the ``i``-th of ``graph.nodes``.
        weight: the edge attribute to read. Pass the weights returned to ``gossip.mixing(topology,
            weights)``, which takes an array of edge weights wherever it takes the name of a scheme.
        name: for tables and messages; the graph's own name by default.

    Returns:
        The topology, or ``(topology, weights)`` with ``weights: float32[E]`` in the order of the
        topology's edges if ``weight`` is given. Self-weights complete each row to one.

    Example:
        >>> import networkx as nx
        >>> from_networkx(nx.path_graph(3), name="path")
        Topology('path', 3 agents, 4 directed edges)

    Raises:
        ValueError: if this is no networkx graph; on an empty graph, a multigraph, self-loops, or an
            edge without the attribute or with one that is no finite number.
    """
    if not hasattr(graph, "is_multigraph"):
        raise ValueError(f"graph: expected a networkx graph, got {checks.shown(graph)}")
    if name is not None:
        checks.instance("name", name, str, "'graph'")
    if graph.is_multigraph():
        raise ValueError(
            f"graph: expected simple edges, got a {type(graph).__name__}; convert it with "
            "networkx.Graph(graph) or networkx.DiGraph(graph) first"
        )
    labels = list(graph.nodes)
    if not labels:
        raise ValueError("graph: expected at least 1 node, got an empty graph")
    number = {label: i for i, label in enumerate(labels)}
    edges = list(graph.edges(data=weight) if weight is not None else graph.edges)
    for edge in edges:
        if edge[0] == edge[1]:
            raise ValueError(f"graph: expected no self-loops, got one at node {edge[0]!r}")
        if weight is not None and edge[2] is None:
            raise ValueError(f"graph: edge {edge[:2]!r} has no attribute {weight!r}")
    pairs = np.array([(number[e[0]], number[e[1]]) for e in edges], np.int64).reshape(-1, 2)
    directed = graph.is_directed()
    title = name or graph.name or "networkx"
    topology = from_edges(pairs, len(labels), directed=directed, name=title)
    if weight is None:
        return topology
    for edge in edges:
        checks.real(f"graph: attribute {weight!r} of edge {edge[:2]!r}", edge[2])
    values = np.array([e[2] for e in edges], np.float32)
    if not directed:
        pairs, values = np.concatenate([pairs, pairs[:, ::-1]]), np.concatenate([values, values])
    return topology, values[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def to_networkx(topology: Topology, *, weights: Any = None) -> "nx.Graph | nx.DiGraph":
    """Convert a topology to a networkx graph on nodes ``0 ... N - 1``.

    Args:
        topology: a single topology; index a sequence first.
        weights: ``[E]`` edge weights to attach as the attribute ``"weight"``.

    Returns:
        A ``Graph`` if every edge has its opposite (with the same weight), else a ``DiGraph`` with
        edges from sender to receiver.

    Raises:
        ValueError: on a sequence, traced arrays, or weights of another shape or not finite.
    """
    import networkx as nx

    require_topology(topology)
    checks.concrete("topology", topology)
    if topology.is_sequence:
        raise ValueError(
            f"{topology.name}: expected a single topology, got a sequence; index it first"
        )
    mask = np.asarray(topology.mask, bool)
    if weights is not None:
        checks.real("weights", checks.concrete("weights", weights), shape=None)
    if weights is not None and np.shape(weights) != mask.shape:
        raise ValueError(
            f"weights: expected shape {list(mask.shape)}, got {list(np.shape(weights))}"
        )
    senders = np.asarray(topology.senders)[mask].tolist()
    receivers = np.asarray(topology.receivers)[mask].tolist()
    directed = nx.DiGraph(name=topology.name)
    directed.add_nodes_from(range(topology.num_agents))
    if weights is None:
        directed.add_edges_from(zip(senders, receivers, strict=True))
    else:
        values = np.asarray(weights)[mask].tolist()
        directed.add_weighted_edges_from(zip(senders, receivers, values, strict=True))
    if not is_symmetric(topology):
        return directed
    if weights is not None and any(
        data["weight"] != directed[v][u]["weight"] for u, v, data in directed.edges(data=True)
    ):
        return directed
    return directed.to_undirected()
