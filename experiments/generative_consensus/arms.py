"""Runs of the generative consensus experiment: images, language and training.

Nodes are real execution profiles (:mod:`jaxswarm.trust.profiles`) of one machine: float32 in one
compiled program (the reference), with batch size 1, with batches of 7 and padding, operation by
operation, and bfloat16 and float16. The three parts share no numbers; they are described in
:mod:`~experiments.generative_consensus.images`, :mod:`~experiments.generative_consensus.language`
and :mod:`~experiments.generative_consensus.training`.

References:
    E. Kim, I. Isozaki, N. Sirkin, M. Robson, Generative AI reproducibility and consensus, 2023.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from experiments.generative_consensus.config import Config
from experiments.generative_consensus.generators import load_images
from experiments.generative_consensus.images import run_images
from experiments.generative_consensus.language import run_language
from experiments.generative_consensus.training import accept_updates, run_training


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run the three parts.

    Returns:
        ``images {generator: …}``, ``language``, ``training`` and ``updates``, see
        :func:`run_images`, :func:`run_language`, :func:`run_training` and :func:`accept_updates`.
    """
    images = load_images(config)
    with ThreadPoolExecutor(2) as pool:  # the images' part on one core, the others on the second
        pictures = pool.submit(
            lambda: {
                generator: run_images(config, generator, images, progress)
                for generator in config.generators
            }
        )
        results: dict[str, Any] = {"language": run_language(config, progress)}
        results["training"] = run_training(config, images, progress)
        results["images"] = pictures.result()
    results["updates"] = accept_updates(results["training"])
    return results
