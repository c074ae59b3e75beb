"""Judgements of all pools: each pair of different replies is judged once by each node, both ways.

All arms draw their comparisons from these tables. Judges take their most probable tokens, so a
second judgement of the same pair would be the same.

Shapes: ``S`` pools (seeds), ``N`` nodes, ``Q`` questions, ``T`` tokens of a reply, ``p`` pairs of
each judge.
"""

from typing import Any

import numpy as np

from experiments.fortytwo import aggregate, data, models, tasks
from experiments.fortytwo.config import Config
from jaxswarm.systems import fortytwo


class Judgements:
    """Verdicts of all nodes of each pool on pairs of replies to the same questions.

    Pairs that were judged are kept, so that arms which share replies share judgements.

    Attributes:
        judged: number of judged pairs, of all pools.
        tokens: mean number of generated tokens of a verdict.
    """

    def __init__(
        self,
        config: Config,
        pools: models.Pools,
        questions: data.Questions,
        *,
        rationale: bool = True,
        copied: list[int] | None = None,
    ):
        """Judge nothing yet.

        Args:
            config: sizes.
            pools: trained models.
            questions: that were answered.
            rationale: whether judges derive the answer again before the verdict.
            copied: the model that each of ``S N`` nodes is a copy of; its own if ``None``.
        """
        self.config, self.pools, self.questions = config, pools, questions
        self.mark = data.FORM.reasoned if rationale else data.FORM.direct
        self.copied = list(range(len(pools.params))) if copied is None else copied
        self.known: dict[tuple[int, int, bytes, bytes], np.ndarray] = {}
        self.judged, self.generated = 0, 0

    @property
    def tokens(self) -> float:
        """Mean number of generated tokens of a verdict."""
        return self.generated / max(2 * self.judged * self.config.nodes, 1)

    def tables(self, replies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Judge all pairs of different replies.

        Args:
            replies: ``int[S, N, Q, T]``.

        Returns:
            ``(texts int32[S, Q, N], tables int8[S, Q, N, N, N])``, see
            ``fortytwo.judgement_table``.
        """
        texts, pairs, names = self._pairs(replies)
        self.judge_all([replies])
        made = []
        for found, part in zip(pairs, names, strict=True):
            # A pair that was judged the other way round: orders and verdicts change places.
            verdicts = [
                -self.known[name][:, ::-1] if swapped else self.known[name]
                for name, _, swapped in part
            ]
            stacked = np.stack(verdicts, axis=1) if verdicts else np.zeros((len(texts[0, 0]), 0, 2))
            made.append(fortytwo.judgement_table(found, stacked.astype(np.int32), texts.shape[1:]))
        return texts, np.stack(made)

    def judge_all(self, several: list[np.ndarray]) -> None:
        """Judge the new pairs of several sets of replies together, in few blocks."""
        new = (each for replies in several for part in self._pairs(replies)[2] for each in part)
        self._judge({name: shown for name, shown, _ in new if name not in self.known})

    def _pairs(self, replies: np.ndarray) -> tuple[np.ndarray, list[Any], list[list[Any]]]:
        """Texts of replies, their pairs, and the names of these, see :meth:`_name`, by pool."""
        texts = aggregate.texts_of(replies)
        pairs = [fortytwo.distinct_pairs(x) for x in texts]
        names = [
            [
                self._name(s, int(q), replies[s, a, q], replies[s, b, q])
                for q, a, b in zip(*found, strict=True)
            ]
            for s, found in enumerate(pairs)
        ]
        return texts, pairs, names

    def _name(self, pool: int, question: int, a: np.ndarray, b: np.ndarray) -> Any:
        """Key of a pair, its replies in the order of the key, and whether that is not ``a, b``."""
        one, two = a.tobytes(), b.tobytes()
        swapped = two < one
        shown = (b, a) if swapped else (a, b)
        return (pool, question, *((two, one) if swapped else (one, two))), shown, swapped

    def _judge(self, new: dict[Any, tuple[np.ndarray, np.ndarray]]) -> None:
        """Let all nodes of their pools judge new pairs."""
        n, config = self.config.nodes, self.config
        of_pool: list[list[Any]] = [[] for _ in range(config.seeds)]
        for name in new:
            of_pool[name[0]].append(name)
        rows = []
        for s, names in enumerate(of_pool):
            at = [name[1] for name in names]
            shown = [np.stack([new[name][k] for name in names]) for k in (0, 1)] if names else []
            rows.append((self.questions.tokens[s, at], self.questions.mask[s, at], *shown))

        def one(programs: models.Programs, i: int) -> tuple[Any, int]:
            verdicts, count = [], 0
            left = len(of_pool[i // n])
            for _, block in models.blocks(config.block, *rows[i // n]) if left else ():
                found, tokens = programs.judge(self.pools.params[i], self.mark, *block)
                verdicts.append(np.asarray(found))
                count += int(np.asarray(tokens)[:left].sum())
                left -= config.block
            return np.concatenate(verdicts)[: len(of_pool[i // n])] if verdicts else None, count

        used = sorted(set(self.copied))
        found = dict(
            zip(used, models.of_nodes(config, self.pools.programs, used, one), strict=True)
        )
        for s, names in enumerate(of_pool):
            if names:
                judges = [found[i] for i in self.copied[s * n : (s + 1) * n]]
                both = np.stack([verdicts for verdicts, _ in judges])  # [N, M, 2]
                self.known |= {name: both[:, m] for m, name in enumerate(names)}
                self.generated += sum(tokens for _, tokens in judges)
        self.judged += len(new)


def parsed(replies: np.ndarray) -> np.ndarray:
    """Answers in replies: what stands before the first mark that is none of an answer."""
    marks = np.array([tasks.TOKENIZER.token(mark) for mark in "/?!AB"])
    return np.where(np.cumsum(np.isin(replies, marks), axis=-1) > 0, -1, replies)
