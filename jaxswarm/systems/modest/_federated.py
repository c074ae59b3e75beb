"""Federated averaging with MoDeST's samples, drawn by a server that knows which agents are online.

Shapes: ``N`` agents, ``s`` in a sample.

References:
    H. B. McMahan et al., Communication-efficient learning of deep networks from decentralized data,
    2017.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, traffic_of
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.learning.state import check_parts
from jaxswarm.systems.modest._membership import check_schedule, check_step_inputs
from jaxswarm.systems.modest.actors import per_agent, shards_of
from jaxswarm.systems.modest.sampling import ResolvedSample, resolve_sample, sample_order
from jaxswarm.types import Key, Params


class FederatedState(NamedTuple):
    """State of the server: ``model``, leaves ``[1, ...]``; ``round int32[]``; bytes sent so far."""

    model: Params
    round: jax.Array
    ledger: Ledger

    @property
    def sent(self) -> jax.Array:
        """``float32[]``, bytes since the start."""
        return self.ledger.total.bytes


def federated(
    loss: Loss,
    num_agents: int,
    *,
    local: optax.GradientTransformation,
    sample_size: int = 10,
    local_steps: int = 1,
    sample: Sample | None = None,
) -> Algorithm:
    """Federated averaging: the first ``s`` online agents of the round's order train.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        num_agents: ``N``.
        local: any optax optimiser, with a fresh state every round.
        sample_size: ``s``, from 1 to ``N``.
        local_steps: optimiser steps of a trainer, at least 1.
        sample: one of :mod:`jaxswarm.data`; agent ``i`` draws from its own stream, as in
            :func:`~jaxswarm.systems.modest.modest`.

    Returns:
        ``init(params)`` takes a single model; ``step(key, state, (shards, membership))``.

    Raises:
        ValueError: if ``s`` is out of range or ``local_steps < 1``.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    sample_size = checks.whole("sample_size", sample_size, 1, num_agents)
    local_steps = checks.whole("local_steps", local_steps, 1)
    check_parts(local, None)
    if sample is not None:
        checks.function("sample", sample)
    draw = per_agent(sample) if sample is not None else lambda key, inputs: shards_of(*inputs)
    work = objective(loss, draw)
    ids = jnp.arange(num_agents, dtype=jnp.int32)

    def init(params: Params) -> FederatedState:
        return FederatedState(agents.broadcast(params, 1), jnp.int32(0), Ledger.empty())

    def step(key: Key, state: FederatedState, inputs: Any) -> tuple[FederatedState, ResolvedSample]:
        shards, schedule = check_step_inputs(inputs)
        check_schedule(schedule, num_agents)
        online = schedule.online[state.round]
        order = sample_order(ids, state.round)
        found = resolve_sample(order, online, online, jnp.int32(-1), sample_size)
        trains = found.members >= 0
        start = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (sample_size, *leaf.shape[1:])), state.model
        )
        agent = jnp.maximum(found.members, 0)
        opt_state = init_per_agent(local, start, agent, index=state.round)
        train_key = jax.random.split(key, 3)[0]  # as modest does: equal samples, equal models
        trained = train(
            train_key, work, local, local_steps, start, opt_state, None, (shards, agent)
        ).params
        average = jax.tree.map(lambda leaf: leaf[None], agents.mean(trained, trains))
        any_trained = found.count > 0
        model = jax.tree.map(
            lambda new, old: jnp.where(any_trained, new, old), average, state.model
        )
        ledger = state.ledger.add(traffic_of(2.0 * found.count, state.model))
        return FederatedState(model, state.round + 1, ledger), found

    return Algorithm(init, step)
