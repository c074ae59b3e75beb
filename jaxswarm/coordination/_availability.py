"""Availability of workers per round, from a fault plan of :mod:`jaxswarm.network`.

Shapes: ``T`` rounds, ``M`` workers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.network import FaultPlan, replay


class Availability(NamedTuple):
    """Availability tables of a fault plan.

    Attributes:
        alive: ``bool[T, M]``; false for a crashed worker, which does not answer (a visible fault).
        working: ``bool[T, M]``; false for a crashed worker and for a resting one, which answers
            with wrong results (a silent fault).
    """

    alive: jax.Array
    working: jax.Array


def availability(plan: FaultPlan, rounds: int) -> Availability:
    """Unroll a fault plan of crashes (``crash``, ``leave``) and silent failures (``rest``).

    Args:
        plan: of ``network.fault_plan`` over the workers.
        rounds: ``T``, at least 1.

    Raises:
        ValueError: if ``rounds < 1``, or the plan cuts links.
    """
    checks.instance("plan", plan, FaultPlan, "network.fault_plan([(3, 'crash', 0)], 8)")
    rounds = checks.whole("rounds", rounds, 1)
    if "delivered" in plan.fields:
        raise ValueError("plan: expected events of workers only, got events of links")
    process = replay(plan)

    def body(state: Any, index: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        state, now = process.step(jax.random.key(0), state, index)
        up = jnp.ones(plan.num_agents, bool)
        alive = up if now.alive is None else now.alive
        works = up if now.participates is None else now.participates
        return state, (alive, alive & works)

    _, tables = jax.lax.scan(body, process.init(), jnp.arange(rounds))
    return Availability(*tables)
