"""Router: a classifier of noised samples that gives the probability of every expert.

Shapes: ``K`` experts, ``B`` samples, ``...`` the shape of one sample.

References:
    D. McAllister et al., Decentralized diffusion models, 2025.
    A. Holtzman et al., The curious case of neural text degeneration, 2020 (nucleus).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models import flow, layers
from jaxswarm.models.flow.model import check_num_classes, check_shape
from jaxswarm.models.flow.networks import as_images
from jaxswarm.models.linear import dot_general
from jaxswarm.types import ArrayLike, Key, Params

MODES = ("full", "top_k", "threshold", "sampled", "once", "oracle")
"""How the router's probabilities choose and weight experts, see :func:`expert_weights`."""


class Router(NamedTuple):
    """Pure functions of a router.

    Attributes:
        init: ``init(key) -> params``.
        logits: ``logits(params, x, t, condition=None) -> float32[B, K]`` with ``x: [B, ...]``,
            ``t: [B]`` in ``[0, 1]`` and ``condition: int[B]`` in ``[0, num_classes]``.
        num_experts: ``K``.
        shape: shape of one sample.
        num_classes: number of classes of the condition; ``None`` without one.
    """

    init: Callable[[Key], Params]
    logits: Callable[..., jax.Array]
    num_experts: int
    shape: tuple[int, ...]
    num_classes: int | None


class _Classifier(nn.Module):
    """A backbone on lifted features, with a classification head."""

    backbone: nn.Module
    num_experts: int
    features: int

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        x = x if x.ndim == 2 else as_images(x)
        # Without lifting, all that the head sees of 2-D data would be two numbers.
        lifted = layers.Dense(self.features, dot_general=dot_general)(x)
        output = nn.silu(self.backbone(lifted, t, condition))
        return layers.Dense(self.num_experts, dot_general=dot_general)(output.reshape(len(x), -1))


def router(
    backbone: nn.Module,
    shape: Sequence[int],
    num_experts: int,
    *,
    num_classes: int | None = None,
    features: int = 16,
) -> Router:
    """Turn the network of a flow model into a router: the same backbone with a classification head.

    Features (the last axis; the channels of images) are mapped to ``features`` ones, which the
    backbone transforms as if they were a sample; a linear head gives the logits.

    Args:
        backbone: a ``flax.linen`` module ``backbone(x, t, condition)`` such as ``flow.MLP()``,
            ``flow.DiT()`` or ``flow.UNet()``, whose only variables are ``params``.
        shape: shape of one sample, ``(D,)``, ``(H, W)`` or ``(H, W, C)``.
        num_experts: ``K``.
        num_classes: number of classes of the condition; ``None`` for none.
        features: features of the backbone's input and output, at least 1.

    Returns:
        The router. One without flax is a :class:`Router` of your own functions.

    Raises:
        ValueError: if the backbone cannot be applied to such a batch, has other variables, or was
            built for another number of classes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import generative
        >>> from jaxswarm.models import flow
        >>> router = generative.router(flow.MLP(width=8), (2,), 3)
        >>> router.logits(router.init(jax.random.key(0)), jnp.zeros((5, 2)), jnp.zeros(5)).shape
        (5, 3)
    """
    checks.instance("backbone", backbone, nn.Module, "flow.MLP()")
    shape, num_classes = check_shape(shape), check_num_classes(num_classes)
    num_experts = checks.whole("num_experts", num_experts, 1)
    features = checks.whole("features", features, 1)
    own = getattr(backbone, "num_classes", num_classes)
    if own != num_classes:
        raise ValueError(f"num_classes: expected that of the backbone, {own}, got {num_classes}")
    module = _Classifier(backbone, num_experts, features)
    example = jnp.zeros((2, *shape)), jnp.zeros(2)
    condition = None if num_classes is None else jnp.zeros(2, jnp.int32)

    def init_all(key: jax.Array) -> Any:
        return module.init(key, *example, condition)

    def logits(
        params: Params, x: ArrayLike, t: ArrayLike, condition: ArrayLike | None = None
    ) -> jax.Array:
        x = flow.check_samples("x", x, shape)
        t = flow.check_times(t, len(x))
        condition = flow.check_condition(condition, len(x), num_classes)
        output: Any = module.apply({"params": params}, x, t, condition)
        return output.astype(jnp.promote_types(output.dtype, jnp.float32))

    try:
        variables = jax.eval_shape(init_all, jax.random.key(0))
        jax.eval_shape(lambda p: logits(p, *example, condition), variables["params"])
    except Exception as error:  # flax and jax raise many types for inputs that do not fit
        raise ValueError(
            f"backbone, shape: {type(backbone).__name__} cannot be applied as "
            f"backbone(x, t, condition) to samples of shape {shape}: {error}"
        ) from error
    if set(variables) != {"params"}:
        raise ValueError(f"backbone: expected variables in 'params' only, got {sorted(variables)}")
    return Router(lambda key: init_all(key)["params"], logits, num_experts, shape, num_classes)


def expert_weights(
    logits: ArrayLike,
    mode: str = "full",
    *,
    k: int = 1,
    threshold: ArrayLike = 0.9,
    available: ArrayLike | None = None,
    key: Key | None = None,
) -> jax.Array:
    """Weights of the experts for every sample, from the logits of a router.

    ========== ======================================================================
    mode       weights
    ========== ======================================================================
    full       all probabilities
    top_k      the ``k`` largest, renormalized (ties: the lower index)
    threshold  the fewest that sum to ``threshold`` or more, largest first, renormalized
    sampled    one expert, drawn with its probability
    ========== ======================================================================

    Args:
        logits: ``[B, K]`` without NaN; minus infinity excludes an expert.
        mode: one of the above.
        k: experts of ``top_k``, in ``[1, K]``.
        threshold: of ``threshold``, in ``(0, 1]``.
        available: ``bool[K]``, experts that exist at present, at least one; the probabilities of
            the others go to these in proportion. All by default.
        key: of ``sampled``.

    Returns:
        ``[B, K]``, rows that sum to 1.

    Raises:
        ValueError: for NaN logits, a row without a finite logit, ``k > K``, a threshold out of
            range, no available expert, an unknown mode, or ``sampled`` without a key.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import generative
        >>> logits = jnp.log(jnp.array([[0.5, 0.3, 0.2]]))
        >>> [f"{w:.3f}" for w in generative.expert_weights(logits, "top_k", k=2)[0]]
        ['0.625', '0.375', '0.000']
        >>> available = jnp.array([False, True, True])
        >>> [f"{w:.3f}" for w in generative.expert_weights(logits, available=available)[0]]
        ['0.000', '0.600', '0.400']
    """
    logits = masked_logits(logits, available)
    if mode in ("once", "oracle"):
        raise ValueError(
            f"mode: expected one whose weights depend on the logits alone, got {mode!r}"
        )
    checks.choice("mode", mode, MODES)
    num_experts = logits.shape[-1]
    probabilities = jax.nn.softmax(logits, axis=-1)
    if mode == "sampled":
        if key is None:
            raise ValueError("key: expected a key for mode 'sampled', got None")
        chosen = jax.random.categorical(checks.key(key), logits, axis=-1)
        return jax.nn.one_hot(chosen, num_experts, dtype=logits.dtype)
    if mode == "top_k":
        _, kept = jax.lax.top_k(probabilities, checks.whole("k", k, 1, num_experts))
        chosen = jnp.sum(jax.nn.one_hot(kept, num_experts, dtype=logits.dtype), axis=-2) > 0
    elif mode == "threshold":
        checks.real("threshold", threshold, 0.0, 1.0, above=0.0)
        ordered, order = jax.lax.top_k(probabilities, num_experts)
        before = jnp.cumsum(ordered, axis=-1) - ordered
        needed = (before < threshold).at[..., 0].set(True)
        chosen = jnp.take_along_axis(needed, jnp.argsort(order, axis=-1), axis=-1)
    else:
        return probabilities
    return jax.nn.softmax(jnp.where(chosen, logits, -jnp.inf), axis=-1)


def masked_logits(logits: ArrayLike, available: ArrayLike | None) -> jax.Array:
    """Logits with minus infinity for experts that are not available, ``[B, K]``.

    Raises:
        ValueError: for NaN, rows without a finite logit, or no available expert.
    """
    numbers: jax.Array = checks.numbers("logits", logits, (None, None))
    if available is not None:
        flags: jax.Array = checks.mask("available", available, (numbers.shape[-1],))
        if not checks.is_traced(flags) and not np.asarray(flags).any():
            raise ValueError("available: expected at least one expert, got none")
        numbers = jnp.where(jnp.asarray(flags)[None], numbers, -jnp.inf)
    if not checks.is_traced(numbers):
        values = np.asarray(numbers)
        if np.isnan(values).any():
            row, expert = np.argwhere(np.isnan(values))[0]
            raise ValueError(f"logits: expected numbers, got NaN for expert {expert} in row {row}")
        if not (np.isfinite(values).any(axis=-1) & (values < np.inf).all(axis=-1)).all():
            raise ValueError("logits: expected a finite largest logit in every row")
    return numbers


def router_loss(
    router: Router,
    params: Params,
    key: Key,
    data: ArrayLike,
    experts: ArrayLike,
    condition: ArrayLike | None = None,
    *,
    path: flow.Path | None = None,
) -> jax.Array:
    """Cross-entropy of the cluster of noised samples at uniform random times, a scalar in nats.

    Args:
        router: from :func:`router`.
        params: its parameters.
        key: of noise and times.
        data: ``[B, ...]``.
        experts: ``int[B]`` in ``[0, K)``, the cluster of every sample.
        condition: ``int[B]`` in ``[0, num_classes]``, or ``None``.
        path: the probability path of the experts, linear by default.

    Raises:
        ValueError: for shapes that do not fit, or clusters or conditions out of range.
    """
    check_router(router)
    path = flow.linear_path() if path is None else flow.check_path(path)
    data = flow.check_samples("data", data, router.shape)
    experts = jnp.asarray(
        checks.wholes("experts", experts, 0, router.num_experts - 1, shape=(len(data),))
    )
    state = flow.noised(key, data, path)
    logits = router.logits(params, state.x, state.t, condition)
    log_probabilities = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.mean(jnp.take_along_axis(log_probabilities, experts[:, None], axis=-1))


def check_router(router: Router) -> Router:
    """Check that a value is a :class:`Router` and return it.

    Raises:
        ValueError: if it is not.
    """
    return checks.instance("router", router, Router, "generative.router(flow.MLP(), (2,), 8)")
