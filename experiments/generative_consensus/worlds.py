"""Models of one seed, their outputs in all profiles, and what attackers show instead.

Shapes: ``J`` jobs, ``P`` profiles.
"""

from typing import Any, NamedTuple

import numpy as np

from experiments.generative_consensus import comparisons
from experiments.generative_consensus.comparisons import BYTES, FLOATS, Prints
from experiments.generative_consensus.config import Config
from experiments.generative_consensus.generators import NUM_CLASSES, Jobs, as_bytes, draw_jobs
from jaxswarm.systems import generative_consensus
from jaxswarm.trust import profiles
from jaxswarm.types import Params

REFERENCE = "float32"
ATTACKS = (
    "other seed",
    "cached output of another digit",
    "half of a cached output",
    "smaller model",
    "quarter of the steps",
    "half of the steps",
    "4-bit weights",
    "8-bit weights",
)
EXAMPLE_ATTACKS = ("8-bit weights", "half of the steps", "smaller model", "other seed")


class World(NamedTuple):
    """Models and outputs of one seed.

    Attributes:
        jobs: what is asked for.
        outputs: prints ``[P, J]`` of all profiles.
        equal: for exact comparisons ``[P, P]``, share of equal outputs of two profiles.
        largest: ``[P]``, largest difference of a pixel in ``[-1, 1]`` to the reference.
        attacks: prints ``[J]`` of what an attacker shows instead, by attack.
    """

    jobs: Jobs
    outputs: Prints
    equal: dict[str, np.ndarray]
    largest: np.ndarray
    attacks: dict[str, Prints]


def halves(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Jobs of the calibration half and of the evaluation half."""
    index = np.arange(NUM_CLASSES * config.per_class)
    is_first = index % config.per_class < config.per_class // 2
    return index[is_first], index[~is_first]


def make_world(
    config: Config,
    s: int,
    samplers: dict[int, Any],
    small_sampler: Any,
    params: Params,
    smaller: Params,
) -> World:
    """Outputs of one seed in all profiles, and what attackers show."""
    jobs = draw_jobs(config, config.seed + s)
    images = [
        profiles.run(samplers[1], params, jobs, profile)
        for profile in profiles.available().values()
    ]
    pixels = [as_bytes(each) for each in images]
    outputs = [comparisons.prints(*each) for each in zip(images, pixels, strict=True)]
    count = len(images)
    equal = {
        name: np.array(
            [
                [(outputs[p].words[name] == outputs[q].words[name]).all(-1).mean()
                 for q in range(count)]
                for p in range(count)
            ]
        )
        for name in (FLOATS, BYTES)
    }  # fmt: skip
    own = images[0]
    # Impostors of a digit show the next job of it, within their half.
    half = config.per_class // 2
    index = np.arange(len(own))
    neighbor = index - index % half + (index + 1) % half
    other_digit = (index + config.per_class) % len(own)
    left = np.arange(own.shape[2]) < own.shape[2] // 2

    def generated(fn: Any, weights: Params) -> np.ndarray:
        return profiles.run(fn, weights, jobs, REFERENCE)

    shown = {
        "other seed": own[neighbor],
        "cached output of another digit": own[other_digit],
        "half of a cached output": np.where(left, own, own[neighbor]),
        "smaller model": generated(small_sampler, smaller),
        "quarter of the steps": generated(samplers[4], params),
        "half of the steps": generated(samplers[2], params),
        "4-bit weights": generated(samplers[1], generative_consensus.quantized(params, 4)),
        "8-bit weights": generated(samplers[1], generative_consensus.quantized(params, 8)),
    }
    return World(
        jobs=jobs,
        outputs=comparisons.stacked(outputs),
        equal=equal,
        largest=np.array([np.abs(each - own).max() for each in images]),
        attacks={name: comparisons.prints(x, as_bytes(x)) for name, x in shown.items()},
    )


def examples(world: World) -> np.ndarray:
    """Images of four digits ``uint8[4, 6, 32, 32]``: reference, bfloat16 and four attacks."""
    jobs = np.arange(0, len(world.jobs.label), len(world.jobs.label) // 4)[:4]
    names = list(profiles.available())
    rows = [world.outputs.pixels[names.index(name), jobs] for name in (REFERENCE, "bfloat16")]
    rows += [world.attacks[name].pixels[jobs] for name in EXAMPLE_ATTACKS]
    return np.stack(rows, axis=1)
