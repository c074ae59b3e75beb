"""Drafts of blueprints: a designer that plans backwards, one that samples forwards, a reviewer.

A draft is an attempt at a blueprint; its flags may contradict themselves, be out of reach, or give
the cast nothing to do. :func:`review` finds such faults with the planner; :func:`write` sends a
draft back until the reviewer finds none.

Shapes: ``B`` blueprints, ``Q`` points, ``N`` actors, ``F`` facts.

References:
    S. Jiang et al., HAMLET: a hierarchical and adaptive multi-agent framework, 2026
    (plot designer, reviewer, and a director that plans backwards from the ending).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.envs.theatre.blueprints import Blueprint, with_exits
from jaxswarm.envs.theatre.planning import plan, relaxed_levels
from jaxswarm.envs.theatre.stage import INTACT, Stage, check_stage

DESIGNERS = ("backward", "forward")
OUTCOMES = ("in", "holds", "is", "knows")
"""Kinds of facts that flags are drawn from: what has come about, not where actors are."""
FAULTS = ("contradiction", "out of reach", "no motive")
"""Verdicts of the reviewer: facts exclude each other, no plan exists, nothing is left to do."""


class Review(NamedTuple):
    """What the reviewer found.

    Attributes:
        faults: for each point one of :data:`FAULTS`, or ``None``.
        reachable: ``bool[Q]``: the point's flag can be reached after all points before it.
    """

    faults: tuple[str | None, ...]
    reachable: np.ndarray

    @property
    def accepted(self) -> bool:
        """Whether no point has a fault."""
        return not any(self.faults)


class Written(NamedTuple):
    """Result of :func:`write`.

    Attributes:
        blueprint: the last draft.
        reviews: ``review`` of every draft, the last one of the blueprint.
    """

    blueprint: Blueprint
    reviews: tuple[Review, ...]


def draft(
    rng: np.random.Generator,
    stage: Stage,
    *,
    points: int = 3,
    facts: int = 4,
    designer: str = "backward",
    kinds: Sequence[str] = OUTCOMES,
    unfamiliar: float = 0.3,
) -> Blueprint:
    """Draw a start, casts and private goals, and design the points' flags.

    Both designers draw conjunctions of facts each of which alone can be reached by the cast. The
    *forward* designer draws one for each point in turn and imagines that it then holds. The
    *backward* designer draws the ending alone, plans back from it, and takes the flags before it
    from what the plan needs at equal distances; if there is no plan to the ending, it plans to one
    of its facts.

    Args:
        rng: draws everything.
        stage: facts and verbs.
        points: ``Q``, at least 1, in two scenes of one act each if there are several.
        facts: of a drawn conjunction, at least 1.
        designer: one of :data:`DESIGNERS`.
        kinds: of the facts that are drawn, such as ``("is", "knows")``; what the backward designer
            takes from its plan may be of any kind.
        unfamiliar: see :class:`~jaxswarm.envs.theatre.Blueprint`.

    Raises:
        ValueError: for sizes out of range or an unknown designer.
    """
    checks.instance("rng", rng, np.random.Generator, "numpy.random.default_rng(0)")
    check_stage(stage)
    q, k = checks.whole("points", points, 1), checks.whole("facts", facts, 1)
    checks.choice("designer", designer, DESIGNERS)
    wanted = np.array([fact[0] in kinds for fact in stage.facts])
    if isinstance(kinds, str) or not wanted.any():
        raise ValueError(f"kinds: expected kinds of facts such as {OUTCOMES}, got {kinds!r}")
    checks.probability("unfamiliar", unfamiliar)
    start = draw_start(rng, stage)
    scene = np.arange(q, dtype=np.int32) * 2 // q if q > 1 else np.zeros(1, np.int32)
    cast = _casts(rng, stage, scene)
    goals = _forward if designer == "forward" else _backward
    flags = goals(rng, stage, start, cast, k, wanted)
    private = np.stack([_private(rng, stage, start, flag) for flag in flags])
    return Blueprint(
        start, flags, private, cast, scene, scene.copy(), np.array(unfamiliar, np.float32)
    )  # one scene an act


def review(stage: Stage, given: Blueprint) -> Review:
    """Check every point of a draft: contradictions, reachability in order, motive.

    Points are played in order, so all that follow one out of reach are out of reach as well.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.envs import theatre
        >>> stage = theatre.default_stage()
        >>> made = theatre.draft(np.random.default_rng(0), stage, designer="backward")
        >>> theatre.review(stage, made).reachable.tolist()
        [True, True, True]
    """
    check_stage(stage)
    checks.instance("blueprint", given, Blueprint)
    state, cast, faults = np.asarray(given.start), np.asarray(given.cast), []
    reachable = np.zeros(len(given.flags), bool)
    lost = False
    for k, flag in enumerate(np.asarray(given.flags)):
        fault, found = None, None
        if ((stage.groups & flag).sum(axis=1) > 1).any():
            fault = FAULTS[0]
        elif lost or (found := plan(stage, state, flag, cast=cast[k])) is None:
            fault = FAULTS[1]
        elif not found.acts:
            fault = FAULTS[2]
        faults.append(fault)
        lost = lost or found is None
        reachable[k] = not lost
        if found is not None:
            state = found.states[-1]
        if k + 1 < len(given.flags):
            state = with_exits(stage, state, cast[k] & ~cast[k + 1])
    return Review(tuple(faults), reachable)


def write(
    rng: np.random.Generator,
    stage: Stage,
    *,
    designer: str = "backward",
    reviewer: bool = True,
    drafts: int = 24,
    **options: Any,
) -> Written:
    """Draft a blueprint, with a reviewer who sends it back until no fault is found.

    Args:
        rng: draws everything.
        stage: facts and verbs.
        designer: one of :data:`DESIGNERS`.
        reviewer: whether drafts with faults are sent back; otherwise the first one stands.
        drafts: largest number of drafts, at least 1; the last one stands whatever its faults.
        options: of :func:`draft`.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.envs import theatre
        >>> made = theatre.write(np.random.default_rng(0), theatre.default_stage(), points=2)
        >>> made.reviews[-1].accepted
        True
    """
    checks.flag("reviewer", reviewer)
    drafts = checks.whole("drafts", drafts, 1)
    reviews: list[Review] = []
    for _ in range(drafts if reviewer else 1):
        made = draft(rng, stage, designer=designer, **options)
        reviews.append(review(stage, made))
        if reviews[-1].accepted:
            break
    return Written(made, tuple(reviews))  # pyright: ignore[reportPossiblyUnboundVariable]


def draw_start(rng: np.random.Generator, stage: Stage) -> np.ndarray:
    """Draw a start ``bool[F]``: actors and props in random places, all intact, one actor knows all.

    One random actor knows the last secret, on a stage that has secrets.
    """
    state = np.zeros(stage.num_facts, bool)
    for table in (stage.at, stage.inside):
        for row in table:
            state[rng.choice(row)] = True
    for fact, place in zip(stage.facts, range(stage.num_facts), strict=True):
        state[place] |= fact[0] == "is" and fact[2] == INTACT
    known = [place for place, fact in enumerate(stage.facts) if fact[0] == "knows"]
    if known:
        state[rng.choice([place for place in known if stage.facts[place][2] ==
                          stage.facts[known[-1]][2]])] = True  # fmt: skip
    return state


def _casts(rng: np.random.Generator, stage: Stage, scene: np.ndarray) -> np.ndarray:
    """All actors in all scenes but one, in which one of three or more is absent."""
    cast = np.ones((len(scene), stage.num_actors), bool)
    if stage.num_actors > 2 and scene[-1] > 0:
        cast[scene == rng.integers(scene[-1] + 1), rng.integers(stage.num_actors)] = False
    return cast


def _conjunction(
    rng: np.random.Generator,
    stage: Stage,
    state: np.ndarray,
    cast: np.ndarray,
    count: int,
    wanted: np.ndarray,
) -> np.ndarray:
    """Facts that do not hold yet and that the cast can bring about, each taken alone."""
    levels = relaxed_levels(stage, state, cast=cast)
    flag = np.zeros(stage.num_facts, bool)
    options = np.flatnonzero((levels > 0) & wanted)
    if len(options):
        flag[rng.choice(options, min(count, len(options)), replace=False)] = True
    else:
        flag[rng.choice(np.flatnonzero(wanted))] = True
    return flag


def _forward(
    rng: np.random.Generator,
    stage: Stage,
    start: np.ndarray,
    cast: np.ndarray,
    count: int,
    wanted: np.ndarray,
) -> np.ndarray:
    flags, state = np.zeros((len(cast), stage.num_facts), bool), start
    for k in range(len(cast)):
        flags[k] = _conjunction(rng, stage, state, cast[k], count, wanted)
        replaced = stage.groups[(stage.groups & flags[k]).any(axis=1)].any(axis=0)
        state = np.where(flags[k], True, state & ~replaced)
        if k + 1 < len(cast):
            state = with_exits(stage, state, cast[k] & ~cast[k + 1])
    return flags


def _backward(
    rng: np.random.Generator,
    stage: Stage,
    start: np.ndarray,
    cast: np.ndarray,
    count: int,
    wanted: np.ndarray,
) -> np.ndarray:
    common = np.asarray(cast.all(axis=0))  # those who are on stage throughout
    ending = _conjunction(rng, stage, start, common, count, wanted)
    goal = ending
    found = plan(stage, start, goal, cast=common)
    for fact in rng.permutation(np.flatnonzero(ending)):
        if found is not None:
            break
        goal = np.arange(stage.num_facts) == fact
        found = plan(stage, start, goal, cast=common)
    flags = np.repeat(ending[None], len(cast), axis=0)
    if found is not None:
        cuts = np.round(len(found.acts) * np.arange(1, len(cast)) / len(cast)).astype(int)
        flags[:-1] = found.subgoals[cuts]
    # What nothing can change is no part of a flag, unless nothing else is.
    changing = stage.changes.any(axis=(0, 1))
    kept = flags & changing
    return np.where(kept.any(axis=1, keepdims=True), kept, flags)


def _private(
    rng: np.random.Generator, stage: Stage, start: np.ndarray, flag: np.ndarray
) -> np.ndarray:
    """One fact for each actor: to be in a place, or to hold a prop; it may hinder the point."""
    del flag
    goals = np.zeros((stage.num_actors, stage.num_facts), bool)
    for i in range(stage.num_actors):
        own = [*stage.at[i], *stage.holds[i]]
        options = [place for place in own if not start[place]] or own
        goals[i, rng.choice(options)] = True
    return goals
