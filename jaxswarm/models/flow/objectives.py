"""Conditional flow matching and diffusion losses of one batch.

The noise of a sample is independent of its data (no optimal-transport coupling), so permuting a
batch together with its conditions and weights permutes the losses.

Shapes: ``B`` samples, ``...`` the shape of one sample.

References:
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2023.
    Ho, Salimans, Classifier-free diffusion guidance, 2022 (dropped conditions).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.models.flow.model import (
    Flow,
    check_condition,
    check_model,
    check_samples,
)
from jaxswarm.models.flow.paths import Path, check_path, check_times
from jaxswarm.models.flow.predictions import to_target
from jaxswarm.models.losses import weighted_mean
from jaxswarm.types import ArrayLike, Key, Params


class Noised(NamedTuple):
    """Data with noise at random times.

    Attributes:
        x: ``[B, ...]``, the points ``x_t``.
        t: ``float32[B]``, the times.
        noise: ``[B, ...]``, the noise that was mixed in.
        data: ``[B, ...]``, the data.
        velocity: ``[B, ...]``, the conditional velocity ``d x_t / d t``.
    """

    x: jax.Array
    t: jax.Array
    noise: jax.Array
    data: jax.Array
    velocity: jax.Array


def noised(key: Key, data: ArrayLike, path: Path, t: ArrayLike | None = None) -> Noised:
    """Mix independent Gaussian noise into data, at uniform random times unless they are given.

    Args:
        key: random key.
        data: ``[B, ...]``.
        path: the probability path.
        t: ``[B]`` or a number in ``[0, 1]``; drawn uniformly if ``None``.

    Raises:
        ValueError: for data without a batch axis or a concrete time outside ``[0, 1]``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import flow
        >>> state = flow.noised(jax.random.key(0), jnp.ones((3, 2)), flow.linear_path(), 1.0)
        >>> state.x.tolist()
        [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """
    noise_key, time_key = jax.random.split(checks.key(key))
    data = checks.numbers("data", data)
    check_path(path)
    if data.ndim < 1:
        raise ValueError(f"data: expected shape [B, ...], got {data.shape}")
    noise = flat(jax.random.normal, noise_key, data.shape, data.dtype)
    t = jax.random.uniform(time_key, data.shape[:1]) if t is None else check_times(t, len(data))
    return Noised(path.point(noise, data, t), t, noise, data, path.velocity(noise, data, t))


def losses_at(
    model: Flow, params: Params, state: Noised, condition: ArrayLike | None = None
) -> jax.Array:
    """Flow-matching loss of every sample at given noised points, ``[B]``.

    The squared error of the network's own prediction (velocity, noise, data or ``v``), averaged
    over features, in float32 at least.

    Args:
        model: the flow model.
        params: its parameters.
        state: the noised batch, from :func:`noised` with the model's path.
        condition: as :func:`losses`.

    Raises:
        ValueError: for shapes or conditions that do not fit the model.
    """
    check_model(model)
    checks.instance("state", state, Noised, "flow.noised(key, data, path)")
    predicted = model.predict(params, state.x, state.t, condition)
    if model.prediction == "velocity":
        target = state.velocity
    elif model.prediction == "noise":
        target = state.noise
    elif model.prediction == "data":
        target = state.data
    else:
        target = to_target(state.velocity, state.x, state.t, "velocity", "v", model.path)
    dtype = jnp.promote_types(predicted.dtype, jnp.float32)
    error = jnp.square(predicted.astype(dtype) - target.astype(dtype))
    return jnp.mean(error.reshape(len(error), -1), axis=-1)


def losses(
    model: Flow,
    params: Params,
    key: Key,
    data: ArrayLike,
    condition: ArrayLike | None = None,
    *,
    drop_rate: jax.Array | float = 0.0,
) -> jax.Array:
    """Conditional flow-matching loss of every sample at a random time, ``[B]``.

    Args:
        model: the flow model.
        params: its parameters.
        key: random key for the noise, the times and the dropped conditions.
        data: ``[B, ...]``.
        condition: ``int[B]`` or one integer in ``[0, num_classes]``; ``None`` for no condition;
            ``float[B, *condition_shape]`` of a model with real-valued conditions.
        drop_rate: probability in ``[0, 1]`` that a sample's condition is replaced by "no
            condition", for classifier-free guidance; 0 for a model without classes.

    Raises:
        ValueError: for shapes or conditions that do not fit the model, or a rate outside
            ``[0, 1]``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> params = model.init(jax.random.key(0))
        >>> flow.losses(model, params, jax.random.key(1), jnp.zeros((8, 2))).shape
        (8,)
    """
    check_model(model)
    state_key, drop_key = jax.random.split(checks.key(key))
    data = check_samples("data", data, model.shape)
    condition = check_condition(condition, len(data), model.num_classes, model.condition_shape)
    checks.probability("drop_rate", drop_rate)
    if model.num_classes is None and (checks.is_traced(drop_rate) or float(drop_rate) > 0):
        raise ValueError(f"drop_rate: expected 0 for a model without classes, got {drop_rate}")
    if condition is not None and model.num_classes is not None:
        dropped = jax.random.bernoulli(drop_key, drop_rate, condition.shape)
        condition = jnp.where(dropped, model.num_classes, condition)
    return losses_at(model, params, noised(state_key, data, model.path), condition)


def loss(
    model: Flow,
    params: Params,
    key: Key,
    data: ArrayLike,
    condition: ArrayLike | None = None,
    *,
    drop_rate: jax.Array | float = 0.0,
    weights: ArrayLike | None = None,
) -> jax.Array:
    """Weighted mean of the flow-matching losses of a batch, a scalar.

    Args:
        model: the flow model.
        params: its parameters.
        key: random key.
        data: ``[B, ...]``.
        condition: as :func:`losses`.
        drop_rate: as :func:`losses`.
        weights: ``[B]``, non-negative; samples of weight 0 have no influence, even if they are NaN,
            and without any other the loss is 0.

    Raises:
        ValueError: as :func:`losses`; for negative weights or ones of another shape.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> params = model.init(jax.random.key(0))
        >>> grads = jax.grad(
        ...     lambda params: flow.loss(model, params, jax.random.key(1), jnp.zeros((8, 2)))
        ... )(params)
        >>> jax.tree.structure(grads) == jax.tree.structure(params)
        True
    """
    check_model(model)
    data = check_samples("data", data, model.shape)
    if weights is not None:
        weights = jnp.asarray(checks.real("weights", weights, 0.0, shape=(len(data),)))
        kept = (weights > 0).reshape(weights.shape + (1,) * len(model.shape))
        data = jnp.where(kept, data, jnp.zeros((), data.dtype))
    return weighted_mean(losses(model, params, key, data, condition, drop_rate=drop_rate), weights)
