"""Replicas of one training run in several execution profiles, kept together by gossip.

All replicas see the same batches. What keeps them from being equal is the rounding of their
precision and of the order of their sums. Parameters are float32 in all of them; a replica in half
precision computes its loss and gradient in half precision.

Shapes: ``K`` replicas, ``B`` rows of a batch.

References:
    E. Kim, I. Isozaki, N. Sirkin, M. Robson, Generative AI reproducibility and consensus, 2023.
    P. Micikevicius et al., Mixed precision training, 2018 (scaled losses in float16).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks, gossip
from jaxswarm.algorithm import Algorithm
from jaxswarm.trust import profiles as execution
from jaxswarm.types import ArrayLike, Key, Params, PyTree

LOSS_SCALE = {"float32": 1.0, "bfloat16": 1.0, "float16": 2.0**12}
"""Factor of the loss by type, so that gradients in float16 do not underflow."""


class ReplicaState(NamedTuple):
    """State of :func:`replicas`.

    Attributes:
        params: float32, leaves ``[K, ...]``.
        opt_state: of the optimizer, one state a replica, leaves ``[K, ...]``.
        gossip_state: of the rule.
        num_steps: ``int32[]``, steps done.
    """

    params: Params
    opt_state: PyTree
    gossip_state: PyTree
    num_steps: jax.Array


class ReplicaInfo(NamedTuple):
    """Measurements of one step of :func:`replicas`.

    Attributes:
        loss: ``float32[K]``.
        distance: ``float32[K]``, see :func:`relative_distance`, to the first replica after the
            step.
    """

    loss: jax.Array
    distance: jax.Array


def replicas(
    loss: Callable[[Params, PyTree], jax.Array],
    optimizer: optax.GradientTransformation,
    profiles: Sequence[execution.Profile | str],
    *,
    rule: gossip.GossipTransformation | None = None,
    every: ArrayLike = 1,
) -> Algorithm:
    """Train replicas of one model on the same batches, each in its own execution profile.

    ``init(params) -> ReplicaState`` takes the parameters of one model; ``step(key, state, batch) ->
    (ReplicaState, ReplicaInfo)`` gives all replicas one step on a batch. ``key`` draws partners
    only. Replicas exchange parameters *before* the steps ``every, 2 every, …``, so that a state
    after a multiple of ``every`` steps is as far apart as it gets. To verify a claimed update, run
    its steps again from the state before it and look at the distance.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one model, a mean over the rows of the batch.
            Whatever is random in it is part of the batch.
        optimizer: an optax optimizer, in float32.
        profiles: one for each replica. A profile's type is that of parameters and floating leaves
            of the batch in the loss; ``batch_size`` adds up gradients of so many rows at a time
            and divides ``B``. What else profiles may ask for is not possible inside a step.
        rule: exchanges parameters, for example ``gossip.server()``; ``None`` for none.
        every: steps between exchanges, at least 1; may be traced.

    Raises:
        ValueError: for arguments of another kind, profiles that run operation by operation, with
            padding, on several devices or with a precision of matrix products; while stepping,
            for a batch without a common number of rows or one that ``batch_size`` does not divide.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import gossip
        >>> from jaxswarm.systems import generative_consensus
        >>> learner = generative_consensus.replicas(
        ...     lambda w, batch: jnp.mean((batch["x"] @ w - batch["y"]) ** 2),
        ...     optax.sgd(0.1),
        ...     ["float32", "bfloat16", "float16"],
        ...     rule=gossip.server(),
        ...     every=5,
        ... )
        >>> state = learner.init(jnp.zeros(3))
        >>> batch = {"x": jax.random.normal(jax.random.key(0), (8, 3)), "y": jnp.arange(8.0)}
        >>> state, info = learner.step(jax.random.key(1), state, batch)
        >>> bool(info.distance[0] == 0), bool(0 < info.distance[1] < 0.02)
        (True, True)
    """
    checks.function("loss", loss)
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    if isinstance(profiles, str) or not isinstance(profiles, Sequence) or not profiles:
        raise ValueError(f"profiles: expected at least one profile, got {checks.shown(profiles)}")
    own = [_check_profile(profile) for profile in profiles]
    rule = gossip.identity() if rule is None else rule
    checks.instance("rule", rule, gossip.GossipTransformation, "gossip.server()")
    if not checks.is_traced(every):
        checks.whole("every", every, 1)

    def init(params: Params) -> ReplicaState:
        def stack(x: jax.Array) -> jax.Array:
            return jnp.stack([jnp.asarray(x)] * len(own))

        stacked = jax.tree.map(stack, params)
        opt_state = jax.tree.map(stack, optimizer.init(params))  # random keys too are the same
        return ReplicaState(stacked, opt_state, rule.init(stacked), jnp.zeros((), jnp.int32))

    def step(key: Key, state: ReplicaState, batch: PyTree) -> tuple[ReplicaState, ReplicaInfo]:
        checks.key(key)

        def exchanged() -> tuple[Params, PyTree]:
            exchange = gossip.Exchange(state.num_steps)
            return rule.mix(key, state.params, state.gossip_state, exchange)[:2]

        is_due = (state.num_steps > 0) & (state.num_steps % every == 0)
        before, gossip_state = jax.lax.cond(
            is_due, exchanged, lambda: (state.params, state.gossip_state)
        )
        found = [
            _gradient(loss, jax.tree.map(lambda x, k=k: x[k], before), batch, profile)
            for k, profile in enumerate(own)
        ]
        losses, grads = jax.tree.map(lambda *each: jnp.stack(each), *found)
        updates, opt_state = jax.vmap(optimizer.update)(grads, state.opt_state, before)
        params = optax.apply_updates(before, updates)
        first = jax.tree.map(lambda x: x[:1], params)
        info = ReplicaInfo(losses, relative_distance(params, first))
        return ReplicaState(params, opt_state, gossip_state, state.num_steps + 1), info

    return Algorithm(init, step)


def relative_distance(params: Params, reference: Params, start: Params | None = None) -> jax.Array:
    """Euclidean distance of stacked parameters to a reference, over the norm of the reference.

    Args:
        params: leaves ``[K, ...]``.
        reference: leaves ``[K, ...]`` or ``[1, ...]``.
        start: leaves like the reference's; the distance is then taken over that of the reference to
            the start, which is the size of an update.

    Returns:
        ``float32[K]``.

    Raises:
        ValueError: if the trees differ.

    Example:
        >>> import jax.numpy as jnp
        >>> relative_distance(jnp.array([[3.0, 4.0], [3.0, 3.0]]), jnp.array([[3.0, 4.0]])).tolist()
        [0.0, 0.20000000298023224]
    """
    trees = (params, reference) if start is None else (params, reference, start)
    if len({jax.tree.structure(tree) for tree in trees}) != 1:
        raise ValueError("params, reference, start: expected trees of one structure, got others")

    def norm(tree: PyTree) -> jax.Array:
        squares = [jnp.sum(jnp.square(x.reshape(len(x), -1)), 1) for x in jax.tree.leaves(tree)]
        return jnp.sqrt(sum(squares))

    def minus(a: PyTree, b: PyTree) -> PyTree:
        return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.float32) - y, a, b)

    scale = reference if start is None else minus(reference, start)
    return norm(minus(params, reference)) / jnp.maximum(norm(scale), 1e-30)


def _check_profile(profile: execution.Profile | str) -> execution.Profile:
    profile = execution.check_profile(profile, "profiles")
    possible = profile.compiled and not profile.padding and profile.num_devices == 1
    if not possible or profile.matmul_precision is not None:
        raise ValueError(
            "profiles: expected profiles that set dtype and batch_size only, got "
            f"{checks.shown(profile)}"
        )
    return profile


def _gradient(
    loss: Callable[[Params, PyTree], jax.Array],
    params: Params,
    batch: PyTree,
    profile: execution.Profile,
) -> tuple[jax.Array, Params]:
    """Loss and gradient in float32 of one replica, computed in its profile."""
    scale = LOSS_SCALE[profile.dtype]
    batch = execution.convert(batch, profile.dtype)

    def scaled(params: Params, rows: PyTree) -> jax.Array:
        value = loss(execution.convert(params, profile.dtype), rows)
        return value.astype(jnp.float32) * scale

    counts = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    if len(counts) != 1 or () in counts:
        raise ValueError(f"batch: expected leaves [B, ...] of one number of rows, got {counts}")
    (count,) = counts.pop()
    size = count if profile.batch_size is None else profile.batch_size
    if count % size:
        raise ValueError(f"batch: expected a number of rows that {size} divides, got {count}")
    if size == count:
        value, grads = jax.value_and_grad(scaled)(params, batch)
        parts = 1
    else:
        parts = count // size
        blocks = jax.tree.map(lambda x: x.reshape(parts, size, *x.shape[1:]), batch)

        def add(total: PyTree, rows: PyTree) -> tuple[PyTree, None]:
            found = jax.value_and_grad(scaled)(params, rows)
            return jax.tree.map(jnp.add, total, found), None

        zeros = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
        (value, grads), _ = jax.lax.scan(add, zeros, blocks)
    return jax.tree.map(lambda x: x / (scale * parts), (value, grads))
