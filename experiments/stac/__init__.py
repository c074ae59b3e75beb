"""STAC: pessimism by a distributional critic's standard deviation, its risk and calibration."""

from experiments.harness.protocol import Paper

NAME = "stac"
TITLE = "STAC: pessimism from a distributional critic's standard deviation, risk and calibration"
PAPER = Paper(
    author="U. Özalp",
    title="Stochastic Actor-Critic: Mitigating Overestimation via Temporal Aleatoric Uncertainty",
    year=2026,
    venue="arXiv preprint",
    arxiv="2601.00737",
)
SUBSTITUTES = (
    "The paper's RiskyPointMass is kept with smaller networks and batches and fewer updates; a "
    "chain with known reward noise is added. Its MuJoCo and Box2D tasks and the comparison with "
    "SAC and DSAC are not run."
)
