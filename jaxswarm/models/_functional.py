"""Flax modules as pure functions of one agent: parameters here, normalisation statistics there.

Averaging models is for learnable parameters only. What a network *measures* rather than learns (the
running mean and variance of batch normalisation) belongs to the data and the parameters it was
measured with: after a merge it is measured anew with :meth:`Model.recalibrate`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

PyTree = Any


class Model(NamedTuple):
    """One agent's network; ``vmap`` the functions, or stack ``init`` with ``agents.initialize``.

    Attributes:
        init: ``init(key) -> params``, the learnable parameters alone: what learners update and
            gossip mixes.
        apply: ``apply(params, x, stats=None) -> output``, evaluation; ``x: [B, ...]``.
            ``stats=None`` normalises by the batch's own statistics, so that a learner that knows of
            ``params`` alone still works.
        init_stats: ``init_stats() -> stats``, fresh normalisation statistics; ``{}`` if the network
            has none.
        apply_train: ``apply_train(params, stats, x) -> (output, stats)``, batch statistics and
            their moving average.
        recalibrate: ``recalibrate(params, x) -> stats``, the statistics of ``params`` over
            calibration data ``x: [num_batches, B, ...]`` (equal weight to every batch, not a moving
            average; the variance is the pooled one).
        has_stats: whether there is anything to recalibrate.
    """

    init: Callable[[jax.Array], PyTree]
    apply: Callable[..., Any]
    init_stats: Callable[[], PyTree]
    apply_train: Callable[[PyTree, PyTree, jax.Array], tuple[Any, PyTree]]
    recalibrate: Callable[[PyTree, jax.Array], PyTree]
    has_stats: bool


def functional(module: nn.Module, example_x: Any) -> Model:
    """Wrap a flax module whose ``__call__(x, train)`` has no randomness of its own.

    Args:
        module: a ``flax.linen`` module; its variables may be the collections ``params`` and
            ``batch_stats`` (running ``mean`` and ``var``).
        example_x: one batch ``[B, ...]`` (or its ``ShapeDtypeStruct``) of what the network will
            see; only its shape and dtype are used, so ``B = 1`` will do.

    Raises:
        ValueError: if the module has other variable collections.
    """
    x_spec = jax.ShapeDtypeStruct(jnp.shape(example_x), jnp.result_type(example_x))

    def init_all(key: jax.Array) -> PyTree:
        return module.init(key, jnp.zeros(x_spec.shape, x_spec.dtype), train=False)

    spec = jax.eval_shape(init_all, jax.random.key(0))
    extra = sorted(set(spec) - {"params", "batch_stats"})
    if extra:
        raise ValueError(
            f"module: expected variables in 'params' and 'batch_stats' only, got also {extra}"
        )
    has_stats = "batch_stats" in spec

    def init(key: jax.Array) -> PyTree:
        return init_all(key)["params"]

    def init_stats() -> PyTree:
        if not has_stats:
            return {}
        # Running statistics start at mean 0 and variance 1 whatever the key.
        return init_all(jax.random.key(0))["batch_stats"]

    def apply(params: PyTree, x: jax.Array, stats: PyTree = None) -> Any:
        if not has_stats:
            return module.apply({"params": params}, x, train=False)
        if stats is None:
            variables = {"params": params, "batch_stats": init_stats()}
            return module.apply(variables, x, train=True, mutable=["batch_stats"])[0]
        return module.apply({"params": params, "batch_stats": stats}, x, train=False)

    def apply_train(params: PyTree, stats: PyTree, x: jax.Array) -> tuple[Any, PyTree]:
        if not has_stats:
            return module.apply({"params": params}, x, train=True), stats
        variables = {"params": params, "batch_stats": stats}
        output, updated = module.apply(variables, x, train=True, mutable=["batch_stats"])
        return output, updated["batch_stats"]

    def recalibrate(params: PyTree, x: jax.Array) -> PyTree:
        if not has_stats:
            return {}
        zeros = jax.tree.map(jnp.zeros_like, init_stats())
        ones = jax.tree.map(jnp.ones_like, zeros)

        def measure(batch: jax.Array) -> PyTree:
            # A running statistic moves as m·old + (1 − m)·batch: two known olds give the batch's
            # own.
            low, high = (apply_train(params, old, batch)[1] for old in (zeros, ones))
            return jax.tree.map(lambda a, b: a / (1.0 - (b - a)), low, high)

        return _pooled(jax.lax.map(measure, x))

    return Model(init, apply, init_stats, apply_train, recalibrate, has_stats)


def _pooled(stats: PyTree) -> PyTree:
    """Join statistics of batches (leading axis), variances by the law of total variance."""
    if not isinstance(stats, Mapping):
        return jnp.mean(stats, axis=0)
    pooled = {name: _pooled(value) for name, value in stats.items()}
    if "mean" in stats and "var" in stats and not isinstance(stats["mean"], Mapping):
        pooled["var"] = pooled["var"] + jnp.var(stats["mean"], axis=0)
    return pooled
