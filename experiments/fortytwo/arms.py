"""Runs of the Fortytwo experiment: one pool of models per seed, all aggregators on its replies.

* **Models.** All nodes of a width start from one base model that answers and judges the rotation
  task. Each learns its own, partly wrong answers to two tasks, then, with the same weights, to
  compare two answers: on calibration questions, from replies of its own pool, half of them with a
  rationale (the answer, derived again) before the verdict.
* **Comparisons.** Each node judges each pair of different replies once in both orders; all arms
  draw their comparisons, up to three per node and reply, from these tables.
* **Aggregators.** All see the same replies and the same verdicts.
* **Ablations** that judge anew: no rationale, prompts with noise, no diversity.
* **Equal tokens.** A majority vote of more replies of each node, which generate as many tokens.
* **Adversaries, judge accuracy and swarm size** change what is drawn from the tables; replies that
  address the judge are judged anew (``attacks.py``).
* **Synthetic tier** (Bernoulli judges, no models): ``synthetic.py``.

Shapes: ``S`` pools, ``Q`` questions, ``N`` nodes, ``p`` pairs of each judge.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.fortytwo import aggregate, attacks, data, judging, models, tasks
from experiments.fortytwo.config import Config
from experiments.fortytwo.synthetic import synthetic
from experiments.harness.protocol import Results
from jaxswarm.systems import fortytwo
from jaxswarm.trust import ranking


class Judged(NamedTuple):
    """Replies of all nodes to the same questions, with all judgements of them.

    Attributes:
        questions: that were asked.
        replies: ``int[S, N, Q, T]``.
        texts: ``int[S, Q, N]``, first node whose reply has the same text.
        tables: ``int8[S, Q, N, N, N]``, see ``fortytwo.judgement_table``.
        classes: ``int[S, Q, N]``, first node with the same answer, -1 without one.
        right: ``bool[S, Q, N]``.
        judgements: from which the tables were made.
    """

    questions: data.Questions
    replies: np.ndarray
    texts: np.ndarray
    tables: np.ndarray
    classes: np.ndarray
    right: np.ndarray
    judgements: judging.Judgements

    def draw(
        self, config: Config, pairs: int | None = None, order: np.ndarray | None = None
    ) -> fortytwo.Round:
        """Draw comparisons from the tables.

        Args:
            config: sizes.
            pairs: of each node, the first of those that the configuration says; all if ``None``.
            order: ``int[S, size]``, nodes of a smaller swarm, all if ``None``.
        """
        size = config.nodes if order is None else order.shape[1]
        most = config.per_node(size)
        kept = most if pairs is None else min(pairs, most)
        drawn = aggregate.draw_pairs(self.questions.keys, config.nodes, size, most)
        # Unused comparisons are abstentions, so that the aggregators compile for one shape.
        padding = ((0, 0), (0, 0), (0, 0), (0, config.per_node() - most))
        first, second = (np.pad(x, padding, constant_values=i) for i, x in enumerate(drawn))
        if order is not None:
            rows = np.arange(config.seeds)[:, None, None, None]
            first, second = order[rows, first], order[rows, second]
        given = (self.tables, self.texts, first, second)
        verdicts = np.stack([fortytwo.look_up(*each) for each in zip(*given, strict=True)])
        verdicts[..., kept:, :] = ranking.ABSTAIN
        return aggregate.without_equal(fortytwo.Round(self.classes, first, second, verdicts))

    def judge_again(self, replies: np.ndarray) -> "Judged":
        """Other replies to the same questions; pairs that were judged are not judged anew."""
        return judge_all(self.judgements, self.questions, replies)

    def head(self, count: int) -> "Judged":
        """The first questions of each pool."""
        cut = {name: getattr(self, name)[:, :count] for name in ("texts", "tables", "classes")}
        return self._replace(
            questions=self.questions.head(count), replies=self.replies[:, :, :count],
            right=self.right[:, :count], **cut,
        )  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``rotation``, ``recall``, ``direct`` (no rationale), ``noise`` and ``copies`` (no
        diversity), with ``rotation_head``, the rotation task on the questions of the last three:
        ``{aggregator: accuracy [S]}`` with ``judge_accuracy [S]`` and ``tokens``, the mean number
        of generated tokens of a verdict; ``admission``; ``comparisons``; ``votes``; ``byzantine``;
        ``injected``; ``random``; ``flips``; ``sizes``; ``transfer``; ``synthetic``.
    """
    worlds = [tasks.draw_world(config, 1_000 * config.seed + s) for s in range(config.seeds)]
    swarm = Swarm(config, models.train(config, worlds, progress), worlds)
    progress("admission tests")
    results: Results = {"admission": swarm.take_tests()}
    judged = {}
    for task in tasks.TASKS:
        progress(f"test questions: {task}")
        judged[task] = swarm.answer_and_judge(data.pack(worlds, task, "test"), 1)
        results[task] = swarm.measure(task, judged[task])
        results[task]["nodes"] = judged[task].right.mean(1)
    easy = judged["rotation"]
    progress("no rationale, noise, no diversity")
    results |= ablations(swarm, easy)
    progress("numbers of comparisons, equal tokens, smaller swarms")
    results["votes"] = more_votes(swarm, easy)
    results["sizes"] = sizes(swarm, easy)
    progress("adversaries and judges of other accuracy")
    results |= attacks.adversaries(swarm, easy)
    results["injected"] = attacks.injected(
        swarm, easy, results["byzantine"]["bad"], results["rotation_head"]
    )
    results["transfer"] = transfer(swarm, judged)
    progress("synthetic tier")
    results["synthetic"] = synthetic(config)
    return results


class Swarm:
    """Trained pools with what their admission tests found."""

    def __init__(self, config: Config, pools: models.Pools, worlds: list[tasks.World]):
        self.config, self.pools, self.worlds = config, pools, worlds
        self.start: dict[str, np.ndarray] = {}
        self.admitted: dict[str, np.ndarray] = {}
        self.best: dict[str, np.ndarray] = {}
        self.answers: dict[str, np.ndarray] = {}
        self.tests: dict[str, Judged] = {}

    def take_tests(self) -> dict[str, np.ndarray]:
        """Admission tests of both tasks, on calibration questions that no judge was trained on.

        Returns:
            ``TASK_judges`` and ``TASK_answers``, shares of right verdicts and of right answers
            ``[S, N]``, and ``TASK_admitted``.
        """
        found = {}
        for task in tasks.TASKS:
            tests = self.answer_and_judge(data.pack(self.worlds, task, "admission"), 0)
            good, counts = aggregate.judge_accuracy(tests.draw(self.config), tests.right)
            share = (good & counts).sum(2) / np.maximum(counts.sum(2), 1)
            passed = share >= self.config.threshold
            # A pool in which no judge passes would have no consensus: all judge.
            passed |= ~passed.any(1, keepdims=True)
            self.tests[task], self.answers[task] = tests, tests.right.mean(1)
            self.start[task] = np.clip(share, 0.05, 1.0).astype(np.float32)
            self.admitted[task], self.best[task] = passed, self.answers[task].argmax(1)
            found[f"{task}_judges"], found[f"{task}_answers"] = share, self.answers[task]
            found[f"{task}_admitted"] = passed
        return found

    def answer(
        self, questions: data.Questions, salt: int, copied: list[int] | None = None
    ) -> np.ndarray:
        """Sampled replies of all nodes, or of the models that they are copies of."""
        key = jax.random.fold_in(jax.random.key(self.config.seed + 7), salt)
        pools = self.pools
        if copied is not None:
            pools = pools._replace(params=[pools.params[i] for i in copied])
        return models.answer(self.config, pools, key, questions)

    def answer_and_judge(
        self,
        questions: data.Questions,
        salt: int,
        *,
        rationale: bool = True,
        replies: np.ndarray | None = None,
        copied: list[int] | None = None,
    ) -> Judged:
        """Replies to questions, unless they are given, and judgements of them."""
        if replies is None:
            replies = self.answer(questions, salt, copied)
        judgements = judging.Judgements(
            self.config, self.pools, questions, rationale=rationale, copied=copied
        )
        return judge_all(judgements, questions, replies)

    def measure(self, task: str, judged: Judged) -> dict[str, Any]:
        """Accuracy of all aggregators and of the judges."""
        rounds = judged.draw(self.config)
        found, _ = aggregate.compare_all(
            self.config, rounds, judged.right, self.start[task], self.admitted[task],
            self.best[task],
        )  # fmt: skip
        accuracy = aggregate.mean_judge_accuracy(rounds, judged.right)
        return found | {"judge_accuracy": accuracy, "tokens": judged.judgements.tokens}

    def decided(self, task: str, judged: Judged, pairs: int) -> np.ndarray:
        """Accuracy of the reputation-weighted consensus alone, with fewer pairs, ``[S]``."""
        rounds = judged.draw(self.config, pairs)
        info = aggregate.decide(self.config, rounds, self.start[task], self.admitted[task])
        return aggregate.accuracy(info.winners, judged.right)


def judge_all(
    judgements: judging.Judgements, questions: data.Questions, replies: np.ndarray
) -> Judged:
    """Judge replies ``[S, N, Q, T]`` and find which are right."""
    texts, tables = judgements.tables(replies)
    answers = judging.parsed(replies)
    right = (answers == questions.answers[:, None]).all(-1).swapaxes(1, 2)
    classes = aggregate.classes_of(answers)
    return Judged(questions, replies, texts, tables, classes, right, judgements)


def ablations(swarm: Swarm, easy: Judged) -> Results:
    """No rationale, prompts with noise, and pools of copies, on the rotation task.

    Returns:
        Accuracies as of :meth:`Swarm.measure`, and under ``comparisons`` those of reputation-
        weighted Bradley–Terry by comparisons of each node (``number``), with (``rationale``) and
        without (``direct``) a rationale, ``[numbers, S]``, with the ``..._tokens`` that each node
        generates per question for them.
    """
    config = swarm.config
    full = data.pack(swarm.worlds, "rotation", "test")
    questions, head = full.head(config.ablation), easy.head(config.ablation)
    direct = swarm.answer_and_judge(questions, 1, rationale=False, replies=head.replies)
    rng = np.random.default_rng(config.seed + 11)
    noisy = data.pack(swarm.worlds, "rotation", "test", rng).head(config.ablation)
    width = np.arange(config.nodes) % len(config.widths)
    answers = swarm.answers["rotation"]
    chosen = np.stack(
        [np.where(width == w, answers, -1.0).argmax(1) for w in range(len(config.widths))], axis=1
    )
    copied = models.copies(config, swarm.pools, chosen)
    found: Results = {
        "rotation_head": swarm.measure("rotation", head),
        "direct": swarm.measure("rotation", direct),
        "noise": swarm.measure("rotation", swarm.answer_and_judge(noisy, 2)),
        "copies": swarm.measure("rotation", swarm.answer_and_judge(questions, 3, copied=copied)),
    }
    numbers = (*(x for x in config.fewer if x < config.per_node()), config.per_node())
    curves: dict[str, Any] = {"number": np.array(numbers)}
    for name, judged in (("rationale", head), ("direct", direct)):
        curves[name] = np.stack([swarm.decided("rotation", judged, pairs) for pairs in numbers])
        curves[f"{name}_tokens"] = 2 * np.array(numbers) * judged.judgements.tokens
    return found | {"comparisons": curves}


def more_votes(swarm: Swarm, easy: Judged) -> Results:
    """Majority votes of several sampled replies of each node, on the first rotation questions.

    Returns:
        ``accuracy [S]`` of the vote, ``tokens`` generated for the replies of each node, and
        those for a node's reply and its judgements: of the distinct pairs (``judged_tokens``), and
        if each comparison were judged anew (``drawn_tokens``).
    """
    config = swarm.config
    questions = data.pack(swarm.worlds, "rotation", "test").head(config.ablation)
    repeated = questions.repeated(config.votes - 1)
    more = swarm.answer(repeated, 20).reshape(
        config.seeds, -1, config.ablation, easy.replies.shape[-1]
    )
    drawn = np.concatenate([easy.replies[:, :, : config.ablation], more], axis=1)
    right = (drawn == questions.answers[:, None]).all(-1).swapaxes(1, 2)
    winners = aggregate.vote(aggregate.classes_of(drawn))
    own = (easy.replies >= 0).sum(-1).mean() + 1  # with the end
    judgements = easy.judgements
    pairs = judgements.judged / (config.seeds * easy.replies.shape[2])
    return {
        "accuracy": aggregate.accuracy(winners, right),
        "tokens": ((drawn >= 0).sum(-1).mean() + 1) * config.votes,
        "judged_tokens": own + 2 * pairs * judgements.tokens,
        "drawn_tokens": own + 2 * config.per_node() * judgements.tokens,
    }


def sizes(swarm: Swarm, easy: Judged) -> Results:
    """Accuracy of each aggregator in smaller swarms of the same nodes, from the same tables.

    Returns:
        ``{aggregator: [sizes, S]}`` and ``number [sizes]``; the last size is the whole pool's.
    """
    config = swarm.config
    rng = np.random.default_rng(config.seed + 12)
    orders = np.stack([rng.permutation(config.nodes) for _ in range(config.seeds)])
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*aggregate.AGGREGATORS, "oracle")}
    for size in (*config.sizes, config.nodes):
        present = np.zeros((config.seeds, config.nodes), bool)
        np.put_along_axis(present, orders[:, :size], True, axis=1)
        best = np.where(present, swarm.answers["rotation"], -1.0).argmax(1)
        allowed = swarm.admitted["rotation"] & present
        allowed |= present & ~allowed.any(1, keepdims=True)
        measured, _ = aggregate.compare_all(
            config, easy.draw(config, order=orders[:, :size]), easy.right,
            swarm.start["rotation"], allowed, best, present,
        )  # fmt: skip
        for name in found:
            found[name].append(measured[name])
    numbers = np.array([*config.sizes, config.nodes])
    return {name: np.stack(values) for name, values in found.items()} | {"number": numbers}


def transfer(swarm: Swarm, judged: dict[str, Judged]) -> Results:
    """Reputations that were learned on the recall task, frozen, as weights on the rotation task.

    Returns:
        ``own``, ``other`` and ``uniform``: accuracy ``[S]`` on the rotation task with weights from
        its own first half, from the recall task, or equal, on the second half; ``correlation [S]``
        of the nodes' reputations on both tasks. All nodes judge.
    """
    rounds = {task: judged[task].draw(swarm.config) for task in tasks.TASKS}
    right = judged["rotation"].right
    half = right.shape[1] // 2
    late = jax.tree.map(lambda x: x[:, half:], rounds["rotation"])
    every = np.ones_like(swarm.admitted["rotation"])
    learned = {}
    for task in tasks.TASKS:
        early = jax.tree.map(lambda x: x[:, :half], rounds[task])
        info = aggregate.decide(swarm.config, early, np.full(every.shape, 0.5), every)
        learned[task] = info.reputation[:, half // 2 :].mean(1)
    weights = {
        "own": learned["rotation"],
        "other": learned["recall"],
        "uniform": np.ones(every.shape),
    }
    found: Results = {}
    for name, weight in weights.items():
        info = aggregate.decide(swarm.config, late, weight.astype(np.float32), every, rate=1.0)
        found[name] = aggregate.accuracy(info.winners, right[:, half:])
    with np.errstate(invalid="ignore"):
        found["correlation"] = np.nan_to_num(
            [
                np.corrcoef(a, b)[0, 1]
                for a, b in zip(learned["rotation"], learned["recall"], strict=True)
            ]
        )
    return found
