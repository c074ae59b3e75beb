"""Averaging over links of different delay.

Shapes: ``N`` agents on axis 0 of every leaf, ``E`` directed edge slots, ``D`` rounds of history.

References:
    J. Tsitsiklis, D. Bertsekas, M. Athans, Distributed asynchronous deterministic and stochastic
    gradient optimization algorithms, 1986.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.gossip._operator import Mixing, weighted
from jaxswarm.gossip.sources import current_operator, require_static_operator
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.gossip.wrappers import record
from jaxswarm.types import Key, Params, PyTree


class HistoryState(NamedTuple):
    """Messages of the last ``D`` exchanges, leaves ``[D, N, ...]``, and the exchanges so far."""

    history: PyTree
    count: jax.Array


def delayed_averaging(W: Mixing, delays: np.ndarray | jax.Array) -> GossipTransformation:
    """Average over links that each have a delay: ``x_i ← w_ii x_i + Σ_j w_ij x_j(t − d_ij)``.

    ``delayed(averaging(W), int[N])`` is the case of one delay per sender, and works for any rule.
    Delays count exchanges. Before exchange ``d_ij`` the receiver gets what the sender held at the
    start. Agreement is reached under any delays; on the average only in the limit of none. Costs
    one exchange of ``W`` per distinct delay.

    Args:
        W: a single operator.
        delays: ``int[E]``, exchanges of at least 0 in the edge order of ``W``'s topology, see
            ``network.uniform_delays`` and the like.

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: a sequence or function instead of an operator, or delays that are not a vector
            of non-negative integers, one per edge.
    """
    require_static_operator(W, "delayed_averaging")
    if checks.is_traced(delays):
        raise ValueError(
            "delays: expected concrete numbers, which size the history, got traced ones"
        )
    late = checks.wholes("delays", delays, shape=(None,))
    if W.num_edges is not None and len(late) != W.num_edges:
        raise ValueError(f"delays: expected one per edge ({W.num_edges}), got {len(late)}")
    distinct = np.unique(late).tolist() or [0]
    depth = int(distinct[-1]) + 1

    def init(params: Params) -> HistoryState:
        agents.check_params(params, W.num_agents)
        history = jax.tree.map(lambda x: jnp.broadcast_to(x, (depth, *x.shape)), params)
        return HistoryState(history, jnp.zeros((), jnp.int32))

    def mix_fn(
        key: Key, params: Params, state: HistoryState, exchange: Exchange
    ) -> tuple[Params, HistoryState, Traffic]:
        agents.check_params(params, W.num_agents)
        history = record(state.history, state.count, params, exchange)
        now = current_operator(W, key, exchange)
        parts = [(d, now.restrict(None, jnp.asarray(late == d))) for d in distinct]

        def leaf(own: jax.Array, past: jax.Array) -> jax.Array:
            total = weighted(now.self_weights, own)
            for delay, part in parts:
                total = total + part.receive(past[(state.count - delay) % depth])
            return total.astype(own.dtype)

        mixed = jax.tree.map(leaf, params, history)
        new = HistoryState(history, state.count + 1)
        return mixed, new, traffic_of(now.num_messages(), params)

    return GossipTransformation(init, mix_fn, frozenset({"messages"}))
