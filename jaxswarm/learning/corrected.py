"""Bias-corrected decentralised methods: exact at a constant step size on heterogeneous data.

Plain decentralised SGD settles where local gradients and averaging balance, not at the optimum of
the average loss, whenever agents' data differ. These methods cancel the difference.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    A. Nedić, A. Olshevsky, W. Shi, Achieving geometric convergence for distributed optimization
    over time-varying graphs, 2017 (gradient tracking, DIGing). P. Di Lorenzo, G. Scutari, NEXT:
    in-network nonconvex optimization, 2016. K. Yuan, B. Ying, X. Zhao, A. Sayed, Exact diffusion
    for distributed optimization and learning, 2019. H. Tang et al., D²: decentralized training over
    decentralized data, 2018. W. Shi, Q. Ling, G. Wu, W. Yin, EXTRA: an exact first-order algorithm
    for decentralized consensus optimization, 2015.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.learning._decentralized import (
    LearnerInfo,
    LearnerState,
    check_parts,
    initial_state,
)
from jaxswarm.learning.local import Loss, Sample, descend, objective
from jaxswarm.network.process import Network, reliable

PyTree = Any


class Tracker(NamedTuple):
    """Gradient tracking's memory: ``mean(direction) == mean(gradient)`` at all times."""

    direction: PyTree
    gradient: PyTree


def gradient_tracking(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    sample: Sample | None = None,
    network: Network | None = None,
) -> Algorithm:
    """Adapt-then-combine gradient tracking: ``x ← W(x − η y)``, ``y ← W y + g_new − g_old``.

    ``local`` sees the tracked direction ``y`` instead of a gradient. A message carries both trees,
    so it costs twice the bytes. The first step only measures gradients.

    Args:
        loss: as for :func:`jaxswarm.learning`.
        local: optax optimiser; the theory is for plain ``sgd``.
        gossip: a linear, average-preserving rule.
        sample: as for :func:`jaxswarm.learning`.
        network: as there. The dead keep their memory.
    """
    check_parts(local, gossip)
    work = objective(loss, sample)
    world = reliable() if network is None else network
    both = _on_pairs(gossip)

    def init(params: PyTree, model_state: PyTree = None) -> LearnerState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return initial_state(local, both, world, params, model_state, Tracker(zeros, zeros))

    def step(key: jax.Array, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        sample_key, loss_key, gossip_key, network_key = jax.random.split(key, 4)
        network_state, now = world.step(network_key, state.network, state.round)
        tracker: Tracker = state.correction
        params, opt_state = descend(local, tracker.direction, state.opt_state, state.params)
        (params, direction), gossip_state, traffic = gossip.mix(
            gossip_key, (params, tracker.direction), state.gossip, now
        )
        batch = work.sample(sample_key, inputs)
        losses, _, grads = work.value_and_grad(loss_key, params, None, batch)
        direction = jax.tree.map(
            lambda d, new, old: d + new - old, direction, grads, tracker.gradient
        )
        new = state._replace(
            params=params,
            opt_state=opt_state,
            gossip=gossip_state,
            network=network_state,
            correction=Tracker(direction, grads),
            round=state.round + 1,
            traffic=state.traffic.add(traffic),
        )
        return new, LearnerInfo(losses, traffic)

    return Algorithm(init, step)


def exact_diffusion(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    sample: Sample | None = None,
    network: Network | None = None,
    lazy: bool = True,
) -> Algorithm:
    """Exact diffusion: ``ψ_new = x − η g(x)``, ``x ← W̄ (ψ_new + x − ψ_old)``, ``W̄ = (I + W)/2``.

    The correction removes plain diffusion's bias; the same fixed point as EXTRA's, in
    adapt-then-combine form and with a wider range of stable steps.

    Args:
        loss: as for :func:`jaxswarm.learning`.
        local: optax optimiser; the theory is for plain ``sgd``.
        gossip: a linear, symmetric, average-preserving rule.
        sample: as for :func:`jaxswarm.learning`.
        network: as there.
        lazy: use ``W̄``; false uses ``W`` itself, which is D² and needs ``λ_min(W) > −1/3``.
    """
    check_parts(local, gossip)
    work = objective(loss, sample)
    world = reliable() if network is None else network

    def init(params: PyTree, model_state: PyTree = None) -> LearnerState:
        return initial_state(local, gossip, world, params, model_state, params)

    def step(key: jax.Array, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        sample_key, loss_key, gossip_key, network_key = jax.random.split(key, 4)
        network_state, now = world.step(network_key, state.network, state.round)
        batch = work.sample(sample_key, inputs)
        losses, _, grads = work.value_and_grad(loss_key, state.params, None, batch)
        adapted, opt_state = descend(local, grads, state.opt_state, state.params)
        corrected = jax.tree.map(
            lambda psi, x, old: psi + (x - old), adapted, state.params, state.correction
        )
        mixed, gossip_state, traffic = gossip.mix(gossip_key, corrected, state.gossip, now)
        if lazy:
            mixed = jax.tree.map(lambda a, b: 0.5 * (a + b), mixed, corrected)
        new = state._replace(
            params=mixed,
            opt_state=opt_state,
            gossip=gossip_state,
            network=network_state,
            correction=adapted,
            round=state.round + 1,
            traffic=state.traffic.add(traffic),
        )
        return new, LearnerInfo(losses, traffic)

    return Algorithm(init, step)


def d2(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    sample: Sample | None = None,
    network: Network | None = None,
) -> Algorithm:
    """D²: ``x ← W (2x − x_old − η (g − g_old))``, immune to differences between agents' data.

    Needs ``λ_min(W) > −1/3``; ``weights="lazy"`` always qualifies.
    """
    return exact_diffusion(
        loss, local=local, gossip=gossip, sample=sample, network=network, lazy=False
    )


def _on_pairs(gossip: GossipTransformation) -> GossipTransformation:
    """The rule initialised for ``(params, direction)``, which travel together."""

    def init(params: PyTree) -> PyTree:
        return gossip.init((params, jax.tree.map(jnp.zeros_like, params)))

    return GossipTransformation(init, gossip.mix, gossip.supports)
