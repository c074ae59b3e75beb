"""Density of a role graph and the reward of sparse graphs within the bound of a difficulty.

``S_node = exp(−|V| / N_max)``, ``S_edge = exp(−|E| / (|V| (|V| − 1) / 2))``,
``S_depth = 1 − s / |V|`` for ``|V|`` agents, ``|E|`` references and ``s`` layers, and
``S = exp(S_node + 2 S_edge + S_depth)``: higher is sparser. Two secondary sources print the edges
of the complete graph in different ways; ours are ``|V| (|V| − 1) / 2``. One agent alone has
``S_edge = 1``. The scale of the reward is ours: ``S`` relative to that of one agent, which has the
largest of all valid graphs.

References:
    Wang et al., AgentConductor, 2026, through its abstract and two independent notes.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.systems.agent_conductor.graphs import GraphSize, RoleGraph, graph_size
from jaxswarm.types import ArrayLike

MAX_NODES = (4, 7, 10)
"""Largest number of agents for easy, medium and hard tasks (of a reproduction, not the paper)."""


class Sparsity(NamedTuple):
    """Terms of the density of a graph, ``float32[...]``; higher is sparser.

    Attributes:
        node: ``S_node`` in ``(0, 1)``.
        edge: ``S_edge`` in ``(0, 1]``.
        depth: ``S_depth`` in ``[0, 1)``.
        total: ``S = exp(node + 2 edge + depth)``.
    """

    node: jax.Array
    edge: jax.Array
    depth: jax.Array
    total: jax.Array


def sparsity(graph: RoleGraph, max_nodes: ArrayLike) -> Sparsity:
    """Sparsity of a graph relative to the bound of its difficulty.

    Args:
        graph: any graph with at least one agent; an empty one counts as one agent.
        max_nodes: ``N_max``, ``int32[...]`` of at least 1.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> from jaxswarm.systems import agent_conductor
        >>> single = agent_conductor.role_graph([[("coding", [])]])
        >>> found = agent_conductor.sparsity(single, 4)
        >>> float(found.edge), float(found.depth)
        (1.0, 0.0)
    """
    checks.instance("graph", graph, RoleGraph, "agent_conductor.role_graph(…)")
    most = jnp.asarray(checks.wholes("max_nodes", max_nodes, 1))
    return sparsity_of(graph_size(graph), most)


def sparsity_of(size: GraphSize, max_nodes: ArrayLike) -> Sparsity:
    """Sparsity of a graph of the given size; arguments unchecked."""
    nodes = jnp.maximum(jnp.asarray(size.nodes), 1).astype(jnp.float32)
    node = jnp.exp(-nodes / jnp.asarray(max_nodes))
    complete = nodes * (nodes - 1.0) / 2.0
    edge = jnp.exp(-jnp.asarray(size.edges) / jnp.maximum(complete, 1.0))
    depth = 1.0 - jnp.clip(jnp.asarray(size.steps), 1) / nodes
    return Sparsity(node, edge, depth, jnp.exp(node + 2.0 * edge + depth))


def graph_reward(graph: RoleGraph, max_nodes: ArrayLike, weight: ArrayLike = 1.0) -> jax.Array:
    """Reward of sparse graphs, ``weight · S / S(one agent)``, ``float32[...]``.

    Args:
        graph: valid graphs.
        max_nodes: ``N_max``, ``int32[...]``.
        weight: at least 0.

    Raises:
        ValueError: for arguments of another kind or out of range.
    """
    checks.real("weight", weight, 0.0)
    total = sparsity(graph, max_nodes).total
    one = jnp.int32(1)
    single = sparsity_of(GraphSize(one, 0 * one, one), jnp.asarray(max_nodes)).total
    return jnp.asarray(weight) * total / single


@functools.cache
def reward_range(max_nodes: int) -> tuple[float, float]:
    """Smallest and largest graph reward of weight 1 over the sizes of all valid graphs.

    Of ``v`` agents in ``s`` layers, all but the terminal one are read by another, so that there are
    at least ``v − 1`` references, at most those of the complete graph, and two or more layers.

    Raises:
        ValueError: unless ``max_nodes`` is at least 1.
    """
    most = checks.whole("max_nodes", max_nodes, 1)
    rows = [(1, 0, 1)]
    for v in range(2, most + 1):
        for s in range(2, v + 1):
            rows += [(v, e, s) for e in range(v - 1, v * (v - 1) // 2 + 1)]
    v, e, s = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    edge = np.exp(-e / np.maximum(v * (v - 1) / 2, 1))
    total = np.exp(np.exp(-v / most) + 2 * edge + 1 - s / v)
    return float(total.min() / total[0]), float(total.max() / total[0])
