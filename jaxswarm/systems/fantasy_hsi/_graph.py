"""The dynamic directed graph of states and actions, as padded arrays that grow by appending.

Shapes: ``M`` nodes, ``E`` edges at most.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

ACCEPTED, REJECTED, DEVIATED, CORRECTIVE = 0, 1, 2, 3
EDGE_KINDS = ("accepted", "rejected", "deviated", "corrective")
"""Kinds of edges: accepted by the critic; rejected; taken though rejected, as the least bad of all
tries; and accepted from a state that deviates, back to the plan."""


class MotionGraph(NamedTuple):
    """Nodes are states (poses), edges are generated actions.

    Attributes:
        pose: ``float32[M, 3]``, of nodes in the order of their appending; node 0 is the start.
        source: ``int32[E]``, node that an edge leaves; -1 in empty slots.
        target: ``int32[E]``, node that it reaches; -1 in empty slots.
        verb: ``int32[E]``.
        kind: ``int32[E]``, index into :data:`EDGE_KINDS`; -1 in empty slots.
        num_edges: ``int32[]``, edges that are stored; nodes are one more.
        overflow: ``int32[]``, edges that found no slot.
    """

    pose: jax.Array
    source: jax.Array
    target: jax.Array
    verb: jax.Array
    kind: jax.Array
    num_edges: jax.Array
    overflow: jax.Array


def motion_graph(pose: ArrayLike, capacity: int) -> MotionGraph:
    """A graph of the start node alone.

    Args:
        pose: ``float[3]``.
        capacity: ``E``, at least 1, static.

    Raises:
        ValueError: for another pose or a capacity below 1.
    """
    checks.real("pose", pose, shape=(3,))
    capacity = checks.whole("capacity", capacity, 1)
    none = jnp.full(capacity, -1, jnp.int32)
    poses = jnp.zeros((capacity + 1, 3)).at[0].set(jnp.asarray(pose, jnp.float32))
    zero = jnp.zeros((), jnp.int32)
    return MotionGraph(poses, none, none, none, none, zero, zero)


def append(
    graph: MotionGraph,
    source: jax.Array,
    pose: jax.Array,
    verb: jax.Array,
    kind: jax.Array,
    active: jax.Array | bool = True,
) -> tuple[MotionGraph, jax.Array]:
    """Append an edge and the node that it reaches; without a free slot, count it as overflow.

    Args:
        graph: the graph.
        source: ``int32[]``, the node that the edge leaves.
        pose: ``float32[3]`` of the new node.
        verb: ``int32[]``.
        kind: ``int32[]``, index into :data:`EDGE_KINDS`.
        active: ``bool[]``; nothing happens if false.

    Returns:
        The graph and the edge's slot, ``E`` if there was none.
    """
    capacity = len(graph.kind)
    active = jnp.asarray(active)
    stored = active & (graph.num_edges < capacity)
    slot = jnp.where(stored, graph.num_edges, capacity)
    put = lambda array, value: array.at[slot].set(value, mode="drop")  # noqa: E731
    node = jnp.where(stored, slot + 1, capacity + 1)
    return (
        MotionGraph(
            graph.pose.at[node].set(pose, mode="drop"),
            put(graph.source, source),
            put(graph.target, node),
            put(graph.verb, verb),
            put(graph.kind, kind),
            graph.num_edges + stored,
            graph.overflow + (active & ~stored),
        ),
        slot,
    )
