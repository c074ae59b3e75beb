"""The contract of a model of collective motion, its common states, and shared checks.

Shapes: ``N`` agents, ``d`` dimensions.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxswarm import agents
from jaxswarm.space import Space, length
from jaxswarm.types import PyTree

Number: TypeAlias = float | jax.Array
"""A physical parameter; may be traced."""


class Dynamics(NamedTuple):
    """A model of collective motion: pure functions ``(init, step)`` and default parameters.

    ``jaxswarm.simulate`` and ``jaxswarm.rollout`` run ``step`` as they run any algorithm.

    Attributes:
        init: ``init(key, active=None) -> state``; ``active: bool[N]`` says which agents take part.
        step: ``step(key, state, parameters=None) -> (state, info)``; without ``parameters`` the
            defaults are used. They are a pytree of numbers: pass them as ``inputs`` of
            ``simulate``, sweep them by ``vmap``.
        parameters: the defaults, for instance a :class:`jaxswarm.swarms.VicsekParams`.
    """

    init: Callable[..., Any]
    step: Callable[..., tuple[Any, Any]]
    parameters: Any


class Swarm(NamedTuple):
    """The state of agents with a position and a velocity.

    Attributes:
        positions: ``[N, d]``.
        velocities: ``[N, d]``.
        active: ``bool[N]``; inactive agents do not move and are ignored by all others.
    """

    positions: jax.Array
    velocities: jax.Array
    active: jax.Array


class SwarmInfo(NamedTuple):
    """Measurements of one step.

    Attributes:
        polarization: ``[]``, length of the mean direction of motion, in ``[0, 1]``.
        overflow: ``int32[]``, see :class:`jaxswarm.space.Report`.
        nonfinite: ``int32[]``, number of agents at a NaN or infinite position.
    """

    polarization: jax.Array
    overflow: jax.Array
    nonfinite: jax.Array


def active_mask(n: int, active: ArrayLike | None) -> jax.Array:
    """Validated mask ``bool[N]`` of the agents that take part, all true by default.

    Raises:
        ValueError: for zero agents, or a mask of another shape.
    """
    if n < 1:
        raise ValueError(f"num_agents: expected at least 1, got {n}")
    mask = jnp.ones(n, bool) if active is None else jnp.asarray(active, bool)
    if mask.shape != (n,):
        raise ValueError(f"active: expected shape ({n},), got {mask.shape}")
    return mask


def random_swarm(
    key: jax.Array, space: Space, n: int, speed: Number, active: ArrayLike | None
) -> Swarm:
    """Agents at uniform random positions with uniform random directions, all at one speed."""
    mask = active_mask(n, active)
    position_key, direction_key = jax.random.split(key)
    direction = normals(direction_key, n, space.dimensions)
    velocities = speed * direction / jnp.maximum(length(direction), 1e-12)[:, None]
    return Swarm(space.uniform(agents.keys(position_key, n)), velocities, mask)


def normals(key: jax.Array, n: int, dimensions: int) -> jax.Array:
    """``[N, d]`` standard normal numbers; agent ``i`` draws from ``fold_in(key, i)``."""
    return jax.vmap(lambda k: jax.random.normal(k, (dimensions,)))(agents.keys(key, n))


def clip_length(vectors: jax.Array, maximum: Number) -> jax.Array:
    """``[N, d]`` vectors shortened to at most ``maximum``, with their direction kept."""
    size = length(vectors)
    scale = jnp.where(size > maximum, maximum / jnp.where(size > maximum, size, 1.0), 1.0)
    return vectors * scale[:, None]


def check_space(space: Space) -> None:
    """Refuse anything but a :class:`jaxswarm.space.Space`.

    Raises:
        ValueError: naming the type that came.
    """
    if not isinstance(space, Space):
        raise ValueError(
            "space: expected a jaxswarm.space.Space such as Space((1.0, 1.0)), got "
            f"{type(space).__name__}"
        )


def check_numbers(**numbers: PyTree) -> None:
    """Refuse negative or non-finite numbers by name; traced ones are not checked.

    Raises:
        ValueError: naming the first bad one.
    """
    for name, value in numbers.items():
        if isinstance(value, Tracer):
            continue
        if not bool(jnp.all(jnp.isfinite(jnp.asarray(value)) & (jnp.asarray(value) >= 0.0))):
            raise ValueError(f"{name}: expected finite and not negative, got {value}")


def check_step(dt: float) -> None:
    """Refuse a time step that is not positive and finite.

    Raises:
        ValueError: naming ``dt``.
    """
    if not math.isfinite(dt) or dt <= 0.0:
        raise ValueError(f"dt: expected a positive finite time step, got {dt}")


def check_speed(speed: Number, dt: float, radius: float) -> None:
    """Refuse a displacement per step longer than the radius: agents would pass through each other.

    Raises:
        ValueError: if a speed that is not traced is too high, or ``dt`` is not positive.
    """
    check_step(dt)
    if not isinstance(speed, Tracer) and float(jnp.max(jnp.asarray(speed))) * dt > radius:
        raise ValueError(
            f"speed: expected at most radius / dt = {radius / dt:g}, got {speed}; agents would "
            "pass through each other within one step: lower speed or dt"
        )
