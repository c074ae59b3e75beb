"""Tasks whose answer is the only line of the solution, and knobs for their difficulty."""

import numpy as np

from jaxswarm import checks
from jaxswarm.data.verifiable._items import Item, Task, draw_letters, make_item


def products(digits: int = 1) -> Task:
    """Product of two numbers, in one step.

    Args:
        digits: of each factor, at least 1.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import numpy as np
        >>> products().draw(np.random.default_rng(1))
        Item(question='4*5=', solution='20', answer='20')
    """
    digits = checks.whole("digits", digits, 1, 9)

    def draw(rng: np.random.Generator) -> Item:
        a, b = (int(value) for value in rng.integers(0, 10**digits, 2))
        return make_item(f"{a}*{b}", [str(a * b)])

    return Task("products", draw, "hard")


def counting(length: int = 4, num_symbols: int = 3) -> Task:
    """Number of times that a letter occurs in a text, in one step.

    Args:
        length: number of letters, from 2 to 9.
        num_symbols: of the alphabet ``abcdefgh``, from 2 to 8.

    Raises:
        ValueError: for sizes out of range.
    """
    length = checks.whole("length", length, 2, 9)
    num_symbols = checks.whole("num_symbols", num_symbols, 2, 8)

    def draw(rng: np.random.Generator) -> Item:
        letter, text = draw_letters(rng, 1, num_symbols), draw_letters(rng, length, num_symbols)
        return make_item(f"{letter}!{text}", [str(text.count(letter))])

    return Task("counting", draw, "hard")


def letter_shift(length: int = 3, num_symbols: int = 8) -> Task:
    """Each letter of a text replaced by the next one, the last letter by the first, in one step.

    Args:
        length: number of letters, at least 2.
        num_symbols: of the alphabet ``abcdefgh``, from 2 to 8.

    Raises:
        ValueError: for sizes out of range.
    """
    length = checks.whole("length", length, 2)
    num_symbols = checks.whole("num_symbols", num_symbols, 2, 8)

    def draw(rng: np.random.Generator) -> Item:
        places = rng.integers(0, num_symbols, length)
        text = "".join("abcdefgh"[i] for i in places)
        return make_item(f"+{text}", ["".join("abcdefgh"[(i + 1) % num_symbols] for i in places)])

    return Task("letter_shift", draw, "easy")


def maximum(length: int = 4) -> Task:
    """Largest of several digits, in one step.

    Args:
        length: number of digits, at least 2.

    Raises:
        ValueError: for sizes out of range.
    """
    length = checks.whole("length", length, 2)

    def draw(rng: np.random.Generator) -> Item:
        digits = rng.integers(0, 10, length)
        return make_item("?" + "".join(map(str, digits)), [str(digits.max())])

    return Task("maximum", draw, "hard")


def remainders(digits: int = 2) -> Task:
    """Remainder of a number divided by a number from 2 to 9, in one step.

    Args:
        digits: of the dividend, at least 1.

    Raises:
        ValueError: for sizes out of range.
    """
    digits = checks.whole("digits", digits, 1, 15)

    def draw(rng: np.random.Generator) -> Item:
        number, divisor = int(rng.integers(0, 10**digits)), int(rng.integers(2, 10))
        return make_item(f"{number}%{divisor}", [str(number % divisor)])

    return Task("remainders", draw, "hard")


def quotients(digits: int = 2) -> Task:
    """Whole part of a number divided by a number from 2 to 9, in one step.

    Args:
        digits: of the dividend, at least 1.

    Raises:
        ValueError: for sizes out of range.
    """
    digits = checks.whole("digits", digits, 1, 15)

    def draw(rng: np.random.Generator) -> Item:
        number, divisor = int(rng.integers(0, 10**digits)), int(rng.integers(2, 10))
        return make_item(f"{number}/{divisor}", [str(number // divisor)])

    return Task("quotients", draw, "easy")


def duplication(length: int = 3, num_symbols: int = 8) -> Task:
    """A text of letters written twice, in one step.

    Args:
        length: number of letters, at least 2.
        num_symbols: of the alphabet ``abcdefgh``, from 2 to 8.

    Raises:
        ValueError: for sizes out of range.
    """
    length = checks.whole("length", length, 2)
    num_symbols = checks.whole("num_symbols", num_symbols, 2, 8)

    def draw(rng: np.random.Generator) -> Item:
        text = draw_letters(rng, length, num_symbols)
        return make_item(f"|{text}", [text * 2])

    return Task("duplication", draw, "easy")
