"""What a mixing operator is, and the arithmetic that all layouts share.

Shapes: ``N`` agents, ``E`` directed edges, ``T`` members of a sequence.
"""

from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp


class Mixing:
    """A mixing operator ``W``: entry ``[i, j]`` is the weight agent ``i`` gives what ``j`` tells.

    A pytree. Weights are leaves, so they can be differentiated, swept with ``vmap`` and stacked
    over time; indices are leaves too, so a whole operator can be sharded. Self-weights are kept
    apart from the others', because wrappers (delay, compression, attacks) let an agent tell others
    something else than what it holds.

    Attributes:
        layout: name of the layout.
        num_agents: ``N``, static.
        stochasticity: ``"doubly"``, ``"row"`` or ``"column"``, static. Rows summing to one keep
            consensus, columns summing to one keep the average.
        self_weights: ``float[..., N]``.
    """

    layout: ClassVar[str]
    num_agents: int
    stochasticity: str
    self_weights: Any

    @property
    def is_sequence(self) -> bool:
        """Whether the arrays carry a leading time (or batch) axis; ``W[t]`` selects a member."""
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> Self:
        """Member ``index`` of a sequence; the index may be traced."""
        if not self.is_sequence:
            raise ValueError("a single mixing operator cannot be indexed; only a sequence W[t] can")
        return jax.tree.map(lambda leaf: leaf[index], self)

    def receive(self, messages: jax.Array) -> jax.Array:
        """``Σ_{j≠i} w_ij m_j`` for one leaf ``[N, ...]``: all that comes from others."""
        raise NotImplementedError

    def dense(self) -> jax.Array:
        """``float32[N, N]``; the oracle every layout is tested against."""
        raise NotImplementedError

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Mixing":
        """The operator of a round without some agents (``bool[N]``) or edges (``bool[E]``).

        The weight of a missing message falls back on its receiver, so rows still sum to one;
        columns do too when losses are symmetric. A column-stochastic operator returns it to the
        sender instead, so that push-sum keeps its mass.
        """
        raise NotImplementedError

    def num_messages(self) -> jax.Array:
        """``float32[]``: directed messages of one application (non-zero weights between agents)."""
        raise NotImplementedError


def accumulator(leaf: jax.Array) -> Any:
    """The dtype sums over agents are taken in: at least float32."""
    return jnp.promote_types(leaf.dtype, jnp.float32)


def rows(weights: jax.Array, like: jax.Array) -> jax.Array:
    """Broadcast ``[n]`` weights against ``[n, ...]``."""
    return weights.astype(accumulator(like)).reshape(weights.shape + (1,) * (like.ndim - 1))


def apply(mixing: Mixing, own: jax.Array, messages: jax.Array) -> jax.Array:
    """``w_ii x_i + Σ_{j≠i} w_ij m_j`` for one leaf; accumulates in at least float32."""
    mixed = rows(mixing.self_weights, own) * own + mixing.receive(messages)
    return mixed.astype(own.dtype)


def keep(
    active: jax.Array | None,
    delivered: jax.Array | None,
    senders: jax.Array,
    receivers: jax.Array,
    edges: jax.Array,
) -> jax.Array:
    """``bool`` like ``senders``: which of these edge slots carry a message this round."""
    keep = jnp.ones(senders.shape, bool)
    if active is not None:
        keep &= active[senders] & active[receivers]
    if delivered is not None:
        keep &= jnp.take(delivered, edges, mode="clip")
    return keep


def fall_back(mixing: Any, lost: jax.Array, senders: jax.Array, axis: int | None) -> jax.Array:
    """Self-weights once ``lost`` came home: to receivers (sum over ``axis``) or to senders."""
    if mixing.stochasticity == "column":
        n = mixing.num_agents
        return mixing.self_weights + jax.ops.segment_sum(lost.ravel(), senders.ravel(), n)
    assert axis is not None
    return mixing.self_weights + jnp.sum(lost, axis=axis)


def after_loss(stochasticity: str) -> str:
    """What an operator still promises when messages may be missing."""
    return "row" if stochasticity == "doubly" else stochasticity
