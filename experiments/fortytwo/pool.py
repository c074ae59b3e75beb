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
AT_ONCE = 4  # models of one family that train side by side
REPLAY = 0.25  # share of answers among the calibration data
JUDGE_SHARES = (0.75, 0.5)  # share of rotation among the verdicts, by node modulo 2


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
    answer: Callable[..., jax.Array]
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
    init_key, answer_key, judge_key, reply_key = jax.random.split(jax.random.key(config.seed), 4)
    params = jit_fast_compile(families.init)(init_key)
    rng = np.random.default_rng(config.seed)

    progress("training on answers")
    nodes = [(world, node) for world in worlds for node in world.nodes]
    rows = range(config.demonstrations)
    own = [_problems([_answer_row(rng, *each, "demonstrations") for _ in rows]) for each in nodes]
    own = _stack(own)
    params = _fit(config, families, config.answer_steps)(params, _keys(answer_key, total), own)

    pool = Pool(families, params, _answering(config, families), _judging(config, families))
    progress("training on verdicts")
    replies = {
        task: np.asarray(pool.answer(params, reply_key, pack(worlds, task, "calibration")))
        for task in tasks.TASKS
    }
    labelled = [
        _calibration_rows(rng, config, i % config.nodes, i // config.nodes, *each, replies)
        for i, each in enumerate(nodes)
    ]
    seen = _stack([_judge_problems(each) for each in labelled])
    params = _fit(config, families, config.judge_steps)(params, _keys(judge_key, total), seen)
    return pool._replace(params=params)


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


def _fit(config: Config, families: transformer.Families, steps: int) -> Callable[..., Any]:
    """Supervised fine-tuning of every agent on its own data."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.lr, max(steps // 20, 1), steps, config.lr / 20
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def fit(model: transformer.LanguageModel, params: Any, key: jax.Array, data: Any) -> Any:
        learner = language.sft(model, optimizer, batch_size=config.batch)
        state, _ = jax.lax.scan(
            lambda state, key: (learner.step(key, state, data)[0], None),
            learner.init(params),
            jax.random.split(key, steps),
        )
        return state.params

    @jit_fast_compile
    def fit_all(params: Any, keys: jax.Array, data: Any) -> Any:
        fitted = {}
        for name, model in families.models.items():
            rows = families.members[name]
            own = jax.tree.map(operator.itemgetter(rows), (keys, data))
            # A few models at a time: their activations fit into the cache of a core.
            fitted[name] = jax.lax.map(
                lambda each, model=model: fit(model, *each),
                (params[name], *own),
                batch_size=AT_ONCE,
            )
        return fitted

    return fit_all


def _answering(config: Config, families: transformer.Families) -> Callable[..., jax.Array]:
    s, n = config.seeds, config.nodes

    def one(model: transformer.LanguageModel, params: Any, key: Any, tokens: Any, mask: Any) -> Any:
        found = transformer.generate(
            key, model, params, tokens, mask, max_new_tokens=tasks.REPLY + 1,
            temperature=config.temperature,
        )  # fmt: skip
        inside = found.mask & (found.tokens != tokenizers.END) & found.finished[:, None]
        return jnp.where(inside, found.tokens, -1)[:, : tasks.REPLY]

    @jit_fast_compile
    def answer(params: Any, key: jax.Array, questions: Questions) -> jax.Array:
        asked = [jnp.repeat(x, n, axis=0) for x in (questions.tokens, questions.mask)]
        found = families.map(one, params, _keys(key, s * n), *asked)
        return found.reshape(s, n, -1, tasks.REPLY)

    return answer


def _judging(config: Config, families: transformer.Families) -> Callable[..., Any]:
    s, n, p = config.seeds, config.nodes, config.pairs

    @functools.partial(jax.jit, static_argnames="rationale")
    def block(
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

    def judged(
        params: Any, key: jax.Array, questions: Questions, replies: jax.Array, first: jax.Array,
        second: jax.Array, rationale: bool = True,
    ) -> tuple[np.ndarray, float]:  # fmt: skip
        by_question = np.swapaxes(np.asarray(replies), 1, 2)  # [S, Q, N, T]
        one, two = (_shown(by_question, np.asarray(x)) for x in (first, second))
        found, counts = [], []
        for start in range(0, by_question.shape[1], config.block):
            rows = slice(start, start + config.block)
            verdicts, count = block(
                params, jax.random.fold_in(key, start), questions.tokens[:, rows],
                questions.mask[:, rows], _by_judge(one[:, rows]), _by_judge(two[:, rows]),
                rationale=rationale,
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


def _answer_row(
    rng: np.random.Generator, world: tasks.World, node: tasks.Node, split: str
) -> tuple[str, str]:
    """One demonstration of a node's own answer, a quarter of them behind noise."""
    task = tasks.TASKS[rng.integers(2)]
    texts = tasks.questions(world, task, split)
    text = texts[rng.integers(len(texts))]
    asked = tasks.question(task, text, tasks.noise(rng, 0.25))
    return asked, tasks.belief(node, task, text)


def _calibration_rows(
    rng: np.random.Generator,
    config: Config,
    index: int,
    pool: int,
    world: tasks.World,
    node: tasks.Node,
    replies: dict[str, np.ndarray],
) -> list[tuple[str, str, str, str, str]]:
    """Question, two replies (empty for an answer), what is asked for, and the completion.

    Pairs are replies of the node's own pool to calibration questions, one right and one wrong.
    """
    pairs: dict[str, list[tuple[str, str, str]]] = {}
    for task in tasks.TASKS:
        pairs[task] = []
        for q, text in enumerate(tasks.questions(world, task, "calibration")):
            right = tasks.right_answer(world, task, text)
            said = {_text(row) for row in replies[task][pool, :, q]} - {None, right}
            pairs[task] += [(text, right, wrong) for wrong in sorted(filter(None, said))]
    rows = []
    for _ in range(config.judge_rows):
        share = JUDGE_SHARES[index % 2]
        task = tasks.TASKS[int(rng.random() >= share)]
        if rng.random() < REPLAY or not pairs[task]:
            asked, answer = _answer_row(rng, world, node, "demonstrations")
            rows.append((asked, "", "", "", answer))
            continue
        text, right, wrong = pairs[task][rng.integers(len(pairs[task]))]
        asked = tasks.question(task, text, tasks.noise(rng, 0.25))
        is_first = rng.random() < 0.5
        a, b = (right, wrong) if is_first else (wrong, right)
        mark = "?!"[rng.integers(2)]
        rows.append((asked, a, b, mark, (right if mark == "!" else "") + "BA"[is_first]))
    return rows


def _judge_problems(rows: list[tuple[str, str, str, str, str]]) -> verifiable.Problems:
    """Calibration data as arrays; a judge's prompt is laid out as ``judge_prompts`` does."""

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


def _problems(rows: list[tuple[str, str]]) -> verifiable.Problems:
    items = [verifiable.Item(asked, answer, answer) for asked, answer in rows]
    return verifiable.to_arrays(
        items,
        tasks.TOKENIZER,
        prompt_length=tasks.QUESTION,
        solution_length=tasks.REPLY + 1,
        answer_length=tasks.REPLY,
    )


def _text(tokens: np.ndarray) -> str | None:
    """A reply as a text; ``None`` if it did not end."""
    return tasks.TOKENIZER.decode(tokens[tokens >= 0]) if (tokens >= 0).any() else None


def _stack(problems: list[verifiable.Problems]) -> verifiable.Problems:
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *problems)


def _keys(key: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
