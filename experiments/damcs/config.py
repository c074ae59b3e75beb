"""Sizes of the DAMCS experiment, and the names of its arms."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxswarm.systems.damcs import MESSAGE_KINDS, MessageKind


class Arm(NamedTuple):
    """A scripted team.

    Attributes:
        agents: how many take part.
        messages: what they send.
        memory: whether they keep the explored map and the memory graph.
        graph: whether blocked ways are looked up in the memory graph.
        known_map: whether they are given the whole map.
    """

    agents: int
    messages: MessageKind = MESSAGE_KINDS["structured"]
    memory: bool = True
    graph: bool = True
    known_map: bool = False


ORACLE = "six, map known"
SINGLE_ORACLE = "one, map known"
SINGLE, PAIR, SIX = "one", "two", "six"
SILENT, HISTORY, SHUFFLED = "six, silent", "six, full history", "six, shuffled"
NO_MEMORY, NO_GRAPH = "six, no memory", "six, no graph"
UNTRAINED = "untrained"
IPPO, MAPPO = "IPPO", "MAPPO"

ARMS = {
    ORACLE: Arm(6, known_map=True),
    SINGLE_ORACLE: Arm(1, known_map=True),
    SINGLE: Arm(1),
    PAIR: Arm(2),
    SIX: Arm(6),
    SILENT: Arm(6, MESSAGE_KINDS["none"]),
    HISTORY: Arm(6, MESSAGE_KINDS["history"]),
    SHUFFLED: Arm(6, MESSAGE_KINDS["shuffled"]),
    NO_MEMORY: Arm(6, memory=False),
    NO_GRAPH: Arm(6, graph=False),
}
"""Scripted teams by name."""


@dataclass(frozen=True)
class Config:
    """Sizes of the worlds, of the comparison and of learning."""

    worlds: int = 32  # random worlds that every arm plays, at least 2
    size: int = 64  # cells of a world's side, a multiple of 16
    time_limit: int = 600  # steps of an episode; also counts for episodes without a diamond
    candidates: int = 64  # worlds drawn, of which the first solvable ones are played
    side_by_side: int = 8  # episodes played at once; no effect on results
    level: int = 1  # optimization level of the compiler; 0 suits runs of seconds
    envs: int = 16  # copies of the world in which learners act at once
    horizon: int = 64  # steps of an iteration of PPO
    iterations: int = 0  # iterations of PPO; 0 leaves the learners out
    learners: int = 5  # seeds of each learner, each evaluated in a world of its own
    width: int = 128  # units of the learners' hidden layer
    seed: int = 0  # base seed of worlds and learners

    def __post_init__(self) -> None:
        if self.size % 16:
            raise ValueError(f"size: expected a multiple of 16, got {self.size}")
        if self.worlds < 2:
            raise ValueError(f"worlds: expected at least 2, got {self.worlds}")
        if self.candidates < self.worlds:
            raise ValueError(
                f"candidates: expected at least worlds={self.worlds}, got {self.candidates}"
            )


SCALES = {
    "smoke": Config(worlds=2, size=32, time_limit=50, candidates=48, level=0),
    "small": Config(),
    "full": Config(worlds=256, time_limit=1000, candidates=320, iterations=300),
}
