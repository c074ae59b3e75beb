"""Twelve procedural skills: questions of the parts of the data, base models and private data.

Shapes: ``N`` agents, ``M`` private demonstrations, ``S`` seeds.
"""

from typing import NamedTuple

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

SKILLS = (
    verifiable.chain_sums(2),
    verifiable.chain_sums(3),
    verifiable.sorting(3),
    verifiable.reversal(3),
    verifiable.duplication(3),
    verifiable.letter_shift(3),
    verifiable.reverse_comparison(2),
    verifiable.counting(4),
    verifiable.maximum(3),
    verifiable.products(1),
    verifiable.quotients(2),
    verifiable.remainders(2),
)
DRAWN = 600  # training questions of each skill that are drawn; those of other parts are left out
PROMPT, SOLUTION, ANSWER = 7, 7, 6  # tokens at most
NOISY = 0.25  # share of a base model's steps on mostly wrong demonstrations
TEXT = verifiable.tokenizer()
FAMILIES: tuple[str, str] = ("two layers", "one layer")


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
    sizes = (config.transfer, config.validation, config.test)
    ends = np.cumsum(sizes)
    parts: list[list[verifiable.Item]] = [[], [], []]
    train = []
    for number, skill in enumerate(SKILLS):
        seed = 100 * config.seed + number
        held_out = verifiable.draw_items(skill, int(ends[-1]), seed, distinct=True)
        for part, stop, size in zip(parts, ends, sizes, strict=True):
            part += held_out[stop - size : stop]
        drawn = verifiable.draw_items(skill, DRAWN, seed + 50)
        train.append([item for item in drawn if item not in held_out])
    transfer, validation, test = (to_arrays(part) for part in parts)
    for problems in (validation, test):
        knexa_fl.check_disjoint(transfer.prompts, transfer.prompt_mask, problems)
    category = np.repeat(np.arange(NUM_SKILLS), config.validation)
    return Questions(train, transfer, validation, test, category)


def make_team(key: Key, config: Config, questions: Questions) -> knexa_fl.Team:
    """Train a base model for each family and deal them to the agents.

    The families differ in depth and in the order of their vocabulary. A base model learns from
    right demonstrations first, and from mostly wrong ones in the last :data:`NOISY` of its steps.
    """
    right, noisy = [], []
    for skill in questions.train:
        right += skill
        noisy += verifiable.with_mistakes(skill, config.mistakes, seed=config.seed)[0]
    other = tokenizers.Tokenizer((*TEXT.pieces[:2], *reversed(TEXT.pieces[2:])))
    vocabularies = dict(zip(FAMILIES, (TEXT, other), strict=True))
    sizes = [
        transformer.Config(TEXT.vocab_size, config.width, num_layers=layers) for layers in (2, 1)
    ]
    models = {
        name: transformer.from_config(size) for name, size in zip(FAMILIES, sizes, strict=True)
    }
    names = [FAMILIES[i % 2] for i in range(config.agents)]
    demonstrations = to_arrays(right + noisy)
    params = {}
    for number, (name, model) in enumerate(models.items()):
        data = demonstrations
        if name == FAMILIES[1]:
            table = tokenizers.token_map(TEXT, other)
            data = data._replace(prompts=table[data.prompts], solutions=table[data.solutions])
        base = _fine_tuned(jax.random.fold_in(key, number), model, data, config.pretrain_steps)
        count = names.count(name)
        params[name] = jax.tree.map(lambda x, c=count: jnp.stack([x] * c), base)
    swarm = transformer.families(models, names)
    adapters = transformer.lora(2, alpha=8.0, targets=transformer.TARGETS)
    return knexa_fl.team(swarm, params, vocabularies, TEXT, adapters=adapters)


def _fine_tuned(
    key: Key, model: transformer.LanguageModel, data: verifiable.Problems, steps: int
) -> Params:
    """Parameters after fine-tuning on the first half of the data, then on the second."""
    rate = optax.cosine_decay_schedule(1e-2, steps, 0.1)
    learner = language.sft(model, optax.adam(rate), batch_size=64)

    def train(key: Key, data: verifiable.Problems) -> Params:
        keys = jax.random.split(key)
        halves = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), data)

        def one(state: language.SFTState, index: jax.Array) -> tuple[language.SFTState, None]:
            half = (index >= (1.0 - NOISY) * steps).astype(jnp.int32)
            part = jax.tree.map(lambda x: x[half], halves)
            return learner.step(jax.random.fold_in(keys[1], index), state, part)[0], None

        state = learner.init(model.init(keys[0]))
        return jax.lax.scan(one, state, jnp.arange(steps))[0].params

    return jit_fast_compile(train)(key, jax.tree.map(jnp.asarray, data))


def deal_private(config: Config, questions: Questions) -> tuple[verifiable.Problems, np.ndarray]:
    """Private demonstrations of every agent of every seed, skills by a Dirichlet distribution.

    Returns:
        ``(problems, histogram)``: leaves ``[S, N, M, ...]``, and shares of skills ``[S, N, 12]``.
    """
    rng = np.random.default_rng(config.seed)
    dealt, histogram = [], np.zeros((config.seeds, config.agents, NUM_SKILLS), np.float32)
    for seed in range(config.seeds):
        for agent in range(config.agents):
            shares = rng.dirichlet(np.full(NUM_SKILLS, config.concentration))
            counts = rng.multinomial(config.private, shares)
            histogram[seed, agent] = counts / config.private
            for skill, count in enumerate(counts):
                pool = questions.train[skill]
                rows = rng.choice(len(pool), count, replace=count > len(pool))
                dealt += [pool[row] for row in rows]
    problems = to_arrays(dealt)
    shape = (config.seeds, config.agents, config.private)
    return jax.tree.map(lambda x: jnp.asarray(x).reshape(*shape, *x.shape[1:]), problems), histogram
