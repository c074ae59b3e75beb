"""DecAvg: average the neighbours' models, then train on the own data; agents may have no data.

Shapes: ``N`` agents.

References:
    L. Palmieri, C. Boldrini, L. Valerio, A. Passarella, M. Conti, J. Kertész, Robustness of
    decentralised learning to nodes and data disruption, 2024, and the same group's study of
    disrupted peer-to-peer communication in disasters, 2023.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip import (
    Exchange,
    GossipTransformation,
    Mixing,
    Traffic,
    current_operator,
    mix,
    mixing,
)
from jaxswarm.gossip._operator import require_operator
from jaxswarm.gossip.traffic import traffic_of
from jaxswarm.learning import decentralized
from jaxswarm.learning.local import Loss, Sample
from jaxswarm.network.process import Network
from jaxswarm.topology import Topology
from jaxswarm.topology.validation import require_topology
from jaxswarm.topology.weights import size_weighted
from jaxswarm.types import PyTree

WEIGHTINGS = ("uniform", "size")


def decavg_mixing(
    topology: Topology,
    weighting: str = "uniform",
    sizes: ArrayLike | None = None,
    *,
    layout: str = "auto",
) -> Mixing:
    """Make DecAvg's mixing matrix, uniform or weighted by the number of samples.

    ``"size"`` weighs by the number of samples, ``|D_j| / Σ_k |D_k|`` over the neighbourhood; an
    agent without data then has weight 0, so that hubs without data connect no agents. ``"uniform"``
    weighs a neighbourhood equally, and agents without data forward the models they receive.

    Args:
        topology: undirected; may be disconnected.
        weighting: ``"uniform"`` or ``"size"``.
        sizes: ``[N]`` samples of each agent, for ``"size"``.
        layout: as for :func:`jaxswarm.gossip`.

    Raises:
        ValueError: on an unknown weighting, missing or bad sizes, or a neighbourhood that holds no
            data at all under ``"size"``.
    """
    require_topology(topology)
    checks.choice("weighting", weighting, WEIGHTINGS)
    if sizes is not None:
        checks.real("sizes", sizes, 0.0, shape=(topology.num_agents,))
    if weighting == "uniform":
        return mixing(topology, "uniform", layout, connected=False)
    if sizes is None:
        raise ValueError(
            "sizes: expected the number of samples of each agent with weighting 'size', got None"
        )
    weights = size_weighted(topology, sizes)
    held = np.asarray(sizes, np.float64).copy()
    total = held.copy()
    np.add.at(total, np.asarray(topology.receivers), held[np.asarray(topology.senders)])
    if (total <= 0).any():
        raise ValueError(
            f"sizes: expected data in every neighbourhood, agent {int(np.argmin(total))} and all "
            "its neighbours have none"
        )
    return mixing(topology, weights, layout, stochasticity="row", connected=False)


def renormalized_averaging(W: Mixing) -> GossipTransformation:
    """Average with rows renormalised over arriving messages: ``x_i ← Σ_j W_ij x_j / Σ_j W_ij``.

    ``gossip.averaging`` gives the weight of a missing neighbour to the receiver instead, which
    keeps symmetric losses doubly stochastic; here a row is divided by what remains of it, as DecAvg
    does. Rows sum to one, dead agents keep their parameters, and so does an agent whose row has no
    weight left.

    Args:
        W: mixing matrix, or a sequence of them, used cyclically.

    Raises:
        ValueError: if ``W`` is no mixing operator.
    """
    require_operator(W)

    def mix_fn(
        key: jax.Array, params: PyTree, state: PyTree, exchange: Exchange
    ) -> tuple[PyTree, PyTree, Traffic]:
        now = current_operator(W, key, exchange)
        undisturbed = current_operator(W, key, Exchange(exchange.index))
        lost = now.self_weights - undisturbed.self_weights  # what fell back on the receiver
        left = 1.0 - lost
        active = exchange.active(W.num_agents)
        present = jnp.ones_like(lost, bool) if active is None else active
        mixed = mix(now, params, exchange.sent(params))

        def leaf(own: jax.Array, average: jax.Array) -> jax.Array:
            missing, rest = agents.expand(lost, own), agents.expand(left, own)
            any_left = rest > 1e-6
            shared = (average - missing * own) / jnp.where(any_left, rest, 1.0)
            renormalized = jnp.where(any_left & (missing > 0.0), shared, average)
            return jnp.where(agents.expand(present, own), renormalized, own).astype(own.dtype)

        return jax.tree.map(leaf, params, mixed), state, traffic_of(now.num_messages(), params)

    return GossipTransformation(lambda params: (), mix_fn, frozenset({"messages"}))


def decavg(
    loss: Loss,
    W: Mixing,
    *,
    local: optax.GradientTransformation,
    local_steps: int = 1,
    sample: Sample | None = None,
    network: Network | None = None,
) -> Algorithm:
    """DecAvg: ``θ_i ← Σ_j W_ij θ_j`` over live neighbours, then local optimiser steps.

    Dead agents neither train nor send; the weights of a row are renormalised over the agents that
    are left, so that rows still sum to one.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        W: of :func:`decavg_mixing`.
        local: any optax optimiser.
        local_steps: optimiser steps per round, at least 1.
        sample: ``(key, shards) -> batch``.
        network: which agents are alive and which messages arrive; all by default.

    Raises:
        ValueError: as :func:`jaxswarm.learning.decentralized`.
    """
    return decentralized(
        loss,
        local=local,
        gossip=renormalized_averaging(W),
        local_steps=local_steps,
        sample=sample,
        order="combine_then_adapt",
        network=network,
    )
