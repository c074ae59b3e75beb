"""Segments of a network as pure functions, and their gradients by messages.

Shapes: ``B`` samples of a batch.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general
from jaxswarm.models.networks import ACTIVATIONS, INITIALIZERS, MLP
from jaxswarm.trust.split._correlation import distance_correlation
from jaxswarm.types import ArrayLike, Key, Params

Layer = nn.Module | Callable[..., Any]


class Segment(NamedTuple):
    """Consecutive layers of a network as a pure function.

    Attributes:
        init: ``init(key, x) -> params`` for an example ``x: [B, ...]`` of what comes in.
        apply: ``apply(params, x) -> activation``, with this segment's parameters only.
        names: keys of its parameters in those of the whole network.
    """

    init: Callable[[Key, ArrayLike], Params]
    apply: Callable[[Params, ArrayLike], Any]
    names: tuple[str, ...]


class SplitGradients(NamedTuple):
    """One pass up and down the segments.

    Attributes:
        loss: the loss at the last segment, without the penalty.
        grads: gradients for each segment's parameters.
        sent: activations that each segment but the last sent up, with noise.
        returned: gradients that each segment but the first sent down, of the shapes of ``sent``.
    """

    loss: jax.Array
    grads: tuple[Params, ...]
    sent: tuple[jax.Array, ...]
    returned: tuple[jax.Array, ...]


def cut(network: nn.Module | Sequence[Layer], at: int | Sequence[int]) -> tuple[Segment, ...]:
    """Cut a network before its layers ``at`` into segments for different nodes.

    Layers are the entries of a list or ``nn.Sequential`` (modules and functions), or the dense
    layers of ``models.mlp(...)``, each with its activation. They are applied as ``layer(x)`` and
    may have the collection ``params`` only.

    Args:
        network: of ``L >= 2`` layers.
        at: one cut or several ascending ones, each in ``[1, L - 1]``: number of layers below it.

    Returns:
        One segment more than cuts. :func:`own_params` takes parameters of the whole network apart,
        :func:`initialize` draws new ones.

    Raises:
        ValueError: for cuts outside the network or out of order, or a network whose layers cannot
            be separated, such as a ``models.cnn``: pass a list of layers.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import models
        >>> network = models.mlp(8, 8, 3)
        >>> whole = network.init(jax.random.key(0), jnp.ones((1, 4)))
        >>> lower, upper = cut(network, 1)
        >>> own = own_params((lower, upper), whole["params"])
        >>> sorted(own[0]), sorted(own[1])
        (['Dense_0'], ['Dense_1', 'Dense_2'])
        >>> x = jnp.ones((5, 4))
        >>> bool(jnp.all(upper.apply(own[1], lower.apply(own[0], x)) == network.apply(whole, x)))
        True
    """
    layers = _layers(network)
    top = len(layers) - 1
    if top < 1:
        raise ValueError(f"network: expected at least 2 layers, got {len(layers)}")
    given = (at,) if checks.is_whole(at) else at
    if not isinstance(given, (list, tuple)) or not given:
        raise ValueError(f"at: expected cuts in [1, {top}], got {checks.shown(at)}")
    cuts = [checks.whole("at", each, 1, top) for each in given]
    if cuts != sorted(set(cuts)):
        raise ValueError(f"at: expected ascending cuts, got {cuts}")
    ends = [0, *cuts, len(layers)]
    return tuple(_segment(layers[a:b]) for a, b in itertools.pairwise(ends))


def own_params(segments: Sequence[Segment], params: Mapping[str, Any]) -> tuple[Params, ...]:
    """Take the parameters of a whole network apart, each segment's own.

    Args:
        segments: of :func:`cut`.
        params: of the whole network, ``network.init(...)["params"]``.

    Raises:
        ValueError: if parameters of a layer are missing.
    """
    missing = [name for each in segments for name in each.names if name not in params]
    if missing:
        raise ValueError(f"params: expected those of the whole network, lacks {missing}")
    return tuple({name: params[name] for name in each.names} for each in segments)


def initialize(key: Key, segments: Sequence[Segment], example_x: ArrayLike) -> tuple[Params, ...]:
    """Draw parameters of every segment, each from a key of its own.

    Args:
        key: of the draw.
        segments: of :func:`cut`.
        example_x: one input batch ``[B, ...]``.

    Raises:
        ValueError: for what is no typed key, or layers with other collections than ``params``.
    """
    checks.key(key)
    x, params = checks.numbers("example_x", example_x), []
    for each, own in zip(segments, jax.random.split(key, len(segments)), strict=True):
        params.append(each.init(own, x))
        x = each.apply(params[-1], x)
    return tuple(params)


def gradients(
    segments: Sequence[Segment],
    params: Sequence[Params],
    x: ArrayLike,
    loss: Callable[[Any], jax.Array],
    *,
    key: Key | None = None,
    noise: ArrayLike = 0.0,
    penalty: ArrayLike = 0.0,
) -> SplitGradients:
    """Gradients of all segments, computed by messages between neighbouring segments only.

    Each segment sends its activation (plus noise) up and the gradient for what it received down.
    Without noise and penalty the gradients are those of the whole network. The first segment, which
    holds the inputs, adds ``penalty ·`` :func:`distance_correlation` of inputs and its activation.

    Args:
        segments: of :func:`cut`.
        params: each segment's own.
        x: inputs ``[B, ...]``.
        loss: ``loss(output) -> scalar`` of the last segment's output.
        key: of the noise; needed with ``noise``.
        noise: standard deviation of Gaussian noise on what is sent up.
        penalty: weight of the distance correlation.

    Returns:
        Loss, gradients and the messages.

    Raises:
        ValueError: for numbers of parameters and segments that differ, noise without a key, or
            negative weights.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import models
        >>> parts = cut(models.mlp(8, 3), 1)
        >>> params = initialize(jax.random.key(0), parts, jnp.ones((1, 4)))
        >>> found = gradients(parts, params, jnp.ones((5, 4)), lambda y: jnp.mean(y**2))
        >>> [message.shape for message in found.sent + found.returned]
        [(5, 8), (5, 8)]
    """
    checks.real("noise", noise, 0.0)
    checks.real("penalty", penalty, 0.0)
    silent = not checks.is_traced(noise) and float(noise) == 0.0  # type: ignore[arg-type]
    plain = not checks.is_traced(penalty) and float(penalty) == 0.0  # type: ignore[arg-type]
    drawn = jax.random.key(0) if silent else checks.key(key, "key (of the noise)")
    if len(params) != len(segments):
        raise ValueError(f"params: expected {len(segments)} segments, got {len(params)}")
    x = checks.numbers("x", x)
    sent, pullbacks, incoming = [], [], x
    for place, (each, own) in enumerate(zip(segments[:-1], params[:-1], strict=True)):
        out, pullback = jax.vjp(each.apply, own, incoming)
        pullbacks.append((pullback, out))
        if not silent:
            own_key = jax.random.fold_in(drawn, place)
            out = out + noise * flat(jax.random.normal, own_key, out.shape)
        sent.append(out)
        incoming = out

    def last(own: Params, z: jax.Array) -> jax.Array:
        return loss(segments[-1].apply(own, z))

    value, (top, down) = jax.value_and_grad(last, argnums=(0, 1))(params[-1], incoming)
    grads, returned = [top], [down]
    for place in reversed(range(len(pullbacks))):
        pullback, clean = pullbacks[place]
        if place == 0 and not plain:
            down = down + penalty * jax.grad(lambda z: distance_correlation(x, z))(clean)
        own, down = pullback(down)
        grads.append(own)
        if place > 0:
            returned.append(down)
    return SplitGradients(value, tuple(grads[::-1]), tuple(sent), tuple(returned[::-1]))


def _layers(network: Any) -> list[tuple[str | None, Layer]]:
    """Layers with the names of their parameters, ``None`` for functions without."""
    if isinstance(network, MLP):
        if network.norm != "none":
            raise ValueError(f"network: expected norm 'none', got {network.norm!r}")
        kernel, found = INITIALIZERS[network.initializer](), []
        activate = ACTIVATIONS[network.activation]
        for place, width in enumerate(network.widths):
            dense = layers.Dense(width, kernel_init=kernel, dot_general=dot_general)
            final = place == len(network.widths) - 1
            found.append((f"Dense_{place}", dense if final else _Then(dense, activate)))
        return found
    if isinstance(network, nn.Sequential):
        network = network.layers
    if not isinstance(network, (list, tuple)) or not all(callable(each) for each in network):
        raise ValueError(
            "network: expected models.mlp(...), nn.Sequential or a list of layers, got "
            f"{checks.shown(network)}"
        )
    return [
        (f"layers_{place}" if isinstance(each, nn.Module) else None, each)
        for place, each in enumerate(network)
    ]


class _Then(NamedTuple):
    """A dense layer with its activation."""

    dense: nn.Dense
    activate: Callable[[jax.Array], jax.Array]


def _segment(layers: Sequence[tuple[str | None, Any]]) -> Segment:
    names = tuple(name for name, _ in layers if name is not None)

    def run(layer: Any, params: Any, x: Any) -> Any:
        if isinstance(layer, _Then):
            return layer.activate(jnp.asarray(layer.dense.apply({"params": params}, x)))
        if isinstance(layer, nn.Module):
            return layer.apply({"params": params}, x)
        return layer(x)

    def init(key: Key, x: ArrayLike) -> Params:
        params: dict[str, Any] = {}
        for (name, layer), own in zip(layers, jax.random.split(key, len(layers)), strict=True):
            if name is not None:
                module = layer.dense if isinstance(layer, _Then) else layer
                variables = module.init(own, x)
                extra = sorted(set(variables) - {"params"})
                if extra:
                    raise ValueError(f"network: expected params only, got also {extra}")
                params[name] = variables.get("params", {})
            x = run(layer, None if name is None else params[name], x)
        return params

    def apply(params: Params, x: ArrayLike) -> Any:
        for name, layer in layers:
            x = run(layer, None if name is None else params[name], x)
        return x

    return Segment(init, apply, names)
