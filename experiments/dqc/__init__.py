"""DQC: decoupled Q-chunking, its baselines, exact theory, and agents with disjoint shards.

**Exact part.** Random Markov decision processes whose chunks are enumerated: values of executing
the best nominal chunks open-loop, of closed-loop execution (the distilled critic of one action) and
of n-step returns, on data of which 2 % or 30 % of the chunks are optimal; the bounds of Theorems 1
and 3; the distilled critic, fitted by its loss, as a maximum over completions.

**Learnt part.** Four grid tasks (:mod:`experiments.dqc.worlds`), five starts and goals each. All
arms are numbers of one update on the same networks, with the same batches, steps and step sizes.
DQC has one configuration for all tasks; chunk lengths and κ are not tuned per task, as they are for
the paper's Table 2. IQL extracts its policy by advantage-weighted regression; it and behavior
cloning are given goals that the data went on to reach.

**Extension.** Four agents hold disjoint shards in the long corridor, dealt by the region in which
episodes take place or made of skills that lead to the agent's own section, and gossip critics,
value, flow and Adam's moments on a ring after every step; an ablation leaves the moments out. An
oracle counts for how many starts and goals of the evaluation a shard shows the way, move by move.

What pilots on base seed 1000 changed, before the recorded run. Rewards of the random processes are
fourth powers of uniform numbers (with squares, n-step returns reached .96 of the optimum). With 40
episodes of data and one-hot or purely geometric observations no arm solved the corridors; now there
are 200 episodes and observations that contain the path's direction. The long corridor is straight
(a corridor maze of one row). Skills in the sticky corridor have 4 moves instead of 16, which lost
their way in the data as well. Evaluation allows 2 instead of 1.5 times the shortest path, so the
ways of the ring have 10 and 22 moves instead of 12 and 20. Step sizes decay, and policies use the
moving average of their critic. κ_d = .9 failed in the sticky corridor (success .15 to .25, against
.93 with κ_d = .5 and κ_b = .8), so κ_d is .7 for all tasks. These were choices for all arms alike;
no threshold moved. The last pilot had two seeds, 1,200 steps and no networked agents; the recorded
run has 1,000 steps to save time.

Changed after the first recorded run, by pilots on base seed 1000 with two seeds:

* IQL had an advantage weight of 10 and a mean success of .13 in the pilot. Of seven pairs of its
  expectile (.7, .9) and weight (.3, 1, 3, 10) the best, .9 and 3, has .275; κ_d of DQC had six
  candidates.
* Shards were dealt by the region in which episodes take place (*by place*). Such episodes cross
  much of the corridor and their skills lead anywhere, so that isolated agents had little need of
  others. Both arms remain. Shards *by section* were added, of which the oracle says that an agent
  alone lacks what it needs: its own shard shows the way for .2 of the starts and goals, all shards
  together for all. In the pilot isolated agents scored .31 with them, the ring .90, pooled data
  .82. Shards of episodes that also begin in the agent's section had .59, .70 and .83 in an earlier
  pilot on two other seeds: they show no whole way, but moves in both directions, and observations
  of the path's direction generalize. Thresholds are those of the first run.

What did not hold at small scale, and why.

* n-step returns reach .95 of the optimum on 2 % optimal data, not .93 or less: the threshold stems
  from a pilot on other random processes. The order of the arms is the paper's.
* DQC is not better than n-step returns in the mean over tasks (.71 against .76), though it is
  better than all other baselines. A likely cause, by a rough calculation and not measured: in the
  ring with detours the n-step values of the two ways differ by about a fifth, which networks of
  this size do not resolve. With rarer straight data (8 %) and more detours (pilot), n-step returns
  and DQC with six choices of κ all scored .38 to .52.
* Optimism does not pay: κ_d = κ_b = .5 scores .73. In the sticky corridor (.72 without optimism,
  .45 with it) an expectile over noisy outcomes counts luck; in the corridors no second way exists
  that an average would prefer. The paper's own κ_d is .5 on three of six tasks, and tuned per
  environment. In the exact part, where nothing is estimated, the maximum makes the difference.

* With shards by place, isolated agents do nearly as well as agents on a ring: observations of the
  path's direction generalize, and such a shard has moves of both directions.

With five seeds differences of less than about .2 are not resolved.

What did not hold at full scale (ten seeds, 2,000 steps), beside the same.

* The point mazes are out of reach of 5,000 gradient steps: no method solves any of the tasks of
  “giant”, and QC solves .03 of those of “teleport” (the authors train for a million steps). The
  claim that something is solved came after that run; with it the other one cannot hold by 0 = 0.

References:
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025.
    Q. Li, Z. Zhou, S. Levine, Reinforcement learning with action chunking, 2025 (Q-chunking).
    I. Kostrikov, A. Nair, S. Levine, Offline reinforcement learning with implicit Q-learning, 2022.
    S. Park, K. Frans, B. Eysenbach, S. Levine, OGBench: benchmarking offline goal-conditioned RL,
    2025.
"""

from experiments.harness.protocol import Paper

NAME = "dqc"

TITLE = "DQC: decoupled Q-chunking, its baselines, exact theory, and agents with disjoint shards"

PAPER = Paper(
    author="Q. Li, S. Park, S. Levine",
    title="Decoupled Q-Chunking",
    year=2025,
    venue="ICLR 2026",
    arxiv="2512.10926",
)

SUBSTITUTES = (
    "Four small grid tasks stand for OGBench's manipulation and locomotion tasks, networks of two "
    "layers of 32 units for four of 1,024. At full scale two point mazes of OGBench are added, "
    "with data regenerated by its authors' recipe; its cube, puzzle and humanoid tasks are not run."
)

CHANGES = (
    "Advantage-weighted regression of IQL was tuned after the first run (success .13 before); "
    "shards by section were added beside shards by place; a point maze that no arm solves has a "
    "claim of its own. Networked agents had other numbers than the learner with all data: their "
    "step size did not fall, and their policies used the last critic instead of its moving "
    "average. With shards by section the ring then scored .61 at small scale (1,000 steps; pooled "
    "data .60) and .23 at full scale (2,000 steps; pooled .89). A pilot on base seed 1000 (six "
    "seeds, 2,000 steps; pooled .87, isolated .31) looked for the cause: as recorded .32; with the "
    "same numbers as pooled .53; with these and averages over all agents after every step, so that "
    "the graph plays no part, .50; with Adam's moments averaged too .77; one learner with batches "
    "of all shards, which is what averaged gradients give, .82. Where weights only are averaged, "
    "an agent's moments measure the gradients of its own shard, and a mean of steps that were "
    "scaled by them is no step on all data. Of the loss of .55 the other numbers make .21, the "
    "moments .27 (better in five of six seeds, equal in one). Now networked agents have the pooled "
    "learner's numbers and exchange moments; 'ring, own moments' stays as an arm, with a claim of "
    "its own. At small scale, with half of these steps, nothing is lost that moments could mend "
    "(by section .67 with and .72 without, pooled .60), so that this claim does not hold there; "
    "the ring with moments was not piloted with 2,000 steps. A full run dated 2026-11-30 is of "
    "before these changes. No threshold was moved."
)
