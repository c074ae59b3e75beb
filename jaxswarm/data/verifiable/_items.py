"""Questions with solutions and families of them, and what generators share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

ALPHABET = "\n!%&()*+/0123456789<=>?abcdefghr|"
"""All characters of the tasks of this module, for one tokenizer of all."""

VERIFICATION = ("easy", "hard")


class Item(NamedTuple):
    """One question with its solution.

    Attributes:
        question: text, ends with ``=``.
        solution: steps, one per line; the last line is the answer.
        answer: the last line.
    """

    question: str
    solution: str
    answer: str


class Task(NamedTuple):
    """A family of questions.

    Attributes:
        name: of the family.
        draw: ``draw(rng) -> Item`` with a ``numpy.random.Generator``.
        verification: ``"easy"`` if a check of an answer takes less work than a solution, ``"hard"``
            if it has to solve the question again.
    """

    name: str
    draw: Callable[[np.random.Generator], Item]
    verification: str


def make_item(question: str, lines: Sequence[str]) -> Item:
    """Item of a question without its ``=`` and the lines of its solution."""
    return Item(f"{question}=", "\n".join(lines), lines[-1])


def draw_letters(rng: np.random.Generator, length: int, num_symbols: int) -> str:
    """Text of letters of the beginning of the alphabet ``abcdefgh``."""
    return "".join("abcdefgh"[i] for i in rng.integers(0, num_symbols, length))
