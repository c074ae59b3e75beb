"""Aggregation: everyone is drawn to everyone, and pushed off by those too near.

The centre never moves, and however the swarm starts it ends inside a ball whose radius does not
depend on how many there are.

Shapes: ``N`` agents, ``d`` dimensions.

References:
    V. Gazi, K. M. Passino, Stability analysis of swarms, 2003.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.space import Space, length, search
from jaxswarm.swarms.law import Law, check_numbers, everyone

_FAR = 1e9  # everyone sees everyone


class AggregationParams(NamedTuple):
    """Numbers of the law; all may be traced.

    Attributes:
        attraction: ``a``, linear in the distance.
        repulsion: ``b``, above ``a`` for a finite spacing.
        width: ``c``, the squared reach of the repulsion.
    """

    attraction: Any = 1.0
    repulsion: Any = 20.0
    width: Any = 0.2


class Still(NamedTuple):
    """Agents without momentum: ``positions [N, d]``, ``active bool[N]``."""

    positions: jax.Array
    active: jax.Array


class AggregationInfo(NamedTuple):
    """``radius []``, distance of the farthest from the centre; ``nonfinite int32[]``."""

    radius: jax.Array
    nonfinite: jax.Array


def aggregation(
    space: Space,
    num_agents: int,
    *,
    parameters: AggregationParams = AggregationParams(),  # noqa: B008
    dt: float | None = None,
) -> Law:
    """``x_i' = Σ_j (a − b e^{−|x_j − x_i|² / c}) (x_j − x_i)``, by Euler's rule.

    All pairs, as one matrix product.

    Args:
        space: open; agents start anywhere in its box.
        num_agents: ``N``.
        parameters: of the forces.
        dt: time step; ``0.2 / (N (a + b))`` if omitted, which is stable.

    Returns:
        A :class:`Law` over :class:`Still`.

    Raises:
        ValueError: a space with borders, negative numbers, a width or step that is not positive.
    """
    if space.boundary != "open":
        raise ValueError(f"space: expected an open boundary, got {space.boundary!r}")
    look = search(space, _FAR, num_agents, method="pairs")
    check_numbers(**parameters._asdict())
    if dt is None:
        strongest = float(jnp.max(parameters.attraction + jnp.asarray(parameters.repulsion)))
        dt = 0.2 / (num_agents * max(strongest, 1e-12))
    if not math.isfinite(dt) or dt <= 0.0:
        raise ValueError(f"dt: expected a positive finite time step, got {dt}")

    def init(key: jax.Array, active: Any = None) -> Still:
        places = space.uniform(agents.keys(key, num_agents))
        return Still(places, everyone(num_agents, active))

    def step(key: jax.Array, state: Still, given: Any = None) -> tuple[Still, AggregationInfo]:
        del key
        p = parameters if given is None else given

        def force(squared: jax.Array) -> jax.Array:
            return p.attraction - p.repulsion * jnp.exp(-squared / p.width)

        at = state.positions
        (pull, weight), report = look.sum(
            at, (at, jnp.ones(num_agents)), force, active=state.active
        )
        velocity = jnp.where(report.flagged[:, None], 0.0, pull - weight[:, None] * at)
        positions = jnp.where(state.active[:, None], at + dt * velocity, at)
        taking = state.active & ~report.flagged
        center = agents.mean(jnp.where(taking[:, None], positions, 0.0), taking)
        away = jnp.where(taking, length(positions - center[None, :]), 0.0)
        return Still(positions, state.active), AggregationInfo(jnp.max(away), report.nonfinite)

    return Law(init, step, parameters)


def swarm_radius(parameters: AggregationParams) -> jax.Array:
    """``(b / a) √(c / 2) e^{−1/2}``: nobody ends farther from the centre, whatever ``N`` is."""
    a, b, c = parameters
    return b / a * jnp.sqrt(c / 2.0) * math.exp(-0.5)
