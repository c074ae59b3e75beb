"""Ensemble of expert flow models under a router: velocity fields and samples.

Shapes: ``K`` experts, ``B`` samples, ``...`` the shape of one sample.

References:
    D. McAllister et al., Decentralized diffusion models, 2025.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm._draws import flat
from jaxswarm.generative._dispatch import dispatch
from jaxswarm.generative._families import check_models, check_tree, families, model_list
from jaxswarm.generative._router import (
    MODES,
    Router,
    check_router,
    expert_weights,
    masked_logits,
)
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Key, Params


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ensemble:
    """Trained experts with their router; build one with :func:`ensemble` or ``Experts.ensemble``.

    The marginal velocity of the whole data set is ``Σ_k p(k | x, t) v_k(x, t)`` with the velocity
    ``v_k`` of cluster ``k`` and the posterior of the clusters, which the router approximates.

    Attributes:
        params: for every family of equal models, their parameters with leaves ``[size, ...]``; one
            family if all experts have the same model.
        router_params: parameters of the router.
        models: the model of every family, static.
        router: static.
    """

    params: tuple[Params, ...]
    router_params: Params
    models: tuple[flow.Flow, ...] = field(metadata={"static": True})
    router: Router = field(metadata={"static": True})

    @property
    def num_experts(self) -> int:
        """Number of experts ``K``."""
        return self.router.num_experts

    def sample(
        self,
        key: Key,
        num_samples: int,
        condition: ArrayLike | None = None,
        *,
        mode: str = "full",
        k: int = 1,
        threshold: ArrayLike = 0.9,
        expert: ArrayLike | None = None,
        available: ArrayLike | None = None,
        guidance: ArrayLike | None = None,
        num_steps: int = 50,
        method: str = "euler",
    ) -> jax.Array:
        """Sample by integrating the ensemble's velocity field from noise to data.

        Args:
            key: random key.
            num_samples: ``B``.
            condition: classes ``int[B]`` (or one) in ``[0, num_classes]``, given to experts and
                router; ``None`` for no condition.
            mode: as :meth:`field`; besides, ``"once"`` draws one expert per sample from the
                router at ``t = 0`` and keeps it.
            k: as :meth:`field`.
            threshold: as :meth:`field`.
            expert: as :meth:`field`.
            available: as :meth:`field`.
            guidance: as :meth:`field`.
            num_steps: integration steps.
            method: ``"euler"``, ``"heun"`` or ``"adaptive"``, see :func:`flow.integrate`.

        Returns:
            ``[B, ...]``.

        Raises:
            ValueError: as :meth:`field`, and if the router's logits are NaN.
        """
        num_samples = checks.whole("num_samples", num_samples, 1)
        noise_key, expert_key = jax.random.split(checks.key(key))
        x = flat(jax.random.normal, noise_key, (num_samples, *self.router.shape))
        condition = flow.check_condition(condition, num_samples, self.router.num_classes)
        checks.choice("mode", mode, MODES)
        if mode != "oracle" or expert is None:
            logits = self._logits(x, jnp.zeros(num_samples), condition)
            logits = masked_logits(logits, available)  # refuses NaN if the values are known
            if mode == "once":
                _refuse_expert(expert, mode)
                expert, mode = jax.random.categorical(expert_key, logits, axis=-1), "oracle"
        velocity = self.field(
            condition,
            mode=mode,
            k=k,
            threshold=threshold,
            expert=expert,
            available=available,
            guidance=guidance,
            key=expert_key,
        )
        return flow.integrate(velocity, x, num_steps=num_steps, method=method)

    def field(
        self,
        condition: ArrayLike | None = None,
        *,
        mode: str = "full",
        k: int = 1,
        threshold: ArrayLike = 0.9,
        expert: ArrayLike | None = None,
        available: ArrayLike | None = None,
        guidance: ArrayLike | None = None,
        key: Key | None = None,
    ) -> flow.Field:
        """Velocity field ``field(x, t)`` of the ensemble.

        ``"full"`` and ``"threshold"`` evaluate all experts; the other modes evaluate ``k`` (or one)
        per sample and read only their parameters. At ``t = 0`` the router knows only the shares of
        the clusters, given the condition: without a condition ``"top_k"`` with ``k = 1`` starts all
        samples with the largest cluster's expert.

        Args:
            condition: classes ``int[B]`` or one integer; ``None`` for no condition.
            mode: ``"full"``, ``"top_k"``, ``"threshold"`` or ``"sampled"`` (a new draw at every
                time), see :func:`expert_weights`; ``"oracle"`` takes the experts from ``expert``.
            k: experts of ``"top_k"``, in ``[1, K]``.
            threshold: of ``"threshold"``, in ``(0, 1]``.
            expert: ``int[B]`` in ``[0, K)``, of ``"oracle"``.
            available: ``bool[K]``; the router's probabilities are renormalized over these experts.
            guidance: scale of classifier-free guidance of every expert, see :func:`flow.guided`;
                ``None`` for none.
            key: of ``"sampled"``.

        Raises:
            ValueError: for an unknown mode, ``k`` or threshold out of range, no available expert,
                or experts and keys that are missing or not used.
        """
        checks.choice("mode", mode, MODES)
        if mode == "once":
            raise ValueError("mode: expected one of a velocity field, got 'once'; call sample")
        k = checks.whole("k", k, 1, self.num_experts)
        checks.real("threshold", threshold, 0.0, 1.0, above=0.0)
        if available is not None:
            masked_logits(jnp.zeros((1, self.num_experts)), available)
        if mode == "oracle":
            wanted = f"the experts int[B] in [0, {self.num_experts}) of mode 'oracle'"
            if expert is None:
                raise ValueError(f"expert: expected {wanted}, got None")
            expert = jnp.asarray(
                checks.wholes("expert", expert, 0, self.num_experts - 1, shape=(None,))
            )
        else:
            _refuse_expert(expert, mode)
        draw_key: Any = checks.key(key) if mode == "sampled" else None
        models = tuple(_guided(model, guidance) for model in self.models)

        def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
            if mode == "oracle":
                return self._of_experts(models, expert, x, t, condition)
            logits = masked_logits(self._logits(x, t, condition), available)
            if mode == "sampled":
                # Drawn from key and time, so that the field is a function of its arguments.
                bits = jax.lax.bitcast_convert_type(jnp.ravel(t)[0].astype(jnp.float32), jnp.uint32)
                chosen = jax.random.categorical(jax.random.fold_in(draw_key, bits), logits, axis=-1)
                return self._of_experts(models, chosen, x, t, condition)
            if mode == "top_k" and k < self.num_experts:
                return self._of_largest(models, logits, k, x, t, condition)
            weights = expert_weights(logits, mode, k=k, threshold=threshold)
            every = self._of_all(models, x, t, condition)
            return _weighted(weights.T, every)

        return velocity

    def weights(
        self, x: ArrayLike, t: ArrayLike, condition: ArrayLike | None = None, **options: Any
    ) -> jax.Array:
        """Weights of the experts, ``[B, K]``; ``options`` are those of :func:`expert_weights`.

        Raises:
            ValueError: as :func:`expert_weights`, or for a time outside ``[0, 1]``.
        """
        x = flow.check_samples("x", x, self.router.shape)
        return expert_weights(self._logits(x, flow.check_times(t, len(x)), condition), **options)

    def velocities(
        self, x: ArrayLike, t: ArrayLike, condition: ArrayLike | None = None
    ) -> jax.Array:
        """Velocities of all experts, ``[K, B, ...]``.

        Raises:
            ValueError: for shapes that do not fit, or a time outside ``[0, 1]``.
        """
        x = flow.check_samples("x", x, self.router.shape)
        return self._of_all(self.models, x, flow.check_times(t, len(x)), condition)

    def _logits(self, x: jax.Array, t: jax.Array, condition: ArrayLike | None) -> jax.Array:
        return self.router.logits(self.router_params, x, t, condition)

    def _of_all(
        self,
        models: tuple[flow.Flow, ...],
        x: jax.Array,
        t: jax.Array,
        condition: ArrayLike | None,
    ) -> jax.Array:
        families = [
            jax.vmap(lambda params, model=model: model.velocity(params, x, t, condition))(params)
            for model, params in zip(models, self.params, strict=True)
        ]
        return families[0] if len(families) == 1 else jnp.concatenate(families)

    def _of_experts(
        self,
        models: tuple[flow.Flow, ...],
        expert: Any,
        x: jax.Array,
        t: jax.Array,
        condition: ArrayLike | None,
    ) -> jax.Array:
        """Velocity of one expert per sample; a family evaluates all samples, if there are more."""
        t = jnp.broadcast_to(t, (len(x),))
        condition = flow.check_condition(condition, len(x), self.router.num_classes)
        result, first = jnp.zeros_like(x), 0
        for model, params in zip(models, self.params, strict=True):
            size = agents.num_agents(params)
            own = (expert >= first) & (expert < first + size)
            local = jnp.where(own, expert - first, 0)
            value = dispatch(model.velocity, params, local, x, t, condition)
            result = jnp.where(agents.expand(own, value), value, result)
            first += size
        return result

    def _of_largest(
        self,
        models: tuple[flow.Flow, ...],
        logits: jax.Array,
        k: int,
        x: jax.Array,
        t: jax.Array,
        condition: ArrayLike | None,
    ) -> jax.Array:
        largest, chosen = jax.lax.top_k(logits, k)
        if k == 1:
            return self._of_experts(models, chosen[:, 0], x, t, condition)
        weights = jax.nn.softmax(largest, axis=-1)
        condition = flow.check_condition(condition, len(x), self.router.num_classes)
        pairs = jax.tree.map(
            lambda leaf: jnp.repeat(leaf, k, axis=0),
            (x, jnp.broadcast_to(t, (len(x),)), condition),
        )
        value = self._of_experts(models, chosen.reshape(-1), *pairs)
        return _weighted(weights.T, jnp.moveaxis(value.reshape(len(x), k, *x.shape[1:]), 1, 0))


def ensemble(
    models: flow.Flow | Sequence[flow.Flow],
    params: Params | Sequence[Params],
    router: Router,
    router_params: Params,
) -> Ensemble:
    """Build an ensemble from experts that were trained anywhere, each on its own cluster.

    Args:
        models: the flow model of all experts, or one for each expert; consecutive equal ones are
            evaluated together.
        params: the parameters of each expert, a sequence of ``K`` trees.
        router: from :func:`router`.
        router_params: its parameters.

    Raises:
        ValueError: for another number of experts than the router's, parameters that are not those
            of their model (the expert is named), or shapes and classes that differ between models
            and router.
    """
    check_router(router)
    listed = model_list(models, router.num_experts)
    check_models(listed, router)
    if isinstance(params, dict) or not isinstance(params, Sequence):
        raise ValueError(
            f"params: expected a sequence of one tree per expert, got {checks.shown(params)}"
        )
    if len(params) != router.num_experts:
        raise ValueError(
            f"params: expected those of {router.num_experts} experts, got {len(params)}"
        )
    for index, (model, own) in enumerate(zip(listed, params, strict=True)):
        check_tree(f"params: expert {index}", model.init, own)
    check_tree("router_params", router.init, router_params)
    stacked, first = [], 0
    grouped = families(listed)
    for _, size in grouped:
        stacked.append(agents.stack(list(params[first : first + size])))
        first += size
    return Ensemble(tuple(stacked), router_params, tuple(model for model, _ in grouped), router)


def _guided(model: flow.Flow, scale: ArrayLike | None) -> flow.Flow:
    """The model with guided velocities; itself without a scale."""
    if scale is None:
        return model
    if model.num_classes is None:
        raise ValueError("guidance: expected None, since the experts have no classes")
    checks.real("guidance", scale)

    def velocity(
        params: Params, x: jax.Array, t: jax.Array, condition: ArrayLike | None
    ) -> jax.Array:
        if condition is None:
            raise ValueError("condition: expected classes for guidance, got None")
        return flow.guided(model, params, condition, scale)(x, t)

    return model._replace(velocity=velocity)


def _refuse_expert(expert: ArrayLike | None, mode: str) -> None:
    if expert is not None:
        raise ValueError(f"expert: expected None for mode {mode!r}, got {checks.shown(expert)}")


def _weighted(weights: jax.Array, values: jax.Array) -> jax.Array:
    """``Σ_k w_k v_k`` of ``[K, B]`` and ``[K, B, ...]``; what has weight 0 has no influence."""
    weights = agents.expand(weights, values).astype(values.dtype)
    return jnp.sum(jnp.where(weights > 0, weights * values, 0), axis=0)
