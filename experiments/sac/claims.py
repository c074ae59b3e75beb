"""Claims of the SAC experiment and their thresholds, fixed before the first run.

``CRITICS_ONLY_LOSS`` was added after a pilot of the network.
"""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.sac import NAME
from experiments.sac.config import Config
from jaxswarm import statistics

MEDIAN_RETURN = -250.0  # least median over seeds of the final return on the pendulum
WORST_RETURN = -400.0  # least final return of any seed on the pendulum
RANGE_RATIO = 1.0  # least ratio of the ranges of final returns, deterministic ablation / SAC
TARGET_ENTROPY = -1.0  # SAC's default target, minus the number of action dimensions, in nats
ENTROPY_ERROR = 0.5  # largest distance from the target entropy with a learned temperature, nats
ENTROPY_MISS = 1.0  # least distance from it with the worse fixed temperature, nats
CLOSED_FORM_ERROR = 0.05  # largest relative error of the learned temperature on the bandit
RING_GAIN = 300.0  # least gain in true team return of the ring over no gossip
TRUE_REWARD_LOSS = 60.0  # largest loss of the complete graph against learners of the true reward
CRITICS_ONLY_LOSS = 300.0  # least loss of averaging critics without reward models

NETWORK_STATEMENT = (
    "Own check: an extension of SAC; with private rewards, consensus on critics lets agents "
    "maximise the team's mean reward (after the on-policy actor-critics of Zhang et al. 2018)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare final returns, entropies and temperatures with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.sac.arms.run`.

    Returns:
        Ten claims: six on the pendulum, one on the bandit, three on the network.
    """
    claim_list = ClaimList(NAME)
    _pendulum_claims(claim_list, results)
    _bandit_claim(claim_list, config, results)
    _network_claims(claim_list, results)
    return claim_list


def _pendulum_claims(claim_list: ClaimList, results: Results) -> None:
    final = {name: curve[:, -1] for name, curve in results["return"].items()}
    last_quarter = -max(results["steps"].size // 4, 1)
    entropy_error = {
        name: np.abs(curve[:, last_quarter:].mean(axis=1) - TARGET_ENTROPY)
        for name, curve in results["entropy"].items()
    }
    learned, deterministic = final["learned temperature"], final["deterministic"]
    worse_fixed = max(
        ("temperature 0.01", "temperature 1"), key=lambda name: entropy_error[name].mean()
    )
    seeds = len(learned)
    claim_list.add(
        f"The median final return of SAC on the pendulum is at least {MEDIAN_RETURN:g}",
        statement="SAC achieves state-of-the-art performance (Haarnoja et al. 2018, abstract)",
        measured="median over seeds of the final return",
        metric="undiscounted return of an episode",
        unit="return",
        arm="learned temperature",
        value=statistics.summarize(learned, statistic="median"),
        at_least=MEDIAN_RETURN,
    )
    claim_list.add(
        f"SAC reaches a return of {WORST_RETURN:g} on the pendulum with every seed",
        statement="SAC is very stable across random seeds (Haarnoja et al. 2018, abstract)",
        measured="minimum over seeds of the final return",
        metric="undiscounted return of an episode",
        unit="return",
        arm="learned temperature",
        value=float(learned.min()),
        at_least=WORST_RETURN,
        seeds=seeds,
    )
    claim_list.add(
        f"The median final return of SAC is at least {MEDIAN_RETURN:g} also with an actor that "
        "maximises the mean of the two critics",
        statement=(
            "Own check: the paper's actor uses the minimum of the two critics, its official code "
            "their mean"
        ),
        measured="median over seeds of the final return",
        metric="undiscounted return of an episode",
        unit="return",
        arm="mean of the critics",
        value=statistics.summarize(final["mean of the critics"], statistic="median"),
        at_least=MEDIAN_RETURN,
    )
    claim_list.add(
        "Final returns of a deterministic ablation vary over seeds at least as much as SAC's",
        statement="SAC is very stable across random seeds (Haarnoja et al. 2018, abstract)",
        measured=(
            "range over seeds of the final return, deterministic ablation / learned temperature"
        ),
        metric="range of returns over seeds",
        unit="ratio",
        arm="deterministic",
        baseline="learned temperature",
        value=float(np.ptp(deterministic) / max(np.ptp(learned), 1e-9)),
        at_least=RANGE_RATIO,
        seeds=seeds,
        note="each seed has its own evaluation starts, which dominate both ranges",
    )
    claim_list.add(
        f"With a learned temperature the policy's entropy is within {ENTROPY_ERROR:g} nats of its "
        "target, -1 nat",
        statement=(
            "The temperature is adjusted automatically so that the policy's entropy meets a "
            "target, by default minus the number of action dimensions (Haarnoja et al. 2018)"
        ),
        measured="|mean entropy over the last quarter of training - target|",
        metric="policy entropy",
        unit="nats",
        arm="learned temperature",
        baseline="target entropy, -1 nat",
        value=statistics.summarize(entropy_error["learned temperature"]),
        at_most=ENTROPY_ERROR,
    )
    claim_list.add(
        "With the worse of two fixed temperatures, 0.01 and 1, the policy's entropy is at least "
        f"{ENTROPY_MISS:g} nat away from -1 nat",
        statement="Control: an entropy near the target must be the effect of learning it",
        measured="|mean entropy over the last quarter of training - target|",
        metric="policy entropy",
        unit="nats",
        arm=worse_fixed,
        baseline="target entropy, -1 nat",
        value=statistics.summarize(entropy_error[worse_fixed]),
        at_least=ENTROPY_MISS,
        control=True,
    )


def _bandit_claim(claim_list: ClaimList, config: Config, results: Results) -> None:
    bandit = results["bandit"]
    error = np.abs(bandit["learned"].mean(axis=1) / bandit["closed_form"] - 1.0)
    claim_list.add(
        "On a bandit with reward -a² the learned temperature is within 5 % of its closed form",
        statement=(
            "The learned temperature solves the entropy-constrained problem, of which it is the "
            "dual variable (Haarnoja et al. 2018); the bandit is an own check"
        ),
        measured=(
            "largest |mean learned temperature / closed form - 1| of the target entropies "
            + ", ".join(f"{entropy:g}" for entropy in config.entropies)
        ),
        metric="temperature",
        unit="fraction",
        arm="learned temperature",
        baseline="closed form",
        value=float(error.max()),
        at_most=CLOSED_FORM_ERROR,
        seeds=bandit["learned"].shape[1],
    )


def _network_claims(claim_list: ClaimList, results: Results) -> None:
    final = {name: curve[:, -1] for name, curve in results["network"].items()}
    claim_list.add(
        "With private rewards, gossip over a ring raises the team's true return by at least "
        f"{RING_GAIN:g}",
        statement=NETWORK_STATEMENT,
        measured="final true team return, ring - no gossip",
        metric="true team return of an episode",
        unit="return",
        arm="ring",
        baseline="no gossip",
        value=statistics.compare(final["ring"], final["no gossip"]),
        at_least=RING_GAIN,
    )
    claim_list.add(
        "Learning from private rewards with gossip over a complete graph loses at most "
        f"{TRUE_REWARD_LOSS:g} of team return against learning from the true reward",
        statement=NETWORK_STATEMENT,
        measured="final true team return, true reward - complete graph",
        metric="true team return of an episode",
        unit="return",
        arm="true reward",
        baseline="complete graph",
        value=statistics.compare(final["true reward"], final["complete graph"]),
        at_most=TRUE_REWARD_LOSS,
    )
    claim_list.add(
        "Averaging critics over a complete graph without reward models loses at least "
        f"{CRITICS_ONLY_LOSS:g} of team return",
        statement="Control: the gain must come from gossiping reward models along with critics",
        measured="final true team return, complete graph - no reward models",
        metric="true team return of an episode",
        unit="return",
        arm="complete graph",
        baseline="no reward models",
        value=statistics.compare(final["complete graph"], final["no reward models"]),
        at_least=CRITICS_ONLY_LOSS,
        control=True,
    )
