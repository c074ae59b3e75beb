"""Merging and training in turn (DIMAT) as one ``(init, step)``.

Shapes: ``N`` agents on axis 0 of every leaf, ``B`` samples of a batch.

References:
    N. Saadati et al., DIMAT: decentralized iterative merging-and-training for deep learning models,
    2024.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from jaxswarm import agents, checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.learning.matching.merge import LocalInputs, SharedInputs, check_inputs
from jaxswarm.learning.state import (
    LearnerState,
    check_parts,
    initial_state,
    keep_absent,
    keep_dead,
    next_round,
)
from jaxswarm.models import Model
from jaxswarm.network.process import Network, reliable
from jaxswarm.types import Key, Params, PyTree

MatchData = Callable[[jax.Array, Any], SharedInputs | LocalInputs]


class MergeInfo(NamedTuple):
    """Metrics of one iteration.

    Attributes:
        loss: ``float[N]``, each agent's loss while it trained.
        traffic: messages and bytes of the merge.
        merged: what ``watch`` returned between merging and training, ``None`` without it.
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
    watch: Callable[[Params, PyTree], PyTree] | None = None,
) -> Algorithm:
    """DIMAT: merge with the neighbours, recompute normalisation statistics, then train locally.

    Args:
        loss: of one agent, ``learning.classification_loss(model)``; it carries the statistics if
            the model has any.
        model: of ``models.functional``; its ``recalibrate`` recomputes the statistics.
        local: any optax optimiser.
        gossip: :func:`matched_averaging`, or any other rule.
        local_steps: optimiser steps per round, at least 1.
        sample: ``(key, inputs) -> batch``; omitted, the inputs of a round are the batch.
        match_data: ``(key, inputs) -> SharedInputs | LocalInputs``, on which units are matched and
            statistics recomputed; may be omitted if neither is needed.
        network: which agents are alive and which messages arrive; all by default. Agents that are
            dead or do not participate keep parameters, optimiser state and statistics.
        fresh_optimizer: whether every round starts with a new optimiser state, as published: the
            last one's may be in another order of units than the merged model.
        watch: ``watch(params, stats) -> pytree``, evaluated right after the merge, for the info.

    Returns:
        ``init(params, model_state=None) -> LearnerState`` and ``step(key, state, inputs)``.

    Raises:
        ValueError: ``local_steps < 1``, parts of the wrong kind, or a model with normalisation
            statistics without ``match_data``.
    """
    checks.instance("model", model, Model, "models.functional(module, example_x)")
    check_parts(local, gossip, network)
    local_steps = checks.whole("local_steps", local_steps, 1)
    fresh_optimizer = checks.flag("fresh_optimizer", fresh_optimizer)
    for name, function in (("match_data", match_data), ("watch", watch)):
        if function is not None:
            checks.function(name, function)
    if model.has_stats and match_data is None:
        raise ValueError(
            "match_data: this model's normalisation statistics are recomputed after a merge; "
            "expected (key, inputs) -> SharedInputs or LocalInputs, got None"
        )
    work = objective(loss, sample, stateful=model.has_stats)
    world = reliable() if network is None else network

    def init(params: Params, model_state: PyTree = None) -> LearnerState:
        if model.has_stats and model_state is None:
            model_state = agents.broadcast(model.init_stats(), agents.num_agents(params))
        return initial_state(local, gossip, world, params, model_state)

    def step(key: Key, state: LearnerState, inputs: Any) -> tuple[LearnerState, MergeInfo]:
        train_key, gossip_key, network_key, data_key = jax.random.split(key, 4)
        network_state, now = world.step(network_key, state.network, state.round)
        match_inputs = None if match_data is None else match_data(data_key, inputs)
        params, gossip_state, traffic = gossip.mix(
            gossip_key, state.params, state.gossip, now.with_extras(match_inputs=match_inputs)
        )
        params = keep_dead(now, params, state.params)
        stats = recalibrate(params, match_inputs) if model.has_stats else state.model_state
        present = now.active(agents.num_agents(params))
        if present is not None:
            stats = agents.where(present, stats, state.model_state)
        merged = None if watch is None else watch(params, stats)
        opt_state = state.opt_state
        if fresh_optimizer:
            opt_state = init_per_agent(local, params, index=state.round)
        result = train(train_key, work, local, local_steps, params, opt_state, stats, inputs)
        result = keep_absent(now, result, state._replace(params=params))
        new = next_round(
            state,
            traffic,
            params=result.params,
            opt_state=result.opt_state,
            model_state=result.model_state,
            gossip=gossip_state,
            network=network_state,
        )
        return new, MergeInfo(result.loss, traffic, merged)

    def recalibrate(params: Params, match_inputs: Any) -> PyTree:
        check_inputs(match_inputs, agents.num_agents(params), True)
        own = isinstance(match_inputs, LocalInputs)
        return jax.vmap(model.recalibrate, (0, 0 if own else None))(params, match_inputs.x)

    return Algorithm(init, step)
