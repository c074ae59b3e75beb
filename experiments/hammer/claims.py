"""What the HAMMER experiment concludes, against thresholds fixed before the first run.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.hammer import NAME
from experiments.hammer.config import (
    BITS,
    GLOBAL_REWARD,
    LEARNED,
    MORE_NAVIGATORS,
    NAVIGATION,
    NONE,
    ONE_LIMITED,
    PPO_MESSENGER,
    RANDOM,
    SUM_GUESSING,
    Config,
    navigation_of,
)
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

SHARE = 0.25  # error with learned numbers as a share of the error without messages, at most
SAME = 0.1  # relative change of the error by random numbers, at most (control)
NO_MORE = 0.0  # an arm's error minus the (scaled) error of its baseline, at most
MORE = 0.0  # an arm's return minus its baseline's, at least

LEARNED_HELPS = "Learned communication improves system performance (Gupta et al. 2021, abstract)."
HETEROGENEOUS = "Results generalize to heterogeneous local agents (Gupta et al. 2021, abstract)."
REWARDS = "Results generalize to different reward structures (Gupta et al. 2021, abstract)."


def claims(config: Config, results: Results) -> list[Claim]:
    """Learned messages against none, random ones and a PPO messenger's."""
    made = ClaimList(NAME)
    errors = {arm: -found["score"] for arm, found in results[SUM_GUESSING].items()}
    add_sum_guessing(made, errors)
    games = {NAVIGATION: (f"with {config.navigators} agents", LEARNED_HELPS)}
    if config.variants:
        for n in MORE_NAVIGATORS:
            games[navigation_of(n)] = (f"with {n} agents", LEARNED_HELPS)
        games[ONE_LIMITED] = ("with one agent of limited observations", HETEROGENEOUS)
        games[GLOBAL_REWARD] = ("with a global reward", REWARDS)
    for game, (variant, statement) in games.items():
        returns = {arm: found["score"] for arm, found in results[game].items()}
        add_navigation(made, game, variant, statement, returns)
    return made


def add_sum_guessing(made: ClaimList, errors: dict[str, np.ndarray]) -> None:
    """Errors of the guesses, ``{arm: [S]}``."""
    about: dict[str, Any] = {
        "metric": "absolute error of an agent's guess of the sum",
        "unit": "error",
    }
    made.add(
        "In sum guessing, one learned number per message leaves at most a quarter of the error of "
        "agents without messages",
        statement=LEARNED_HELPS,
        measured=f"error with learned numbers - {SHARE} × error without messages",
        arm=LEARNED,
        baseline=f"{SHARE} × {NONE}",
        value=statistics.compare(errors[LEARNED], SHARE * errors[NONE]),
        at_most=NO_MORE,
        **about,
    )
    made.add(
        "In sum guessing, random numbers as messages change the error by at most a tenth",
        statement="Control: the content of messages matters, not the additional input.",
        measured="|error with random numbers / error without messages - 1|",
        metric=about["metric"],
        unit="ratio",
        arm=RANDOM,
        baseline=NONE,
        value=statistics.summarize(np.abs(errors[RANDOM] / errors[NONE] - 1.0)),
        at_most=SAME,
        control=True,
    )
    made.add(
        "In sum guessing, one learned bit per message leaves a smaller error than no messages",
        statement=LEARNED_HELPS,
        measured="error with learned bits - error without messages",
        arm=BITS,
        baseline=NONE,
        value=statistics.compare(errors[BITS], errors[NONE]),
        at_most=NO_MORE,
        judge="interval",
        **about,
    )
    made.add(
        "In sum guessing, the messages of a messenger that is a PPO agent leave a smaller error "
        "than no messages",
        statement=LEARNED_HELPS,
        measured="error with a PPO messenger - error without messages",
        arm=PPO_MESSENGER,
        baseline=NONE,
        value=statistics.compare(errors[PPO_MESSENGER], errors[NONE]),
        at_most=NO_MORE,
        note="expected, but not among the pre-registered claims",
        **about,
    )
    made.add(
        "In sum guessing, a messenger that is trained by the agents' losses leaves a smaller error "
        "than a messenger that is a PPO agent",
        statement="Own check: gradients through the messages teach more than a reward.",
        measured="error with learned numbers - error with a PPO messenger",
        arm=LEARNED,
        baseline=PPO_MESSENGER,
        value=statistics.compare(errors[LEARNED], errors[PPO_MESSENGER]),
        at_most=NO_MORE,
        note="expected, but not among the pre-registered claims",
        **about,
    )


def add_navigation(
    made: ClaimList, game: str, variant: str, statement: str, returns: dict[str, np.ndarray]
) -> None:
    """Returns of an agent, ``{arm: [S]}``, in one variant of navigation."""
    pairs = [(LEARNED, NONE), (LEARNED, RANDOM)]
    if game == NAVIGATION:
        pairs.append((BITS, NONE))
    note = "agents observe neither landmarks nor each other"
    if game == ONE_LIMITED:
        note = "the limited agent observes neither landmarks nor the other agents"
    for arm, baseline in pairs:
        made.add(
            f"In cooperative navigation {variant}, {arm} as messages earn a higher return than "
            f"{baseline}",
            statement=statement,
            measured=f"episode return of an agent: {arm} - {baseline}",
            metric="mean episode return of an agent on fresh episodes",
            unit="return",
            arm=arm,
            baseline=baseline,
            value=statistics.compare(returns[arm], returns[baseline]),
            at_least=MORE,
            judge="interval",
            note=note,
        )
