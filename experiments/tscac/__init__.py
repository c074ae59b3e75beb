"""TSCAC: two-stage constrained actor-critic for feeds with sparse auxiliary responses.

**Exact part.** Random Markov decision processes with a dense main response and three sparse
auxiliary ones: the closed form of stage two against BFGS and random policies, and values along λ.

**Learnt part.** Sessions of a simulated feed (:class:`jaxswarm.envs.FeedEnv`) are logged by a known
stochastic policy; rates of clicks, likes, comments, shares and hates span three decades, and
stickiness raises watch times and hates and lowers comments. All arms learn from the same logs and
batches, with linear scores of the candidates; each has a grid of six values. TSCAC runs with both
forms of stage two: *TSCAC* fits an actor to the closed form by weighted likelihood, with temporal
differences as advantages; *TSCAC, closed form* learns action values of the watch time and acts by
the closed form. Baselines: RCPO (one critic of the penalized reward, dual ascent), the same
with fixed multipliers (weighted sum), the Lagrangian method (RCPO with one critic per response),
min-norm gradients (Pareto), ranking by predicted watch time (for Wide & Deep and DeepFM), watch
only, interactions only, behavior cloning. Policies are tested in the simulator by expected
responses, and estimated from a held-out log by NCIS.

**Extension.** Sixteen agents hold shards of the users, learn by the closed form (the gradient form
before the pilots) and gossip on a ring.

"At equal watch time" compares the best worst auxiliary response of the grid values that reach
TSCAC's watch time at λ = .03, or the rival's largest if that is less.

Set by pilots on base seed 1000, before the recorded run. Step sizes of .01 and .03 were tried for
all arms, and each method has the better one: .01 for auxiliary policies and the closed form, .03
for the others (with .01 policy gradients had not converged, and critics neither). Four networked
agents with 4,096 users each had events enough, and did as well alone as on the ring (worst
auxiliary gain .337 and .338), hence sixteen. Auxiliary values of the exact part are compared as
ratios of means over processes, since single processes have watch-only values near 0. No threshold
moved.

What was found at small scale, and why. (Gains over the logged policy: watch time, worst auxiliary.)

* TSCAC with the closed form reaches the most watch time of all learnt policies (.60), and .52, .38
  at λ = .03, where RCPO has .50, .35 and the weighted sum with its best factor .52, .38. So it is
  as good as rivals with one critic whose multipliers are swept, and not resolvably better. An
  oracle has .70, .50: there is room above all methods.
* Below a watch time of about .46 it is not on the front: a policy of the interactions alone has
  .46, .52 and the Lagrangian method .44, .46 and .41, .53, against .35, .39. A likely cause: the
  geometric mean of policies gives most say to the sharpest ones, those of comments, shares and
  hates, so that the worst auxiliary response is clicks. A sum of responses trades them off within
  one policy. The claim about the Lagrangian method holds at the watch time of λ = .03 only.
* TSCAC with temporal differences reaches .32, .34, and watch time falls again below λ = .1. With
  small λ its capped weights are the same for all actions with a positive temporal difference, so
  that it imitates them, luck included, and the auxiliary policies drop out of the weights. Without
  most of the noise of watch times it reaches .41, .36 and with a cap of 10,000 instead of 10 it
  reaches .44, .16 (pilots on two seeds of base seed 1000, after the recorded run); in both it still
  falls again. Action values, which average over luck, are what makes the difference.
* Networked agents: the ring has .55, .14 and isolated agents .54, .13, both short of one learner
  with all users (.52, .38). A likely cause, not measured: in batches of 32 a hate occurs once in
  sixty updates, Adam learns such responses slowly, and averaging weights does not change that.

References:
    Q. Cai, Z. Xue, C. Zhang et al., Two-stage constrained actor-critic for short video
    recommendation, 2023.
    C. Tessler, D. Mankowitz, S. Mannor, Reward constrained policy optimization, 2019.
"""

from experiments.harness.protocol import Paper

NAME = "tscac"

TITLE = "TSCAC: two-stage constrained actor-critic for feeds with sparse auxiliary responses"

PAPER = Paper(
    author="Q. Cai, Z. Xue, C. Zhang et al.",
    title="Two-Stage Constrained Actor-Critic for Short Video Recommendation",
    year=2023,
    venue="WWW 2023",
    arxiv="2302.01680",
)

SUBSTITUTES = (
    "A simulated feed stands for the KuaiRand log and the online tests, so no figure of theirs is "
    "reproduced; linear scores of candidates stand for the networks at small scale, and one "
    "supervised ranker for Wide & Deep and DeepFM. Agents that hold shards of the users are an "
    "addition."
)
