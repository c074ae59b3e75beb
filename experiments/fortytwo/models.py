"""Models of all pools: their training on answers and on verdicts, and their programs.

Programs are compiled once for each width and run for one model at a time, in small batches, which
is faster on CPUs than all models side by side. One thread for each width.

Shapes: ``S`` pools (seeds), ``N`` nodes, ``B`` rows of a block; ``s N + i`` is node ``i`` of pool
``s``.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.fortytwo import data, tasks
from experiments.fortytwo.config import Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import language
from jaxswarm.data import tokenizers
from jaxswarm.models import transformer
from jaxswarm.systems import fortytwo
from jaxswarm.trust import ranking
from jaxswarm.types import Params


class Programs(NamedTuple):
    """Compiled programs of the models of one width.

    Attributes:
        init: ``init(key) -> params``.
        start: ``start(params) -> state`` of a new training.
        fit: ``fit(key, state, rows, start, stop, steps, lr) -> state``: gradient steps ``start`` to
            ``stop`` of ``steps`` with a step size that falls from ``lr`` by a cosine.
        answer: ``answer(key, params, tokens [B, P], mask) -> int32[B, T]``, -1 after the end and in
            replies that did not end.
        judge: ``judge(params, mark, tokens, mask, first [B, T], second) -> (int32[B, 2] verdicts,
            int32[B, 2] generated tokens)``.
    """

    init: Callable[..., Any]
    start: Callable[..., Any]
    fit: Callable[..., Any]
    answer: Callable[..., jax.Array]
    judge: Callable[..., Any]


def compile_programs(config: Config, width: int, heads: int) -> Programs:
    """Programs of the models of one width; they compile when they are first called."""
    model = transformer.from_config(
        transformer.Config(
            tasks.TOKENIZER.vocab_size, width, config.layers, num_heads=heads, rope_base=100.0
        )
    )

    def learner(steps: Any, lr: Any) -> Any:
        def schedule(count: Any) -> jax.Array:
            warm_up = jnp.minimum(1.0, (count + 1) / jnp.minimum(100.0, steps / 10))
            fall = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(count / steps, 1.0)))
            return lr * warm_up * (0.05 + 0.95 * fall)

        # One vector of all weights compiles sooner than many leaves and takes fewer small steps.
        optimizer = optax.flatten(optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)))
        return language.sft(model, optimizer, batch_size=config.batch)

    @functools.partial(jit_fast_compile, level=config.compile_level, plain=True)
    def fit(key: Any, state: Any, rows: Any, start: Any, stop: Any, steps: Any, lr: Any) -> Any:
        step = learner(steps, lr).step
        return jax.lax.fori_loop(
            start, stop, lambda i, state: step(jax.random.fold_in(key, i), state, rows)[0], state
        )

    @functools.partial(jit_fast_compile, level=config.compile_level, plain=True)
    def answer(key: Any, params: Any, tokens: Any, mask: Any) -> jax.Array:
        found = transformer.generate(
            key, model, params, tokens, mask, max_new_tokens=tasks.REPLY + 1,
            temperature=config.temperature,
        )  # fmt: skip
        inside = found.mask & (found.tokens != tokenizers.END) & found.finished[:, None]
        kept = jnp.where(inside, found.tokens, -1)[:, : tasks.REPLY]
        return jnp.pad(kept, ((0, 0), (0, tasks.TEXT)), constant_values=-1)

    @functools.partial(jit_fast_compile, level=config.compile_level, plain=True)
    def judge(params: Any, mark: Any, tokens: Any, mask: Any, first: Any, second: Any) -> Any:
        form = data.FORM._replace(reasoned=mark)
        shown = [x for reply in (first, second) for x in (jnp.maximum(reply, 0), reply >= 0)]
        found = fortytwo.judge(jax.random.key(0), model, params, form, tokens, mask, *shown)
        # A verdict that was asked for at once has one token and the end.
        counts = (mark == data.FORM.reasoned) | (found.num_tokens == 2)
        return jnp.where(counts, found.verdicts, 0), found.num_tokens

    init, start = (jit_fast_compile(f, level=0) for f in (model.init, learner(1.0, 0.0).init))
    return Programs(init, start, fit, answer, judge)


class Pools(NamedTuple):
    """Trained models of all pools.

    Attributes:
        programs: of the width of node ``i``, ``i`` modulo their number.
        params: of each model, ``S N`` trees.
    """

    programs: list[Programs]
    params: list[Params]


def by_width(widths: int, function: Callable[[int], Any]) -> list[Any]:
    """Call a function for each width, in threads of their own."""
    with ThreadPoolExecutor(widths) as threads:
        return list(threads.map(function, range(widths)))


def train(config: Config, worlds: list[tasks.World], progress: Callable[[str], None]) -> Pools:
    """Train all models on their own answers, then on verdicts about the pools' answers.

    Args:
        config: sizes.
        worlds: one for each of ``S`` pools.
        progress: called as each part starts.
    """
    total, widths = config.seeds * config.nodes, len(config.widths)
    programs = [
        compile_programs(config, *each) for each in zip(config.widths, config.heads, strict=True)
    ]
    keys = jax.random.split(jax.random.key(config.seed), 4)
    seeds = np.random.SeedSequence(config.seed).spawn(widths + 2 * total)

    def fit_all(key: jax.Array, params: list[Params], rows: list[Any], steps: int) -> list[Any]:
        def one(program: Programs, i: int) -> Params:
            state = program.start(params[i])
            key_i = jax.random.fold_in(key, i)
            return program.fit(key_i, state, rows[i], 0, steps, float(steps), config.lr).params

        return of_nodes(config, programs, range(total), one)

    progress("base models")
    base = by_width(
        widths,
        lambda width: _base(
            config, programs[width], jax.random.fold_in(keys[0], width),
            np.random.default_rng(seeds[width]),
        ),
    )  # fmt: skip
    progress("training on answers")
    nodes = [(world, node) for world in worlds for node in world.nodes]
    rngs = [np.random.default_rng(seed) for seed in seeds[widths:]]
    rows = [
        data.to_arrays(data.answer_rows(rng, config, *each))
        for rng, each in zip(rngs[:total], nodes, strict=True)
    ]
    params = [base[i % config.nodes % widths] for i in range(total)]
    pools = Pools(programs, fit_all(keys[1], params, rows, config.answer_steps))
    progress("training on verdicts")
    replies = {
        task: answer(config, pools, keys[3], data.pack(worlds, task, "calibration"))
        for task in tasks.TASKS
    }
    pairs = [data.calibration_pairs(world, replies, s) for s, world in enumerate(worlds)]
    rows = [
        data.to_arrays(
            data.judge_rows(rng, config, i % config.nodes, *each, pairs[i // config.nodes])
        )
        for i, (rng, each) in enumerate(zip(rngs[total:], nodes, strict=True))
    ]
    return pools._replace(params=fit_all(keys[2], pools.params, rows, config.judge_steps))


def _base(config: Config, programs: Programs, key: jax.Array, rng: np.random.Generator) -> Params:
    """Base model of one width, shared by all its nodes, trained until it judges well enough.

    Some seeds need thrice as many steps as others.
    """
    held_out = [
        (tasks.question("rotation", text), right, wrong)
        for text, right, wrong in data.rule_pairs(rng, config.block)
    ]
    texts = zip(*held_out, strict=True)
    asked, right, wrong = (
        tokenizers.encode_batch(tasks.TOKENIZER, list(column), length=length)
        for column, length in zip(texts, (tasks.QUESTION, tasks.SHOWN, tasks.SHOWN), strict=True)
    )
    shown = [np.where(x.mask, x.tokens, -1) for x in (right, wrong)]
    init_key, key = jax.random.split(key)
    state = programs.start(programs.init(init_key))
    for start in range(0, config.base_steps, config.base_check):
        rows = data.to_arrays(data.base_rows(rng, config.rows))
        stop = start + config.base_check
        state = programs.fit(
            key, state, rows, start, stop, float(config.base_steps), config.base_lr
        )
        found = [
            programs.judge(state.params, mark, asked.tokens, asked.mask, *shown)[0]
            for mark in (data.FORM.direct, data.FORM.reasoned)
        ]
        if np.mean(np.asarray(found) == ranking.FIRST) >= config.base_target:
            break
    return state.params


def of_nodes(
    config: Config,
    programs: list[Programs],
    nodes: Iterable[int],
    function: Callable[[Programs, int], Any],
) -> list[Any]:
    """Call ``function(programs, i)`` for nodes ``i`` of any pools, one thread for each width."""
    nodes = list(nodes)
    widths = len(programs)

    def of_width(width: int) -> dict[int, Any]:
        mine = [i for i in nodes if i % config.nodes % widths == width]
        return {i: jax.block_until_ready(function(programs[width], i)) for i in mine}

    found: dict[int, Any] = {}
    for part in by_width(widths, of_width):
        found |= part
    return [found[i] for i in nodes]


def answer(config: Config, pools: Pools, key: jax.Array, questions: data.Questions) -> np.ndarray:
    """Sampled replies of all nodes, ``int32[S, N, Q, T]``, -1 after the end.

    Replies that did not end are empty.
    """
    count = questions.tokens.shape[1]

    def one(programs: Programs, i: int) -> np.ndarray:
        asked = [getattr(questions, name)[i // config.nodes] for name in ("tokens", "mask")]
        own = jax.random.fold_in(key, i)
        found = [
            programs.answer(jax.random.fold_in(own, start), pools.params[i], *rows)
            for start, rows in blocks(config.asked, *asked)
        ]
        return np.concatenate(found)[:count]

    found = of_nodes(config, pools.programs, range(len(pools.params)), one)
    return np.stack(found).reshape(config.seeds, config.nodes, count, -1)


def blocks(size: int, *arrays: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Rows of arrays in blocks of one size; the last one repeats a row."""
    count = len(arrays[0])
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        yield start, [x[rows] for x in arrays]


def copies(config: Config, pools: Pools, chosen: np.ndarray) -> list[int]:
    """Nodes that stand in for all in pools without diversity: one of each width.

    Args:
        config: sizes.
        pools: trained.
        chosen: ``int[S, widths]``, node of each width that is copied.

    Returns:
        Position of the copied model for each of ``S N`` nodes.
    """
    n, widths = config.nodes, len(pools.programs)
    return [s * n + int(chosen[s, i % widths]) for s in range(config.seeds) for i in range(n)]
