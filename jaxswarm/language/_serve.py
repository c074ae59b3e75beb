"""Command line of ``python -m jaxswarm.language.server``: train a small model, then serve it."""

from dataclasses import dataclass
from typing import Annotated

import jax
import tyro

from jaxswarm import checks
from jaxswarm.data import verifiable
from jaxswarm.language._server import start
from jaxswarm.language._sft import FineTuned, fine_tune
from jaxswarm.models import transformer

_WIDEST = 24


@dataclass(frozen=True)
class Options:
    """Train a small causal model on a task with verified answers and serve it on 127.0.0.1."""

    task: str = "chain_sums"
    """name in verifiable.TASKS"""
    size: str = "27k"
    """name in transformer.SIZES"""
    target: float = 0.9
    """pass rate at which training ends"""
    max_steps: int = 2000
    """gradient steps after which training ends"""
    questions: int = 4000
    """demonstrations to learn from"""
    seed: int = 0
    """of questions, parameters and training"""
    cache: str | None = "runs/base_models"
    """folder in which the trained model is kept; None keeps none"""
    port: int = 8000
    """of the server; 0 takes a free one"""
    once: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """answer one question and end"""


def trained(options: Options) -> tuple[transformer.LanguageModel, FineTuned, str]:
    """Train the model of the options, or read it from the cache; returns a question as well.

    Raises:
        ValueError: for unknown names, or numbers out of range.
    """
    task = verifiable.TASKS[checks.choice("task", options.task, verifiable.TASKS)]()
    tokens = verifiable.tokenizer()
    questions = checks.whole("questions", options.questions, 2)
    items = verifiable.draw_items(task, questions + 64, seed=options.seed)
    problems = verifiable.to_arrays(items, tokens)
    data, held_out = (
        jax.tree.map(lambda x, rows=rows: x[rows], problems)
        for rows in (slice(64, None), slice(64))
    )
    model = transformer.from_config(transformer.sized(options.size, tokens.vocab_size))
    key, init_key = jax.random.split(jax.random.key(options.seed))
    found = fine_tune(
        key,
        model,
        model.init(init_key),
        data,
        held_out,
        target=options.target,
        separator=tokens.token("\n"),
        max_new_tokens=problems.solutions.shape[1],
        max_steps=options.max_steps,
        cache=options.cache,
    )
    return model, found, items[0].question


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    options = tyro.cli(Options, args=args, prog="python -m jaxswarm.language.server")
    model, found, question = trained(options)
    print(f"{options.task}: pass rate {found.pass_rates[-1]:.2f} after {found.num_steps} steps")
    tokenizer = verifiable.tokenizer()
    with start(
        model, found.params, tokenizer, name=options.task, port=options.port, max_new_tokens=_WIDEST
    ) as server:
        print(f"model {server.name!r} on {server.base_url}, for instance {question!r}", flush=True)
        if options.once:
            from jaxswarm.language._openai_compatible import openai_compatible

            with openai_compatible(server.base_url, server.name, temperature=0.0) as client:
                print(client.generate([question])[0].text)
            return
        try:
            server.wait()
        except KeyboardInterrupt:
            print("closed")
