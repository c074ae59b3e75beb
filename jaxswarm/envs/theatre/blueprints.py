"""Blueprints: a start state, and points whose flags (conjunctions of facts) must hold in order.

An act has scenes, a scene has a cast and points, a point is reached by beats. Every actor has two
goals at each point: the point's flag, which is public, and a private one.

Shapes: ``Q`` points, ``N`` actors, ``F`` facts.

References:
    S. Jiang et al., HAMLET: a hierarchical and adaptive multi-agent framework, 2026.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.theatre.planning import plan
from jaxswarm.envs.theatre.stage import Fact, Stage, check_stage

Array = np.ndarray | jax.Array


class Blueprint(NamedTuple):
    """A narrative blueprint as arrays, or a batch of them with a leading axis on every field.

    Attributes:
        start: ``bool[F]``, the facts at the beginning.
        flags: ``bool[Q, F]``; a point is reached when all facts of its flag hold.
        private: ``bool[Q, N, F]``, each actor's private goal at each point; none if empty.
        cast: ``bool[Q, N]``, actors on stage; constant within a scene.
        scene: ``int32[Q]``, scene of each point, not decreasing.
        act: ``int32[Q]``, act of each point, not decreasing.
        unfamiliar: ``float32[]``, probability with which an actor believes at the beginning that a
            prop elsewhere is in another place than it is.
    """

    start: Array
    flags: Array
    private: Array
    cast: Array
    scene: Array
    act: Array
    unfamiliar: Array


class Point(NamedTuple):
    """One point of a blueprint, with names.

    Attributes:
        flag: facts that must hold together.
        cast: names of the actors on stage; all if ``None``.
        private: actor -> facts of its private goal.
        scene: number of the scene.
        act: number of the act.
    """

    flag: Sequence[Fact]
    cast: Sequence[str] | None = None
    private: dict[str, Sequence[Fact]] | None = None
    scene: int = 0
    act: int = 0


def blueprint(
    stage: Stage,
    start: Iterable[Fact],
    points: Sequence[Point],
    *,
    after: Iterable[tuple[int, int]] = (),
    unfamiliar: float = 0.3,
) -> Blueprint:
    """Make a blueprint of named facts, and check with a planner that its points can be reached.

    Args:
        stage: facts and verbs.
        start: facts that hold at the beginning.
        points: at least one, in the order of the play unless ``after`` says otherwise.
        after: pairs ``(q, r)``: point ``q`` comes after point ``r``.
        unfamiliar: see :class:`Blueprint`.

    Raises:
        ValueError: unknown facts or actors, a prop in two places, an empty cast, an actor in no
            scene, a cyclic order, a contradictory or unreachable flag.

    Example:
        >>> from jaxswarm.envs import theatre
        >>> stage = theatre.default_stage(2, 2, 1, 1)
        >>> play = theatre.blueprint(
        ...     stage,
        ...     [("at", "Ada", "hall"), ("at", "Bruno", "hall"), ("in", "letter", "garden"),
        ...      ("is", "letter", "intact")],
        ...     [theatre.Point([("holds", "Ada", "letter")]),
        ...      theatre.Point([("knows", "Bruno", "plot"), ("at", "Ada", "garden")])])
        >>> play.flags.sum(axis=1).tolist()
        [1, 2]
    """
    check_stage(stage)
    checks.probability("unfamiliar", unfamiliar)
    bits = stage.check_state(stage.bits(start, "start"))
    if not isinstance(points, Sequence) or not points:
        raise ValueError(f"points: expected at least one Point, got {checks.shown(points)}")
    for point in points:
        checks.instance("points", point, Point)
    ordered = [points[q] for q in _ordered(len(points), after)]
    q, n, f = len(ordered), stage.num_actors, stage.num_facts
    flags, cast = np.zeros((q, f), bool), np.zeros((q, n), bool)
    private = np.zeros((q, n, f), bool)
    scene, act = (
        np.array([checks.whole(name, getattr(point, name)) for point in ordered], np.int32)
        for name in ("scene", "act")
    )
    for k, point in enumerate(ordered):
        flags[k] = stage.bits(point.flag, "points: flag")
        for who in stage.actors if point.cast is None else point.cast:
            cast[k, _actor(stage, who)] = True
        for who, goal in (point.private or {}).items():
            private[k, _actor(stage, who)] = stage.bits(goal, "points: private")
    made = Blueprint(bits, flags, private, cast, scene, act, np.array(unfamiliar, np.float32))
    check_blueprint(stage, made)
    return made


def check_blueprint(stage: Stage, given: Any, *, reachable: bool = True) -> Blueprint:
    """Check a single blueprint of known arrays; return it.

    Args:
        stage: facts and verbs.
        given: what the caller gave.
        reachable: also plan from point to point.

    Raises:
        ValueError: as :func:`blueprint`.
    """
    check_stage(stage)
    checks.instance("blueprint", given, Blueprint, "theatre.blueprint(stage, start, points)")
    start = stage.check_state(given.start)
    q, n, f = np.shape(given.flags)[0], stage.num_actors, stage.num_facts
    flags = np.asarray(checks.mask("flags", given.flags, (None, f)))
    checks.mask("private", given.private, (q, n, f))
    cast = np.asarray(checks.mask("cast", given.cast, (q, n)))
    checks.probability("unfamiliar", given.unfamiliar)
    for name in ("scene", "act"):
        numbers = checks.wholes(name, getattr(given, name), shape=(q,))
        if (np.diff(numbers) < 0).any():
            raise ValueError(f"{name}: expected numbers that do not decrease, got {list(numbers)}")
    if not q or not flags.any(axis=1).all():
        raise ValueError("flags: expected points with at least one fact each, got none")
    if not cast.any(axis=1).all():
        raise ValueError("cast: expected at least one actor in every scene, got an empty cast")
    missing = [stage.actors[i] for i in np.flatnonzero(~cast.any(axis=0))]
    if missing:
        raise ValueError(f"cast: expected every actor in a scene, got {missing[0]} in no scene")
    for k, flag in enumerate(flags):
        twice = stage.groups[(stage.groups & flag).sum(axis=1) > 1]
        if len(twice):
            raise ValueError(
                f"flags: point {k}: contradictory: {stage.named(twice[0] & flag)} cannot both hold"
            )
    if reachable:
        state = start
        for k in range(q):
            found = plan(stage, state, flags[k], cast=cast[k])
            if found is None:
                raise ValueError(
                    f"flags: point {k}: expected a flag in reach of the point before it, got "
                    f"unreachable {stage.named(flags[k])}"
                )
            state = found.states[-1]
            if k + 1 < q:
                state = with_exits(stage, state, cast[k] & ~cast[k + 1])
    return given


def with_exits(stage: Stage, state: np.ndarray, leaving: np.ndarray) -> np.ndarray:
    """The state ``bool[F]`` after actors ``bool[N]`` left: they put down what they hold."""
    state = state.copy()
    for i in np.flatnonzero(leaving):
        place = int(np.argmax(state[stage.at[i]]))
        for p in np.flatnonzero(state[stage.holds[i]]):
            state[stage.holds[i, p]] = False
            state[stage.inside[p, place]] = True
    return state


def _actor(stage: Stage, who: Any) -> int:
    if who not in stage.actors:
        raise ValueError(f"points: expected an actor of {stage.actors}, got {who!r}")
    return stage.actors.index(who)


def _ordered(count: int, after: Iterable[tuple[int, int]]) -> list[int]:
    """Points in an order that respects ``after``, as close to the given one as possible."""
    before: list[set[int]] = [set() for _ in range(count)]
    for pair in after:
        q, r = checks.wholes("after", pair, 0, count - 1, shape=(2,))
        before[int(q)].add(int(r))
    order: list[int] = []
    while len(order) < count:
        ready = [k for k in range(count) if k not in order and before[k] <= set(order)]
        if not ready:
            raise ValueError(
                f"after: expected an order of the points, got a cycle in {list(after)}"
            )
        order.append(ready[0])
    return order
