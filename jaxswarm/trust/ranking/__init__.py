"""Ranking by pairwise comparisons: Bradley–Terry, TrueSkill, majority votes, judges' reputation.

``ranking.swarm(replies, comparisons, reputation)`` picks the answer of one request. Its parts run
inside ``jit`` and under ``vmap``: ``bradley_terry`` fits strengths, ``draw_comparisons`` draws a
connected comparison graph, ``agreement`` and ``update_reputation`` follow the judges.
"""

from jaxswarm.trust.ranking._bradley_terry import bradley_terry, log_likelihood
from jaxswarm.trust.ranking._comparisons import (
    ABSTAIN,
    FIRST,
    SECOND,
    Comparisons,
    comparison_graph,
    draw_comparisons,
    is_connected,
    request_key,
    request_seed,
    verdicts_of,
    wins_and_losses,
)
from jaxswarm.trust.ranking._consensus import MERGES, Consensus, pick, swarm
from jaxswarm.trust.ranking._reputation import (
    admitted,
    agreement,
    collusion_scores,
    update_reputation,
)
from jaxswarm.trust.ranking._trueskill import Skills, trueskill
from jaxswarm.trust.ranking._votes import UNPARSEABLE, answer_classes, best_node, majority_vote

__all__ = [
    "ABSTAIN",
    "FIRST",
    "MERGES",
    "SECOND",
    "UNPARSEABLE",
    "Comparisons",
    "Consensus",
    "Skills",
    "admitted",
    "agreement",
    "answer_classes",
    "best_node",
    "bradley_terry",
    "collusion_scores",
    "comparison_graph",
    "draw_comparisons",
    "is_connected",
    "log_likelihood",
    "majority_vote",
    "pick",
    "request_key",
    "request_seed",
    "swarm",
    "trueskill",
    "update_reputation",
    "verdicts_of",
    "wins_and_losses",
]
