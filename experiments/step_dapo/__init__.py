"""Step-level direct advantage policy optimization (step-DAPO) with a frozen critic, and baselines.

A small transformer is fine-tuned on running maxima of five digits, line by line, from
demonstrations nine tenths of which slip in one line and go on from there. All methods start from
that model and have the same number of generated tokens. The methods that learn from a fixed set of
responses make equally many gradient steps on about equally many responses; PPO samples anew from
the policy that it has.

A response is right if all of its lines are.

Two controls keep the method and take away the critic: its values permuted across states with the
true reward at the end of a response, and values and rewards permuted. An oracle critic, which knows
the solutions, bounds what a better critic could add. Three arms are additions: two iterations, each
with half of the responses, sampled from the policy of the iteration before, and a new critic; the
loss with the log-partition function fitted in each state; Monte-Carlo values in place of a critic.

All arms train by one compiled program, whose loss is a traced switch over those of
:mod:`jaxswarm.language`, in batches of the same number of responses, with equally many gradient
steps. Since a response is right only if it is the solution, pass rates and values of states are
probabilities that the policy assigns to texts: they are computed exactly, without sampling.

What was changed since the run recorded before (7 of 18 claims held), and why; no threshold moved:

* *Tuning.* Settings had been chosen from ranges that differed between arms. Now all methods with β
  have the same grid, six β by two step sizes (``config.GRID``), and PPO five step sizes, on two
  pilot seeds; the controls and two iterations have step-DAPO's setting. DPO alone was tried at
  β = 10 as well, where it was worse. Pass rates of the best settings, means of the two seeds: PPO
  .87, oracle .87, response-level .85, Monte-Carlo values .80, DPO .71, step-DAPO .70, fitted
  log-partition .63 (``tuning.py``).
* *Coverage.* Of the same tokens, 288 questions with two responses and their completions teach the
  critic more than 96 questions with six: on one pilot seed its rank correlation with exact values
  rose from .60 to .78, and the share of the difference in value after a right and a wrong first
  line that it sees from .7 to .85. On the seeds of the claims it did not stay so high.
* *The critic's training*, 750 steps of size 1e-3 instead of 400 of 2e-3.

* *Seeds.* On five seeds 2 of 18 claims held and 12 intervals crossed their thresholds; so there are
  eight now, as many as two minutes allow. Nothing else was changed between these two runs.

What the pilot tried against the gap between fitted and oracle critic, and gave up: digits below
five (the critic was worse), two slips in each demonstration (a pass rate of .04, from which a
critic learns little), three layers instead of two (no better), and fine-tuning that stops at a pass
rate of .2 (step-DAPO .31 and .63, oracle .70 and .76, no better than response-level regression).

What was found on the eight seeds of the claims. The world rewards step-level credit: with the
oracle critic .85, response-level regression .71, and the interval of the difference is above 0.
With its fitted critic step-DAPO reaches .62, below the response-level loss (interval of the
difference -.12 to -.06) and below PPO (.85); DPO has .68. The critic is the cause: it sees about
half of the difference in value that a wrong first line makes (.21 and .09 where the exact values
are .23 and 0), and its rank correlation with exact values is .61 and differs over seeds. Where it
is .6 and more step-DAPO has .55 to .83, where it is .42 and .29 step-DAPO has .30 and .38. Monte-
Carlo values, without bias, tie with the response-level loss. PPO varies less over seeds than step-
DAPO, not more. The reference policies differ (pass rates .08 to .25), and all arms but PPO follow
them. The paper's headline is not found here; its author would object that a critic of 26 thousand
parameters, which learns to verify lines from two thousand sampled rows, is not the good estimate of
the value function that the method asks for, and that two seeds are few to choose settings on.

At full scale (seven terms, width 64, six seeds, 885 processor seconds) step-DAPO ties with
response-level regression (-.05 [-.18, .08]), DPO (-.03) and PPO (-.07), as do Monte-Carlo values
(+.05) and the oracle critic (+.02 [-.13, .16]): the better fitted critic (rank correlation .72
[.61, .82], .70 of the difference after a wrong first line) no longer loses, but there is no gap
left for it to win. Six seeds resolve differences of .15 at best.

Worlds tried before and given up: states of a machine with three permutations as operations, and
running sums; a critic of this size does not learn to verify their lines (rank correlation at most
.39).

References:
    J. Liu et al., Improving multi-step reasoning abilities of large language models with direct
    advantage policy optimization, 2024.
"""

from experiments.harness.protocol import Paper

NAME = "step_dapo"

TITLE = "Step-level direct advantage policy optimization: frozen critic, baselines and controls"

PAPER = Paper(
    author="J. Liu et al.",
    title=(
        "Improving Multi-Step Reasoning Abilities of Large Language Models with Direct Advantage "
        "Policy Optimization"
    ),
    year=2024,
    venue="arXiv preprint",
    arxiv="2412.18279",
)

SUBSTITUTES = (
    "A character transformer of 26 thousand parameters on running maxima of digits, fine-tuned "
    "here on noisy demonstrations, replaces language models of 7 billion parameters and MATH; a "
    "response is right if all its lines are, not only the last one "
    "(paper: up to 7.6 points on MATH, 9.2 on MBPP+; neither reached nor refuted here). β, "
    "completions per state and states per solution were not available and are ours. PPO with one "
    "value per line stands for co-trained actor-critic methods."
)
