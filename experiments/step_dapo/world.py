"""Running maxima, and demonstrations that slip in one line and go on from there."""

from typing import NamedTuple

import numpy as np

from experiments.step_dapo.config import Config
from jaxswarm.data import verifiable
from jaxswarm.models import transformer

TOKENIZER = verifiable.tokenizer()
NEWLINE = TOKENIZER.token("\n")
DIGITS = 10


class World(NamedTuple):
    """Questions of one seed, as arrays.

    Attributes:
        demonstrations: with noisy solutions, to fine-tune on; leaves ``[M, C, ...]``, ``C``
            demonstrations of each question.
        train: that methods learn from; only the oracle critic reads their solutions.
        test: held out from all of these.
    """

    demonstrations: verifiable.Problems
    train: verifiable.Problems
    test: verifiable.Problems


def task(config: Config) -> verifiable.Task:
    """Running maxima of ``terms`` digits, one on each line, from that of the first two on."""

    def draw(rng: np.random.Generator) -> verifiable.Item:
        digits = rng.integers(0, DIGITS, config.terms)
        lines = [str(value) for value in np.maximum.accumulate(digits)[1:]]
        return verifiable.Item("+".join(map(str, digits)) + "=", "\n".join(lines), lines[-1])

    return verifiable.Task("running_maxima", draw, "hard")


def slip(rng: np.random.Generator, item: verifiable.Item) -> str:
    """Write a larger digit on one line (a smaller one in place of 9) and go on from it.

    Slips after which the answer is right all the same are drawn anew.
    """
    given = [int(digit) for digit in item.question[:-1].split("+")]
    while True:
        place, current = int(rng.integers(len(given) - 1)), given[0]
        lines = []
        for index, digit in enumerate(given[1:]):
            current = max(current, digit)
            if index == place:
                low, high = (current + 1, DIGITS) if current < DIGITS - 1 else (0, current)
                current = int(rng.integers(low, high))
            lines.append(str(current))
        if lines[-1] != item.answer:
            return "\n".join(lines)


def world(config: Config, seed: int) -> World:
    """Draw the questions of a seed; no other question is one of those held out."""
    count = config.questions + config.test_questions
    split = verifiable.draw_items(task(config), count, seed, distinct=True)
    held_out = {item.question for item in split[config.questions :]}
    drawn = verifiable.draw_items(task(config), 3 * config.demonstrations, seed + 1)
    own = [item for item in drawn if item.question not in held_out][: config.demonstrations]
    copies = [item for item in own for _ in range(config.rows)]
    noisy, _ = verifiable.with_mistakes(copies, config.mistakes, seed, mistake=slip)
    lengths = {
        "prompt_length": 2 * config.terms,
        "solution_length": response_length(config),
        "answer_length": 1,
    }
    shown, train, test = (
        verifiable.to_arrays(part, TOKENIZER, **lengths)
        for part in (noisy, split[: config.questions], split[config.questions :])
    )
    grouped = (np.asarray(x) for x in shown)
    return World(
        verifiable.Problems(
            *(x.reshape(config.demonstrations, config.rows, *x.shape[1:]) for x in grouped)
        ),
        train,
        test,
    )


def response_length(config: Config) -> int:
    """Tokens of a response: lines of one digit, each with its newline or end."""
    return 2 * (config.terms - 1)


def policy(config: Config) -> transformer.LanguageModel:
    """The transformer that all arms train; its value head is used by critics alone."""
    return transformer.from_config(
        transformer.Config(
            TOKENIZER.vocab_size, width=config.width, num_layers=config.layers, value_head=True
        )
    )
