"""Who is online, joins and leaves in every round, from a fault plan.

Shapes: ``T`` rounds, ``N`` nodes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.network.faults import FaultPlan
from jaxswarm.systems.modest.views import check_present


class Membership(NamedTuple):
    """What happens to the nodes, to be passed to a step as its inputs.

    Attributes:
        online: ``bool[T + 1, N]``, who answers at the beginning of each round and after the last.
        joins: ``bool[T, N]``, who announces itself in a round: joiners, and those who recover, as
            others may have forgotten them.
        leaves: ``bool[T, N]``, who says goodbye in a round (and is offline from the next on).
        in_flight: ``bool[]``: crashes before round ``t + 1`` strike while models of round ``t`` are
            on their way; otherwise they strike between rounds.
    """

    online: jax.Array
    joins: jax.Array
    leaves: jax.Array
    in_flight: jax.Array


def always_online(rounds: int, num_nodes: int) -> Membership:
    """Nothing ever happens."""
    nothing = jnp.zeros((rounds, num_nodes), bool)
    return Membership(
        jnp.ones((rounds + 1, num_nodes), bool), nothing, nothing, jnp.zeros((), bool)
    )


def membership(
    plan: FaultPlan, rounds: int, *, present: Any = None, in_flight: bool = False
) -> Membership:
    """The schedule of a plan's ``crash``, ``recover``, ``leave`` and ``join`` events.

    A node that joins or recovers answers from that round on and announces itself in it; one that
    leaves announces that in its last round, the one before the event.

    Args:
        plan: links and stragglers it speaks of are ignored.
        rounds: ``T``.
        present: ``bool[N]``, who is online from the start; all but those who join before doing
            anything else if omitted.
        in_flight: see :class:`Membership`.

    Raises:
        ValueError: if ``rounds < 1``, a node leaves in round 0, or ``present`` is not ``[N]``.
    """
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")
    n = plan.num_agents
    events = [event for event in plan.events() if event[1] in ("crash", "recover", "leave", "join")]
    if present is None:
        first: dict[int, str] = {}
        for _, kind, node in events:
            first.setdefault(node, kind)
        there = np.array([first.get(node) != "join" for node in range(n)])
    else:
        there = np.asarray(check_present(n, present))
    online = np.tile(there, (rounds + 1, 1))
    joins, leaves = np.zeros((rounds, n), bool), np.zeros((rounds, n), bool)
    for time, kind, node in events:
        if time > rounds:
            break
        online[time:, node] = kind in ("recover", "join")
        if kind in ("join", "recover") and time < rounds:
            joins[time, node] = True
        if kind == "leave":
            if time == 0:
                raise ValueError(f"plan: node {node} leaves in round 0, before it was there")
            leaves[time - 1, node] = True
    return Membership(
        jnp.asarray(online), jnp.asarray(joins), jnp.asarray(leaves), jnp.asarray(in_flight)
    )


def check_schedule(schedule: Membership, num_nodes: int) -> None:
    """Refuse arrays that do not speak of ``num_nodes`` nodes.

    Raises:
        ValueError: naming the array, what was expected and what came.
    """
    rounds = max(jnp.shape(schedule.online)[0] - 1, 0) if jnp.ndim(schedule.online) else 0
    for name, extent, shown in (("online", rounds + 1, "T + 1"), ("joins", rounds, "T"),
                                ("leaves", rounds, "T")):  # fmt: skip
        array = jnp.asarray(getattr(schedule, name))
        if array.shape != (extent, num_nodes) or array.dtype != bool or not rounds:
            raise ValueError(
                f"membership.{name}: expected bool[{shown}, {num_nodes}] with one T of at least 1, "
                f"got {array.dtype}{list(array.shape)}"
            )
