"""The baseline: the same samples, drawn by a server that knows who is online.

Shapes: ``N`` nodes, ``s`` in a sample.

References:
    H. B. McMahan et al., Communication-efficient learning of deep networks from decentralized data,
    2017.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, traffic_of
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.systems.modest.actors import by_node, rows_of
from jaxswarm.systems.modest.sampling import resolve_sample, sample_order


class FederatedState(NamedTuple):
    """``model``: leaves ``[1, ...]``; ``round int32[]``; ``ledger`` of what was sent."""

    model: Any
    round: jax.Array
    ledger: Ledger

    @property
    def sent(self) -> jax.Array:
        """``float32[]``, bytes since the start."""
        return self.ledger.total.bytes


def federated(
    loss: Loss,
    num_nodes: int,
    *,
    local: optax.GradientTransformation,
    sample_size: int = 10,
    local_steps: int = 1,
    sample: Sample | None = None,
) -> Algorithm:
    """Federated averaging: the first ``s`` online nodes of the round's order train.

    Args:
        loss: of one node's batch.
        num_nodes: ``N``.
        local: any optax optimiser, with a fresh state every round.
        sample_size: ``s``.
        local_steps: optimiser steps of a trainer.
        sample: one of :mod:`jaxswarm.data`; node ``i`` draws from its own stream, as in ``modest``.

    Returns:
        ``init(params)`` takes a single model; ``step(key, state, (shards, membership))``.

    Raises:
        ValueError: if ``s`` is out of range or ``local_steps < 1``.
    """
    if not 1 <= sample_size <= num_nodes:
        raise ValueError(f"sample_size: expected 1 to {num_nodes} nodes, got {sample_size}")
    if local_steps < 1:
        raise ValueError(f"local_steps: expected at least 1, got {local_steps}")
    draw = by_node(sample) if sample is not None else lambda key, inputs: rows_of(*inputs)
    work = objective(loss, draw)
    ids = jnp.arange(num_nodes, dtype=jnp.int32)

    def init(params: Any) -> FederatedState:
        return FederatedState(agents.broadcast(params, 1), jnp.int32(0), Ledger.empty())

    def step(key: jax.Array, state: FederatedState, inputs: Any) -> tuple[FederatedState, Any]:
        shards, schedule = inputs
        online = schedule.online[state.round]
        order = sample_order(ids, state.round)
        found = resolve_sample(order, online, online, jnp.int32(-1), sample_size)
        trains = found.members >= 0
        start = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (sample_size, *leaf.shape[1:])), state.model
        )
        node = jnp.maximum(found.members, 0)
        opt_state = jax.vmap(local.init)(start)
        train_key = jax.random.split(key, 3)[0]  # as modest does: equal samples, equal models
        trained = train(
            work, local, local_steps, train_key, start, opt_state, None, (shards, node)
        ).params
        average = jax.tree.map(lambda leaf: leaf[None], agents.mean(trained, trains))
        some = found.count > 0
        model = jax.tree.map(lambda new, old: jnp.where(some, new, old), average, state.model)
        ledger = state.ledger.add(traffic_of(2.0 * found.count, state.model))
        return FederatedState(model, state.round + 1, ledger), found

    return Algorithm(init, step)
