"""Activations of hidden units on data, and their correlation between two networks.

Shapes: ``D`` units of a group, ``B`` samples of a batch, ``R`` rows: samples, times pixels for a
convolution.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.checks import is_traced
from jaxswarm.learning.matching.spec import NORM_MODULES, hidden_layers
from jaxswarm.models import ACTIVATIONS, CNN, MLP
from jaxswarm.types import Params, PyTree

Features = Callable[[Params, PyTree, jax.Array], dict[str, jax.Array]]
"""``features(params, stats, x) -> {group: [..., D]}`` of one agent on ``x: [B, ...]``.

Axes before the last are rows. ``stats`` is ``{}`` for a network without normalisation statistics.
"""

SMALLEST_DEVIATION = 1e-7
"""Standard deviation up to which a unit counts as constant: its correlations are 0."""
ROUNDING = 1e-6
"""Share of a unit's mean up to which its standard deviation counts as float32 rounding."""


class Moments(NamedTuple):
    """Joint centred moments of two sets of units over the rows so far, in float32.

    Attributes:
        count: ``float32[]``, rows.
        mean_x: ``[D]``.
        mean_y: ``[D]``.
        square_x: ``[D]``, ``Σ (x − mean)²``.
        square_y: ``[D]``.
        product: ``[D, D]``, ``Σ (x − mean)(y − mean)ᵀ``.
    """

    count: jax.Array
    mean_x: jax.Array
    mean_y: jax.Array
    square_x: jax.Array
    square_y: jax.Array
    product: jax.Array

    @classmethod
    def empty(cls, size: int) -> "Moments":
        """Moments of no rows, for ``size`` units on either side."""
        vector = jnp.zeros(size)
        return cls(jnp.zeros(()), vector, vector, vector, vector, jnp.zeros((size, size)))

    def add(self, x: jax.Array, y: jax.Array) -> "Moments":
        """Add the rows of one batch, ``x`` and ``y: [..., D]``.

        Means are merged rather than sums of squares, so a large common offset costs no accuracy.
        """
        x, y = _rows(x), _rows(y)
        rows = x.shape[0]
        new_x, new_y = jnp.mean(x, axis=0), jnp.mean(y, axis=0)
        x, y = x - new_x[None, :], y - new_y[None, :]
        count = self.count + rows
        shift_x, shift_y = new_x - self.mean_x, new_y - self.mean_y
        weight = self.count * rows / count
        return Moments(
            count,
            self.mean_x + shift_x * (rows / count),
            self.mean_y + shift_y * (rows / count),
            self.square_x + jnp.sum(jnp.square(x), axis=0) + weight * jnp.square(shift_x),
            self.square_y + jnp.sum(jnp.square(y), axis=0) + weight * jnp.square(shift_y),
            self.product + x.T @ y + weight * shift_x[:, None] * shift_y[None, :],
        )

    def correlation(self) -> jax.Array:
        """Correlation ``[D, D]`` in ``[-1, 1]``: rows are units of ``x``, columns of ``y``.

        A unit that does not vary, or that is not finite, has correlation 0 with every other.
        """
        rows = jnp.maximum(self.count, 1.0)
        inverse_x = _inverse_deviation(self.square_x / rows, self.mean_x)
        inverse_y = _inverse_deviation(self.square_y / rows, self.mean_y)
        scaled = self.product / rows * inverse_x[:, None] * inverse_y[None, :]
        defined = (inverse_x > 0)[:, None] & (inverse_y > 0)[None, :] & jnp.isfinite(scaled)
        return jnp.where(defined, jnp.clip(scaled, -1.0, 1.0), 0.0)


def cross_correlation(batches: Iterable[tuple[Any, Any]]) -> jax.Array:
    """Correlation ``[D, D]`` between two networks' units, streamed over batches (host loop).

    Args:
        batches: pairs ``x, y``, both ``[..., D]`` over the same rows.

    Raises:
        ValueError: without a batch or with an empty one, on shapes that do not agree, or on NaN.
    """
    moments = None
    for x, y in batches:
        for name, features in (("x", x), ("y", y)):
            if is_traced(features):
                continue
            if not np.isfinite(checks.as_array(name, features, "numbers [..., D]")).all():
                raise ValueError(f"{name}: expected finite features, got NaN or infinity")
        shape = jnp.shape(x)
        if shape != jnp.shape(y) or not shape or 0 in shape:
            raise ValueError(
                f"x, y: expected equal shapes [..., D] of at least one row, got {shape} and "
                f"{jnp.shape(y)}"
            )
        if moments is None:
            moments = Moments.empty(shape[-1])
        elif moments.mean_x.shape[0] != shape[-1]:
            raise ValueError(
                f"x, y: expected {moments.mean_x.shape[0]} units as in the first batch, "
                f"got {shape[-1]}"
            )
        moments = moments.add(jnp.asarray(x), jnp.asarray(y))
    if moments is None:
        raise ValueError("batches: expected at least one batch to match on, got none")
    return moments.correlation()


def captured_features(
    module: nn.Module,
    where: Mapping[str, str | tuple[str, ...]],
    activation: Callable[[jax.Array], jax.Array] | None = None,
) -> Features:
    """Features of a flax network, captured from the outputs of its submodules.

    Args:
        module: called as ``module(x, train=False)``.
        where: group to the path of the submodule whose output holds its units on the last axis,
            such as ``"Dense_0"`` or ``"block/Conv_1"``. The outputs of several paths (a residual
            stream) are concatenated.
        activation: applied to each output first, for example ``nn.relu``.

    Raises:
        ValueError: if ``where`` is empty; while tracing, if a path names no submodule.
    """
    checks.instance("module", module, nn.Module, "models.mlp(128, 10)")
    checks.instance("where", where, Mapping)
    if activation is not None:
        checks.function("activation", activation)
    if not where:
        raise ValueError("where: expected at least one group of units, got none")
    paths = {
        group: tuple(tuple(p.split("/")) for p in ((named,) if isinstance(named, str) else named))
        for group, named in where.items()
    }
    wanted = {path for group in paths.values() for path in group}

    def features(params: Params, stats: PyTree, x: jax.Array) -> dict[str, jax.Array]:
        variables = {"params": params} | ({"batch_stats": stats} if stats else {})
        _, state = module.apply(
            variables,
            x,
            train=False,
            capture_intermediates=lambda part, method: method == "__call__" and part.path in wanted,
            mutable=["intermediates"],
        )
        outputs = {}
        for group, named in paths.items():
            captured = state.get("intermediates", {})
            rows = [_rows(_read(captured, path, group)) for path in named]
            rows = rows if activation is None else [activation(part) for part in rows]
            outputs[group] = rows[0] if len(rows) == 1 else jnp.concatenate(rows)
        return outputs

    return features


def features_of(module: nn.Module, *, activated: bool = True) -> Features:
    """Hidden activations of ``models.mlp`` and ``models.cnn``, by group of ``permutation_spec``.

    Args:
        module: the flax module.
        activated: take outputs after the activation (before any pooling), where a rectified unit
            that never fires is constant; otherwise before it, after any normalisation.

    Raises:
        ValueError: for another kind of module (see :func:`captured_features`).
    """
    if not isinstance(module, MLP | CNN):
        raise ValueError(
            "module: expected one of models.mlp or models.cnn, got "
            f"{type(module).__name__}; name its submodules with captured_features(module, where)"
        )
    norm = NORM_MODULES.get(module.norm)
    layers = hidden_layers(module)
    where = {name: f"{norm}_{i}" if norm else name for i, name in enumerate(layers)}
    return captured_features(module, where, ACTIVATIONS[module.activation] if activated else None)


def _rows(x: jax.Array) -> jax.Array:
    x = jnp.asarray(x)
    return x.reshape(-1, x.shape[-1]).astype(jnp.float32)


def _read(captured: Any, path: tuple[str, ...], group: str) -> jax.Array:
    for step in (*path, "__call__"):
        if step not in captured:
            raise ValueError(f"where: group {group!r}: no submodule {'/'.join(path)!r} was called")
        captured = captured[step]
    return captured[0]


def _inverse_deviation(variance: jax.Array, mean: jax.Array) -> jax.Array:
    """``1 / standard deviation``, 0 where it is no more than rounding of the mean."""
    deviation = jnp.sqrt(variance)
    least = jnp.maximum(SMALLEST_DEVIATION, ROUNDING * jnp.abs(mean))
    varies = deviation > least
    return jnp.where(varies, 1.0 / jnp.where(varies, deviation, 1.0), 0.0)
