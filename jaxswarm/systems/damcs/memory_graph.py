"""Hierarchical memory: long-term goals, goals under them, steps under those, in a ring of slots.

Every experience adds a step node, and a node of its goal or long-term goal if that changed (a goal
node also if the inventory did). Nodes point to their parent and to the previous node of their kind
by serial number; a slot that was overwritten has another serial number, so that no pointer ever
leads to a wrong node. Where the reference writes experiences in batches of ten, nodes are added as
they occur.

Shapes: ``C`` slots. Unbatched; ``jax.vmap`` for one per agent.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.systems.damcs.records import Decision

LONG_TERM, GOAL, STEP = 0, 1, 2
KINDS = ("long-term goal", "goal", "step")


class MemoryGraph(NamedTuple):
    """Nodes in slots; serial numbers start at 1, and 0 stands for none.

    Attributes:
        serial: ``int32[C]``, 0 in free slots; the node with serial ``s`` is in slot
            ``(s - 1) mod C``.
        kind: ``int32[C]``, index into :data:`KINDS`.
        label: ``int32[C]``, the goal of a goal node, the operation of a step node.
        material: ``int32[C]``, argument of a step.
        parent: ``int32[C]``, serial number.
        previous: ``int32[C]``, serial number of the node of this kind before.
        time: ``int32[C]``.
        digest: ``int32[C]``, of the inventory.
        result: ``int32[C]``, of a step.
        last: ``int32[3]``, serial number of the newest node of each kind.
        count: ``int32[]``, nodes ever added.
        experiences: ``int32[]``, steps ever added.
    """

    serial: jax.Array
    kind: jax.Array
    label: jax.Array
    material: jax.Array
    parent: jax.Array
    previous: jax.Array
    time: jax.Array
    digest: jax.Array
    result: jax.Array
    last: jax.Array
    count: jax.Array
    experiences: jax.Array


def empty_graph(capacity: int) -> MemoryGraph:
    """A graph without nodes.

    Args:
        capacity: ``C``, at least 3, so that a step and its goals fit.

    Raises:
        ValueError: if ``capacity < 3``.
    """
    none = jnp.zeros(checks.whole("capacity", capacity, 3), jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    columns: Any = [none] * 9
    return MemoryGraph(*[*columns, jnp.zeros(3, jnp.int32), zero, zero])


def digest_of(inventory: jax.Array) -> jax.Array:
    """A number that tells inventories apart (vital signs left out), ``int32[]``."""
    weights = 7 ** jnp.arange(inventory.shape[-1] - 4) % 65_521
    return jnp.sum(inventory[..., 4:] * weights, axis=-1).astype(jnp.int32)


def add_experience(
    graph: MemoryGraph,
    decision: Decision,
    result: jax.Array,
    inventory: jax.Array,
    time: jax.Array,
    *,
    active: bool | jax.Array = True,
) -> MemoryGraph:
    """Add the outcome of a decision.

    Args:
        graph: before.
        decision: what was decided, scalars.
        result: ``int32[]``, its :class:`~jaxswarm.systems.damcs.Result`.
        inventory: ``int32[16]`` after it.
        time: ``int32[]``.
        active: ``bool[]``; false leaves the graph as it is.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.systems import damcs
        >>> graph = damcs.empty_graph(8)
        >>> chosen = jax.tree.map(lambda x: x[0], damcs.no_decision(1))
        >>> graph = damcs.add_experience(graph, chosen, 1, jnp.zeros(16, jnp.int32), 0)
        >>> [damcs.KINDS[k] for k in graph.kind[:3].tolist()]
        ['long-term goal', 'goal', 'step']
    """
    checks.instance("graph", graph, MemoryGraph, "damcs.empty_graph(32)")
    capacity = graph.serial.shape[0]
    digest, active = digest_of(inventory), jnp.asarray(active)

    def at(serial: jax.Array) -> jax.Array:
        return (serial - 1) % capacity

    def is_kept(serial: jax.Array) -> jax.Array:
        return (serial > 0) & (graph.serial[at(serial)] == serial)

    newest_long, newest_goal = graph.last[LONG_TERM], graph.last[GOAL]
    same_long = is_kept(newest_long) & (graph.label[at(newest_long)] == decision.long_term)
    same_goal = same_long & is_kept(newest_goal)
    same_goal &= graph.label[at(newest_goal)] == decision.goal
    same_goal &= graph.digest[at(newest_goal)] == digest
    count, last = graph.count, graph.last
    for kind, label, needed in (
        (LONG_TERM, decision.long_term, ~same_long),
        (GOAL, decision.goal, ~same_goal),
        (STEP, decision.op, jnp.ones((), bool)),
    ):
        adds = active & needed
        serial = count + 1
        slot = jnp.where(adds, at(serial), capacity)
        parent = last[kind - 1] if kind else jnp.int32(0)
        values = (
            serial,
            kind,
            label,
            decision.material if kind == STEP else 0,
            parent,
            last[kind],
            time,
            digest,
            result if kind == STEP else 0,
        )
        fields: Any = [
            column.at[slot].set(jnp.asarray(value, jnp.int32), mode="drop")
            for column, value in zip(graph[:9], values, strict=True)
        ]
        last = last.at[kind].set(jnp.where(adds, serial, last[kind]))
        count = count + adds
        graph = MemoryGraph(*[*fields, last, count, graph.experiences])
    return graph._replace(experiences=graph.experiences + active)


def parent_slot(graph: MemoryGraph) -> jax.Array:
    """Slot of every node's parent, ``int32[C]``; -1 where there is none or it was overwritten."""
    capacity = graph.serial.shape[0]
    slot = (graph.parent - 1) % capacity
    kept = (graph.parent > 0) & (graph.serial > 0) & (graph.serial[slot] == graph.parent)
    return jnp.where(kept, slot, -1)


def failures(
    graph: MemoryGraph, op: int, result: int, since: jax.Array, num_materials: int
) -> jax.Array:
    """How often an operation ended with a result for each material, ``int32[num_materials]``.

    Args:
        graph: the memory.
        op: operation of the steps counted.
        result: their result.
        since: earliest time that counts.
        num_materials: number of codes.
    """
    counted = (graph.serial > 0) & (graph.kind == STEP) & (graph.label == op)
    counted &= (graph.result == result) & (graph.time >= since)
    of = graph.material[:, None] == jnp.arange(num_materials)[None]
    return jnp.sum(of & counted[:, None], axis=0)
