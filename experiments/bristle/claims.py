"""What the Bristle experiment concludes, against thresholds fixed before the first run.

Shapes: ``S`` seeds.
"""

import numpy as np

from experiments.bristle import NAME
from experiments.bristle.config import ATTACKS, CONDITION_NAMES, Config, arm_name
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

TIMES_BASELINE = 1.8  # accuracy under noise over that of the most resilient baseline, at least
ATTACKS_WON = 3.0  # attacks of four under which Bristle is the most accurate arm, at least
SHARE_KEPT = 0.85  # accuracy under noise as a share of that without an attack, at least
IID_COST = 0.04  # accuracy lost against plain averaging on IID data without an attack, at most
MESSAGE_SHARE = 0.10  # bytes of a message over the bytes of the whole network, at most
NOISE_HARM = 0.2  # accuracy that plain averaging loses under noise, at least (control)

ACCURACY = "test accuracy of honest agents"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare Bristle with the baselines, with no attack, and with exchanging whole networks."""
    made = ClaimList(NAME)
    non_iid = last_evaluation(results["accuracy"]["non-iid"])
    iid = last_evaluation(results["accuracy"]["iid"])
    ours = non_iid["bristle"]
    averaging = "transfer averaging"
    resilient = {
        arm: conditions["noise"]
        for arm, conditions in non_iid.items()
        if not arm.startswith("bristle") and not arm.endswith("averaging")
    }
    best = max(resilient, key=lambda arm: resilient[arm].mean())
    made.add(
        "On non-IID data under noise, Bristle is at least 1.8 times as accurate as the most "
        "resilient baseline",
        statement="When the training classes are non-i.i.d., Bristle outperforms the accuracy of "
        "the most Byzantine-resilient baselines by 2.3 times (Verbraeken et al. 2021, abstract).",
        measured="accuracy of Bristle / accuracy of the baseline that is the most accurate under "
        "noise",
        metric=ACCURACY,
        unit="ratio",
        arm="Bristle, non-IID data, noise",
        baseline=f"{arm_name(best)}, non-IID data, noise",
        value=statistics.summarize(ours["noise"] / resilient[best]),
        at_least=TIMES_BASELINE,
        note="candidates are all robust rules, with the frozen body and with whole networks",
    )
    attacks = [attack for attack in ATTACKS if attack in ours]
    if len(attacks) == len(ATTACKS):  # at full scale only noise is run
        add_attacks_won(made, non_iid)
    made.add(
        "On non-IID data, Bristle keeps at least 85 % of its accuracy under noise",
        statement="Bristle converges to a consistent 95 % accuracy in Byzantine environments "
        "(Verbraeken et al. 2021, abstract); here its accuracy is compared with its own accuracy "
        "without an attack.",
        measured="accuracy of Bristle under noise / without an attack",
        metric=ACCURACY,
        unit="ratio",
        arm="Bristle, non-IID data, noise",
        baseline="Bristle, non-IID data, no attack",
        value=statistics.summarize(ours["noise"] / ours["none"]),
        at_least=SHARE_KEPT,
    )
    made.add(
        "On IID data without an attack, Bristle loses at most 0.04 of accuracy against plain "
        "averaging of output layers",
        statement="Own check: resilience costs little where it is not needed.",
        measured="accuracy of plain averaging with the frozen body - accuracy of Bristle",
        metric=ACCURACY,
        unit="fraction",
        arm="Bristle, IID data, no attack",
        baseline="plain averaging, IID data, no attack",
        value=statistics.compare(iid[averaging]["none"], iid["bristle"]["none"]),
        at_most=IID_COST,
    )
    made.add(
        "A message of Bristle has at most 10 % of the bytes of the whole network",
        statement="Bristle reduces communication costs by 90 % (Verbraeken et al. 2021, abstract).",
        measured="bytes of one message of Bristle (the output layer) / bytes of all parameters of "
        "the network",
        metric="message size",
        unit="ratio",
        arm="Bristle",
        baseline="exchange of whole networks",
        value=results["message_bytes"]["bristle"] / results["network_bytes"],
        at_most=MESSAGE_SHARE,
    )
    made.add(
        "On non-IID data, noise lowers the accuracy of plain averaging by at least 0.2",
        statement="Control: the attack is strong enough to break a rule that is not robust.",
        measured="accuracy of plain averaging with the frozen body, without an attack - under "
        "noise",
        metric=ACCURACY,
        unit="fraction",
        arm="plain averaging, non-IID data, noise",
        baseline="plain averaging, non-IID data, no attack",
        value=statistics.compare(non_iid[averaging]["none"], non_iid[averaging]["noise"]),
        at_least=NOISE_HARM,
        control=True,
    )
    return made


def add_attacks_won(made: ClaimList, non_iid: dict[str, dict[str, np.ndarray]]) -> None:
    """Count the attacks under which Bristle's mean accuracy exceeds every baseline's."""
    ours = non_iid["bristle"]
    baselines = {arm: table for arm, table in non_iid.items() if arm.startswith("transfer")}
    lost = [
        CONDITION_NAMES[attack]
        for attack in ATTACKS
        if not all(ours[attack].mean() > table[attack].mean() for table in baselines.values())
    ]
    names = [arm_name(arm) for arm in baselines]
    made.add(
        "On non-IID data, Bristle is more accurate than every baseline with the frozen body under "
        "at least three of four attacks",
        statement="Bristle outperforms all evaluated baselines in Byzantine environments "
        "(Verbraeken et al. 2021, abstract).",
        measured="number of attacks (noise, all labels flipped, Fang's attacks on Krum and on the "
        "trimmed mean) under which the mean accuracy of Bristle exceeds that of every baseline",
        metric=ACCURACY,
        unit="attacks",
        arm="Bristle, non-IID data",
        baseline=f"the best of {', '.join(names)}, all with the frozen body",
        value=float(len(ATTACKS) - len(lost)),
        at_least=ATTACKS_WON,
        seeds=len(ours["noise"]),
        note="a baseline is as accurate or better under: " + (", ".join(lost) or "none"),
    )


def last_evaluation(arms: Results) -> dict[str, dict[str, np.ndarray]]:
    """The last evaluation of every arm and condition, ``[S]`` each."""
    return {
        arm: {condition: np.asarray(scores)[:, -1] for condition, scores in conditions.items()}
        for arm, conditions in arms.items()
    }
