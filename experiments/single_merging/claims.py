"""Claims of the single-merging experiment, with thresholds fixed before the measured run."""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.single_merging import NAME
from experiments.single_merging.arms import window_arm
from experiments.single_merging.config import Config
from jaxswarm import statistics

MERGEABLE = 0.05  # accuracy by which the merged model exceeds the agents' own models, at least
POSITIVE = 1e-9  # the smallest difference that counts as positive in every seed
PRESERVED = 0.07  # accuracy by which sparse gossip improves the merged model, at least
LATE_OVER_EARLY = 0.04  # accuracy by which the last window exceeds the first, at least
LATER_IS_NO_WORSE = -0.01  # change of accuracy from one window start to the next, at least
GAP_CLOSED = 0.4  # fraction of the gap to averaging every round that one merge closes, at least
SHARE_OF_TRANSFERS = 0.05  # models sent with one merge over averaging every round, at most
MERGE_OVER_CONSTANT = 0.04  # accuracy by which one merge exceeds a constant rate, at least
EQUAL_BUDGETS = 0.05  # relative difference of the two budgets, at most

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
    "high data heterogeneity (Zhu et al. 2025, abstract of version 2; version 1 said that it "
    "matches server-based training, which is not tested here)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the arms' final accuracies and the models they sent with the thresholds above."""
    final = {
        name: {key: curve[:, -1] for key, curve in arm.items()}
        for name, arm in results["arms"].items()
    }
    found = ClaimList(NAME)
    _add_mergeability(found, final)
    _add_window_timing(found, config, final)
    _add_single_merge(found, final)
    return found


def _add_mergeability(found: ClaimList, final: Results) -> None:
    over_own = statistics.compare(final["sparse"]["merged"], final["sparse"]["local"])
    found.add(
        "After training with sparse random gossip, the merged model (the average of all agents' "
        f"parameters) is at least {MERGEABLE:g} more accurate than the agents' own models",
        statement=_MERGEABILITY,
        measured="test accuracy of the merged model - mean test accuracy of the agents' own models",
        metric="test accuracy",
        unit="fraction",
        arm="sparse gossip, merged model",
        baseline="sparse gossip, agents' own models",
        value=over_own,
        at_least=MERGEABLE,
    )
    found.add(
        "After training with sparse random gossip, the merged model is more accurate than the "
        "agents' own models in every seed",
        statement=_MERGEABILITY,
        measured="test accuracy of the merged model - mean test accuracy of the agents' own models",
        metric="test accuracy",
        unit="fraction",
        arm="sparse gossip, merged model",
        baseline="sparse gossip, agents' own models",
        value=over_own,
        at_least=POSITIVE,
        judge="every seed",
    )
    found.add(
        "Models trained with sparse random gossip merge into a model that is at least "
        f"{PRESERVED:g} more accurate than what models trained without communication merge into",
        statement=_MERGEABILITY,
        measured="test accuracy of the merged model with sparse gossip - without communication",
        metric="test accuracy",
        unit="fraction",
        arm="sparse gossip, merged model",
        baseline="no communication, merged model",
        value=statistics.compare(final["sparse"]["merged"], final["isolated"]["merged"]),
        at_least=PRESERVED,
    )


def _add_window_timing(found: ClaimList, config: Config, final: Results) -> None:
    windows = np.stack([final[window_arm(start)]["local"] for start in config.starts], axis=1)
    steps = np.diff(windows, axis=1)
    first, last = min(config.starts), max(config.starts)
    found.add(
        "With the same communication budget, a window of dense communication that starts at "
        f"{last:.0%} of the run gives the agents models that are at least {LATE_OVER_EARLY:g} more "
        f"accurate than one that starts at {first:.0%}",
        statement=_LATE,
        measured=f"test accuracy of the agents' own models, window at {last:.0%} - at {first:.0%}",
        metric="test accuracy",
        unit="fraction",
        arm=f"dense window at {last:.0%} of the run",
        baseline=f"dense window at {first:.0%} of the run",
        value=statistics.compare(windows[:, -1], windows[:, 0]),
        at_least=LATE_OVER_EARLY,
    )
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
    )


def _add_single_merge(found: ClaimList, final: Results) -> None:
    merge, constant = final["single merge"], final["constant, same budget"]
    gap = final["server"]["local"] - final["sparse"]["local"]
    closed = (merge["local"] - final["sparse"]["local"]) / gap
    share = merge["transfers"] / final["server"]["transfers"]
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
        value=statistics.summarize(closed),
        at_least=GAP_CLOSED,
    )
    found.add(
        f"Sparse gossip with a single merge sends at most {SHARE_OF_TRANSFERS:.0%} of the models "
        "that averaging over all agents in every round sends",
        statement=_SINGLE_MERGE,
        measured="models sent with a single merge / with averaging in every round",
        metric="models sent",
        unit="ratio",
        arm="sparse gossip and a single merge",
        baseline="average over all agents in every round",
        value=statistics.summarize(share),
        at_most=SHARE_OF_TRANSFERS,
    )
    found.add(
        "With the same communication budget, a single merge at the end leaves the agents with "
        f"models that are at least {MERGE_OVER_CONSTANT:g} more accurate than those of gossip at a "
        "constant rate",
        statement=_LATE,
        measured="test accuracy of the agents' own models, single merge - constant rate",
        metric="test accuracy",
        unit="fraction",
        arm="sparse gossip and a single merge",
        baseline="gossip at a constant rate, same budget",
        value=statistics.compare(merge["local"], constant["local"]),
        at_least=MERGE_OVER_CONSTANT,
        note=(
            "after the final merge every agent holds the merged model; the merged models "
            f"themselves reach {merge['merged'].mean():.3f} with a single merge and "
            f"{constant['merged'].mean():.3f} at a constant rate"
        ),
    )
    found.add(
        "A single merge at the end and gossip at a constant rate send the same number of models, "
        f"within {EQUAL_BUDGETS:.0%}",
        statement="Control: the budgets that the preceding claim calls equal must be equal",
        measured="|models sent with a single merge / at a constant rate - 1|, all seeds together",
        metric="models sent",
        unit="relative difference",
        arm="sparse gossip and a single merge",
        baseline="gossip at a constant rate, same budget",
        value=abs(merge["transfers"].sum() / constant["transfers"].sum() - 1.0),
        at_most=EQUAL_BUDGETS,
        seeds=len(share),
        control=True,
    )
