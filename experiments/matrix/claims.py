"""Claims of the Matrix experiment and their thresholds, fixed before the first run."""

from typing import Any

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.matrix import NAME
from experiments.matrix.arms import CENTRAL, P2P
from experiments.matrix.config import Config
from experiments.matrix.workflows import dialogue
from jaxswarm import statistics
from jaxswarm.systems import matrix

SATURATED = 0.05  # largest relative distance of the central scheduler's throughput from 1/tau
LINEAR = 0.98  # least R² of peer-to-peer throughput on rows at once, while servers are free
P2P_RATIO = 2.0  # least throughput ratio, peer to peer / central, where the servers are all busy
KNEE_ERROR = 0.1  # largest relative distance of the simulated knee from the predicted one
ROW_RATIO = 1.5  # least throughput ratio, by row / by batch, with lognormal rows
CONSTANT_ERROR = 0.02  # largest distance of that ratio from 1 with constant rows (control)
SAME_RESULTS = 1.0  # least share of rows with equal results under all schedulers
VIOLATIONS = 0.0  # largest number of events that break conservation of rows
CHANGED_ROWS = 0.0  # largest number of surviving rows that a crash changes
LOST_ROWS = 1.0  # least mean number of rows that crashes lose (control)
BYTES_ERROR = 0.02  # largest relative distance of the bytes left from the prediction

SPEED_STATEMENT = (
    "Matrix achieves 2 to 15 times the throughput on identical hardware by removing the central "
    "orchestrator (Wang et al. 2025, abstract)"
)
COORDINATOR_STATEMENT = (
    "With a single coordinator throughput reaches a plateau (near 5,000 concurrent tasks in the "
    "Coral case study; Wang et al. 2025)"
)
QUALITY_STATEMENT = (
    "The throughput is raised without compromising output quality (Wang et al. 2025, abstract)"
)
ADMISSION_STATEMENT = (
    "Scheduling single rows is 2.1 times as fast as batches in the NaturalReasoning case study "
    "(Wang et al. 2025)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare throughput, results of rows and bytes with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.matrix.arms.run`.

    Returns:
        Eleven claims: four on throughput, two on admission, four on results and crashes, one on
        bytes.
    """
    claim_list = ClaimList(NAME)
    _throughput_claims(claim_list, config, results)
    _admission_claims(claim_list, config, results)
    _invariant_claims(claim_list, results)
    _bytes_claim(claim_list, results)
    return claim_list


def knee(config: Config, results: Results) -> np.ndarray:
    """``float64[S]``: rows at once at which the central scheduler's throughput saturates.

    There the line through the origin and the first point meets the level of the last point.
    """
    central = np.asarray(results["sweep"]["throughput"])[CENTRAL]
    return central[-1] / (central[0] / np.array(config.concurrency)[0])


def _summary(values: Any) -> statistics.Summary:
    return statistics.summarize(np.asarray(values))


def _throughput_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    at = np.array(config.concurrency)
    throughput = np.asarray(results["sweep"]["throughput"])
    law = matrix.saturation(dialogue(config), "central", config.tau)
    beyond_knee = int(np.argmin(np.abs(at - 4 * law.knee)))
    claim_list.add(
        "With four times the rows of its saturation point, a central orchestrator's throughput is "
        "within 5 % of one message at a time",
        statement=COORDINATOR_STATEMENT,
        measured=f"|hops per second · tau - 1| with {at[beyond_knee]} rows at once",
        metric="throughput",
        unit="fraction",
        arm="central orchestrator",
        baseline="1 / tau, one message at a time",
        value=_summary(np.abs(throughput[CENTRAL, beyond_knee] * config.tau - 1.0)),
        at_most=SATURATED,
    )
    free = at <= 0.8 * config.servers
    x = np.asarray(at[free], float)
    r_squared = [np.corrcoef(x, y)[0, 1] ** 2 for y in throughput[P2P][free].T]
    claim_list.add(
        "Peer-to-peer throughput is linear in the rows at once while servers are free",
        statement=SPEED_STATEMENT,
        measured="R² of the throughput on the rows at once, up to 80 % of the servers",
        metric="throughput",
        unit="R²",
        arm="peer to peer",
        value=_summary(r_squared),
        at_least=LINEAR,
    )
    all_busy = int(np.flatnonzero(at == config.servers)[0])
    claim_list.add(
        "Peer-to-peer scheduling has at least twice the throughput of a central orchestrator where "
        "all servers are busy",
        statement=SPEED_STATEMENT,
        measured=(
            f"throughput with {config.servers} rows at once, peer to peer / central orchestrator"
        ),
        metric="throughput",
        unit="ratio",
        arm="peer to peer",
        baseline="central orchestrator",
        value=_summary(throughput[P2P, all_busy] / throughput[CENTRAL, all_busy]),
        at_least=P2P_RATIO,
        note=f"follows from the assumed {config.tau:g} s per message",
    )
    claim_list.add(
        "The number of rows at which a central orchestrator saturates is within 10 % of the "
        "prediction by operational laws",
        statement="Own check: asymptotic bounds of a closed network (Denning & Buzen 1978)",
        measured="|simulated knee / predicted knee - 1|",
        metric="rows at once",
        unit="fraction",
        arm="central orchestrator",
        baseline="operational law",
        value=_summary(np.abs(knee(config, results) / law.knee - 1.0)),
        at_most=KNEE_ERROR,
    )


def _admission_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    admission = results["admission"]
    claim_list.add(
        "With rows of different durations, admission row by row has at least 1.5 times the "
        "throughput of batches",
        statement=ADMISSION_STATEMENT,
        measured="smallest throughput ratio, by row / by batch, of all numbers of rows at once",
        metric="throughput",
        unit="ratio",
        arm="row by row",
        baseline="batch by batch",
        value=_summary(admission["lognormal"].min(axis=0)),
        at_least=ROW_RATIO,
        note=f"lognormal durations, standard deviation {config.spread:g} of the logarithm",
    )
    claim_list.add(
        "With rows of equal durations, the throughputs of admission row by row and by batch differ "
        "by at most 2 %",
        statement="Control: the gain must come from the differences between rows",
        measured="largest |throughput by row / by batch - 1| of all numbers of rows at once",
        metric="throughput",
        unit="fraction",
        arm="row by row",
        baseline="batch by batch",
        value=_summary(np.abs(admission["constant"] - 1.0).max(axis=0)),
        at_most=CONSTANT_ERROR,
        control=True,
    )


def _invariant_claims(claim_list: ClaimList, results: Results) -> None:
    sweep, faults = results["sweep"], results["faults"]
    claim_list.add(
        "Every row has the same result under all schedulers and at all concurrencies",
        statement=QUALITY_STATEMENT,
        measured="share of rows with equal results in all runs of a seed",
        metric="results of rows",
        unit="fraction",
        arm="all schedulers",
        baseline="central orchestrator, fewest rows at once",
        value=_summary(sweep["agree"]),
        at_least=SAME_RESULTS,
        note="an invariant of the simulation: work is drawn by row and hop",
    )
    claim_list.add(
        "Rows are conserved: after every event, submitted rows = done + lost in crashes + in "
        "flight",
        statement="Work lost in a failed actor is recorded at the sink (published code)",
        measured="number of events after which the equation does not hold",
        metric="events",
        unit="events",
        arm="all schedulers, and peer to peer with crashes",
        value=_summary(faults["violations"] + np.asarray(sweep["violations"]).sum(axis=(0, 1))),
        at_most=VIOLATIONS,
    )
    claim_list.add(
        "A crash of an actor does not change the results of rows that it does not hold",
        statement="Own check: rows carry their whole state, so they do not depend on other rows",
        measured="number of surviving rows whose result differs from the run without crashes",
        metric="rows",
        unit="rows",
        arm="peer to peer with crashes",
        baseline="peer to peer without crashes",
        value=_summary(faults["changed"]),
        at_most=CHANGED_ROWS,
    )
    claim_list.add(
        "Crashes of actors lose the rows that they hold",
        statement="Control: without lost rows, claims about crashes would say nothing",
        measured="number of rows lost in crashes",
        metric="rows",
        unit="rows",
        arm="peer to peer with crashes",
        value=_summary(faults["tombstones"]),
        at_least=LOST_ROWS,
        control=True,
    )


def _bytes_claim(claim_list: ClaimList, results: Results) -> None:
    size, predicted = results["bytes"]["size"], results["bytes"]["predicted"]
    claim_list.add(
        "Keeping long texts in an object store cuts the bytes of a message to within 2 % of the "
        "prediction from the distribution of text sizes",
        statement=(
            "Text fields over 512 characters go to the object store and only a reference is sent "
            "(published code)"
        ),
        measured="|simulated ratio / predicted ratio - 1| of bytes per message, offloaded / whole",
        metric="bytes per message",
        unit="fraction",
        arm="long texts in a store",
        baseline="whole histories",
        value=_summary(np.abs(size[1] / size[0] / (predicted[1] / predicted[0]) - 1.0)),
        at_most=BYTES_ERROR,
    )
