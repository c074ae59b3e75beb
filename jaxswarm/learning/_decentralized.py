"""Decentralised learning as one ``(init, step)``: local optimisation composed with gossip.

Shapes: ``N`` agents on axis 0 of every leaf, ``B`` samples of a minibatch.

References:
    X. Lian et al., Can decentralized algorithms outperform centralized algorithms? A case study for
    decentralized parallel stochastic gradient descent, 2017 (D-PSGD). A. Sayed, Adaptation,
    learning, and optimization over networks, 2014 (diffusion: adapt, combine). H. B. McMahan et
    al., Communication-efficient learning of deep networks from decentralized data, 2017.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip._averaging import identity
from jaxswarm.gossip.traffic import no_traffic
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.learning.local import Loss, Objective, Sample, objective, train
from jaxswarm.learning.state import (
    LearnerInfo,
    LearnerState,
    check_parts,
    initial_state,
    keep_absent,
    keep_dead,
    next_round,
)
from jaxswarm.network.process import Network, reliable
from jaxswarm.types import Key, Params, PyTree

ORDERS = ("adapt_then_combine", "combine_then_adapt", "parallel")


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
    has_aux: bool = False,
    chunk: int | None = None,
) -> Algorithm:
    """Decentralised learning: local optimiser steps composed with any gossip rule.

    The published methods have names of their own: :func:`~jaxswarm.learning.dpsgd`,
    :func:`~jaxswarm.learning.fedavg`, :func:`~jaxswarm.learning.local_sgd` and
    :func:`~jaxswarm.learning.isolated`.

    Args:
        loss: ``loss(params, batch) -> scalar`` of *one* agent; see
            :func:`jaxswarm.learning.local.objective`.
        local: any optax optimiser; every agent has its own state. Those that follow the loss get
            ``value``, ``grad`` and ``value_fn``: ``optax.lbfgs()``,
            ``optax.contrib.reduce_on_plateau()``.
        gossip: any gossip rule.
        local_steps: optimiser steps per round, at least 1.
        sample: ``(key, inputs) -> batch`` drawn inside ``jit``, leaves ``[N, B, ...]``; omitted,
            the inputs of a round are the batch.
        order: ``"adapt_then_combine"`` (local steps, then gossip), ``"combine_then_adapt"``
            (gossip, then local steps from there), or ``"parallel"`` (local steps from the own
            parameters, added to the average: D-PSGD as published, where computing and sending
            overlap).
        network: which agents are alive and which messages arrive, round by round; all by default.
            Agents that are dead or do not participate do not train: they keep parameters, optimiser
            state and model state. Only a rule that sends to agents that do not participate, such as
            ``gossip.server``, changes the parameters of those, never of dead ones.
        stateful: the loss carries a model state (normalisation statistics), which gossip never
            mixes.
        stochastic: the loss takes a key.
        has_aux: the loss returns ``(scalar, metrics)``; they are in ``info.metrics``.
        chunk: agents whose gradients are computed at a time, at least 1; all by default. With large
            batches activations outweigh parameters, and chunks bound them; on a mesh leave it out.

    Returns:
        ``init(params, model_state=None) -> LearnerState`` and ``step(key, state, inputs)``.

    Raises:
        ValueError: ``local_steps < 1``, ``chunk < 1``, unknown order, something that is not an
            optimiser or a rule; while tracing, leaves or batches that do not lead with ``N``.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import gossip, learning, rollout, topology
        >>> W = gossip.mixing(topology.ring(8))
        >>> learner = learning.decentralized(
        ...     lambda params, target: (params - target) ** 2,
        ...     local=optax.sgd(0.1),
        ...     gossip=gossip.averaging(W),
        ... )
        >>> state, targets = learner.init(jnp.zeros(8)), jnp.arange(8.0)
        >>> state, info = rollout(learner.step, state, 100, key=jax.random.key(0), inputs=targets)
        >>> round(float(state.params.mean()), 2)  # the mean of all targets
        3.5
        >>> int(state.traffic.total.messages)  # 2 neighbours of 8 agents, 100 rounds
        1600
    """
    check_parts(local, gossip, network)
    local_steps = checks.whole("local_steps", local_steps, 1)
    checks.choice("order", order, ORDERS)
    flags = {"stateful": stateful, "stochastic": stochastic, "has_aux": has_aux}
    work = objective(loss, sample, chunk=chunk, **flags)
    world = reliable() if network is None else network

    def init(params: Params, model_state: PyTree = None) -> LearnerState:
        return initial_state(local, gossip, world, params, model_state)

    def step(key: Key, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        train_key, gossip_key, network_key = jax.random.split(key, 3)
        network_state, now = world.step(network_key, state.network, state.round)

        def adapt(params: Params) -> Any:
            opt_state, model_state = state.opt_state, state.model_state
            return train(
                train_key, work, local, local_steps, params, opt_state, model_state, inputs
            )

        def combine(params: Params) -> Any:
            return gossip.mix(gossip_key, params, state.gossip, now)

        if order == "adapt_then_combine":
            result = keep_absent(now, adapt(state.params), state)
            params, gossip_state, traffic = combine(result.params)
            params = keep_dead(now, params, state.params)
        elif order == "combine_then_adapt":
            params, gossip_state, traffic = combine(state.params)
            params = keep_dead(now, params, state.params)
            result = keep_absent(now, adapt(params), state._replace(params=params))
            params = result.params
        else:
            result = keep_absent(now, adapt(state.params), state)
            mixed, gossip_state, traffic = combine(state.params)
            params = jax.tree.map(
                lambda mixed, new, old: mixed + (new - old), mixed, result.params, state.params
            )
            present = now.active(agents.num_agents(mixed))
            if present is not None:
                params = keep_dead(now, agents.where(present, params, mixed), state.params)
        new = next_round(
            state,
            traffic,
            params=params,
            opt_state=result.opt_state,
            model_state=result.model_state,
            gossip=gossip_state,
            network=network_state,
        )
        return new, LearnerInfo(result.loss, traffic, result.metrics)

    return Algorithm(init, step)


def _holders(batch: Any, n: int) -> jax.Array | None:
    """Mask ``bool[N]`` of the agents with a sample in their batch; ``None`` without weights."""
    weight = getattr(batch, "weight", None)
    if weight is None or jnp.ndim(weight) < 2 or jnp.shape(weight)[0] != n:
        return None
    return jnp.any((weight > 0).reshape(n, -1), axis=1)


def centralized(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    local_steps: int = 1,
    sample: Sample | None = None,
    has_aux: bool = False,
) -> Algorithm:
    """Centralised minibatch SGD, the baseline: one model, the mean gradient of all minibatches.

    Its parameters lead with 1, the only “agent”; the inputs are those of the ``N`` agents whose
    data it uses. Agents without data, those whose ``batch.weight`` is 0 throughout, do not count in
    the mean. No traffic is counted: there is no network.

    Args:
        loss: ``loss(params, batch) -> scalar``.
        local: any optax optimiser.
        local_steps: optimiser steps per round, at least 1.
        sample: as in :func:`decentralized`.
        has_aux: likewise.

    Raises:
        ValueError: ``local_steps < 1`` or something that is not an optimiser; while tracing,
            parameters that do not lead with 1.
    """
    check_parts(local, None)
    local_steps = checks.whole("local_steps", local_steps, 1)
    work = objective(loss, sample, has_aux=has_aux)

    def pooled_gradient(
        key: Key, params: Params, model_state: PyTree, batch: Any
    ) -> tuple[jax.Array, PyTree, PyTree, PyTree]:
        n = agents.num_agents(batch)
        copies = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape[1:])), params)
        losses, _, grads, metrics = work.value_and_grad(key, copies, None, batch)
        grads = agents.mean(grads, _holders(batch, n))
        return losses, model_state, jax.tree.map(lambda g: g[None], grads), metrics

    def pooled_context(key: Key, params: Params, model_state: PyTree, batch: Any) -> PyTree:
        del key, params, model_state
        return jax.tree.map(lambda leaf: leaf[None], batch)  # one model holds all agents' batches

    def pooled_value(params: Params, batch: Any) -> jax.Array:
        n = agents.num_agents(batch)
        losses = jax.vmap(lambda own: work.value(params, (None, own, None)))(batch)
        return agents.mean(losses, _holders(batch, n))

    pooled = Objective(pooled_gradient, work.sample, pooled_context, pooled_value)

    def init(params: Params, model_state: PyTree = None) -> LearnerState:
        agents.check_leading_axis(params, 1, "params")
        return initial_state(local, identity(), reliable(), params, model_state)

    def step(key: Key, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        result = train(key, pooled, local, local_steps, state.params, state.opt_state, None, inputs)
        traffic = no_traffic()
        new = next_round(state, traffic, params=result.params, opt_state=result.opt_state)
        return new, LearnerInfo(result.loss, traffic, result.metrics)

    return Algorithm(init, step)
