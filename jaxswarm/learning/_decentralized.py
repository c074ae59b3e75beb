"""Decentralised learning: local optimisation and gossip, as one ``(init, step)``.

Shapes: ``N`` agents on axis 0 of every leaf, ``B`` samples of a minibatch.

References:
    X. Lian et al., Can decentralized algorithms outperform centralized algorithms? A case study for
    decentralized parallel stochastic gradient descent, 2017 (D-PSGD). A. Sayed, Adaptation,
    learning, and optimization over networks, 2014 (diffusion: adapt, combine). H. B. McMahan et
    al., Communication-efficient learning of deep networks from decentralized data, 2017.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, errors
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip._averaging import identity
from jaxswarm.gossip.traffic import Ledger, Traffic, no_traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.learning.local import Loss, Objective, Sample, objective, train
from jaxswarm.network.process import Network, reliable

PyTree = Any

ORDERS = ("adapt_then_combine", "combine_then_adapt", "parallel")


class LearnerState(NamedTuple):
    """What a decentralised learner carries from round to round.

    Attributes:
        params: learnable parameters, leaves ``[N, ...]``: the only thing gossip touches.
        opt_state: every agent's own optimiser state, never averaged.
        model_state: every agent's normalisation statistics, never averaged.
        gossip: the rule's state.
        network: the network process's state.
        correction: what bias-corrected methods remember (trackers, previous iterates).
        round: ``int32[]``, rounds done.
        traffic: what was sent since the start.
    """

    params: PyTree
    opt_state: PyTree
    model_state: PyTree
    gossip: PyTree
    network: PyTree
    correction: PyTree
    round: jax.Array
    traffic: Ledger


class LearnerInfo(NamedTuple):
    """What one may plot of a round.

    Attributes:
        loss: ``float[N]``, each agent's loss on its own minibatches.
        traffic: messages and bytes of this round.
    """

    loss: jax.Array
    traffic: Traffic


def decentralized(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    local_steps: int = 1,
    sample: Sample | None = None,
    order: str = "adapt_then_combine",
    network: Network | None = None,
    stateful: bool = False,
    stochastic: bool = False,
    chunk: int | None = None,
) -> Algorithm:
    """Local optimisation composed with gossip.

    Choices of ``gossip`` give the classics: ``averaging(W)`` is D-PSGD, ``server()`` is FedAvg
    (local SGD with a server), ``identity()`` the isolated baseline.

    Args:
        loss: ``loss(params, batch) -> scalar`` of *one* agent; see
            :func:`jaxswarm.learning.local.objective`.
        local: any optax optimiser; every agent has its own state.
        gossip: any gossip rule.
        local_steps: optimiser steps per round, at least 1.
        sample: ``(key, inputs) -> batch`` drawn inside ``jit``, leaves ``[N, B, ...]``; omitted,
            the inputs of a round are the batch.
        order: ``"adapt_then_combine"`` (local steps, then gossip), ``"combine_then_adapt"``
            (gossip, then local steps from there), or ``"parallel"`` (local steps from the own
            parameters, added to the average: D-PSGD as published, where computing and sending
            overlap).
        network: who is alive and what arrives, round by round; all of it by default.
        stateful: the loss carries a model state (normalisation statistics), which gossip never
            touches.
        stochastic: the loss takes a key.
        chunk: agents whose gradients are computed at a time, at least 1; all by default. With large
            batches activations outweigh parameters, and chunks bound them; on a mesh leave it out.

    Returns:
        ``init(params, model_state=None) -> LearnerState`` and ``step(key, state, inputs)``.

    Raises:
        ValueError: ``local_steps < 1``, ``chunk < 1``, unknown order, something that is not an
            optimiser or a rule; while tracing, leaves or batches that do not lead with ``N``.
    """
    check_parts(local, gossip)
    if local_steps < 1:
        raise ValueError(f"local_steps: expected at least 1, got {local_steps}")
    if order not in ORDERS:
        raise errors.unknown("order", order, ORDERS)
    work = objective(loss, sample, stateful=stateful, stochastic=stochastic, chunk=chunk)
    world = reliable() if network is None else network

    def init(params: PyTree, model_state: PyTree = None) -> LearnerState:
        return initial_state(local, gossip, world, params, model_state)

    def step(key: jax.Array, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        train_key, gossip_key, network_key = jax.random.split(key, 3)
        network_state, now = world.step(network_key, state.network, state.round)

        def locally(params: PyTree) -> Any:
            return train(
                work,
                local,
                local_steps,
                train_key,
                params,
                state.opt_state,
                state.model_state,
                inputs,
            )

        def exchange(params: PyTree) -> Any:
            return gossip.mix(gossip_key, params, state.gossip, now)

        if order == "adapt_then_combine":
            result = frozen_where_absent(now, locally(state.params), state)
            params, gossip_state, traffic = exchange(result.params)
        elif order == "combine_then_adapt":
            params, gossip_state, traffic = exchange(state.params)
            result = frozen_where_absent(now, locally(params), state._replace(params=params))
            params = result.params
        else:
            result = frozen_where_absent(now, locally(state.params), state)
            params, gossip_state, traffic = exchange(state.params)
            params = jax.tree.map(
                lambda m, new, old: m + (new - old), params, result.params, state.params
            )
        new = state._replace(
            params=params,
            opt_state=result.opt_state,
            model_state=result.model_state,
            gossip=gossip_state,
            network=network_state,
            round=state.round + 1,
            traffic=state.traffic.add(traffic),
        )
        return new, LearnerInfo(result.loss, traffic)

    return Algorithm(init, step)


def centralized(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    local_steps: int = 1,
    sample: Sample | None = None,
) -> Algorithm:
    """The centralised minibatch baseline: one model, the mean gradient of all agents' minibatches.

    Its parameters lead with 1, the only “agent”; the inputs are those of the ``N`` agents whose
    data it sees. No traffic is counted: there is no network.

    Raises:
        ValueError: ``local_steps < 1`` or something that is not an optimiser; while tracing,
            parameters that do not lead with 1.
    """
    check_parts(local, None)
    if local_steps < 1:
        raise ValueError(f"local_steps: expected at least 1, got {local_steps}")
    work = objective(loss, sample)

    def pooled_gradient(
        key: jax.Array, params: PyTree, model_state: PyTree, batch: Any
    ) -> tuple[jax.Array, PyTree, PyTree]:
        n = agents.num_agents(batch)
        everywhere = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape[1:])), params)
        losses, _, grads = work.value_and_grad(key, everywhere, None, batch)
        grads = jax.tree.map(lambda g: jnp.mean(g, axis=0, keepdims=True), grads)
        return losses, model_state, grads

    pooled = Objective(pooled_gradient, work.sample)

    def init(params: PyTree, model_state: PyTree = None) -> LearnerState:
        agents.check_leading_axis(params, 1, "params")
        return initial_state(local, identity(), reliable(), params, model_state)

    def step(key: jax.Array, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        result = train(pooled, local, local_steps, key, state.params, state.opt_state, None, inputs)
        new = state._replace(
            params=result.params, opt_state=result.opt_state, round=state.round + 1
        )
        return new, LearnerInfo(result.loss, no_traffic())

    return Algorithm(init, step)


def initial_state(
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    network: Network,
    params: PyTree,
    model_state: PyTree,
    correction: PyTree = (),
) -> LearnerState:
    """The state of ``N`` agents about to start; ``params`` leaves ``[N, ...]``."""
    agents.num_agents(params)
    params = jax.tree.map(jnp.asarray, params)
    return LearnerState(
        params=params,
        opt_state=jax.vmap(local.init)(params),
        model_state=model_state,
        gossip=gossip.init(params),
        network=network.init(),
        correction=correction,
        round=jnp.zeros((), jnp.int32),
        traffic=Ledger.empty(),
    )


def check_parts(local: Any, gossip: Any) -> None:
    """Refuse what is not an optimiser or a gossip rule.

    Raises:
        ValueError: naming the argument and what came.
    """
    if not (hasattr(local, "init") and hasattr(local, "update")):
        raise ValueError(f"local: expected an optax optimiser, got {type(local).__name__}")
    if gossip is not None and not (hasattr(gossip, "init") and hasattr(gossip, "mix")):
        raise ValueError(
            f"gossip: expected a rule such as gossip.averaging(W), got {type(gossip).__name__}"
        )


def frozen_where_absent(now: Exchange, result: Any, state: LearnerState) -> Any:
    """Undo the local work of agents that are dead or do not take part this round."""
    present = now.active(agents.num_agents(state.params))
    if present is None:
        return result
    return result._replace(
        params=agents.where(present, result.params, state.params),
        opt_state=agents.where(present, result.opt_state, state.opt_state),
        model_state=agents.where(present, result.model_state, state.model_state),
    )
