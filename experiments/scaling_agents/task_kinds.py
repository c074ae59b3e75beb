"""Kinds of task of the experiment on scaling agent systems: layered graphs of subtasks."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of task.

    Attributes:
        width: subtasks per layer.
        depth: layers; 1 is fully parallel.
        coupling: parents of a subtask in the layer before, at most ``width``.
        tools: tool calls per subtask, and tool descriptions in every context.
        shown: chance that what a message lost can be observed in the world, in [0, 1].
    """

    width: int
    depth: int
    coupling: int
    tools: int
    shown: float


KINDS: dict[str, Kind] = {
    "survey": Kind(12, 1, 1, 2, 0.2),
    "survey, many tools": Kind(8, 1, 1, 8, 0.2),
    "comparison": Kind(6, 1, 1, 1, 0.5),
    "chain of 3": Kind(1, 3, 1, 2, 0.2),
    "chain of 5": Kind(1, 5, 1, 2, 0.2),
    "chain of 7": Kind(1, 7, 1, 0, 0.2),
    "observable chain": Kind(1, 5, 1, 2, 0.9),
    "report": Kind(6, 2, 2, 2, 0.3),
    "browsing": Kind(4, 3, 1, 6, 0.5),
    "workflow": Kind(2, 4, 1, 4, 0.6),
    "plan": Kind(3, 4, 2, 1, 0.2),
    "fully coupled": Kind(4, 2, 4, 2, 0.2),
}
WIDE = ("survey", "survey, many tools", "comparison")
CHAINS = ("chain of 3", "chain of 5", "chain of 7")
