"""Claims of the single-merging experiment, with thresholds fixed before the measured run."""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.single_merging import NAME
from experiments.single_merging.arms import own_starts, window_arm
from experiments.single_merging.config import Config
from jaxswarm import statistics

MERGEABLE = 0.05  # accuracy by which the merged model exceeds the agents' own models, at least
PRESERVED = 0.07  # accuracy by which sparse gossip improves the merged model, at least
LATE_OVER_EARLY = 0.04  # accuracy by which the last window exceeds the first, at least
LATER_IS_NO_WORSE = -0.01  # change of accuracy from one window start to the next, at least
GAP_CLOSED = 0.4  # fraction of the gap to averaging every round that one merge closes, at least
MERGE_OVER_CONSTANT = 0.04  # accuracy by which one merge exceeds a constant rate, at least
MERGED_IS_NO_WORSE = 0.0  # accuracy of the merged model, late or once - early or even, at least
MATCHES_SERVER = -0.01  # accuracy with one merge - with averaging every round, at least
COMMON_START = 0.05  # accuracy of the merged model that a common start is worth, at least
UNMERGEABLE = 0.2  # accuracy that merging of isolated agents with own starts loses, at least

_MERGEABILITY = (
    "Low communication in decentralized learning preserves the mergeability of local models "
    "throughout training (Zhu et al. 2025, abstract of version 1)"
)
_LATE = (
    "Concentrating the communication budget in the later stages of decentralized training "
    "markedly improves global generalization (Zhu et al. 2025, abstract)"
)
_SINGLE_MERGE = (
    "A single global merging at the final step significantly improves decentralized learning under "
    "high data heterogeneity (Zhu et al. 2025, abstract of version 2)"
)
_HEADLINE = (
    "Fully connected communication at the final step, a single global merging, suffices to match "
    "server-based training (Zhu et al. 2025, abstract of version 1; softened in version 2)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the arms' final accuracies with the thresholds above."""
    final = {
        name: {key: curve[:, -1] for key, curve in arm.items()}
        for name, arm in results["arms"].items()
    }
    found = ClaimList(NAME)
    _add_mergeability(found, final)
    _add_window_timing(found, config, final)
    _add_single_merge(found, final)
    _add_starts(found, final)
    return found


def _difference(
    found: ClaimList,
    sentence: str,
    statement: str,
    arm: tuple[str, np.ndarray],
    baseline: tuple[str, np.ndarray],
    at_least: float,
    *,
    control: bool = False,
    note: str = "",
) -> None:
    """A claim on the difference of two test accuracies, given with their names."""
    found.add(
        sentence,
        statement=statement,
        measured=f"test accuracy, {arm[0]} - {baseline[0]}",
        metric="test accuracy",
        unit="fraction",
        arm=arm[0],
        baseline=baseline[0],
        value=statistics.compare(arm[1], baseline[1]),
        at_least=at_least,
        judge="interval",
        control=control,
        note=note,
    )


def _add_mergeability(found: ClaimList, final: Results) -> None:
    merged, own = final["sparse"]["merged"], final["sparse"]["local"]
    _difference(
        found,
        "After training with sparse random gossip, the merged model (the average of all agents' "
        f"parameters) is at least {MERGEABLE:g} more accurate than the agents' own models",
        _MERGEABILITY,
        ("sparse gossip, merged model", merged),
        ("sparse gossip, agents' own models", own),
        MERGEABLE,
        note=f"it is more accurate in {np.sum(merged > own)} of {len(own)} seeds",
    )
    _difference(
        found,
        "Models trained with sparse random gossip merge into a model that is at least "
        f"{PRESERVED:g} more accurate than what models trained without communication merge into",
        _MERGEABILITY,
        ("sparse gossip, merged model", merged),
        ("no communication, merged model", final["isolated"]["merged"]),
        PRESERVED,
    )


def _add_window_timing(found: ClaimList, config: Config, final: Results) -> None:
    first, last = min(config.starts), max(config.starts)
    late, early = (
        {key: final[window_arm(start)][key] for key in ("local", "merged")}
        for start in (last, first)
    )
    names = (f"dense window at {last:.0%} of the run", f"dense window at {first:.0%} of the run")
    _difference(
        found,
        "With the same communication budget, a window of dense communication that starts at "
        f"{last:.0%} of the run gives the agents models that are at least {LATE_OVER_EARLY:g} more "
        f"accurate than one that starts at {first:.0%}",
        _LATE,
        (f"{names[0]}, agents' own models", late["local"]),
        (f"{names[1]}, agents' own models", early["local"]),
        LATE_OVER_EARLY,
    )
    _difference(
        found,
        "With the same communication budget, the merged model is no less accurate with a dense "
        f"window at {last:.0%} of the run than with one at {first:.0%}",
        _LATE,
        (f"{names[0]}, merged model", late["merged"]),
        (f"{names[1]}, merged model", early["merged"]),
        MERGED_IS_NO_WORSE,
    )
    windows = np.stack([final[window_arm(start)]["local"] for start in config.starts], axis=1)
    steps = np.diff(windows, axis=1)
    found.add(
        "With the same communication budget, starting the dense window later never lowers the "
        f"accuracy of the agents' models by more than {-LATER_IS_NO_WORSE:g}",
        statement=_LATE,
        measured=(
            "change of test accuracy from one window start to the next later one, for the pair of "
            "starts with the smallest mean change"
        ),
        metric="test accuracy",
        unit="fraction",
        arm="dense window, later start",
        baseline="dense window, next earlier start",
        value=statistics.summarize(steps[:, np.argmin(steps.mean(axis=0))]),
        at_least=LATER_IS_NO_WORSE,
        judge="interval",
    )


def _add_single_merge(found: ClaimList, final: Results) -> None:
    merge, server = final["single merge"], final["server"]
    constant, sparse = final["constant, same budget"], final["sparse"]
    share = (merge["transfers"] / server["transfers"]).mean()
    found.add(
        f"One global merge at the end of sparse gossip closes at least {GAP_CLOSED:.0%} of the "
        "accuracy gap between sparse gossip and averaging over all agents in every round",
        statement=_SINGLE_MERGE,
        measured=(
            "(accuracy with a single merge - with sparse gossip) / (accuracy with averaging in "
            "every round - with sparse gossip), agents' own models"
        ),
        metric="share of the gap in test accuracy",
        unit="ratio",
        arm="sparse gossip and a single merge",
        baseline="average over all agents in every round",
        value=statistics.summarize(
            (merge["local"] - sparse["local"]) / (server["local"] - sparse["local"])
        ),
        at_least=GAP_CLOSED,
        judge="interval",
        note=f"with {share:.1%} of the models sent",
    )
    _difference(
        found,
        "One global merge at the end of sparse gossip is at most "
        f"{-MATCHES_SERVER:g} less accurate than averaging over all agents in every round",
        _HEADLINE,
        ("sparse gossip and a single merge", merge["local"]),
        ("average over all agents in every round", server["local"]),
        MATCHES_SERVER,
    )
    _difference(
        found,
        "With the same communication budget, a single merge at the end leaves the agents with "
        f"models that are at least {MERGE_OVER_CONSTANT:g} more accurate than those of gossip at a "
        "constant rate",
        _LATE,
        ("sparse gossip and a single merge, agents' own models", merge["local"]),
        ("constant rate, same budget, agents' own models", constant["local"]),
        MERGE_OVER_CONSTANT,
        note="after the final merge every agent holds the merged model; the next row compares "
        "merged models",
    )
    _difference(
        found,
        "With the same communication budget, the model merged after sparse gossip is no less "
        "accurate than the model merged after gossip at a constant rate",
        _LATE,
        ("sparse gossip and a single merge, merged model", merge["merged"]),
        ("constant rate, same budget, merged model", constant["merged"]),
        MERGED_IS_NO_WORSE,
        note="merging the latter costs one more exchange among all agents",
    )


def _add_starts(found: ClaimList, final: Results) -> None:
    """Arms whose agents start from parameters of their own."""
    once = final[own_starts("single merge")]
    _difference(
        found,
        "A single merge is worth less without a common start: the merged model is at least "
        f"{COMMON_START:g} less accurate when all agents start from parameters of their own",
        "Own check: mergeability after sparse gossip rests on the common start",
        ("sparse gossip and a single merge, common start", final["single merge"]["merged"]),
        ("sparse gossip and a single merge, own starts", once["merged"]),
        COMMON_START,
    )
    apart = final[own_starts("isolated")]
    _difference(
        found,
        "Models that start apart and never communicate do not merge: their average is at least "
        f"{UNMERGEABLE:g} less accurate than they are",
        "Control: merging must be able to fail",
        ("no communication, own starts, agents' own models", apart["local"]),
        ("no communication, own starts, merged model", apart["merged"]),
        UNMERGEABLE,
        control=True,
    )
