"""The contract of a model of collective motion, its common states, and shared checks.

Shapes: ``N`` agents, ``d`` dimensions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.space import Report, Space, length
from jaxswarm.swarms.order import polarization

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
        nonfinite: ``int32[]``, active agents with a NaN or infinite number in their state after the
            step.
    """

    polarization: jax.Array
    overflow: jax.Array
    nonfinite: jax.Array


def swarm_info(after: Swarm, report: Report) -> SwarmInfo:
    """Measurements of a step from the state after it and the search's report."""
    bad = count_nonfinite(after.active, after.positions, after.velocities)
    return SwarmInfo(polarization(after.velocities, after.active), report.overflow, bad)


def active_mask(n: int, active: ArrayLike | None) -> jax.Array:
    """Validated mask ``bool[N]`` of the agents that take part, all true by default.

    Raises:
        ValueError: for a mask of another shape or dtype.
    """
    if active is None:
        return jnp.ones(n, bool)
    return jnp.asarray(checks.mask("active", active, (n,)))


def count_nonfinite(active: jax.Array, *parts: jax.Array | None) -> jax.Array:
    """Number ``int32[]`` of active agents with a NaN or infinity in a part ``[N, ...]``."""
    bad = jnp.zeros(active.shape, bool)
    for part in parts:
        if part is not None:
            finite = jnp.isfinite(part).reshape(len(active), -1)
            bad = bad | ~jnp.all(finite, axis=1)
    return jnp.sum(bad & active, dtype=jnp.int32)


def random_swarm(
    key: jax.Array, space: Space, n: int, speed: Number, active: ArrayLike | None
) -> Swarm:
    """Agents at uniform random positions with uniform random directions, all at one speed."""
    checks.key(key)
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
        ValueError: naming what came.
    """
    checks.instance("space", space, Space, "Space((1.0, 1.0))")


def check_numbers(**numbers: Number) -> None:
    """Refuse what is no finite number of at least 0, by name; values of traced ones pass.

    Raises:
        ValueError: naming the first bad one.
    """
    for name, value in numbers.items():
        checks.real(name, value, 0.0)


def check_step(dt: float, most: float = float("inf"), why: str = "") -> None:
    """Refuse a time step that is not positive and finite, or longer than ``most``.

    Raises:
        ValueError: naming ``dt``.
    """
    checks.real("dt", checks.concrete("dt", dt), above=0.0)
    if float(dt) > most:
        raise ValueError(f"dt: expected at most {most:g}, {why}, got {dt}")


def check_speed(speed: Number, dt: float, radius: float) -> None:
    """Refuse a displacement per step longer than the radius: agents would pass through each other.

    Raises:
        ValueError: if a speed that is not traced is too high, or ``dt`` is not positive.
    """
    check_step(dt)
    checks.real("speed", speed, 0.0)
    if not checks.is_traced(speed) and float(speed) * dt > radius:
        raise ValueError(
            f"speed: expected at most radius / dt = {radius / dt:g}, got {speed}; agents would "
            "pass through each other within one step: lower speed or dt"
        )
