"""FantasyHSI: navigator, planner and critic around a motion generator, in a closed loop.

What was found at small scale. Feedback is the whole of the gain: at eight actions the closed loop
completes all tasks with 10.3 generator calls, the open loop .11, four open loops .31 and the best
of four clips .76 with 32 calls; replanning alone, without retries, completes .99, so that retries
add nothing that could be seen. The open loop's end error grows faster than a random walk (exponent
1.2; .88 with the heading known), since errors of direction turn into errors of place; the closed
loop's stays at 8 cm. DPO removes 3 % of foot skate and 2 % of bone errors, not 20 %: it tells
winners from losers in .82 of its pairs, mostly by raising the error on losers, and larger steps
made motion worse in the pilot. The scene changes walks near obstacles by 4 cm per joint where two
noise seeds differ by 12 cm; the divergence score does not reach three times that of two seeds.
Completion is at its ceiling in the closed loop, so the claims on DPO's cost and on the held-out
family say no more than that neither breaks it.

Changed after the pilots on base seed 1000, thresholds untouched: motor errors of the training
motion are 1.5 times as large (every closed loop was at its ceiling), training targets are
preferably such with an obstacle on the way (the generator had not learned the scene), the claim on
retries asks for one point instead of any gain (it held at 0), the generator is smaller (time).
A pilot of step sizes 1e-4 and 4e-4 and factors 300 and 3000 of DPO, with the same step sizes for
winners only, had DPO worse than the base in bone error at all four; the step size of 5e-5 follows
from it and was not tried for winners only, so that the two are not equally tuned.

Limits: what is generated is what happens; the critic measures exactly; at most four calls for each
planned action are a budget of which the closed loop uses a third.
"""

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
