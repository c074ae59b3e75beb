"""Symphony-Coord: does bandit routing recover from failed agents, and is its regret sublinear?

A requester broadcasts a beacon, ranks the candidates that reply by a composite score, keeps a short
list and picks from it with LinUCB, a contextual bandit on six features. Four parts:

* **Shocks.** One requester and the five agents of the published simulator (profiles, weights and
  confidence radius as published). Half-way, agent A fails silently (with or without losses of
  others) or degrades. The published recovery test (90 % of the success rate before the shock) is
  out of reach even for an oracle, so recovery is measured against an oracle after the shock. The
  shock in which A only degrades is run without a claim: there LinUCB hardly differs from random
  choice. So is feedback that arrives late.
* **Regret.** LinUCB where rewards are linear in the features.
* **Screening.** A short list of three among many agents against scoring all candidates.
* **Swarm** (an extension, not in the paper). Every node is a requester and a worker, a beacon
  travels two hops, and 30 % of the workers fail silently half-way. Requesters with statistics of
  their own are compared with requesters that gossip them and with one central router.

Limits: requesters in isolation that use a constant confidence radius reach about the regret of the
central router with the published radius, so part of what gossip saves is over-exploration.

References:
    Z. Guan et al., Symphony-Coord: Adaptive Routing for Multi-Agent LLM Systems, 2026, and its
    published code (profiles, weights, shocks).
"""

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
    "BBH and MedicalQA are not run; nor are the published experiments on cost and latency, several "
    "plans per task and the vote between them (a delay of feedback stands for the vote). "
    "The swarm of many requesters is an extension: the published code has one global selector."
)
