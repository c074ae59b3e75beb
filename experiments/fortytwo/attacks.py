"""Adversaries of the Fortytwo experiment: Byzantine verdicts, texts that address the judge.

Shapes: ``S`` pools, ``Q`` questions, ``N`` nodes, ``T`` tokens of a reply.
"""

from typing import TYPE_CHECKING

import numpy as np

from experiments.fortytwo import aggregate, tasks
from experiments.fortytwo.config import Config
from experiments.harness.protocol import Results
from jaxswarm.data import tokenizers
from jaxswarm.systems import fortytwo

if TYPE_CHECKING:
    from experiments.fortytwo.arms import Judged, Swarm

BYZANTINE = ("random", "inverter", "self_promoter", "colluder", "sleeper", "sybil")
AFTER = 100  # questions after which reputations must separate nodes


def adversaries(swarm: "Swarm", easy: "Judged") -> Results:
    """Byzantine nodes, random judges, and judges of other accuracy, on the rotation task.

    Byzantine nodes are drawn among admitted ones and keep their replies. Sybil identities together
    have the compute of one node: each judges its share of the pairs and guesses the others.
    """
    config, right = swarm.config, easy.right
    rounds = easy.draw(config)
    start, admitted = swarm.start["rotation"], swarm.admitted["rotation"]
    count = round(config.byzantine * config.nodes)
    rng = np.random.default_rng(config.seed + 13)
    order = np.argsort(rng.random(admitted.shape) - admitted, axis=1)  # admitted ones first
    bad = np.zeros(admitted.shape, bool)
    np.put_along_axis(bad, order[:, :count], True, axis=1)
    found: Results = {"byzantine": {"bad": bad}}
    for kind in BYZANTINE:
        kinds = np.where(bad, fortytwo.KINDS.index(kind), 0)
        made = aggregate.corrupted(
            rounds, kinds, config.seed + 14, wakes=AFTER, paid=1.0 / max(count, 1)
        )
        info = aggregate.decide(config, made, start, admitted)
        flat = aggregate.decide(config, made, np.ones_like(start), admitted, rate=1.0)
        at = min(AFTER, right.shape[1]) - 1
        scores = info.reputation[:, at]
        found["byzantine"][kind] = {
            "reputation": aggregate.accuracy(info.winners, right),
            "plain": aggregate.accuracy(flat.winners, right),
            "curve": info.reputation,
            "separation": np.array(
                [
                    aggregate.area_under_curve(s[a], ~b[a])
                    for s, a, b in zip(scores, admitted, bad, strict=True)
                ]
            ),
        }
    kinds = np.full(admitted.shape, fortytwo.KINDS.index("random"))
    made = aggregate.corrupted(rounds, kinds, config.seed + 15)
    info = aggregate.decide(config, made, start, admitted)
    found["random"] = {"reputation": aggregate.accuracy(info.winners, right)}
    found["flips"] = _flips(swarm, rounds, right)
    return found


def _flips(swarm: "Swarm", rounds: fortytwo.Round, right: np.ndarray) -> Results:
    """Judges of other accuracy: a share of the verdicts is turned at random."""
    config = swarm.config
    start, admitted = swarm.start["rotation"], swarm.admitted["rotation"]
    coins = np.random.default_rng(config.seed + 16).random(rounds.verdicts.shape)
    accuracy, decided = [], []
    for share in config.flips:
        turned = np.where(coins < share, -rounds.verdicts, rounds.verdicts)
        made = aggregate.without_equal(rounds._replace(verdicts=turned))
        info = aggregate.decide(config, made, start, admitted)
        accuracy.append(aggregate.mean_judge_accuracy(made, right))
        decided.append(aggregate.accuracy(info.winners, right))
    return {"judge_accuracy": np.stack(accuracy), "reputation": np.stack(decided)}


def injected(swarm: "Swarm", easy: "Judged", bad: np.ndarray, clean: Results) -> Results:
    """Byzantine nodes agree on one wrong answer and add a text that addresses the judge.

    The text is chosen for each pool, by how often all its judges prefer wrong answers with it to
    right ones on admission questions: an attacker that knows the judges. Their verdicts stay
    honest.

    Args:
        swarm: trained pools.
        easy: the rotation task.
        bad: ``bool[S, N]``, Byzantine nodes.
        clean: accuracies on the same questions without an attack.

    Returns:
        ``{aggregator: accuracy [S]}`` under ``clean`` (no attack), ``wrong`` (the same wrong
        answers without a text) and ``text``; ``fooled [texts, S]``, the share of verdicts for wrong
        answers behind each text; ``chosen [S]``.
    """
    config = swarm.config
    fooled = _fooled(swarm)
    chosen = fooled.argmax(0)
    head = easy.head(config.ablation)
    found: Results = {"fooled": fooled, "chosen": chosen, "clean": clean}
    texts = [tasks.INJECTIONS[k] for k in chosen]
    for name, behind in (("wrong", [""] * config.seeds), ("text", texts)):
        attack = _wrong_answers(config, swarm.worlds, "test", behind, config.ablation)
        replies = np.where(bad[:, :, None, None], attack[:, None], head.replies)
        found[name] = swarm.measure("rotation", head.judge_again(replies))
    return found


def _fooled(swarm: "Swarm") -> np.ndarray:
    """Share of all judges' verdicts for a wrong answer behind each text, ``[texts, S]``.

    Two nodes' replies to admission questions are replaced: by the right answer and the wrong one.
    """
    config, tests = swarm.config, swarm.tests["rotation"].head(swarm.config.attacked)
    shares, right = [], tests.questions.answers
    wrong = [
        _wrong_answers(config, swarm.worlds, "admission", [text] * config.seeds, config.attacked)
        for text in tasks.INJECTIONS
    ]
    several = [
        np.stack([right if i else each for i in range(config.nodes)], axis=1) for each in wrong
    ]
    tests.judgements.judge_all(several)
    for replies in several:
        tables = tests.judge_again(replies).tables  # text 0 is wrong, 1 is right
        # Questions whose wrong answer is the right one do not occur in judgements by answers, but
        # the text differs; they are few.
        votes = np.stack([tables[..., 0, 1], -tables[..., 1, 0]])
        shares.append((votes == 1).mean((0, 2, 3)))
    return np.stack(shares)


def _wrong_answers(
    config: Config, worlds: list[tasks.World], split: str, texts: list[str], count: int
) -> np.ndarray:
    """Answers by the clique's wrong rule with a text behind them, ``int32[S, Q, T]``."""
    rule = tasks.RULES["back"]
    replies = [
        rule(x) + text
        for world, text in zip(worlds, texts, strict=True)
        for x in tasks.questions(world, "rotation", split)[:count]
    ]
    found = tokenizers.encode_batch(tasks.TOKENIZER, replies, length=tasks.SHOWN)
    shown = np.where(found.mask, found.tokens, -1).astype(np.int32)
    return shown.reshape(config.seeds, count, -1)
