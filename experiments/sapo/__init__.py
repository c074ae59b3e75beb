"""SAPO: language agents that learn from their own and from shared responses, and its controls.

Every agent samples the same number of questions and responses in a round and makes one update with
the same number of groups in every arm; only the share of external groups differs. The control that
filters its own responses samples twice as many questions, as the table says.

Set-up. A first recorded run (four letters, five seeds, 9 of 21 claims) had 4/4 .18 above 8/0 with
an interval from -.11 to .48, and no oracle from a low base that could show whether the world
rewards sharing at all. Questions have three letters instead of four now, which makes rounds cheaper
and pays for the arms that were missing and a sixth seed; nothing else of the world changed. New
arms: true solutions among the shared responses with wrong external responses left out, from a low
base and for specialists; specialists that leave out wrong external responses.

A pilot on base seed 1000 (two seeds, specialists fine-tuned further from the base models instead of
from scratch) chose step sizes: from a low base 1e-3 with and without sharing (cumulative reward of
8/0 summed over seeds 4.1, at 2e-3 2.5; of 4/4 5.7 and 3.9); 5e-4 from high bases and for
specialists as before; 2e-3 for specialists that learn from right external responses only, since
that taught most. In the pilot 4/4 gained .68 and .29 over 8/0, right external responses alone 1.15
and .53, true solutions (at 2e-3) 1.02 and .35, filtering .40 and .13. No threshold moved.

External responses with negative advantages are left out in some arms because the ratio of a policy
with itself pushes down text that the learner would hardly write, without a bound. Gains are ratios
for each seed, since seeds of unequal base pass rates would have unequal weight.

References:
    Amico et al., Sharing is caring: efficient LM post-training with collective RL experience
    sharing, 2025.
"""

from experiments.harness.protocol import Paper

NAME = "sapo"

TITLE = "SAPO: shared responses in the policy gradient of language agents, filtering as a control"

PAPER = Paper(
    author="J. Amico et al.",
    title=("Sharing is Caring: Efficient LM Post-Training with Collective RL Experience Sharing"),
    year=2025,
    venue="arXiv preprint",
    arxiv="2509.08721",
)

SUBSTITUTES = (
    "Transformers of 27 thousand parameters, fine-tuned here on noisy demonstrations of four "
    "families of questions about three letters, replace Qwen2.5-0.5B and nine families of "
    "ReasoningGYM; 4 agents and 80 rounds (full: 8 and 400) replace 8 agents and 2,000 rounds. The "
    "filtered control, the high-base control, agents that know different families, sharers of true "
    "solutions and updates without the wrong external responses are ours."
)
