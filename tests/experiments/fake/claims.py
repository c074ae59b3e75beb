"""Thresholds and claims of the fake system."""

from experiments.fake import NAME

from experiments.harness.claims import ClaimList
from jaxswarm import statistics

GAP = 0.5  # least difference at the end
LOW = 0.1  # highest end of the flat arm


def claims(config, results):
    """Whether the rising arm ends above the flat one."""
    final = {name: curve[:, -1] for name, curve in results["curves"].items()}
    gap = statistics.compare(final["rising"], final["flat"])
    made = ClaimList(NAME)
    shared = {
        "statement": "Trends rise (§2)",
        "measured": "end of rising - end of flat",
        "metric": "value",
        "unit": "points",
        "arm": "rising",
        "baseline": "flat",
    }
    made.add("The rising arm ends above the flat one", value=gap, at_least=GAP, **shared)
    made.add("It does in every seed", value=gap, at_least=GAP, judge="every seed", **shared)
    made.add(
        "The flat arm stays low | near zero",
        statement="Own check: the flat arm does not rise",
        measured=f"mean end of the flat arm of {config.agents} agents",
        metric="value",
        unit="points",
        arm="flat",
        value=float(final["flat"].mean()),
        at_most=LOW,
        control=True,
    )
    return made
