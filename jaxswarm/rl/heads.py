"""Action heads: distributions over actions, parametrised by a network's outputs.

A head samples a *raw* action, which is kept: of a squashed Gaussian the value before ``tanh``,
whose log-probability stays finite where the action saturates. All functions are of one agent; the
distributions are distrax's.

Shapes: ``A`` numbers of a raw action, ``O`` outputs of the network, ``S`` learned scales.

References:
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018 (squashed Gaussian).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.rl.hyperparameters import choice
from jaxswarm.types import ArrayLike

SCALE_RANGE = (-5.0, 2.0)
"""Logarithms of standard deviations are kept within these."""
STDS = ("exp", "softplus")


class Head(NamedTuple):
    """A distribution over actions of one agent.

    Attributes:
        num_outputs: ``O``, number of outputs that the network must have.
        num_scales: ``S``, logarithms of standard deviations that do not depend on the observation;
            they are appended to the outputs.
        initial_scale: initial value of these logarithms.
        sample: ``sample(key, outputs) -> raw``.
        log_prob: ``log_prob(outputs, raw) -> []``, of the *action* that ``raw`` stands for.
        entropy: ``entropy(key, outputs) -> []``; exact, but one sample for a squashed Gaussian.
        mode: ``mode(outputs) -> raw``, the action of a deterministic policy.
        action: ``action(raw)``, the action that the environment gets.
        num_options: number of options of each discrete choice; empty for continuous actions.
    """

    num_outputs: int
    num_scales: int
    initial_scale: float
    sample: Callable[[jax.Array, jax.Array], jax.Array]
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    entropy: Callable[[jax.Array, jax.Array], jax.Array]
    mode: Callable[[jax.Array], jax.Array]
    action: Callable[[jax.Array], jax.Array]
    num_options: tuple[int, ...] = ()


def categorical(num_actions: int) -> Head:
    """Categorical distribution over ``num_actions``; ``raw`` is the action itself, ``int32[]``.

    Raises:
        ValueError: if ``num_actions < 1``.
    """
    num_actions = checks.whole("num_actions", num_actions, 1)

    def distribution(outputs: jax.Array) -> Any:
        return distrax.Categorical(logits=outputs)

    return Head(
        num_actions,
        0,
        0.0,
        lambda key, outputs: distribution(outputs).sample(seed=key).astype(jnp.int32),
        lambda outputs, raw: distribution(outputs).log_prob(raw),
        lambda key, outputs: distribution(outputs).entropy(),
        lambda outputs: jnp.argmax(outputs).astype(jnp.int32),
        lambda raw: raw,
        (num_actions,),
    )


def categoricals(num_options: tuple[int, ...]) -> Head:
    """Several discrete choices at once, independent given the observation; ``raw int32[A]``.

    Args:
        num_options: number of options of each of the ``A`` choices; ``O`` is their sum.

    Raises:
        ValueError: without choices or with one that has no options.
    """
    options = checks.wholes("num_options", num_options, 1, shape=(None,))
    if not len(options):
        raise ValueError("num_options: expected at least one choice, got none")
    num_options = tuple(int(count) for count in options)
    ends = np.cumsum(num_options)[:-1].tolist()

    def distributions(outputs: jax.Array) -> list[Any]:
        return [distrax.Categorical(logits=logits) for logits in jnp.split(outputs, ends)]

    def sample(key: jax.Array, outputs: jax.Array) -> jax.Array:
        keys = jax.random.split(key, len(num_options))
        pairs = zip(distributions(outputs), keys, strict=True)
        return jnp.stack([choice.sample(seed=k) for choice, k in pairs]).astype(jnp.int32)

    def log_prob(outputs: jax.Array, raw: jax.Array) -> jax.Array:
        choices = enumerate(distributions(outputs))
        return sum((choice.log_prob(raw[i]) for i, choice in choices), jnp.zeros(()))

    def entropy(key: jax.Array, outputs: jax.Array) -> jax.Array:
        return sum((choice.entropy() for choice in distributions(outputs)), jnp.zeros(()))

    def mode(outputs: jax.Array) -> jax.Array:
        modes = [jnp.argmax(choice.logits) for choice in distributions(outputs)]
        return jnp.stack(modes).astype(jnp.int32)

    return Head(
        sum(num_options),
        0,
        0.0,
        sample,
        log_prob,
        entropy,
        mode,
        lambda raw: raw,
        tuple(num_options),
    )


def gaussian(
    size: int,
    low: ArrayLike = -1.0,
    high: ArrayLike = 1.0,
    *,
    initial_std: float = 1.0,
    state_dependent: bool = False,
) -> Head:
    """Diagonal Gaussian around the outputs; the environment gets the action clipped to its bounds.

    The outputs are in units of half the range: output 0 is the middle, ±1 the bounds.

    Args:
        size: ``A``.
        low: lower bounds, a scalar or ``[A]``.
        high: upper bounds, likewise.
        initial_std: standard deviation to begin with, in the same units.
        state_dependent: the network outputs the standard deviations too (``O = 2A``).

    Raises:
        ValueError: no actions, bounds that are not finite and increasing, or a standard deviation
            that is not positive.
    """
    middle, half = _bounds(size, low, high)
    size = checks.whole("size", size, 1)
    scale = _check_std(initial_std)
    checks.instance("state_dependent", state_dependent, bool)
    normal = _normal(size, scale if state_dependent else 0.0)
    return Head(
        2 * size if state_dependent else size,
        0 if state_dependent else size,
        scale,
        lambda key, outputs: normal(outputs).sample(seed=key),
        lambda outputs, raw: normal(outputs).log_prob(raw),
        lambda key, outputs: normal(outputs).entropy(),
        lambda outputs: outputs[:size],
        lambda raw: jnp.clip(raw, -1.0, 1.0) * half + middle,
    )


def squashed_gaussian(
    size: int,
    low: ArrayLike = -1.0,
    high: ArrayLike = 1.0,
    *,
    initial_std: float = 1.0,
    state_dependent: bool = False,
    std: str = "exp",
) -> Head:
    """``tanh`` of a diagonal Gaussian, scaled to the bounds; ``raw`` is the value before ``tanh``.

    Further arguments and errors as of :func:`gaussian`.

    Args:
        size: ``A``.
        low: lower bounds.
        high: upper bounds.
        initial_std: standard deviation before the ``tanh`` to begin with.
        state_dependent: the network outputs the standard deviations too.
        std: function of the output that gives the standard deviation: ``"exp"`` of the output
            clipped to ``SCALE_RANGE``, or ``"softplus"`` of the output, which is kept above -5.
    """
    middle, half = _bounds(size, low, high)
    size = checks.whole("size", size, 1)
    scale = _check_std(initial_std)
    checks.instance("state_dependent", state_dependent, bool)
    choice("std", std, STDS)
    if std == "softplus":
        scale = math.log(math.expm1(initial_std))
    normal = _normal(size, scale if state_dependent else 0.0, std)

    def log_slope(raw: jax.Array) -> jax.Array:
        """``log |d action / d raw|``, finite for any ``raw``."""
        slope = 2.0 * (math.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
        return jnp.sum(slope + np.log(half))

    def entropy(key: jax.Array, outputs: jax.Array) -> jax.Array:
        base = normal(outputs)
        return base.entropy() + log_slope(base.sample(seed=key))

    return Head(
        2 * size if state_dependent else size,
        0 if state_dependent else size,
        scale,
        lambda key, outputs: normal(outputs).sample(seed=key),
        lambda outputs, raw: normal(outputs).log_prob(raw) - log_slope(raw),
        entropy,
        lambda outputs: outputs[:size],
        lambda raw: jnp.tanh(raw) * half + middle,
    )


def head_of(spec: specs.Array, *, squash: bool = True, **options: Any) -> Head:
    """Make the head that fits an environment's ``action_spec``.

    Args:
        spec: ``[N]`` or ``[N, A]`` discrete, or ``[N, A]`` bounded actions.
        squash: for bounded actions, squash instead of clipping.
        options: of :func:`gaussian`.

    Raises:
        ValueError: if agents have different numbers of actions, or another kind of spec.
    """
    checks.instance("squash", squash, bool)
    if isinstance(spec, specs.MultiDiscreteArray) and len(spec.shape) == 1:
        num_actions = {int(n) for n in np.asarray(spec.num_values)}
        if len(num_actions) != 1:
            raise ValueError(f"spec: expected the same actions for all agents, got {spec}")
        return categorical(num_actions.pop())
    if isinstance(spec, specs.MultiDiscreteArray) and len(spec.shape) == 2:
        num_options = np.asarray(spec.num_values)
        if (num_options != num_options[:1]).any():
            raise ValueError(f"spec: expected the same actions for all agents, got {spec}")
        return categoricals(tuple(int(n) for n in num_options[0]))
    if isinstance(spec, specs.BoundedArray) and len(spec.shape) == 2:
        make = squashed_gaussian if squash else gaussian
        low = np.broadcast_to(np.asarray(spec.minimum), spec.shape)
        high = np.broadcast_to(np.asarray(spec.maximum), spec.shape)
        if (low != low[:1]).any() or (high != high[:1]).any():
            raise ValueError(f"spec: expected the same bounds for all agents, got {spec}")
        return make(spec.shape[1], low[0], high[0], **options)
    raise ValueError(f"spec: expected discrete [N] or bounded [N, A] actions, got {spec}")


def _normal(size: int, offset: float, std: str = "exp") -> Callable[[jax.Array], Any]:
    def normal(outputs: jax.Array) -> Any:
        shifted = outputs[size:] + offset
        if std == "softplus":
            scale = jax.nn.softplus(jnp.maximum(shifted, SCALE_RANGE[0]))
        else:
            scale = jnp.exp(jnp.clip(shifted, *SCALE_RANGE))
        return distrax.Independent(distrax.Normal(outputs[:size], scale), 1)

    return normal


def _bounds(size: int, low: ArrayLike, high: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    size = checks.whole("size", size, 1)
    bounds: list[np.ndarray] = []
    for name, bound in (("low", low), ("high", high)):
        if checks.is_traced(bound):
            raise ValueError(f"{name}: expected known numbers, got {checks.shown(bound)}")
        given = checks.real(name, bound, shape=() if np.ndim(bound) == 0 else (size,))
        bounds.append(np.broadcast_to(np.asarray(given, np.float32), (size,)))
    lower, upper = bounds
    if not (lower < upper).all():
        raise ValueError(f"low, high: expected finite increasing bounds, got {lower}, {upper}")
    return (lower + upper) / 2.0, (upper - lower) / 2.0


def _check_std(initial_std: float) -> float:
    if checks.is_traced(initial_std):
        raise ValueError(f"initial_std: expected a known number, got {checks.shown(initial_std)}")
    return math.log(float(checks.real("initial_std", initial_std, above=0.0)))
