"""Workflows of the Matrix experiment: roles with the probabilities of the next role.

Rows of a routing table are roles, columns the next role; the last column leaves the workflow.
"""

import numpy as np
from scipy.stats import norm

from experiments.matrix.config import Config
from jaxswarm.systems import matrix

DIALOGUE = [  # proposer -> critic -> proposer (0.4) or writer (0.6) -> out
    [0, 1, 0, 0],
    [0.4, 0, 0.6, 0],
    [0, 0, 0, 1],
]
LARGE_WORKFLOWS: dict[str, list[list[float]]] = {  # of the full scale
    "dialogue": [[0, 1, 0], [0.75, 0, 0.25]],
    "extract, filter, question": [[0, 1, 0, 0], [0, 0, 0.6, 0.4], [0, 0, 0, 1]],
    "agent, tools, user": [[0, 0.6, 0.3, 0.1], [1, 0, 0, 0], [1, 0, 0, 0]],
}
MEDIAN_BYTES, BYTES_SPREAD = 400.0, 1.0  # lognormal size of the text that a hop adds
OFFLOAD_BYTES, REFERENCE_BYTES = 512.0, 64.0  # texts above the first are sent as a reference
HEADER_BYTES = 256.0  # of every message


def dialogue(config: Config) -> matrix.Flow:
    """The workflow :data:`DIALOGUE` with the numbers of actors and servers of ``config``."""
    return matrix.flow(DIALOGUE, actors=config.actors, servers=config.servers)


def expected_field_bytes() -> tuple[float, float]:
    """Expected bytes of the text that a hop adds: with long texts offloaded, and whole."""
    cut = np.log(OFFLOAD_BYTES / MEDIAN_BYTES) / BYTES_SPREAD
    whole = MEDIAN_BYTES * np.exp(BYTES_SPREAD**2 / 2)
    kept = whole * norm.cdf(cut - BYTES_SPREAD) + REFERENCE_BYTES * norm.sf(cut)
    return float(kept), float(whole)
