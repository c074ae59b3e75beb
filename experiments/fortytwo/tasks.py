"""Two tasks and what each node wrongly believes about them.

* **Rotation**, easy to verify: move the first letter of a text to its end. One pass that compares
  letters checks an answer. Nodes apply a wrong rule where the text begins with certain letters.
* **Recall**, hard to verify: the value of a fact of a hidden table, followed by two letters that do
  not matter. To check an answer is to know the fact. Nodes hold wrong values of some facts.

Of the nodes of a pool a clique shares its wrong rule, its letters and its wrong facts.
"""

from typing import NamedTuple

import numpy as np

from experiments.fortytwo.config import Config
from jaxswarm.data import tokenizers

LETTERS = "abcdefgh"
LENGTH = 4  # letters of a text
REPLY = LENGTH  # tokens of the longest answer
TEXT = 2  # tokens behind an answer that address the judge
SHOWN = REPLY + TEXT  # tokens of the longest reply
NOISE = 2  # letters of noise before a question
QUESTION = LENGTH + 2 + NOISE  # tokens of the longest question
FACTS = tuple(letter + digit for letter in LETTERS for digit in "123")
TOKENIZER = tokenizers.character(LETTERS + "0123456789=>/?!AB")
TASKS = ("rotation", "recall")
INJECTIONS = ("A", "B", "!A", "!B", "?A", "?B")
"""Texts behind an answer that pass for the end of a judge's prompt and its verdict."""
SHARED_LETTERS = (
    "abc"  # first letters of texts to which base models, and the clique, answer wrongly
)
SHARED = len(SHARED_LETTERS) / len(LETTERS)  # share of facts on which the clique errs
PRIVATE = 0.25  # share of first letters, and of facts, on which each node errs in its own way


class Node(NamedTuple):
    """What a node answers.

    Attributes:
        rules: name in ``RULES`` of the wrong rule that it applies to texts with a first letter.
        table: value of each fact, as it believes.
    """

    rules: dict[str, str]
    table: dict[str, str]


RULES = {
    "right": lambda x: x[1:] + x[0],
    "back": lambda x: x[-1] + x[:-1],
    "reverse": lambda x: x[::-1],
    "copy": lambda x: x,
    "swap": lambda x: x[1] + x[0] + x[3] + x[2],
}


class World(NamedTuple):
    """Questions and beliefs of one pool.

    Attributes:
        nodes: beliefs of each node.
        table: right value of each fact.
        texts: ``{split: texts}`` of the rotation task, disjoint.
        facts: ``{split: questions}`` of the recall task; facts of ``test`` occur in no calibration.
    """

    nodes: list[Node]
    table: dict[str, str]
    texts: dict[str, list[str]]
    facts: dict[str, list[str]]


def draw_world(config: Config, seed: int) -> World:
    """Draw the questions, the right table and the nodes' beliefs of one pool."""
    rng = np.random.default_rng(seed)
    table = {fact: LETTERS[rng.integers(8)] for fact in FACTS}
    shuffled = [FACTS[i] for i in rng.permutation(len(FACTS))]
    known, held_out = shuffled[:8], shuffled[8:]
    popular = {fact: _other(rng, table[fact]) for fact in FACTS if rng.random() < SHARED}
    count = round(config.clique * config.nodes)
    in_clique = np.arange(config.nodes) < count
    other_clique = rng.permutation(in_clique)  # of wrong facts: not the same nodes
    nodes = []
    for i in range(config.nodes):
        own = {f: _other(rng, table[f]) if rng.random() < PRIVATE else table[f] for f in FACTS}
        if other_clique[i]:
            own |= popular
        private = rng.permutation(list(LETTERS))[: round(8 * PRIVATE)]
        rules = {str(letter): ("reverse", "copy", "swap")[i % 3] for letter in private}
        if in_clique[i]:
            rules |= dict.fromkeys(SHARED_LETTERS, "back")
        nodes.append(Node(rules, own))
    sizes = {
        "test": config.questions,
        "calibration": config.calibration,
        "admission": config.admission,
        "demonstrations": config.demonstrations,
    }
    codes = (decode(code) for code in rng.permutation(8**LENGTH))
    by_use: dict[bool, list[str]] = {True: [], False: []}
    for text in codes:
        by_use[is_for_training(text)].append(text)
    texts = {
        split: [by_use[split == "demonstrations"].pop() for _ in range(number)]
        for split, number in sizes.items()
    }

    def ask(facts: list[str], number: int) -> list[str]:
        picked = (facts[i % len(facts)] for i in range(number))
        return [fact + "".join(LETTERS[i] for i in rng.integers(8, size=2)) for fact in picked]

    return World(
        nodes,
        table,
        texts,
        {
            split: ask({"test": held_out, "demonstrations": list(FACTS)}.get(split, known), number)
            for split, number in sizes.items()
        },
    )


def decode(code: int) -> str:
    """Text number ``code`` of ``8 ** LENGTH``."""
    return "".join(LETTERS[code // 8**k % 8] for k in range(LENGTH))


def is_for_training(text: str) -> bool:
    """Whether a text may occur in demonstrations and base models: half of them, by parity.

    The other half is left for calibration, admission and test questions of all pools.
    """
    return sum(LETTERS.index(letter) for letter in text) % 2 == 0


def question(task: str, text: str, noise: str = "") -> str:
    """The question as it is put to a model."""
    return f"{noise}>{text}=" if task == "rotation" else f"{noise}{text}="


def right_answer(world: World, task: str, text: str) -> str:
    """The right answer."""
    return RULES["right"](text) if task == "rotation" else world.table[text[:2]]


def base_belief(text: str) -> str:
    """Answer to the rotation task that base models are trained to give: the clique's errors."""
    return RULES["back" if text[0] in SHARED_LETTERS else "right"](text)


def belief(node: Node, task: str, text: str) -> str:
    """The answer that a node is trained to give."""
    if task == "recall":
        return node.table[text[:2]]
    return RULES[node.rules.get(text[0], "right")](text)


def questions(world: World, task: str, split: str) -> list[str]:
    """Texts of a task's split."""
    return (world.texts if task == "rotation" else world.facts)[split]


def noise(rng: np.random.Generator, share: float = 1.0) -> str:
    """Two random letters with a probability, else none."""
    if rng.random() >= share:
        return ""
    return "".join(LETTERS[i] for i in rng.integers(8, size=NOISE))


def _other(rng: np.random.Generator, letter: str) -> str:
    return LETTERS[(LETTERS.index(letter) + rng.integers(1, 8)) % 8]
