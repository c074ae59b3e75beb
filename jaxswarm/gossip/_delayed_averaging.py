"""Averaging over links of different delay.

Shapes: ``N`` agents on axis 0 of every leaf, ``E`` directed edge slots, ``D`` rounds of history.

References:
    J. Tsitsiklis, D. Bertsekas, M. Athans, Distributed asynchronous deterministic and stochastic
    gradient optimization algorithms, 1986.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.gossip._operator import Mixing, rows
from jaxswarm.gossip.sources import current_operator, require_static_operator
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.types import Key, Params, PyTree


def delayed_averaging(W: Mixing, delays: np.ndarray | jax.Array) -> GossipTransformation:
    """Average over links that each have a delay: ``x_i ← w_ii x_i + Σ_j w_ij x_j(t − d_ij)``.

    ``delayed(averaging(W), int[N])`` is the case of one delay per sender, and works for any rule.
    Before round ``d_ij`` the receiver gets what the sender held at the start. Agreement is reached
    under any delays; on the average only in the limit of none. Costs one exchange of ``W`` per
    distinct delay.

    Args:
        W: a single operator.
        delays: ``int[E]``, rounds of at least 0 in the edge order of ``W``'s topology, see
            ``network.uniform_delays`` and the like.

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: a sequence or function instead of an operator, or delays that are not a vector
            of non-negative integers.
    """
    require_static_operator(W, "delayed_averaging")
    late = np.asarray(delays)
    if late.ndim != 1 or not np.issubdtype(late.dtype, np.integer) or (late < 0).any():
        raise ValueError(
            f"delays: expected non-negative integers, one per edge [E], got "
            f"{late.dtype}{list(late.shape)}"
        )
    distinct = np.unique(late).tolist() or [0]
    depth = int(distinct[-1]) + 1

    def init(params: Params) -> PyTree:
        agents.check_params(params, W.num_agents)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (depth, *x.shape)), params)

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        index = jnp.asarray(exchange.index)
        sent = exchange.sent(params)
        history = jax.tree.map(lambda h, m: h.at[index % depth].set(m), state, sent)
        now = current_operator(W, key, exchange)
        parts = [(d, now.restrict(None, jnp.asarray(late == d))) for d in distinct]

        def leaf(own: jax.Array, past: jax.Array) -> jax.Array:
            total = rows(now.self_weights, own) * own
            for delay, part in parts:
                total = total + part.receive(past[(index - delay) % depth])
            return total.astype(own.dtype)

        mixed = jax.tree.map(leaf, params, history)
        return mixed, history, traffic_of(now.num_messages(), params)

    return GossipTransformation(init, mix_fn, frozenset({"messages"}))
