"""Claims of the HAMLET experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.hamlet import NAME
from experiments.hamlet.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

ORACLE = 0.9  # least completion of actors directed by a planner that knows the world
ADVANCER = 0.15  # least gain of completion by the advancer
STALLED = 0.5  # largest share of stalled moments, of that without the advancer
FAULTY = 0.2  # largest share of blueprints with an unreachable flag, of that without reviewer
REVIEWED = 0.05  # least gain of completion by the reviewer
AS_SLOW = 0.97  # least completion of perceive-and-decide, of always slow
LATENCY = 0.6  # largest latency of perceive-and-decide, of always slow
OVER_FAST = 0.05  # least gain of completion over always fast
BROADCAST = 0.1  # least gain of completion by broadcasts
BACKWARD = 0.1  # least gain of reachable flags by planning backwards, at equal drafts
RECOVERY = 0.8  # least completion with one disrupting actor, of the undisturbed one
CHANCE = 0.3  # largest completion of random actors, of the full system (control)

SOURCE = "Jiang et al. 2026"
COMPLETION = "completion: share of plays whose last point is reached"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the measurements with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.hamlet.arms.run`.
    """
    made = ClaimList(NAME)
    if not config.play:
        summary = {
            arm: {key: np.asarray(value) for key, value in fields.items()}
            for arm, fields in results["summary"].items()
        }
        _world(made, summary)
        _advancer(made, summary)
        _reviewer(made, summary, results)
        _perceive_and_decide(made, summary)
        _broadcast(made, summary)
        _designers(made, results)
        _disruption(made, summary)
    _audit(made, results)
    return made


def _share(value: np.ndarray) -> str:
    return f"{100 * float(np.mean(value)):.1f} %"


def _add(
    made: ClaimList, sentence: str, statement: str, arm: str, baseline: str,
    left: np.ndarray, right: np.ndarray, factor: float = 1.0, metric: str = COMPLETION,
    unit: str = "fraction", **options: Any,
) -> None:  # fmt: skip
    """One comparison ``left - factor · right`` over seeds, judged by its interval."""
    scaled = baseline if factor == 1.0 else f"{factor:g} · {baseline}"
    made.add(
        sentence, statement=statement, measured=f"{arm} - {scaled}", metric=metric, unit=unit,
        arm=arm, baseline=scaled, value=statistics.compare(left, factor * right), judge="interval",
        note=options.pop("note", f"{arm} {np.mean(left):.3g}, {baseline} {np.mean(right):.3g}"),
        **options,
    )  # fmt: skip


def _world(made: ClaimList, summary: dict[str, Any]) -> None:
    made.add(
        "Actors directed by a planner that knows the world complete the plays",
        statement="Control: an oracle shows that the world can reward coordination",
        measured="completion of the directed actors", metric=COMPLETION, unit="fraction",
        arm="directed (oracle)",
        value=statistics.summarize(summary["directed (oracle)"]["complete"]),
        at_least=ORACLE, judge="interval", control=True,
    )  # fmt: skip
    full = summary["full"]["complete"]
    _add(
        made, "Random actors with all controllers complete at most 0.3 of the full system's plays",
        "Control: completion is not due to controllers and chance", "random actors", "full",
        summary["random actors"]["complete"], full, CHANCE, at_most=0.0, control=True,
    )  # fmt: skip
    prompts = float(summary["mute actors"]["prompts"].mean())
    made.add(
        "With mute actors no play is completed, however often the advancer prompts",
        statement="Control: the advancer sets no flag itself",
        measured="points reached by mute actors", metric="share of points", unit="fraction",
        arm="mute actors", value=float(summary["mute actors"]["points"].max()), at_most=0.0,
        seeds=len(full), control=True, note=f"{prompts:.1f} prompts a play",
    )  # fmt: skip


def _advancer(made: ClaimList, summary: dict[str, Any]) -> None:
    full = summary["full"]
    for arm in ("no advancer", "no advancer, retrained"):
        without = summary[arm]
        _add(
            made, f"The advancer raises completion by at least 15 points ({arm})",
            f"Without Advancer completion falls to 68.7 % ({SOURCE}, ablation)", "full", arm,
            full["complete"], without["complete"], at_least=ADVANCER,
            note=(
                f"completion {_share(full['complete'])} with, {_share(without['complete'])} "
                "without it"
            ),
        )  # fmt: skip
        _add(
            made, f"The advancer at least halves the share of stalled moments ({arm})",
            f"The Advancer prompts an actor when progress stalls ({SOURCE})", "full", arm,
            full["stalled"], without["stalled"], STALLED,
            metric="share of moments stalled", at_most=0.0,
        )  # fmt: skip


def _reviewer(made: ClaimList, summary: dict[str, Any], results: Results) -> None:
    statement = f"The Reviewer adds 7 to 12 points of win rate ({SOURCE}, ablation)"
    faulty = {name: np.asarray(value) for name, value in results["faulty"].items()}
    for way in ("backward", "forward"):
        own, without = f"{way}, reviewer", f"{way}, no reviewer"
        arm = "full" if way == "backward" else own
        drafts = float(np.mean(results["drafts"][own]))
        _add(
            made, f"The reviewer removes at least 80 % of the {way} blueprints with an unreachable "
            "flag", statement, own, without, faulty[own], faulty[without], FAULTY,
            metric="share of blueprints with an unreachable flag", at_most=0.0,
            note=(
                f"{_share(faulty[without])} of the first drafts, {_share(faulty[own])} after "
                f"{drafts:.1f} drafts on average"
            ),
        )  # fmt: skip
        _add(
            made, f"The reviewer raises completion of {way} blueprints by at least 5 points",
            statement, arm, without, summary[arm]["complete"], summary[without]["complete"],
            at_least=REVIEWED,
        )  # fmt: skip


def _perceive_and_decide(made: ClaimList, summary: dict[str, Any]) -> None:
    full = summary["full"]
    slow, fast, loud = (summary[x] for x in ("always slow", "always fast", "never silent"))
    statement = f"Perceive-and-decide balances latency and quality ({SOURCE}, PAD module)"
    _add(
        made, "Perceive-and-decide completes at least 97 % of what always slow does", statement,
        "full", "always slow", full["complete"], slow["complete"], AS_SLOW, at_least=0.0,
    )  # fmt: skip
    _add(
        made, "Perceive-and-decide takes at most 0.6 of the latency of always slow", statement,
        "full", "always slow", full["thinking"], slow["thinking"], LATENCY,
        metric="latency of all acts of a play", unit="seconds", at_most=0.0,
    )  # fmt: skip
    _add(
        made, "Perceive-and-decide completes at least 5 points more than always fast", statement,
        "full", "always fast", full["complete"], fast["complete"], at_least=OVER_FAST,
    )  # fmt: skip
    _add(
        made, "A policy that is never silent wastes more acts", statement, "never silent", "full",
        loud["wasted"], full["wasted"], metric="acts of a play that fail or do not help",
        unit="acts", at_least=0.0,
    )  # fmt: skip


def _broadcast(made: ClaimList, summary: dict[str, Any]) -> None:
    full = summary["full"]["complete"]
    statement = f"The narrator broadcasts what changed to the actors concerned ({SOURCE})"
    _add(
        made, "Without broadcasts, so that actors keep their initial beliefs, completion falls by "
        "at least 10 points", statement, "full", "no broadcast", full,
        summary["no broadcast"]["complete"], at_least=BROADCAST,
    )  # fmt: skip
    _add(
        made, "If actors learn of their own acts alone, completion falls by at least 10 points",
        "Own check: the milder ablation of broadcasts", "full", "own outcomes only", full,
        summary["own outcomes only"]["complete"], at_least=BROADCAST,
    )  # fmt: skip


def _designers(made: ClaimList, results: Results) -> None:
    shares = {name: np.asarray(value) for name, value in results["reachable"].items()}
    _add(
        made, "First drafts planned backwards have at least 10 points more reachable flags than "
        "first drafts sampled forwards",
        f"The Director plans backwards from the ending ({SOURCE}); its reviewers asked for this",
        "backward, no reviewer", "forward, no reviewer", shares["backward, no reviewer"],
        shares["forward, no reviewer"], at_least=BACKWARD, metric="share of reachable flags",
    )  # fmt: skip


def _disruption(made: ClaimList, summary: dict[str, Any]) -> None:
    full = summary["full"]["complete"]
    statement = f"The play recovers from a disrupting actor ({SOURCE}, cases 2 to 4)"
    for arm, sentence in (
        ("one random actor", "With one actor at random throughout"),
        ("random for a quarter", "With one actor at random in the first quarter of the moments"),
    ):
        _add(
            made, f"{sentence}, completion is at least 80 % of the undisturbed one", statement,
            arm, "full", summary[arm]["complete"], full, RECOVERY, at_least=0.0,
        )  # fmt: skip
    directed = summary["directed (oracle)"]["complete"]
    arm = "directed, one random actor (oracle)"
    _add(
        made, "With one random actor among directed ones, completion is at least 80 % of that "
        "without it", "Control: an oracle shows whether the world allows this recovery",
        arm, "directed (oracle)", summary[arm]["complete"], directed, RECOVERY, at_least=0.0,
        control=True,
    )  # fmt: skip
    _add(
        made, "With one actor absent for an eighth of the moments, completion is at least 80 % of "
        "the undisturbed one", "Own check: unplanned entrances and exits",
        "one absent actor", "full", summary["one absent actor"]["complete"], full, RECOVERY,
        at_least=0.0,
    )  # fmt: skip


def _audit(made: ClaimList, results: Results) -> None:
    found = [int(number) for number in np.asarray(results["audit"])]
    made.add(
        "A second implementation of the rules finds no violation in the audited plays",
        statement=(
            "Own check: no fact changes without a possible act, no absent actor acts, points are "
            "reached in order"
        ),
        measured="violations in a replay of every act of the audited plays",
        metric="violations", unit="violations", arm="all arms", value=float(sum(found[:6])),
        at_most=0.0, note=f"{found[6]} acts replayed",
    )  # fmt: skip
