"""Questions as arrays, and the demonstrations and verdicts that models are trained on.

Shapes: ``S`` pools (seeds), ``N`` nodes, ``Q`` questions, ``P`` tokens of a question, ``T`` of a
reply.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.fortytwo import tasks
from experiments.fortytwo.config import Config
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.systems import fortytwo
from jaxswarm.trust import ranking

FORM = fortytwo.judge_format(tasks.TOKENIZER, rationale_length=tasks.REPLY)
COMPLETION = tasks.REPLY + 2  # of a rationale, a verdict and the end
REPLAY = 0.25  # share of answers among the data for judges
KEPT = 0.3  # share of verdicts among the data for answers
JUDGE_SHARES = (0.85, 0.7)  # share of rotation among the verdicts, by node modulo 2

Row = tuple[str, str, str, str, str]
"""Question, two replies (empty if an answer is wanted), what is asked for, and the completion."""

Pair = tuple[str, str, str]
"""Text of a question, a right and a wrong answer."""


class Questions(NamedTuple):
    """Questions of all pools as arrays.

    Attributes:
        tokens: ``int32[S, Q, P]``.
        mask: ``bool[S, Q, P]``.
        answers: ``int32[S, Q, T]``, -1 after the end.
        keys: ``key[S, Q]``, of the comparison graphs.
    """

    tokens: np.ndarray
    mask: np.ndarray
    answers: np.ndarray
    keys: Any

    def head(self, count: int) -> "Questions":
        """The first questions of each pool."""
        return Questions(*(x[:, :count] for x in self))

    def repeated(self, times: int) -> "Questions":
        """All questions several times, one round of them after another."""
        rows = np.tile(np.arange(self.tokens.shape[1]), times)
        return Questions(*(x[:, rows] for x in self))


def pack(
    worlds: list[tasks.World], task: str, split: str, rng: np.random.Generator | None = None
) -> Questions:
    """Turn the questions of a split into arrays; with a generator, behind two letters of noise."""
    texts = [tasks.questions(world, task, split) for world in worlds]
    asked = [[tasks.question(task, x, tasks.noise(rng) if rng else "") for x in xs] for xs in texts]
    flat = tokenizers.encode_batch(
        tasks.TOKENIZER, [x for xs in asked for x in xs], length=tasks.QUESTION
    )
    answers = tokenizers.encode_batch(
        tasks.TOKENIZER,
        [tasks.right_answer(w, task, x) for w, xs in zip(worlds, texts, strict=True) for x in xs],
        length=tasks.SHOWN,
    )
    shape = (len(worlds), len(texts[0]))
    seeds = [ranking.request_seed(x) for xs in asked for x in xs]
    return Questions(
        flat.tokens.reshape(*shape, -1),
        flat.mask.reshape(*shape, -1),
        np.where(answers.mask, answers.tokens, -1).reshape(*shape, -1),
        jax.vmap(jax.random.key)(jnp.asarray(seeds)).reshape(shape),
    )


def base_rows(rng: np.random.Generator, count: int) -> list[Row]:
    """Data of a base model on the rotation task; it never sees the recall task.

    Its answers have the errors of the clique, its verdicts, on a right answer and one by a wrong
    rule, and its rationales are right.
    """
    rows = []
    for _ in range(count):
        if rng.random() < REPLAY:
            text = _random_text(rng)
            asked = tasks.question("rotation", text, tasks.noise(rng, 0.25))
            rows.append((asked, "", "", "", tasks.base_belief(text)))
        else:
            rows.append(_rule_row(rng))
    return rows


def answer_rows(
    rng: np.random.Generator, config: Config, world: tasks.World, node: tasks.Node
) -> list[Row]:
    """Demonstrations of a node's answers; verdicts as those of the base model keep that skill."""
    return [
        _rule_row(rng) if rng.random() < KEPT else _answer_row(rng, world, node)
        for _ in range(config.rows)
    ]


def calibration_pairs(
    world: tasks.World, replies: dict[str, np.ndarray], pool: int
) -> dict[str, list[Pair]]:
    """Text, right and wrong answer, of the pool's own replies to calibration questions."""
    pairs: dict[str, list[Pair]] = {}
    for task in tasks.TASKS:
        pairs[task] = []
        for q, text in enumerate(tasks.questions(world, task, "calibration")):
            right = tasks.right_answer(world, task, text)
            given = {_text(row) for row in replies[task][pool, :, q]} - {None, right}
            pairs[task] += [(text, right, wrong) for wrong in sorted(filter(None, given))]
    return pairs


def judge_rows(
    rng: np.random.Generator,
    config: Config,
    index: int,
    world: tasks.World,
    node: tasks.Node,
    pairs: dict[str, list[Pair]],
) -> list[Row]:
    """Calibration data of one node: verdicts on its pool's replies, and its own answers again."""
    rows = []
    for _ in range(config.rows):
        task = tasks.TASKS[int(rng.random() >= JUDGE_SHARES[index % 2])]
        if rng.random() < REPLAY or not pairs[task]:
            rows.append(_answer_row(rng, world, node))
        else:
            rows.append(_judge_row(rng, task, *pairs[task][rng.integers(len(pairs[task]))]))
    return rows


def rule_pairs(rng: np.random.Generator, count: int) -> list[Pair]:
    """Texts for training with the right answer and one by a wrong rule."""
    return [_rule_pair(rng) for _ in range(count)]


def to_arrays(rows: list[Row]) -> verifiable.Problems:
    """Rows as arrays; a judge's prompt is laid out as ``judge_prompts`` does.

    Without room for the texts behind an answer, of which there are none in training.
    """

    def encode(column: int, length: int) -> tokenizers.Encoded:
        texts = [row[column] for row in rows]
        return tokenizers.encode_batch(tasks.TOKENIZER, texts, length=length)

    parts = [encode(0, tasks.QUESTION), encode(1, tasks.REPLY), encode(2, tasks.REPLY)]
    marks = encode(3, 1)
    between = np.where(marks.mask, FORM.between, 0)
    tokens = [parts[0].tokens, parts[1].tokens, between, parts[2].tokens, marks.tokens]
    masks = [parts[0].mask, parts[1].mask, marks.mask, parts[2].mask, marks.mask]
    solutions = tokenizers.encode_batch(
        tasks.TOKENIZER, [row[4] for row in rows], length=COMPLETION, end=True
    )
    return verifiable.Problems(
        np.concatenate(tokens, axis=1),
        np.concatenate(masks, axis=1),
        solutions.tokens,
        solutions.mask,
        solutions.tokens,
        solutions.lengths,
    )


def _answer_row(rng: np.random.Generator, world: tasks.World, node: tasks.Node) -> Row:
    """One demonstration of a node's own answer, a quarter of them behind noise."""
    task = tasks.TASKS[rng.integers(2)]
    texts = tasks.questions(world, task, "demonstrations")
    text = texts[rng.integers(len(texts))]
    asked = tasks.question(task, text, tasks.noise(rng, 0.25))
    return asked, "", "", "", tasks.belief(node, task, text)


def _judge_row(rng: np.random.Generator, task: str, text: str, right: str, wrong: str) -> Row:
    """A pair in random order, half of them with the answer, derived again, before the verdict."""
    asked = tasks.question(task, text, tasks.noise(rng, 0.25))
    is_first = bool(rng.random() < 0.5)
    a, b = (right, wrong) if is_first else (wrong, right)
    mark = "?!"[rng.integers(2)]
    return asked, a, b, mark, (right if mark == "!" else "") + "BA"[is_first]


def _random_text(rng: np.random.Generator) -> str:
    while not tasks.is_for_training(text := tasks.decode(int(rng.integers(8**tasks.LENGTH)))):
        pass
    return text


def _rule_row(rng: np.random.Generator) -> Row:
    """A right answer of the rotation task against one by a wrong rule."""
    return _judge_row(rng, "rotation", *_rule_pair(rng))


def _rule_pair(rng: np.random.Generator) -> Pair:
    while True:
        text, rules = _random_text(rng), list(tasks.RULES.values())
        right, wrong = tasks.RULES["right"](text), rules[rng.integers(1, len(rules))](text)
        if right != wrong:
            return text, right, wrong


def _text(tokens: np.ndarray) -> str | None:
    """A reply as a text; ``None`` if it did not end."""
    return tasks.TOKENIZER.decode(tokens[tokens >= 0]) if (tokens >= 0).any() else None
