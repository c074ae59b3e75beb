"""Improvised plays: typed facts, verbs as STRIPS rows, beliefs, and points with flags.

:func:`default_stage` or :func:`build_stage` gives facts and verbs, :func:`blueprint` a play of
named facts, :func:`write` one that a designer drafts and a reviewer checks; :class:`Theatre` is the
environment, :func:`plan` the backward-chaining planner, :func:`narrate` the rule by which acts
change facts and beliefs.
"""

from jaxswarm.envs.theatre.blueprints import Blueprint, Point, blueprint, check_blueprint
from jaxswarm.envs.theatre.drafts import (
    DESIGNERS,
    FAULTS,
    OUTCOMES,
    Review,
    Written,
    draft,
    draw_start,
    review,
    write,
)
from jaxswarm.envs.theatre.environment import (
    Theatre,
    TheatreObservation,
    TheatreWorld,
    goals_at,
    holds,
    stack,
)
from jaxswarm.envs.theatre.lookahead import (
    Options,
    Relaxed,
    Tables,
    options,
    relaxed_plan,
    tables,
)
from jaxswarm.envs.theatre.narration import (
    ALL,
    ITSELF,
    NONE,
    SILENCE,
    Narration,
    initial_beliefs,
    leave,
    narrate,
)
from jaxswarm.envs.theatre.planning import Plan, plan, relaxed_levels
from jaxswarm.envs.theatre.stage import (
    INTACT,
    RUINED,
    Fact,
    Stage,
    Verb,
    build_stage,
    check_stage,
)
from jaxswarm.envs.theatre.viewer import words
from jaxswarm.envs.theatre.vocabulary import default_stage

__all__ = [
    "ALL",
    "DESIGNERS",
    "FAULTS",
    "INTACT",
    "ITSELF",
    "NONE",
    "OUTCOMES",
    "RUINED",
    "SILENCE",
    "Blueprint",
    "Fact",
    "Narration",
    "Options",
    "Plan",
    "Point",
    "Relaxed",
    "Review",
    "Stage",
    "Tables",
    "Theatre",
    "TheatreObservation",
    "TheatreWorld",
    "Verb",
    "Written",
    "blueprint",
    "build_stage",
    "check_blueprint",
    "check_stage",
    "default_stage",
    "draft",
    "draw_start",
    "goals_at",
    "holds",
    "initial_beliefs",
    "leave",
    "narrate",
    "options",
    "plan",
    "relaxed_levels",
    "relaxed_plan",
    "review",
    "stack",
    "tables",
    "words",
    "write",
]
