"""Pools of models: training on answers and on verdicts, sampled replies, and verdicts on pairs.

All pools train side by side: agent ``s N + i`` is node ``i`` of pool ``s``.

Shapes: ``S`` pools (seeds), ``N`` nodes, ``Q`` questions, ``P`` tokens of a question, ``T`` of a
reply, ``p`` pairs of each judge.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.fortytwo import tasks
from experiments.fortytwo.config import Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.systems import fortytwo
from jaxswarm.trust import ranking

FORM = fortytwo.judge_format(tasks.TOKENIZER, rationale_length=tasks.REPLY)
PROMPT = tasks.QUESTION + 2 * tasks.REPLY + 2  # tokens of a judge's prompt
COMPLETION = tasks.REPLY + 2  # of a rationale, a verdict and the end
REPLAY = 0.25  # share of answers among the data for judges
KEPT = 0.3  # share of verdicts among the data for answers
JUDGE_SHARES = (0.85, 0.7)  # share of rotation among the verdicts, by node modulo 2


Row = tuple[str, str, str, str, str]
"""Question, two replies (empty if an answer is wanted), what is asked for, and the completion."""


class Questions(NamedTuple):
    """Questions of all pools as arrays.

    Attributes:
        tokens: ``int32[S, Q, P]``.
        mask: ``bool[S, Q, P]``.
        answers: ``int32[S, Q, T]``, -1 after the end.
        keys: ``key[S, Q]``, of the comparison graphs.
    """

    tokens: Any
    mask: Any
    answers: Any
    keys: Any


class Pool(NamedTuple):
    """Trained models of all pools and the functions that use them.

    Attributes:
        families: models by width.
        params: ``{family: leaves [S N / families, ...]}``.
        answer: ``answer(params, key, questions) -> int32[S, N, Q, T]``, -1 after the end and in
            replies that did not end.
        verdicts: ``verdicts(params, key, questions, replies, first, second, rationale) ->
            (int32[S, Q, N, p, 2], mean number of generated tokens)``.
    """

    families: transformer.Families
    params: Any
    answer: Callable[..., np.ndarray]
    verdicts: Callable[..., Any]


def pack(
    worlds: list[tasks.World], task: str, split: str, rng: np.random.Generator | None = None
) -> Questions:
    """Turn the questions of a split into arrays; with a generator, behind two letters of noise."""
    texts = [tasks.questions(world, task, split) for world in worlds]
    asked = [[tasks.question(task, x, tasks.noise(rng) if rng else "") for x in xs] for xs in texts]
    flat = tokenizers.encode_batch(
        tasks.TOKENIZER, [x for xs in asked for x in xs], length=tasks.QUESTION
    )
    answers = tokenizers.encode_batch(
        tasks.TOKENIZER,
        [tasks.right_answer(w, task, x) for w, xs in zip(worlds, texts, strict=True) for x in xs],
        length=tasks.REPLY,
    )
    shape = (len(worlds), len(texts[0]))
    seeds = [ranking.request_seed(x) for xs in asked for x in xs]
    return Questions(
        jnp.asarray(flat.tokens.reshape(*shape, -1)),
        jnp.asarray(flat.mask.reshape(*shape, -1)),
        jnp.asarray(np.where(answers.mask, answers.tokens, -1).reshape(*shape, -1)),
        jax.vmap(jax.random.key)(jnp.asarray(seeds)).reshape(shape),
    )


def train(config: Config, worlds: list[tasks.World], progress: Callable[[str], None]) -> Pool:
    """Train all models on their own answers, then on verdicts about the pools' answers.

    Args:
        config: sizes.
        worlds: one for each of ``S`` pools.
        progress: called as each part starts.
    """
    total = config.seeds * config.nodes
    names = [f"width {width}" for width in config.widths]
    models = {
        name: transformer.from_config(
            transformer.Config(
                tasks.TOKENIZER.vocab_size, width, config.layers, num_heads=4, rope_base=100.0
            )
        )
        for name, width in zip(names, config.widths, strict=True)
    }
    families = transformer.families(
        models, [names[i % config.nodes % len(names)] for i in range(total)]
    )
    base_key, answer_key, judge_key, reply_key = jax.random.split(jax.random.key(config.seed), 4)
    rng = np.random.default_rng(config.seed)
    progress("base models")
    base = _base(config, models, rng, base_key)
    own = {name: len(ids) for name, ids in families.members.items()}
    params = {
        name: jax.tree.map(lambda x, count=own[name]: jnp.repeat(x, count, axis=0), base[name])
        for name in models
    }
    progress("training on answers")
    nodes = [(world, node) for world in worlds for node in world.nodes]
    fit = _fitting(models, config.steps, config.batch, config.lr)
    answers = _stack([_arrays(_answer_rows(rng, config, *each)) for each in nodes])
    params = fit(params, *_by_family(families, (_keys(answer_key, total), answers)))

    pool = Pool(families, params, _answering(config, families), _judging(config, families))
    progress("training on verdicts")
    replies = {
        task: pool.answer(params, reply_key, pack(worlds, task, "calibration"))
        for task in tasks.TASKS
    }
    pairs = [_calibration_pairs(world, replies, s) for s, world in enumerate(worlds)]
    labelled = _stack(
        [
            _arrays(_judge_rows(rng, config, i % config.nodes, *each, pairs[i // config.nodes]))
            for i, each in enumerate(nodes)
        ]
    )
    params = fit(params, *_by_family(families, (_keys(judge_key, total), labelled)))
    return pool._replace(params=params)


def _base(
    config: Config, models: dict[str, transformer.LanguageModel], rng: np.random.Generator, key: Any
) -> Any:
    """One base model of each width, shared by all nodes: rotation, answered and judged rightly.

    Pairs are a right answer and one by a wrong rule. It never sees the recall task.
    """
    rows = []
    for _ in range(2 * config.rows):
        if rng.random() < REPLAY:
            text = _random_text(rng)
            asked = tasks.question("rotation", text, tasks.noise(rng, 0.25))
            rows.append((asked, "", "", "", tasks.RULES["right"](text)))
        else:
            rows.append(_rule_row(rng))
    data = jax.tree.map(lambda x: jnp.asarray(x)[None], _arrays(rows))
    keys = {name: jax.random.fold_in(key, i)[None] for i, name in enumerate(models)}
    params = {name: jax.vmap(model.init)(keys[name]) for name, model in models.items()}
    fit = _fitting(models, config.base_steps, config.base_batch, config.base_lr)
    return fit(params, keys, dict.fromkeys(models, data))


def copies(config: Config, pool: Pool, chosen: np.ndarray) -> Any:
    """Parameters of pools without diversity: every node copies one node of its width.

    Args:
        config: sizes.
        pool: trained.
        chosen: ``int[S, families]``, node of each width that is copied.
    """
    params = {}
    for f, name in enumerate(pool.families.models):
        members = pool.families.members[name]
        place = {int(agent): k for k, agent in enumerate(members)}
        source = [
            place[int(agent) // config.nodes * config.nodes + int(chosen[agent // config.nodes, f])]
            for agent in members
        ]
        params[name] = jax.tree.map(operator.itemgetter(np.array(source)), pool.params[name])
    return params


def _fitting(
    models: dict[str, transformer.LanguageModel], steps: int, batch: int, lr: float
) -> Callable[..., Any]:
    """Supervised fine-tuning of every model on its own data, one model after another."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, lr, max(steps // 20, 1), steps, lr / 20)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def fit(model: transformer.LanguageModel, each: Any) -> Any:
        params, key, data = each
        learner = language.sft(model, optimizer, batch_size=batch)
        state, _ = jax.lax.scan(
            lambda state, key: (learner.step(key, state, data)[0], None),
            learner.init(params),
            jax.random.split(key, steps),
        )
        return state.params

    @jit_fast_compile
    def fit_all(params: Any, keys: Any, data: Any) -> Any:
        return {
            name: jax.lax.map(functools.partial(fit, model), (params[name], keys[name], data[name]))
            for name, model in models.items()
        }

    return fit_all


def _by_family(families: transformer.Families, tree: Any) -> tuple[Any, ...]:
    """Each tree with leaves ``[S N, ...]`` as a dict from family to its agents' leaves."""
    return tuple(
        {
            name: jax.tree.map(operator.itemgetter(ids), one)
            for name, ids in families.members.items()
        }
        for one in tree
    )


def _answering(config: Config, families: transformer.Families) -> Callable[..., np.ndarray]:
    s, n = config.seeds, config.nodes

    def one(model: transformer.LanguageModel, params: Any, key: Any, tokens: Any, mask: Any) -> Any:
        found = transformer.generate(
            key, model, params, tokens, mask, max_new_tokens=tasks.REPLY + 1,
            temperature=config.temperature,
        )  # fmt: skip
        inside = found.mask & (found.tokens != tokenizers.END) & found.finished[:, None]
        return jnp.where(inside, found.tokens, -1)[:, : tasks.REPLY]

    @jit_fast_compile
    def block(params: Any, key: jax.Array, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        asked = [jnp.repeat(x, n, axis=0) for x in (tokens, mask)]
        found = families.map(one, params, _keys(key, s * n), *asked)
        return found.reshape(s, n, -1, tasks.REPLY)

    def answer(params: Any, key: jax.Array, questions: Questions) -> np.ndarray:
        found = []
        for start in range(0, questions.tokens.shape[1], config.block):
            rows = slice(start, start + config.block)
            asked = (questions.tokens[:, rows], questions.mask[:, rows])
            found.append(np.asarray(block(params, jax.random.fold_in(key, start), *asked)))
        return np.concatenate(found, axis=2)

    return answer


def _judging(config: Config, families: transformer.Families) -> Callable[..., Any]:
    s, n, p = config.seeds, config.nodes, config.pairs

    def judge_block(
        params: Any, key: Any, tokens: Any, mask: Any, first: Any, second: Any, *, rationale: bool
    ) -> Any:
        def one(model: Any, params: Any, key: Any, *inputs: Any) -> Any:
            found = fortytwo.judge(key, model, params, FORM, *inputs, rationale=rationale)
            return found.verdicts, found.num_tokens

        asked = [
            jnp.repeat(jnp.repeat(x, p, axis=1), n, axis=0).reshape(s * n, -1, x.shape[-1])
            for x in (tokens, mask)
        ]
        keys = _keys(key, s * n)
        said = (jnp.maximum(first, 0), first >= 0, jnp.maximum(second, 0), second >= 0)
        verdicts, count = families.map(one, params, keys, *asked, *said)
        verdicts = verdicts.reshape(s, n, -1, p, 2).swapaxes(1, 2)
        return verdicts, jnp.mean(count.astype(jnp.float32))

    block = {
        rationale: jit_fast_compile(functools.partial(judge_block, rationale=rationale))
        for rationale in (True, False)
    }

    def judged(
        params: Any, key: jax.Array, questions: Questions, replies: jax.Array, first: jax.Array,
        second: jax.Array, rationale: bool = True,
    ) -> tuple[np.ndarray, float]:  # fmt: skip
        by_question = np.swapaxes(np.asarray(replies), 1, 2)  # [S, Q, N, T]
        one, two = (_shown(by_question, np.asarray(x)) for x in (first, second))
        found, counts = [], []
        for start in range(0, by_question.shape[1], config.block):
            rows = slice(start, start + config.block)
            verdicts, count = block[rationale](
                params, jax.random.fold_in(key, start), questions.tokens[:, rows],
                questions.mask[:, rows], _by_judge(one[:, rows]), _by_judge(two[:, rows]),
            )  # fmt: skip
            found.append(np.asarray(verdicts))
            counts.append(float(count))
        return np.concatenate(found, axis=1), float(np.mean(counts))

    return judged


def _shown(replies: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Replies ``[S, Q, N, T]`` at ``items [S, Q, N, p]``, ``[S, Q, N, p, T]``."""
    flat = np.take_along_axis(replies, items.reshape(*items.shape[:2], -1, 1), axis=2)
    return flat.reshape(*items.shape, -1)


def _by_judge(shown: np.ndarray) -> np.ndarray:
    """Rows of each judge, ``[S N, Q p, T]``."""
    s, _, n, _, length = shown.shape
    return shown.swapaxes(1, 2).reshape(s * n, -1, length)


def _answer_row(rng: np.random.Generator, world: tasks.World, node: tasks.Node) -> Row:
    """One demonstration of a node's own answer, a quarter of them behind noise."""
    task = tasks.TASKS[rng.integers(2)]
    texts = tasks.questions(world, task, "demonstrations")
    text = texts[rng.integers(len(texts))]
    asked = tasks.question(task, text, tasks.noise(rng, 0.25))
    return asked, "", "", "", tasks.belief(node, task, text)


def _answer_rows(
    rng: np.random.Generator, config: Config, world: tasks.World, node: tasks.Node
) -> list[Row]:
    """Demonstrations of a node's answers; verdicts as those of the base model keep that skill."""
    return [
        _rule_row(rng) if rng.random() < KEPT else _answer_row(rng, world, node)
        for _ in range(config.rows)
    ]


def _calibration_pairs(
    world: tasks.World, replies: dict[str, np.ndarray], pool: int
) -> dict[str, list[tuple[str, str, str]]]:
    """Text, right and wrong answer, of the pool's own replies to calibration questions."""
    pairs: dict[str, list[tuple[str, str, str]]] = {}
    for task in tasks.TASKS:
        pairs[task] = []
        for q, text in enumerate(tasks.questions(world, task, "calibration")):
            right = tasks.right_answer(world, task, text)
            said = {_text(row) for row in replies[task][pool, :, q]} - {None, right}
            pairs[task] += [(text, right, wrong) for wrong in sorted(filter(None, said))]
    return pairs


def _judge_row(rng: np.random.Generator, task: str, text: str, right: str, wrong: str) -> Row:
    """A pair in random order, half of them with the answer, derived again, before the verdict."""
    asked = tasks.question(task, text, tasks.noise(rng, 0.25))
    is_first = bool(rng.random() < 0.5)
    a, b = (right, wrong) if is_first else (wrong, right)
    mark = "?!"[rng.integers(2)]
    return asked, a, b, mark, (right if mark == "!" else "") + "BA"[is_first]


def _random_text(rng: np.random.Generator) -> str:
    while not tasks.is_for_training(text := tasks.decode(int(rng.integers(8**tasks.LENGTH)))):
        pass
    return text


def _rule_row(rng: np.random.Generator) -> Row:
    """A right answer of the rotation task against one by a wrong rule."""
    while True:
        text, rules = _random_text(rng), list(tasks.RULES.values())
        right, wrong = tasks.RULES["right"](text), rules[rng.integers(1, len(rules))](text)
        if right != wrong:
            return _judge_row(rng, "rotation", text, right, wrong)


def _judge_rows(
    rng: np.random.Generator,
    config: Config,
    index: int,
    world: tasks.World,
    node: tasks.Node,
    pairs: dict[str, list[tuple[str, str, str]]],
) -> list[Row]:
    """Calibration data of one node: verdicts on its pool's replies, and its own answers again."""
    rows = []
    for _ in range(config.rows):
        task = tasks.TASKS[int(rng.random() >= JUDGE_SHARES[index % 2])]
        if rng.random() < REPLAY or not pairs[task]:
            rows.append(_answer_row(rng, world, node))
        else:
            rows.append(_judge_row(rng, task, *pairs[task][rng.integers(len(pairs[task]))]))
    return rows


def _arrays(rows: list[Row]) -> verifiable.Problems:
    """Rows as arrays; a judge's prompt is laid out as ``judge_prompts`` does."""

    def encode(column: int, length: int) -> tokenizers.Encoded:
        texts = [row[column] for row in rows]
        return tokenizers.encode_batch(tasks.TOKENIZER, texts, length=length)

    parts = [encode(0, tasks.QUESTION), encode(1, tasks.REPLY), encode(2, tasks.REPLY)]
    marks = encode(3, 1)
    between = np.where(marks.mask, FORM.between, 0)
    tokens = [parts[0].tokens, parts[1].tokens, between, parts[2].tokens, marks.tokens]
    masks = [parts[0].mask, parts[1].mask, marks.mask, parts[2].mask, marks.mask]
    solutions = tokenizers.encode_batch(
        tasks.TOKENIZER, [row[4] for row in rows], length=COMPLETION, end=True
    )
    return verifiable.Problems(
        np.concatenate(tokens, axis=1),
        np.concatenate(masks, axis=1),
        solutions.tokens,
        solutions.mask,
        solutions.tokens,
        solutions.lengths,
    )


def _text(tokens: np.ndarray) -> str | None:
    """A reply as a text; ``None`` if it did not end."""
    return tasks.TOKENIZER.decode(tokens[tokens >= 0]) if (tokens >= 0).any() else None


def _stack(problems: list[verifiable.Problems]) -> verifiable.Problems:
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *problems)


def _keys(key: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
