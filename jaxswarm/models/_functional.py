"""Flax modules as pure functions of one agent, with parameters apart from batch statistics.

Model averaging is for learned parameters only. Batch-normalization statistics (running mean and
variance) belong to the parameters and data they were measured with: after a merge, measure them
anew with :meth:`Model.recalibrate`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm.types import Key, Params, PyTree


class Model(NamedTuple):
    """Pure functions of one agent's network; ``vmap`` them over agents.

    Attributes:
        init: ``init(key) -> params``, the learned parameters only: what learners update and gossip
            mixes.
        apply: ``apply(params, x, stats=None) -> output``, evaluation; ``x: [B, ...]``.
            ``stats=None`` normalizes by the batch's own statistics, so that learners that handle
            only ``params`` work as well.
        init_stats: ``init_stats() -> stats``, initial batch-normalization statistics; ``{}`` if
            the network has none.
        apply_train: ``apply_train(params, stats, x) -> (output, stats)``: normalizes by batch
            statistics and returns their moving average.
        recalibrate: ``recalibrate(params, x) -> stats``, the statistics of ``params`` over
            calibration data ``x: [num_batches, B, ...]`` (equal weight to every batch, not a moving
            average; the variance is the pooled one).
        has_stats: whether the network has batch-normalization statistics.
    """

    init: Callable[[Key], Params]
    apply: Callable[..., Any]
    init_stats: Callable[[], PyTree]
    apply_train: Callable[[Params, PyTree, jax.Array], tuple[Any, PyTree]]
    recalibrate: Callable[[Params, jax.Array], PyTree]
    has_stats: bool


def functional(module: nn.Module, example_x: Any) -> Model:
    """Turn a deterministic flax module ``__call__(x, train)`` into a :class:`Model`.

    Args:
        module: a ``flax.linen`` module; its variables may be the collections ``params`` and
            ``batch_stats`` (running ``mean`` and ``var``).
        example_x: one input batch ``[B, ...]`` (or its ``ShapeDtypeStruct``); only its shape and
            dtype are used, so ``B = 1`` will do.

    Raises:
        ValueError: if ``module`` is not a flax.linen module, ``example_x`` is not an array, or the
            module has other variable collections.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import agents, models
        >>> model = models.functional(models.mlp(16, 3), jnp.zeros((1, 4)))
        >>> params = agents.initialize(jax.random.key(0), model.init, 5)  # leaves [5, ...]
        >>> jax.vmap(model.apply)(params, jnp.ones((5, 8, 4))).shape
        (5, 8, 3)
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module: expected a flax.linen module, got {type(module).__name__}")
    if not (hasattr(example_x, "shape") and hasattr(example_x, "dtype")):
        raise ValueError(
            "example_x: expected an array of one input batch [B, ...], got "
            f"{type(example_x).__name__}"
        )
    x_spec = jax.ShapeDtypeStruct(example_x.shape, jnp.result_type(example_x.dtype))

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
            # A running statistic becomes m·old + (1 − m)·batch: from two known values of `old` the
            # batch's own follows.
            low, high = (apply_train(params, old, batch)[1] for old in (zeros, ones))
            return jax.tree.map(lambda a, b: a / (1.0 - (b - a)), low, high)

        return _pooled(jax.lax.map(measure, x))

    return Model(init, apply, init_stats, apply_train, recalibrate, has_stats)


def _pooled(stats: PyTree) -> PyTree:
    """Pool statistics of batches (leading axis), variances by the law of total variance."""
    if not isinstance(stats, Mapping):
        return jnp.mean(stats, axis=0)
    pooled = {name: _pooled(value) for name, value in stats.items()}
    if "mean" in stats and "var" in stats and not isinstance(stats["mean"], Mapping):
        pooled["var"] = pooled["var"] + jnp.var(stats["mean"], axis=0)
    return pooled
