"""Chain sums of small digits, and demonstrations that slip in one line and go on from there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.step_dapo.config import Config
from jaxswarm import language
from jaxswarm.data import verifiable
from jaxswarm.models import transformer

TOKENIZER = verifiable.tokenizer()
NEWLINE = TOKENIZER.token("\n")
REWARD = language.exact_match_reward(NEWLINE)
SLIPS = (-3, -2, -1, 1, 2, 3)


class World(NamedTuple):
    """Questions of one seed, as arrays: demonstrations, to learn from, held out."""

    demonstrations: verifiable.Problems
    train: verifiable.Problems
    test: verifiable.Problems


def task(config: Config) -> verifiable.Task:
    """Running sums of ``terms`` digits up to ``largest``, line by line."""

    def draw(rng: np.random.Generator) -> verifiable.Item:
        digits = rng.integers(0, config.largest + 1, config.terms)
        lines = [str(value) for value in np.cumsum(digits)[1:]]
        return verifiable.Item("+".join(map(str, digits)) + "=", "\n".join(lines), lines[-1])

    return verifiable.Task("chain_sums", draw, "hard")


def slip(rng: np.random.Generator, item: verifiable.Item) -> str:
    """Add a small number to one line and to all that follow."""
    lines = [int(line) for line in item.solution.split("\n")]
    place, change = int(rng.integers(len(lines))), int(rng.choice(SLIPS))
    if lines[place] + change < 0:
        change = -change
    return "\n".join(str(v + change if i >= place else v) for i, v in enumerate(lines))


def world(config: Config, seed: int) -> World:
    """Draw the questions of a seed; those to learn from and those held out differ."""
    count = config.questions + config.test_questions
    split = verifiable.draw_items(task(config), count, seed, distinct=True)
    held_out = {item.question for item in split}
    drawn = verifiable.draw_items(task(config), 3 * config.demonstrations, seed + 1)
    own = [item for item in drawn if item.question not in held_out][: config.demonstrations]
    noisy, _ = verifiable.with_mistakes(own, config.mistakes, seed, mistake=slip)
    lengths = {
        "prompt_length": 2 * config.terms,
        "solution_length": response_length(config),
        "answer_length": 2,
    }
    parts = (noisy, split[: config.questions], split[config.questions :])
    return World(
        *(
            jax.tree.map(jnp.asarray, verifiable.to_arrays(part, TOKENIZER, **lengths))
            for part in parts
        )
    )


def response_length(config: Config) -> int:
    """Most tokens of a response: lines of two digits, each with its newline or end."""
    return 3 * (config.terms - 1)


def policy(config: Config) -> transformer.LanguageModel:
    """The transformer that all arms train."""
    return transformer.from_config(transformer.Config(TOKENIZER.vocab_size, width=config.width))
