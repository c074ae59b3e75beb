"""SAPO: language agents that learn from their own and from shared responses, and its controls.

Every agent samples the same number of questions and responses in a round and makes one update with
the same number of groups in every arm; only the share of external groups differs. The control that
filters its own responses samples twice as many questions, as the table says.

One pilot on base seed 1000 with all arms, and a grid of step sizes {2.5e-4, 5e-4, 1e-3} on three of
its seeds, fixed the set-up; 3e-3 lost the base models in a first exploration. Each arm has the step
size that was best for it: from a low base 5e-4 without sharing (cumulative reward 10.2, 11.2 and
10.6 at the three step sizes, summed over seeds) and 1e-3 with (4/4: 11.8, 13.4, 14.3); 5e-4 from
high bases and for specialists. In the pilot 4/4 with true solutions among the shared responses,
meant as an oracle, had *less* reward than 8/0 from a low base; it is kept for specialists only.
Looking for the cause, external responses with negative advantages were left out, which became an
arm of its own: the ratio of a policy with itself pushes down text that the learner would hardly
write, without a bound. After the pilot, too, gains became ratios for each seed, since seeds of
unequal base pass rates had unequal weight. No threshold moved.

What did not hold at small scale, and why. Sharing gains about as much as filtering one's own
responses at twice the generation, and neither differs from 8/0 beyond what five seeds can tell;
both make gradients denser (share of own groups with a gradient: .21). Sharing taught no family that
an agent had never solved, and cost specialists reward. External responses that are wrong are part
of the cause: without their negative advantages 4/4 gained over 8/0 and over itself from a low base.
They are not all of it: in an exploration specialists lost reward without them, too, also with true
solutions. 80 rounds seem too few to learn a family from text that is improbable under the own
policy, but enough to disturb the families that are known.

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
    "families of questions about four letters, replace Qwen2.5-0.5B and nine families of "
    "ReasoningGYM; 4 agents and 80 rounds (full: 8 and 400) replace 8 agents and 2,000 rounds. The "
    "filtered control, the high-base control, agents that know different families, sharers of true "
    "solutions and updates without the wrong external responses are ours."
)
