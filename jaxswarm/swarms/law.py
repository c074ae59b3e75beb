"""What all laws of motion share: the pair ``(init, step)`` and the state of a moving swarm.

Shapes: ``N`` agents, ``d`` dimensions.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxswarm import agents
from jaxswarm.space import Space, length


class Law(NamedTuple):
    """A law of motion, run by ``simulate`` or ``rollout`` like any algorithm.

    Attributes:
        init: ``init(key, active=None) -> state``.
        step: ``step(key, state, parameters=None) -> (state, info)``; the parameters given when the
            law was made are used if none are passed. They are a pytree of numbers: pass them as
            ``inputs``, sweep them by ``vmap``.
        parameters: the defaults.
    """

    init: Callable[..., Any]
    step: Callable[..., tuple[Any, Any]]
    parameters: Any


class Swarm(NamedTuple):
    """Agents that move.

    Attributes:
        positions: ``[N, d]``.
        velocities: ``[N, d]``.
        active: ``bool[N]``; the others stand still and nobody sees them.
    """

    positions: jax.Array
    velocities: jax.Array
    active: jax.Array


class SwarmInfo(NamedTuple):
    """What a step shows.

    Attributes:
        polarisation: ``[]``, length of the mean direction, 0 to 1.
        overflow: ``int32[]``, see :class:`jaxswarm.space.Report`.
        nonfinite: ``int32[]``, agents at a NaN or infinite position.
    """

    polarization: jax.Array
    overflow: jax.Array
    nonfinite: jax.Array


def everyone(n: int, active: Any) -> jax.Array:
    """The mask ``bool[N]``, all true by default.

    Raises:
        ValueError: zero agents, or a mask of another shape.
    """
    if n < 1:
        raise ValueError(f"num_agents: expected at least 1, got {n}")
    mask = jnp.ones(n, bool) if active is None else jnp.asarray(active, bool)
    if mask.shape != (n,):
        raise ValueError(f"active: expected shape ({n},), got {mask.shape}")
    return mask


def scattered(key: jax.Array, space: Space, n: int, speed: Any, active: Any) -> Swarm:
    """Agents anywhere in the box, going anywhere at one speed."""
    mask = everyone(n, active)
    places, ways = jax.random.split(key)
    direction = normals(ways, n, space.dimensions)
    velocities = speed * direction / jnp.maximum(length(direction), 1e-12)[:, None]
    return Swarm(space.uniform(agents.keys(places, n)), velocities, mask)


def normals(key: jax.Array, n: int, dimensions: int) -> jax.Array:
    """``[N, d]`` standard normal numbers, every agent from its own stream."""
    return jax.vmap(lambda k: jax.random.normal(k, (dimensions,)))(agents.keys(key, n))


def limited(vectors: jax.Array, most: Any) -> jax.Array:
    """``[N, d]`` shortened to at most a length, direction kept."""
    size = length(vectors)
    return vectors * jnp.where(size > most, most / jnp.where(size > most, size, 1.0), 1.0)[:, None]


def check_numbers(**numbers: Any) -> None:
    """Refuse negative or non-finite numbers by name; traced ones pass.

    Raises:
        ValueError: naming the first bad one.
    """
    for name, value in numbers.items():
        if isinstance(value, Tracer):
            continue
        if not bool(jnp.all(jnp.isfinite(jnp.asarray(value)) & (jnp.asarray(value) >= 0.0))):
            raise ValueError(f"{name}: expected finite and not negative, got {value}")


def check_speed(speed: Any, dt: float, radius: float) -> None:
    """Refuse a step longer than the radius, with which agents jump over each other.

    Raises:
        ValueError: on a known speed that is too high, or a ``dt`` that is not positive.
    """
    if not math.isfinite(dt) or dt <= 0.0:
        raise ValueError(f"dt: expected a positive finite time step, got {dt}")
    if not isinstance(speed, Tracer) and float(jnp.max(jnp.asarray(speed))) * dt > radius:
        raise ValueError(
            f"speed: {speed} times dt {dt} is more than the radius {radius}, the width of a cell: "
            "agents would jump over each other; lower the speed or dt"
        )
