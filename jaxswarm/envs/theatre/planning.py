"""Backward-chaining planner: regression of a conjunction of facts through the verbs, on the host.

A search node is a partial state (facts that must hold, facts that must not). An act is relevant if
it achieves one of them and contradicts none; regression replaces what it achieves by what it
requires. Nodes with two facts of an exclusive group, and those with a fact that is not reachable
even if nothing were ever undone (delete relaxation), are dropped, so that the search is complete
and ends. It is guided by the sum of the facts' levels in that relaxation.

Shapes: ``N`` actors, ``F`` facts.

References:
    R. Fikes, N. Nilsson, STRIPS: a new approach to the application of theorem proving to problem
    solving, 1971. B. Bonet, H. Geffner, Planning as heuristic search: new results, 1999 (regression
    guided by the additive heuristic).
"""

import functools
import heapq
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.envs.theatre.stage import Stage, check_stage

Partial = tuple[int, int]
"""Facts that must hold and facts that must not, as bits of integers."""


class Plan(NamedTuple):
    """A sequence of ``n`` acts.

    Attributes:
        acts: ``n`` pairs (actor, act), act in ``0 … M - 1``.
        states: ``bool[n + 1, F]``, the states before and after the acts.
        subgoals: ``n + 1`` conjunctions ``bool[F]``: what had to hold before each act for the rest
            of the plan to succeed, the last one being the goal.
    """

    acts: tuple[tuple[int, int], ...]
    states: np.ndarray
    subgoals: np.ndarray


class _Row(NamedTuple):
    actor: int
    number: int
    true: int
    false: int
    adds: int
    deletes: int


def plan(
    stage: Stage, start: Any, goal: Any, *, cast: Any = None, limit: int = 500_000
) -> Plan | None:
    """Find acts that lead from a state to one in which all facts of a goal hold.

    Args:
        stage: facts and verbs.
        start: ``bool[F]``.
        goal: ``bool[F]``, facts that must hold at the end.
        cast: ``bool[N]``, who may act; all if omitted.
        limit: number of search nodes after which the search is given up, at least 1.

    Returns:
        A plan, not always the shortest, or ``None`` if there is none.

    Raises:
        ValueError: for a state that does not exist or arrays of another shape, or if the search
            ended at its limit without an answer.

    Example:
        >>> from jaxswarm.envs import theatre
        >>> stage = theatre.default_stage(1, 2, 1, 1)
        >>> start = stage.bits([("at", "Ada", "hall"), ("in", "letter", "garden"),
        ...                     ("is", "letter", "intact")])
        >>> found = theatre.plan(stage, start, stage.bits([("knows", "Ada", "plot")]))
        >>> [stage.texts[i][m] for i, m in found.acts][-1]
        'Ada reads the plot on the letter'
    """
    check_stage(stage)
    begin = stage.check_state(start)
    wanted = np.asarray(checks.mask("goal", goal, (stage.num_facts,)))
    present = np.ones(stage.num_actors, bool) if cast is None else cast
    present = np.asarray(checks.mask("cast", present, (stage.num_actors,)))
    limit = checks.whole("limit", limit, 1)
    index, now = _index(stage), _to_int(begin)
    levels = _levels([r for r in index.rows if present[r.actor]], now, stage.num_facts)
    chain = _regress(index, present, levels, now, (_to_int(wanted), 0), limit)
    if chain is None:
        return None
    return _replayed(stage, begin, chain)


def relaxed_levels(stage: Stage, start: Any, *, cast: Any = None) -> np.ndarray:
    """Levels ``int32[F]`` at which facts can first hold if nothing is ever undone, -1 for never."""
    check_stage(stage)
    begin = np.asarray(checks.mask("start", start, (stage.num_facts,)))
    present = np.ones(stage.num_actors, bool) if cast is None else np.asarray(cast)
    rows = [row for row in _index(stage).rows if present[row.actor]]
    true, _ = _levels(rows, _to_int(begin), stage.num_facts)
    return np.array([true.get(1 << f, -1) for f in range(stage.num_facts)], np.int32)


def _to_int(bits: np.ndarray) -> int:
    return sum(1 << int(place) for place in np.flatnonzero(bits))


def _to_bits(number: int, size: int) -> np.ndarray:
    return np.array([number >> place & 1 for place in range(size)], bool)


class _Index(NamedTuple):
    """All acts of a stage; facts that exclude those each one requires; acts by what they change."""

    rows: tuple[_Row, ...]
    groups: tuple[int, ...]
    excluded: tuple[int, ...]
    adds: dict[int, int]
    deletes: dict[int, int]


@functools.lru_cache(maxsize=64)
def _index(stage: Stage) -> _Index:
    rows = tuple(
        _Row(
            int(i),
            int(m),
            _to_int(stage.requires[i, m] & stage.required[i, m]),
            _to_int(stage.requires[i, m] & ~stage.required[i, m]),
            _to_int(stage.changes[i, m] & stage.results[i, m]),
            _to_int(stage.changes[i, m] & ~stage.results[i, m]),
        )
        for i, m in zip(*np.nonzero(stage.exists), strict=True)
    )
    groups = tuple(_to_int(members) for members in stage.groups)
    adds, deletes = (
        {
            1 << f: sum(1 << k for k, row in enumerate(rows) if getattr(row, field) >> f & 1)
            for f in range(stage.num_facts)
        }
        for field in ("adds", "deletes")
    )
    excluded = tuple(_excluded(groups, row.true) for row in rows)
    return _Index(rows, groups, excluded, adds, deletes)


def _levels(rows: list[_Row], now: int, num_facts: int) -> tuple[dict[int, int], dict[int, int]]:
    """Levels of true and of false facts under delete relaxation, keyed by bit."""
    every = (1 << num_facts) - 1
    can_hold, can_fail = now, every & ~now
    true = {bit: 0 for bit in _bits(can_hold)}
    false = {bit: 0 for bit in _bits(can_fail)}
    waiting, level = list(rows), 0
    while True:
        level += 1
        ready = [r for r in waiting if not (r.true & ~can_hold or r.false & ~can_fail)]
        if not ready:
            return true, false
        waiting = [r for r in waiting if r.true & ~can_hold or r.false & ~can_fail]
        adds = functools.reduce(lambda a, r: a | r.adds, ready, 0) & ~can_hold
        deletes = functools.reduce(lambda a, r: a | r.deletes, ready, 0) & ~can_fail
        true.update(dict.fromkeys(_bits(adds), level))
        false.update(dict.fromkeys(_bits(deletes), level))
        can_hold, can_fail = can_hold | adds, can_fail | deletes


def _bits(number: int) -> list[int]:
    found = []
    while number:
        low = number & -number
        found.append(low)
        number ^= low
    return found


def _regress(
    index: _Index,
    cast: np.ndarray,
    levels: tuple[dict[int, int], dict[int, int]],
    now: int,
    goal: Partial,
    limit: int,
) -> list[tuple[_Row | None, Partial]] | None:
    """The plan as pairs (act, partial state that must hold before it), the goal last."""
    true_cost, false_cost = (functools.cache(functools.partial(_cost, each)) for each in levels)
    usable = sum(
        1 << k
        for k, row in enumerate(index.rows)
        if cast[row.actor]
        and index.excluded[k] >= 0
        and math.isfinite(true_cost(row.true) + false_cost(row.false))
    )
    distance = true_cost(goal[0]) + false_cost(goal[1])
    if not math.isfinite(distance) or not _possible(index.groups, goal):
        return None
    count = itertools.count()
    queue = [(distance, next(count), 0, distance, goal)]
    came: dict[Partial, tuple[_Row, Partial] | None] = {goal: None}
    for _ in range(limit):
        if not queue:
            return None
        _, _, depth, distance, node = heapq.heappop(queue)
        true, false = node
        if not (true & ~now or false & now):
            chain: list[tuple[_Row | None, Partial]] = []
            step = came[node]
            while step is not None:
                chain.append((step[0], node))
                node = step[1]
                step = came[node]
            return [*chain, (None, node)]
        for number in _relevant(index, usable, true, false):
            row = index.rows[number]
            kept, kept_false = true & ~row.adds, false & ~row.deletes
            before = kept | row.true, kept_false | row.false
            if index.excluded[number] & kept or before[0] & before[1] or before in came:
                continue
            if row.false and not _possible(index.groups, before):
                continue
            came[before] = (row, node)
            # The sum of the levels of all facts of the node, from what changed.
            after = distance + true_cost(row.true & ~kept) + false_cost(row.false & ~kept_false)
            after -= true_cost(true & row.adds) + false_cost(false & row.deletes)
            heapq.heappush(queue, (depth + 1 + after, next(count), depth + 1, after, before))
    raise ValueError(f"limit: expected more search nodes than {limit} for this goal")


def _cost(levels: dict[int, int], facts: int) -> float:
    """Sum of the levels of facts; infinite if one is never reached."""
    return sum(levels.get(bit, math.inf) for bit in _bits(facts))


def _excluded(groups: tuple[int, ...], facts: int) -> int:
    """Facts that cannot hold together with the given ones; all if these exclude each other."""
    found = 0
    for members in groups:
        inside = members & facts
        if inside & (inside - 1):
            return -1
        found |= members & ~inside if inside else 0
    return found


def _relevant(index: _Index, usable: int, true: int, false: int) -> list[int]:
    """Numbers of usable rows that achieve a partial state in part and undo none of it."""
    achieves, undoes = 0, 0
    for bit in _bits(true):
        achieves, undoes = achieves | index.adds[bit], undoes | index.deletes[bit]
    for bit in _bits(false):
        achieves, undoes = achieves | index.deletes[bit], undoes | index.adds[bit]
    return [bit.bit_length() - 1 for bit in _bits(achieves & ~undoes & usable)]


def _possible(groups: tuple[int, ...], node: Partial) -> bool:
    """Whether a partial state leaves exactly one fact of every exclusive group."""
    for members in groups:
        inside = members & node[0]
        if inside & (inside - 1) or not members & ~node[1]:
            return False
    return True


def _replayed(stage: Stage, start: np.ndarray, chain: list[tuple[_Row | None, Partial]]) -> Plan:
    states, acts = [start], []
    for row, _ in chain[:-1]:
        assert row is not None
        i, m = row.actor, row.number
        states.append(np.where(stage.changes[i, m], stage.results[i, m], states[-1]))
        acts.append((int(i), int(m)))
    subgoals = np.array([_to_bits(node[0], stage.num_facts) for _, node in chain])
    return Plan(tuple(acts), np.array(states), subgoals)
