"""What the SybilWall experiment concludes, against thresholds fixed before the first run.

Shapes: ``S`` seeds.
"""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.sybilwall import NAME
from experiments.sybilwall.config import (
    CONCENTRATED,
    LOCAL_ONLY,
    NO_ATTACK,
    SYBILWALL,
    Config,
    density_name,
    scenario_names,
)
from jaxswarm import statistics

SHARE_OF_AVERAGING = 0.5  # SybilWall's mean attack score, as a share of plain averaging's, at most
NO_HIGHER = 0.0  # SybilWall's attack score (or its range) minus another rule's, at most
ACCURACY_COST = 0.05  # accuracy lost against plain averaging when there is no attack, at most
ABLATION_RATIO = 1.5  # attack score without over with gossiped histories at density 1, at least
FEWER_SYBILS = 0.0  # attack score with one Sybil per victim minus that with four, at least

RULE_NAMES = {
    "foolsgold": "FoolsGold",
    "krum": "Krum",
    "multi-krum": "Multi-Krum",
    "median": "the coordinate-wise median",
}
"""The rules that SybilWall is compared with, as they are written in a sentence."""

SCORE = "attack score (share of attacked test samples given the attacker's label)"
TINY = 1e-6  # keeps ratios of attack scores finite


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare SybilWall with the other rules, with no attack and with its own ablation."""
    made = ClaimList(NAME)
    names = scenario_names(config)
    spread = [names.index(density_name(density)) for density in config.densities]
    score, accuracy = results["score"], results["accuracy"]
    attacked = {rule: table[:, spread].mean(axis=(0, 1)) for rule, table in score.items()}
    outperforms = (
        "SybilWall outperforms existing solutions designed for federated learning under targeted "
        "Sybil poisoning attacks (Werthenbach and Pouwelse 2023, abstract)."
    )
    made.add(
        "SybilWall's mean attack score is at most half of plain averaging's",
        statement=outperforms,
        measured="mean attack score with SybilWall / with plain averaging; mean over both attacks "
        "and all densities of attack edges",
        metric=SCORE,
        unit="ratio",
        arm="SybilWall",
        baseline="plain averaging",
        value=statistics.summarize(attacked[SYBILWALL] / np.maximum(attacked["averaging"], TINY)),
        at_most=SHARE_OF_AVERAGING,
    )
    for rule, written in RULE_NAMES.items():
        if rule not in score:
            continue
        made.add(
            f"SybilWall's mean attack score is no higher than that of {written}",
            statement=outperforms,
            measured=f"mean attack score with SybilWall - with {written}; mean over both attacks "
            "and all densities of attack edges",
            metric=SCORE,
            unit="fraction",
            arm="SybilWall",
            baseline=f"{written}, among neighbors only".removeprefix("the "),
            value=statistics.compare(attacked[SYBILWALL], attacked[rule]),
            at_most=NO_HIGHER,
        )
    calm = names.index(NO_ATTACK)
    made.add(
        "Without an attack, SybilWall loses at most 0.05 of accuracy against plain averaging",
        statement="Own check: the defense costs little accuracy when there is no attack.",
        measured="test accuracy with plain averaging - with SybilWall, without an attack",
        metric="test accuracy of honest agents",
        unit="fraction",
        arm="SybilWall, no attack",
        baseline="plain averaging, no attack",
        value=statistics.compare(
            accuracy["averaging"][:, calm].mean(axis=0), accuracy[SYBILWALL][:, calm].mean(axis=0)
        ),
        at_most=ACCURACY_COST,
    )
    ranges = {
        rule: np.ptp(table[:, spread].reshape(-1, table.shape[-1]), axis=0)
        for rule, table in score.items()
    }
    others = [ranges[rule] for rule in ranges if rule not in (SYBILWALL, LOCAL_ONLY)]
    made.add(
        "SybilWall's attack score varies less over attacks and densities than any other rule's",
        statement="SybilWall is the only algorithm to obtain consistent accuracy over a range of "
        "adversarial attack scenarios (Werthenbach and Pouwelse 2023, abstract); here the range of "
        "the attack score is compared.",
        measured="largest - smallest attack score over attacks and densities: with SybilWall - the "
        "smallest such range of any other rule",
        metric=SCORE,
        unit="fraction",
        arm="SybilWall",
        baseline="the other rule with the smallest range",
        value=statistics.summarize(ranges[SYBILWALL] - np.min(others, axis=0)),
        at_most=NO_HIGHER,
    )
    density_one = names.index(density_name(1.0))
    with_histories = score[SYBILWALL][:, density_one].mean(axis=0)
    if LOCAL_ONLY in score:
        without_histories = score[LOCAL_ONLY][:, density_one].mean(axis=0)
        made.add(
            "At one attack edge per honest agent, SybilWall's attack score is at least 1.5 times "
            "as high when histories are not gossiped",
            statement="Own check: ablation of the probabilistic gossip of SybilWall (Werthenbach "
            "and Pouwelse 2023, abstract). Without gossiped histories, an agent with a single "
            "Sybil neighbor has no copy to compare its model with.",
            measured="attack score without / with gossiped histories at density φ = 1, mean over "
            "both attacks",
            metric=SCORE,
            unit="ratio",
            arm="SybilWall without gossiped histories",
            baseline="SybilWall",
            value=statistics.summarize(without_histories / np.maximum(with_histories, TINY)),
            at_least=ABLATION_RATIO,
        )
    concentrated = score[SYBILWALL][:, names.index(CONCENTRATED)].mean(axis=0)
    made.add(
        "With SybilWall and equally many attack edges, one Sybil per victim gives at least as high "
        "an attack score as four Sybils per victim",
        statement="SybilWall diminishes the utility of creating many Sybils: adversaries that use "
        "fewer Sybils are more successful (Werthenbach and Pouwelse 2023, abstract).",
        measured="attack score with all attack edges spread over all honest agents - with all of "
        "them on a quarter of the honest agents, at density φ = 1, mean over both attacks",
        metric=SCORE,
        unit="fraction",
        arm="SybilWall, one Sybil per victim",
        baseline="SybilWall, four Sybils per victim",
        value=statistics.compare(with_histories, concentrated),
        at_least=FEWER_SYBILS,
    )
    return made
