"""Batches of the methods and their training loops on the one compiled program.

Shapes: ``N`` questions, ``R`` rows of each, ``U`` batches of ``B`` questions with ``r`` rows of
each, ``K`` steps, ``T`` tokens.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.step_dapo import sampling
from experiments.step_dapo.config import Config
from experiments.step_dapo.programs import BLOCK, LOSSES, Batch, Programs
from jaxswarm import language
from jaxswarm.data import verifiable
from jaxswarm.types import ArrayLike, Key, Params

GAE_LAMBDA = 0.95  # of PPO's advantages


def pool(config: Config, problems: Any, tokens: ArrayLike, mask: ArrayLike, **more: Any) -> Batch:
    """All rows that batches are drawn from, leaves ``[N, R, ...]``; fields not given are 0."""
    tokens, mask = np.asarray(tokens), np.asarray(mask)
    shape = (*tokens.shape[:2], config.terms - 1)
    fields: dict[str, Any] = {
        "reference": np.zeros(tokens.shape, np.float32),
        "targets": np.zeros(shape, np.float32),
        "weights": np.zeros(shape, np.float32),
        "states": np.zeros(shape, np.int32),
    } | more
    steps = sampling.step_ids(tokens, config.terms - 1)
    return Batch(problems.prompts, problems.prompt_mask, tokens, mask, steps, **fields)


def gather(rows: Batch, questions: np.ndarray, index: np.ndarray) -> Batch:
    """Batches of questions ``[U, B]`` with rows ``[U, B, r]`` of each."""
    prompts = (np.asarray(x)[questions] for x in rows[:2])
    others = (np.asarray(x)[questions[..., None], index] for x in rows[2:])
    return Batch(*prompts, *others)


def draw(config: Config, rng: np.random.Generator, rows: Batch, updates: int) -> Batch:
    """Draw questions with replacement and different rows of each without."""
    count, copies = rows.tokens.shape[:2]
    questions = rng.integers(count, size=(updates, config.groups))
    order = np.argsort(rng.random((*questions.shape, copies)), axis=-1)
    return gather(rows, questions, order[..., : config.rows])


def draw_whole(config: Config, rng: np.random.Generator, rows: Batch, updates: int) -> Batch:
    """Draw questions with all their rows; numbers of states are those within the batch."""
    count, copies = rows.tokens.shape[:2]
    parts = copies // config.rows
    questions = rng.integers(count, size=(updates, config.groups // parts))
    order = np.arange(copies).reshape(parts, config.rows)
    found = gather(
        rows,
        np.repeat(questions, parts, axis=1),
        np.broadcast_to(
            np.tile(order, (config.groups // parts, 1)), (updates, config.groups, config.rows)
        ),
    )
    numbered = [np.unique(x, return_inverse=True)[1].reshape(x.shape) for x in found.states]
    return found._replace(states=np.stack(numbered).astype(np.int32))


def draw_pairs(config: Config, rng: np.random.Generator, rows: Batch, updates: int) -> Batch:
    """Draw rows of positive advantage, then as many of negative, of questions that have both."""
    advantages = rows.targets[..., 0]
    both = np.flatnonzero((advantages > 0).any(1) & (advantages < 0).any(1))
    usable = len(both) > 0
    both = both if usable else np.arange(len(advantages))
    questions = rng.choice(both, size=(updates, config.groups))

    def choose(wanted: np.ndarray) -> np.ndarray:  # uniformly with replacement
        noise = rng.random((*questions.shape, config.rows // 2, wanted.shape[1]))
        return np.argmax(noise * wanted[questions][..., None, :], axis=-1)

    index = np.concatenate([choose(advantages > 0), choose(advantages < 0)], axis=-1)
    found = gather(rows, questions, index)
    return found._replace(weights=np.full_like(found.weights, float(usable)))


DRAWS = {"partition": draw_whole, "dpo": draw_pairs}


def train(
    config: Config,
    programs: Programs,
    rng: np.random.Generator,
    params: Params,
    rows: Batch,
    loss: str,
    updates: int,
    *,
    beta: float = 1.0,
    lr: float,
) -> tuple[Params, float]:
    """Parameters after gradient steps on drawn batches, and the mean loss of the last block."""
    make: Callable[..., Batch] = DRAWS.get(loss, draw)
    opt_state, mean = optax.adam(lr).init(params), 0.0
    for start in range(0, updates, BLOCK):
        batches = make(config, rng, rows, BLOCK)
        params, opt_state, mean = programs.train(
            params, opt_state, batches, np.arange(BLOCK), min(BLOCK, updates - start),
            LOSSES.index(loss), jnp.float32(beta), jnp.float32(lr),
        )  # fmt: skip
    return params, float(mean)


def ppo(
    config: Config,
    programs: Programs,
    rng: np.random.Generator,
    key: Key,
    params: Params,
    problems: verifiable.Problems,
    budget: int,
    lr: float,
) -> tuple[Params, Params, int]:
    """PPO with a critic of its own, of one value per step: policy, critic, generated tokens.

    A round samples a batch of responses, as many to each question as there are rows of all groups
    of half the questions, and makes ``ppo_updates`` gradient steps of policy and critic on it. The
    round that would exceed the budget is left out.
    """
    critic, spent, samples = params, 0, 2 * config.rows
    states = {name: optax.adam(lr).init(params) for name in ("ppo", "ppo_critic")}
    order = np.zeros(BLOCK, np.int64)
    while True:
        key, own = jax.random.split(key)
        drawn = rng.choice(len(problems.prompts), config.groups // 2, replace=False)
        asked = verifiable.Problems(*(np.asarray(x)[drawn] for x in problems))
        found = sampling.respond(config, programs, own, params, asked, samples)
        spent += int(found.mask.sum())
        if spent > budget:
            return params, critic, spent - int(found.mask.sum())
        doubled = verifiable.Problems(*(np.repeat(x, 2, axis=0) for x in asked))
        tokens, mask, old = (x.reshape(config.groups, config.rows, -1) for x in found[:3])
        _, outputs = sampling.score(config, programs, critic, doubled, tokens, mask)
        ids = sampling.step_ids(tokens, config.terms - 1)
        members = mask[:, :, None] & (ids[:, :, None] == np.arange(config.terms - 1)[:, None])
        there = members.any(-1)
        place = np.argmax(members, axis=-1)
        values = np.where(there, np.take_along_axis(outputs, place, axis=-1), 0.0)
        advantages = np.asarray(
            programs.advantages(
                values, found.rewards.reshape(config.groups, config.rows), there,
                jnp.float32(GAE_LAMBDA),
            )
        )  # fmt: skip
        whole = pool(config, doubled, tokens, mask, reference=old, weights=there.astype(np.float32))
        for name, targets in (
            ("ppo", _standardized(advantages, ids, mask)),
            ("ppo_critic", values + advantages),
        ):
            batch = Batch(*(np.broadcast_to(x, (BLOCK, *x.shape)) for x in
                            whole._replace(targets=targets.astype(np.float32))))  # fmt: skip
            start = params if name == "ppo" else critic
            trained, states[name], _ = programs.train(
                start, states[name], batch, order, config.ppo_updates, LOSSES.index(name),
                jnp.float32(1.0), jnp.float32(lr),
            )  # fmt: skip
            params, critic = (trained, critic) if name == "ppo" else (params, trained)


def _standardized(advantages: np.ndarray, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Subtract the mean over tokens of the advantages of their steps, divide by the deviation."""
    by_token = np.take_along_axis(advantages, ids, axis=-1)[mask]
    return (advantages - by_token.mean()) / (by_token.std() + 1e-8)


def step_rows(
    config: Config, rollouts: language.StepRollouts, reference: np.ndarray, **more: Any
) -> Batch:
    """Rows of a step-level method; steps that were sampled count."""
    weights = sampling.sampled_steps(rollouts).astype(np.float32)
    return pool(
        config, rollouts, rollouts.tokens, rollouts.mask, reference=reference,
        **({"weights": weights} | more),
    )  # fmt: skip


def response_rows(
    config: Config,
    problems: verifiable.Problems,
    responses: sampling.Responses,
    budget: int,
) -> tuple[Batch, int]:
    """Rows of a response-level method within a budget of tokens, and the tokens."""
    lengths = responses.mask.sum(-1)
    spent = np.cumsum(lengths.T.ravel()).reshape(lengths.shape[::-1]).T
    kept = spent <= budget
    mask = responses.mask & kept[..., None]
    mean = np.sum(responses.rewards * kept, 1) / np.maximum(kept.sum(1), 1)
    advantages = np.where(kept, responses.rewards - mean[:, None], 0.0)
    steps = np.arange(config.terms - 1)
    members = mask[:, :, None] & (
        sampling.step_ids(responses.tokens, len(steps))[:, :, None] == steps[:, None]
    )
    targets = np.repeat(advantages[..., None], len(steps), axis=-1).astype(np.float32)
    rows = pool(
        config, problems, responses.tokens, mask, reference=responses.log_probs,
        targets=targets, weights=members.any(-1).astype(np.float32),
    )  # fmt: skip
    return rows, int(mask.sum())
