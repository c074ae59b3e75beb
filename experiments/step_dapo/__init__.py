"""Step-level direct advantage policy optimization (step-DAPO) with a frozen critic, and baselines.

A small transformer is fine-tuned on demonstrations most of which slip in one line and go on from
there, so that it solves a fifth of the questions although it knows how. All methods start from that
model, have the same number of generated tokens and one grid of three values of their main
hyperparameter, tried on a seed of its own. The methods that learn from a fixed set of responses
make equally many gradient steps on about equally many responses.

Two controls keep the method and take away the critic: its values permuted across states with the
true reward at the end of a response, and values and rewards permuted. An oracle critic, which knows
the solutions, bounds what a better critic could add.

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
    "A character transformer of 26 thousand parameters on sums of digits, fine-tuned here on noisy "
    "demonstrations, replaces language models of 7 billion parameters and MATH (paper: up to 7.6 "
    "points on MATH, 9.2 on MBPP+; not reached or refuted here). β, completions per state and "
    "states per solution were not available and are ours. PPO with one value per line stands for "
    "co-trained actor-critic methods."
)
