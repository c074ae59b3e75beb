"""Attackers that serve something cheaper, and honest images that were changed by hand.

Shapes: ``S`` seeds, ``J`` jobs.
"""

from typing import Any

import numpy as np

from experiments.generative_consensus import comparisons
from experiments.generative_consensus.comparisons import METHODS, TOLERANT, Votes
from experiments.generative_consensus.config import Config
from experiments.generative_consensus.worlds import ATTACKS, World, halves
from jaxswarm.trust import consensus

NOISE = (1, 4, 16)  # standard deviations of noise added to pixels of 0 to 255
CONTRAST = (0.9, 0.8, 0.6)


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
            shown = world.attacks[name].take(jobs)
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
        ``{"noise" or "contrast": {method: [levels, S]}}`` of methods that are not exact.
    """
    jobs = halves(config)[1]
    found: dict[str, Any] = {}
    for kind, levels in (("noise", NOISE), ("contrast", CONTRAST)):
        rows: dict[str, list[list[float]]] = {m: [[] for _ in levels] for m in TOLERANT}
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
                for method in TOLERANT:
                    apart = comparisons.vote_distances(method, world.outputs, votes, shown)
                    accepted = np.asarray(consensus.vote(apart <= tolerance[method]))
                    rows[method][i].append(float(accepted.mean()))
        found[kind] = {method: np.array(each) for method, each in rows.items()}
    return found
