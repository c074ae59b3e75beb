"""Task graphs: directed acyclic graphs of subtasks in padded arrays.

Subtasks are stored in a topological order: every parent has a smaller index than its children.
Build a graph on the host, where it is validated; batches of equal capacity are stacked leaf by
leaf (``agents.stack``) and mapped with ``jax.vmap``.

Shapes: ``S`` subtask slots, ``K`` skills.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TaskGraph:
    """A directed acyclic graph of subtasks, made by :func:`task_graph` or :func:`layered_task`.

    Attributes:
        demand: ``float32[S, K]``, how much of each skill a subtask needs, at least 0.
        parents: ``bool[S, S]``; ``[i, j]`` if ``i`` needs the result of ``j``, ``j < i``.
        depth: ``int32[S]``, edges on the longest path from a source; 0 on padding slots.
        mask: ``bool[S]``, false on padding slots, which come last.
        order: ``int32[S]``, the subtask's row in the caller's ``demand``; -1 on padding.
    """

    demand: jax.Array | np.ndarray
    parents: jax.Array | np.ndarray
    depth: jax.Array | np.ndarray
    mask: jax.Array | np.ndarray
    order: jax.Array | np.ndarray


def task_graph(
    demand: ArrayLike, edges: Iterable[tuple[int, int]], *, capacity: int | None = None
) -> TaskGraph:
    """Make a validated task graph.

    Args:
        demand: ``[S, K]``, finite, at least 0, with something positive in every row.
        edges: ``(parent, child)`` pairs of row numbers of ``demand``.
        capacity: slots to pad to; the number of subtasks by default.

    Raises:
        ValueError: naming the argument: a bad demand, an edge to an unknown subtask, a self-loop,
            an edge given twice, a cycle (which is shown), or too small a capacity.

    Example:
        >>> import numpy as np
        >>> from jaxswarm import coordination
        >>> diamond = coordination.task_graph(np.ones((4, 2)), [(0, 1), (0, 2), (1, 3), (2, 3)])
        >>> float(coordination.critical_path(diamond)), int(coordination.graph_width(diamond))
        (3.0, 2)
        >>> coordination.ready_subtasks(diamond, np.array([True, False, False, False])).tolist()
        [False, True, True, False]
    """
    import networkx as nx

    checks.real("demand", checks.concrete("demand", demand), 0.0, shape=(None, None))
    needs = np.asarray(demand, np.float32)
    if 0 in needs.shape:
        raise ValueError(f"demand: expected a non-empty [S, K], got shape {needs.shape}")
    idle = np.flatnonzero(needs.sum(axis=1) <= 0)
    if idle.size:
        raise ValueError(f"demand: expected something positive in every row, row {idle[0]} is zero")
    count, skills = needs.shape
    slots = count if capacity is None else checks.whole("capacity", capacity, count)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    for parent, child in _pairs(edges):
        if not (0 <= parent < count and 0 <= child < count) or parent == child:
            raise ValueError(
                f"edges: expected pairs of two of {count} subtasks, got {(parent, child)}"
            )
        if graph.has_edge(parent, child):
            raise ValueError(f"edges: {(parent, child)} is given twice")
        graph.add_edge(parent, child)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError(f"edges: expected no cycle, got {nx.find_cycle(graph)}")
    layers = list(nx.topological_generations(graph))
    order = np.array([node for layer in layers for node in sorted(layer)], np.int32)
    depth_of = {node: level for level, layer in enumerate(layers) for node in layer}
    place = np.empty(count, np.int32)
    place[order] = np.arange(count)
    parents = np.zeros((slots, slots), bool)
    for parent, child in graph.edges:
        parents[place[child], place[parent]] = True
    padded = np.zeros((slots, skills), np.float32)
    padded[:count] = needs[order]
    depth, names = np.zeros(slots, np.int32), np.full(slots, -1, np.int32)
    depth[:count] = [depth_of[node] for node in order]
    names[:count] = order
    return TaskGraph(padded, parents, depth, np.arange(slots) < count, names)


def layered_task(
    depth: int,
    width: int,
    num_skills: int,
    *,
    fan_in: int = 1,
    capacity: int | None = None,
    seed: int = 0,
) -> TaskGraph:
    """Make a layered task graph; every subtask has ``fan_in`` random parents one layer up.

    ``depth=1`` is embarrassingly parallel, ``width=1`` a chain. Every subtask demands one random
    skill.

    Args:
        depth: number of layers, at least 1.
        width: subtasks of a layer, at least 1.
        num_skills: ``K``, at least 1.
        fan_in: parents of a subtask, from 1 to ``width``.
        capacity: slots to pad to; the number of subtasks by default.
        seed: of skills and parents.

    Raises:
        ValueError: if a number is below 1 or ``fan_in > width``.
    """
    depth, width = checks.whole("depth", depth, 1), checks.whole("width", width, 1)
    num_skills = checks.whole("num_skills", num_skills, 1)
    fan_in = checks.whole("fan_in", fan_in, 1, width)
    rng = np.random.default_rng(checks.whole("seed", seed, 0, 2**63 - 1))
    demand = np.eye(num_skills)[rng.integers(num_skills, size=depth * width)]
    edges = [
        (int((layer - 1) * width + parent), layer * width + child)
        for layer in range(1, depth)
        for child in range(width)
        for parent in rng.choice(width, fan_in, replace=False)
    ]
    return task_graph(demand, edges, capacity=capacity)


def ready_subtasks(graph: TaskGraph, completed: ArrayLike) -> jax.Array:
    """Subtasks that can start, ``bool[S]``: not completed themselves, all parents completed.

    Args:
        graph: a single task.
        completed: ``bool[S]``.

    Raises:
        ValueError: if this is no task graph, or ``completed`` is not ``bool[S]``.
    """
    _check_graph(graph)
    completed = jnp.asarray(checks.mask("completed", completed, graph.mask.shape))
    waiting = (jnp.asarray(graph.parents) & ~completed[None, :]).any(axis=1)
    return jnp.asarray(graph.mask) & ~completed & ~waiting


def num_subtasks(graph: TaskGraph) -> jax.Array:
    """Number of subtasks without padding, ``int32[]``."""
    _check_graph(graph)
    return jnp.sum(jnp.asarray(graph.mask), dtype=jnp.int32)


def critical_path(graph: TaskGraph, durations: ArrayLike | None = None) -> jax.Array:
    """Length of the critical path, ``float32[]``: a lower bound of any schedule.

    Args:
        graph: a single task.
        durations: ``[S]``, at least 0; 1 each by default, which counts subtasks.

    Raises:
        ValueError: if this is no task graph, or a duration is negative, not finite or of another
            shape; durations of padding slots have no influence.
    """
    _check_graph(graph)
    mask = jnp.asarray(graph.mask)
    given = jnp.ones(mask.shape)
    if durations is not None:
        given = checks.numbers("durations", durations, mask.shape).astype(jnp.float32)
        if not checks.is_traced(given) and not checks.is_traced(mask):
            checks.real("durations", given[mask], 0.0, shape=(None,))
    lengths = jnp.where(mask, given, 0.0)

    def body(i: jax.Array, finish: jax.Array) -> jax.Array:
        start = jnp.max(jnp.where(jnp.asarray(graph.parents)[i], finish, 0.0))
        return finish.at[i].set(start + lengths[i])

    return jnp.max(jax.lax.fori_loop(0, mask.shape[0], body, jnp.zeros(mask.shape)))


def graph_width(graph: TaskGraph) -> jax.Array:
    """Width of the graph, ``int32[]``: the largest number of subtasks of one depth."""
    _check_graph(graph)
    mask = jnp.asarray(graph.mask)
    return jnp.max(jnp.zeros(mask.shape[0], jnp.int32).at[graph.depth].add(mask.astype(jnp.int32)))


def graph_density(graph: TaskGraph) -> jax.Array:
    """Density, ``float32[]``: edges as a share of ``n (n - 1) / 2``; 0 for one subtask."""
    n = num_subtasks(graph).astype(jnp.float32)
    edges = jnp.sum(jnp.asarray(graph.parents), dtype=jnp.float32)
    return edges / jnp.maximum(n * (n - 1.0) / 2.0, 1.0)


def _check_graph(graph: TaskGraph) -> None:
    checks.instance("graph", graph, TaskGraph, "coordination.layered_task(3, 2, 1)")


def _pairs(edges: Any) -> list[tuple[int, int]]:
    wanted = "(parent, child) pairs of whole numbers"
    checks.concrete("edges", edges)
    if isinstance(edges, str) or not isinstance(edges, (Iterable, jax.Array)):
        raise ValueError(f"edges: expected {wanted}, got {checks.shown(edges)}")
    listed = list(edges)
    if not listed:
        return []
    table = checks.wholes("edges", np.asarray(checks.as_array("edges", listed, wanted)), -1)
    if table.ndim != 2 or table.shape[1] != 2:
        raise ValueError(f"edges: expected {wanted}, got shape {table.shape}")
    return [(int(parent), int(child)) for parent, child in table]
