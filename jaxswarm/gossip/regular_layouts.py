"""Mixing operators of regular structure: cyclic shifts, a matrix product, a plain mean.

Shapes: ``N`` agents, ``K`` hops, ``E`` directed edges.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip._operator import (
    Mixing,
    accumulator,
    after_loss,
    compiled,
    keep,
    settle,
    total,
    weighted,
)


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
    num_edges: int | None = field(default=None, metadata={"static": True})
    selects: bool = field(default=True, metadata={"static": True})

    layout = "circulant"

    @compiled
    def receive(self, messages: jax.Array) -> jax.Array:
        total = jnp.zeros(messages.shape, accumulator(messages))
        for hop, weights in zip(self.offsets, self.weights, strict=True):
            total = total + weighted(weights, jnp.roll(messages, -hop, axis=0), self.selects)
        return total

    def _senders(self) -> jax.Array:
        hops = jnp.asarray(self.offsets, jnp.int32)[:, None]
        return (jnp.arange(self.num_agents, dtype=jnp.int32)[None, :] + hops) % self.num_agents

    @compiled
    def dense(self) -> jax.Array:
        receivers = jnp.broadcast_to(jnp.arange(self.num_agents)[None, :], self.weights.shape)
        matrix = jnp.diag(self.self_weights)
        return matrix.at[receivers, self._senders()].add(self.weights)

    @compiled
    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Circulant":
        senders = self._senders()
        receivers = jnp.broadcast_to(
            jnp.arange(self.num_agents, dtype=jnp.int32)[None, :], senders.shape
        )
        kept = keep(active, delivered, senders, receivers, self.edges)
        weights = jnp.where(kept, self.weights, 0.0)

        def total(slots: jax.Array) -> jax.Array:
            if self.stochasticity != "column":
                return jnp.sum(slots, axis=0)
            return jax.ops.segment_sum(slots.ravel(), senders.ravel(), self.num_agents)

        returned = total(jnp.where(kept, 0.0, self.weights))
        return replace(
            self,
            self_weights=settle(self.self_weights, returned, total(jnp.abs(weights))),
            weights=weights,
            stochasticity=after_loss(self.stochasticity),
            selects=True,
        )

    @compiled
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

    @property
    def num_edges(self) -> int:
        return self.senders.shape[-1]

    @compiled
    def receive(self, messages: jax.Array) -> jax.Array:
        flat = messages.reshape(messages.shape[0], -1).astype(accumulator(messages))
        return product(self.off_diagonal.astype(flat.dtype), flat).reshape(messages.shape)

    @compiled
    def dense(self) -> jax.Array:
        return self.off_diagonal + jnp.diag(self.self_weights)

    @compiled
    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Dense":
        kept = jnp.ones((self.num_agents, self.num_agents), bool)
        if active is not None:
            kept &= active[:, None] & active[None, :]
        if delivered is not None:
            flags = jnp.asarray(delivered)
            kept = kept.at[self.receivers, self.senders].min(flags)
        axis = 0 if self.stochasticity == "column" else 1
        off_diagonal = jnp.where(kept, self.off_diagonal, 0.0)
        returned = jnp.sum(jnp.where(kept, 0.0, self.off_diagonal), axis=axis)
        return replace(
            self,
            self_weights=settle(
                self.self_weights, returned, jnp.sum(jnp.abs(off_diagonal), axis=axis)
            ),
            off_diagonal=off_diagonal,
            stochasticity=after_loss(self.stochasticity),
        )

    @compiled
    def num_messages(self) -> jax.Array:
        return jnp.sum(self.off_diagonal != 0.0).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Mean(Mixing):
    """Operator of the complete graph with weights ``1/N``: one mean (an all-reduce on a mesh).

    ``active``: ``bool[N]``, agents that send and receive; all of them if ``None``.
    """

    self_weights: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(default="doubly", metadata={"static": True})
    active: Any = None

    layout = "mean"

    @property
    def num_edges(self) -> int:
        return self.num_agents * (self.num_agents - 1)

    @compiled
    def receive(self, messages: jax.Array) -> jax.Array:
        return mean_of_others(messages, self.num_agents, self.active, total)

    @compiled
    def dense(self) -> jax.Array:
        n = self.num_agents
        there = jnp.ones(n, bool) if self.active is None else self.active
        both = there[:, None] & there[None, :]
        others = jnp.where(both & ~jnp.eye(n, dtype=bool), 1.0 / n, 0.0)
        return others + jnp.diag(self.self_weights)

    def _as_dense(self) -> Dense:
        n = self.num_agents
        receivers = jnp.repeat(jnp.arange(n), n - 1, total_repeat_length=n * (n - 1))
        hop = jnp.tile(jnp.arange(n - 1), n)
        matrix = self.dense() - jnp.diag(self.self_weights)
        senders = hop + (hop >= receivers)
        return Dense(self.self_weights, matrix, senders, receivers, n, self.stochasticity)

    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Mean | Dense":
        if delivered is not None:
            return self._as_dense()._restrict(active, delivered)
        if active is None:
            return self
        there = active if self.active is None else active & self.active
        count = jnp.sum(there)
        others = jnp.where(there, count - 1, 0).astype(self.self_weights.dtype)
        return replace(
            self,
            self_weights=1.0 - others / self.num_agents,
            stochasticity=after_loss(self.stochasticity),
            active=there,
        )

    def num_messages(self) -> jax.Array:
        if self.active is None:
            return jnp.float32(self.num_agents * (self.num_agents - 1.0))
        count = jnp.sum(self.active).astype(jnp.float32)
        return count * jnp.maximum(count - 1.0, 0.0)


def product(matrix: jax.Array, messages: jax.Array) -> jax.Array:
    """Multiply ``[n, N]`` by ``[N, P]`` so that entries of weight 0 have no influence.

    Not even NaN or infinite ones: messages that are not finite are left out of the matrix product
    and added one sender at a time, where their weight is not 0.
    """
    finite = jnp.isfinite(messages)
    summed = jnp.matmul(
        matrix, jnp.where(finite, messages, 0.0), precision=jax.lax.Precision.HIGHEST
    )
    odd = jnp.where(finite, 0.0, jax.lax.stop_gradient(messages))
    weights = jax.lax.stop_gradient(matrix)
    broken = ~jnp.all(finite, axis=1)
    (senders,) = jnp.nonzero(broken, size=broken.shape[0], fill_value=0)

    def add(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        done, extra = carry
        sender = senders[done]
        return done + 1, extra + weighted(
            weights[:, sender], jnp.broadcast_to(odd[sender], extra.shape)
        )

    count = jnp.sum(broken)
    # Zeros made of the operands: they have the carry's type inside a checked shard_map.
    nothing = jax.lax.stop_gradient(summed).astype(bool).astype(summed.dtype) * 0
    start = (count * 0, nothing)
    _, extra = jax.lax.while_loop(lambda carry: carry[0] < count, add, start)
    return summed + extra


def mean_of_others(
    messages: jax.Array,
    num_agents: int,
    active: jax.Array | None,
    sum_over_agents: Callable[[jax.Array], jax.Array],
    *,
    own_apart: bool = True,
) -> jax.Array:
    """Sum the active others' messages over ``num_agents``, 0 for agents that are not active.

    Args:
        messages: ``[n, ...]``, of all agents or of those of a device.
        num_agents: ``N``.
        active: ``bool[n]``, or ``None`` for all.
        sum_over_agents: sums ``[n, ...]`` over all agents to ``[1, ...]``.
        own_apart: keep an agent's own message out of what it receives even if it is not finite, at
            the price of two more sums in such a round.
    """
    exact = messages.astype(accumulator(messages))
    if active is not None:
        exact = jnp.where(agents.expand(active, exact), exact, 0.0)
    all_of_them = sum_over_agents(exact)

    def plain() -> jax.Array:
        return all_of_them / num_agents - exact / num_agents

    def without_own() -> jax.Array:
        """An agent's own NaN is no message to itself."""
        finite = jnp.isfinite(exact)
        usual = jnp.where(finite, exact, 0.0)
        broken = sum_over_agents(jnp.where(finite, 0.0, 1.0).astype(exact.dtype))
        others = broken - jnp.where(finite, 0.0, 1.0).astype(exact.dtype)
        mean = (sum_over_agents(usual) - usual) / num_agents
        return mean + jnp.where(others > 0, all_of_them, 0.0)

    if own_apart:
        received = jax.lax.cond(jnp.all(jnp.isfinite(all_of_them)), plain, without_own)
    else:
        received = plain()
    return received if active is None else jnp.where(agents.expand(active, exact), received, 0.0)
