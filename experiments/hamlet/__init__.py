"""HAMLET: a play planned backwards, improvised by actors, kept moving by controllers."""

from experiments.harness.protocol import Paper

NAME = "hamlet"
TITLE = "HAMLET: improvised plays with a planned blueprint, a narrator and an advancer"
PAPER = Paper(
    author="S. Shen et al.",
    title=("HAMLET: A Hierarchical and Adaptive Multi-Agent Framework for Live Embodied Theatrics"),
    year=2026,
    venue="ICLR 2026",
    arxiv="2507.15518",
)
SUBSTITUTES = (
    "A typed world of facts and verbs stands in for a text world, drafts of conjunctions and a "
    "backward-chaining planner for the designers and the director, a network that chooses silence, "
    "a one-step heuristic or a bounded look-ahead for an actor of 8 billion parameters. Literary "
    "quality and the paper's critic are not measured: there is no judge."
)
