"""Cross-gradient aggregation (CGA): steps that conflict with no neighbour's gradient.

Shapes: ``N`` agents on axis 0 of every leaf, ``K`` in-neighbour slots, ``P`` parameters.

References:
    Y. Esfandiari et al., Cross-gradient aggregation for decentralized learning from non-IID data,
    2021. D. Lopez-Paz, M. Ranzato, Gradient episodic memory for continual learning, 2017 (the
    quadratic program).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip._averaging import averaging
from jaxswarm.gossip._mixing import mixing
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange
from jaxswarm.learning.local import LocalResult, Loss, Sample, descend, objective
from jaxswarm.learning.state import (
    LearnerInfo,
    LearnerState,
    check_parts,
    initial_state,
    keep_absent,
    next_round,
)
from jaxswarm.network.process import Network, reliable
from jaxswarm.topology import Topology, in_neighbors
from jaxswarm.topology.validation import require_symmetric, require_topology
from jaxswarm.types import Key, Params

NETWORK_STREAM = 3
"""Folded into a round's key for the network process."""


def cross_gradient(
    loss: Loss,
    topology: Topology,
    *,
    local: optax.GradientTransformation,
    sample: Sample | None = None,
    weights: str | jax.Array | np.ndarray = "metropolis",
    iterations: int = 200,
    network: Network | None = None,
) -> Algorithm:
    """Cross-gradient aggregation (CGA): decentralised SGD by projected cross gradients.

    An agent sends its model to its neighbours, which return their gradients at it, the cross
    gradients. Its own gradient is moved as little as possible so that its inner product with none
    of them is negative (:func:`project_gradient`); the optimiser's update by the result is added to
    the neighbourhood's average. That is two messages a step on every directed edge.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        topology: undirected, since gradients are sent back.
        local: any optax optimiser; as published, SGD with momentum.
        sample: ``(key, inputs) -> batch``; omitted, the inputs of a round are the batch.
        weights: mixing weights, as in :func:`~jaxswarm.gossip.mixing`.
        iterations: of the quadratic program's solver, at least 1.
        network: which agents are alive and which messages arrive; all by default. A cross gradient
            needs both of its messages. Agents that are dead or do not participate keep parameters
            and optimiser state and return no gradient.

    Returns:
        ``init(params) -> LearnerState`` and ``step(key, state, inputs)``.

    Raises:
        ValueError: on a directed topology or a sequence, ``iterations < 1``, or parts of the wrong
            kind.
    """
    require_topology(topology)
    require_symmetric(topology, "cross gradients")
    if topology.is_sequence:
        raise ValueError("topology: cross gradients need a single topology, got a sequence")
    iterations = checks.whole("iterations", iterations, 1)
    rule = averaging(mixing(topology, weights))
    check_parts(local, rule, network)
    world = reliable() if network is None else network
    lists = in_neighbors(topology)
    there_and_back = lists.edges, _reversed(topology)[lists.edges]
    work = objective(loss, sample)
    single = jax.grad(loss)

    def answers(now: Exchange, n: int) -> jax.Array:
        """Mask ``bool[N, K]`` of the in-neighbours that return a gradient in this round."""
        mask = jnp.asarray(lists.mask)
        present = now.active(n)
        if present is not None:
            mask = mask & present[:, None] & present[lists.neighbors]
        if now.delivered is not None:
            for edges in there_and_back:
                mask = mask & now.delivered[edges]
        return mask

    def init(params: Params) -> LearnerState:
        return initial_state(local, rule, world, params, None)

    def step(key: Key, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        sample_key, loss_key, gossip_key = jax.random.split(key, 3)
        network_state, now = world.step(
            jax.random.fold_in(key, NETWORK_STREAM), state.network, state.round
        )
        n = agents.num_agents(state.params)
        batch = work.sample(sample_key, inputs)
        losses, _, own, _ = work.value_and_grad(loss_key, state.params, None, batch)
        neighbor_batches = jax.tree.map(lambda leaf: leaf[lists.neighbors], batch)
        cross = jax.vmap(jax.vmap(single, (None, 0)))(state.params, neighbor_batches)
        matrix, unravel = agents.ravel(own)
        rows = jax.vmap(lambda tree: agents.ravel(tree)[0])(cross)
        returned = answers(now, n)
        rows = jnp.where(returned[:, :, None], rows, 0.0)
        grads = jax.vmap(lambda g, others: project_gradient(g, others, iterations))(matrix, rows)
        moved, opt_state = descend(local, unravel(grads), state.opt_state, state.params)
        mixed, gossip_state, models = rule.mix(gossip_key, state.params, state.gossip, now)
        params = jax.tree.map(lambda m, new, old: m + (new - old), mixed, moved, state.params)
        kept = keep_absent(now, LocalResult(params, opt_state, None, losses), state)
        size = agents.message_size(state.params)[1]
        sent = models.messages + jnp.sum(returned).astype(jnp.float32)
        traffic = Traffic(sent, sent * size)
        new = next_round(
            state,
            traffic,
            params=kept.params,
            opt_state=kept.opt_state,
            gossip=gossip_state,
            network=network_state,
        )
        return new, LearnerInfo(losses, traffic)

    return Algorithm(init, step)


def _reversed(topology: Topology) -> np.ndarray:
    """Slot ``int32[E]`` of the edge in the other direction; its own slot where there is none."""
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    slots = np.arange(len(senders), dtype=np.int32)
    real = np.asarray(topology.mask)
    place = {(s, r): i for i, s, r in zip(slots[real], senders[real], receivers[real], strict=True)}
    pairs = zip(slots, senders, receivers, strict=True)
    return np.array([place.get((r, s), i) for i, s, r in pairs], np.int32)


def project_gradient(gradient: jax.Array, others: jax.Array, iterations: int = 200) -> jax.Array:
    """Project a gradient on the cone of vectors with no negative inner product with the others.

    The result is ``g + Gᵀu`` with ``u >= 0`` minimising ``½‖g + Gᵀu‖²``, by accelerated projected
    gradient (:func:`optax.nnls`). The own gradient is one of the rows, as published.

    Args:
        gradient: ``[P]``.
        others: ``[K, P]``; rows of zeros do not constrain the result.
        iterations: of the solver; its excess in ``‖g + Gᵀu‖²`` falls as their inverse square.
    """
    rows = jnp.concatenate([gradient[None], others])
    return gradient + optax.nnls(rows.T, -gradient, iterations) @ rows
