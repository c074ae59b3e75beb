"""Symphony: swaddling of action scales, bounded noise and fading replay."""

from experiments.harness.protocol import Paper

NAME = "symphony"
TITLE = "Symphony: swaddling of action scales, noise inside the squashing, fading replay"
PAPER = Paper(
    author="T. Ishuov, M. Folgheraiter, M. Nurmanov, G. Gordo, R. Farkas, J. Dombi",
    title=(
        "Symphony: A Heuristic Normalized Calibrated Advantage Actor and Critic Algorithm in "
        "application for Humanoid Robots"
    ),
    year=2025,
    venue="arXiv preprint",
    arxiv="2512.10477",
)
SUBSTITUTES = (
    "A pendulum stands in for the paper's MuJoCo Humanoid; network, batch and buffer are smaller "
    "and the step size is larger. The comparison of the paper's own variants (S2, S3, SE, ED) is "
    "not run."
)
