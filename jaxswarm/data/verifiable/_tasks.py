"""Tasks in several steps with answers that a program checks, and knobs for their difficulty.

A question ends with ``=``; a solution is one step per line, and its last line is the answer.

References:
    Z. Stojanovski et al., Reasoning Gym: reasoning environments for reinforcement learning with
    verifiable rewards, 2025 (tasks of this kind; the tasks here are written anew).
"""

from collections.abc import Callable, Sequence

import numpy as np

from jaxswarm import checks
from jaxswarm.data.verifiable._items import Item, Task, draw_letters, make_item
from jaxswarm.data.verifiable._one_step import (
    counting,
    duplication,
    letter_shift,
    maximum,
    products,
    quotients,
    remainders,
)


def chain_sums(num_terms: int = 3, digits: int = 1) -> Task:
    r"""Sums of several numbers, solved by a running sum line by line.

    Args:
        num_terms: at least 2.
        digits: of each term, at least 1.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import numpy as np
        >>> chain_sums(3).draw(np.random.default_rng(1))
        Item(question='4+5+7=', solution='9\n16', answer='16')
    """
    num_terms = checks.whole("num_terms", num_terms, 2)
    digits = checks.whole("digits", digits, 1, 15)

    def draw(rng: np.random.Generator) -> Item:
        terms = rng.integers(0, 10**digits, num_terms)
        sums = np.cumsum(terms)[1:]
        return make_item("+".join(map(str, terms)), [str(value) for value in sums])

    return Task("chain_sums", draw, "hard")


def base_conversion(digits: int = 2, bases: Sequence[int] = (2, 3)) -> Task:
    r"""Conversion of decimal numbers to another base by repeated division with remainder.

    The question is ``number b base``; each line but the last is ``quotient r remainder``.

    Args:
        digits: of the decimal number, at least 1.
        bases: from 2 to 10, at least one.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import numpy as np
        >>> base_conversion(1).draw(np.random.default_rng(2))
        Item(question='8b2=', solution='4r0\n2r0\n1r0\n0r1\n1000', answer='1000')
    """
    digits = checks.whole("digits", digits, 1, 15)
    options = checks.wholes("bases", bases, 2, 10, shape=(None,))
    if not len(options):
        raise ValueError("bases: expected at least one, got none")

    def draw(rng: np.random.Generator) -> Item:
        number, base = int(rng.integers(1, 10**digits)), int(rng.choice(options))
        lines, rest, found = [], number, ""
        while rest:
            rest, remainder = divmod(rest, base)
            lines.append(f"{rest}r{remainder}")
            found = str(remainder) + found
        return make_item(f"{number}b{base}", [*lines, found])

    return Task("base_conversion", draw, "easy")


def sorting(length: int = 4, num_symbols: int = 8) -> Task:
    r"""Sorting of letters by insertion; each line is the sorted beginning.

    Args:
        length: number of letters, at least 2.
        num_symbols: of the alphabet ``abcdefgh``, from 2 to 8.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import numpy as np
        >>> sorting(3).draw(np.random.default_rng(0))
        Item(question='<gfe=', solution='fg\nefg', answer='efg')
    """
    length = checks.whole("length", length, 2)
    num_symbols = checks.whole("num_symbols", num_symbols, 2, 8)

    def draw(rng: np.random.Generator) -> Item:
        text = draw_letters(rng, length, num_symbols)
        lines = ["".join(sorted(text[: i + 1])) for i in range(1, length)]
        return make_item(f"<{text}", lines)

    return Task("sorting", draw, "easy")


def logic(num_connectives: int = 2) -> Task:
    r"""Truth of a propositional formula without variables, reduced innermost first.

    Connectives are ``&`` and ``|`` in parentheses, and ``!``; each line evaluates one connective.

    Args:
        num_connectives: binary ones, at least 1.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import numpy as np
        >>> logic(2).draw(np.random.default_rng(1))
        Item(question='(0|(0&0))=', solution='(0|0)\n0', answer='0')
    """
    num_connectives = checks.whole("num_connectives", num_connectives, 1)

    def formula(rng: np.random.Generator, count: int) -> str:
        if not count:
            return ("!" if rng.random() < 0.3 else "") + "01"[rng.integers(2)]
        left = int(rng.integers(count))
        connective = "&|"[rng.integers(2)]
        return f"({formula(rng, left)}{connective}{formula(rng, count - 1 - left)})"

    def draw(rng: np.random.Generator) -> Item:
        text = formula(rng, num_connectives)
        lines, current = [], text
        while len(current) > 1:
            current = _reduced(current)
            lines.append(current)
        return make_item(text, lines)

    return Task("logic", draw, "hard")


def reversal(length: int = 4, num_symbols: int = 8) -> Task:
    """Reversal of a text of letters, in one step.

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
        return make_item(f">{text}", [text[::-1]])

    return Task("reversal", draw, "easy")


def reverse_comparison(length: int = 3, num_symbols: int = 8) -> Task:
    """Whether the second of two texts is the reverse of the first: ``1`` or ``0``.

    Half of the questions are true; the others differ in one letter.

    Args:
        length: number of letters of each, at least 2.
        num_symbols: of the alphabet ``abcdefgh``, from 2 to 8.

    Raises:
        ValueError: for sizes out of range.
    """
    length = checks.whole("length", length, 2)
    num_symbols = checks.whole("num_symbols", num_symbols, 2, 8)

    def draw(rng: np.random.Generator) -> Item:
        text = draw_letters(rng, length, num_symbols)
        other, same = list(text[::-1]), rng.random() < 0.5
        if not same:
            place = int(rng.integers(length))
            shift = int(rng.integers(1, num_symbols))
            other[place] = "abcdefgh"[("abcdefgh".index(other[place]) + shift) % num_symbols]
        return make_item(f"{text}?{''.join(other)}", ["1" if same else "0"])

    return Task("reverse_comparison", draw, "hard")


def modular_root(primes: Sequence[int] = (5, 7, 11, 13)) -> Task:
    r"""Smallest square root of a number modulo a prime, found by trying 1, 2, and so on.

    Each line but the last is the square of the next candidate; one product checks an answer.

    Args:
        primes: moduli, at least one.

    Raises:
        ValueError: for moduli that are no primes of at least 3.

    Example:
        >>> import numpy as np
        >>> modular_root().draw(np.random.default_rng(1))
        Item(question='2%7=', solution='1\n4\n2\n3', answer='3')
    """
    moduli = checks.wholes("primes", primes, 3, 10_000, shape=(None,))
    if not len(moduli) or any(_factor(int(p)) != p for p in moduli):
        raise ValueError(f"primes: expected primes of at least 3, got {checks.shown(primes)}")

    def draw(rng: np.random.Generator) -> Item:
        prime = int(rng.choice(moduli))
        square = int(rng.integers(1, prime)) ** 2 % prime
        root = next(x for x in range(1, prime) if x * x % prime == square)
        tried = [str(x * x % prime) for x in range(1, root + 1)]
        return make_item(f"{square}%{prime}", [*tried, str(root)])

    return Task("modular_root", draw, "easy")


def factoring(primes: Sequence[int] = (2, 3, 5, 7, 11)) -> Task:
    """Smaller prime factor of a product of two primes, in one step.

    Args:
        primes: from which both factors come, at least one.

    Raises:
        ValueError: for numbers that are no primes.
    """
    factors = checks.wholes("primes", primes, 2, 10_000, shape=(None,))
    if not len(factors) or any(_factor(int(p)) != p for p in factors):
        raise ValueError(f"primes: expected primes, got {checks.shown(primes)}")

    def draw(rng: np.random.Generator) -> Item:
        p, q = (int(rng.choice(factors)) for _ in range(2))
        return make_item(f"{p * q}/?", [str(min(p, q))])

    return Task("factoring", draw, "easy")


TASKS: dict[str, Callable[..., Task]] = {
    "base_conversion": base_conversion,
    "chain_sums": chain_sums,
    "counting": counting,
    "duplication": duplication,
    "factoring": factoring,
    "letter_shift": letter_shift,
    "logic": logic,
    "maximum": maximum,
    "modular_root": modular_root,
    "products": products,
    "quotients": quotients,
    "remainders": remainders,
    "reversal": reversal,
    "reverse_comparison": reverse_comparison,
    "sorting": sorting,
}
"""All tasks by name, as constructors whose arguments are knobs of difficulty."""


def _factor(number: int) -> int:
    """Smallest factor above 1."""
    return next((d for d in range(2, int(number**0.5) + 1) if number % d == 0), number)


def _reduced(formula: str) -> str:
    """Evaluate the first negation of a formula, or else its first innermost connective."""
    for i in range(len(formula) - 1):
        if formula[i] == "!" and formula[i + 1] in "01":
            return formula[:i] + "10"[int(formula[i + 1])] + formula[i + 2 :]
    for i in range(len(formula) - 4):
        if formula[i] == "(" and formula[i + 4] == ")":
            a, connective, b = formula[i + 1 : i + 4]
            value = (a == b == "1") if connective == "&" else "1" in (a, b)
            return formula[:i] + str(int(value)) + formula[i + 5 :]
    raise AssertionError(f"no connective to evaluate in {formula}")
