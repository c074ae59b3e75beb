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
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.learning.modest.actors import rows_of
from jaxswarm.learning.modest.sampling import resolve_sample, sample_order


class FederatedState(NamedTuple):
    """``model``: leaves ``[1, ...]``; ``round int32[]``; ``sent float32[]`` bytes."""

    model: Any
    round: jax.Array
    sent: jax.Array


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
        sample: ``(key, shards) -> batch`` for shards with leading axis ``s``.

    Returns:
        ``init(params)`` takes a single model; ``step(key, state, (shards, membership))``.

    Raises:
        ValueError: if ``s`` is out of range or ``local_steps < 1``.
    """
    if not 1 <= sample_size <= num_nodes:
        raise ValueError(f"sample_size: expected 1 to {num_nodes} nodes, got {sample_size}")
    if local_steps < 1:
        raise ValueError(f"local_steps: expected at least 1, got {local_steps}")
    work = objective(loss, sample)
    ids = jnp.arange(num_nodes, dtype=jnp.int32)

    def init(params: Any) -> FederatedState:
        return FederatedState(agents.broadcast(params, 1), jnp.int32(0), jnp.float32(0.0))

    def step(key: jax.Array, state: FederatedState, inputs: Any) -> tuple[FederatedState, Any]:
        shards, schedule = inputs
        online = schedule.online[state.round]
        order = sample_order(ids, state.round)
        found = resolve_sample(order, online, online, jnp.int32(-1), sample_size)
        trains = found.members >= 0
        start = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (sample_size, *leaf.shape[1:])), state.model
        )
        data = rows_of(shards, jnp.maximum(found.members, 0))
        opt_state = jax.vmap(local.init)(start)
        trained = train(work, local, local_steps, key, start, opt_state, None, data).params
        average = jax.tree.map(lambda leaf: leaf[None], agents.mean(trained, trains))
        some = found.count > 0
        model = jax.tree.map(lambda new, old: jnp.where(some, new, old), average, state.model)
        size = agents.size_of_one(state.model)[1]
        sent = state.sent + 2.0 * found.count.astype(jnp.float32) * size
        return FederatedState(model, state.round + 1, sent), found

    return Algorithm(init, step)
