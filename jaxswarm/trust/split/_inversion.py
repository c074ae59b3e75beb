"""Inversion attacks: inputs from activations, with the segment's weights or by queries alone.

Shapes: ``S`` samples, ``D`` input features, ``E`` activations.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks, models
from jaxswarm.types import ArrayLike, Key, Params, PyTree

SMALL = 1e-12
"""Added to the mean square of activations that may all be 0."""


def invert(
    forward: Callable[[jax.Array], jax.Array],
    observed: ArrayLike,
    start: ArrayLike,
    *,
    low: float = 0.0,
    high: float = 1.0,
    steps: int = 200,
    learning_rate: float = 0.05,
    pull: ArrayLike = 0.0,
) -> jax.Array:
    """Search inputs whose activations equal the observed ones: a white-box inversion attack.

    Adam on ``‖forward(x) - observed‖² / mean(observed²) + pull ‖x - start‖²``, means over features,
    within the bounds; runs inside ``jit``.

    Args:
        forward: ``forward(x[S, ...]) -> activation``, the attacked segment with its parameters,
            which acts on each row separately.
        observed: activations ``[S, ...]``.
        start: first guess ``[S, ...]``, such as the mean of the attacker's own inputs.
        low: least value of an input.
        high: largest value of an input.
        steps: of Adam.
        learning_rate: of Adam.
        pull: weight that keeps what the activation leaves open near the start.

    Returns:
        Inputs ``[S, ...]`` within the bounds.

    Raises:
        ValueError: for bounds out of order, steps below 1, or numbers of rows that differ.
    """
    checks.function("forward", forward)
    target, guess = checks.numbers("observed", observed), checks.numbers("start", start)
    if len(target) != len(guess):
        raise ValueError(f"start: expected {len(target)} rows, got {len(guess)}")
    steps = checks.whole("steps", steps, 1)
    checks.real("learning_rate", learning_rate, above=0.0)
    checks.real("pull", pull, 0.0)
    checks.real("low", low)
    checks.real("high", high, above=low)
    optimizer = optax.adam(learning_rate)
    scale = 1.0 / (jnp.mean(target**2) + SMALL)

    def misfit(x: jax.Array) -> jax.Array:
        off = (forward(x) - target).reshape(len(target), -1)
        away = (x - guess).reshape(len(guess), -1)
        return jnp.sum(scale * jnp.mean(off**2, axis=1) + pull * jnp.mean(away**2, axis=1))

    def step(carry: PyTree, _: None) -> tuple[PyTree, None]:
        x, state = carry
        updates, state = optimizer.update(jax.grad(misfit)(x), state)
        return (jnp.clip(x + updates, low, high), state), None

    first = jnp.clip(guess, low, high)
    return jax.lax.scan(step, (first, optimizer.init(first)), None, length=steps)[0][0]


class Decoder(NamedTuple):
    """A trained decoder from activations to inputs; see :func:`decode`.

    Attributes:
        params: of its network.
        center: mean of the activations it was trained on.
        scale: one over their standard deviation.
        base: mean of the inputs, to which the network adds.
    """

    params: Params
    center: jax.Array
    scale: jax.Array
    base: jax.Array


def fit_decoder(
    key: Key,
    observed: ArrayLike,
    inputs: ArrayLike,
    *,
    hidden: int = 128,
    steps: int = 500,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
) -> Decoder:
    """Train a decoder on shadow data: a black-box inversion attack; runs inside ``jit``.

    The attacker sends inputs of its own through the segment and learns to get them back. A network
    with one hidden layer, Adam on the mean squared error, a cosine schedule.

    Args:
        key: of initialization and batches.
        observed: activations ``float[S, E]`` of the attacker's inputs.
        inputs: ``float[S, D]``, other samples than those attacked.
        hidden: width of the decoder.
        steps: of Adam.
        batch_size: samples of a step, drawn with replacement.
        learning_rate: largest step size.

    Returns:
        The decoder, for :func:`decode`.

    Raises:
        ValueError: for sizes below 1 or shapes that do not fit.
    """
    checks.key(key)
    z = checks.numbers("observed", observed, (None, None))
    x = checks.numbers("inputs", inputs, (z.shape[0], None))
    steps = checks.whole("steps", steps, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    checks.real("learning_rate", learning_rate, above=0.0)
    width = checks.whole("hidden", hidden, 1)
    network = models.mlp(width, x.shape[1], initializer="xavier_uniform")
    start, draws = jax.random.split(key)
    center, scale = jnp.mean(z, axis=0), 1.0 / (jnp.std(z, axis=0) + 1e-3)
    base = jnp.mean(x, axis=0)
    z, x = (z - center[None]) * scale[None], x - base[None]
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    params = network.init(start, z[:1])["params"]

    def error(params: Params, rows: jax.Array) -> jax.Array:
        found = jnp.asarray(network.apply({"params": params}, z[rows]))
        return jnp.mean((found - x[rows]) ** 2)

    def step(carry: PyTree, own: jax.Array) -> tuple[PyTree, None]:
        params, state = carry
        rows = jax.random.randint(own, (batch_size,), 0, z.shape[0])
        updates, state = optimizer.update(jax.grad(error)(params, rows), state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(draws, steps)
    params = jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0]
    return Decoder(params, center, scale, base)


def decode(decoder: Decoder, observed: ArrayLike) -> jax.Array:
    """Inputs that a decoder reads off activations: ``float[S, E] -> float[S, D]``."""
    z = checks.numbers("observed", observed, (None, None))
    widths = [decoder.params[f"Dense_{i}"]["bias"].shape[-1] for i in range(2)]
    network = models.mlp(*widths)
    moved = (z - decoder.center[None]) * decoder.scale[None]
    return jnp.asarray(network.apply({"params": decoder.params}, moved)) + decoder.base[None]
