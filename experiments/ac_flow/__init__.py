"""AC-Flow: fine-tuning of flow models by a critic of intermediate states, and its baselines.

All methods share the pretrained flow of a seed, batch, sampler, optimizer, number of iterations
(one batch of reward calls each, the critic's warm-up included) and one grid of temperatures and
penalties (reward-ranked fine-tuning has a grid of shares in place of temperatures). Each picks its
cell of the grid on tuning seeds: the highest mean reward among cells whose mode entropy is at least
90 % of the ideal's. The claims are measured on other seeds.

The ideal is the exact mixture times ``exp(4 · reward)``; sampling from it shows what the world
allows. Weights have mean one over a batch in every method, so that no exponential overflows and the
penalty means the same at every temperature.

References:
    Fan et al., Fine-tuning flow matching generative models with intermediate feedback, 2025.
    Fan et al., Online reward-weighted fine-tuning of flow matching with Wasserstein regularization,
    2025.
"""

from experiments.harness.protocol import Paper

NAME = "ac_flow"

TITLE = "AC-Flow: critic-guided fine-tuning of flow models, its baselines, and agents that gossip"

PAPER = Paper(
    author="J. Fan et al.",
    title="Fine-tuning Flow Matching Generative Models with Intermediate Feedback",
    year=2025,
    venue="arXiv preprint",
    arxiv="2510.18072",
)

SUBSTITUTES = (
    "A two-dimensional mixture of eight modes and a reward on three of them (full scale: 8 × 8 "
    "digits and a classifier's probability of an even digit) replace Stable Diffusion 3 and the "
    "CLIP score. Flows, critics and classifiers are small and trained here. Constants of shaping, "
    "clipping and warm-up, which were not available, are ours; agents that gossip are an addition."
)
