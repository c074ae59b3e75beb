"""Claims of the decentralized-diffusion experiment; thresholds are fixed before the recorded runs.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.decentralized_diffusion import NAME
from experiments.decentralized_diffusion.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

PRECISION_GAIN = 1.3  # precision of top-1 over that of the monolith, at least, in every seed
RANDOM_GAIN = 1.1  # precision of experts on a random partition over the monolith's, at most
FULL_ENERGY = 1.1  # energy distance of the full ensemble over the monolith's, at most
HEADLINE = 0.85  # distance of top-1 over that of the monolith, at most (paper: 9.84 / 12.81)
COLLAPSE = 5.0  # energy distance of unconditional top-1 over unconditional full, at least (control)
FLOP_SHARE = 0.25  # FLOPs of a top-1 velocity over those of a full one, at most
EQUAL_FLOPS = 1.0  # FLOPs of a top-1 velocity over those of the monolith, at most (set-up)
STUDENT_ENERGY = 1.1  # energy distance of the distilled student over the monolith's, at most
UNEQUAL_ENERGY = 1.1  # energy distance of experts of unequal size over that of equal ones, at most
LOSS_ERROR = 0.05  # error of a lost expert's share of the data as its cost, at most
AGREEMENT = 0.8  # mutual information of clusters and labels, at most (set-up)

HEADLINE_STATEMENT = (
    "Selecting one expert per step (top-1) is the best mode and beats the monolith at equal "
    "inference FLOPs: FID 9.84 against 12.81 on ImageNet (McAllister et al. 2025, inference "
    "strategies)"
)
ENSEMBLE_STATEMENT = (
    "An ensemble of experts trained in isolation on feature clusters collectively optimizes the "
    "objective of one model on all data, and outperforms a monolith at equal FLOPs (McAllister et "
    "al. 2025, abstract)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the arms of both parts with the thresholds."""
    made = ClaimList(NAME)
    grid = results["grid"]
    _grid_claims(made, grid)
    _cost_claims(made, grid)
    _image_claims(made, config, results["images"])
    return made


def _grid_claims(made: ClaimList, grid: Results) -> None:
    arms = grid["arms"]
    precision = {name: np.asarray(arm["precision"]) for name, arm in arms.items()}
    energy = {name: np.asarray(arm["energy"]) for name, arm in arms.items()}
    near = "share of samples within three deviations of a mode of their class"
    made.add(
        "On the grid, top-1 samples are at least 1.3 times as precise as the monolith's in every "
        "seed, at equal training samples and equal sampling FLOPs",
        statement=ENSEMBLE_STATEMENT,
        measured="precision of top-1 / precision of the monolith",
        metric=near,
        unit="ratio",
        arm="experts on clusters, top-1",
        baseline="monolith",
        value=_ratio(precision["top-1"], precision["monolith"]),
        at_least=PRECISION_GAIN,
        judge="every seed",
        note=f"means: {_table(precision, 1.0, 'monolith')}",
    )
    made.add(
        "On the grid, experts on a random partition are at most 1.1 times as precise as the "
        "monolith",
        statement="Control: the gain needs clusters of features; experts on random parts of the "
        "data see every mode (McAllister et al. 2025, partition ablation)",
        measured="precision of top-1 with a random partition / precision of the monolith",
        metric=near,
        unit="ratio",
        arm="experts on a random partition, top-1",
        baseline="monolith",
        value=_ratio(precision["random top-1"], precision["monolith"]),
        at_most=RANDOM_GAIN,
        judge="interval",
        control=True,
    )
    made.add(
        "On the grid, the energy distance of the full ensemble is at most 1.1 times the monolith's",
        statement=ENSEMBLE_STATEMENT,
        measured="energy distance of the full ensemble / energy distance of the monolith",
        metric="energy distance to fresh samples",
        unit="ratio",
        arm="experts on clusters, full",
        baseline="monolith",
        value=_ratio(energy["full"], energy["monolith"]),
        at_most=FULL_ENERGY,
        judge="interval",
        note=f"means times 10,000: {_table(energy, 1e4, 'monolith')}",
    )
    made.add(
        "On the grid, the energy distance of top-1 is at most 0.85 times the monolith's",
        statement=HEADLINE_STATEMENT,
        measured="energy distance of top-1 / energy distance of the monolith",
        metric="energy distance to fresh samples",
        unit="ratio",
        arm="experts on clusters, top-1",
        baseline="monolith",
        value=_ratio(energy["top-1"], energy["monolith"]),
        at_most=HEADLINE,
        judge="interval",
    )
    made.add(
        "On the grid, without a condition, top-1 collapses: at least five times the energy "
        "distance of the full ensemble",
        statement="Control: at t = 0 a router knows only the shares of the clusters, so without a "
        "condition top-1 gives every sample to the largest one",
        measured="energy distance of top-1 / of the full ensemble, both without a condition",
        metric="energy distance to fresh samples",
        unit="ratio",
        arm="experts without a condition, top-1",
        baseline="experts without a condition, full",
        value=_ratio(energy["unconditional top-1"], energy["unconditional full"]),
        at_least=COLLAPSE,
        judge="interval",
        control=True,
    )
    share = np.take_along_axis(
        np.asarray(grid["share"]), np.asarray(grid["lost_expert"])[:, None], axis=1
    )[:, 0]
    moved = np.asarray(arms["expert lost"]["modes"]) - np.asarray(arms["full"]["modes"])
    cost = 0.5 * np.abs(moved).sum(axis=1)
    made.add(
        "On the grid, an expert that is lost at sampling time moves as many samples to other modes "
        "as its share of the data, within 0.05",
        statement="Own check: the router's probabilities are renormalized over the experts that "
        "are left, so that a lost expert costs what its share of the data says",
        measured="|total variation between the shares of modes without the expert and with all - "
        "share of the data in the expert's cluster|",
        metric="total variation of the shares of modes, same noise",
        unit="fraction",
        arm="experts on clusters, full, expert s mod K lost in seed s",
        baseline="experts on clusters, full",
        value=statistics.summarize(np.abs(cost - share)),
        at_most=LOSS_ERROR,
        judge="interval",
        note=f"mean cost {cost.mean():.3f}, mean share {share.mean():.3f}",
    )
    if "student" in arms:
        made.add(
            "On the grid, the energy distance of one dense student, distilled from the experts "
            "with a quarter of the batch, is at most 1.1 times the monolith's",
            statement="A dense student distilled from the experts with a quarter of the batch has "
            "FID 7.76, training from scratch 7.82 (McAllister et al. 2025, distillation)",
            measured="energy distance of the student / energy distance of the monolith",
            metric="energy distance to fresh samples",
            unit="ratio",
            arm="student with the monolith's network and steps",
            baseline="monolith",
            value=_ratio(energy["student"], energy["monolith"]),
            at_most=STUDENT_ENERGY,
            judge="interval",
            note=f"precision of the student / of the monolith: "
            f"{np.mean(precision['student'] / precision['monolith']):.2f}",
        )
    if "unequal full" in arms:
        made.add(
            "On the grid, the energy distance of experts of two sizes, larger ones on larger "
            "clusters, is at most 1.1 times that of equal experts",
            statement="Own check: experts of different sizes join under one router (heterogeneous "
            "decentralized diffusion is a later system)",
            measured="energy distance of unequal experts / of equal ones, full ensembles",
            metric="energy distance to fresh samples",
            unit="ratio",
            arm="experts of unequal size, full",
            baseline="experts of equal size, full",
            value=_ratio(energy["unequal full"], energy["full"]),
            at_most=UNEQUAL_ENERGY,
            judge="interval",
        )


def _cost_claims(made: ClaimList, grid: Results) -> None:
    flops = {name: float(value) for name, value in grid["flops"].items()}
    made.add(
        "A velocity of top-1, router included, takes at most a quarter of the FLOPs of the full "
        "ensemble's",
        statement="Top-1 takes 334 GFLOPs and the full ensemble of 8 experts 2490 (McAllister et "
        "al. 2025, inference strategies)",
        measured="FLOPs of top-1 / FLOPs of the full ensemble",
        metric="FLOPs per sample and step, XLA's cost analysis",
        unit="ratio",
        arm="top-1",
        baseline="full",
        value=flops["top-1"] / flops["full"],
        at_most=FLOP_SHARE,
        note="padding of the groups of samples included",
    )
    made.add(
        "The monolith's velocity takes at least the FLOPs of top-1 with its router",
        statement="Own check: equal sampling FLOPs",
        measured="FLOPs of top-1 / FLOPs of the monolith",
        metric="FLOPs per sample and step, XLA's cost analysis",
        unit="ratio",
        arm="top-1",
        baseline="monolith",
        value=flops["top-1"] / flops["monolith"],
        at_most=EQUAL_FLOPS,
        control=True,
    )


def _image_claims(made: ClaimList, config: Config, images: Results) -> None:
    arms = images["arms"]
    frechet = {name: np.asarray(arm["frechet"]) for name, arm in arms.items()}
    for count in config.image_experts[1:]:
        best = f"{count} experts"
        details = ", ".join(
            f"{name} {np.mean(arm['frechet']):.2f} (precision {np.mean(arm['precision']):.2f}, "
            f"recall {np.mean(arm['recall']):.2f}, class accuracy {np.mean(arm['accuracy']):.2f})"
            for name, arm in arms.items()
            if name.startswith((f"{count} ", "monolith"))
        )
        made.add(
            f"On {config.data}, the Fréchet distance of top-1 with {count} experts is at most 0.85 "
            "times the monolith's",
            statement=HEADLINE_STATEMENT,
            measured="Fréchet distance of top-1 / Fréchet distance of the monolith",
            metric="Fréchet distance to test images, features of a classifier trained here",
            unit="ratio",
            arm=f"{best}, top-1",
            baseline="monolith",
            value=_ratio(frechet[f"{best} top-1"], frechet["monolith"]),
            at_most=HEADLINE,
            judge="interval",
            note=f"training against test images: {float(images['floor']):.2f}; {details}; FLOPs of "
            f"top-1 / monolith: {_flop_ratio(images, best):.2f}",
        )
    largest = config.image_experts[-1]
    if largest == 1:
        return
    made.add(
        f"On {config.data}, {largest} experts on clusters have a smaller Fréchet distance than "
        "experts on a random partition, both with top-1",
        statement="Feature clusters are much better than a random partition (McAllister et al. "
        "2025, partition ablation)",
        measured="Fréchet distance with clusters / with a random partition",
        metric="Fréchet distance to test images, features of a classifier trained here",
        unit="ratio",
        arm=f"{largest} experts on clusters, top-1",
        baseline=f"{largest} experts on a random partition, top-1",
        value=_ratio(frechet[f"{largest} experts top-1"], frechet[f"{largest} random top-1"]),
        at_most=1.0,
        judge="interval",
    )
    made.add(
        f"On {config.data}, the {largest} clusters do not coincide with the labels that condition "
        "the models",
        statement="Own check: the condition must not name the expert",
        measured="normalized mutual information of clusters and labels",
        metric="normalized mutual information",
        unit="fraction",
        arm=f"{largest} clusters",
        baseline="labels",
        value=statistics.summarize(images["agreement"][str(largest)]),
        at_most=AGREEMENT,
        judge="interval",
        control=True,
    )


def _ratio(arm: Any, baseline: Any) -> statistics.Comparison:
    """The ratio of every seed with the interval of their mean, as a comparison with 0."""
    ratio = np.asarray(arm) / np.asarray(baseline)
    return statistics.compare(ratio, np.zeros_like(ratio))


def _flop_ratio(images: Results, arm: str) -> float:
    return float(images["flops"][arm]) / float(images["flops"]["monolith"])


def _table(values: dict[str, np.ndarray], scale: float, first: str) -> str:
    """Means of all arms, for a note."""
    names = [first, *(name for name in values if name != first)]
    return ", ".join(f"{name} {scale * values[name].mean():.3g}" for name in names)
