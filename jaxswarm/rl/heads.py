"""Action heads: from a network's outputs to actions, over distrax's distributions.

A head draws a *raw* action and keeps it: of a squashed Gaussian the value before ``tanh``, whose
log-probability stays finite where the action saturates. All functions are of one agent.

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

from jaxswarm.errors import unknown

SCALE_RANGE = (-5.0, 2.0)
"""Logarithms of standard deviations are kept within these."""
STDS = ("exp", "softplus")


class Head(NamedTuple):
    """A distribution over actions of one agent.

    Attributes:
        num_outputs: ``O``, what the network must give.
        num_scales: ``S``, logarithms of standard deviations that do not depend on the observation;
            they are appended to the outputs.
        initial_scale: what these logarithms start from.
        sample: ``sample(key, outputs) -> raw``.
        log_prob: ``log_prob(outputs, raw) -> []``, of the *action* that ``raw`` stands for.
        entropy: ``entropy(key, outputs) -> []``; exact, but one sample for a squashed Gaussian.
        mode: ``mode(outputs) -> raw``, what a deterministic policy does.
        action: ``action(raw)``, what the environment is given.
        counts: how many options each discrete choice has; empty for continuous actions.
    """

    num_outputs: int
    num_scales: int
    initial_scale: float
    sample: Callable[[jax.Array, jax.Array], jax.Array]
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    entropy: Callable[[jax.Array, jax.Array], jax.Array]
    mode: Callable[[jax.Array], jax.Array]
    action: Callable[[jax.Array], jax.Array]
    counts: tuple[int, ...] = ()


def categorical(num_actions: int) -> Head:
    """One of ``num_actions``, from logits; ``raw`` is the action itself, ``int32[]``.

    Raises:
        ValueError: if ``num_actions < 1``.
    """
    if num_actions < 1:
        raise ValueError(f"num_actions: expected at least 1, got {num_actions}")

    def of(outputs: jax.Array) -> Any:
        return distrax.Categorical(logits=outputs)

    return Head(
        num_actions,
        0,
        0.0,
        lambda key, outputs: of(outputs).sample(seed=key).astype(jnp.int32),
        lambda outputs, raw: of(outputs).log_prob(raw),
        lambda key, outputs: of(outputs).entropy(),
        lambda outputs: jnp.argmax(outputs).astype(jnp.int32),
        lambda raw: raw,
        (num_actions,),
    )


def categoricals(counts: tuple[int, ...]) -> Head:
    """Several discrete choices at once, independent given the observation; ``raw int32[A]``.

    Args:
        counts: how many options each of the ``A`` choices has; ``O`` is their sum.

    Raises:
        ValueError: without choices or with one that has no options.
    """
    if not counts or min(counts) < 1:
        raise ValueError(f"counts: expected at least 1 option for each choice, got {counts}")
    ends = np.cumsum(counts)[:-1].tolist()

    def each(outputs: jax.Array) -> list[Any]:
        return [distrax.Categorical(logits=part) for part in jnp.split(outputs, ends)]

    def sample(key: jax.Array, outputs: jax.Array) -> jax.Array:
        keys = jax.random.split(key, len(counts))
        drawn = [one.sample(seed=k) for one, k in zip(each(outputs), keys, strict=True)]
        return jnp.stack(drawn).astype(jnp.int32)

    def log_prob(outputs: jax.Array, raw: jax.Array) -> jax.Array:
        return sum(
            (one.log_prob(raw[place]) for place, one in enumerate(each(outputs))), jnp.zeros(())
        )

    return Head(
        sum(counts),
        0,
        0.0,
        sample,
        log_prob,
        lambda key, outputs: sum((one.entropy() for one in each(outputs)), jnp.zeros(())),
        lambda outputs: jnp.stack([jnp.argmax(one.logits) for one in each(outputs)]).astype(
            jnp.int32
        ),
        lambda raw: raw,
        tuple(counts),
    )


def gaussian(
    size: int,
    low: Any = -1.0,
    high: Any = 1.0,
    *,
    initial_std: float = 1.0,
    state_dependent: bool = False,
) -> Head:
    """A diagonal Gaussian around the outputs; the environment gets the action clipped to bounds.

    The outputs are in units of half the range: output 0 is the middle, ±1 the bounds.

    Args:
        size: ``A``.
        low: bounds, scalars or ``[A]``.
        high: likewise.
        initial_std: standard deviation to begin with, in the same units.
        state_dependent: the network gives the standard deviations too (``O = 2A``).

    Raises:
        ValueError: no actions, bounds that are not finite and increasing, or a standard deviation
            that is not positive.
    """
    middle, half = _bounds(size, low, high)
    scale = _check_std(initial_std)
    of = _normal(size, scale if state_dependent else 0.0)
    return Head(
        2 * size if state_dependent else size,
        0 if state_dependent else size,
        scale,
        lambda key, outputs: of(outputs).sample(seed=key),
        lambda outputs, raw: of(outputs).log_prob(raw),
        lambda key, outputs: of(outputs).entropy(),
        lambda outputs: outputs[:size],
        lambda raw: jnp.clip(raw, -1.0, 1.0) * half + middle,
    )


def squashed_gaussian(
    size: int,
    low: Any = -1.0,
    high: Any = 1.0,
    *,
    initial_std: float = 1.0,
    state_dependent: bool = False,
    std: str = "exp",
) -> Head:
    """``tanh`` of a diagonal Gaussian, stretched to the bounds; ``raw`` is the value before.

    Further arguments and errors as of :func:`gaussian`.

    Args:
        size: ``A``.
        low: bounds.
        high: likewise.
        initial_std: standard deviation before the ``tanh`` to begin with.
        state_dependent: the network gives the standard deviations too.
        std: how: ``"exp"`` of its output within ``SCALE_RANGE``, or ``"softplus"`` of its output,
            which is kept above -5.
    """
    middle, half = _bounds(size, low, high)
    scale = _check_std(initial_std)
    if std not in STDS:
        raise unknown("std", std, STDS)
    if std == "softplus":
        scale = math.log(math.expm1(initial_std))
    of = _normal(size, scale if state_dependent else 0.0, std)

    def stretch(raw: jax.Array) -> jax.Array:
        """``log |d action / d raw|``, finite however far ``raw`` is out."""
        slope = 2.0 * (math.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
        return jnp.sum(slope + np.log(half))

    def entropy(key: jax.Array, outputs: jax.Array) -> jax.Array:
        base = of(outputs)
        return base.entropy() + stretch(base.sample(seed=key))

    return Head(
        2 * size if state_dependent else size,
        0 if state_dependent else size,
        scale,
        lambda key, outputs: of(outputs).sample(seed=key),
        lambda outputs, raw: of(outputs).log_prob(raw) - stretch(raw),
        entropy,
        lambda outputs: outputs[:size],
        lambda raw: jnp.tanh(raw) * half + middle,
    )


def head_of(spec: specs.Array, *, squash: bool = True, **options: Any) -> Head:
    """The head that fits an environment's ``action_spec``.

    Args:
        spec: ``[N]`` or ``[N, A]`` discrete, or ``[N, A]`` bounded actions.
        squash: for bounded actions, squash instead of clipping.
        options: of :func:`gaussian`.

    Raises:
        ValueError: if agents have different numbers of actions, or another kind of spec.
    """
    if isinstance(spec, specs.MultiDiscreteArray) and len(spec.shape) == 1:
        counts = {int(n) for n in np.asarray(spec.num_values)}
        if len(counts) != 1:
            raise ValueError(f"spec: expected the same actions for all agents, got {spec}")
        return categorical(counts.pop())
    if isinstance(spec, specs.MultiDiscreteArray) and len(spec.shape) == 2:
        options_of = np.asarray(spec.num_values)
        if (options_of != options_of[:1]).any():
            raise ValueError(f"spec: expected the same actions for all agents, got {spec}")
        return categoricals(tuple(int(n) for n in options_of[0]))
    if isinstance(spec, specs.BoundedArray) and len(spec.shape) == 2:
        make = squashed_gaussian if squash else gaussian
        low = np.broadcast_to(np.asarray(spec.minimum), spec.shape)
        high = np.broadcast_to(np.asarray(spec.maximum), spec.shape)
        if (low != low[:1]).any() or (high != high[:1]).any():
            raise ValueError(f"spec: expected the same bounds for all agents, got {spec}")
        return make(spec.shape[1], low[0], high[0], **options)
    raise ValueError(f"spec: expected discrete [N] or bounded [N, A] actions, got {spec}")


def _normal(size: int, offset: float, std: str = "exp") -> Callable[[jax.Array], Any]:
    def of(outputs: jax.Array) -> Any:
        given = outputs[size:] + offset
        if std == "softplus":
            scale = jax.nn.softplus(jnp.maximum(given, SCALE_RANGE[0]))
        else:
            scale = jnp.exp(jnp.clip(given, *SCALE_RANGE))
        return distrax.Independent(distrax.Normal(outputs[:size], scale), 1)

    return of


def _bounds(size: int, low: Any, high: Any) -> tuple[Any, Any]:
    if size < 1:
        raise ValueError(f"size: expected at least one number per action, got {size}")
    low, high = (np.broadcast_to(np.asarray(x, np.float32), (size,)) for x in (low, high))
    if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise ValueError(f"low, high: expected finite increasing bounds, got {low}, {high}")
    return (low + high) / 2.0, (high - low) / 2.0


def _check_std(initial_std: float) -> float:
    if not math.isfinite(initial_std) or initial_std <= 0.0:
        raise ValueError(f"initial_std: expected a positive number, got {initial_std}")
    return math.log(initial_std)
