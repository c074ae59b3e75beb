"""The mixing operator ``Mixing`` and the arithmetic that all its layouts share.

Shapes: ``N`` agents, ``E`` directed edges, ``T`` members of a sequence.
"""

import functools
import math
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks

_BLOCKED = 4096

compiled = functools.partial(jax.jit, inline=True)
"""Compile a function that users also call outside ``jit``; inside a trace it is inlined."""


class Mixing:
    """A mixing operator ``W``: entry ``[i, j]`` is the weight of agent ``j``'s message at ``i``.

    A pytree. Weights are leaves, so they can be differentiated, swept with ``vmap`` and stacked
    over time; indices are leaves too, so a whole operator can be sharded. Self-weights are kept
    apart from the others', because wrappers (delay, compression, attacks) let an agent send
    something else than what it holds.

    Attributes:
        layout: name of the layout.
        num_agents: ``N``, static.
        stochasticity: ``"doubly"``, ``"row"`` or ``"column"``, static. Rows summing to one keep
            consensus, columns summing to one keep the average.
        num_edges: ``E`` of the topology, static: how many flags ``delivered`` has. ``None`` if
            its edges are not numbered.
        self_weights: ``float[..., N]``.
        selects: static; false if no weight is 0, so that messages need not be selected.
    """

    layout: ClassVar[str]
    num_agents: int
    stochasticity: str
    num_edges: int | None
    self_weights: Any
    selects: bool = True

    @property
    def is_sequence(self) -> bool:
        """Whether the arrays carry a leading time (or batch) axis; ``W[t]`` selects a member."""
        return self.self_weights.ndim > 1

    def __getitem__(self, index: Any) -> Self:
        """Return member ``index`` of a sequence; the index may be traced."""
        if not self.is_sequence:
            raise ValueError("a single mixing operator cannot be indexed; only a sequence W[t] can")
        return jax.tree.map(lambda leaf: leaf[index], self)

    def receive(self, messages: jax.Array) -> jax.Array:
        """Sum the weighted messages of the in-neighbours, ``Σ_{j≠i} w_ij m_j``, of one leaf."""
        raise NotImplementedError

    def dense(self) -> jax.Array:
        """Return the matrix ``float32[N, N]``, the oracle that every layout is tested against."""
        raise NotImplementedError

    def restrict(
        self, active: jax.Array | None = None, delivered: jax.Array | None = None
    ) -> "Mixing":
        """Return the operator of a round without some agents (``bool[N]``) or edges (``bool[E]``).

        The weight of a missing message falls back on its receiver, so rows still sum to one;
        columns do too when losses are symmetric. A column-stochastic operator returns it to the
        sender instead, so that push-sum keeps its mass. An agent without any message left keeps
        its own value exactly.

        Raises:
            ValueError: if ``delivered`` is not one flag per edge of the topology.
        """
        if active is not None:
            active = checks.mask("active", active, (self.num_agents,))
        if delivered is not None:
            delivered = check_delivered(delivered, self.num_edges)
        return self._restrict(active, delivered)

    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Mixing":
        raise NotImplementedError

    def num_messages(self) -> jax.Array:
        """Count the messages of one application, ``float32[]``: weights between agents not zero."""
        raise NotImplementedError

    def __repr__(self) -> str:
        shape = getattr(self.self_weights, "shape", None)
        parts = [f"{self.num_agents} agents", f"{self.stochasticity}-stochastic"]
        if shape is not None and len(shape) > 1:
            parts.insert(1, f"{' x '.join(map(str, shape[:-1]))} members")
        return f"{type(self).__name__}({', '.join(parts)})"


def require_operator(value: Any, what: str = "W") -> None:
    """Check that a value is a mixing operator.

    Raises:
        ValueError: naming ``what``, what came instead and how to make an operator of it.
    """
    if isinstance(value, Mixing):
        return
    kind = type(value).__name__
    hint = ""
    if kind == "Topology":
        hint = "; call gossip.mixing(topology) first"
    elif jnp.ndim(value) == 2 if hasattr(value, "ndim") else False:
        hint = "; gossip.from_matrix(matrix) makes one of a matrix"
    raise ValueError(
        f"{what}: expected a mixing operator such as gossip.mixing(topology), got {kind}{hint}"
    )


def total(values: jax.Array) -> jax.Array:
    """Sum ``[n, ...]`` over agents to ``[1, ...]``, in blocks: rounding grows as ``√n``."""
    n = values.shape[0]
    if n >= _BLOCKED:
        width = math.isqrt(n)
        rest = values[n - n % width :]
        blocks = values[: n - n % width].reshape(-1, width, *values.shape[1:])
        values = jnp.concatenate([jnp.sum(blocks, axis=1), rest])
    return jnp.sum(values, axis=0, keepdims=True)


def float_dtype() -> Any:
    """Return the dtype of weights: float32, or float64 where jax's 64-bit mode is on."""
    return jnp.result_type(float)


def accumulator(leaf: jax.Array) -> Any:
    """Return the dtype in which sums over agents are taken: at least float32."""
    return jnp.promote_types(leaf.dtype, jnp.float32)


def rows(weights: jax.Array, like: jax.Array) -> jax.Array:
    """Broadcast ``[n]`` weights against ``[n, ...]``, in the dtype of sums."""
    return agents.expand(weights.astype(accumulator(like)), like)


def weighted(weights: jax.Array, messages: jax.Array, select: bool = True) -> jax.Array:
    """Multiply messages ``[n, ...]`` by weights ``[n]``, in the dtype of sums.

    A message of weight 0 has no influence, even if it is NaN or infinite. The derivative with
    respect to a weight of 0 is the message all the same. Where no weight is 0, ``select`` may be
    false, which saves the test.
    """
    weights = rows(weights, messages)
    if not select:
        return weights * messages
    return weights * jnp.where((weights != 0) | jnp.isfinite(messages), messages, 0)


def apply(mixing: Mixing, own: jax.Array, messages: jax.Array) -> jax.Array:
    """Compute ``w_ii x_i + Σ_{j≠i} w_ij m_j`` for one leaf; accumulates in at least float32."""
    mixed = weighted(mixing.self_weights, own, mixing.selects) + mixing.receive(messages)
    return mixed.astype(own.dtype)


def keep(
    active: jax.Array | None,
    delivered: jax.Array | None,
    senders: jax.Array,
    receivers: jax.Array,
    edges: jax.Array,
) -> jax.Array:
    """Mask of edge slots that carry a message this round, ``bool`` like ``senders``."""
    keep = jnp.ones(senders.shape, bool)
    if active is not None:
        keep &= active[senders] & active[receivers]
    if delivered is not None:
        keep &= jnp.asarray(delivered)[edges] if delivered.size else True
    return keep


def check_delivered(delivered: Any, num_edges: int | None) -> Any:
    """Check that there is one flag for each directed edge slot and return the flags.

    Raises:
        ValueError: naming both numbers.
    """
    if num_edges is None:
        raise ValueError(
            "delivered: expected None, since this operator does not number its edges, got "
            f"{checks.shown(delivered)}; draw neighbours from a topology"
        )
    return checks.mask("delivered", delivered, (num_edges,))


def settle(self_weights: jax.Array, returned: jax.Array, kept: jax.Array) -> jax.Array:
    """Self-weights after weight has been ``returned``; exactly 1 where no weight is ``kept``."""
    return jnp.where(kept > 0, self_weights + returned, 1.0).astype(self_weights.dtype)


def after_loss(stochasticity: str) -> str:
    """Return the stochasticity of an operator once messages may be missing."""
    return "row" if stochasticity == "doubly" else stochasticity
