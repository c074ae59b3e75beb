"""DAMCS: agents with hierarchical memories and structured messages mine a diamond together.

``damcs.team(env)`` makes a team for ``envs.MultiAgentCrafter``; ``damcs.episodes_of(team)`` plays
whole episodes of many worlds, ``damcs.play_text`` one whose decisions come from a language model
or another function of the user's own.
"""

from jaxswarm.systems.damcs._play import (
    Episodes,
    Film,
    Play,
    episodes_of,
    start_play,
    step_play,
)
from jaxswarm.systems.damcs._team import Team, TeamOptions, TeamState, team
from jaxswarm.systems.damcs._text import TextPlay, play_text, prompt_of
from jaxswarm.systems.damcs.memory_graph import (
    KINDS,
    MemoryGraph,
    add_experience,
    digest_of,
    empty_graph,
    failures,
    parent_slot,
)
from jaxswarm.systems.damcs.messages import (
    FIELD_BYTES,
    FIELDS,
    MESSAGE_KINDS,
    RECORD_BYTES,
    Message,
    MessageKind,
    bytes_sent,
    no_messages,
    post,
)
from jaxswarm.systems.damcs.navigation import look, navigate, sectors
from jaxswarm.systems.damcs.planner import Knowledge, announced, decide, long_term_goal
from jaxswarm.systems.damcs.records import (
    TARGETS,
    Decision,
    Goal,
    LongTermGoal,
    Op,
    Result,
    decision_of,
    describe,
    no_decision,
    num_decisions,
)
from jaxswarm.systems.damcs.semantic import missing, requirements

__all__ = [
    "FIELDS",
    "FIELD_BYTES",
    "KINDS",
    "MESSAGE_KINDS",
    "RECORD_BYTES",
    "TARGETS",
    "Decision",
    "Episodes",
    "Film",
    "Goal",
    "Knowledge",
    "LongTermGoal",
    "MemoryGraph",
    "Message",
    "MessageKind",
    "Op",
    "Play",
    "Result",
    "Team",
    "TeamOptions",
    "TeamState",
    "TextPlay",
    "add_experience",
    "announced",
    "bytes_sent",
    "decide",
    "decision_of",
    "describe",
    "digest_of",
    "empty_graph",
    "episodes_of",
    "failures",
    "long_term_goal",
    "look",
    "missing",
    "navigate",
    "no_decision",
    "no_messages",
    "num_decisions",
    "parent_slot",
    "play_text",
    "post",
    "prompt_of",
    "requirements",
    "sectors",
    "start_play",
    "step_play",
    "team",
]
