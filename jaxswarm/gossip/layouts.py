"""Mixing operators: one linear map ``x ↦ W x`` over the agents' axis, in several layouts.

Every layout is a pytree with the same members (see :class:`Mixing`); they differ in speed only. Weights
are leaves, so they can be differentiated, swept with ``vmap`` and stacked over time; indices are leaves
too, so a whole operator can be sharded. Self-weights are kept apart from the others', because wrappers
(delay, compression, attacks) let an agent tell others something else than what it holds.

Shapes: ``N`` agents, ``K`` neighbour slots, ``E`` directed edges, ``T`` members of a sequence.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp

PyTree = Any
Self = TypeVar("Self", bound="Mixing")

UNROLLED_SLOTS = 16
"""Slots summed in straight-line code; wider neighbourhoods loop over groups of this many."""


@runtime_checkable
class Mixing(Protocol):
    """A mixing operator ``W``: entry ``[i, j]`` is the weight that agent ``i`` gives what ``j`` tells.

    Attributes:
        num_agents: ``N``, static.
        stochasticity: ``"doubly"``, ``"row"``, ``"column"`` or ``"none"``, static. Rows summing to one keep
            consensus, columns summing to one keep the average.
        layout: name of the layout.
        is_sequence: whether the arrays carry a leading time (or batch) axis; ``W[t]`` selects a member.
    """

    num_agents: int
    stochasticity: str
    self_weights: Any

    @property
    def layout(self) -> str: ...
    @property
    def is_sequence(self) -> bool: ...
    def __getitem__(self: Self, index: Any) -> Self: ...
    def receive(self, messages: jax.Array) -> jax.Array:
        """``Σ_{j≠i} w_ij m_j`` for one leaf ``[N, ...]``: all that comes from others."""
        ...

    def dense(self) -> jax.Array:
        """``float32[N, N]``; the oracle every layout is tested against."""
        ...

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Mixing":
        """The operator of a round in which some agents (``bool[N]``) or edges (``bool[E]``) are out.

        The weight of a missing message falls back on its receiver, so rows still sum to one; columns do
        too when losses are symmetric. A column-stochastic operator returns it to the sender instead,
        so that push-sum keeps its mass.
        """
        ...

    def num_messages(self) -> jax.Array:
        """``float32[]``: directed messages of one application (non-zero weights between two agents)."""
        ...


def _accumulator(leaf: jax.Array) -> Any:
    return jnp.promote_types(leaf.dtype, jnp.float32)


def _rows(weights: jax.Array, like: jax.Array) -> jax.Array:
    """Broadcast ``[n]`` weights against ``[n, ...]``."""
    return weights.astype(_accumulator(like)).reshape(weights.shape + (1,) * (like.ndim - 1))


def apply(mixing: Mixing, own: jax.Array, messages: jax.Array) -> jax.Array:
    """``w_ii x_i + Σ_{j≠i} w_ij m_j`` for one leaf; accumulates in at least float32."""
    mixed = _rows(mixing.self_weights, own) * own + mixing.receive(messages)
    return mixed.astype(own.dtype)


def _member(mixing: Any, index: Any) -> Any:
    if not mixing.is_sequence:
        raise ValueError("a single mixing operator cannot be indexed; only a sequence W[t] can")
    return jax.tree.map(lambda leaf: leaf[index], mixing)


def _keep(
    active: jax.Array | None,
    delivered: jax.Array | None,
    senders: jax.Array,
    receivers: jax.Array,
    edges: jax.Array,
) -> jax.Array:
    """``bool`` of the shape of ``senders``: which of these edge slots carry a message this round."""
    keep = jnp.ones(senders.shape, bool)
    if active is not None:
        keep &= active[senders] & active[receivers]
    if delivered is not None:
        keep &= jnp.take(delivered, edges, mode="clip")
    return keep


def _fall_back(mixing: Any, lost: jax.Array, senders: jax.Array, axis: int | None) -> jax.Array:
    """Self-weights after ``lost`` weights came home: to receivers (sum over ``axis``) or to senders."""
    if mixing.stochasticity == "column":
        n = mixing.num_agents
        return mixing.self_weights + jax.ops.segment_sum(lost.ravel(), senders.ravel(), n)
    assert axis is not None
    return mixing.self_weights + jnp.sum(lost, axis=axis)


def _after_loss(stochasticity: str) -> str:
    return "row" if stochasticity == "doubly" else stochasticity


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Circulant:
    """Every agent hears the same hops: a weighted sum of cyclic shifts (halo exchanges when sharded).

    ``weights``: ``[..., K, N]``; row ``k`` belongs to hop ``offsets[k]``, agent ``i`` hears ``i + offset``.
    ``edges``: ``int32[..., K, N]``, where each slot stands in the topology's edge order.
    """

    self_weights: Any
    weights: Any
    edges: Any
    offsets: tuple[int, ...] = field(metadata={"static": True})
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})

    layout = "circulant"

    @property
    def is_sequence(self) -> bool:
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> "Circulant":
        return _member(self, index)

    def receive(self, messages: jax.Array) -> jax.Array:
        total = jnp.zeros(messages.shape, _accumulator(messages))
        for hop, weights in zip(self.offsets, self.weights, strict=True):
            total = total + _rows(weights, messages) * jnp.roll(messages, -hop, axis=0)
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
        keep = _keep(active, delivered, senders, receivers, self.edges)
        lost = jnp.where(keep, 0.0, self.weights)
        return replace(
            self,
            self_weights=_fall_back(self, lost, senders, 0),
            weights=jnp.where(keep, self.weights, 0.0),
            stochasticity=_after_loss(self.stochasticity),
        )

    def num_messages(self) -> jax.Array:
        return jnp.sum(self.weights != 0.0).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bucket:
    """Agents of similar degree: ``rows int32[n]`` (all agents if ``None``), the rest ``[n, K]``."""

    rows: Any
    neighbours: Any
    weights: Any
    edges: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gather:
    """Padded in-neighbour lists, summed gather by gather; agents of similar degree share a bucket.

    A graph of bounded degree is one bucket over all agents. Skewed degrees get one bucket per power of
    two (sliced ELLPACK), so padding at most doubles the edges whatever the hubs are.
    """

    self_weights: Any
    buckets: tuple[Bucket, ...]
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})

    layout = "gather"

    @property
    def is_sequence(self) -> bool:
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> "Gather":
        return _member(self, index)

    def receive(self, messages: jax.Array) -> jax.Array:
        total = None
        for bucket in self.buckets:
            part = _gather_sum(bucket.neighbours, bucket.weights, messages)
            if bucket.rows is None:
                return part
            if total is None:
                total = jnp.zeros(messages.shape, _accumulator(messages))
            total = total.at[bucket.rows].set(part, unique_indices=True)
        return jnp.zeros(messages.shape, _accumulator(messages)) if total is None else total

    def _receivers(self, bucket: Bucket) -> jax.Array:
        rows = jnp.arange(self.num_agents) if bucket.rows is None else bucket.rows
        return jnp.broadcast_to(rows[:, None], bucket.neighbours.shape)

    def dense(self) -> jax.Array:
        matrix = jnp.diag(self.self_weights)
        for bucket in self.buckets:
            matrix = matrix.at[self._receivers(bucket), bucket.neighbours].add(bucket.weights)
        return matrix

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Gather":
        self_weights = self.self_weights
        buckets = []
        for bucket in self.buckets:
            receivers = self._receivers(bucket)
            keep = _keep(active, delivered, bucket.neighbours, receivers, bucket.edges)
            lost = jnp.where(keep, 0.0, bucket.weights)
            if self.stochasticity == "column":
                home = bucket.neighbours
            else:
                home = receivers
            self_weights = self_weights.at[home].add(lost)
            buckets.append(replace(bucket, weights=jnp.where(keep, bucket.weights, 0.0)))
        return replace(
            self,
            self_weights=self_weights,
            buckets=tuple(buckets),
            stochasticity=_after_loss(self.stochasticity),
        )

    def num_messages(self) -> jax.Array:
        counts = [jnp.sum(bucket.weights != 0.0) for bucket in self.buckets]
        return sum(counts, jnp.zeros((), jnp.int32)).astype(jnp.float32)


def _gather_sum(neighbours: jax.Array, weights: jax.Array, messages: jax.Array) -> jax.Array:
    """``Σ_k w[:, k] · messages[nbr[:, k]]``: K fused gathers, never the ``[n, K, ...]`` block."""
    n, num_slots = neighbours.shape

    def add(total: jax.Array, neighbours: jax.Array, weights: jax.Array) -> jax.Array:
        for k in range(neighbours.shape[1]):
            row = messages[neighbours[:, k]]
            total = total + _rows(weights[:, k], row) * row
        return total

    total = jnp.zeros((n, *messages.shape[1:]), _accumulator(messages))
    if num_slots <= UNROLLED_SLOTS:
        return add(total, neighbours, weights)
    groups, rest = divmod(num_slots, UNROLLED_SLOTS)
    split = groups * UNROLLED_SLOTS

    def group(array: jax.Array) -> jax.Array:
        return jnp.swapaxes(array[:, :split].reshape(n, groups, UNROLLED_SLOTS), 0, 1)

    slots = group(neighbours), group(weights)
    # The first group outside the loop: its sum has the carry's type inside a checked shard_map, zeros do not.
    total = add(total, slots[0][0], slots[1][0])
    total, _ = jax.lax.scan(
        lambda carry, slots: (add(carry, *slots), None), total, (slots[0][1:], slots[1][1:])
    )
    return add(total, neighbours[:, split:], weights[:, split:]) if rest else total


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Segment:
    """Edge list sorted by receiver, summed per receiver. Needs ``E × P`` memory; the general fallback.

    ``weights``, ``senders``, ``receivers``: ``[..., E]``; padding slots weigh 0.
    """

    self_weights: Any
    weights: Any
    senders: Any
    receivers: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})

    layout = "segment"

    @property
    def is_sequence(self) -> bool:
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> "Segment":
        return _member(self, index)

    def receive(self, messages: jax.Array) -> jax.Array:
        sent = jnp.asarray(messages)[self.senders]
        sent = _rows(jnp.asarray(self.weights), sent) * sent
        return jax.ops.segment_sum(
            sent, self.receivers, self.num_agents, indices_are_sorted=True
        )

    def dense(self) -> jax.Array:
        return jnp.diag(self.self_weights).at[self.receivers, self.senders].add(self.weights)

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Segment":
        edges = jnp.arange(self.senders.shape[0])
        keep = _keep(active, delivered, self.senders, self.receivers, edges)
        lost = jnp.where(keep, 0.0, self.weights)
        home = self.senders if self.stochasticity == "column" else self.receivers
        return replace(
            self,
            self_weights=self.self_weights + jax.ops.segment_sum(lost, home, self.num_agents),
            weights=jnp.where(keep, self.weights, 0.0),
            stochasticity=_after_loss(self.stochasticity),
        )

    def num_messages(self) -> jax.Array:
        return jnp.sum(self.weights != 0.0).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dense:
    """``off_diagonal [..., N, N]`` as a matrix product: best when most agents hear most others.

    ``senders`` and ``receivers`` ``[..., E]`` remember the topology's edge order.
    """

    self_weights: Any
    off_diagonal: Any
    senders: Any
    receivers: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(metadata={"static": True})

    layout = "dense"

    @property
    def is_sequence(self) -> bool:
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> "Dense":
        return _member(self, index)

    def receive(self, messages: jax.Array) -> jax.Array:
        flat = messages.reshape(messages.shape[0], -1).astype(_accumulator(messages))
        product = jnp.matmul(
            self.off_diagonal.astype(flat.dtype), flat, precision=jax.lax.Precision.HIGHEST
        )
        return product.reshape(messages.shape)

    def dense(self) -> jax.Array:
        return self.off_diagonal + jnp.diag(self.self_weights)

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Dense":
        keep = jnp.ones((self.num_agents, self.num_agents), bool)
        if active is not None:
            keep &= active[:, None] & active[None, :]
        if delivered is not None:
            keep = keep.at[self.receivers, self.senders].min(delivered)
        lost = jnp.where(keep, 0.0, self.off_diagonal)
        axis = 0 if self.stochasticity == "column" else 1
        return replace(
            self,
            self_weights=self.self_weights + jnp.sum(lost, axis=axis),
            off_diagonal=jnp.where(keep, self.off_diagonal, 0.0),
            stochasticity=_after_loss(self.stochasticity),
        )

    def num_messages(self) -> jax.Array:
        return jnp.sum(self.off_diagonal != 0.0).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mean:
    """The complete graph with weights ``1/N``: one mean (an all-reduce when sharded), O(N) not O(N²)."""

    self_weights: Any
    num_agents: int = field(metadata={"static": True})
    stochasticity: str = field(default="doubly", metadata={"static": True})

    layout = "mean"

    @property
    def is_sequence(self) -> bool:
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> "Mean":
        return _member(self, index)

    def receive(self, messages: jax.Array) -> jax.Array:
        exact = messages.astype(_accumulator(messages))
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

    def restrict(self, active: jax.Array | None = None, delivered: jax.Array | None = None) -> Dense:
        return self._as_dense().restrict(active, delivered)

    def num_messages(self) -> jax.Array:
        return jnp.float32(self.num_agents * (self.num_agents - 1.0))
