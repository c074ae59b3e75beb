"""Fault plans: timed fault events as arrays, recorded from a process and replayed exactly.

Any network process can be recorded and replayed, so that the faults of a run can be stored in a
file, shared between the arms of an experiment, or written by hand.

Shapes: ``N`` agents, ``E`` directed edge slots, ``F`` events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.gossip.types import Exchange
from jaxswarm.network.process import Network, check_process, expect_single
from jaxswarm.topology import Topology
from jaxswarm.types import ArrayLike

KINDS = ("crash", "recover", "leave", "join", "rest", "resume", "cut", "mend")
"""Kinds of events in pairs (down, up): of an agent, of its participation, and of a link.

``crash``/``recover`` and ``leave``/``join`` concern ``Exchange.alive``, ``rest``/``resume``
concern ``participates``, and ``cut``/``mend`` concern ``delivered``.
"""

_FIELDS = ("alive", "alive", "participates", "delivered")  # one per pair of kinds
_KNOWN_FIELDS = ("alive", "participates", "delivered")
_VERSION = 1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FaultPlan:
    """Fault events in order of time; all agents and links are up before the first.

    Build one with :func:`fault_plan`, :func:`record` or :meth:`from_dict`, which validate.

    Attributes:
        time: ``int32[F]``, the round from which the event holds, ascending.
        entity: ``int32[F]``, an agent, or an edge slot of the topology for ``cut`` and ``mend``.
        kind: ``int8[F]``, index into :data:`KINDS`.
        num_agents: ``N``, static.
        num_links: ``E``, static; 0 for a plan without events of links.
        width: static; largest number of events in one round.
        fields: static; the fields of a ``gossip.Exchange`` that the plan sets, the others are
            ``None``.
    """

    time: Any
    entity: Any
    kind: Any
    num_agents: int = field(metadata={"static": True})
    num_links: int = field(metadata={"static": True})
    width: int = field(metadata={"static": True})
    fields: tuple[str, ...] = field(metadata={"static": True})

    def to_dict(self) -> dict[str, Any]:
        """The plan as lists and numbers, for ``json.dump``."""
        return {
            "version": _VERSION,
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
        """Rebuild the plan that :meth:`to_dict` returned, validated like one of :func:`fault_plan`.

        Raises:
            ValueError: naming the part that is missing or wrong: numbers that are not whole or out
                of range, an unknown kind, field or version, events of unknown agents or links.
        """
        checks.instance("data", data, Mapping, "plan.to_dict()")
        parts = ("num_agents", "num_links", "fields", "kinds", "time", "entity", "kind")
        missing = [part for part in parts if part not in data]
        if missing:
            raise ValueError(f"data: expected the keys {parts}, missing {missing}")
        version = data.get("version", _VERSION)
        if type(version) is not int or version != _VERSION:
            raise ValueError(f"version: expected {_VERSION}, got {checks.shown(version)}")
        for part, known in (("kinds", KINDS), ("fields", _KNOWN_FIELDS)):
            checks.instance(part, data[part], (list, tuple), str(list(known)))
        kinds = [checks.choice("kind of fault", name, KINDS) for name in data["kinds"]]
        time, entity = (
            checks.wholes(part, data[part], shape=(None,)) for part in ("time", "entity")
        )
        kind = checks.wholes("kind", data["kind"], 0, max(len(kinds) - 1, 0), shape=(None,))
        if kind.size and not kinds:
            raise ValueError("kinds: expected the names of the kinds of the events, got none")
        legend = np.array([KINDS.index(name) for name in kinds] or [0], np.int64)
        fields = tuple(data["fields"])
        return _checked(time, entity, legend[kind], data["num_agents"], data["num_links"], fields)

    def events(self) -> list[tuple[int, str, int]]:
        """List of ``(time, kind, entity)``, with the names of the kinds."""
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
    """Build a plan from ``(round, kind, entity)`` events, in any order.

    Args:
        events: the entity is an agent, or for ``cut`` and ``mend`` a link: an edge slot, or
            ``(sender, receiver)``. One direction only; cut both to keep weights doubly stochastic.
        num_agents: ``N``.
        topology: a single graph, needed for events of links.

    Raises:
        ValueError: naming the event: an unknown kind, an unknown agent or link, a negative round,
            or two events of one entity in the same round.

    Example:
        >>> import jax
        >>> plan = fault_plan([(1, "crash", 0), (3, "recover", 0)], num_agents=2)
        >>> network = replay(plan)
        >>> state = network.init()
        >>> for r in range(4):
        ...     state, exchange = network.step(jax.random.key(0), state, r)
        ...     print(r, exchange.alive)
        0 [ True  True]
        1 [False  True]
        2 [False  True]
        3 [ True  True]
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    slots: dict[tuple[int, int], int] = {}
    if topology is not None:
        expect_single(topology, "a fault plan")
        checks.concrete("topology", topology)
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
    for event in _listed(events):
        time, kind, entity = event
        checks.choice("kind of fault", kind, KINDS)
        if isinstance(entity, tuple):
            if KINDS.index(kind) < 6 or entity not in slots:
                raise ValueError(f"events: unknown entity {entity} in {event}")
            entity = slots[entity]
        if not checks.is_whole(time) or not 0 <= time <= checks.LARGEST:
            raise ValueError(
                f"events: expected a round of at least 0 and at most {checks.LARGEST}, got {event}"
            )
        if not checks.is_whole(entity) or not -checks.LARGEST <= entity <= checks.LARGEST:
            raise ValueError(f"events: expected a whole number as entity, got {event}")
        rows.append((int(time), int(entity), KINDS.index(kind)))
    table = np.asarray(rows, np.int64) if rows else np.zeros((0, 3), np.int64)
    links = 0 if topology is None else topology.num_edge_slots
    return _checked(table[:, 0], table[:, 1], table[:, 2], num_agents, links, None)


def record(process: Network, rounds: int, key: jax.Array) -> FaultPlan:
    """Run a process for ``rounds`` rounds and record every change as an event.

    Round ``r`` is drawn with ``fold_in(key, r)``. An exchange does not distinguish leaving from
    crashing, so absences are recorded as ``crash`` and ``recover``.

    Raises:
        ValueError: if ``rounds < 1``, or the process has no faults to record (the reliable
            network).
    """
    check_process("process", process)
    rounds = checks.whole("rounds", rounds, 1)
    checks.key(checks.concrete("key", key))

    def body(state: Any, index: jax.Array) -> tuple[Any, tuple[Any, ...]]:
        state, exchange = process.step(jax.random.fold_in(key, index), state, index)
        return state, (exchange.alive, exchange.participates, exchange.delivered)

    _, flags_by_round = jax.lax.scan(body, process.init(), jnp.arange(rounds))
    alive, participates, delivered = flags_by_round
    sizes = {flags.shape[1] for flags in (alive, participates) if flags is not None}
    if len(sizes) > 1:
        raise ValueError(f"process: expected one number of agents, got {sorted(sizes)}")
    if not sizes and delivered is None:
        raise ValueError("process: expected one with faults to record, got the reliable network")
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
    """Current flags: ``bool[N]``, ``bool[N]``, ``bool[E]``; ``None`` for fields the plan omits."""

    alive: Any
    participates: Any
    delivered: Any


def replay(plan: FaultPlan) -> Network:
    """A network process that replays the plan bit for bit, independent of the key.

    After its last event nothing changes any more. Every round costs as much as the one with the
    most events.

    Raises:
        ValueError: if this is no plan, or its arrays are not those of a valid one (traced arrays
            are not checked).
    """
    checks.instance("plan", plan, FaultPlan, "network.fault_plan([(3, 'crash', 0)], 8)")
    if not any(checks.is_traced(leaf) for leaf in jax.tree.leaves(plan)):
        time, entity, kind = (
            checks.wholes(name, getattr(plan, name), shape=(None,))
            for name in ("time", "entity", "kind")
        )
        plan = _checked(time, entity, kind, plan.num_agents, plan.num_links, plan.fields)
    events = np.shape(plan.time)[0]
    time, entity, kind = (jnp.asarray(x) for x in (plan.time, plan.entity, plan.kind))

    def init() -> ReplayState:
        def up(name: str, size: int) -> jax.Array | None:
            return jnp.ones(size, bool) if name in plan.fields else None

        n = plan.num_agents
        return ReplayState(up("alive", n), up("participates", n), up("delivered", plan.num_links))

    def step(key: jax.Array, state: ReplayState, index: ArrayLike) -> tuple[ReplayState, Exchange]:
        del key
        if not events:
            return state, Exchange(index, *state)
        slots = jnp.searchsorted(time, index) + jnp.arange(plan.width)
        safe = jnp.minimum(slots, events - 1)
        due = (slots < events) & (time[safe] == index)
        kinds, entities = kind[safe], entity[safe]

        def updated(flags: jax.Array | None, first: int, end: int) -> jax.Array | None:
            if flags is None:
                return None
            concerned = due & (kinds >= first) & (kinds < end)
            place = jnp.where(concerned, entities, flags.shape[0])
            return flags.at[place].set(kinds % 2 == 1, mode="drop")

        new = ReplayState(
            updated(state.alive, 0, 4),
            updated(state.participates, 4, 6),
            updated(state.delivered, 6, 8),
        )
        return new, Exchange(index, *new)

    return Network(init, step)


def _listed(events: Any) -> list[tuple[Any, Any, Any]]:
    wanted = "(round, kind, entity) events such as (3, 'crash', 0)"
    if isinstance(events, str) or not isinstance(events, Iterable):
        raise ValueError(f"events: expected {wanted}, got {checks.shown(events)}")
    listed = []
    for event in events:
        if not isinstance(event, (tuple, list)) or len(event) != 3:
            raise ValueError(f"events: expected {wanted}, got {checks.shown(event)}")
        listed.append((event[0], event[1], event[2]))
    return listed


def _checked(
    time: np.ndarray,
    entity: np.ndarray,
    kind: np.ndarray,
    num_agents: int,
    num_links: int,
    fields: tuple[str, ...] | None,
) -> FaultPlan:
    """Validate the events of a plan, wherever they come from, and order them."""
    num_agents = checks.whole("num_agents", num_agents)
    num_links = checks.whole("num_links", num_links)
    if not time.shape == entity.shape == kind.shape:
        raise ValueError(
            "events: expected vectors of one length, "
            f"got {time.shape}, {entity.shape}, {kind.shape}"
        )
    if kind.size and not ((kind >= 0) & (kind < len(KINDS))).all():
        raise ValueError(f"kind: expected numbers in [0, {len(KINDS)}), got {kind.max()}")
    group = kind // 2
    limit = np.where(group < 3, num_agents, num_links)

    def show(i: int) -> str:
        return f"({int(time[i])}, {KINDS[kind[i]]!r}, {int(entity[i])})"

    unknown = (entity < 0) | (entity >= limit)
    if unknown.any():
        bad = int(np.argmax(unknown))
        raise ValueError(
            f"events: unknown entity in {show(bad)}: expected {num_agents} agents, "
            f"{num_links} links"
        )
    touched = np.maximum(group - 1, 0)  # crash and leave both concern `alive`
    order = np.lexsort((entity, touched, time))
    time, entity, kind, touched = time[order], entity[order], kind[order], touched[order]
    twice = (np.diff(time) == 0) & (np.diff(entity) == 0) & (np.diff(touched) == 0)
    if twice.any():
        bad = int(np.argmax(twice))
        raise ValueError(
            f"events: expected one event per entity and round, got {show(bad)} and {show(bad + 1)}"
        )
    used = {_FIELDS[g] for g in np.unique(kind // 2)}
    if fields is None:
        fields = tuple(name for name in _KNOWN_FIELDS if name in used)
    good = all(isinstance(name, str) and name in _KNOWN_FIELDS for name in fields)
    if not good or len(set(fields)) < len(fields) or not used <= set(fields):
        raise ValueError(
            f"fields: expected some of {_KNOWN_FIELDS} that cover the events, got {fields}"
        )
    width = int(np.unique(time, return_counts=True)[1].max()) if time.size else 0
    return FaultPlan(
        time.astype(np.int32),
        entity.astype(np.int32),
        kind.astype(np.int8),
        num_agents,
        num_links,
        width,
        tuple(fields),
    )
