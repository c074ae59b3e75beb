"""Claims of the variance-correction experiment, with thresholds fixed before the measured run."""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.variance_correction import NAME
from experiments.variance_correction.config import Config
from jaxswarm import statistics

TARGET = 0.8  # test accuracy (mean over agents) whose first tick is compared
EARLY = 20  # ticks over which the variance of the first layer is observed
ONE_OVER_N = 0.1  # relative error of the prediction "initial variance / N", at most
VARIANCE_LOST = 0.1  # fraction of the variance that plain averaging leaves, at most
VARIANCE_KEPT = 0.8  # fraction of the variance that corrected averaging keeps, at least
VARIANCE_INFLATED = 1.25  # fraction of the variance that corrected averaging reaches, at most
SLOWDOWN = 4.0  # ticks of an arm that stalls, as a multiple of the other arm's, at least
OVER_ISOLATED = 1.25  # ticks of agents that never average, over corrected ones', at least
AS_FAST = 1.5  # ticks of an arm that does not stall, as a multiple of the other arm's, at most

_VANISHING = (
    "Averaging uncorrelated models undermines the variance that Xavier initialization sets (Tian "
    "et al. 2024, abstract)"
)
_CORRECTION = (
    "Variance-corrected averaging preserves the variance during model averaging (Tian et al. 2024, "
    "abstract and Algorithm 3)"
)
_DELAY = (
    "Averaging uncorrelated models delays convergence, and variance-corrected averaging removes "
    "the delay (Tian et al. 2024, abstract)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare variances and times to the target accuracy with the thresholds above."""
    found = ClaimList(NAME)
    _add_variances(found, config, results)
    _add_times(found, results)
    return found


def _add_variances(found: ClaimList, config: Config, results: Results) -> None:
    arms, early = results["arms"], results["tick"] <= EARLY

    def relative_variance(name: str) -> np.ndarray:
        """Variance of the first layer over the early ticks, relative to the start, ``[S, R]``."""
        curve = arms[name]["variance"]
        return (curve / curve[:, :1])[:, early]

    found.add(
        "The uniform average of N independently initialized models has 1/N of the variance of "
        f"their weights, within {ONE_OVER_N:.0%}",
        statement=_VANISHING,
        measured="|N * variance of the averaged first layer / mean variance of the layers - 1|",
        metric="variance of the first layer's weights",
        unit="relative error",
        arm="average of all agents' initial models",
        baseline="initial variance / N",
        value=statistics.summarize(
            np.abs(results["shrinkage"].astype(np.float64) * config.agents - 1.0)
        ),
        at_most=ONE_OVER_N,
        judge="interval",
    )
    found.add(
        f"Within {EARLY} ticks, plain averaging reduces the variance of the first layer's weights "
        f"to at most {VARIANCE_LOST:.0%} of its initial value",
        statement=_VANISHING,
        measured=f"smallest variance within {EARLY} ticks / initial variance, mean over agents",
        metric="variance of the first layer's weights",
        unit="ratio",
        arm="plain averaging",
        baseline="initial variance",
        value=statistics.summarize(relative_variance("plain").min(axis=1)),
        at_most=VARIANCE_LOST,
        judge="interval",
    )
    found.add(
        f"Within {EARLY} ticks, variance-corrected averaging never reduces the variance of the "
        f"first layer's weights below {VARIANCE_KEPT:.0%} of its initial value",
        statement=_CORRECTION,
        measured=f"smallest variance within {EARLY} ticks / initial variance, mean over agents",
        metric="variance of the first layer's weights",
        unit="ratio",
        arm="variance-corrected averaging",
        baseline="initial variance",
        value=statistics.summarize(relative_variance("corrected").min(axis=1)),
        at_least=VARIANCE_KEPT,
        judge="interval",
    )
    found.add(
        f"Within {EARLY} ticks, variance-corrected averaging never raises the variance of the "
        f"first layer's weights above {VARIANCE_INFLATED:.0%} of its initial value",
        statement=_CORRECTION,
        measured=f"largest variance within {EARLY} ticks / initial variance, mean over agents",
        metric="variance of the first layer's weights",
        unit="ratio",
        arm="variance-corrected averaging",
        baseline="initial variance",
        value=statistics.summarize(relative_variance("corrected").max(axis=1)),
        at_most=VARIANCE_INFLATED,
        judge="interval",
    )


def _add_times(found: ClaimList, results: Results) -> None:
    arms, tick = results["arms"], results["tick"]
    last = float(tick[-1])
    goal = f"{TARGET:.0%} test accuracy"

    def time_to_target(name: str) -> np.ndarray:
        """First tick at the target, infinite where it is not reached, ``[S]``."""
        return statistics.time_to_target(arms[name]["accuracy"], TARGET, tick)

    def add_ratio(
        sentence: str,
        arm: str,
        baseline: str,
        *,
        statement: str,
        names: tuple[str, str],
        at_least: float | None = None,
        at_most: float | None = None,
        control: bool = False,
    ) -> None:
        slow, fast = (time_to_target(name) for name in (arm, baseline))
        missed = [int((~np.isfinite(times)).sum()) for times in (slow, fast)]
        found.add(
            sentence,
            statement=statement,
            measured=f"ticks to {goal}: ({names[0]}) / ({names[1]})",
            metric=f"ticks to {goal}",
            unit="ratio",
            arm=names[0],
            baseline=names[1],
            value=statistics.summarize(np.minimum(slow, last) / np.minimum(fast, last)),
            at_least=at_least,
            at_most=at_most,
            judge="interval",
            control=control,
            note=(
                f"a run that does not reach {goal} counts as its length, {last:g} ticks: "
                f"{missed[0]} of {len(slow)} runs of the arm, {missed[1]} of the baseline"
            ),
        )

    add_ratio(
        f"Plain averaging takes at least {SLOWDOWN:g} times as many ticks as variance-corrected "
        f"averaging to reach {goal}",
        "plain",
        "corrected",
        statement=_DELAY,
        names=("plain averaging", "variance-corrected averaging"),
        at_least=SLOWDOWN,
    )
    add_ratio(
        "Variance-corrected averaging of independently initialized models takes at most "
        f"{AS_FAST:g} times as many ticks to {goal} as a server that starts all agents from one "
        "common model",
        "corrected",
        "server, one start",
        statement=(
            "With variance correction, gossip learning converges about as efficiently as federated "
            "learning (Tian et al. 2024, abstract)"
        ),
        names=("variance-corrected averaging", "server, one common initial model"),
        at_most=AS_FAST,
    )
    add_ratio(
        f"Agents that never average take at least {OVER_ISOLATED:g} times as many ticks to {goal} "
        "as with variance-corrected averaging",
        "isolated",
        "corrected",
        statement="Control: not averaging at all also keeps the variance, and must not be as fast",
        names=("no averaging", "variance-corrected averaging"),
        at_least=OVER_ISOLATED,
        control=True,
    )
    add_ratio(
        f"On non-IID data, plain averaging takes at least {SLOWDOWN:g} times as many ticks as "
        f"variance-corrected averaging to reach {goal}",
        "plain, non-IID",
        "corrected, non-IID",
        statement=(
            "Variance correction works irrespective of the network topology and of non-IID data "
            "(Tian et al. 2024, abstract)"
        ),
        names=("plain averaging, non-IID data", "variance-corrected averaging, non-IID data"),
        at_least=SLOWDOWN,
    )
    add_ratio(
        "When all agents start from one common model, plain averaging takes at most "
        f"{AS_FAST:g} times as many ticks to {goal} as variance-corrected averaging of "
        "independently initialized models",
        "plain, one start",
        "corrected",
        statement=(
            "Control: models that start equal are correlated, so averaging preserves their "
            "variance and must not delay convergence"
        ),
        names=("plain averaging, one common initial model", "variance-corrected averaging"),
        at_most=AS_FAST,
        control=True,
    )
    add_ratio(
        "A server that averages independently initialized models takes at least "
        f"{SLOWDOWN:g} times as many ticks to {goal} as one that starts all agents from one "
        "common model",
        "server, own starts",
        "server, one start",
        statement=(
            "Control: federated learning avoids the problem because its server makes the models "
            "correlated (Tian et al. 2024, abstract); without a common initial model it must not"
        ),
        names=("server, independent initial models", "server, one common initial model"),
        at_least=SLOWDOWN,
        control=True,
    )
