"""Integration of velocity fields from noise to data: Euler, Heun and adaptive Bogacki–Shampine.

Shapes: ``B`` samples, ``...`` the shape of one sample.

References:
    Hairer, Nørsett, Wanner, Solving ordinary differential equations I, 1993.
    Bogacki, Shampine, A 3(2) pair of Runge–Kutta formulas, 1989.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.models.flow.model import Field, check_shape
from jaxswarm.models.flow.paths import over_features
from jaxswarm.types import ArrayLike, Key

METHODS = ("euler", "heun", "adaptive")
"""Integration methods: order 1, order 2, and an embedded pair of order 3(2)."""


def integrate(
    field: Field,
    x: ArrayLike,
    *,
    num_steps: int = 50,
    method: str = "euler",
    start: ArrayLike = 0.0,
    stop: ArrayLike = 1.0,
    tolerance: ArrayLike = 1e-3,
) -> jax.Array:
    """Integrate ``dx/dt = field(x, t)`` of every sample from ``start`` to ``stop``.

    Args:
        field: velocity field, ``field(x: [B, ...], t: [B]) -> [B, ...]``.
        x: ``[B, ...]``, the samples at time ``start``.
        num_steps: number of equal steps, ``>= 1``; with ``"adaptive"`` the most steps that a
            sample may take, rejected ones included.
        method: ``"euler"`` (one field evaluation a step), ``"heun"`` (two) or ``"adaptive"``
            (three).
        start: in ``[0, 1]``; 0 is noise.
        stop: in ``[0, 1]``; below ``start`` integrates backwards, from data to noise.
        tolerance: ``> 0``, bound of the error of one adaptive step, ``tolerance · (1 + |x|)``, root
            mean square over features. Steps are chosen for each sample by itself, so that no sample
            depends on the others of its batch.

    Returns:
        ``[B, ...]``, the samples at time ``stop``; NaN for samples whose adaptive integration took
        ``num_steps`` steps without reaching ``stop``. The adaptive method has no reverse-mode
        gradient.

    Raises:
        ValueError: for a number of steps below 1, an unknown method, or concrete times outside
            ``[0, 1]``; if the field returns another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.models import flow
        >>> end = flow.integrate(lambda x, t: -x, jnp.ones((1, 1)), method="heun")
        >>> round(float(end[0, 0]), 3)  # 1 / e
        0.368
    """
    num_steps, x, start, stop = _checked(field, num_steps, method, x, start, stop, tolerance)
    if method == "adaptive":
        return _adaptive(field, x, start, stop, num_steps, tolerance)
    step = _fixed_step(field, method, start, stop, num_steps)
    return jax.lax.scan(lambda x, i: (step(x, i), None), x, jnp.arange(num_steps))[0]


def trajectory(
    field: Field,
    x: ArrayLike,
    *,
    num_steps: int = 50,
    method: str = "euler",
    start: ArrayLike = 0.0,
    stop: ArrayLike = 1.0,
    tolerance: ArrayLike = 1e-3,
    substeps: int = 100,
) -> jax.Array:
    """Integrate as :func:`integrate` and return the samples at every time, the first included.

    Args:
        field: as :func:`integrate`.
        x: as :func:`integrate`.
        num_steps: number of equal intervals; ``"adaptive"`` integrates each by itself.
        method: as :func:`integrate`.
        start: as :func:`integrate`.
        stop: as :func:`integrate`.
        tolerance: as :func:`integrate`.
        substeps: most adaptive steps within one interval, ``>= 1``.

    Returns:
        ``[num_steps + 1, B, ...]`` at the times ``start + (stop − start) k / num_steps``.

    Raises:
        ValueError: as :func:`integrate`.
    """
    num_steps, x, start, stop = _checked(field, num_steps, method, x, start, stop, tolerance)
    substeps = checks.whole("substeps", substeps, 1)
    if method == "adaptive":
        width = (stop - start) / num_steps

        def step(x: jax.Array, i: jax.Array) -> jax.Array:
            first, last = start + i * width, start + (i + 1) * width
            return _adaptive(field, x, first, last, substeps, tolerance)

    else:
        step = _fixed_step(field, method, start, stop, num_steps)

    def advance(x: jax.Array, i: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = step(x, i)
        return x, x

    later = jax.lax.scan(advance, x, jnp.arange(num_steps))[1]
    return jnp.concatenate([x[None], later])


def sample(
    key: Key,
    field: Field,
    num_samples: int,
    shape: Sequence[int],
    *,
    num_steps: int = 50,
    method: str = "euler",
    tolerance: ArrayLike = 1e-3,
) -> jax.Array:
    """Draw Gaussian noise and integrate it to data, ``[num_samples, *shape]``.

    Args:
        key: random key of the noise.
        field: velocity field; a condition in it has ``num_samples`` entries.
        num_samples: ``>= 1``.
        shape: shape of one sample.
        num_steps: as :func:`integrate`.
        method: as :func:`integrate`.
        tolerance: as :func:`integrate`.

    Raises:
        ValueError: as :func:`integrate`; for sizes below 1.

    Example:
        >>> import jax
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> field = flow.field(model, model.init(jax.random.key(0)))
        >>> flow.sample(jax.random.key(1), field, 7, model.shape, num_steps=4).shape
        (7, 2)
    """
    num_samples = checks.whole("num_samples", num_samples, 1)
    noise = flat(jax.random.normal, checks.key(key), (num_samples, *check_shape(shape)))
    return integrate(field, noise, num_steps=num_steps, method=method, tolerance=tolerance)


def _checked(
    field: Field,
    num_steps: int,
    method: str,
    x: ArrayLike,
    start: ArrayLike,
    stop: ArrayLike,
    tolerance: ArrayLike,
) -> tuple[int, jax.Array, jax.Array, jax.Array]:
    checks.function("field", field)
    num_steps = checks.whole("num_steps", num_steps, 1)
    checks.choice("method", method, METHODS)
    x = checks.numbers("x", x)
    if not x.ndim:
        raise ValueError("x: expected shape [B, ...], got a single number")
    checks.probability("start", start)
    checks.probability("stop", stop)
    checks.real("tolerance", tolerance, above=0.0)
    dtype = jnp.promote_types(x.dtype, jnp.float32)  # half precision has too few times
    start, stop = jnp.asarray(start, dtype), jnp.asarray(stop, dtype)
    velocity = jax.eval_shape(field, x, jnp.broadcast_to(start, x.shape[:1]))
    if getattr(velocity, "shape", None) != x.shape:
        raise ValueError(
            f"field: expected a velocity of the shape of x, {x.shape}, got {checks.shown(velocity)}"
        )
    return num_steps, x, start, stop


def _fixed_step(field: Field, method: str, start: jax.Array, stop: jax.Array, num_steps: int):
    width = (stop - start) / num_steps

    def times(i: jax.Array, batch: int) -> jax.Array:
        return jnp.broadcast_to(start + i * width, (batch,))

    def step(x: jax.Array, i: jax.Array) -> jax.Array:
        change = width.astype(x.dtype)
        slope = field(x, times(i, len(x))).astype(x.dtype)
        ahead = x + change * slope
        if method == "euler":
            return ahead
        # Rounding may put the last time a little beyond the interval, where no path is defined.
        later = jnp.clip(times(i + 1, len(x)), jnp.minimum(start, stop), jnp.maximum(start, stop))
        return x + 0.5 * change * (slope + field(ahead, later).astype(x.dtype))

    return step


class _Progress(NamedTuple):
    x: jax.Array
    t: jax.Array
    width: jax.Array
    slope: jax.Array
    count: jax.Array


def _adaptive(
    field: Field,
    x: jax.Array,
    start: jax.Array,
    stop: jax.Array,
    num_steps: int,
    tolerance: ArrayLike,
) -> jax.Array:
    """Bogacki–Shampine 3(2) with a step width of its own for every sample."""
    total = jnp.broadcast_to(stop - start, x.shape[:1])
    sign = jnp.sign(total)
    first = jnp.broadcast_to(start, x.shape[:1])

    def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
        inside = jnp.clip(t, jnp.minimum(start, stop), jnp.maximum(start, stop))
        return field(x, inside).astype(x.dtype)

    def remaining(state: _Progress) -> jax.Array:
        return sign * (stop - state.t) > 0

    def step(state: _Progress) -> _Progress:
        active = remaining(state)
        width = sign * jnp.minimum(state.width, sign * (stop - state.t))
        h = over_features(width, x)
        k1 = state.slope
        k2 = velocity(state.x + 0.5 * h * k1, state.t + 0.5 * width)
        k3 = velocity(state.x + 0.75 * h * k2, state.t + 0.75 * width)
        ahead = state.x + h * (2 * k1 + 3 * k2 + 4 * k3) / 9
        k4 = velocity(ahead, state.t + width)
        difference = h * (-5 * k1 + 6 * k2 + 8 * k3 - 9 * k4) / 72
        scale = tolerance * (1 + jnp.maximum(jnp.abs(state.x), jnp.abs(ahead)))
        ratio = jnp.square(difference / scale).reshape(len(x), -1)
        error = jnp.sqrt(jnp.mean(ratio.astype(total.dtype), axis=-1))
        accepted = active & (error <= 1)
        factor = jnp.clip(0.9 * jnp.maximum(error, 1e-8) ** (-1 / 3), 0.2, 5.0)
        factor = jnp.where(jnp.isfinite(error), factor, 0.2)
        # The last step ends at `stop` exactly, whatever the rounding of the sum.
        last = state.width >= sign * (stop - state.t)
        arrived = jnp.where(last, stop, state.t + width)

        def choose(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(over_features(accepted, x).astype(bool), new, old)

        return _Progress(
            choose(ahead, state.x),
            jnp.where(accepted, arrived, state.t),
            jnp.where(active, jnp.abs(width) * factor, state.width),
            choose(k4, state.slope),
            state.count + 1,
        )

    begin = _Progress(x, first, jnp.abs(total) / 10, velocity(x, first), jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(
        lambda state: (state.count < num_steps) & jnp.any(remaining(state)), step, begin
    )
    unfinished = over_features(remaining(end), x).astype(bool)
    return jnp.where(unfinished, jnp.nan, end.x)
