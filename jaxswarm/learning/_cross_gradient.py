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

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip._averaging import averaging
from jaxswarm.gossip._mixing import mixing
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange
from jaxswarm.learning.local import Loss, Sample, descend, objective
from jaxswarm.learning.state import (
    LearnerInfo,
    LearnerState,
    check_parts,
    initial_state,
    next_round,
)
from jaxswarm.network.process import reliable
from jaxswarm.topology import Topology, in_neighbors
from jaxswarm.topology.validation import require_symmetric
from jaxswarm.types import Key, Params


def cross_gradient(
    loss: Loss,
    topology: Topology,
    *,
    local: optax.GradientTransformation,
    sample: Sample | None = None,
    weights: str | jax.Array | np.ndarray = "metropolis",
    iterations: int = 200,
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

    Returns:
        ``init(params) -> LearnerState`` and ``step(key, state, inputs)``.

    Raises:
        ValueError: on a directed topology or a sequence, or ``iterations < 1``.
    """
    require_symmetric(topology, "cross gradients")
    if topology.is_sequence:
        raise ValueError("topology: cross gradients need a single topology, got a sequence")
    if iterations < 1:
        raise ValueError(f"iterations: expected at least 1, got {iterations}")
    rule = averaging(mixing(topology, weights))
    check_parts(local, rule)
    lists = in_neighbors(topology)
    work = objective(loss, sample)
    single = jax.grad(loss)
    num_edges = float(np.asarray(topology.mask).sum())

    def init(params: Params) -> LearnerState:
        return initial_state(local, rule, reliable(), params, None)

    def step(key: Key, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        sample_key, loss_key, gossip_key = jax.random.split(key, 3)
        batch = work.sample(sample_key, inputs)
        losses, _, own = work.value_and_grad(loss_key, state.params, None, batch)
        neighbor_batches = jax.tree.map(lambda leaf: leaf[lists.neighbors], batch)
        cross = jax.vmap(jax.vmap(single, (None, 0)))(state.params, neighbor_batches)
        matrix, unravel = agents.ravel(own)
        rows = jax.vmap(lambda tree: agents.ravel(tree)[0])(cross)
        rows = jnp.where(lists.mask[:, :, None], rows, 0.0)
        grads = jax.vmap(lambda g, others: project_gradient(g, others, iterations))(matrix, rows)
        moved, opt_state = descend(local, unravel(grads), state.opt_state, state.params)
        mixed, gossip_state, _ = rule.mix(
            gossip_key, state.params, state.gossip, Exchange(state.round)
        )
        params = jax.tree.map(lambda m, new, old: m + (new - old), mixed, moved, state.params)
        size = agents.message_size(state.params)[1]
        sent = jnp.asarray(2.0 * num_edges)
        traffic = Traffic(sent, sent * size)
        new = next_round(state, traffic, params=params, opt_state=opt_state, gossip=gossip_state)
        return new, LearnerInfo(losses, traffic)

    return Algorithm(init, step)


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
