"""Symphony-Coord: recovery, regret and messages of LinUCB routing of tasks to agents."""

from experiments.harness.protocol import Paper

NAME = "symphony_coord"
TITLE = "Symphony-Coord: LinUCB routing of tasks to agents, recovery, regret and gossip"
PAPER = Paper(
    author="Z. Guan et al.",
    title="Symphony-Coord: Adaptive Routing for Multi-Agent LLM Systems",
    year=2026,
    venue="arXiv preprint",
    arxiv="2602.00966",
)
SUBSTITUTES = (
    "Simulated workers with given success probabilities stand in for language models, so GSM8K, "
    "BBH and MedicalQA (+8.5 to +33 points) are not run. The published experiments on cost and "
    "latency are, without bursts of load; several plans per task and the vote between them are not "
    "(a delay of feedback stands for the vote). The swarm of many requesters is an extension: the "
    "published code has one global selector."
)
CHANGES = (
    "After recorded runs, thresholds untouched: every comparison is judged on its interval, where "
    "the value was judged before; in the swarm the confidence radius of each arm is tuned on other "
    "seeds by one grid (with the published radius isolated requesters over-explore, and gossip "
    "saved 98 % of what the central router saves), the advertised match has an error of 0.3 "
    "instead of 0.1, and an arm learns nothing; the published Experiments 1 and 3 are added. That "
    "a short list of three needs a quarter of the messages of 64 candidates is counting, a note "
    "now. The full run shown is of the earlier setting."
)
