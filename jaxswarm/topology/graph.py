"""The communication graph ``Topology``: a directed edge list as a pytree of arrays.

Shapes: ``N`` agents, ``E`` directed edge slots, ``T`` members of a sequence.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Topology:
    """A communication graph over ``N`` agents as a directed edge list sorted by receiver.

    An undirected graph holds both directions of every edge. There are no self-loops: how much an
    agent weighs its own value is a matter of the mixing weights. Build one with the families of
    :mod:`jaxswarm.topology`, :func:`from_edges` or ``from_networkx``; they validate on the host, so
    that the arrays can be trusted inside ``jit``.

    A *sequence* (time-varying topology) or a *batch* is the same pytree with a leading axis on
    every array, padded to a common ``E`` (see :func:`jaxswarm.topology.stack`); ``topology[t]``
    selects one member, with a Python or a traced index.

    Attributes:
        senders: ``int32[..., E]``, the agent that sends along each edge.
        receivers: ``int32[..., E]``, the agent that receives, ascending; padding slots hold
            ``N - 1``.
        mask: ``bool[..., E]``, false on padding slots.
        num_agents: ``N``, static.
        offsets: static; the distinct non-zero hops ``o`` if the graph is circulant, meaning that
            every agent ``i`` receives exactly from ``(i + o) mod N``; ``None`` otherwise.
        name: static; name of the graph in tables and messages.
    """

    senders: Any
    receivers: Any
    mask: Any
    num_agents: int = field(metadata={"static": True})
    offsets: tuple[int, ...] | None = field(default=None, metadata={"static": True})
    name: str = field(default="graph", metadata={"static": True})

    @property
    def num_edge_slots(self) -> int:
        """``E``: directed edges, padding included."""
        return self.senders.shape[-1]

    @property
    def is_sequence(self) -> bool:
        """Whether arrays carry a leading time (or batch) axis."""
        return self.senders.ndim > 1

    @property
    def length(self) -> int:
        """``T``, the number of members of a sequence.

        Raises:
            ValueError: if this is a single topology.
        """
        if not self.is_sequence:
            raise ValueError(f"{self.name}: expected a sequence of topologies, got a single one")
        return self.senders.shape[0]

    def __getitem__(self, index: Any) -> "Topology":
        """Member ``index`` of a sequence; negative and traced indices work, no wrap-around."""
        if not self.is_sequence:
            raise ValueError(f"{self.name}: a single topology cannot be indexed")
        if not checks.is_traced(index):
            if not checks.is_whole(index):
                raise ValueError(f"index: expected a whole number, got {checks.shown(index)}")
            if not -self.length <= index < self.length:
                raise IndexError(f"index: expected a member in [0, {self.length}), got {index}")
        return replace(
            self,
            senders=self.senders[index],
            receivers=self.receivers[index],
            mask=self.mask[index],
        )

    def in_degrees(self) -> jax.Array:
        """Number of in-neighbours of each agent, ``int32[..., N]``."""
        return per_member(_in_degrees, self)

    def out_degrees(self) -> jax.Array:
        """Number of out-neighbours of each agent, ``int32[..., N]``."""
        return per_member(_out_degrees, self)

    def adjacency(self) -> jax.Array:
        """Dense adjacency ``bool[..., N, N]``; entry ``[i, j]``: ``i`` receives from ``j``."""
        return per_member(_adjacency, self)

    def __repr__(self) -> str:
        shape = getattr(self.mask, "shape", None)
        parts = [repr(self.name), f"{self.num_agents} agents"]
        if shape is not None and len(shape) > 1:
            parts.append(f"{' x '.join(map(str, shape[:-1]))} members")
        if shape is not None and len(shape) == 1 and isinstance(self.mask, np.ndarray):
            parts.append(f"{int(self.mask.sum())} directed edges")
        elif shape:
            parts.append(f"{shape[-1]} edge slots")
        return f"Topology({', '.join(parts)})"


def per_member(function: Callable[..., Any], topology: Topology, *extra: Any) -> Any:
    """Apply a function of a single topology, vmapped over the axes of a sequence or batch.

    Args:
        function: takes a single topology whose arrays are jax arrays. Its name and hops are left
            out, so that a jitted function compiles once per shape.
        topology: a single one, a sequence or a batch.
        extra: arrays with the same leading axes as the topology's.

    Raises:
        ValueError: if this is no function or no topology.
    """
    checks.function("function", function)
    checks.instance("topology", topology, Topology, "topology.ring(64)")
    for _ in range(topology.senders.ndim - 1):
        function = jax.vmap(function)
    bare = replace(topology, name="", offsets=None)
    return function(jax.tree.map(jax.device_put, bare), *extra)


def reverse_slots(topology: Topology) -> jax.Array:
    """Edge slot of the opposite direction of each edge of an undirected graph, ``int32[..., E]``.

    Padding slots map to padding slots. Undefined where the opposite direction is missing.

    Raises:
        ValueError: if this is no topology.
    """
    return per_member(_reverse_slots, topology)


def from_edges(
    edges: Iterable[tuple[int, int]] | np.ndarray,
    num_agents: int,
    *,
    directed: bool = False,
    offsets: Sequence[int] | None = None,
    name: str = "graph",
) -> Topology:
    """Build a topology from ``(sender, receiver)`` pairs, validated on the host.

    Args:
        edges: ``[E, 2]`` integer pairs; for ``directed=False`` each undirected edge once.
        num_agents: ``N``, at least 1.
        directed: keep the pairs as they are instead of adding the reverse of each.
        offsets: hops, if the caller knows the graph to be circulant (see :class:`Topology`): every
            agent then receives over each of them and over nothing else, which is checked.
        name: for tables and messages.

    Example:
        >>> from_edges([(0, 1), (1, 2)], 3)
        Topology('graph', 3 agents, 4 directed edges)

    Raises:
        ValueError: on ``N < 1``, ends out of ``[0, N)``, self-loops or duplicate edges (the message
            names the offending edge), or offsets that do not describe all the edges.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    checks.flag("directed", directed)
    checks.instance("name", name, str, "'graph'")
    raw = _edge_array(edges)
    if raw.size and (raw.ndim != 2 or raw.shape[1] != 2):
        raise ValueError(f"edges: expected shape [E, 2], got {list(raw.shape)}")
    if raw.size and not (raw.dtype.kind in "iu" or _is_integral(raw)):
        raise ValueError("edges: expected integer agent ids, got non-integer entries")
    pairs = raw.astype(np.int64).reshape(-1, 2)
    outside = (pairs < 0) | (pairs >= num_agents)
    if outside.any():
        bad = tuple(int(v) for v in pairs[outside.any(axis=1)][0])
        raise ValueError(f"edges: expected agent ids in [0, {num_agents}), got edge {bad}")
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        bad = tuple(int(v) for v in pairs[loops][0])
        raise ValueError(f"edges: self-loop {bad}; self-weights belong to the mixing weights")
    if not directed:
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
    codes = pairs[:, 1] * num_agents + pairs[:, 0]
    order = np.argsort(codes, kind="stable")
    codes, pairs = codes[order], pairs[order]
    repeated = codes[1:] == codes[:-1]
    if repeated.any():
        bad = tuple(int(v) for v in pairs[1:][repeated][0])
        raise ValueError(f"edges: duplicate edge {bad}" + ("" if directed else " (undirected)"))
    return Topology(
        senders=pairs[:, 0].astype(np.int32),
        receivers=pairs[:, 1].astype(np.int32),
        mask=np.ones(len(pairs), bool),
        num_agents=num_agents,
        offsets=None if offsets is None else _checked_offsets(offsets, pairs, num_agents),
        name=name,
    )


@jax.jit
def _in_degrees(topology: Topology) -> jax.Array:
    ones = topology.mask.astype(jnp.int32)
    return jax.ops.segment_sum(ones, topology.receivers, num_segments=topology.num_agents)


@jax.jit
def _out_degrees(topology: Topology) -> jax.Array:
    ones = topology.mask.astype(jnp.int32)
    return jax.ops.segment_sum(ones, topology.senders, num_segments=topology.num_agents)


@jax.jit
def _adjacency(topology: Topology) -> jax.Array:
    empty = jnp.zeros((topology.num_agents, topology.num_agents), bool)
    return empty.at[topology.receivers, topology.senders].max(topology.mask)


@jax.jit
def _reverse_slots(member: Topology) -> jax.Array:
    # The k-th edge by (receiver, sender) is the reverse of the k-th edge by (sender, receiver).
    forward = jnp.lexsort((member.senders, member.receivers, ~member.mask))
    backward = jnp.lexsort((member.receivers, member.senders, ~member.mask))
    return jnp.zeros(member.senders.shape, jnp.int32).at[forward].set(backward.astype(jnp.int32))


def _edge_array(edges: Any) -> np.ndarray:
    wanted = "(sender, receiver) pairs, shape [E, 2]"
    if isinstance(edges, str) or not isinstance(edges, (np.ndarray, jax.Array, Iterable)):
        raise ValueError(f"edges: expected {wanted}, got {checks.shown(edges)}")
    checks.concrete("edges", edges)
    is_array = isinstance(edges, (np.ndarray, jax.Array))
    return checks.as_array("edges", edges if is_array else list(edges), wanted)


def _checked_offsets(offsets: Any, pairs: np.ndarray, num_agents: int) -> tuple[int, ...]:
    """Hops that describe all of ``pairs [E, 2]`` and nothing else."""
    given = checks.concrete("offsets", offsets)
    hops = checks.wholes("offsets", given, -checks.LARGEST, shape=(None,)).astype(np.int64)
    found = (pairs[:, 0] - pairs[:, 1]) % num_agents
    # No edge is given twice: N edges for each hop, all of these hops, are all of them.
    distinct = np.unique(hops % num_agents)
    complete = len(pairs) == num_agents * len(hops) and np.isin(found, distinct).all()
    if len(distinct) != len(hops) or 0 in distinct or not complete:
        raise ValueError(
            "offsets: expected distinct hops that describe all edges of a circulant graph, got "
            f"{tuple(hops.tolist())} for edges with hops {np.unique(found)[:8].tolist()}"
        )
    return tuple(hops.tolist())


def _is_integral(raw: np.ndarray) -> bool:
    return raw.dtype.kind == "f" and bool(np.all(np.isfinite(raw)) and np.all(raw == np.round(raw)))
