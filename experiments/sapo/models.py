"""Four families of questions, and base models of a wanted pass rate.

Shapes: ``S`` seeds, ``F = 4`` families, ``M`` questions.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.sapo.config import Config
from jaxswarm import language
from jaxswarm.data import verifiable
from jaxswarm.models import transformer

LETTERS = "abcdefgh"
LENGTH = 3
MAX_NEW_TOKENS = LENGTH + 1  # the answer and its end
TOKENIZER = verifiable.tokenizer()
NEWLINE = TOKENIZER.token("\n")
FAMILIES = ("reversal", "sorting", "rotation", "successor")
SPECIALTIES = ((0, 1), (2, 3))  # families that the first and the second half of the agents know


class Data(NamedTuple):
    """Questions of a run; family of question ``i`` is ``i % F``.

    Attributes:
        training: ``[M, ...]``.
        held_out: ``[M', ...]``, none of which is in ``training``.
        demonstrations: of the training questions, some of them wrong.
    """

    training: verifiable.Problems
    held_out: verifiable.Problems
    demonstrations: verifiable.Problems


def families() -> list[verifiable.Task]:
    """One task for each of :data:`FAMILIES`: three letters in, three letters out."""

    def successor(text: str) -> str:
        return "".join(LETTERS[(LETTERS.index(c) + 1) % len(LETTERS)] for c in text)

    answers = {
        "reversal": (">", lambda text: text[::-1]),
        "sorting": ("<", lambda text: "".join(sorted(text))),
        "rotation": ("%", lambda text: text[1:] + text[0]),
        "successor": ("+", successor),
    }

    def task(name: str) -> verifiable.Task:
        sign, answer = answers[name]

        def draw(rng: np.random.Generator) -> verifiable.Item:
            text = "".join(LETTERS[i] for i in rng.integers(0, len(LETTERS), LENGTH))
            return verifiable.Item(f"{sign}{text}=", answer(text), answer(text))

        return verifiable.Task(name, draw, "easy")

    return [task(name) for name in FAMILIES]


def draw_data(config: Config) -> Data:
    """Draw the questions of a run, all of them different."""
    count = config.pool + config.held_out
    items = verifiable.draw_items(families(), count, config.seed, distinct=True)
    training, held_out = items[: config.pool], items[config.pool :]
    noisy, _ = verifiable.with_mistakes(training, config.mistakes, config.seed + 1)
    arrays = (verifiable.to_arrays(each, TOKENIZER) for each in (training, held_out, noisy))
    return Data(*arrays)


@functools.cache
def language_model(width: int, layers: int) -> transformer.LanguageModel:
    """The transformer of all agents."""
    return transformer.from_config(
        transformer.Config(TOKENIZER.vocab_size, width=width, num_layers=layers, num_heads=2)
    )


def base_models(config: Config, data: Data) -> dict[str, Any]:
    """Fine-tune base models for every seed.

    Returns:
        ``base`` and ``high``, parameters with leaves ``[S, ...]``; ``specialists``, leaves
        ``[S, 2, ...]``, one for each of :data:`SPECIALTIES`, fine-tuned on those families alone.
    """
    model = language_model(config.width, config.layers)
    keys = list(jax.random.split(jax.random.key(config.seed), config.seeds))

    def tune(key: Any, params: Any, target: float, known: tuple[int, ...]) -> Any:
        def chosen(problems: verifiable.Problems) -> verifiable.Problems:
            count = len(problems.prompts)
            rows = np.flatnonzero(np.isin(np.arange(count) % len(FAMILIES), known))
            rows = np.resize(rows, count)  # one shape, one compiled program
            return jax.tree.map(lambda x: x[rows], problems)

        return language.fine_tune(
            key,
            model,
            params,
            chosen(data.demonstrations),
            chosen(data.held_out),
            target=target,
            separator=NEWLINE,
            max_new_tokens=MAX_NEW_TOKENS,
            batch_size=config.sft_batch,
            steps_per_check=10,
            max_steps=config.sft_steps,
            num_samples=config.sft_samples,
            cache=config.cache or None,
        ).params

    every = tuple(range(len(FAMILIES)))
    init = jit_fast_compile(model.init, level=0)

    def one_seed(key: Any) -> dict[str, Any]:
        init_key, base_key, high_key, *own = jax.random.split(key, 5)
        start = init(init_key)
        base = tune(base_key, start, config.base, every)
        high = tune(high_key, base, config.high_base, every)
        pair = [tune(k, start, config.known, f) for k, f in zip(own, SPECIALTIES, strict=True)]
        return {"base": base, "high": high, "specialists": _stack(pair)}

    first = one_seed(keys[0])  # compiles
    with ThreadPoolExecutor(2) as pool:
        return _stack([first, *pool.map(one_seed, keys[1:])])


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
