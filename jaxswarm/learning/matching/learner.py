"""Merging and training in turn, as one ``(init, step)``.

Shapes: ``N`` agents on axis 0 of every leaf, ``B`` samples of a batch.

References:
    N. Saadati et al., DIMAT: decentralized iterative merging-and-training for deep learning models,
    2024.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.learning._decentralized import (
    LearnerState,
    check_parts,
    frozen_where_absent,
    initial_state,
)
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.learning.matching.merge import Local, Proxy, check_inputs
from jaxswarm.models import Model
from jaxswarm.network.process import Network, reliable

PyTree = Any
MatchData = Callable[[jax.Array, Any], Proxy | Local]


class MergeInfo(NamedTuple):
    """What one may plot of an iteration.

    Attributes:
        loss: ``float[N]``, each agent's loss while it trained.
        traffic: messages and bytes of the merge.
        merged: what ``watch`` saw between merging and training, ``None`` without it.
    """

    loss: jax.Array
    traffic: Traffic
    merged: PyTree


def merge_and_train(
    loss: Loss,
    *,
    model: Model,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    local_steps: int,
    sample: Sample | None = None,
    match_data: MatchData | None = None,
    network: Network | None = None,
    fresh_optimizer: bool = True,
    watch: Callable[[PyTree, PyTree], PyTree] | None = None,
) -> Algorithm:
    """Each round: merge with the neighbours, measure normalisation statistics anew, then train.

    Args:
        loss: of one agent, ``learning.classification_loss(model)``; it carries the statistics if
            the model has any.
        model: whose ``recalibrate`` measures them.
        local: any optax optimiser.
        gossip: :func:`matched_averaging`, or any other rule.
        local_steps: optimiser steps per round, at least 1.
        sample: ``(key, inputs) -> batch``; omitted, the inputs of a round are the batch.
        match_data: ``(key, inputs) -> Proxy | Local``, on what units are matched and statistics
            measured; may be omitted if neither is needed.
        network: who is alive and what arrives; all of it by default.
        fresh_optimizer: whether every round's training forgets the last one's optimiser state, as
            published: what it remembers may be in another order of units than the merged model.
        watch: ``watch(params, stats) -> pytree``, looked at right after the merge.

    Returns:
        ``init(params, model_state=None) -> LearnerState`` and ``step(key, state, inputs)``.

    Raises:
        ValueError: ``local_steps < 1``, parts of the wrong kind, or a model with normalisation
            statistics without ``match_data``.
    """
    check_parts(local, gossip)
    if local_steps < 1:
        raise ValueError(f"local_steps: expected at least 1, got {local_steps}")
    if model.has_stats and match_data is None:
        raise ValueError(
            "match_data: this model's normalisation statistics are measured anew after a merge; "
            "expected (key, inputs) -> Proxy or Local inputs, got None"
        )
    work = objective(loss, sample, stateful=model.has_stats)
    world = reliable() if network is None else network

    def init(params: PyTree, model_state: PyTree = None) -> LearnerState:
        if model.has_stats and model_state is None:
            model_state = agents.broadcast(model.init_stats(), agents.num_agents(params))
        return initial_state(local, gossip, world, params, model_state)

    def step(key: jax.Array, state: LearnerState, inputs: Any) -> tuple[LearnerState, MergeInfo]:
        train_key, gossip_key, network_key, data_key = jax.random.split(key, 4)
        network_state, now = world.step(network_key, state.network, state.round)
        seen = None if match_data is None else match_data(data_key, inputs)
        params, gossip_state, traffic = gossip.mix(
            gossip_key, state.params, state.gossip, now.with_extras(match_inputs=seen)
        )
        stats = measure(params, seen) if model.has_stats else state.model_state
        merged = None if watch is None else watch(params, stats)
        opt_state = jax.vmap(local.init)(params) if fresh_optimizer else state.opt_state
        before = state._replace(params=params, opt_state=opt_state, model_state=stats)
        result = train(work, local, local_steps, train_key, params, opt_state, stats, inputs)
        result = frozen_where_absent(now, result, before)
        new = state._replace(
            params=result.params,
            opt_state=result.opt_state,
            model_state=result.model_state,
            gossip=gossip_state,
            network=network_state,
            round=state.round + 1,
            traffic=state.traffic.add(traffic),
        )
        return new, MergeInfo(result.loss, traffic, merged)

    def measure(params: PyTree, seen: Any) -> PyTree:
        check_inputs(seen, agents.num_agents(params), True)
        return jax.vmap(model.recalibrate, (0, 0 if isinstance(seen, Local) else None))(
            params, seen.x
        )

    return Algorithm(init, step)
