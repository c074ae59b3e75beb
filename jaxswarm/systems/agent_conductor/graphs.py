"""Layered graphs of agent roles: arrays, a validated constructor, and the errors of a format.

A graph is a sequence of slots. An occupied slot holds an agent: its role, whether it opens a new
layer, and references to the agents whose outputs it reads. The first slot that holds ``STOP`` ends
the graph; the agent before it is the terminal agent, whose output is the solution.

Shapes: ``N`` slots, ``...`` any batch axes.

References:
    Wang et al., AgentConductor, 2026: layers ("steps") of agents with references to earlier layers,
    four classes of format errors, density of a graph.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks, coordination
from jaxswarm.types import ArrayLike

ROLES = ("retrieval", "planning", "algorithm", "coding", "debugging", "testing")
"""Roles of agents; a role is its index."""
STOP, UNKNOWN = len(ROLES), len(ROLES) + 1
"""What a slot may hold besides a role: the end of the graph, and a role outside the schema."""
NUM_TOKENS = len(ROLES) + 2
CODING, DEBUGGING, TESTING = (ROLES.index(name) for name in ("coding", "debugging", "testing"))
FORMAT_ERRORS = ("valid", "none found", "parse", "schema", "logic")
"""Outcomes of :func:`format_error`; the first means that the graph can be executed."""


class RoleGraph(NamedTuple):
    """A layered graph of agent roles, valid or not.

    Attributes:
        role: ``int32[..., N]``, index into :data:`ROLES`, ``STOP`` or ``UNKNOWN``.
        opens: ``bool[..., N]``, whether the slot opens a new layer.
        refs: ``bool[..., N, N]``; ``[i, j]`` if agent ``i`` reads the output of agent ``j``.
    """

    role: jax.Array | np.ndarray
    opens: jax.Array | np.ndarray
    refs: jax.Array | np.ndarray


def role_graph(
    steps: Sequence[Sequence[tuple[str, Sequence[int]]]],
    *,
    slots: int = 10,
    max_nodes: int | None = None,
) -> RoleGraph:
    """Make a validated graph from its layers, as an orchestrator would write them.

    Args:
        steps: one list per layer with ``(role, references)`` of its agents; references are numbers
            of agents of earlier layers, counted from 0 over all layers.
        slots: ``N`` to pad to.
        max_nodes: largest number of agents allowed; ``slots`` by default.

    Raises:
        ValueError: naming the argument: no agent, an empty layer, an unknown role, a reference to
            itself, to the same layer, to a later one or to no agent, a reference given twice, too
            many agents, a terminal agent that neither codes nor tests, no coding agent, or an agent
            whose output no other agent reads.

    Example:
        >>> from jaxswarm.systems import agent_conductor
        >>> graph = agent_conductor.role_graph(
        ...     [[("planning", []), ("algorithm", [])], [("coding", [0, 1])]]
        ... )
        >>> size = agent_conductor.graph_size(graph)
        >>> int(size.nodes), int(size.edges), int(size.steps)
        (3, 2, 2)
    """
    slots = checks.whole("slots", slots, 1)
    most = slots if max_nodes is None else checks.whole("max_nodes", max_nodes, 1, slots)
    wanted = "a list of layers of (role, references) pairs"
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        raise ValueError(f"steps: expected {wanted}, got {checks.shown(steps)}")
    role = np.full(slots, STOP, np.int32)
    opens, refs = np.zeros(slots, bool), np.zeros((slots, slots), bool)
    count = 0
    for layer, agents in enumerate(steps):
        if not isinstance(agents, Sequence) or isinstance(agents, str):
            raise ValueError(f"steps: expected {wanted}, got {checks.shown(agents)}")
        if not agents:
            raise ValueError(f"steps: expected no empty layer, layer {layer} is empty")
        first = count
        for agent in agents:
            if not isinstance(agent, Sequence) or isinstance(agent, str) or len(agent) != 2:
                raise ValueError(f"steps: expected {wanted}, got {checks.shown(agent)}")
            if count >= most:
                raise ValueError(f"steps: expected at most {most} agents, got more")
            name, read = agent
            role[count] = ROLES.index(checks.choice("role of steps", name, ROLES))
            opens[count] = count == first
            for j in checks.wholes("steps: references", list(read), -(2**31), shape=(None,)):
                if not 0 <= j < first:
                    raise ValueError(
                        f"steps: agent {count} of layer {layer} refers to {j}; expected one of the "
                        f"{first} agents of earlier layers"
                    )
                if refs[count, j]:
                    raise ValueError(f"steps: agent {count} refers to {j} twice")
                refs[count, j] = True
            count += 1
    if not count:
        raise ValueError("steps: expected at least one agent, got none")
    if role[count - 1] not in (CODING, TESTING):
        raise ValueError(
            f"steps: expected a coding or testing agent at the end, got {ROLES[role[count - 1]]}"
        )
    if CODING not in role[:count]:
        raise ValueError("steps: expected a coding agent, got none")
    unread = np.flatnonzero(~np.any(refs[:count], axis=0)[: count - 1])
    if unread.size:
        raise ValueError(f"steps: no agent refers to agent {unread[0]}, so its output is lost")
    return RoleGraph(role, opens, refs)


class GraphSize(NamedTuple):
    """Numbers of agents, references and layers, ``int32[...]``."""

    nodes: jax.Array
    edges: jax.Array
    steps: jax.Array


def occupied(graph: RoleGraph) -> jax.Array:
    """Slots that hold an agent, those before the first ``STOP``, ``bool[..., N]``."""
    checks.instance("graph", graph, RoleGraph, "agent_conductor.role_graph(…)")
    stopped = jnp.asarray(graph.role) == STOP
    return jnp.cumsum(stopped, axis=-1) == 0


def layers(graph: RoleGraph) -> jax.Array:
    """Layer of each slot, ``int32[..., N]``, counted from 1; 0 where no layer has been opened."""
    checks.instance("graph", graph, RoleGraph, "agent_conductor.role_graph(…)")
    return jnp.cumsum(jnp.asarray(graph.opens) & occupied(graph), axis=-1)


def edges(graph: RoleGraph) -> jax.Array:
    """References between agents, ``bool[..., N, N]``; those of empty slots do not count."""
    mask = occupied(graph)
    return jnp.asarray(graph.refs) & mask[..., :, None] & mask[..., None, :]


def graph_size(graph: RoleGraph) -> GraphSize:
    """Count the agents, references and layers of a graph.

    Raises:
        ValueError: if this is no :class:`RoleGraph`.
    """
    return GraphSize(
        jnp.sum(occupied(graph), axis=-1, dtype=jnp.int32),
        jnp.sum(edges(graph), axis=(-2, -1), dtype=jnp.int32),
        jnp.max(layers(graph), axis=-1).astype(jnp.int32),
    )


def format_error(graph: RoleGraph, max_nodes: ArrayLike) -> jax.Array:
    """The most severe error of a graph as index into :data:`FORMAT_ERRORS`, ``int32[...]``.

    None found: no agent. Parse: the first agent stands in no layer. Schema: a role outside
    the schema, or a layer without agents at the end. Logic: more than ``max_nodes`` agents, a
    reference that does not point to an earlier layer, a terminal agent that neither codes nor
    tests, no coding agent, or an agent whose output no other agent reads.

    Args:
        graph: any graph.
        max_nodes: ``int32[...]``.

    Raises:
        ValueError: if this is no :class:`RoleGraph`, or ``max_nodes`` holds no whole numbers.
    """
    mask, layer, used = occupied(graph), layers(graph), edges(graph)
    most = jnp.asarray(checks.wholes("max_nodes", max_nodes))
    role, opens = jnp.asarray(graph.role), jnp.asarray(graph.opens)
    refs = jnp.asarray(graph.refs) & mask[..., :, None]
    slots = role.shape[-1]
    nodes = jnp.sum(mask, axis=-1)
    index = jnp.broadcast_to(jnp.arange(slots), role.shape)
    last = index == nodes[..., None] - 1
    ended = index == nodes[..., None]
    earlier = layer[..., None, :] < layer[..., :, None]
    backward = (index[..., None, :] < index[..., :, None]) & earlier & mask[..., None, :]
    terminal = jnp.max(jnp.where(last, role, -1), axis=-1)
    unread = mask & ~last & ~jnp.any(used, axis=-2)
    logic = (
        (nodes > most)
        | jnp.any(refs & ~backward, axis=(-2, -1))
        | ~((terminal == CODING) | (terminal == TESTING))
        | ~jnp.any(mask & (role == CODING), axis=-1)
        | jnp.any(unread, axis=-1)
    )
    schema = jnp.any(mask & (role == UNKNOWN), axis=-1) | jnp.any(ended & opens, axis=-1)
    found = jnp.where(logic, 4, 0)
    found = jnp.where(schema, 3, found)
    found = jnp.where(~opens[..., 0], 2, found)
    return jnp.where(nodes == 0, 1, found).astype(jnp.int32)


def task_graph_of(graph: RoleGraph) -> coordination.TaskGraph:
    """Convert one valid graph to a :class:`~jaxswarm.coordination.TaskGraph` of its roles.

    The demand of a subtask is one on its role, so that ``coordination.critical_path`` and the like
    apply.

    Raises:
        ValueError: for a batch of graphs, or one that is not valid.
    """
    checks.instance("graph", graph, RoleGraph, "agent_conductor.role_graph(…)")
    checks.concrete("graph", graph)
    role = np.asarray(graph.role)
    if role.ndim != 1 or int(format_error(graph, role.shape[-1])):
        raise ValueError("graph: expected one valid graph, see format_error")
    nodes = int(graph_size(graph).nodes)
    pairs = [(int(j), int(i)) for i, j in np.argwhere(np.asarray(graph.refs)[:nodes])]
    return coordination.task_graph(np.eye(len(ROLES))[role[:nodes]], pairs, capacity=len(role))


def stacked(graphs: Sequence[RoleGraph]) -> RoleGraph:
    """Stack graphs of equal capacity along a new leading axis.

    Raises:
        ValueError: for an empty list, what are no graphs, or unequal capacities.
    """
    if not isinstance(graphs, Sequence) or isinstance(graphs, RoleGraph) or not len(graphs):
        raise ValueError(f"graphs: expected a list of graphs, got {checks.shown(graphs)}")
    for graph in graphs:
        checks.instance("graphs", graph, RoleGraph, "agent_conductor.role_graph(…)")
    sizes = sorted({np.shape(graph.role)[-1] for graph in graphs})
    if len(sizes) > 1:
        raise ValueError(f"graphs: expected equal numbers of slots, got {sizes}")
    return RoleGraph(*(np.stack([np.asarray(x) for x in leaf]) for leaf in zip(*graphs)))  # noqa: B905
