"""Responses, completions of their states, and scores of them, in batches of one shape.

Shapes: ``Q`` questions, ``G`` responses to each, ``M`` completions of each state, ``R`` rows of a
question, ``K`` steps, ``T`` tokens of a response.
"""

from typing import Any, NamedTuple, cast

import jax
import numpy as np

from experiments.step_dapo.config import Config
from experiments.step_dapo.programs import Programs
from experiments.step_dapo.world import NEWLINE, response_length
from jaxswarm import language
from jaxswarm.data import verifiable
from jaxswarm.types import ArrayLike, Key, Params


class Responses(NamedTuple):
    """Sampled rows, ``[Q, G, ...]``.

    Attributes:
        tokens: ``int[Q, G, T]``.
        mask: ``bool[Q, G, T]``.
        log_probs: ``float[Q, G, T]`` under the policy that sampled.
        rewards: ``float[Q, G]``, 1 for a response that is the solution line by line.
    """

    tokens: np.ndarray
    mask: np.ndarray
    log_probs: np.ndarray
    rewards: np.ndarray


def respond(
    config: Config,
    programs: Programs,
    key: Key,
    params: Params,
    problems: verifiable.Problems,
    samples: int,
) -> Responses:
    """Sample ``G = samples`` responses to each question at temperature 1."""
    prompts = np.repeat(problems.prompts, samples, axis=0)
    mask = np.repeat(problems.prompt_mask, samples, axis=0)
    shape = (len(problems.prompts), samples, -1)
    tokens, kept, log_probs = (
        x.reshape(shape) for x in _generate(config, programs, key, params, prompts, mask)
    )
    return Responses(tokens, kept, log_probs, rewards_of(problems, tokens, kept))


def sample_steps(
    config: Config,
    programs: Programs,
    key: Key,
    params: Params,
    problems: verifiable.Problems,
    samples: int,
) -> language.StepRollouts:
    """Sample responses and completions of their states, as ``language.sample_steps`` does."""
    keys = jax.random.split(key)
    own = respond(config, programs, keys[0], params, problems, samples)
    steps, length = config.terms - 1, response_length(config)
    count, copies = len(problems.prompts), config.completions
    order = np.arange(1, steps)[:, None]
    ids = step_ids(own.tokens, steps)[:, :, None]  # [Q, G, 1, T]
    prefix = own.mask[:, :, None] & (ids < order)  # [Q, G, K - 1, T]
    exists = np.any(own.mask[:, :, None] & (ids == order), axis=-1)
    shape = (count, samples, steps - 1, copies)

    def context(prompt: Any, response: np.ndarray) -> np.ndarray:
        parts = (np.asarray(prompt)[:, None, None], response)
        return np.concatenate(
            [np.broadcast_to(x, (*shape[:3], x.shape[-1])) for x in parts], axis=-1
        ).reshape(count * samples * (steps - 1), -1)

    contexts = context(problems.prompts, np.where(prefix, own.tokens[:, :, None], 0))
    mask = context(problems.prompt_mask, prefix)
    contexts, mask = np.repeat(contexts, copies, axis=0), np.repeat(mask, copies, axis=0)
    sampled = _generate(config, programs, keys[1], params, contexts, mask)
    tails, tail_mask, _ = (x.reshape(*shape, length) for x in sampled)
    used = prefix.sum(-1)[..., None, None]
    place = np.arange(length) - used
    index = np.broadcast_to(np.maximum(place, 0), tails.shape)

    def join(head: np.ndarray, tail: np.ndarray) -> np.ndarray:
        found = np.where(place < 0, head[:, :, None, None], np.take_along_axis(tail, index, -1))
        return np.where(exists[..., None, None], found, 0).reshape(count, -1, length)

    tokens = np.concatenate([own.tokens, join(own.tokens, tails)], axis=1)
    kept = np.concatenate([own.mask, join(own.mask, tail_mask).astype(bool)], axis=1)
    rewards = rewards_of(problems, tokens, kept)
    first = np.broadcast_to(order[None, None], shape).reshape(count, -1)
    first = np.concatenate([np.zeros((count, samples), int), first], axis=1)
    values, counts = _values(rewards, exists, samples, copies)
    found = host_rollouts(
        problems.prompts, problems.prompt_mask, tokens, kept, step_ids(tokens, steps),
        rewards, first, values, counts,
    )  # fmt: skip
    there = states_of(found)
    inside = there[:, samples:] & (np.arange(steps) > first[:, samples:, None])
    values[:, samples:] = np.where(inside, rewards[:, samples:, None], 0)
    counts[:, samples:] = inside
    return found


def host_rollouts(*fields: ArrayLike) -> language.StepRollouts:
    """Rollouts of arrays on the host; the class is declared for arrays of JAX."""
    return language.StepRollouts(*cast("tuple[jax.Array, ...]", fields))


def _values(
    rewards: np.ndarray, exists: np.ndarray, samples: int, copies: int
) -> tuple[np.ndarray, np.ndarray]:
    """Monte-Carlo values and counts ``[Q, R, K]`` of the states of the responses."""
    count, _, boundaries = exists.shape
    shape = (count, rewards.shape[1], boundaries + 1)
    values, counts = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    values[:, 0, 0] = rewards[:, :samples].mean(1)
    counts[:, 0, 0] = samples
    means = rewards[:, samples:].reshape(*exists.shape, copies).mean(-1)
    values[:, :samples, 1:] = np.where(exists, means, 0)
    counts[:, :samples, 1:] = np.where(exists, copies, 0)
    return values, counts


def rewards_of(problems: verifiable.Problems, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Reward 1 for a response that is the solution line by line, ``float32[Q, G]``."""
    wanted = np.where(problems.solution_mask, problems.solutions, 0)[:, None]
    return np.all(np.where(mask, tokens, 0) == wanted, axis=-1).astype(np.float32)


def step_ids(tokens: np.ndarray, num_steps: int) -> np.ndarray:
    """Step of each token; all further ones belong to the last step."""
    ends = tokens == NEWLINE
    return np.minimum(np.cumsum(ends, axis=-1) - ends, num_steps - 1)


def states_of(rollouts: language.StepRollouts) -> np.ndarray:
    """States before a step that exists, ``bool[Q, R, K]``."""
    steps = np.arange(rollouts.values.shape[-1])[:, None]
    members = np.asarray(rollouts.mask)[:, :, None] & (rollouts.step_ids[:, :, None] == steps)
    return np.any(members, axis=-1)


def sampled_steps(rollouts: language.StepRollouts) -> np.ndarray:
    """Steps that were sampled and are no context, ``bool[Q, R, K]``."""
    steps = np.arange(rollouts.values.shape[-1])
    return states_of(rollouts) & (steps >= np.asarray(rollouts.first)[..., None])


def num_tokens(rollouts: language.StepRollouts) -> int:
    """Number of generated tokens; a context counts where it was generated."""
    return int(np.sum(rollouts.mask & (rollouts.step_ids >= rollouts.first[..., None])))


def right_states(problems: verifiable.Problems, rollouts: language.StepRollouts) -> np.ndarray:
    """States whose steps so far are those of the solution, ``bool[Q, R, K]``."""
    mask = np.asarray(rollouts.mask)
    equal = (np.asarray(rollouts.tokens) == np.asarray(problems.solutions)[:, None]) | ~mask
    steps = np.arange(rollouts.values.shape[-1])[:, None]
    before = np.asarray(rollouts.step_ids)[:, :, None] < steps
    return np.all(equal[:, :, None] | ~before, axis=-1) & states_of(rollouts)


def score(
    config: Config,
    programs: Programs,
    params: Params,
    problems: Any,
    tokens: ArrayLike,
    mask: ArrayLike,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of tokens, and the value head's output before each, ``[Q, R, T]`` both."""
    tokens, mask = np.asarray(tokens), np.asarray(mask)
    count, rows, length = tokens.shape
    parts = -(-rows // config.rows)
    padding = ((0, 0), (0, parts * config.rows - rows), (0, 0))
    shape = (count * parts, config.rows, length)
    grouped = [np.pad(x, padding).reshape(shape) for x in (tokens, mask)]
    prompts = [np.repeat(x, parts, axis=0) for x in (problems.prompts, problems.prompt_mask)]
    found = []
    for start in range(0, len(grouped[0]), config.groups):
        batch = [_cut(x, start, config.groups) for x in (*prompts, *grouped)]
        found.append(jax.device_get(programs.score(params, *batch)))
    joined = (np.concatenate(x)[: count * parts] for x in zip(*found, strict=True))
    log_probs, values = (x.reshape(count, -1, length)[:, :rows] for x in joined)
    return log_probs, values


def outputs_at_states(
    config: Config, programs: Programs, params: Params, rollouts: language.StepRollouts
) -> np.ndarray:
    """Output of the value head at the state before each step, ``[Q, R, K]``; 0 without one."""
    _, outputs = score(config, programs, params, rollouts, rollouts.tokens, rollouts.mask)
    steps = np.arange(rollouts.values.shape[-1])[:, None]
    members = rollouts.mask[:, :, None] & (rollouts.step_ids[:, :, None] == steps)
    place = np.argmax(members, axis=-1)
    return np.where(members.any(-1), np.take_along_axis(outputs, place, axis=-1), 0.0)


def exact_values(
    config: Config, programs: Programs, params: Params, problems: verifiable.Problems
) -> np.ndarray:
    """Value under a policy of the state after each number of right steps, ``float[Q, K]``.

    It is the probability of the rest of the solution, since only the whole solution is rewarded;
    the first is the pass rate of the question at temperature 1. After a wrong step it is 0.
    """
    solutions = np.asarray(problems.solutions)[:, None]
    mask = np.asarray(problems.solution_mask)[:, None]
    found, _ = score(config, programs, params, problems, solutions, mask)
    ids = step_ids(solutions, config.terms - 1)
    later = ids[:, 0, None] >= np.arange(config.terms - 1)[:, None]  # [Q, K, T]
    return np.exp(np.sum(np.where(later, found, 0.0), axis=-1))


def _cut(x: np.ndarray, start: int, size: int) -> np.ndarray:
    """Rows from ``start`` on, filled up to ``size`` with the first one."""
    part = x[start : start + size]
    return np.concatenate([part, np.repeat(x[:1], size - len(part), axis=0)])


def _generate(
    config: Config,
    programs: Programs,
    key: Key,
    params: Params,
    contexts: np.ndarray,
    mask: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Complete contexts of at most ``P + T`` tokens: tokens, mask, log-probabilities."""
    size = config.groups * config.rows
    missing = 2 * config.terms + response_length(config) - contexts.shape[1]
    contexts, mask = (np.pad(x, ((0, 0), (0, missing))) for x in (contexts, mask))
    starts = range(0, len(contexts), size)
    found = []
    for start, part in zip(starts, jax.random.split(key, len(starts)), strict=True):
        batch = _cut(contexts, start, size), _cut(mask, start, size)
        done = programs.generate(part, params, *batch)
        found.append(jax.device_get((done.tokens, done.mask, done.log_probs)))
    tokens, kept, log_probs = (np.concatenate(x)[: len(contexts)] for x in zip(*found, strict=True))
    return tokens, kept, log_probs
