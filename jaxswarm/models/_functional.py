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

from jaxswarm import checks
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
        apply_train: ``apply_train(params, stats, x, weight=None) -> (output, stats)``: normalizes
            by batch statistics and returns their moving average. Samples with ``weight: [B]`` of 0
            do not count in the statistics; without any that counts, ``stats`` stay as they are.
        recalibrate: ``recalibrate(params, x) -> stats``, the statistics of ``params`` over
            calibration data ``x: [num_batches, B, ...]`` (equal weight to every batch, not a moving
            average; the variance is the pooled one).
        has_stats: whether the network has batch-normalization statistics.
    """

    init: Callable[[Key], Params]
    apply: Callable[..., Any]
    init_stats: Callable[[], PyTree]
    apply_train: Callable[..., tuple[Any, PyTree]]
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
        ValueError: if ``module`` is not a flax.linen module, ``example_x`` is not an array of at
            least two axes or is one that the module cannot take, or the module has other variable
            collections.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import agents, models
        >>> model = models.functional(models.mlp(16, 3), jnp.zeros((1, 4)))
        >>> params = agents.initialize(jax.random.key(0), model.init, 5)  # leaves [5, ...]
        >>> jax.vmap(model.apply)(params, jnp.ones((5, 8, 4))).shape
        (5, 8, 3)
    """
    checks.instance("module", module, nn.Module, "models.mlp(128, 10)")
    shape = getattr(example_x, "shape", None)
    if shape is None or not hasattr(example_x, "dtype") or len(shape) < 2 or 0 in shape:
        raise ValueError(
            "example_x: expected an array of one input batch [B, ...] with at least one feature "
            f"axis such as split.train.features[:1], got {checks.shown(example_x)}"
        )
    x_spec = jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(example_x.dtype))

    def init_all(key: jax.Array) -> PyTree:
        return module.init(key, jnp.zeros(x_spec.shape, x_spec.dtype), train=False)

    try:
        spec = jax.eval_shape(init_all, jax.random.key(0))
    except ValueError:
        raise
    except Exception as error:  # flax and jax raise many types for inputs that do not fit
        raise ValueError(
            f"module, example_x: {type(module).__name__} cannot be applied to "
            f"{x_spec.dtype}{list(x_spec.shape)} as module(x, train=False): {error}"
        ) from error
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

    def apply_train(
        params: PyTree, stats: PyTree, x: jax.Array, weight: jax.Array | None = None
    ) -> tuple[Any, PyTree]:
        if not has_stats:
            return module.apply({"params": params}, x, train=True), stats
        variables = {"params": params, "batch_stats": stats}
        if weight is None:
            output, updated = module.apply(variables, x, train=True, mutable=["batch_stats"])
            return output, updated["batch_stats"]
        if jnp.shape(weight) != jnp.shape(x)[:1]:
            raise ValueError(f"weight: expected shape {jnp.shape(x)[:1]}, got {jnp.shape(weight)}")
        counts = jnp.asarray(weight) > 0
        any_counts = jnp.any(counts)
        # Statistics of no sample would be NaN: those of the padding are measured, and dropped.
        with nn.intercept_methods(_masked_batch_norm(counts | ~any_counts)):
            output, updated = module.apply(variables, x, train=True, mutable=["batch_stats"])
        measured = updated["batch_stats"]
        return output, jax.tree.map(
            lambda new, old: jnp.where(any_counts, new, old), measured, stats
        )

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


def _masked_batch_norm(counts: jax.Array) -> Callable[..., Any]:
    """Interceptor by which batch normalization measures only the samples that ``counts: [B]``."""

    def interceptor(next_fun: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        norm = isinstance(context.module, nn.BatchNorm) and context.method_name == "__call__"
        if not norm or kwargs.get("mask") is not None:
            return next_fun(*args, **kwargs)
        x = args[0] if args else kwargs["x"]
        if x.shape[0] != counts.shape[0]:  # not one row per sample: no row is known to be padding
            return next_fun(*args, **kwargs)
        mask = counts.reshape(counts.shape + (1,) * (x.ndim - 1))
        return next_fun(*args, **{**kwargs, "mask": mask})

    return interceptor


def _pooled(stats: PyTree) -> PyTree:
    """Pool statistics of batches (leading axis), variances by the law of total variance."""
    if not isinstance(stats, Mapping):
        return jnp.mean(stats, axis=0)
    pooled = {name: _pooled(value) for name, value in stats.items()}
    if "mean" in stats and "var" in stats and not isinstance(stats["mean"], Mapping):
        pooled["var"] = pooled["var"] + jnp.var(stats["mean"], axis=0)
    return pooled
