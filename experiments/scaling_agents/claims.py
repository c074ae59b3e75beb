"""Claims of the experiment on scaling agent systems; thresholds fixed before the first run.

The worker's constants have no published source, so that a claim holds if it holds by its interval
under every one of ``SETTINGS``; the row is that of the worst.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.scaling_agents import NAME
from experiments.scaling_agents.analysis import (
    architecture_mean,
    choose_architectures,
    gain_line,
    under,
)
from experiments.scaling_agents.config import (
    CENTRALIZED,
    DECENTRALIZED,
    HYBRID,
    INDEPENDENT,
    SETTINGS,
    SINGLE,
    TEAMS,
    Config,
)
from experiments.scaling_agents.task_kinds import CHAINS, WIDE
from jaxswarm import statistics

WIDE_RATIO = 1.2  # least score ratio, centralised / single, on wide and shallow tasks
CHAIN_RATIO = 0.9  # largest score ratio, team / single, on chains
INDEPENDENT_MARGIN = 0.0  # least distance of the independent team below the next on chains
ERROR_ORDER = 1.0  # least ratio of unrecovered errors between neighbours in the order of errors
ERROR_RATIO = 2.0  # least ratio of unrecovered errors, independent / centralised
TURNS_MARGIN = 0.0  # least difference of relative extra turns between neighbours in their order
SLOPE = 0.0  # largest slope of the gain of teams on the single agent's score
LOWEST_CROSSING, HIGHEST_CROSSING = 0.2, 0.8  # range of the score at which teams stop gaining
CHOICE_SHARE = 0.6  # least share of cases with the best architecture chosen
CHOICE_MARGIN = 0.15  # least gain of that share over the best fixed architecture

CHAIN_STATEMENT = (
    "On sequential planning (PlanCraft) every team is worse than a single agent: centralised "
    "-50.3 %, decentralised -41.5 %, hybrid -39.1 %, independent -70.1 % (Kim et al. 2025, v2)"
)
ERROR_STATEMENT = (
    "Error amplification: independent 17.2, decentralised 7.8, hybrid 5.1, centralised 4.4 (Kim et "
    "al. 2025, v2)"
)
TURNS_STATEMENT = (
    "Turns: single 7.2, independent 11.4, decentralised 26.1, centralised 27.7, hybrid 44.3 (Kim "
    "et al. 2025, v2)"
)
CROSSING_STATEMENT = (
    "Coordination stops paying once the single agent's performance exceeds about 0.45 (Kim et al. "
    "2025, v2)"
)
CHOICE_STATEMENT = (
    "The fitted model picks the best architecture for 87 % of held-out configurations (Kim et al. "
    "2025)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare scores, errors, turns and choices of architecture with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.scaling_agents.arms.run`.

    Returns:
        Sixteen claims: six on scores, three on errors, two on turns, three on when teams gain, two
        on choices of architecture; each under the setting in which it is nearest to failing.
    """
    by_setting = [claims_under(config, results, name) for name in SETTINGS]
    return [_worst(group) for group in zip(*by_setting, strict=True)]


def claims_under(config: Config, results: Results, setting: str) -> list[Claim]:
    """The claims under one of ``SETTINGS``."""
    table = under(results, setting)
    claim_list = ClaimList(NAME)
    _score_claims(claim_list, config, table)
    _error_claims(claim_list, config, table)
    _turn_claims(claim_list, config, table)
    _gain_claims(claim_list, config, table)
    _choice_claims(claim_list, config, table)
    return claim_list


def _worst(group: Sequence[Claim]) -> Claim:
    """Of one claim under all settings, that with the least margin of the judged number."""

    def margin(claim: Claim) -> float:
        margin = claim.judged - claim.threshold
        return margin if claim.bound == "at least" else -margin

    worst = min(group, key=margin)
    names = list(SETTINGS)
    at, held = names[group.index(worst)], sum(claim.held for claim in group)
    first = group[0]
    low, high = first.interval or (first.effect, first.effect)
    note = (
        f"worst of {len(names)} settings of the worker, {at}; held under {held}; "
        f"{names[0]}: {first.effect:.3g} [{low:.3g}, {high:.3g}]"
    )
    return replace(worst, note=f"{worst.note}; {note}" if worst.note else note)


def _summary(values: Any) -> statistics.Summary:
    return statistics.summarize(np.asarray(values))


def _mean(
    config: Config,
    results: Results,
    name: str,
    measure: str,
    kinds: tuple[str, ...] | None = None,
) -> np.ndarray:
    """``[S]``: a measure of an architecture, averaged over kinds of task and abilities."""
    return architecture_mean(config, results, name, measure, kinds).mean(axis=(0, 1))


def _score_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    claim_list.add(
        "On wide, shallow tasks a centralised team scores at least 1.2 times as high as a single "
        "agent",
        statement=(
            "On decomposable tasks (Finance-Agent) centralised coordination gains 80.8 % (Kim et "
            "al. 2025, v2)"
        ),
        measured="mean score on tasks without dependencies, centralised / single",
        metric="score",
        unit="ratio",
        arm=CENTRALIZED,
        baseline=SINGLE,
        value=_summary(
            _mean(config, results, CENTRALIZED, "score", WIDE)
            / _mean(config, results, SINGLE, "score", WIDE)
        ),
        at_least=WIDE_RATIO,
        judge="interval",
    )
    single = _mean(config, results, SINGLE, "score", CHAINS)
    kept = {name: _mean(config, results, name, "score", CHAINS) / single for name in TEAMS}
    for name in TEAMS:
        article = "an" if name == INDEPENDENT else "a"
        claim_list.add(
            f"On chains of subtasks {article} {name} team scores at most 0.9 times as high as a "
            "single agent",
            statement=CHAIN_STATEMENT,
            measured=f"mean score on chains of 3, 5 and 7 subtasks, {name} / single",
            metric="score",
            unit="ratio",
            arm=name,
            baseline=SINGLE,
            value=_summary(kept[name]),
            at_most=CHAIN_RATIO,
            judge="interval",
        )
    next_worst = np.min([kept[name] for name in TEAMS if name != INDEPENDENT], axis=0)
    claim_list.add(
        "On chains of subtasks the independent team is the worst of all teams",
        statement=CHAIN_STATEMENT,
        measured=(
            "score on chains relative to the single agent, smallest of the other teams - "
            "independent"
        ),
        metric="score relative to the single agent",
        unit="fraction",
        arm="lowest-scoring of the other teams",
        baseline=INDEPENDENT,
        value=_summary(next_worst - kept[INDEPENDENT]),
        at_least=INDEPENDENT_MARGIN,
        judge="interval",
    )


def _error_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    errors = {name: _mean(config, results, name, "unrecovered") for name in TEAMS}
    ratios: tuple[tuple[str, str, str, float], ...] = (
        (
            "Independent teams leave more errors unrecovered than decentralised teams",
            INDEPENDENT,
            DECENTRALIZED,
            ERROR_ORDER,
        ),
        (
            "Decentralised teams leave more errors unrecovered than centralised teams",
            DECENTRALIZED,
            CENTRALIZED,
            ERROR_ORDER,
        ),
        (
            "Independent teams leave at least twice as many errors unrecovered as centralised "
            "teams",
            INDEPENDENT,
            CENTRALIZED,
            ERROR_RATIO,
        ),
    )
    for sentence, worse, better, threshold in ratios:
        claim_list.add(
            sentence,
            statement=ERROR_STATEMENT,
            measured=f"unrecovered errors per task, {worse} / {better}",
            metric="subtasks whose value stays wrong, by an own error or by lost context",
            unit="ratio",
            arm=worse,
            baseline=better,
            value=_summary(errors[worse] / errors[better]),
            at_least=threshold,
            judge="interval",
        )


def _turn_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    extra = {name: _mean(config, results, name, "overhead") for name in TEAMS}
    least = np.minimum(extra[DECENTRALIZED], extra[CENTRALIZED])
    most = np.maximum(extra[DECENTRALIZED], extra[CENTRALIZED])
    claim_list.add(
        "An independent team adds fewer turns than a decentralised or centralised team",
        statement=TURNS_STATEMENT,
        measured=(
            "extra turns relative to the single agent's, smaller of decentralised and centralised "
            "- independent"
        ),
        metric="extra turns relative to the single agent's",
        unit="fraction",
        arm="smaller of decentralised and centralised",
        baseline=INDEPENDENT,
        value=_summary(least - extra[INDEPENDENT]),
        at_least=TURNS_MARGIN,
        judge="interval",
    )
    claim_list.add(
        "A hybrid team adds more turns than a decentralised or centralised team",
        statement=TURNS_STATEMENT,
        measured=(
            "extra turns relative to the single agent's, hybrid - larger of decentralised and "
            "centralized"
        ),
        metric="extra turns relative to the single agent's",
        unit="fraction",
        arm=HYBRID,
        baseline="larger of decentralised and centralised",
        value=_summary(extra[HYBRID] - most),
        at_least=TURNS_MARGIN,
        judge="interval",
    )


def _gain_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    slope, crossing = gain_line(config, results)
    teams = "mean of centralised, decentralised and hybrid teams"
    claim_list.add(
        "The better the single agent, the less a team gains over it",
        statement=(
            "Coordination saturates with capability: the regression's coefficient of single-agent "
            "performance · log(1 + agents) is -0.404 (Kim et al. 2025, v2)"
        ),
        measured=(
            "slope of a line fitted to the relative gain of teams on the single agent's score, "
            "over kinds of task and abilities"
        ),
        metric="relative gain over the single agent",
        unit="gain per unit of score",
        arm=teams,
        baseline=SINGLE,
        value=_summary(slope),
        at_most=SLOPE,
        judge="interval",
    )
    bounds: tuple[tuple[str, float | None, float | None], ...] = (
        (f"above {LOWEST_CROSSING:g}", LOWEST_CROSSING, None),
        (f"below {HIGHEST_CROSSING:g}", None, HIGHEST_CROSSING),
    )
    for text, at_least, at_most in bounds:
        claim_list.add(
            f"The single agent's score from which on teams stop gaining is {text}",
            statement=CROSSING_STATEMENT,
            measured="single agent's score at which the fitted line of the gain crosses zero",
            metric="score of the single agent",
            unit="fraction",
            arm=teams,
            baseline=SINGLE,
            value=_summary(crossing),
            at_least=at_least,
            at_most=at_most,
            judge="interval",
        )


def _choice_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    choices = choose_architectures(config, results)
    claim_list.add(
        "A regression on other kinds of task chooses the best architecture for at least 60 % of "
        "the cases of an unseen kind",
        statement=CHOICE_STATEMENT,
        measured="share of cases (ability, members) with the best architecture chosen",
        metric="share of best choices",
        unit="fraction",
        arm="regression, kind of task left out",
        value=_summary(choices["hit"]),
        at_least=CHOICE_SHARE,
        judge="interval",
        note="the interval and the number of seeds are over kinds of task",
    )
    claim_list.add(
        "A regression on other kinds of task chooses the best architecture at least 15 percentage "
        "points more often than always choosing their most frequent best architecture",
        statement=CHOICE_STATEMENT,
        measured=(
            "share of cases with the best architecture chosen, regression - most frequent best "
            "architecture of the other kinds of task"
        ),
        metric="share of best choices",
        unit="fraction",
        arm="regression, kind of task left out",
        baseline="most frequent best architecture",
        value=_summary(choices["hit"] - choices["fixed"]),
        at_least=CHOICE_MARGIN,
        judge="interval",
        note="the interval and the number of seeds are over kinds of task",
    )
