"""Claims of the grid of rules and attacks, with thresholds fixed before the measured run.

All rules of the grid are in the figure; claims are made for plain averaging, four rules that take a
median-like centre of the received models, and self-centered clipping.
"""

import numpy as np

from experiments.byzantine_grid import NAME
from experiments.byzantine_grid.config import Config, label
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

AVERAGING = "averaging"
CLIPPING = "centered_clipping"
MEDIAN_LIKE = ("median", "trimmed_mean", "multi_krum", "geometric_median")

BREAKS = 0.3  # accuracy that averaging loses under its worst attack, at least
ROBUST_GAIN = 0.2  # accuracy of a robust rule over averaging, both at their worst, at least
COST_WITHOUT_ATTACK = 0.05  # accuracy that a robust rule loses without an attack, at most
NO_WORSE = 0.0  # accuracy of clipping over averaging under dissensus, at least


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the rules' accuracies under their worst attack and without an attack."""
    table = results["accuracy"]
    worst = {rule: np.min(list(cells.values()), axis=0) for rule, cells in table.items()}
    found = ClaimList(NAME)
    found.add(
        f"Some attack lowers the accuracy of plain averaging by at least {BREAKS:g} in every seed",
        statement="Control: the attacks are strong enough to break an undefended rule",
        measured="test accuracy of averaging: without an attack - under its most damaging attack",
        metric="test accuracy of honest agents",
        unit="fraction",
        arm="averaging, no attack",
        baseline="averaging, its worst attack",
        value=statistics.compare(table[AVERAGING]["none"], worst[AVERAGING]),
        at_least=BREAKS,
        judge="every seed",
        control=True,
    )
    for rule in (name for name in MEDIAN_LIKE if name in table):
        found.add(
            f"With each rule under its most damaging attack, {label(rule)} is at least "
            f"{ROBUST_GAIN:g} more accurate than averaging",
            statement=(
                f"Own check: aggregation by {label(rule)} limits the damage of Byzantine messages, "
                "whichever of the attacks is used"
            ),
            measured=f"lowest test accuracy over the attacks: {label(rule)} - averaging",
            metric="test accuracy of honest agents",
            unit="fraction",
            arm=f"{label(rule)}, its worst attack",
            baseline="averaging, its worst attack",
            value=statistics.compare(worst[rule], worst[AVERAGING]),
            at_least=ROBUST_GAIN,
            judge="interval",
        )
        found.add(
            f"Without an attack, {label(rule)} is at most {COST_WITHOUT_ATTACK:g} less accurate "
            "than averaging",
            statement=(
                f"Own check: aggregation by {label(rule)} costs little accuracy when there is no "
                "attack"
            ),
            measured=f"test accuracy without an attack: averaging - {label(rule)}",
            metric="test accuracy of honest agents",
            unit="fraction",
            arm=f"{label(rule)}, no attack",
            baseline="averaging, no attack",
            value=statistics.compare(table[AVERAGING]["none"], table[rule]["none"]),
            at_most=COST_WITHOUT_ATTACK,
        )
    if CLIPPING in table:
        found.add(
            "Under the dissensus attack, self-centered clipping is at least as accurate as plain "
            "averaging",
            statement=(
                "Self-centered clipping withstands Byzantine neighbours, among them those of the "
                "dissensus attack (He et al. 2022, abstract of version 1)"
            ),
            measured="test accuracy under the dissensus attack: self-centered clipping - averaging",
            metric="test accuracy of honest agents",
            unit="fraction",
            arm="self-centered clipping, dissensus attack",
            baseline="averaging, dissensus attack",
            value=statistics.compare(table[CLIPPING]["dissensus"], table[AVERAGING]["dissensus"]),
            at_least=NO_WORSE,
        )
    return found
