"""A critic of noised states: the expected reward of the sample that a state belongs to.

Shapes: ``B`` samples of a batch, ``...`` the shape of one sample.
"""

from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.types import Key, Params


class ValueFn(Protocol):
    """``value(params, x [B, ...], t [B], condition [B, ...] or None) -> float[B]``."""

    def __call__(
        self, params: Params, x: jax.Array, t: jax.Array, condition: jax.Array | None
    ) -> jax.Array: ...


class Critic(NamedTuple):
    """A critic ``V(x_t, t, condition)``, the counterpart of a flow.

    Attributes:
        init: ``init(key) -> params``.
        value: ``value(params, x, t, condition) -> float[B]``.
    """

    init: Any
    value: ValueFn


class CriticMLP(nn.Module):
    """Multilayer perceptron from a noised state, its time and its condition to one value.

    Attributes:
        widths: units of the hidden layers.
        num_classes: number of classes of the condition; index ``num_classes`` stands for no
            condition. ``None`` for none, or for a condition of real numbers ``[B, ...]``.
        num_frequencies: sines and cosines of the time that the network gets.
    """

    widths: tuple[int, ...] = (64, 64)
    num_classes: int | None = None
    num_frequencies: int = 4

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """Compute the values ``[B]`` of states ``[B, ...]`` at times ``[B]``."""
        angles = jnp.pi * t[:, None] * jnp.arange(1, self.num_frequencies + 1)[None, :]
        features = [x.reshape(x.shape[0], -1), t[:, None], jnp.sin(angles), jnp.cos(angles)]
        if self.num_classes is not None:
            index = jnp.full(x.shape[:1], self.num_classes) if condition is None else condition
            features.append(nn.Embed(self.num_classes + 1, 8)(index))
        elif condition is not None:
            features.append(condition.reshape(x.shape[0], -1))
        hidden = jnp.concatenate(features, axis=-1)
        for width in self.widths:
            hidden = nn.silu(layers.Dense(width)(hidden))
        # The first values are 0: the advantage is the shaped reward until the critic learns.
        return layers.Dense(1, kernel_init=nn.initializers.zeros)(hidden)[:, 0]


def critic_from_network(
    module: nn.Module,
    shape: tuple[int, ...],
    *,
    num_classes: int | None = None,
    condition_shape: tuple[int, ...] | None = None,
) -> Critic:
    """Make a critic of a flax module that is called ``module(x, t, condition)``.

    Args:
        module: returns ``[B]`` for ``x [B, *shape]``, ``t [B]`` and the condition or ``None``.
        shape: of one sample.
        num_classes: number of classes of the condition; ``None`` for a critic without.
        condition_shape: shape of a condition of real numbers; ``None`` for a critic without.

    Raises:
        ValueError: for a wrong argument, or a module that does not return ``[B]``.

    Example:
        >>> critic = critic_from_network(CriticMLP((8,)), (2,))
        >>> params = critic.init(jax.random.key(0))
        >>> critic.value(params, jnp.zeros((3, 2)), jnp.zeros(3), None).shape
        (3,)
    """
    checks.instance("module", module, nn.Module, "generative.CriticMLP()")
    shape = _sizes("shape", shape)
    if num_classes is not None:
        num_classes = checks.whole("num_classes", num_classes, 1)
    if condition_shape is not None:
        condition_shape = _sizes("condition_shape", condition_shape)

    def example() -> tuple[jax.Array, jax.Array, jax.Array | None]:
        condition = None if num_classes is None else jnp.zeros(2, jnp.int32)
        if condition_shape is not None:
            condition = jnp.zeros((2, *condition_shape))
        return jnp.zeros((2, *shape)), jnp.zeros(2), condition

    def init(key: Key) -> Params:
        return module.init(checks.key(key), *example())

    def value(params: Params, x: jax.Array, t: jax.Array, condition: jax.Array | None) -> jax.Array:
        return module.apply(params, x, t, condition)  # type: ignore[return-value]

    found = jax.eval_shape(
        lambda key: value(init(key), *example()), jax.eval_shape(lambda: jax.random.key(0))
    )
    if getattr(found, "shape", None) != (2,):
        raise ValueError(
            "module: expected one value for each sample, shape (2,) for a batch of two, got "
            f"{checks.shown(found)}"
        )
    return Critic(init, value)


def _sizes(name: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list):
        raise ValueError(
            f"{name}: expected a tuple of sizes such as (2,), got {checks.shown(shape)}"
        )
    return tuple(checks.whole(name, size, 1) for size in shape)
