"""DADAO: accelerated asynchronous decentralized optimization with Poisson clocks."""

from experiments.harness.protocol import Paper

NAME = "dadao"
TITLE = "DADAO: gradients and gossip on independent Poisson clocks against synchronous methods"
PAPER = Paper(
    author="A. Nabli, E. Oyallon",
    title="DADAO: Decoupled Accelerated Decentralized Asynchronous Optimization",
    year=2023,
    venue="ICML 2023",
    arxiv="2208.00779",
)
SUBSTITUTES = (
    "Synthetic least squares and ridge logistic regression, as in the paper, with 50 samples per "
    "agent instead of 100. The graphs have 12 to 20 agents at small scale and 40 to 1,000 at full "
    "scale (300 in the paper); time-varying graphs are not run."
)
