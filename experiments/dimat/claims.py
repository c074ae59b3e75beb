"""Claims of the DIMAT experiment, with thresholds fixed before the measured run.

Shapes: ``S`` seeds, ``T`` cycles of merging and training.
"""

import numpy as np

from experiments.dimat import NAME
from experiments.dimat.config import Config
from experiments.harness.claims import STRICTLY, Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

FIRST_MERGE_GAIN = 0.15  # accuracy of DIMAT over WA right after the first merge, at least
FIRST_MERGE_KEEPS = 0.8  # accuracy after the first merge over that before it, at least
EXACT_RECOVERY = 1.0  # fraction of units matched to themselves, at least
UNCHANGED = 1e-6  # change of any parameter when a model is merged with its own copy, at most
NOT_BEHIND = -0.01  # accuracy in the last cycle over the better rival's, at least

_INITIAL_GAIN = (
    "DIMAT attains faster and higher initial gain in accuracy with IID and non-IID data (Saadati "
    "et al. 2024, abstract)"
)
_SUPERIOR = (
    "DIMAT is superior to the baselines and incurs lower communication overhead (Saadati et al. "
    "2024, abstract)"
)
_MATCHING = (
    "Own check: matching must undo a random permutation of a model's units, so that merging the "
    "model with its permuted copy is lossless"
)

_GRAPHS = {"ring": "a ring", "complete": "a complete graph"}
_DATA = {"IID": "IID data", "disjoint": "disjoint classes"}


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare accuracies after the first merge and over the cycles with the thresholds above."""
    found = ClaimList(NAME)
    for graph, by_deal in results["arms"].items():
        where = f"On {_GRAPHS[graph]} with IID data"
        _add_first_merge(found, where, by_deal["IID"], results["before"]["IID"])
    _add_own_copy(found, results["copy"])
    for graph, by_deal in results["arms"].items():
        for deal, arms in by_deal.items():
            _add_cycles(found, f"On {_GRAPHS[graph]} with {_DATA[deal]}", arms)
    if "cnn" in results:
        cnn = results["cnn"]
        where = (
            f"On {_GRAPHS['complete']} with IID data and convolutional networks with batch "
            "normalization"
        )
        _add_first_merge(found, where, cnn["arms"]["complete"]["IID"], cnn["before"]["IID"])
    return found


def curve(arm: Results) -> np.ndarray:
    """Accuracy after each merge and after the training that follows it, ``[S, 2 T]``.

    An arm that trains and exchanges at once has one accuracy per cycle, which counts twice.
    """
    pairs = np.stack([arm.get("merged", arm["accuracy"]), arm["accuracy"]], axis=2)
    return pairs.reshape(len(pairs), -1)


def _add_first_merge(found: ClaimList, where: str, arms: Results, before: np.ndarray) -> None:
    dimat, plain = arms["DIMAT"]["merged"][:, 0], arms["WA"]["merged"][:, 0]
    found.add(
        f"{where}, agents are at least {FIRST_MERGE_GAIN:g} more accurate right after DIMAT's "
        "first merge than after plain weight averaging (WA)",
        statement=_INITIAL_GAIN,
        measured="test accuracy right after the first merge, DIMAT - WA",
        metric="test accuracy, mean over agents",
        unit="fraction",
        arm="DIMAT, first merge",
        baseline="weight averaging (WA), first merge",
        value=statistics.compare(dimat, plain),
        at_least=FIRST_MERGE_GAIN,
    )
    found.add(
        f"{where}, agents keep at least {FIRST_MERGE_KEEPS:.0%} of their accuracy in DIMAT's first "
        "merge",
        statement=_INITIAL_GAIN,
        measured="test accuracy right after DIMAT's first merge / before it",
        metric="test accuracy, mean over agents",
        unit="ratio",
        arm="DIMAT, first merge",
        baseline="agents before merging",
        value=statistics.summarize(dimat / before),
        at_least=FIRST_MERGE_KEEPS,
    )


def _add_own_copy(found: ClaimList, copy: Results) -> None:
    found.add(
        "Matching activations before rectification assigns every unit of a model to itself in a "
        "randomly permuted copy of the model",
        statement=_MATCHING,
        measured="units matched to themselves / all units",
        metric="fraction of units matched correctly",
        unit="fraction",
        arm="matching before rectification",
        baseline="exact recovery",
        value=statistics.summarize(copy["recovered"]),
        at_least=EXACT_RECOVERY,
    )
    found.add(
        "Matching activations after rectification, as DIMAT does, assigns every unit that is ever "
        "active to itself in a randomly permuted copy of the model",
        statement=_MATCHING,
        measured="ever active units matched to themselves / ever active units",
        metric="fraction of ever active units matched correctly",
        unit="fraction",
        arm="matching after rectification",
        baseline="exact recovery",
        value=statistics.summarize(copy["firing"]),
        at_least=EXACT_RECOVERY,
        note="units that are never active have no activations by which they could be matched",
    )
    found.add(
        "Merging a model with its matched, randomly permuted copy changes no parameter by more "
        f"than {UNCHANGED:g}",
        statement=_MATCHING,
        measured="largest |parameter of the model - parameter of the merged model|",
        metric="change of a parameter",
        unit="parameter value",
        arm="model merged with its matched copy",
        baseline="the model",
        value=statistics.summarize(copy["gap"]),
        at_most=UNCHANGED,
    )


def _add_cycles(found: ClaimList, where: str, arms: Results) -> None:
    rivals = [name for name in ("WA", "CDSGD") if name in arms]
    names = {"WA": "weight averaging (WA)", "CDSGD": "CDSGD with one exchange per cycle"}
    mean = {name: curve(arm).mean(axis=1) for name, arm in arms.items()}
    final = {name: curve(arm)[:, -2:].mean(axis=1) for name, arm in arms.items()}
    for rival in rivals:
        found.add(
            f"{where} and equal numbers of transfers, DIMAT is more accurate than "
            f"{names[rival]} on average over the cycles",
            statement=_SUPERIOR,
            measured=(
                "test accuracy after each merge and each training, mean over the cycles, DIMAT - "
                f"{rival}"
            ),
            metric="test accuracy, mean over agents and cycles",
            unit="fraction",
            arm="DIMAT",
            baseline=names[rival],
            value=statistics.compare(mean["DIMAT"], mean[rival]),
            at_least=STRICTLY,
            note=_published_cdsgd(arms, mean) if rival == "CDSGD" else "",
        )
    best = max(rivals, key=lambda name: final[name].mean())
    found.add(
        f"{where} and equal numbers of transfers, DIMAT is at most {-NOT_BEHIND:g} less accurate "
        f"in the last cycle than {'the better of ' if len(rivals) > 1 else ''}"
        f"{' and '.join(rivals)}",
        statement=_SUPERIOR,
        measured=(
            "test accuracy in the last cycle, mean of after merging and after training, DIMAT - "
            f"{best}"
        ),
        metric="test accuracy, mean over agents",
        unit="fraction",
        arm="DIMAT, last cycle",
        baseline=f"{names[best]}, last cycle",
        value=statistics.compare(final["DIMAT"], final[best]),
        at_least=NOT_BEHIND,
        note=_published_cdsgd(arms, final),
    )


def _published_cdsgd(arms: Results, accuracy: dict[str, np.ndarray]) -> str:
    """How accurate CDSGD is as published, with an exchange after every step; empty if not run."""
    name = "CDSGD, every step"
    if name not in arms:
        return ""
    more = arms[name]["transfers"][0, -1] / arms["DIMAT"]["transfers"][0, -1]
    return (
        f"CDSGD as published, with an exchange after every step and {more:.0f} times the "
        f"transfers, has an accuracy of {accuracy[name].mean():.3f}, DIMAT of "
        f"{accuracy['DIMAT'].mean():.3f}"
    )
