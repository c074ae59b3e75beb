"""Decentralized diffusion: experts trained in isolation on clusters of the data, and their router.

Shapes: ``K`` experts, ``S`` samples, ``B`` samples of a batch, ``...`` the shape of one sample.

References:
    D. McAllister, M. Tancik, J. Song, A. Kanazawa, Decentralized diffusion models, 2025.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, checks, data
from jaxswarm._optimizers import init_per_agent
from jaxswarm.data.batches import below
from jaxswarm.generative._ensemble import Ensemble
from jaxswarm.generative._families import check_models, families, model_list
from jaxswarm.generative._flow_matching import FlowState, flow_matching
from jaxswarm.generative._partition import as_partition
from jaxswarm.generative._router import Router, check_router, router_loss
from jaxswarm.generative._router import router as build_router
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Key, Params


class ExpertsState(NamedTuple):
    """State of :class:`Experts`.

    Attributes:
        experts: one entry for every family of equal models; a single one if all are equal.
        router: the router.
    """

    experts: tuple[FlowState, ...]
    router: FlowState


class ExpertsInfo(NamedTuple):
    """What one step records.

    Attributes:
        expert_loss: ``float32[K]``, flow-matching loss of every expert on its batch.
        router_loss: ``float32[]``, cross-entropy of the router in nats.
    """

    expert_loss: jax.Array
    router_loss: jax.Array


class Experts(NamedTuple):
    """Training of isolated experts and their router; an algorithm whose ``init`` takes a key.

    Attributes:
        models: the flow model of every family of equal experts, with their number.
        router: the router's functions.
        partition: the rows of the data that every expert is trained on.
        optimizer: of every expert.
        router_optimizer: of the router.
        batch_size: samples per expert and step.
        router_batch_size: samples of the router's batch.
        drop_rate: probability that a condition is dropped.
        ema_decay: of the moving averages.
    """

    models: tuple[tuple[flow.Flow, int], ...]
    router: Router
    partition: data.Partition
    optimizer: Any
    router_optimizer: Any
    batch_size: int
    router_batch_size: int
    drop_rate: float
    ema_decay: float

    @property
    def num_experts(self) -> int:
        """Number of experts ``K``."""
        return self.router.num_experts

    def shards(self, features: ArrayLike, condition: ArrayLike | None = None) -> data.Shards:
        """Join samples and conditions with the partition, as input of :meth:`step`.

        Args:
            features: ``[S, ...]`` finite samples of the model's shape.
            condition: ``int[S]`` in ``[0, num_classes)``; ``None`` for unconditional models.

        Raises:
            ValueError: for another number of samples than the partition has, another shape, or
                conditions that the models do not have.
        """
        checks.concrete("features", features)
        samples = int(np.asarray(self.partition.counts).sum())
        checks.real("features", features, shape=(samples, *self.router.shape))
        classes = self.router.num_classes
        if (condition is None) != (classes is None):
            wanted = "None" if classes is None else f"int[{samples}] in [0, {classes})"
            raise ValueError(f"condition: expected {wanted}, got {checks.shown(condition)}")
        if condition is None:
            condition = np.zeros(samples, np.int32)
        else:
            checks.wholes("condition", condition, 0, int(classes or 1) - 1, shape=(samples,))
        return data.shards(
            data.from_arrays(features, condition, num_classes=classes, name="features"),
            self.partition,
        )

    def init(self, key: Key) -> ExpertsState:
        """Initialize all experts, each from a draw of its own, and the router."""
        expert_key, router_key = jax.random.split(checks.key(key))
        keys = agents.keys(expert_key, self.num_experts)
        experts, first = [], 0
        for model, size in self.models:
            params = jax.vmap(model.init)(keys[first : first + size])
            average = jax.tree.map(jnp.array, params)  # a copy: callers may donate the state
            opt_state = init_per_agent(self.optimizer, params)
            experts.append(FlowState(params, average, opt_state, jnp.zeros(size, jnp.int32)))
            first += size
        params = self.router.init(router_key)
        return ExpertsState(tuple(experts), initial(self.router_optimizer, params))

    def step(
        self, key: Key, state: ExpertsState, inputs: data.Shards
    ) -> tuple[ExpertsState, ExpertsInfo]:
        """Update every expert on a batch of its cluster, and the router on a batch of all data.

        Args:
            key: random key.
            state: of :meth:`init`.
            inputs: of :meth:`shards`.
        """
        expert_key, router_key = jax.random.split(checks.key(key))
        experts, expert_loss = self.step_experts(expert_key, state.experts, inputs)
        router, router_loss = self.step_router(router_key, state.router, inputs)
        return ExpertsState(experts, router), ExpertsInfo(expert_loss, router_loss)

    def step_experts(
        self,
        key: Key,
        experts: tuple[FlowState, ...],
        shards: data.Shards,
        *,
        offset: int | jax.Array = 0,
    ) -> tuple[tuple[FlowState, ...], jax.Array]:
        """Update experts on batches of their own clusters, without any exchange between them.

        Expert ``k`` draws from ``fold_in(key, k)``: trained alone, with its row of the shards and
        ``offset=k``, it becomes the same as among the others.

        Args:
            key: random key, the same for all experts.
            experts: one entry for every family; ``n`` experts in all.
            shards: the data of these ``n`` experts.
            offset: index of the first of them.

        Returns:
            The experts and their losses, ``float32[n]``.
        """
        batch_key, loss_key = jax.random.split(checks.key(key))
        sample = data.minibatches(self.batch_size)
        updated, losses, first = [], [], 0
        model_of_family = [model for model, _ in self.models]
        for model, trained in zip(model_of_family, experts, strict=True):
            size = agents.num_agents(trained.params)
            own = shards
            if len(experts) > 1:
                own = _rows_of(shards, first, size)
            batch = sample(batch_key, own, offset=offset + first)
            keys = agents.keys(loss_key, size, offset=offset + first)

            learner = flow_matching(
                model, self.optimizer, ema_decay=self.ema_decay, drop_rate=self.drop_rate
            )
            trained, info = jax.vmap(learner.step)(keys, trained, batch)
            updated.append(trained)
            losses.append(info.loss)
            first += size
        return tuple(updated), losses[0] if len(losses) == 1 else jnp.concatenate(losses)

    def step_router(
        self, key: Key, router: FlowState, shards: data.Shards
    ) -> tuple[FlowState, jax.Array]:
        """Update the router on a uniform batch of all data; independent of the experts.

        Returns:
            The router and its cross-entropy in nats.
        """
        batch_key, loss_key = jax.random.split(checks.key(key))
        batch, expert = uniform_batch(batch_key, shards, self.router_batch_size)
        condition = None if self.router.num_classes is None else batch.y

        def loss(params: Params) -> jax.Array:
            path = self.models[0][0].path
            return router_loss(self.router, params, loss_key, batch.x, expert, condition, path=path)

        value, grads = jax.value_and_grad(loss)(router.params)
        return updated_by(self.router_optimizer, self.ema_decay, router, grads), value

    def ensemble(self, state: ExpertsState, *, averaged: bool = True) -> Ensemble:
        """Experts and router as an :class:`Ensemble` to sample from.

        Args:
            state: of :meth:`init` or :meth:`step`.
            averaged: whether to take the moving averages of the parameters.
        """
        averaged = checks.flag("averaged", averaged)
        checks.instance("state", state, ExpertsState, "experts.init(key)")

        def chosen(trained: FlowState) -> Params:
            return trained.ema_params if averaged else trained.params

        return Ensemble(
            tuple(chosen(trained) for trained in state.experts),
            chosen(state.router),
            tuple(model for model, _ in self.models),
            self.router,
        )


def experts(
    model: flow.Flow | Sequence[flow.Flow],
    partition: data.Partition | ArrayLike,
    *,
    router: Router | None = None,
    optimizer: Any = None,
    router_optimizer: Any = None,
    batch_size: int = 64,
    router_batch_size: int | None = None,
    drop_rate: float = 0.0,
    ema_decay: float = 0.99,
) -> Experts:
    """Train one flow model per cluster of the data, without communication, and a router over them.

    Args:
        model: the flow model of every expert, or a sequence of ``K`` models of different sizes.
            Consecutive equal models are one vmapped program.
        partition: cluster of every sample, ``int[S]`` in ``[0, K)`` as :func:`cluster` returns, or
            a partition of the data into ``K`` disjoint parts that cover it.
        router: from :func:`router`; by default one with the backbone ``flow.MLP(width=32)``.
        optimizer: optax optimizer of the experts; Adam with step size 0.001 by default.
        router_optimizer: of the router; that of the experts by default.
        batch_size: samples per expert and step. A monolithic model at equal training samples has
            batches ``K`` times as large.
        router_batch_size: samples of the router's batch; ``batch_size`` by default.
        drop_rate: probability that an expert's condition is dropped, for classifier-free guidance.
        ema_decay: decay of the moving averages of parameters, see :func:`flow_matching`.

    Returns:
        The training algorithm; ``ensemble(state)`` gives what samples are drawn from.

    Raises:
        ValueError: for a partition that is not disjoint and covering or leaves an expert without
            data, another number of models than experts, a router for other samples, classes or
            experts, or numbers out of range.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm import generative
        >>> from jaxswarm.models import flow
        >>> x = np.repeat(np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), 20, axis=0)
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> ddm = generative.experts(model, generative.cluster(x, 3), batch_size=8)
        >>> state = ddm.init(jax.random.key(0))
        >>> state, info = jax.jit(ddm.step)(jax.random.key(1), state, ddm.shards(x))
        >>> info.expert_loss.shape
        (3,)
        >>> trained = ddm.ensemble(state)
        >>> trained.sample(jax.random.key(2), 5, mode="top_k", k=1, num_steps=4).shape
        (5, 2)
    """
    partition = as_partition(partition)
    num_experts = partition.num_agents
    models = model_list(model, num_experts)
    if router is None:
        backbone = flow.MLP(width=32, num_classes=models[0].num_classes)
        router = build_router(
            backbone, models[0].shape, num_experts, num_classes=models[0].num_classes
        )
    check_router(router)
    if router.num_experts != num_experts:
        raise ValueError(
            f"router: expected one of {num_experts} experts like the partition, got "
            f"{router.num_experts}"
        )
    check_models(models, router)
    optimizer = optax.adam(1e-3) if optimizer is None else check_optimizer("optimizer", optimizer)
    batch_size = checks.whole("batch_size", batch_size, 1)
    if router_batch_size is not None:
        router_batch_size = checks.whole("router_batch_size", router_batch_size, 1)
    return Experts(
        models=tuple(families(models)),
        router=router,
        partition=partition,
        optimizer=optimizer,
        router_optimizer=optimizer
        if router_optimizer is None
        else check_optimizer("router_optimizer", router_optimizer),
        batch_size=batch_size,
        router_batch_size=router_batch_size or batch_size,
        drop_rate=float(checks.probability("drop_rate", drop_rate)),
        ema_decay=float(checks.real("ema_decay", ema_decay, 0.0, below=1.0)),
    )


def initial(optimizer: Any, params: Params) -> FlowState:
    """State of one network at the start of training."""
    average = jax.tree.map(jnp.array, params)
    return FlowState(params, average, optimizer.init(params), jnp.zeros((), jnp.int32))


def updated_by(optimizer: Any, ema_decay: float, state: FlowState, grads: Params) -> FlowState:
    """One step of the optimizer and of the moving average, of one network."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params: Any = optax.apply_updates(state.params, updates)
    count = state.step.astype(jnp.float32)
    decay = jnp.minimum(jnp.float32(ema_decay), (1 + count) / (10 + count))
    average = optax.incremental_update(params, state.ema_params, 1 - decay)
    return FlowState(params, average, opt_state, state.step + 1)


def uniform_batch(key: Key, shards: data.Shards, batch_size: int) -> tuple[data.Batch, jax.Array]:
    """Draw samples of all clusters, every row of the data equally likely, with their clusters.

    Returns:
        The batch, leaves ``[B, ...]``, and ``int32[B]``, the expert that each sample belongs to.
    """
    ends = jnp.cumsum(shards.counts)
    place = below(jax.random.bits(key, (batch_size,)), ends[-1])
    expert = jnp.searchsorted(ends, place, side="right").astype(jnp.int32)
    row = shards.indices[expert, place - (ends - shards.counts)[expert]]
    batch = data.Batch(shards.features[row], shards.labels[row], jnp.ones(batch_size))
    return batch, expert


def check_optimizer(name: str, optimizer: Any) -> Any:
    """Check that a value is an optax optimizer and return it.

    Raises:
        ValueError: if it lacks ``init`` or ``update``.
    """
    if not (callable(getattr(optimizer, "init", None)) and callable(optimizer.update)):
        raise ValueError(f"{name}: expected an optax optimizer, got {checks.shown(optimizer)}")
    return optimizer


def _rows_of(shards: data.Shards, first: int, size: int) -> data.Shards:
    rows = slice(first, first + size)
    return data.Shards(
        shards.features,
        shards.labels,
        shards.indices[rows],
        shards.mask[rows],
        shards.counts[rows],
    )
