"""HAMLET: a play planned backwards, improvised by actors, kept moving by controllers.

What was set on trials before the run (blueprints of base seed 1000): flags are drawn from outcomes
without places, four facts in three points; a slow look-ahead of two layers that stays silent where
it finds no way (it looked around before, and plays hardly ever stalled); the reward of coming
nearer to a flag; PPO's step size and discount. A pilot was stopped half-way for lack of time;
sizes of the small run then went from six seeds and 64 plays to five and 48. No threshold moved.

What was found at small scale (13 of 22 claims). The paper's headline, completion of 68.7 % without
the advancer: 86.7 % with it, 71.7 % without, a difference of 15.0 points [7.6, 22.4], which five
seeds do not decide against the threshold of 15; 75.8 % if the policy is trained without it.
Stalls do not halve (.27 against .38 of the moments). Reviewer, designers and broadcasts are worth
more than claimed (31 points, 50 points of reachable flags, 64 points), but most of the last comes
from actors that do not even know what they did themselves: knowing own acts alone costs 4 points.
Perceive-and-decide takes half of the latency of always slow (98 against 192 s) and completes 86.7 %
against 95.4 %: it trades completion for latency, as its reward says. One actor at random throughout
halves completion (39.6 %): it ruins and carries away props and heeds no prompt; after a quarter of
the moments at random it is 71.7 %.
"""

from experiments.harness.protocol import Paper

NAME = "hamlet"
TITLE = "HAMLET: improvised plays with a planned blueprint, a narrator and an advancer"
PAPER = Paper(
    author="S. Jiang, S. Chen, C. Zhang, X.-L. Zhang, X. Li",
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
