"""Claims of the MoDeST experiment, with thresholds fixed before the first run."""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.modest import NAME
from experiments.modest.config import Config
from jaxswarm import statistics

AS_FAST = 1.15  # rounds to the target over those of federated learning, at most
FRUGAL = 1 / 3  # bytes to the target over those of D-SGD, at most
NO_STALL = 0.0  # fraction of rounds that stall after a crash between rounds, at most
MORE_PINGS = 1.0  # pings per round after the crash over those before it, at least
UNANSWERED = 0.01  # fraction of pings without answer once the crashed have aged out, at most
NO_CANDIDATE = 0.0  # crashed nodes that are a candidate at the end, at most
NEAR_FEDERATED = 0.03  # accuracy after the crash below federated learning's, at most
ALL_STALL = 1.0  # fraction of runs that stall in the control, at least
NO_EARLY_SAMPLE = 0.0  # fraction of runs in which a joiner is sampled too early, at most
JOIN_KNOWN = 0.95  # fraction of views that contain a joiner, at least
JOIN_ROUNDS = 20  # rounds after the join at which views are examined

_FAST = "MoDeST converges as fast as federated learning (de Vos et al. 2023, abstract)"
_FRUGAL = (
    "MoDeST reduces communication costs by 3x to 14x compared to decentralized learning (de Vos et "
    "al. 2023, abstract)"
)
_CRASH = (
    "MoDeST quickly adapts to nodes that fail, even when 80 % of all nodes become unresponsive (de "
    "Vos et al. 2023, abstract)"
)
_JOIN = "MoDeST quickly adapts to nodes that join (de Vos et al. 2023, abstract)"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare costs to the target accuracy, crashes and a join with the thresholds above."""
    found = ClaimList(NAME)
    _add_costs(found, config, results)
    _add_crash(found, config, results)
    _add_join(found, config, results)
    return found


def _add_costs(found: ClaimList, config: Config, results: Results) -> None:
    arms, evaluated = results["arms"], results["round"]
    last = float(evaluated[-1])
    goal = f"{config.target:.0%} test accuracy"
    censored = f"a run that does not reach {goal} counts as its length, {last:g} rounds"

    def rounds_to_target(name: str) -> np.ndarray:
        first = statistics.time_to_target(arms[name]["accuracy"], config.target, evaluated)
        return np.minimum(first, last)

    def bytes_to_target(name: str) -> np.ndarray:
        index = np.searchsorted(evaluated, rounds_to_target(name))
        return arms[name]["bytes"][np.arange(len(index)), index]

    cases = [(a, "") for a in config.aggregators] + [(config.aggregators[0], ", non-IID")]
    for a, suffix in cases:
        modest, server, d_sgd = f"modest a={a}{suffix}", f"fl{suffix}", f"d-sgd{suffix}"
        on_data = " on non-IID data" if suffix else ""
        arm = f"MoDeST, {_aggregators(a)}{suffix}"
        found.add(
            f"With {_aggregators(a)} per round, MoDeST needs at most {AS_FAST:g} times the rounds "
            f"of federated learning to reach {goal}{on_data}",
            statement=_FAST,
            measured=f"rounds to {goal}, MoDeST / federated learning",
            metric=f"rounds to {goal}",
            unit="ratio",
            arm=arm,
            baseline=f"federated learning{suffix}",
            value=statistics.summarize(rounds_to_target(modest) / rounds_to_target(server)),
            at_most=AS_FAST,
            note=(
                f"{censored}; while all nodes are online and none is forgotten for inactivity, "
                "MoDeST computes the same models as federated learning, so that a ratio of 1 is "
                "expected"
            ),
        )
        found.add(
            f"With {_aggregators(a)} per round, MoDeST sends at most a third of the bytes that "
            f"D-SGD sends to reach {goal}{on_data}",
            statement=_FRUGAL,
            measured=f"bytes sent by all nodes to {goal}, MoDeST / D-SGD",
            metric=f"bytes sent to {goal}",
            unit="ratio",
            arm=arm,
            baseline=f"D-SGD{suffix}",
            value=statistics.summarize(bytes_to_target(modest) / bytes_to_target(d_sgd)),
            at_most=FRUGAL,
            note=(
                f"{censored}; MoDeST sends about {2 * a * config.sample} models per round, D-SGD "
                f"{config.agents}"
            ),
        )


def _add_crash(found: ClaimList, config: Config, results: Results) -> None:
    arms, evaluated = results["arms"], results["round"]
    hit, survivors = arms["crash"], arms["fl, survivors"]
    aged_out = config.crash + config.inactivity
    before = evaluated < config.crash
    during = (evaluated > config.crash) & (evaluated <= aged_out)
    after = evaluated > aged_out
    pings = np.maximum(hit["pings"][:, after].sum(axis=1), 1)
    # A crashed node is a candidate if any view has seen it active in the last `inactivity` rounds.
    oldest = hit["round"][:, -1, None] - config.inactivity
    candidates = ((hit["last_active"][:, -1] >= oldest) & results["victims"]).sum(axis=1)
    extra = hit["pings"][:, during].mean(axis=1)
    event = f"{config.crashed:.0%} of the nodes crash between two rounds"
    arm = f"MoDeST, {config.crashed:.0%} crash between rounds, success fraction {config.success:g}"
    found.add(
        f"When {event}, no round of MoDeST stalls",
        statement=_CRASH,
        measured="recorded rounds that stall / all recorded rounds",
        metric="stalled rounds",
        unit="fraction",
        arm=arm,
        baseline="",
        value=statistics.summarize(hit["stalled"].mean(axis=1)),
        at_most=NO_STALL,
    )
    found.add(
        f"After {event}, MoDeST sends at least as many pings per round as before, until the "
        "crashed nodes are no longer candidates",
        statement=(
            "Own check: crashed nodes are pinged and replaced in the sample for as long as they "
            "are candidates"
        ),
        measured=f"pings per round in the {config.inactivity} rounds after the crash / before it",
        metric="nodes pinged per round",
        unit="ratio",
        arm=arm,
        baseline="the same run before the crash",
        value=statistics.summarize(extra / np.maximum(hit["pings"][:, before].mean(axis=1), 1)),
        at_least=MORE_PINGS,
    )
    found.add(
        f"More than {config.inactivity} rounds after {event}, at most {UNANSWERED:.0%} of the "
        "pings are without answer",
        statement=(
            "A node that has been inactive for a threshold of rounds is no longer sampled (de Vos "
            "et al. 2023)"
        ),
        measured="pings without answer / all pings, after the inactivity threshold",
        metric="pings without answer",
        unit="fraction",
        arm=arm,
        baseline="",
        value=statistics.summarize(hit["failures"][:, after].sum(axis=1) / pings),
        at_most=UNANSWERED,
    )
    found.add(
        f"At the end of a run in which {event}, no crashed node is a candidate in any view",
        statement=(
            "A node that has been inactive for a threshold of rounds is no longer sampled (de Vos "
            "et al. 2023)"
        ),
        measured="crashed nodes that are a candidate in the view of any node after the last round",
        metric="crashed nodes that are candidates",
        unit="nodes",
        arm=arm,
        baseline="",
        value=statistics.summarize(candidates),
        at_most=NO_CANDIDATE,
    )
    found.add(
        f"After {event}, MoDeST's final accuracy is at most {NEAR_FEDERATED:g} below that of "
        "federated learning on the surviving nodes",
        statement=_CRASH,
        measured="final test accuracy, federated learning on the survivors - MoDeST",
        metric="test accuracy",
        unit="fraction",
        arm="federated learning, surviving nodes only",
        baseline=arm,
        value=statistics.compare(survivors["accuracy"][:, -1], hit["accuracy"][:, -1]),
        at_most=NEAR_FEDERATED,
    )
    strict = arms["crash in flight, sf=1"]["stalled"]
    lenient = arms[f"crash in flight, sf={config.success:g}"]["stalled"]
    found.add(
        f"When {config.crashed:.0%} of the nodes crash while models are being sent and aggregators "
        "wait for all models of the sample, the round stalls and the protocol reports it",
        statement=(
            "Control: with a success fraction of 1 and no timeout, a round that loses a model "
            "cannot complete"
        ),
        measured="runs whose last round stalled / all runs",
        metric="stalled runs",
        unit="fraction",
        arm=f"MoDeST, {config.crashed:.0%} crash in flight, success fraction 1",
        baseline="",
        value=float(strict[:, -1].mean()),
        at_least=ALL_STALL,
        seeds=len(strict),
        control=True,
        note=(
            f"with a success fraction of {config.success:g}, {lenient[:, -1].mean():.0%} of the "
            "runs stall in the same way"
        ),
    )


def _add_join(found: ClaimList, config: Config, results: Results) -> None:
    evaluated, joining = results["round"], results["arms"]["join"]
    known = joining["joiner_in_view"][:, :, :-1].mean(axis=2)
    sampled = joining["sampled"][:, :, -1]
    early = np.array([bool(s[k == 0.0].any()) for s, k in zip(sampled, known, strict=True)])
    later = min(np.searchsorted(evaluated, config.join + JOIN_ROUNDS), len(evaluated) - 1)
    missed = (1.0 - config.sample / config.agents) ** JOIN_ROUNDS
    arm = f"MoDeST, one node joins in round {config.join}"
    found.add(
        "A node that joins is never sampled before any other node has it in its view",
        statement=(
            "A JOIN is held back until the receiver has sent its next model, so that a joining "
            "node is not in the current sample (de Vos et al. 2023)"
        ),
        measured="runs in which the joiner is sampled while no other view contains it / all runs",
        metric="runs with an early sample",
        unit="fraction",
        arm=arm,
        baseline="",
        value=float(early.mean()),
        at_most=NO_EARLY_SAMPLE,
        seeds=len(early),
    )
    found.add(
        f"{JOIN_ROUNDS} rounds after a node joined, at least {JOIN_KNOWN:.0%} of the other nodes "
        "have it in their view",
        statement=_JOIN,
        measured=f"views that contain the joiner {JOIN_ROUNDS} rounds after its join / all views",
        metric="views that contain the joiner",
        unit="fraction",
        arm=arm,
        baseline="",
        value=statistics.summarize(known[:, later]),
        at_least=JOIN_KNOWN,
        note=(
            f"views are sent only with models, and about {missed:.0%} of the nodes are in no "
            f"sample of {JOIN_ROUNDS} rounds"
        ),
    )


def _aggregators(number: int) -> str:
    return f"{number} aggregator{'' if number == 1 else 's'}"
