"""Images: honest nodes in several profiles, impostors, attacks and re-encoded images.

A job is a digit and the noise that its sampling starts from. Half of the jobs of every digit are
for calibration: there each way of comparing gets the largest tolerance at which at most a share
``false_match`` of impostor pairs matches, pooled over seeds, and the best perceptual hash is chosen.
All else is measured on the other half.

Each claim is verified by three verifiers drawn at random, whose profiles differ from the prover's.
An impostor shows the image of another job of the same digit. Attackers run in float32.

Shapes: ``S`` seeds, ``J`` jobs, ``P`` profiles, ``V`` verifiers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.generative_consensus import comparisons
from experiments.generative_consensus.comparisons import (
    BITS,
    BYTES,
    EXACT,
    FLOATS,
    METHODS,
    PERCEPTUAL,
    PIXELS,
    VERIFIERS,
    Prints,
    Votes,
)
from experiments.generative_consensus.config import Config
from experiments.generative_consensus.generators import (
    NUM_CLASSES,
    Images,
    Jobs,
    as_bytes,
    build,
    draw_jobs,
    sampler,
    train,
)
from jaxswarm.systems import generative_consensus
from jaxswarm.trust import consensus, hashes, profiles
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
NOISE = (1, 2, 4, 8, 16)  # standard deviations of noise added to pixels of 0 to 255
CONTRAST = (0.95, 0.9, 0.8, 0.6)


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


def run_images(
    config: Config, generator: str, images: Images, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Train, generate in all profiles, calibrate, and let verifiers vote.

    Returns:
        see :func:`evaluate`, :func:`attack`, :func:`sweep` and :func:`count_pairs`; ``equal`` and
        ``largest`` of :class:`World`, stacked over seeds; ``examples uint8[…]`` for the figure.
    """
    progress(f"images: training ({generator})")
    model, small = build(generator, config.width), build("mlp", config.small_width)
    keys = jax.random.split(jax.random.key(config.seed), 2 * config.seeds)
    trained = train(config, model, images, config.image_steps, keys[: config.seeds])
    smaller = train(config, small, images, config.small_steps, keys[config.seeds :])
    samplers = {steps: sampler(model, config.sampler_steps // steps) for steps in (1, 2, 4)}
    small_sampler = sampler(small, config.sampler_steps)
    progress(f"images: generation ({generator})")
    worlds = [
        _world(config, s, samplers, small_sampler, params, other)
        for s, (params, other) in enumerate(zip(trained, smaller, strict=True))
    ]
    progress(f"images: votes ({generator})")
    tolerance, found = evaluate(config, worlds)
    best = PERCEPTUAL[int(found["best"])]
    return found | {
        "attacks": attack(config, worlds, tolerance),
        "sweep": sweep(config, worlds, tolerance),
        "pairs": count_pairs(config, worlds, best),
        "equal": {k: np.stack([world.equal[k] for world in worlds]) for k in EXACT},
        "largest": np.stack([world.largest for world in worlds]),
        "examples": _examples(worlds[0]),
    }


def halves(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Jobs of the calibration half and of the evaluation half."""
    index = np.arange(NUM_CLASSES * config.per_class)
    is_first = index % config.per_class < config.per_class // 2
    return index[is_first], index[~is_first]


def evaluate(config: Config, worlds: list[World]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Calibrate on one half, vote on the other.

    Returns:
        ``(tolerances by method, results)``. Results: ``tolerance``, ``calibrated_acceptance`` and
        ``calibrated_false_match [methods]``; for each method ``[S]`` errors on the other half:
        ``reject`` and ``match`` of the majority, ``single_reject`` and ``single_match`` of one
        verifier; ``best``, position of the perceptual hash with most accepted calibration pairs;
        of it ``honest``, ``impostor [2]`` (errors, claims) and ``honest_votes``,
        ``impostor_votes`` (see :func:`_independence`); ``matrix [S, P, P]``, share of honest pairs
        of two profiles that match.
    """
    calibration, evaluation = halves(config)
    num_profiles = worlds[0].outputs.pixels.shape[0]
    votes = []
    for s, world in enumerate(worlds):
        rng = np.random.default_rng([config.seed + s, 2])
        for jobs in (calibration, evaluation):
            pairs = comparisons.impostor_pairs(jobs, world.jobs.label)
            votes.append(comparisons.draw_votes(rng, jobs, jobs, num_profiles))
            votes.append(comparisons.draw_votes(rng, *pairs, num_profiles))
    votes = [votes[4 * s : 4 * s + 4] for s in range(len(worlds))]
    tolerance: dict[str, Any] = {}
    found: dict[str, Any] = {"tolerance": [], "calibrated_acceptance": []}
    found["calibrated_false_match"] = []
    wrong: dict[str, list[list[np.ndarray]]] = {}
    for method in METHODS:
        apart = [
            [comparisons.vote_distances(method, world.outputs, each) for each in own]
            for world, own in zip(worlds, votes, strict=True)
        ]
        honest, impostor = (np.concatenate([x[i].ravel() for x in apart]) for i in (0, 1))
        if method in EXACT:
            level, accepts, matches = 0, np.mean(honest <= 0), np.mean(impostor <= 0)
        else:
            level, accepts, matches, _, _ = consensus.threshold(
                honest, impostor, false_match=config.false_match,
                bits=None if method == PIXELS else BITS,
            )  # fmt: skip
        tolerance[method] = level
        found["tolerance"].append(float(level))
        found["calibrated_acceptance"].append(float(accepts))
        found["calibrated_false_match"].append(float(matches))
        wrong[method] = [[x[2] > level, x[3] <= level] for x in apart]
        found[method] = {
            f"{prefix}{name}": np.array([share(each[i]) for each in wrong[method]])
            for i, name in enumerate(("reject", "match"))
            for prefix, share in (("", _majority_share), ("single_", np.mean))
        }
    accepted = np.array(found["calibrated_acceptance"][: len(PERCEPTUAL)])
    tie = np.array(found["calibrated_false_match"][: len(PERCEPTUAL)])
    found["best"] = int(np.lexsort((tie, -accepted))[0])
    best = PERCEPTUAL[found["best"]]
    for i, name in enumerate(("honest", "impostor")):
        own = np.concatenate([each[i] for each in wrong[best]], axis=1)
        errors = np.sum(own.sum(axis=0) > VERIFIERS // 2)
        found[name] = np.array([errors, own.shape[1]])
        found[f"{name}_votes"] = _independence(own)
    found["matrix"] = np.stack(
        [_matrix(world, evaluation, best, tolerance[best]) for world in worlds]
    )
    return tolerance, {k: np.array(v) if isinstance(v, list) else v for k, v in found.items()}


def _majority_share(wrong: np.ndarray) -> float:
    """Share of claims on which more than half of the verifiers err ``[V, M]``."""
    return float(np.mean(np.asarray(consensus.vote(wrong))))


def _independence(wrong: np.ndarray) -> dict[str, Any]:
    """Errors of the majority, measured and as independent votes would have them."""
    found = consensus.independence(wrong)
    pairs = found.correlation[np.triu_indices(VERIFIERS, 1)]
    return {
        "single": found.single,
        "measured": found.measured,
        "interval": np.array(found.interval),
        "expected": found.expected,
        "p_value": found.p_value,
        "correlation": float(np.mean(pairs)),
    }


def _matrix(world: World, jobs: np.ndarray, method: str, tolerance: Any) -> np.ndarray:
    """Share of jobs whose outputs match, for every two profiles ``[P, P]``."""
    count = world.outputs.pixels.shape[0]
    rows, columns = np.repeat(np.arange(count), count), np.tile(np.arange(count), count)
    apart = [
        comparisons.distances(method, world.outputs[p, jobs], world.outputs[q, jobs])
        for p, q in zip(rows, columns, strict=True)
    ]
    return np.mean(np.stack(apart) <= tolerance, axis=1).reshape(count, count)


def attack(
    config: Config, worlds: list[World], tolerance: dict[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    """Share of attackers that the majority rejects, by attack and method ``[S]``."""
    jobs = halves(config)[1]
    found: dict[str, dict[str, list[float]]] = {a: {m: [] for m in METHODS} for a in ATTACKS}
    for s, world in enumerate(worlds):
        rng = np.random.default_rng([config.seed + s, 3])
        votes = _votes_on_reference(rng, jobs, world)
        for name in ATTACKS:
            shown = world.attacks[name][jobs]
            for method in METHODS:
                apart = comparisons.vote_distances(method, world.outputs, votes, shown)
                accepted = np.asarray(consensus.vote(apart <= tolerance[method]))
                found[name][method].append(1.0 - accepted.mean())
    return {a: {m: np.array(x) for m, x in each.items()} for a, each in found.items()}


def _votes_on_reference(rng: np.random.Generator, jobs: np.ndarray, world: World) -> Votes:
    """Three verifiers of other profiles than the reference, which is the first."""
    others = world.outputs.pixels.shape[0] - 1
    votes = comparisons.draw_votes(rng, jobs, jobs, others)
    return votes._replace(prover=np.zeros_like(jobs), verifiers=1 + votes.verifiers)


def sweep(
    config: Config, worlds: list[World], tolerance: dict[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    """Acceptance of honest images that were changed by hand before they were shown.

    Not what nodes do: it shows where a tolerance on hashes and one on pixels end.

    Returns:
        ``{"noise" or "contrast": {method: [levels, S]}}``.
    """
    jobs = halves(config)[1]
    found: dict[str, Any] = {}
    for kind, levels in (("noise", NOISE), ("contrast", CONTRAST)):
        rows: dict[str, list[list[float]]] = {m: [[] for _ in levels] for m in METHODS}
        for s, world in enumerate(worlds):
            rng = np.random.default_rng([config.seed + s, 4])
            votes = _votes_on_reference(rng, jobs, world)
            honest = world.outputs.pixels[0, jobs].astype(np.float32)
            for i, level in enumerate(levels):
                if kind == "noise":
                    changed = honest + level * rng.standard_normal(honest.shape)
                else:
                    changed = level * honest
                pixels = np.clip(np.round(changed), 0, 255).astype(np.uint8)
                shown = comparisons.prints(pixels / np.float32(127.5) - 1.0, pixels)
                for method in METHODS:
                    apart = comparisons.vote_distances(method, world.outputs, votes, shown)
                    accepted = np.asarray(consensus.vote(apart <= tolerance[method]))
                    rows[method][i].append(float(accepted.mean()))
        found[kind] = {method: np.array(each) for method, each in rows.items()}
    return found


def count_pairs(config: Config, worlds: list[World], method: str) -> dict[str, Any]:
    """Compare all hashes of the evaluation half with one another.

    Returns:
        ``honest``, ``impostor int[65]``: pairs of the same job in different profiles, and of
        different jobs of the same digit, at each distance; ``comparisons``, hash comparisons that
        were made to count them.
    """
    jobs = halves(config)[1]
    found = {"honest": np.zeros(BITS + 1, np.int64), "impostor": np.zeros(BITS + 1, np.int64)}
    compared = 0
    for world in worlds:
        words, valid = world.outputs.words[method][:, jobs], world.outputs.valid[method][:, jobs]
        count = words.shape[0]
        flat = hashes.Hashes(words.reshape(-1, words.shape[-1]), valid.reshape(-1), BITS)
        item, profile = np.tile(jobs, count), np.repeat(np.arange(count), len(jobs))
        label = world.jobs.label[item]
        found["impostor"] += hashes.histogram(
            flat, flat, classes=(label, label), items=(item, item)
        )
        found["honest"] += hashes.histogram(
            flat, flat, classes=(item, item), items=(profile, profile)
        )
        compared += 2 * len(item) ** 2
    return found | {"comparisons": compared}


def _world(
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


def _examples(world: World) -> np.ndarray:
    """Images of four digits: reference, half precision, and four attacks, ``uint8[4, 6, 32, 32]``."""
    jobs = np.arange(0, len(world.jobs.label), len(world.jobs.label) // 4)[:4]
    names = list(profiles.available())
    rows = [world.outputs.pixels[names.index(name), jobs] for name in (REFERENCE, "bfloat16")]
    rows += [world.attacks[name].pixels[jobs] for name in EXAMPLE_ATTACKS]
    return np.stack(rows, axis=1)


EXAMPLE_ATTACKS = ("8-bit weights", "half of the steps", "smaller model", "other seed")
