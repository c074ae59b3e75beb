"""Bias-corrected decentralised methods: exact at a constant step size on heterogeneous data.

Plain decentralised SGD settles where local gradients and averaging balance, not at the optimum of
the average loss, whenever agents' data differ. These methods cancel the difference.

Agents that are dead or do not participate in a round change nothing: parameters, optimiser state
and memory stay as they are, and nothing of theirs is used. With a rule that averages those that
take part in a doubly stochastic way (symmetric weights, whose losses fall back on the receivers),
this keeps the identities that the methods rest on, over *all* agents with the memory of the absent
ones as of their last round: the mean of the tracked directions is the mean of the remembered
gradients; in exact diffusion and D² the mean of the parameters is that of the adapted ones. An
agent that comes back goes on from there and the fixed point is unchanged. An agent that dies for
good after it took part takes its share of the correction with it: the others then settle near, not
at, the optimum of their own average loss. An agent that is dead from the first round on has none.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    A. Nedić, A. Olshevsky, W. Shi, Achieving geometric convergence for distributed optimization
    over time-varying graphs, 2017 (gradient tracking, DIGing). P. Di Lorenzo, G. Scutari, NEXT:
    in-network nonconvex optimization, 2016. K. Yuan, B. Ying, X. Zhao, A. Sayed, Exact diffusion
    for distributed optimization and learning, 2019. H. Tang et al., D²: decentralized training over
    decentralized data, 2018. W. Shi, Q. Ling, G. Wu, W. Yin, EXTRA: an exact first-order algorithm
    for decentralized consensus optimization, 2015.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.types import GossipTransformation, Traffic, require_support
from jaxswarm.learning.local import Loss, Sample, descend, objective
from jaxswarm.learning.state import (
    LearnerInfo,
    LearnerState,
    check_parts,
    initial_state,
    next_round,
)
from jaxswarm.network.process import Network, reliable
from jaxswarm.types import Key, Params, PyTree

MixFn = Callable[[PyTree], tuple[PyTree, PyTree, Traffic]]
GradientFn = Callable[[Params], tuple[jax.Array, PyTree]]
KeepFn = Callable[[PyTree, PyTree], PyTree]
UpdateFn = Callable[
    [LearnerState, MixFn, GradientFn, KeepFn], tuple[dict[str, PyTree], Traffic, jax.Array]
]


class Tracker(NamedTuple):
    """Gradient tracking's memory: ``mean(direction) == mean(gradient)`` over all agents, always.

    Those of agents that are absent are as of their last round.
    """

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
    """Gradient tracking (adapt, then combine): ``x ← W(x − η y)``, ``y ← W y + g_new − g_old``.

    DIGing is the form ``x ← W x − η y`` of the same method; its steps have to be shorter. ``local``
    gets the tracked direction ``y`` instead of a gradient. A message carries both trees, so it
    costs twice the bytes. The first step only measures gradients.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        local: optax optimiser; the theory is for plain ``sgd``.
        gossip: a linear, average-preserving rule.
        sample: ``(key, inputs) -> batch``; omitted, the inputs of a round are the batch.
        network: which agents are alive and which messages arrive; all by default. Agents that are
            dead or do not participate keep parameters, optimiser state and memory.

    Raises:
        ValueError: if ``local`` is no optimiser, ``gossip`` no rule or one of
            row-stochastic weights, or ``network`` no process.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import gossip, learning, rollout, topology
        >>> learner = learning.gradient_tracking(
        ...     lambda x, a: 0.5 * a * (x - a) ** 2,  # curvature and optimum differ by agent
        ...     local=optax.sgd(0.1),
        ...     gossip=gossip.averaging(gossip.mixing(topology.ring(4))),
        ... )
        >>> a = jnp.array([0.5, 1.0, 1.5, 2.0])
        >>> state = learner.init(jnp.zeros(4))
        >>> state, info = rollout(learner.step, state, 200, key=jax.random.key(0), inputs=a)
        >>> [round(float(x), 3) for x in state.params]  # Σ a² / Σ a, the average loss's optimum
        [1.5, 1.5, 1.5, 1.5]
    """
    check_parts(local, gossip, network)
    require_support(gossip, purpose="a corrected method", refused=("only_row",))

    def update(
        state: LearnerState, mix: MixFn, gradient: GradientFn, keep: KeepFn
    ) -> tuple[dict[str, PyTree], Traffic, jax.Array]:
        tracker: Tracker = state.correction
        params, opt_state = descend(local, tracker.direction, state.opt_state, state.params)
        params = keep(params, state.params)
        (params, direction), gossip_state, traffic = mix((params, tracker.direction))
        losses, grads = gradient(params)
        direction = jax.tree.map(
            lambda d, new, old: d + new - old, direction, grads, tracker.gradient
        )
        changes = {
            "params": params,
            "opt_state": opt_state,
            "gossip": gossip_state,
            "correction": Tracker(direction, grads),
        }
        return changes, traffic, losses

    def zero_tracker(params: Params) -> Tracker:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return Tracker(zeros, zeros)

    return _corrected(loss, local, _on_pairs(gossip), sample, network, zero_tracker, update)


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

    The correction removes plain diffusion's bias. EXTRA has the same fixed point; exact diffusion
    is its adapt-then-combine form and is stable for longer steps.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        local: optax optimiser; the theory is for plain ``sgd``.
        gossip: a linear, average-preserving rule.
        sample: ``(key, inputs) -> batch``; omitted, the inputs of a round are the batch.
        network: which agents are alive and which messages arrive; all by default. Agents that are
            dead or do not participate keep parameters, optimiser state and memory.
        lazy: use ``W̄``; false uses ``W`` itself, which is D² and needs ``λ_min(W) > −1/3``.

    Raises:
        ValueError: if ``local`` is no optimiser, ``gossip`` no rule or one of
            row-stochastic weights, ``network`` no process or
            ``lazy`` no flag.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import gossip, learning, rollout, topology
        >>> learner = learning.exact_diffusion(
        ...     lambda x, a: 0.5 * a * (x - a) ** 2,
        ...     local=optax.sgd(0.2),
        ...     gossip=gossip.averaging(gossip.mixing(topology.ring(4))),
        ... )
        >>> a = jnp.array([0.5, 1.0, 1.5, 2.0])
        >>> state = learner.init(jnp.zeros(4))
        >>> state, info = rollout(learner.step, state, 200, key=jax.random.key(0), inputs=a)
        >>> [round(float(x), 3) for x in state.params]
        [1.5, 1.5, 1.5, 1.5]
    """
    check_parts(local, gossip, network)
    require_support(gossip, purpose="a corrected method", refused=("only_row",))
    lazy = checks.flag("lazy", lazy)

    def update(
        state: LearnerState, mix: MixFn, gradient: GradientFn, keep: KeepFn
    ) -> tuple[dict[str, PyTree], Traffic, jax.Array]:
        losses, grads = gradient(state.params)
        adapted, opt_state = descend(local, grads, state.opt_state, state.params)
        corrected = jax.tree.map(
            lambda psi, x, old: psi + (x - old), adapted, state.params, state.correction
        )
        corrected = keep(corrected, state.params)
        mixed, gossip_state, traffic = mix(corrected)
        if lazy:
            mixed = jax.tree.map(lambda a, b: 0.5 * (a + b), mixed, corrected)
        changes = {
            "params": mixed,
            "opt_state": opt_state,
            "gossip": gossip_state,
            "correction": adapted,
        }
        return changes, traffic, losses

    return _corrected(loss, local, gossip, sample, network, lambda params: params, update)


def d2(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    sample: Sample | None = None,
    network: Network | None = None,
) -> Algorithm:
    """D²: ``x ← W (2x − x_old − η (g − g_old))``, unbiased however agents' data differ.

    Needs ``λ_min(W) > −1/3``; ``weights="lazy"`` always qualifies. Arguments as in
    :func:`exact_diffusion`, whose ``lazy=False`` this is.
    """
    return exact_diffusion(
        loss, local=local, gossip=gossip, sample=sample, network=network, lazy=False
    )


def _corrected(
    loss: Loss,
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    sample: Sample | None,
    network: Network | None,
    memory: Callable[[Params], PyTree],
    update: UpdateFn,
) -> Algorithm:
    """A learner of one gradient and one exchange per round, given its recursion.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        local: optax optimiser.
        gossip: gossip rule, initialised for what ``update`` mixes.
        sample: ``(key, inputs) -> batch`` or ``None``.
        network: network process or ``None``.
        memory: ``params -> correction``, what the method remembers before the first round.
        update: ``(state, mix, gradient, keep) -> (changes, traffic, losses [N])``: ``mix(tree)`` is
            the exchange of this round, ``gradient(params) -> (losses, grads)`` on its minibatches,
            ``keep(new, old)`` takes ``old`` of the agents that are absent. What ``update`` changes
            of those is undone, but for the gossip rule's state.
    """
    work = objective(loss, sample)
    world = reliable() if network is None else network

    def init(params: Params, model_state: PyTree = None) -> LearnerState:
        return initial_state(local, gossip, world, params, model_state, memory(params))

    def step(key: Key, state: LearnerState, inputs: Any) -> tuple[LearnerState, LearnerInfo]:
        sample_key, loss_key, gossip_key, network_key = jax.random.split(key, 4)
        network_state, now = world.step(network_key, state.network, state.round)
        batch = work.sample(sample_key, inputs)

        def mix(tree: PyTree) -> tuple[PyTree, PyTree, Traffic]:
            return gossip.mix(gossip_key, tree, state.gossip, now)

        def gradient(params: Params) -> tuple[jax.Array, PyTree]:
            losses, _, grads, _ = work.value_and_grad(loss_key, params, None, batch)
            return losses, grads

        present = now.active(agents.num_agents(state.params))

        def keep(new: PyTree, old: PyTree) -> PyTree:
            return new if present is None else agents.where(present, new, old)

        changes, traffic, losses = update(state, mix, gradient, keep)
        for name in ("params", "opt_state", "correction"):
            changes[name] = keep(changes[name], getattr(state, name))
        new = next_round(state, traffic, network=network_state, **changes)
        return new, LearnerInfo(losses, traffic)

    return Algorithm(init, step)


def _on_pairs(gossip: GossipTransformation) -> GossipTransformation:
    """The rule initialised for ``(params, direction)``, which are sent together."""

    def init(params: Params) -> PyTree:
        return gossip.init((params, jax.tree.map(jnp.zeros_like, params)))

    return gossip._replace(init=init)
