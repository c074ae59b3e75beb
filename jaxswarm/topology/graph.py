"""The `Topology` pytree: who hears whom, as arrays.

Shapes: ``N`` agents, ``E`` directed edge slots, ``K`` in-neighbour slots of the padded form, ``T`` rounds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Topology:
    """A communication graph over ``N`` agents as a directed edge list sorted by receiver.

    An undirected graph holds both directions of every edge. There are no self-loops: an agent always
    hears itself, and how loudly is a matter of the mixing weights. Build one with the families of
    :mod:`jaxswarm.topology`, :func:`from_edges` or ``from_networkx``; they validate on the host, so that
    the arrays can be trusted inside ``jit``.

    A *sequence* (time-varying topology) or a *batch* is the same pytree with a leading axis on every
    array, padded to a common ``E``; ``topology[t]`` selects one member, with a Python or a traced index.

    Attributes:
        senders: ``int32[..., E]``, the agent that is heard.
        receivers: ``int32[..., E]``, the agent that hears, ascending; padding slots hold ``N - 1``.
        mask: ``bool[..., E]``, false on padding slots.
        num_agents: ``N``, static.
        offsets: static; the distinct non-zero hops ``o`` if the graph is circulant, meaning that every
            agent ``i`` hears exactly ``(i + o) mod N``; ``None`` otherwise.
        name: static; what the graph is called in tables and messages.
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
        return replace(
            self,
            senders=self.senders[index],
            receivers=self.receivers[index],
            mask=self.mask[index],
        )

    def in_degrees(self) -> jax.Array:
        """``int32[..., N]``: how many others each agent hears."""
        return self._count(self.receivers)

    def out_degrees(self) -> jax.Array:
        """``int32[..., N]``: how many others hear each agent."""
        return self._count(self.senders)

    def adjacency(self) -> jax.Array:
        """``bool[..., N, N]``; entry ``[i, j]`` says that ``i`` hears ``j``. Dense: for tests and small N."""

        def single(senders: Any, receivers: Any, mask: Any) -> jax.Array:
            empty = jnp.zeros((self.num_agents, self.num_agents), bool)
            return empty.at[receivers, senders].max(mask)

        for _ in range(self.senders.ndim - 1):
            single = jax.vmap(single)
        return single(jnp.asarray(self.senders), jnp.asarray(self.receivers), jnp.asarray(self.mask))

    def _count(self, ends: Any) -> jax.Array:
        def single(ends: Any, mask: Any) -> jax.Array:
            return jax.ops.segment_sum(mask.astype(jnp.int32), ends, num_segments=self.num_agents)

        for _ in range(self.senders.ndim - 1):
            single = jax.vmap(single)
        return single(jnp.asarray(ends), jnp.asarray(self.mask))


def from_edges(
    edges: Iterable[tuple[int, int]] | np.ndarray,
    num_agents: int,
    *,
    directed: bool = False,
    offsets: Sequence[int] | None = None,
    name: str = "graph",
) -> Topology:
    """A topology from ``(sender, receiver)`` pairs, validated on the host.

    Args:
        edges: ``[E, 2]`` integer pairs; for ``directed=False`` each undirected edge once.
        num_agents: ``N``, at least 1.
        directed: keep the pairs as they are instead of adding the reverse of each.
        offsets: hops, if the caller knows the graph to be circulant (see :class:`Topology`).
        name: for tables and messages.

    Raises:
        ValueError: on ``N < 1``, ends out of ``[0, N)``, self-loops or duplicate edges; the message names
            the offending edge.
    """
    if num_agents < 1:
        raise ValueError(f"num_agents: expected at least 1, got {num_agents}")
    raw = np.asarray(list(edges) if not isinstance(edges, np.ndarray) else edges)
    pairs = raw.astype(np.int64).reshape(-1, 2)
    if raw.size and not np.array_equal(raw.reshape(-1, 2), pairs):
        raise ValueError("edges: expected integer agent ids, got non-integer entries")
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
        offsets=None if offsets is None else tuple(int(o) for o in offsets),
        name=name,
    )
