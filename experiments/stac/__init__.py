"""STAC: is pessimism by a distributional critic's standard deviation risk-averse and calibrated?

Two parts, each with all pessimism weights ``β`` from the same random keys:

* **Point mass.** On RiskyPointMass the straight path to the goal crosses a disc in which large
  losses are rare. After learning, episodes of the evaluation policy (mean of ten sampled actions)
  give the share of steps inside the disc, of those episodes that start outside it, and the share
  that reach the goal. (The published code intends to redraw starts inside the disc but never does;
  a pilot counted those episodes too, although no policy can avoid their first steps.)
* **Chain.** On a chain of states with rewards of known noise, the exact standard deviation of
  STAC's one-step target is compared with the critic's. Actions have no effect on the chain, so
  whatever the critic's mean exceeds the true value by is overestimation.

One ``β`` is fixed beforehand for each arm; the paper's table reports the best of five per task.

Limits: 8,000 updates at small scale, one per eight environment steps, where the paper makes
100,000; the pilot's 24,000 environment steps became 64,000 before the recorded run. The share of
steps inside the disc is a coarse measure of risk, because losses are rare near the disc's rim.

References:
    U. Özalp, Stochastic Actor-Critic: Mitigating Overestimation via Temporal Aleatoric
    Uncertainty, 2026.
"""

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
