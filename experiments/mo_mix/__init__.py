"""MO-MIX: one team for all preferences between two objectives, by parallel monotonic mixers.

The game: two agents start in a corner of a 6 × 6 grid and have six moves. Treasures lie on two
diagonals, at distance 2 (values of norm 1) and 5 (norm 3), each at an angle between the two
objectives; the first agent on a cell takes its treasure for the team. All attainable returns are
enumerated, so that the true front is known: 15 points, of which 6 are best for some linear
preference. The best teams for the eleven preferences 0, 0.1, … 1 have 0.945 of the true front's
hypervolume above (-0.1, -0.1), those for all preferences 0.978: this oracle shows that the world
can reward the method, and how far linear preferences go. A second game of the same cells has
values on a concave curve; there the best teams for all preferences have 0.824.

Arms, at equal numbers of episodes and updates:

* *MO-MIX*: preference-conditioned recurrent agents with vector values, one monotonic mixer per
  objective, half of the preferences at gaps of the front attained so far (the guide);
* *uniform preferences*: the same without the guide;
* *additive mixers*: the same with sums in place of mixers;
* *outer loop*: one QMIX for each of the eleven preferences, on the weighted reward, with an
  eleventh of the episodes each; full scale adds three preferences with a third each, and eleven
  with ten times the total;
* *preferences in steps of 0.5*: without the guide, training's preferences are 0, 0.5 and 1 only
  (the preference interval, an ablation of the paper by a third party's summary);
* *MO-MIX, concave game*: the control.

A second control has a known front, MO-Gymnasium's deep-sea treasure, of whose ten points linear
preferences reach two, see :mod:`experiments.mo_mix.treasure`.

All but the outer loop are evaluated under the same eleven preferences; spacing is that of the front
under 101 preferences. The guide's greedy episodes count as episodes like the others.

Networked agents are an addition of this project: four agents on a ring learn each its own network
from its own observations and the team's vector reward (independent values, no mixer) and exchange
weights with neighbors. In execution each has its own preference; *consensus* averages preferences
over the ring for four rounds, *own preferences* does not, *team preference* gives all the mean.

Three agents also cover landmarks and save energy (``envs.CoverageEnergy``), at both scales. All
teams of a seed are tested on the same episodes, a team at rest with them, above which hypervolume
is measured; a planner that drives to landmarks shows that the world can reward more than to rest.

Pilots at base seed 1000. Step sizes (0.001, 0.003, 0.006, 0.012) and target rates (0.02, 0.06) of
MO-MIX and of the outer loop were each chosen from these eight pairs by hypervolume, two seeds and
396 steps of 16 episodes each. At these sizes, with five seeds, MO-MIX had 0.907 of the true
hypervolume and still rose; the outer loop 0.489. Afterwards all arms got 594 steps, 24 instead of
32 hidden units and a step size that falls at the end, which held four claims before and seven of
fourteen after. The outer loop fell to 0.23 and was tuned once more, without that fall and with a
target rate up to 0.2, to 0.63; it has these. Its claim is on ``MO-MIX - 1.1 x outer loop`` instead
of their ratio, whose interval a single seed near zero decided, and both controls are judged by
their value, since misses of one seed in five are wide.

The interval and deep-sea treasure came after the first recorded run, of which no arm or threshold
was changed. A pilot of the treasure at base seed 1000 (two seeds) with 198 steps found both ends in
one of two seeds, with 396 steps in both, at 0.92 of the ends' hypervolume; the outer loop at equal
totals found none of the far treasures, and is run at full scale only. In the recorded run the
coarse preferences lose nothing (0.92 of the hypervolume, as uniform ones): only six points are
best for some preference, which leaves little between 0, 0.5 and 1. On deep-sea treasure the agent
reaches the two ends and next to nothing between them, as it must; some of its ways to the far end
have detours, and under a preference for value alone it sometimes finds nothing.

In both pilots networked agents did worse with a consensus than with own preferences when they
exchanged networks (by 0.14 and 0.17 of the best), and exchange lost 0.30 and 0.26. A likely cause,
not tested: agents with equal networks and equal preferences walk to the same treasures, of which
the team gets one, and different preferences part them. These claims were left as they were.

References:
    T. Hu, B. Luo, C. Yang, T. Huang, MO-MIX: Multi-Objective Multi-Agent Cooperative
    Decision-Making With Deep Reinforcement Learning, 2023.
    T. Rashid et al., QMIX, 2018. P. Sunehag et al., Value-decomposition networks, 2018.
"""

from experiments.harness.protocol import Paper

NAME = "mo_mix"

TITLE = "MO-MIX: multi-objective value decomposition with parallel monotonic mixers"

PAPER = Paper(
    author="T. Hu, B. Luo, C. Yang, T. Huang",
    title="MO-MIX: Multi-Objective Multi-Agent Cooperative Decision-Making With Deep "
    "Reinforcement Learning",
    year=2023,
    venue="IEEE TPAMI 45(10)",
    arxiv="2603.00730",
)

SUBSTITUTES = (
    "A grid game whose front is enumerated (two agents, two objectives) replaces the particle "
    "world and StarCraft; full scale adds cooperative navigation with coverage and energy. "
    "The authors' code and the formula of their exploration guide were not available: preferences "
    "are drawn at gaps of the attained front. Networked agents with a consensus of preferences are "
    "an addition of this project."
)

CHANGES = (
    "Coverage and energy: in the first full run (660 steps of 2 updates, step size .001, target "
    "rate .02, discount .97, MO-MIX and outer loop alike) no team learned more than to rest: every "
    "hypervolume was 0. Now the discount is .8 and a step has 4 updates on 16 episodes. Step sizes "
    ".003, .006, .012 and target rates .06, .2 were tried for MO-MIX and for the outer loop, on "
    "base seed 1000 with two seeds and 165 steps in all for each method. MO-MIX: .10, .84, .10 "
    "with the rate .06 and .89, .54, .55 with .2, so that it has .003 and .2. The outer loop, with "
    "15 steps for each preference, had 0 with all six; it has .012 and .2, with which it came "
    "nearest to a team at rest. Returns are means over 256 instead of 64 episodes, the same for "
    "all teams of a seed and for the team at rest: with other episodes for every preference a "
    "front had points that were only lucky with their episodes, which raised a hypervolume of .84 "
    "to about 1.4. The part runs at small scale too, and a planner is its oracle. To fit into half "
    "an hour of two cores, the full scale has 594 instead of 1,188 steps in the grid game, 450 "
    "instead of 600 of networked agents, 594 instead of 792 on deep-sea treasure and 198 steps of "
    "4 updates instead of 660 of 2 of coverage and energy. At small scale MO-MIX is above the team "
    "at rest in all five seeds (.16, .54, .34, .83, .05 against the planner's 6.5) and the outer "
    "loop in none, but the interval of the mean begins at -.002, so that both claims are "
    "undecided. The small run costs 397 CPU seconds, more than two minutes of two cores. A full "
    "run dated 2026-11-30 is of before these changes. No threshold was moved."
)
