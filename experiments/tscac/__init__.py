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

**Extension.** Sixteen agents hold shards of the users and gossip on a ring.

"At equal watch time" compares the best worst auxiliary response of the grid values that reach
TSCAC's watch time at λ = .03, or the rival's largest if that is less.

Set by pilots on base seed 1000, before the recorded run. Step sizes of .01 and .03 were tried for
all arms, and each method has the better one: .01 for auxiliary policies and the closed form, .03
for the others (with .01 policy gradients had not converged, and critics neither). Four networked
agents with 4,096 users each had events enough, and did as well alone as on the ring (worst
auxiliary gain .337 and .338), hence sixteen. Auxiliary values of the exact part are compared as
ratios of means over processes, since single processes have watch-only values near 0. No threshold
moved.

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
