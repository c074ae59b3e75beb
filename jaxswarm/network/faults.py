"""Faults as a plan: what happens to whom and when, as arrays that replay exactly.

Any process can be recorded and replayed, so an experiment's bad luck can be kept in a file, shared
between arms, or written by hand.

Shapes: ``N`` agents, ``E`` directed edge slots, ``F`` events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import errors
from jaxswarm.gossip.types import Exchange
from jaxswarm.network.process import Network, check_agents
from jaxswarm.topology import Topology

KINDS = ("crash", "recover", "leave", "join", "rest", "resume", "cut", "mend")
"""What may happen: to an agent's life, to its participation, to a link; down and up again."""

_FIELDS = ("alive", "alive", "participates", "delivered")  # of a pair of kinds


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FaultPlan:
    """Events in order of time; everything is up before the first.

    Build one with :func:`fault_plan`, :func:`record` or :meth:`from_dict`, which validate.

    Attributes:
        time: ``int32[F]``, the round from which the event holds, ascending.
        entity: ``int32[F]``, an agent, or an edge slot of the topology for ``cut`` and ``mend``.
        kind: ``int8[F]``, index into :data:`KINDS`.
        num_agents: ``N``, static.
        num_links: ``E``, static; 0 if the plan knows no links.
        width: static; events of the busiest round.
        fields: static; which fields of an ``Exchange`` the plan sets, the others stay ``None``.
    """

    time: Any
    entity: Any
    kind: Any
    num_agents: int = field(metadata={"static": True})
    num_links: int = field(metadata={"static": True})
    width: int = field(metadata={"static": True})
    fields: tuple[str, ...] = field(metadata={"static": True})

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for ``json.dump``."""
        return {
            "num_agents": self.num_agents,
            "num_links": self.num_links,
            "fields": list(self.fields),
            "kinds": list(KINDS),
            "time": np.asarray(self.time).tolist(),
            "entity": np.asarray(self.entity).tolist(),
            "kind": np.asarray(self.kind).tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "FaultPlan":
        """The plan that :meth:`to_dict` wrote.

        Raises:
            ValueError: if a part is missing, or the events are not valid (see :func:`fault_plan`).
        """
        parts = ("num_agents", "num_links", "fields", "kinds", "time", "entity", "kind")
        missing = [part for part in parts if part not in data]
        if missing:
            raise ValueError(f"data: expected the parts of a fault plan, lacks {missing}")
        for name in data["kinds"]:
            if name not in KINDS:
                raise errors.unknown("kind of fault", name, KINDS)
        time, entity, kind = (np.asarray(data[part]) for part in ("time", "entity", "kind"))
        if kind.size and not ((kind >= 0) & (kind < len(data["kinds"]))).all():
            raise ValueError(f"kind: expected numbers in [0, {len(data['kinds'])})")
        legend = np.array([KINDS.index(name) for name in data["kinds"]], np.int64)
        numbers = legend[kind.astype(np.int64)] if kind.size else np.zeros(0, np.int64)
        return _checked(
            time, entity, numbers, data["num_agents"], data["num_links"], tuple(data["fields"])
        )

    def events(self) -> list[tuple[int, str, int]]:
        """``(time, kind, entity)`` of every event, to be read by people."""
        rows = zip(
            np.asarray(self.time).tolist(),
            np.asarray(self.kind).tolist(),
            np.asarray(self.entity).tolist(),
            strict=True,
        )
        return [(time, KINDS[kind], entity) for time, kind, entity in rows]


def fault_plan(
    events: Iterable[tuple[int, str, int | tuple[int, int]]],
    num_agents: int,
    topology: Topology | None = None,
) -> FaultPlan:
    """A plan from ``(round, kind, entity)`` events, in any order.

    Args:
        events: the entity is an agent, or for ``cut`` and ``mend`` a link: an edge slot, or
            ``(sender, receiver)``. One direction only; cut both to keep weights doubly stochastic.
        num_agents: ``N``.
        topology: a single graph, needed for events of links.

    Raises:
        ValueError: naming the event: an unknown kind, an unknown agent or link, a negative round,
            or two events at once that say different things of one entity.
    """
    check_agents(num_agents)
    slots: dict[tuple[int, int], int] = {}
    if topology is not None:
        if topology.is_sequence:
            raise ValueError("topology: a fault plan expects a single graph, got a sequence")
        if topology.num_agents != num_agents:
            raise ValueError(
                f"topology: expected {num_agents} agents like num_agents, got {topology.num_agents}"
            )
        ends = zip(
            np.asarray(topology.senders).tolist(),
            np.asarray(topology.receivers).tolist(),
            strict=True,
        )
        slots = {end: slot for slot, end in enumerate(ends)}
    rows = []
    for time, kind, entity in events:
        if kind not in KINDS:
            raise errors.unknown("kind of fault", kind, KINDS)
        if isinstance(entity, tuple):
            if KINDS.index(kind) < 6 or entity not in slots:
                raise ValueError(f"events: unknown entity {entity} in {(time, kind, entity)}")
            entity = slots[entity]
        rows.append((time, entity, KINDS.index(kind)))
    table = np.asarray(rows) if rows else np.zeros((0, 3), np.int64)
    links = 0 if topology is None else topology.num_edge_slots
    return _checked(table[:, 0], table[:, 1], table[:, 2], num_agents, links, None)


def record(process: Network, rounds: int, key: jax.Array) -> FaultPlan:
    """Run a process for ``rounds`` rounds and write down every change.

    Round ``r`` is drawn with ``fold_in(key, r)``. An ``Exchange`` does not distinguish leaving from
    crashing, so absences are recorded as ``crash`` and ``recover``.

    Raises:
        ValueError: if ``rounds < 1``, or the process speaks of nobody (the reliable network).
    """
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")

    def body(state: Any, index: jax.Array) -> tuple[Any, tuple[Any, ...]]:
        state, now = process.step(jax.random.fold_in(key, index), state, index)
        return state, (now.alive, now.participates, now.delivered)

    _, seen = jax.lax.scan(body, process.init(), jnp.arange(rounds))
    alive, participates, delivered = seen
    sizes = {flags.shape[1] for flags in (alive, participates) if flags is not None}
    if not sizes and delivered is None:
        raise ValueError("process: nothing to record, the network is reliable")
    times, entities, kinds, fields = [], [], [], []
    for name, down, flags in (
        ("alive", 0, alive),
        ("participates", 4, participates),
        ("delivered", 6, delivered),
    ):
        if flags is None:
            continue
        fields.append(name)
        now = np.asarray(flags)
        before = np.concatenate([np.ones((1, now.shape[1]), bool), now[:-1]])
        time, entity = np.nonzero(now != before)
        times.append(time)
        entities.append(entity)
        kinds.append(np.where(now[time, entity], down + 1, down))
    return _checked(
        np.concatenate(times),
        np.concatenate(entities),
        np.concatenate(kinds),
        sizes.pop() if sizes else 0,
        0 if delivered is None else delivered.shape[1],
        tuple(fields),
    )


class ReplayState(NamedTuple):
    """Who is up: ``bool[N]``, ``bool[N]``, ``bool[E]``; ``None`` for fields not spoken of."""

    alive: Any
    participates: Any
    delivered: Any


def replay(plan: FaultPlan) -> Network:
    """The process that does what the plan says, bit for bit, whatever the key.

    After its last event nothing changes any more. A round costs what its busiest one does.
    """
    events = np.shape(plan.time)[0]
    time, entity, kind = (jnp.asarray(x) for x in (plan.time, plan.entity, plan.kind))

    def init() -> ReplayState:
        def up(name: str, size: int) -> jax.Array | None:
            return jnp.ones(size, bool) if name in plan.fields else None

        n = plan.num_agents
        return ReplayState(up("alive", n), up("participates", n), up("delivered", plan.num_links))

    def step(key: jax.Array, state: ReplayState, index: Any) -> tuple[ReplayState, Exchange]:
        del key
        if not events:
            return state, Exchange(index, *state)
        slots = jnp.searchsorted(time, index) + jnp.arange(plan.width)
        safe = jnp.minimum(slots, events - 1)
        due = (slots < events) & (time[safe] == index)
        what, who = kind[safe], entity[safe]

        def after(name: str, flags: jax.Array | None, down: int, up: int) -> jax.Array | None:
            if flags is None:
                return None
            concerned = due & (what >= down) & (what < up)
            place = jnp.where(concerned, who, flags.shape[0])
            return flags.at[place].set(what % 2 == 1, mode="drop")

        new = ReplayState(
            after("alive", state.alive, 0, 4),
            after("participates", state.participates, 4, 6),
            after("delivered", state.delivered, 6, 8),
        )
        return new, Exchange(index, *new)

    return Network(init, step)


def _checked(
    time: np.ndarray,
    entity: np.ndarray,
    kind: np.ndarray,
    num_agents: int,
    num_links: int,
    fields: tuple[str, ...] | None,
) -> FaultPlan:
    if not time.shape == entity.shape == kind.shape or time.ndim != 1:
        raise ValueError(
            "events: expected vectors of one length, "
            f"got {time.shape}, {entity.shape}, {kind.shape}"
        )
    if time.size and any(x.dtype.kind not in "iu" for x in (time, entity)):
        raise ValueError("events: expected integer rounds and entities")
    group = kind // 2
    limit = np.where(group < 3, num_agents, num_links)

    def show(i: int) -> str:
        return f"({int(time[i])}, {KINDS[kind[i]]!r}, {int(entity[i])})"

    for wrong, reason in (
        (time < 0, "the round is negative"),
        ((entity < 0) | (entity >= limit), f"expected {num_agents} agents, {num_links} links"),
    ):
        if wrong.any():
            bad = int(np.argmax(wrong))
            what = "unknown entity in" if "expected" in reason else "bad event"
            raise ValueError(f"events: {what} {show(bad)}: {reason}")
    touched = np.maximum(group - 1, 0)  # crash and leave both concern life
    order = np.lexsort((entity, touched, time))
    time, entity, kind, touched = time[order], entity[order], kind[order], touched[order]
    twice = (np.diff(time) == 0) & (np.diff(entity) == 0) & (np.diff(touched) == 0)
    if twice.any():
        bad = int(np.argmax(twice))
        raise ValueError(f"events: {show(bad)} and {show(bad + 1)} happen to one at once")
    spoken = {_FIELDS[g] for g in np.unique(kind // 2)}
    known = ("alive", "participates", "delivered")
    if fields is None:
        fields = tuple(name for name in known if name in spoken)
    if any(name not in known for name in fields) or not spoken <= set(fields):
        raise ValueError(f"fields: expected some of {known} that cover the events, got {fields}")
    width = int(np.unique(time, return_counts=True)[1].max()) if time.size else 0
    return FaultPlan(
        time.astype(np.int32),
        entity.astype(np.int32),
        kind.astype(np.int8),
        int(num_agents),
        int(num_links),
        width,
        tuple(fields),
    )
