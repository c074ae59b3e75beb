"""Mixing operators of regular structure: cyclic shifts, a matrix product, a plain mean.

Shapes: ``N`` agents, ``K`` hops, ``E`` directed edges.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.gossip._operator import Mixing, accumulator, after_loss, fall_back, keep, rows


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Circulant(Mixing):
    """Operator of a circulant graph: a weighted sum of cyclic shifts.

    ``weights``: ``[..., K, N]``; row ``k`` belongs to hop ``offsets[k]``: agent ``i`` receives from
    ``i + offset``. ``edges``: ``int32[..., K, N]``, position of each slot in the topology's edge
    order.
    """

    self_weights: Any
    weights: Any
    edges: Any
    offsets: tuple[int, ...] = field(metadata={"static": True})
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})

    layout = "circulant"

    def receive(self, messages: jax.Array) -> jax.Array:
        total = jnp.zeros(messages.shape, accumulator(messages))
        for hop, weights in zip(self.offsets, self.weights, strict=True):
            total = total + rows(weights, messages) * jnp.roll(messages, -hop, axis=0)
        return total

    def _senders(self) -> jax.Array:
        hops = jnp.asarray(self.offsets, jnp.int32)[:, None]
        return (jnp.arange(self.num_agents, dtype=jnp.int32)[None, :] + hops) % self.num_agents

    def dense(self) -> jax.Array:
        receivers = jnp.broadcast_to(jnp.arange(self.num_agents)[None, :], self.weights.shape)
        matrix = jnp.diag(self.self_weights)
        return matrix.at[receivers, self._senders()].add(self.weights)

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Circulant":
        senders = self._senders()
        receivers = jnp.broadcast_to(
            jnp.arange(self.num_agents, dtype=jnp.int32)[None, :], senders.shape
        )
        kept = keep(active, delivered, senders, receivers, self.edges)
        lost = jnp.where(kept, 0.0, self.weights)
        return replace(
            self,
            self_weights=fall_back(self, lost, senders, 0),
            weights=jnp.where(kept, self.weights, 0.0),
            stochasticity=after_loss(self.stochasticity),
        )

    def num_messages(self) -> jax.Array:
        return jnp.sum(self.weights != 0.0).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Dense(Mixing):
    """Operator as a matrix product with ``off_diagonal [..., N, N]``, best for dense graphs.

    ``senders`` and ``receivers`` ``[..., E]`` hold the topology's edge order.
    """

    self_weights: Any
    off_diagonal: Any
    senders: Any
    receivers: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})

    layout = "dense"

    def receive(self, messages: jax.Array) -> jax.Array:
        flat = messages.reshape(messages.shape[0], -1).astype(accumulator(messages))
        product = jnp.matmul(
            self.off_diagonal.astype(flat.dtype), flat, precision=jax.lax.Precision.HIGHEST
        )
        return product.reshape(messages.shape)

    def dense(self) -> jax.Array:
        return self.off_diagonal + jnp.diag(self.self_weights)

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Dense":
        kept = jnp.ones((self.num_agents, self.num_agents), bool)
        if active is not None:
            kept &= active[:, None] & active[None, :]
        if delivered is not None:
            kept = kept.at[self.receivers, self.senders].min(delivered)
        lost = jnp.where(kept, 0.0, self.off_diagonal)
        axis = 0 if self.stochasticity == "column" else 1
        return replace(
            self,
            self_weights=self.self_weights + jnp.sum(lost, axis=axis),
            off_diagonal=jnp.where(kept, self.off_diagonal, 0.0),
            stochasticity=after_loss(self.stochasticity),
        )

    def num_messages(self) -> jax.Array:
        return jnp.sum(self.off_diagonal != 0.0).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Mean(Mixing):
    """Operator of the complete graph with weights ``1/N``: one mean (an all-reduce on a mesh)."""

    self_weights: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(default="doubly", metadata={"static": True})

    layout = "mean"

    def receive(self, messages: jax.Array) -> jax.Array:
        exact = messages.astype(accumulator(messages))
        return jnp.mean(exact, axis=0, keepdims=True) - exact / self.num_agents

    def dense(self) -> jax.Array:
        return jnp.full((self.num_agents, self.num_agents), 1.0 / self.num_agents)

    def _as_dense(self) -> Dense:
        n = self.num_agents
        receivers = jnp.repeat(jnp.arange(n), n - 1, total_repeat_length=n * (n - 1))
        hop = jnp.tile(jnp.arange(n - 1), n)
        matrix = self.dense() - jnp.eye(n) / n
        return Dense(
            self.self_weights, matrix, hop + (hop >= receivers), receivers, n, self.stochasticity
        )

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> Dense:
        return self._as_dense().restrict(active, delivered)

    def num_messages(self) -> jax.Array:
        return jnp.float32(self.num_agents * (self.num_agents - 1.0))
