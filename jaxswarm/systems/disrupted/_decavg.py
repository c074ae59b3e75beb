"""DecAvg: average what the neighbours hold, then train on the own data; nodes may hold none.

Shapes: ``N`` agents.

References:
    L. Palmieri, C. Boldrini, L. Valerio, A. Passarella, M. Conti, J. Kertész, Robustness of
    decentralised learning to nodes and data disruption, 2024, and the same group's study of
    disrupted peer-to-peer communication in disasters, 2023.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, errors
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
from jaxswarm.gossip.traffic import traffic_of
from jaxswarm.learning._decentralized import decentralized
from jaxswarm.learning.local import Loss, Sample
from jaxswarm.network.process import Network
from jaxswarm.topology import Topology
from jaxswarm.topology.weights import size_weighted
from jaxswarm.types import PyTree

WEIGHTINGS = ("uniform", "size")


def decavg_mixing(
    topology: Topology, weighting: str = "uniform", sizes: Any = None, *, layout: str = "auto"
) -> Mixing:
    """Who counts how much in an average.

    ``"size"`` weighs by the number of samples, ``|D_j| / Σ_k |D_k|`` over the neighbourhood; a node
    without data then never speaks, so that hubs that only connect would connect nobody.
    ``"uniform"`` weighs a neighbourhood equally, and data-less nodes forward what they hear.

    Args:
        topology: undirected; may be disconnected.
        weighting: ``"uniform"`` or ``"size"``.
        sizes: ``[N]`` samples of each agent, for ``"size"``.
        layout: as for :func:`jaxswarm.gossip`.

    Raises:
        ValueError: on an unknown weighting, missing or bad sizes, or a neighbourhood that holds no
            data at all under ``"size"``.
    """
    if weighting not in WEIGHTINGS:
        raise errors.unknown("weighting", weighting, WEIGHTINGS)
    if weighting == "uniform":
        return mixing(topology, "uniform", layout, connected=False)
    if sizes is None:
        raise ValueError("sizes: weighting 'size' expects the number of samples of each agent")
    weights = size_weighted(topology, sizes)
    held = np.asarray(sizes, np.float64).copy()
    total = held.copy()
    np.add.at(total, np.asarray(topology.receivers), held[np.asarray(topology.senders)])
    if (total <= 0).any():
        raise ValueError(
            f"sizes: expected data in every neighbourhood, agent {int(np.argmin(total))} and all "
            "its neighbours hold none"
        )
    return mixing(topology, weights, layout, stochasticity="row", connected=False)


def living_average(W: Mixing) -> GossipTransformation:
    """Average over the living: a missing neighbour's weight is shared by all who are left.

    :func:`jaxswarm.gossip` gives that weight to the receiver instead, which keeps
    symmetric losses doubly stochastic; here a row is divided by what remains of it, as DecAvg does.
    Rows sum to one, the dead keep what they had, and an agent that is left with no weight at all
    keeps its own.
    """

    def mix_fn(
        key: jax.Array, params: PyTree, state: PyTree, exchange: Exchange
    ) -> tuple[PyTree, PyTree, Traffic]:
        now = current_operator(W, key, exchange)
        lost = now.self_weights - W.self_weights  # fell back on the receiver
        left = 1.0 - lost
        active = exchange.active(W.num_agents)
        present = jnp.ones_like(lost, bool) if active is None else active
        mixed = mix(now, params, exchange.sent(params))

        def leaf(own: jax.Array, average: jax.Array) -> jax.Array:
            missing, rest = agents.expand(lost, own), agents.expand(left, own)
            some = rest > 1e-6
            shared = (average - missing * own) / jnp.where(some, rest, 1.0)
            received = jnp.where(some & (missing > 0.0), shared, average)
            return jnp.where(agents.expand(present, own), received, own).astype(own.dtype)

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
    """Decentralised averaging: ``θ_i ← Σ_j W_ij θ_j`` over the living, then local steps.

    The dead neither train nor speak, and what they held counts no more; the weights of a row go to
    those who are left in proportion, so that rows still sum to one.

    Args:
        loss: of one agent's batch.
        W: of :func:`decavg_mixing`.
        local: any optax optimiser.
        local_steps: optimiser steps a round.
        sample: ``(key, shards) -> batch``.
        network: who is alive and what arrives.

    Raises:
        ValueError: as :func:`jaxswarm.learning`.
    """
    return decentralized(
        loss,
        local=local,
        gossip=living_average(W),
        local_steps=local_steps,
        sample=sample,
        order="combine_then_adapt",
        network=network,
    )
