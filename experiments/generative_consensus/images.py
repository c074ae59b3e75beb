"""Images: honest nodes in several profiles, impostors, and votes.

A job is a digit and the noise that its sampling starts from. Half of the jobs of every digit are
for calibration: there each way of comparing gets the largest tolerance at which at most a share
``false_match`` of impostor pairs matches, pooled over seeds, and the best perceptual hash is
chosen. All else is measured on the other half.

Each claim is verified by three verifiers drawn at random, whose profiles differ from the prover's.
An impostor shows the image of another job of the same digit. Attackers run in float32.

Shapes: ``S`` seeds, ``J`` jobs, ``P`` profiles, ``V`` verifiers.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.generative_consensus import comparisons
from experiments.generative_consensus.attacks import attack, sweep
from experiments.generative_consensus.comparisons import (
    BITS,
    EXACT,
    METHODS,
    PERCEPTUAL,
    PIXELS,
    VERIFIERS,
)
from experiments.generative_consensus.config import Config
from experiments.generative_consensus.generators import Images, build, sampler, train
from experiments.generative_consensus.worlds import World, examples, halves, make_world
from experiments.harness.compile import jit_fast_compile
from jaxswarm.trust import consensus, hashes


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
    compiled = functools.partial(jit_fast_compile, level=1, plain=True)
    samplers = {
        divisor: compiled(sampler(model, config.sampler_steps // divisor)) for divisor in (1, 2, 4)
    }
    small_sampler = compiled(sampler(small, config.sampler_steps))
    progress(f"images: generation ({generator})")
    worlds = [
        make_world(config, s, samplers, small_sampler, params, other)
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
        "examples": examples(worlds[0]),
    }


def evaluate(config: Config, worlds: list[World]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Calibrate on one half, vote on the other.

    Returns:
        ``(tolerances by method, results)``. Results: ``tolerance``, ``calibrated_acceptance`` and
        ``calibrated_false_match [methods]``; for each method ``[S]`` errors on the other half:
        ``reject`` and ``match`` of the majority, ``single_reject`` and ``single_match`` of one
        verifier; ``best``, position of the perceptual hash with most accepted calibration pairs;
        of it ``honest``, ``impostor [2]`` (errors, claims) and ``honest_votes``,
        ``impostor_votes`` (see :func:`_independence`); ``committees``, errors like a method's over
        all provers and committees; ``matrix [S, P, P]``, share of honest pairs of two profiles
        that match.
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
    found["committees"] = _committees(worlds, evaluation, best, tolerance[best])
    found["matrix"] = np.stack(
        [_matrix(world, evaluation, best, tolerance[best]) for world in worlds]
    )
    return tolerance, {k: np.array(v) if isinstance(v, list) else v for k, v in found.items()}


def _majority_share(wrong: np.ndarray) -> float:
    """Share of claims on which more than half of the verifiers err ``[V, M]``."""
    return float(np.mean(np.asarray(consensus.vote(wrong))))


def _committees(
    worlds: list[World], jobs: np.ndarray, method: str, tolerance: Any
) -> dict[str, np.ndarray]:
    """Errors of all committees of three on the outputs of all provers, means ``[S]``.

    The same expectations as of committees drawn at random, without the chance of the draw.
    """
    found: dict[str, list[float]] = {
        f"{prefix}{name}": [] for name in ("reject", "match") for prefix in ("", "single_")
    }
    for world in worlds:
        count = world.outputs.pixels.shape[0]
        pairs = comparisons.impostor_pairs(jobs, world.jobs.label)
        for name, (claimed, asked) in (("reject", (jobs, jobs)), ("match", pairs)):
            majority, single = [], []
            for prover in range(count):
                shown = world.outputs.take(prover, claimed)
                others = [profile for profile in range(count) if profile != prover]
                matches = {
                    profile: comparisons.distances(
                        method, shown, world.outputs.take(profile, asked)
                    )
                    <= tolerance
                    for profile in others
                }
                wrong = {k: ~x if name == "reject" else x for k, x in matches.items()}
                single.append(np.mean([x.mean() for x in wrong.values()]))
                majority += [
                    np.mean(sum(wrong[k].astype(int) for k in committee) > VERIFIERS // 2)
                    for committee in itertools.combinations(others, VERIFIERS)
                ]
            found[name].append(float(np.mean(majority)))
            found[f"single_{name}"].append(float(np.mean(single)))
    return {name: np.array(rates) for name, rates in found.items()}


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
        comparisons.distances(method, world.outputs.take(p, jobs), world.outputs.take(q, jobs))
        for p, q in zip(rows, columns, strict=True)
    ]
    return np.mean(np.stack(apart) <= tolerance, axis=1).reshape(count, count)


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
