"""Symphony: does swaddling settle action scales, and do bounded noise and fading replay help?

Three parts:

* **Swaddling.** The regularizer of the action scale ``S`` is minimised alone, without any value
  function, from 65 starting points; ``S`` should settle near ``1/e``.
* **Bounds.** On a pendulum, the share of executed actions beyond 95 % of their range, with noise
  inside the squashing function as in Symphony, compared with Gaussian noise of the same standard
  deviation that is added after squashing and clipped.
* **Fading replay.** Environment steps until the pendulum's evaluation return reaches a threshold,
  with fading and with uniform replay of the same buffer. A run that never reaches it counts with
  its whole length.

There is no single Symphony: this is the published code of December 2025. A first pilot with twice
the width, nodes and updates held all claims in 176 s; the small scale is what fits two minutes.

Limits: two claims hold by construction and say so. The buffer is never overwritten at these sizes,
so fading only changes how often exploration is replayed.

References:
    T. Ishuov et al., Symphony: A Heuristic Normalized Calibrated Advantage Actor and Critic
    Algorithm in application for Humanoid Robots, 2025.
"""

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
