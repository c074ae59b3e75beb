"""Bristle: peers exchange output layers over a frozen body, screened by their own tests.

One round of a peer with its consolidated head ``W``: (1) the *prioritizer* picks among the received
heads by distance; (2) the *integrator* merges them into ``W`` class by class; (3) every column is
centred; (4) one optimiser step on a temporary copy; (5) the columns of *familiar* classes, and only
these, are copied back; (6) ``W`` is sent in the next round.

Shapes: ``N`` agents, ``K`` in-neighbour slots, ``F`` features, ``C`` classes.

References:
    J. Verbraeken, M. de Vos, J. Pouwelse, Bristle: decentralized federated learning in Byzantine,
    non-i.i.d. environments, 2021.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.checks import is_traced
from jaxswarm.data import Batch
from jaxswarm.gossip.robust import Neighborhood, over_neighborhoods
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.learning.local import Sample, objective, train
from jaxswarm.learning.state import (
    LearnerInfo,
    LearnerState,
    check_parts,
    initial_state,
    keep_absent,
    next_round,
)
from jaxswarm.models import losses
from jaxswarm.network.process import Network, reliable
from jaxswarm.systems.bristle._peers import Peers, Tests
from jaxswarm.systems.bristle.body import centered
from jaxswarm.systems.bristle.integrator import f1_scores, integrate, performance_weights
from jaxswarm.systems.bristle.prioritizer import check_prioritizer, prioritize
from jaxswarm.topology import Topology
from jaxswarm.topology.validation import require_topology
from jaxswarm.types import Key, PyTree


def performance_based(
    topology: Topology,
    *,
    quota: int = 30,
    alpha: float | jax.Array = 0.4,
    num_certain: int | None = None,
    selection: str = "thirds",
    chunk: int | None = None,
) -> GossipTransformation:
    """Bristle's prioritizer and integrator as a gossip rule over heads ``float32[N, F, C]``.

    The exchange carries every agent's private :class:`Tests` as the extra ``context``. Heads that
    are not finite, or whose outputs on the test set are not, have weight 0. Peers publish their
    familiar classes as ``public: bool[N, C]``, by default those of their tests; in the authors'
    code a private set intersection gives the number that two of them share.

    Args:
        topology: edges from senders to receivers; a sequence is used cyclically.
        quota: ``β``, heads that are tested in a round at most, at least 1.
        alpha: ``α`` in ``[0, 1]``, see :func:`prioritize`; may be traced.
        num_certain: ``φ``, the number of its best classes in which a head is scored and averaged.
            Omitted, as many as the two peers share, as in the authors' code; a head that shares
            none has weight 0.
        selection: one of :data:`SELECTIONS`.
        chunk: agents at a time, see :func:`jaxswarm.gossip.robust.over_neighborhoods`.

    Raises:
        ValueError: if ``quota < 1``, ``alpha`` is outside ``[0, 1]``, ``num_certain < 1``, or the
            selection is unknown; while mixing, without tests, if heads and tests do not fit, or an
            agent has no test sample, a label that is no class or fewer than ``num_certain``
            familiar classes (these where the tests are not traced).
    """
    require_topology(topology)
    check_prioritizer(quota, alpha, selection)
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    if num_certain is not None:
        num_certain = checks.whole("num_certain", num_certain, 1)

    def aggregate(near: Neighborhood, memory: Any) -> tuple[jax.Array, Any]:
        tests: Tests = near.context
        own = near.stack(near.own[None])[0]
        distances = jnp.sum(jnp.square(near.received - near.own[None]), axis=1)
        slots, real = prioritize(near.key, distances, near.arrived, quota, alpha, selection)
        heads = near.stack(near.received[slots])
        outputs = jnp.einsum("tf,qfc->qtc", tests.x, jnp.concatenate([own[None], heads]))
        predicted = jnp.argmax(outputs, axis=-1)
        f1 = f1_scores(predicted, tests.y, tests.weight, own.shape[-1])
        shared = jnp.sum(near.public[slots] & tests.familiar[None], axis=1)
        scored = shared if num_certain is None else num_certain
        weights = performance_weights(f1[0], f1[1:], tests.familiar, scored)
        counts = real & jnp.isfinite(outputs[1:]).all(axis=(1, 2))
        weights = jax.tree.map(lambda w: jnp.where(agents.expand(counts, w), w, 0.0), weights)
        return integrate(own, heads, weights, tests.familiar).reshape(-1), memory

    rule = over_neighborhoods(topology, aggregate, chunk=chunk)

    def mix_fn(
        key: jax.Array, params: Any, state: Any, exchange: Exchange
    ) -> tuple[Any, Any, Traffic]:
        context: Any = exchange.extras.get("context")
        public = exchange.extras.get("public")
        check_tests(params, context, num_certain)
        known = context.familiar if public is None else public
        if jnp.shape(known) != jnp.shape(context.familiar):
            raise ValueError(
                f"public: expected flags {jnp.shape(context.familiar)}, got {jnp.shape(known)}"
            )
        return rule.mix(key, params, state, exchange.with_extras(public=known))

    return GossipTransformation(rule.init, mix_fn, rule.supports)


def bristle(
    gossip: GossipTransformation,
    *,
    local: optax.GradientTransformation | None = None,
    sample: Sample,
    local_steps: int = 1,
    weight_decay: float | jax.Array = 5e-3,
    network: Network | None = None,
) -> Algorithm:
    """Bristle's learner: integrate heads, centre, train a copy, keep its familiar columns.

    Args:
        gossip: :func:`performance_based`, or that rule inside ``attacked``.
        local: an optax optimiser, coordinate by coordinate or not; Adam at 0.001 by default.
        sample: ``(key, shards) -> batch`` of features and labels, such as ``data.minibatches(5)``.
        local_steps: optimiser steps per round, at least 1.
        weight_decay: of ``½ λ ‖head‖²`` in the loss; may be traced.
        network: which agents are alive and which messages arrive; all by default.

    Returns:
        ``init(heads [N, F, C])``, zeros as published, and ``step(key, state, peers)`` whose inputs
        are :class:`Peers`. Traffic counts heads only: the body is never sent.

    Raises:
        ValueError: ``local_steps < 1``, something that is not an optimiser or a rule; while
            tracing, heads that are not ``[N, F, C]`` and what :func:`performance_based` refuses.
    """
    optimizer = optax.adam(1e-3) if local is None else local
    check_parts(optimizer, gossip, network)
    require_support(gossip, "context", purpose="bristle")
    local_steps = checks.whole("local_steps", local_steps, 1)
    checks.real("weight_decay", weight_decay, 0.0)
    checks.function("sample", sample)
    work = objective(head_loss(weight_decay), sample)
    world = reliable() if network is None else network

    def init(params: jax.Array, model_state: PyTree = None) -> LearnerState:
        if not hasattr(params, "ndim") or params.ndim != 3:
            raise ValueError(f"params: expected heads [N, F, C], got {_shape(params)}")
        return initial_state(optimizer, gossip, world, params, model_state)

    def step(key: Key, state: LearnerState, inputs: Peers) -> tuple[LearnerState, LearnerInfo]:
        checks.instance("inputs", inputs, Peers, "bristle.peers(dataset, train, test)")
        train_key, gossip_key, network_key = jax.random.split(key, 3)
        network_state, now = world.step(network_key, state.network, state.round)
        heads, gossip_state, traffic = gossip.mix(
            gossip_key, state.params, state.gossip, now.with_extras(context=inputs.test)
        )
        heads = centered(heads)
        result = train(
            train_key, work, optimizer, local_steps, heads, state.opt_state, None, inputs.train
        )
        kept = keep_familiar(heads, result.params, inputs.test.familiar)
        result = keep_absent(now, result._replace(params=kept), state)
        new = next_round(
            state,
            traffic,
            params=result.params,
            opt_state=result.opt_state,
            gossip=gossip_state,
            network=network_state,
        )
        return new, LearnerInfo(result.loss, traffic)

    return Algorithm(init, step)


def keep_familiar(consolidated: jax.Array, trained: jax.Array, familiar: jax.Array) -> jax.Array:
    """Trained columns ``[..., F, C]`` where ``familiar: bool[..., C]``, else consolidated ones.

    Raises:
        ValueError: if ``familiar`` are no such flags.
    """
    shape = jnp.shape(trained)
    familiar = checks.mask("familiar", familiar, (*shape[:-2], shape[-1]))
    return jnp.where(familiar[..., None, :], trained, consolidated)


def head_loss(weight_decay: float | jax.Array = 0.0) -> Callable[[jax.Array, Batch], jax.Array]:
    """Loss of a head ``[F, C]``: cross-entropy of ``x @ head`` in nats plus ``½ λ ‖head‖²``.

    Raises:
        ValueError: if ``weight_decay`` is negative or not finite.
    """
    checks.real("weight_decay", weight_decay, 0.0)

    def loss(head: jax.Array, batch: Batch) -> jax.Array:
        x = losses.zero_padding(batch.x, batch.weight)
        error = losses.cross_entropy(x @ head, batch.y, batch.weight)
        return error + 0.5 * weight_decay * jnp.sum(jnp.square(head))

    return loss


def check_tests(heads: Any, tests: Any, num_certain: int | None) -> None:
    """Refuse heads and private tests that do not fit each other.

    Raises:
        ValueError: naming the argument and, for values that are not traced, the agent.
    """
    if not isinstance(tests, Tests):
        raise ValueError(f"context: expected Tests of every agent, got {type(tests).__name__}")
    if not hasattr(heads, "ndim") or heads.ndim != 3:
        raise ValueError(f"heads: expected one array [N, F, C], got {_shape(heads)}")
    n, features, classes = heads.shape
    slots = jnp.shape(tests.y)[-1]
    agents.check_leading_axis(tests, n, "context")
    for name, leaf, expected in (
        ("x", tests.x, (n, slots, features)),
        ("y", tests.y, (n, slots)),
        ("weight", tests.weight, (n, slots)),
        ("familiar", tests.familiar, (n, classes)),
    ):
        if jnp.shape(leaf) != expected:
            raise ValueError(f"context.{name}: expected shape {expected}, got {jnp.shape(leaf)}")
    needed = 1 if num_certain is None else num_certain
    if needed > classes:
        raise ValueError(f"num_certain: expected at most {classes} classes, got {num_certain}")
    if any(map(is_traced, tests)):
        return
    labels, weight, familiar = (np.asarray(x) for x in tests[1:])
    for wrong, reason in (
        (weight.sum(axis=1) <= 0, "has no test data"),
        (((labels < 0) | (labels >= classes)).any(axis=1), f"has labels not in [0, {classes})"),
        (
            familiar.sum(axis=1) < needed,
            f"is familiar with fewer classes than num_certain = {needed}",
        ),
    ):
        if wrong.any():
            raise ValueError(f"context: agent {int(np.argmax(wrong))} {reason}")


def _shape(value: Any) -> Any:
    return getattr(value, "shape", type(value).__name__)
