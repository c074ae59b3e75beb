"""Flow models: a network with its path, number of classes and kind of prediction.

``t = 0`` is noise and ``t = 1`` is data. A model has no condition, a class (class ``num_classes``
stands for "no condition", which classifier-free guidance needs) or real numbers, such as the state
that a policy acts on.

Shapes: ``B`` samples, ``...`` the shape of one sample.

References:
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2023.
    Ho, Salimans, Classifier-free diffusion guidance, 2022.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.flow.paths import Path, check_path, check_times, linear_path
from jaxswarm.models.flow.predictions import PREDICTIONS, to_target
from jaxswarm.types import ArrayLike, Key, Params

Field = Callable[[jax.Array, jax.Array], jax.Array]
"""A velocity field ``field(x, t) -> velocity`` with ``x: [B, ...]`` and ``t: [B]``."""


class Flow(NamedTuple):
    """Pure functions of a flow model; ``vmap`` them over stacked parameters.

    Attributes:
        init: ``init(key) -> params``.
        velocity: ``velocity(params, x, t, condition=None) -> [B, ...]``, the velocity at
            ``x: [B, ...]`` and ``t: [B]`` in ``[0, 1]``. ``condition: int[B]`` (or one integer) in
            ``[0, num_classes]``; ``None`` means no condition. With ``condition_shape`` it is
            ``float[B, *condition_shape]``.
        shape: shape of one sample.
        num_classes: number of classes; ``None`` for a model without.
        path: the probability path.
        prediction: what the network predicts, one of ``flow.PREDICTIONS``.
        predict: ``predict(params, x, t, condition=None) -> [B, ...]``, the network's own output.
        condition_shape: shape of a real-valued condition; ``None`` for a model without.
    """

    init: Callable[[Key], Params]
    velocity: Callable[..., jax.Array]
    shape: tuple[int, ...]
    num_classes: int | None
    path: Path
    prediction: str
    predict: Callable[..., jax.Array]
    condition_shape: tuple[int, ...] | None = None


def from_network(
    module: nn.Module,
    shape: Sequence[int],
    *,
    num_classes: int | None = None,
    condition_shape: Sequence[int] | None = None,
    path: Path | None = None,
    prediction: str = "velocity",
    data_range: tuple[float, float] | None = None,
) -> Flow:
    """Turn a flax module ``module(x, t, condition)`` into a flow model.

    Args:
        module: a ``flax.linen`` module such as ``flow.MLP()``; its only variables are ``params``,
            its output has the shape of ``x``. It gets ``x: [B, ...]``, ``t: [B]`` and
            ``condition: int32[B]`` in ``[0, num_classes]``, ``float[B, *condition_shape]``, or
            ``None``.
        shape: shape of one sample, ``(2,)`` or ``(28, 28, 1)``.
        num_classes: number of classes of the condition, ``>= 1``; ``None`` for none.
        condition_shape: shape of a real-valued condition, instead of classes; ``()`` for a number.
        path: the probability path, linear by default.
        prediction: what the module predicts: ``"velocity"``, ``"noise"``, ``"data"`` or ``"v"``.
        data_range: smallest and largest value of the data, to which velocities clip a prediction
            of data ("static thresholding", C. Saharia et al., Photorealistic text-to-image
            diffusion models, 2022), so that samples of a network that extrapolates stay bounded;
            losses see the network's own prediction.

    Raises:
        ValueError: if the module cannot be applied to such a batch, has other variables, returns
            another shape or was built for another number of classes; for an unknown prediction.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> params = model.init(jax.random.key(0))
        >>> model.velocity(params, jnp.zeros((5, 2)), jnp.zeros(5)).shape
        (5, 2)
    """
    checks.instance("module", module, nn.Module, "flow.MLP()")
    shape, num_classes = check_shape(shape), check_num_classes(num_classes)
    condition_shape = _check_condition_shape(condition_shape, num_classes)
    own = getattr(module, "num_classes", num_classes)
    if own != num_classes:
        raise ValueError(f"num_classes: expected that of the module, {own}, got {num_classes}")
    example = jnp.zeros((1, *shape)), jnp.zeros(1)
    condition = None if num_classes is None else jnp.zeros(1, jnp.int32)
    if condition_shape is not None:
        condition = jnp.zeros((1, *condition_shape))

    def init_all(key: jax.Array) -> Any:
        return module.init(key, *example, condition)

    try:
        variables = jax.eval_shape(init_all, jax.random.key(0))
    except Exception as error:  # flax and jax raise many types for inputs that do not fit
        raise ValueError(
            f"module, shape: {type(module).__name__} cannot be applied as module(x, t, condition) "
            f"to samples of shape {shape}: {error}"
        ) from error
    if set(variables) != {"params"}:
        raise ValueError(f"module: expected variables in 'params' only, got {sorted(variables)}")

    def apply(params: Params, x: jax.Array, t: jax.Array, condition: jax.Array | None) -> jax.Array:
        return module.apply({"params": params}, x, t, condition)  # type: ignore[return-value]

    model = _build(
        lambda key: init_all(key)["params"],
        apply,
        shape,
        num_classes,
        condition_shape,
        path,
        prediction,
        data_range,
    )
    _check_output(model, variables["params"], "module")
    return model


def from_functions(
    init: Callable[[Key], Params],
    apply: Callable[..., jax.Array],
    shape: Sequence[int],
    *,
    num_classes: int | None = None,
    condition_shape: Sequence[int] | None = None,
    path: Path | None = None,
    prediction: str = "velocity",
    data_range: tuple[float, float] | None = None,
) -> Flow:
    """Turn functions ``init(key)`` and ``apply(params, x, t, condition)`` into a flow model.

    Args:
        init: ``init(key) -> params``.
        apply: ``apply(params, x, t, condition) -> [B, ...]`` with the shapes of
            :func:`from_network`.
        shape: shape of one sample.
        num_classes: number of classes of the condition, ``>= 1``; ``None`` for none.
        condition_shape: shape of a real-valued condition, instead of classes; ``()`` for a number.
        path: the probability path, linear by default.
        prediction: what ``apply`` predicts: ``"velocity"``, ``"noise"``, ``"data"`` or ``"v"``.
        data_range: as in :func:`from_network`.

    Raises:
        ValueError: for what is no function, an output of another shape than ``x``, sizes below 1 or
            an unknown prediction.
    """
    checks.function("init", init)
    checks.function("apply", apply)
    shape, num_classes = check_shape(shape), check_num_classes(num_classes)
    condition_shape = _check_condition_shape(condition_shape, num_classes)
    model = _build(init, apply, shape, num_classes, condition_shape, path, prediction, data_range)
    _check_output(model, jax.eval_shape(init, jax.random.key(0)), "apply")
    return model


def _build(
    init: Callable[[Key], Params],
    apply: Callable[..., jax.Array],
    shape: tuple[int, ...],
    num_classes: int | None,
    condition_shape: tuple[int, ...] | None,
    path: Path | None,
    prediction: str,
    data_range: tuple[float, float] | None,
) -> Flow:
    path = linear_path() if path is None else check_path(path)
    checks.choice("prediction", prediction, PREDICTIONS)
    if data_range is not None:
        _check_range(data_range, prediction)

    def predict(
        params: Params, x: ArrayLike, t: ArrayLike, condition: ArrayLike | None = None
    ) -> jax.Array:
        x, t, condition = inputs(x, t, condition)
        return output(params, x, t, condition)

    def velocity(
        params: Params, x: ArrayLike, t: ArrayLike, condition: ArrayLike | None = None
    ) -> jax.Array:
        x, t, condition = inputs(x, t, condition)
        value = output(params, x, t, condition)
        if prediction == "velocity":
            return value
        if data_range is not None:
            value = jnp.clip(value, *data_range)
        return to_target(value, x, t, prediction, "velocity", path)

    def output(
        params: Params, x: jax.Array, t: jax.Array, condition: jax.Array | None
    ) -> jax.Array:
        return apply(params, x, t, condition).astype(x.dtype)

    def inputs(
        x: ArrayLike, t: ArrayLike, condition: ArrayLike | None
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        x = check_samples("x", x, shape)
        condition = check_condition(condition, len(x), num_classes, condition_shape)
        return x, check_times(t, len(x)), condition

    return Flow(init, velocity, shape, num_classes, path, prediction, predict, condition_shape)


def _check_range(data_range: tuple[float, float], prediction: str) -> None:
    if prediction != "data":
        raise ValueError(f"data_range: expected none unless prediction='data', got {prediction!r}")
    if not isinstance(data_range, tuple) or len(data_range) != 2:
        raise ValueError(f"data_range: expected (low, high), got {checks.shown(data_range)}")
    low, high = (checks.real("data_range", bound) for bound in data_range)
    if not low < high:
        raise ValueError(f"data_range: expected low < high, got {data_range}")


def field(model: Flow, params: Params, condition: ArrayLike | None = None) -> Field:
    """Velocity field ``field(x, t)`` of a model with given parameters and condition.

    Args:
        model: the flow model.
        params: its parameters.
        condition: ``int[B]`` or one integer in ``[0, num_classes]``; ``None`` for no condition;
            ``float[B, *condition_shape]`` of a model with real-valued conditions.

    Raises:
        ValueError: if ``model`` is no :class:`Flow`; for a condition that it does not have.
    """
    check_model(model)
    if model.condition_shape is None:
        _check_classes(condition, model.num_classes)
    else:
        checks.numbers("condition", condition, (None, *model.condition_shape))
    return lambda x, t: model.velocity(params, x, t, condition)


def guided(model: Flow, params: Params, condition: ArrayLike, scale: ArrayLike) -> Field:
    """Velocity field of classifier-free guidance, ``scale · conditional + (1 − scale) · free``.

    Args:
        model: a conditional flow model, trained with a ``drop_rate`` above 0.
        params: its parameters.
        condition: ``int[B]`` or one integer in ``[0, num_classes]``.
        scale: guidance scale: 1 gives the conditional field, 0 the unconditional one, above 1
            extrapolates. Ho and Salimans write ``1 + w`` for it.

    Raises:
        ValueError: for an unconditional model, a condition out of range, or a scale that is not
            finite.
    """
    check_model(model)
    if model.num_classes is None:
        raise ValueError("model: expected a conditional flow model, got one without classes")
    if condition is None:
        raise ValueError(f"condition: expected classes in [0, {model.num_classes}], got None")
    _check_classes(condition, model.num_classes)
    scale = jnp.asarray(checks.real("scale", scale))

    def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
        conditional = model.velocity(params, x, t, condition)
        free = model.velocity(params, x, t, None)
        weight = scale.astype(conditional.dtype)
        return weight * conditional + (1 - weight) * free

    return velocity


def check_model(model: Flow) -> Flow:
    """Check that a value is a :class:`Flow` and return it.

    Raises:
        ValueError: if it is not.
    """
    return checks.instance("model", model, Flow, "flow.from_network(flow.MLP(), (2,))")


def check_shape(shape: Sequence[int], name: str = "shape") -> tuple[int, ...]:
    """Check the shape of one sample and return it as a tuple.

    Raises:
        ValueError: unless it is a sequence of at least one size of at least 1.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not len(shape):
        raise ValueError(f"{name}: expected a tuple such as (2,), got {checks.shown(shape)}")
    return tuple(checks.whole(name, size, 1) for size in shape)


def check_num_classes(num_classes: int | None) -> int | None:
    """Check a number of classes, ``None`` or at least 1, and return it.

    Raises:
        ValueError: for anything else.
    """
    return None if num_classes is None else checks.whole("num_classes", num_classes, 1)


def _check_condition_shape(
    condition_shape: Sequence[int] | None, num_classes: int | None
) -> tuple[int, ...] | None:
    if condition_shape is None:
        return None
    if num_classes is not None:
        raise ValueError(
            f"condition_shape: expected None beside num_classes={num_classes}, got "
            f"{checks.shown(condition_shape)}"
        )
    if isinstance(condition_shape, tuple) and not condition_shape:
        return ()
    return check_shape(condition_shape, "condition_shape")


def check_samples(name: str, x: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """Samples as a floating array ``[B, ...]`` of one shape.

    Raises:
        ValueError: for another shape.
    """
    return checks.numbers(name, x, (None, *shape))


def check_condition(
    condition: ArrayLike | None,
    batch: int,
    num_classes: int | None,
    condition_shape: tuple[int, ...] | None = None,
) -> jax.Array | None:
    """Condition of a batch as ``int32[B]``, class ``num_classes`` for ``None``, or as numbers.

    Raises:
        ValueError: for classes outside ``[0, num_classes]``, another shape, no real-valued
            condition of a model that has one, or a condition of an unconditional model.
    """
    if condition_shape is not None:
        return checks.numbers("condition", condition, (batch, *condition_shape))
    _check_classes(condition, num_classes)
    if num_classes is None:
        return None
    condition = num_classes if condition is None else condition
    if np.shape(condition) not in ((), (batch,)):
        raise ValueError(f"condition: expected shape ({batch},) or (), got {np.shape(condition)}")
    return jnp.broadcast_to(jnp.asarray(condition, jnp.int32), (batch,))


def _check_classes(condition: ArrayLike | None, num_classes: int | None) -> None:
    if condition is None:
        return
    if num_classes is None:
        raise ValueError(
            "condition: expected None, since the model has no classes, got "
            f"{checks.shown(condition)}"
        )
    checks.wholes("condition", condition, 0, num_classes)


def _check_output(model: Flow, params: Params, name: str) -> None:
    """Trace the model once, so that a wrong output shape is found when it is built."""
    x = jax.ShapeDtypeStruct((2, *model.shape), jnp.float32)
    t = jax.ShapeDtypeStruct((2,), jnp.float32)
    condition = None
    if model.condition_shape is not None:
        condition = jax.ShapeDtypeStruct((2, *model.condition_shape), jnp.float32)
    output = jax.eval_shape(model.predict, params, x, t, condition)
    if output.shape != x.shape:
        raise ValueError(f"{name}: expected an output of shape {x.shape}, got {output.shape}")
