"""SAPO: language agents that learn from their own and from shared responses, and its controls.

Every agent samples the same number of questions and responses in a round and makes one update with
the same number of groups in every arm; only the share of external groups differs. The control that
filters its own responses samples twice as many questions, as the table says.

References:
    Amico et al., Sharing is caring: efficient LM post-training with collective RL experience
    sharing, 2025.
"""

from experiments.harness.protocol import Paper

NAME = "sapo"

TITLE = "SAPO: shared responses in the policy gradient of language agents, filtering as a control"

PAPER = Paper(
    author="Gensyn AI Team, J. Amico et al.",
    title=("Sharing is Caring: Efficient LM Post-Training with Collective RL Experience Sharing"),
    year=2025,
    venue="arXiv preprint",
    arxiv="2509.08721",
)

SUBSTITUTES = (
    "Transformers of 27 thousand parameters, fine-tuned here on noisy demonstrations of four "
    "families of questions about four letters, replace Qwen2.5-0.5B and nine families of "
    "ReasoningGYM; 4 agents and 80 rounds (full: 8 and 400) replace 8 agents and 2,000 rounds. The "
    "filtered control, the high-base control, agents that know different families and sharers of "
    "true solutions are ours."
)
