"""FantasyHSI: navigator, planner and critic around a motion generator, in a closed loop."""

from experiments.harness.protocol import Paper

NAME = "fantasy_hsi"
TITLE = "FantasyHSI: a planner and a critic around a motion generator, in a closed loop"
PAPER = Paper(
    author="L. Mu, Q. Wang, F. Jiang, M. Wang, Y. Fan, M. Xu, K. Zhang",
    title=(
        "FantasyHSI: Video-Generation-Centric 4D Human Synthesis In Any Scene through A "
        "Graph-based Multi-Agent Framework"
    ),
    year=2025,
    venue="AAAI 2026",
    arxiv="2509.01232",
)
SUBSTITUTES = (
    "A flow over eight frames of nine joints, trained on procedurally walked motion, stands in for "
    "an image-to-video model with 4D lifting, a task grammar and a geometric critic for "
    "vision-language models, procedural rooms as occupancy grids for reconstructed scenes. The "
    "benchmark of the paper is not used and none of its numbers is a target."
)
