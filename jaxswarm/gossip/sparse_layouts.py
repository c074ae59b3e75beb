"""Mixing operators of general sparse graphs: bucketed gathers and a sorted segment sum.

Shapes: ``N`` agents, ``n`` agents of one bucket, ``K`` neighbour slots, ``E`` directed edges.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.gossip._operator import (
    Mixing,
    accumulator,
    after_loss,
    compiled,
    keep,
    settle,
    weighted,
)

UNROLLED_SLOTS = 16
"""Slots summed in straight-line code; wider neighbourhoods loop over groups of this many."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bucket:
    """Agents of similar degree: ``rows int32[n]`` (all agents if ``None``), the rest ``[n, K]``."""

    rows: Any
    neighbors: Any
    weights: Any
    edges: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Gather(Mixing):
    """Operator of padded in-neighbour lists, summed gather by gather, bucketed by degree.

    A graph of bounded degree is one bucket over all agents. Skewed degrees get one bucket per power
    of two (sliced ELLPACK), so padding at most doubles the edges whatever the hubs are.
    """

    self_weights: Any
    buckets: tuple[Bucket, ...]
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})
    num_edges: int | None = field(default=None, metadata={"static": True})
    selects: bool = field(default=True, metadata={"static": True})

    layout = "gather"

    @compiled
    def receive(self, messages: jax.Array) -> jax.Array:
        total = None
        for bucket in self.buckets:
            part = gather_sum(bucket.neighbors, bucket.weights, messages, self.selects)
            if bucket.rows is None:
                return part
            if total is None:
                total = jnp.zeros(messages.shape, accumulator(messages))
            total = total.at[bucket.rows].set(part, unique_indices=True)
        return jnp.zeros(messages.shape, accumulator(messages)) if total is None else total

    def _receivers(self, bucket: Bucket) -> jax.Array:
        rows = jnp.arange(self.num_agents) if bucket.rows is None else bucket.rows
        return jnp.broadcast_to(rows[:, None], bucket.neighbors.shape)

    @compiled
    def dense(self) -> jax.Array:
        matrix = jnp.diag(self.self_weights)
        for bucket in self.buckets:
            matrix = matrix.at[self._receivers(bucket), bucket.neighbors].add(bucket.weights)
        return matrix

    @compiled
    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Gather":
        returned = remaining = jnp.zeros_like(self.self_weights)
        buckets = []
        for bucket in self.buckets:
            receivers = self._receivers(bucket)
            kept = keep(active, delivered, bucket.neighbors, receivers, bucket.edges)
            weights = jnp.where(kept, bucket.weights, 0.0)
            home = bucket.neighbors if self.stochasticity == "column" else receivers
            returned = returned.at[home].add(jnp.where(kept, 0.0, bucket.weights))
            remaining = remaining.at[home].add(jnp.abs(weights))
            buckets.append(replace(bucket, weights=weights))
        return replace(
            self,
            self_weights=settle(self.self_weights, returned, remaining),
            buckets=tuple(buckets),
            stochasticity=after_loss(self.stochasticity),
            selects=True,
        )

    @compiled
    def num_messages(self) -> jax.Array:
        counts = [jnp.sum(bucket.weights != 0.0) for bucket in self.buckets]
        return sum(counts, jnp.zeros((), jnp.int32)).astype(jnp.float32)


def gather_sum(
    neighbors: jax.Array, weights: jax.Array, messages: jax.Array, select: bool = True
) -> jax.Array:
    """Sum ``Σ_k w[:, k] · messages[nbr[:, k]]`` by K fused gathers, without an ``[n, K, ...]``."""
    n, num_slots = neighbors.shape

    def add(total: jax.Array, neighbors: jax.Array, weights: jax.Array) -> jax.Array:
        for k in range(neighbors.shape[1]):
            row = messages[neighbors[:, k]]
            total = total + weighted(weights[:, k], row, select)
        return total

    total = jnp.zeros((n, *messages.shape[1:]), accumulator(messages))
    if num_slots <= UNROLLED_SLOTS:
        return add(total, neighbors, weights)
    groups, rest = divmod(num_slots, UNROLLED_SLOTS)
    split = groups * UNROLLED_SLOTS

    def group(array: jax.Array) -> jax.Array:
        return jnp.swapaxes(array[:, :split].reshape(n, groups, UNROLLED_SLOTS), 0, 1)

    slots = group(neighbors), group(weights)
    # The first group outside the loop: its sum has the carry's type inside a checked shard_map,
    # zeros do not.
    total = add(total, slots[0][0], slots[1][0])
    total, _ = jax.lax.scan(
        lambda carry, slots: (add(carry, *slots), None), total, (slots[0][1:], slots[1][1:])
    )
    return add(total, neighbors[:, split:], weights[:, split:]) if rest else total


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Segment(Mixing):
    """Operator of an edge list sorted by receiver, summed per receiver; needs ``E × P`` memory.

    ``weights``, ``senders``, ``receivers``: ``[..., E]``; padding slots weigh 0.
    """

    self_weights: Any
    weights: Any
    senders: Any
    receivers: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})
    selects: bool = field(default=True, metadata={"static": True})

    layout = "segment"

    @property
    def num_edges(self) -> int:
        return self.senders.shape[-1]

    @compiled
    def receive(self, messages: jax.Array) -> jax.Array:
        sent = jnp.asarray(messages)[self.senders]
        sent = weighted(jnp.asarray(self.weights), sent, self.selects)
        return jax.ops.segment_sum(sent, self.receivers, self.num_agents, indices_are_sorted=True)

    @compiled
    def dense(self) -> jax.Array:
        return jnp.diag(self.self_weights).at[self.receivers, self.senders].add(self.weights)

    @compiled
    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Segment":
        edges = jnp.arange(self.senders.shape[0])
        kept = keep(active, delivered, self.senders, self.receivers, edges)
        weights = jnp.where(kept, self.weights, 0.0)
        home = self.senders if self.stochasticity == "column" else self.receivers
        returned = jax.ops.segment_sum(jnp.where(kept, 0.0, self.weights), home, self.num_agents)
        remaining = jax.ops.segment_sum(jnp.abs(weights), home, self.num_agents)
        return replace(
            self,
            self_weights=settle(self.self_weights, returned, remaining),
            weights=weights,
            stochasticity=after_loss(self.stochasticity),
            selects=True,
        )

    @compiled
    def num_messages(self) -> jax.Array:
        return jnp.sum(self.weights != 0.0).astype(jnp.float32)
