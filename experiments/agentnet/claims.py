"""Claims of the AgentNet experiment and their thresholds, fixed before the first run."""

import itertools

import numpy as np

from experiments.agentnet import NAME
from experiments.agentnet.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

LADDER_GAIN = 0.0  # least gain in success between neighbouring router ablations, less one SE
TOTAL_GAIN = 0.08  # least gain in success over total randomness
EVOLUTION_GAIN = 0.05  # least gain in success by evolution
GLOBAL_GAP = -0.02  # least success relative to the global router (difference)
KEPT_SHARE = 0.85  # share of success that remains when one agent fails
KEPT_MARGIN = 0.0  # least success above that share
FAILURE_GAIN = 0.0  # least gain over a failed global router
SPECIALIZATION_GAIN = 0.0  # least rise of the specialization index
MEMORY_GAIN = 0.01  # least gain in success by memory (control)
SHUFFLED_SHARE = 0.2  # largest share of memory's gain that remains with shuffled keys
SHUFFLED_MARGIN = 0.0  # least distance below that share
LARGE_GAIN = 0.05  # least gain by routing among many agents with few neighbours

ROUTER_LADDER = ("AgentNet", "random next agent", "random operation", "totally random")
LADDER_SENTENCES = (
    "AgentNet succeeds more often than with a random choice of the next agent, by more than one "
    "standard error",
    "A random choice of the next agent succeeds more often than a random choice of the operation, "
    "by more than one standard error",
    "A random choice of the operation succeeds more often than a random choice of both, by more "
    "than one standard error",
)

LADDER_STATEMENT = (
    "Router ablation on BBH, accuracy in %: totally random 55, random operation 71, random next "
    "agent 82, global router 83, AgentNet 86 (Yang et al. 2025)"
)
EVOLUTION_STATEMENT = (
    "Evolution raises accuracy, in %, on the three benchmarks from 77.86 to 85, 23 to 32 and 76 to "
    "86 (Yang et al. 2025)"
)
ROBUSTNESS_STATEMENT = (
    "A fully decentralised system has no single point of failure and tolerates faults (Yang et al. "
    "2025, abstract); the failures and thresholds are ours"
)
SPECIALIZATION_STATEMENT = "Agents specialise autonomously (Yang et al. 2025, abstract)"
MEMORY_STATEMENT = (
    "A retrieval-based memory lets agents refine their skills (Yang et al. 2025, abstract); the "
    "ablation is ours"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare success rates and specialization with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.agentnet.arms.run`.

    Returns:
        Eighteen claims; one if the arms of the ablation were not run (full scale).
    """
    claim_list = ClaimList(NAME)
    success = {name: np.asarray(value) for name, value in results["success"].items()}
    if not set(ROUTER_LADDER) <= set(success):
        _large_population_claim(claim_list, config, success)
        return claim_list
    _ladder_claims(claim_list, success)
    _routing_claims(claim_list, success)
    _specialization_claims(claim_list, results)
    _memory_claims(claim_list, success)
    if "crowd" in results:
        _crowd_claims(claim_list, config, results["crowd"])
    return claim_list


def _difference(
    claim_list: ClaimList,
    success: dict[str, np.ndarray],
    sentence: str,
    statement: str,
    arms: tuple[str, str],
    at_least: float,
    note: str = "",
) -> None:
    """A claim on the difference of two arms' success rates."""
    arm, baseline = arms
    claim_list.add(
        sentence,
        statement=statement,
        measured=f"success rate on test tasks, {arm} - {baseline}",
        metric="success rate",
        unit="fraction",
        arm=arm,
        baseline=baseline,
        value=statistics.compare(success[arm], success[baseline]),
        at_least=at_least,
        judge="interval",
        note=note,
    )


def _crowd_claims(claim_list: ClaimList, config: Config, success: dict[str, np.ndarray]) -> None:
    among = f"Among {config.crowd} agents with {config.crowd_degree} neighbours each, "
    _difference(
        claim_list,
        success,
        among + "AgentNet succeeds more often than with a random choice of the next agent",
        LADDER_STATEMENT,
        ("AgentNet", "random next agent"),
        LADDER_GAIN,
    )
    _difference(
        claim_list,
        success,
        among + "AgentNet is within 2 percentage points of a global router",
        LADDER_STATEMENT,
        ("AgentNet", "global router"),
        GLOBAL_GAP,
        note="the local router sees an eighth of the agents",
    )
    _difference(
        claim_list,
        success,
        among + "routing raises the success rate by at least 5 percentage points",
        "Own check: an extension, as the paper names hundreds of agents as unsolved",
        ("AgentNet", "no routing"),
        LARGE_GAIN,
    )
    _difference(
        claim_list,
        success,
        among + "evolution gains at least 5 percentage points from noisy estimates of abilities",
        EVOLUTION_STATEMENT,
        ("AgentNet, noisy abilities", "no evolution, noisy abilities"),
        EVOLUTION_GAIN,
    )


def _large_population_claim(
    claim_list: ClaimList, config: Config, success: dict[str, np.ndarray]
) -> None:
    claim_list.add(
        f"Among {config.agents:,} agents routing raises the success rate",
        statement="Own check: an extension, as the paper names hundreds of agents as unsolved",
        measured="success rate on test tasks, AgentNet - no routing",
        metric="success rate",
        unit="fraction",
        arm="AgentNet",
        baseline="no routing",
        value=statistics.compare(success["AgentNet"], success["no routing"]),
        at_least=LARGE_GAIN,
        judge="interval",
    )


def _ladder_claims(claim_list: ClaimList, success: dict[str, np.ndarray]) -> None:
    """Neighbouring arms of the router ablation, each difference less one standard error."""
    pairs = itertools.pairwise(ROUTER_LADDER)
    for (better, worse), sentence in zip(pairs, LADDER_SENTENCES, strict=True):
        difference = statistics.compare(success[better], success[worse])
        error = float(np.std(difference.effects, ddof=1) / np.sqrt(difference.seeds))
        claim_list.add(
            sentence,
            statement=LADDER_STATEMENT,
            measured=(
                f"success rate on test tasks, {better} - {worse} - one standard error of this "
                "difference"
            ),
            metric="success rate",
            unit="fraction",
            arm=better,
            baseline=worse,
            value=statistics.compare(success[better], success[worse] + error),
            at_least=LADDER_GAIN,
            judge="interval",
            note=f"difference {difference.effect:+.3f}",
        )


def _routing_claims(claim_list: ClaimList, success: dict[str, np.ndarray]) -> None:
    claim_list.add(
        "AgentNet succeeds at least 8 percentage points more often than a totally random router",
        statement=LADDER_STATEMENT,
        measured="success rate on test tasks, AgentNet - totally random",
        metric="success rate",
        unit="fraction",
        arm="AgentNet",
        baseline="totally random",
        value=statistics.compare(success["AgentNet"], success["totally random"]),
        at_least=TOTAL_GAIN,
        judge="interval",
    )
    claim_list.add(
        "Evolution of edges, capabilities and memories gains at least 5 percentage points",
        statement=EVOLUTION_STATEMENT,
        measured="success rate on test tasks, AgentNet - no evolution",
        metric="success rate",
        unit="fraction",
        arm="AgentNet",
        baseline="no evolution",
        value=statistics.compare(success["AgentNet"], success["no evolution"]),
        at_least=EVOLUTION_GAIN,
        judge="interval",
        note="without evolution all capabilities are equal and no task is forwarded",
    )
    _difference(
        claim_list,
        success,
        "From noisy estimates of their abilities, evolution gains at least 5 percentage points",
        EVOLUTION_STATEMENT,
        ("AgentNet, noisy abilities", "no evolution, noisy abilities"),
        EVOLUTION_GAIN,
        note="tasks are forwarded without evolution too",
    )
    claim_list.add(
        "AgentNet is within 2 percentage points of a global router",
        statement=LADDER_STATEMENT,
        measured="success rate on test tasks, AgentNet - global router",
        metric="success rate",
        unit="fraction",
        arm="AgentNet",
        baseline="global router",
        value=statistics.compare(success["AgentNet"], success["global router"]),
        at_least=GLOBAL_GAP,
        judge="interval",
        note="on a complete graph, where every agent sees all capabilities",
    )
    claim_list.add(
        "When one agent of five fails, AgentNet keeps 85 % of its success rate",
        statement=ROBUSTNESS_STATEMENT,
        measured="success rate on test tasks, one agent failed - 0.85 · all agents alive",
        metric="success rate",
        unit="fraction",
        arm="AgentNet, one agent failed",
        baseline="0.85 · AgentNet",
        value=statistics.compare(
            success["AgentNet, one agent failed"], KEPT_SHARE * success["AgentNet"]
        ),
        at_least=KEPT_MARGIN,
        judge="interval",
    )
    claim_list.add(
        "AgentNet with one failed agent succeeds more often than a system with a failed global "
        "router",
        statement=ROBUSTNESS_STATEMENT,
        measured="success rate on test tasks, AgentNet with one agent failed - failed router",
        metric="success rate",
        unit="fraction",
        arm="AgentNet, one agent failed",
        baseline="global router, failed",
        value=statistics.compare(
            success["AgentNet, one agent failed"], success["global router, failed"]
        ),
        at_least=FAILURE_GAIN,
        judge="interval",
    )


def _specialization_claims(claim_list: ClaimList, results: Results) -> None:
    specialization = results["specialization"]
    metric = "mutual information between agent and task type, relative to its largest value"
    first, last = specialization["AgentNet"].T
    claim_list.add(
        "Agents specialise during training",
        statement=SPECIALIZATION_STATEMENT,
        measured="specialization index, last quarter - first quarter of training",
        metric=metric,
        unit="fraction",
        arm="AgentNet, last quarter of training",
        baseline="AgentNet, first quarter of training",
        value=statistics.compare(last, first),
        at_least=SPECIALIZATION_GAIN,
        judge="interval",
    )
    claim_list.add(
        "Nine agents specialise more than three",
        statement=SPECIALIZATION_STATEMENT + "; the comparison of sizes is ours",
        measured="specialization index in the last quarter of training, 9 agents - 3 agents",
        metric=metric,
        unit="fraction",
        arm="AgentNet, 9 agents",
        baseline="AgentNet, 3 agents",
        value=statistics.compare(
            specialization["AgentNet, 9 agents"][:, 1], specialization["AgentNet, 3 agents"][:, 1]
        ),
        at_least=SPECIALIZATION_GAIN,
        judge="interval",
        note="three agents have only three of the five specialities",
    )
    claim_list.add(
        "Nine agents specialise more than five",
        statement=SPECIALIZATION_STATEMENT + "; the comparison of sizes is ours",
        measured="specialization index in the last quarter of training, 9 agents - 5 agents",
        metric=metric,
        unit="fraction",
        arm="AgentNet, 9 agents",
        baseline="AgentNet",
        value=statistics.compare(specialization["AgentNet, 9 agents"][:, 1], last),
        at_least=SPECIALIZATION_GAIN,
        judge="interval",
        note="both have all five specialities",
    )


def _memory_claims(claim_list: ClaimList, success: dict[str, np.ndarray]) -> None:
    gain = success["AgentNet"] - success["no memory"]
    remaining = success["shuffled memory keys"] - success["no memory"]
    claim_list.add(
        "The executors' memory raises the success rate by at least 1 percentage point",
        statement="Control: without a gain by memory, shuffling its keys would show nothing",
        measured="success rate on test tasks, AgentNet - no memory",
        metric="success rate",
        unit="fraction",
        arm="AgentNet",
        baseline="no memory",
        value=statistics.summarize(gain),
        at_least=MEMORY_GAIN,
        judge="interval",
        control=True,
    )
    claim_list.add(
        "Shuffling the memory's keys removes at least 80 % of what memory gains",
        statement=MEMORY_STATEMENT,
        measured=(
            "0.2 · gain - gain with shuffled keys, where a gain is a success rate on test tasks "
            "minus that without memory"
        ),
        metric="success rate",
        unit="fraction",
        arm="shuffled memory keys",
        baseline="0.2 · the gain of intact keys",
        value=statistics.compare(SHUFFLED_SHARE * gain, remaining),
        at_least=SHUFFLED_MARGIN,
        judge="interval",
    )
