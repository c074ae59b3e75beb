"""Run both parts of the decentralized-diffusion experiment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from experiments.decentralized_diffusion.config import Config
from experiments.decentralized_diffusion.grid import run_grid
from experiments.decentralized_diffusion.images import run_images
from experiments.harness.protocol import Results


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Train and sample all arms.

    Returns:
        ``grid``, see :func:`run_grid`, and ``images``, see :func:`run_images`.
    """
    with ThreadPoolExecutor(2) as pool:  # one part on each of two cores
        images = pool.submit(run_images, config, progress)
        return {"grid": run_grid(config, progress), "images": images.result()}
