"""HAMLET: improvised plays that a director planned backwards and controllers keep moving.

``hamlet.perform(key, production, plays, decide)`` performs a play. Actors perceive and decide
between silence, a fast act and a slow one; a policy for this is trained in :class:`Rehearsal` by
``rl.ppo``. The narrator (``envs.theatre.narrate``) alone changes facts; :func:`planner`,
:func:`transfer` and :func:`advancer` are pure functions. ``stage_plays`` writes blueprints. A
human (:func:`human`) or a language model (:func:`prompt_text`, :func:`read_act`) can play an actor.
"""

from jaxswarm.systems.hamlet._audit import Audit, audit
from jaxswarm.systems.hamlet._candidates import Candidates, candidates
from jaxswarm.systems.hamlet._controllers import Move, advancer, planner, transfer
from jaxswarm.systems.hamlet._perform import (
    Summary,
    Trace,
    fixed,
    learned,
    perform,
    summarize,
)
from jaxswarm.systems.hamlet._plays import Plays, stage_plays
from jaxswarm.systems.hamlet._rehearsal import (
    Rehearsal,
    RehearsalObservation,
    RehearsalParams,
    production,
    rehearsal_params,
)
from jaxswarm.systems.hamlet._settings import (
    GOALS,
    MODES,
    ROLES,
    Settings,
    check_settings,
    latency_penalty,
    settings,
)
from jaxswarm.systems.hamlet._text import human, prompt_text, read_act, view
from jaxswarm.systems.hamlet._tick import (
    HamletState,
    Opening,
    Production,
    TickInfo,
    opening,
    perceive,
    tick,
)

__all__ = [
    "GOALS",
    "MODES",
    "ROLES",
    "Audit",
    "Candidates",
    "HamletState",
    "Move",
    "Opening",
    "Production",
    "Plays",
    "Rehearsal",
    "RehearsalObservation",
    "RehearsalParams",
    "Settings",
    "Summary",
    "TickInfo",
    "Trace",
    "advancer",
    "audit",
    "candidates",
    "check_settings",
    "fixed",
    "human",
    "latency_penalty",
    "learned",
    "opening",
    "perceive",
    "perform",
    "planner",
    "production",
    "rehearsal_params",
    "prompt_text",
    "read_act",
    "settings",
    "stage_plays",
    "summarize",
    "tick",
    "transfer",
    "view",
]
