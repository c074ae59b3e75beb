"""Twelve procedural skills: questions of the parts of the data, base models and private data.

Shapes: ``N`` agents, ``M`` private demonstrations, ``S`` seeds.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.knexa_fl.config import NUM_SKILLS, Config
from jaxswarm import language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.systems import knexa_fl
from jaxswarm.types import Key, Params

LETTERS = "abcdefgh"


def _shifted(text: str, by: int) -> str:
    return "".join(LETTERS[(LETTERS.index(c) + by) % len(LETTERS)] for c in text)


TRANSFORMATIONS: dict[str, Callable[[str], str]] = {
    "copy": lambda t: t,
    "reversal": lambda t: t[::-1],
    "rotation to the left": lambda t: t[1:] + t[0],
    "rotation to the right": lambda t: t[-1] + t[:-1],
    "swap of the first two": lambda t: t[1] + t[0] + t[2],
    "swap of the last two": lambda t: t[0] + t[2] + t[1],
    "successor": lambda t: _shifted(t, 1),
    "predecessor": lambda t: _shifted(t, -1),
    "ascending": lambda t: "".join(sorted(t)),
    "descending": lambda t: "".join(sorted(t, reverse=True)),
    "first, repeated": lambda t: 3 * t[0],
    "last, repeated": lambda t: 3 * t[-1],
}
"""The twelve skills: what becomes of three letters."""

SIGNS = "0123456789<>"
"""First character of a question, one for each skill."""

LENGTH = 3
REFUSAL = "?"  # an agent's answer to a skill that it has lost
DRAWN = 200  # training questions of each skill
PROMPT, SOLUTION, ANSWER = LENGTH + 2, LENGTH + 1, LENGTH + 1  # tokens at most, ends included
KNOWN = (6, 6, 3, 3, 1, 1)  # skills that agents know, in turn of the two sides
TEXT = verifiable.tokenizer()
FAMILIES: tuple[str, str] = ("two heads", "four heads")


def skill_tasks() -> list[verifiable.Task]:
    """One task for each of :data:`TRANSFORMATIONS`."""

    def task(sign: str, name: str, answer: Callable[[str], str]) -> verifiable.Task:
        def draw(rng: np.random.Generator) -> verifiable.Item:
            text = "".join(LETTERS[i] for i in rng.integers(0, len(LETTERS), LENGTH))
            return verifiable.Item(f"{sign}{text}=", answer(text), answer(text))

        return verifiable.Task(name, draw, "easy")

    named = zip(SIGNS, TRANSFORMATIONS.items(), strict=True)
    return [task(sign, name, answer) for sign, (name, answer) in named]


class Questions(NamedTuple):
    """Questions of all skills by their use, in the vocabulary of the texts.

    Attributes:
        train: of the private data and, with mistakes, of the base models, ``[skill][question]``.
        transfer: public, without solutions.
        validation: public, with solutions.
        test: of the evaluation.
        category: skill of each validation question.
    """

    train: list[list[verifiable.Item]]
    transfer: verifiable.Problems
    validation: verifiable.Problems
    test: verifiable.Problems
    category: np.ndarray


def to_arrays(items: list[verifiable.Item]) -> verifiable.Problems:
    """Items as arrays of one shape for all skills."""
    return verifiable.to_arrays(
        items, TEXT, prompt_length=PROMPT, solution_length=SOLUTION, answer_length=ANSWER
    )


def draw_questions(config: Config) -> Questions:
    """Split distinct questions of every skill into parts that share none."""
    ends = np.cumsum((DRAWN, config.transfer, config.validation, config.test))
    train: list[list[verifiable.Item]] = []
    parts: list[list[verifiable.Item]] = [[], [], []]
    for number, skill in enumerate(skill_tasks()):
        items = verifiable.draw_items(
            skill, int(ends[-1]), 100 * config.seed + number, distinct=True
        )
        train.append(items[:DRAWN])
        for part, start, stop in zip(parts, ends[:-1], ends[1:], strict=True):
            part += items[start:stop]
    transfer, validation, test = (to_arrays(part) for part in parts)
    for problems in (validation, test):
        knexa_fl.check_disjoint(transfer.prompts, transfer.prompt_mask, problems)
    category = np.repeat(np.arange(NUM_SKILLS), config.validation)
    return Questions(train, transfer, validation, test, category)


def deal_skills(config: Config) -> np.ndarray:
    """Skills that agents know, ``bool[S, N, 12]``.

    A random half of the skills is one side and the rest the other. Agents of each side know
    :data:`KNOWN` of its skills, in turn; which agent has which place is drawn for each seed.
    """
    rng = np.random.default_rng(config.seed)
    known = np.zeros((config.seeds, config.agents, NUM_SKILLS), bool)
    for seed in known:
        sides = rng.permutation(NUM_SKILLS).reshape(2, -1)
        for place, agent in enumerate(rng.permutation(config.agents)):
            count = KNOWN[place % len(KNOWN)]
            seed[agent, rng.permutation(sides[place % 2])[:count]] = True
    return known


def make_team(
    key: Key, config: Config, questions: Questions, known: np.ndarray
) -> tuple[knexa_fl.Team, dict[str, Params]]:
    """Train a base model of all skills for each family; let agents lose those they do not know.

    The families differ in their attention heads and in the order of their vocabulary. Each agent
    starts from its family's base model and learns the right answers of the skills that it knows and
    to answer :data:`REFUSAL` to all other questions; then its parameters are frozen.

    Args:
        key: consumed.
        config: sizes of the run.
        questions: of :func:`draw_questions`.
        known: of :func:`deal_skills`.

    Returns:
        The team, with the parameters of the first seed, and those of all, leaves ``[S, F, ...]``.
    """
    items = [item for skill in questions.train for item in skill]
    right = to_arrays(items)
    lost, _ = verifiable.with_mistakes(items, 1.0, config.seed, mistake=lambda rng, item: REFUSAL)
    wrong = to_arrays(lost).solutions
    other = tokenizers.Tokenizer((*TEXT.pieces[:2], *reversed(TEXT.pieces[2:])))
    vocabularies = dict(zip(FAMILIES, (TEXT, other), strict=True))
    sizes = [
        transformer.Config(TEXT.vocab_size, config.width, num_layers=1, num_heads=heads)
        for heads in (2, 4)
    ]
    models = {
        name: transformer.from_config(size) for name, size in zip(FAMILIES, sizes, strict=True)
    }
    names = [FAMILIES[i % 2] for i in range(config.agents)]
    swarm = transformer.families(models, names)
    table = tokenizers.token_map(TEXT, other)
    translated = right._replace(prompts=table[right.prompts], solutions=table[right.solutions])
    taught = [(right, wrong), (translated, table[wrong])]

    def train(number: int) -> Params:
        name = FAMILIES[number]
        knows = known[:, swarm.members[name]]
        key_of_family = jax.random.fold_in(key, number)
        data, mistaken = taught[number]
        return _agents_of(key_of_family, config, models[name], data, mistaken, knows)

    with ThreadPoolExecutor(2) as threads:
        params = dict(zip(FAMILIES, threads.map(train, range(2)), strict=True))
    adapters = transformer.lora(2, alpha=8.0, targets=transformer.TARGETS)
    first = jax.tree.map(lambda x: x[0], params)
    return knexa_fl.team(swarm, first, vocabularies, TEXT, adapters=adapters), params


def _agents_of(
    key: Key,
    config: Config,
    model: transformer.LanguageModel,
    data: verifiable.Problems,
    wrong: np.ndarray,
    known: np.ndarray,
) -> Params:
    """Parameters of a family's agents, leaves ``[S, F, ...]``, from one base model."""

    def fit(key: Key, params: Params, data: Any, steps: jax.Array, rate: jax.Array) -> Params:
        def schedule(count: Any) -> jax.Array:
            fall = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(count, steps) / steps))
            return rate * (0.05 + 0.95 * fall)

        learner = language.sft(model, optax.adam(schedule), batch_size=64)

        def one(index: jax.Array, state: language.SFTState) -> language.SFTState:
            return learner.step(jax.random.fold_in(key, index), state, data)[0]

        return jax.lax.fori_loop(0, steps, one, learner.init(params)).params

    skill = np.repeat(np.arange(NUM_SKILLS), DRAWN)
    init_key, base_key, agents_key = jax.random.split(key, 3)
    # One program for the base model and for what agents lose.
    program = jit_fast_compile(fit, level=config.compile_level, plain=True)
    start = jit_fast_compile(model.init, level=0)(init_key)
    base = program(
        base_key, start, data, np.int32(config.pretrain_steps), np.float32(config.pretrain_lr)
    )
    flat = known.reshape(-1, NUM_SKILLS)
    found = []
    for own_key, knows in zip(jax.random.split(agents_key, len(flat)), flat, strict=True):
        taught = data._replace(solutions=np.where(knows[skill][:, None], data.solutions, wrong))
        steps, rate = np.int32(config.forget_steps), np.float32(config.forget_lr)
        found.append(program(own_key, base, taught, steps, rate))
    return jax.tree.map(lambda *xs: jnp.stack(xs).reshape(*known.shape[:2], *xs[0].shape), *found)


def deal_private(
    config: Config, questions: Questions, known: np.ndarray
) -> tuple[verifiable.Problems, np.ndarray]:
    """Private demonstrations of every agent of every seed, of the skills that it knows.

    Args:
        config: sizes of the run.
        questions: of :func:`draw_questions`.
        known: of :func:`deal_skills`.

    Returns:
        ``(problems, histogram)``: leaves ``[S, N, M, ...]``, and shares of skills ``[S, N, 12]``.
    """
    rng = np.random.default_rng(config.seed + 1)
    dealt, histogram = [], np.zeros(known.shape, np.float32)
    for place in np.ndindex(*known.shape[:2]):
        skills = np.resize(np.flatnonzero(known[place]), config.private)
        histogram[place] = np.bincount(skills, minlength=NUM_SKILLS) / config.private
        dealt += [questions.train[skill][rng.integers(DRAWN)] for skill in skills]
    shape = (*known.shape[:2], config.private)
    problems = to_arrays(dealt)
    return jax.tree.map(lambda x: jnp.asarray(x.reshape(*shape, *x.shape[1:])), problems), histogram
