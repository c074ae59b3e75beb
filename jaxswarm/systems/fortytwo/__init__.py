"""Fortytwo: language models that answer and judge one another's answers, adversaries, a simulator.

``judge_prompts`` and ``judge`` let a language model compare two replies in both orders, with or
without a generated rationale; ``distinct_pairs``, ``judgement_table`` and ``look_up`` judge each
pair of different texts once and draw comparisons from the table; ``corrupt_verdicts`` makes
adversarial judges of honest ones; ``consensus_rounds`` follows strengths, winners and reputations
over many requests. ``text_round`` does one request with models that exchange texts, such as your
own behind a server.
``simulate_nodes`` is a synthetic tier without models for thousands of nodes. The ranking itself is
``jaxswarm.trust.ranking``.
"""

from jaxswarm.systems.fortytwo._adversaries import KINDS, corrupt_verdicts
from jaxswarm.systems.fortytwo._judging import (
    JudgeFormat,
    Judgements,
    judge,
    judge_format,
    judge_prompts,
)
from jaxswarm.systems.fortytwo._rounds import Round, RoundInfo, consensus_rounds
from jaxswarm.systems.fortytwo._synthetic import (
    SyntheticInfo,
    SyntheticNodes,
    simulate_nodes,
    synthetic_nodes,
)
from jaxswarm.systems.fortytwo._tables import (
    DistinctPairs,
    distinct_pairs,
    judgement_table,
    look_up,
)
from jaxswarm.systems.fortytwo._texts import TextRound, judge_text, read_verdict, text_round

__all__ = [
    "KINDS",
    "DistinctPairs",
    "JudgeFormat",
    "Judgements",
    "Round",
    "RoundInfo",
    "SyntheticInfo",
    "SyntheticNodes",
    "TextRound",
    "consensus_rounds",
    "corrupt_verdicts",
    "distinct_pairs",
    "judge",
    "judge_format",
    "judge_prompts",
    "judge_text",
    "judgement_table",
    "look_up",
    "read_verdict",
    "simulate_nodes",
    "synthetic_nodes",
    "text_round",
]
