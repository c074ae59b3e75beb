"""Membership schedules: agents online, joining and leaving in every round, from a fault plan.

Shapes: ``T`` rounds, ``N`` agents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.data import Shards
from jaxswarm.network.faults import FaultPlan
from jaxswarm.systems.modest.views import check_present


class Membership(NamedTuple):
    """Membership schedule, part of the inputs of a step.

    Attributes:
        online: ``bool[T + 1, N]``, agents that answer at the beginning of each round and after the
            last.
        joins: ``bool[T, N]``, agents that announce a JOIN in a round: joining agents, and
            recovering ones, which other agents may have excluded.
        leaves: ``bool[T, N]``, agents that announce a LEAVE in a round (offline from the next on).
        in_flight: ``bool[]``: crashes before round ``t + 1`` strike while models of round ``t`` are
            being sent; otherwise they strike between rounds.
        reachable: ``bool[N, N]``, symmetric, pairs that can exchange messages; an agent without a
            connection to the one that pings it does not answer. All pairs if ``None``.
    """

    online: jax.Array
    joins: jax.Array
    leaves: jax.Array
    in_flight: jax.Array
    reachable: jax.Array | None = None


def always_online(rounds: int, num_agents: int) -> Membership:
    """Schedule of ``rounds`` rounds in which all agents are online.

    Raises:
        ValueError: if ``rounds < 1`` or ``num_agents < 1``.
    """
    rounds, num_agents = (
        checks.whole("rounds", rounds, 1),
        checks.whole("num_agents", num_agents, 1),
    )
    none = jnp.zeros((rounds, num_agents), bool)
    return Membership(jnp.ones((rounds + 1, num_agents), bool), none, none, jnp.zeros((), bool))


def membership(
    plan: FaultPlan, rounds: int, *, present: ArrayLike | None = None, in_flight: bool = False
) -> Membership:
    """Make the schedule of a fault plan's ``crash``, ``recover``, ``leave`` and ``join`` events.

    An agent that joins or recovers answers from that round on and announces a JOIN in it; one that
    leaves announces a LEAVE in its last round, the one before the event.

    Args:
        plan: of ``network.fault_plan``; events of links and stragglers are ignored.
        rounds: ``T``, at least 1.
        present: ``bool[N]``, agents online from the start; by default all but those whose first
            event is a join.
        in_flight: see :class:`Membership`.

    Raises:
        ValueError: if ``rounds < 1``, an agent leaves in round 0, or ``present`` is not ``[N]``.
    """
    checks.instance("plan", plan, FaultPlan, "network.fault_plan(events, 8)")
    rounds, in_flight = checks.whole("rounds", rounds, 1), checks.flag("in_flight", in_flight)
    n = plan.num_agents
    events = [event for event in plan.events() if event[1] in ("crash", "recover", "leave", "join")]
    if present is None:
        first: dict[int, str] = {}
        for _, kind, agent in events:
            first.setdefault(agent, kind)
        at_start = np.array([first.get(agent) != "join" for agent in range(n)])
    else:
        at_start = np.asarray(check_present(n, present))
    online = np.tile(at_start, (rounds + 1, 1))
    joins, leaves = np.zeros((rounds, n), bool), np.zeros((rounds, n), bool)
    for time, kind, agent in events:
        if time > rounds:
            break
        online[time:, agent] = kind in ("recover", "join")
        if kind in ("join", "recover") and time < rounds:
            joins[time, agent] = True
        if kind == "leave":
            if time == 0:
                raise ValueError(
                    f"plan: expected leaves from round 1 on, agent {agent} has round 0"
                )
            leaves[time - 1, agent] = True
    return Membership(
        jnp.asarray(online), jnp.asarray(joins), jnp.asarray(leaves), jnp.asarray(in_flight)
    )


def check_schedule(schedule: Membership, num_agents: int) -> None:
    """Refuse arrays that are not of ``num_agents`` agents.

    Raises:
        ValueError: naming the array, what was expected and what was given.
    """
    checks.instance("membership", schedule, Membership, "always_online(100, 8)")
    rounds = max(jnp.shape(schedule.online)[0] - 1, 0) if jnp.ndim(schedule.online) else 0
    extents = (("online", rounds + 1, "T + 1"), ("joins", rounds, "T"), ("leaves", rounds, "T"))
    for name, extent, shown in extents:
        array = jnp.asarray(getattr(schedule, name))
        if array.shape != (extent, num_agents) or array.dtype != bool or not rounds:
            raise ValueError(
                f"membership.{name}: expected bool[{shown}, {num_agents}] with one T of at least "
                f"1, got {array.dtype}{list(array.shape)}"
            )
    if schedule.reachable is not None:
        checks.mask("membership.reachable", schedule.reachable, (num_agents, num_agents))


def check_step_inputs(inputs: Any) -> tuple[Any, Membership]:
    """Return the inputs of a step, ``(shards, membership)``.

    Raises:
        ValueError: if they are no pair, or without :class:`jaxswarm.data.Shards`.
    """
    if not isinstance(inputs, tuple | list) or len(inputs) != 2:
        raise ValueError(f"inputs: expected (shards, membership), got {checks.shown(inputs)}")
    checks.instance("shards", inputs[0], Shards, "data.shards(dataset, partition)")
    return inputs[0], inputs[1]
