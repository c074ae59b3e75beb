"""Responses cut into reasoning steps, Monte-Carlo values of their states, step advantages.

A state is a question with the steps of a response so far, an action the next step (the lines of a
response, by default); the reward comes at the end.

Shapes: ``Q`` questions, ``G`` responses to each, ``M`` completions of each state, ``K`` steps of a
response, ``P`` tokens of a question, ``T`` of a response; ``R = G + G (K − 1) M`` rows of each
question.

References:
    J. Liu et al., Improving multi-step reasoning abilities of large language models with direct
    advantage policy optimization, 2024.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.data import verifiable
from jaxswarm.language._grpo import sample_rollouts
from jaxswarm.language._rewards import RewardFn
from jaxswarm.models.transformer import Completions, LanguageModel, generate, step_ids
from jaxswarm.types import ArrayLike, Key, Params


class StepRollouts(NamedTuple):
    """Responses cut into steps, with Monte-Carlo values of the states before some steps.

    The first ``G`` rows of a question are its responses; the other rows continue them from the
    state before step ``first``, and share the steps before it with the response.

    Attributes:
        prompts: ``int32[Q, P]``.
        prompt_mask: ``bool[Q, P]``.
        tokens: ``int32[Q, R, T]``.
        mask: ``bool[Q, R, T]``, tokens of the responses; all false for a state that does not exist.
        step_ids: ``int32[Q, R, T]`` in ``[0, K)``, the step of each token; all further steps belong
            to the last one.
        rewards: ``float32[Q, R]`` of the whole responses.
        first: ``int32[Q, R]``, the first step that was sampled; those before it are context.
        values: ``float32[Q, R, K]`` in ``[0, 1]``, mean reward of the completions of the state
            before each step.
        counts: ``float32[Q, R, K]``, number of these completions; 0 where there is no value.
    """

    prompts: jax.Array
    prompt_mask: jax.Array
    tokens: jax.Array
    mask: jax.Array
    step_ids: jax.Array
    rewards: jax.Array
    first: jax.Array
    values: jax.Array
    counts: jax.Array

    @property
    def states(self) -> jax.Array:
        """States before a step that exists, ``bool[Q, R, K]``."""
        return jnp.any(step_members(self.mask, self.step_ids, self.values.shape[-1]), axis=-1)

    @property
    def sampled_steps(self) -> jax.Array:
        """Steps that were sampled and are no context, ``bool[Q, R, K]``."""
        count = self.values.shape[-1]
        return self.states & (jnp.arange(count)[None, None] >= self.first[..., None])

    @property
    def num_tokens(self) -> jax.Array:
        """Number of generated tokens, ``int32[]``; a context counts where it was generated."""
        return jnp.sum(self.mask & (self.step_ids >= self.first[..., None]))


def sample_steps(
    key: Key,
    model: LanguageModel,
    params: Params,
    problems: verifiable.Problems,
    reward: RewardFn,
    *,
    separator: int,
    num_steps: int,
    num_samples: int = 4,
    num_completions: int = 4,
    max_new_tokens: int,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
) -> StepRollouts:
    r"""Sample responses, and completions of the state after each of their steps.

    The value of the state after a step is the mean reward of its ``M`` completions, that of a
    question the mean reward of its ``G`` responses (noted at the first one), and that of a state
    inside a completion the reward of this one. Completions are continued to the ``T`` tokens of a
    response and no further; without an end token they have the reward of an unfinished response.

    Args:
        key: consumed.
        model: of one agent.
        params: of the policy that samples, the reference policy.
        problems: ``Q`` questions.
        reward: ``reward(problems, completions) -> float[Q, …]`` in ``[0, 1]``, see
            :func:`exact_match_reward`.
        separator: token of the newline between steps.
        num_steps: ``K >= 1``, the most steps of a response that are distinguished.
        num_samples: ``G >= 2``.
        num_completions: ``M >= 1``.
        max_new_tokens: ``T``, of a whole response.
        temperature: of sampling, > 0.
        top_k: sample among the most probable tokens; all if ``None``.

    Raises:
        ValueError: for arguments of another kind or out of range, or known rewards outside
            ``[0, 1]``.

    Example:
        >>> import jax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.chain_sums(3), 2, seed=0)
        >>> problems = verifiable.to_arrays(items, tokens)
        >>> newline = tokens.token("\n")
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> rollouts = language.sample_steps(
        ...     jax.random.key(0), model, model.init(jax.random.key(1)), problems,
        ...     language.exact_match_reward(newline), separator=newline, num_steps=2,
        ...     num_samples=2, num_completions=3, max_new_tokens=6,
        ... )
        >>> rollouts.tokens.shape, rollouts.values.shape  # 2 responses and 2 · 1 · 3 completions
        ((2, 8, 6), (2, 8, 2))
    """
    separator = checks.whole("separator", separator)
    num_steps = checks.whole("num_steps", num_steps, 1)
    num_completions = checks.whole("num_completions", num_completions, 1)
    response_key, key = jax.random.split(checks.key(key))
    options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k}
    rollouts, rewards, responses = sample_rollouts(
        response_key, model, params, problems, reward, num_samples=num_samples, **options
    )
    checks.probability("reward", rewards, shape=None)
    ids = capped_ids(responses.tokens, separator, num_steps)
    count, group, length = responses.tokens.shape
    # Boundaries 1 … K − 1 of every response: [Q, G, K − 1, T]
    order = jnp.arange(1, num_steps)[None, None, :, None]
    prefix = responses.mask[:, :, None] & (ids[:, :, None] < order)
    exists = jnp.any(responses.mask[:, :, None] & (ids[:, :, None] == order), -1)
    rows = [(responses, jnp.zeros((count, group), jnp.int32))]
    if num_steps > 1:
        contexts, context_mask = (
            jnp.concatenate(
                [jnp.broadcast_to(x[:, None, None], (*prefix.shape[:3], x.shape[-1])), y], axis=-1
            ).reshape(-1, x.shape[-1] + length)
            for x, y in (
                (rollouts.prompts, jnp.broadcast_to(responses.tokens[:, :, None], prefix.shape)),
                (rollouts.prompt_mask, prefix),
            )
        )
        tails = generate(
            key, model, params, contexts, context_mask, num_samples=num_completions, **options
        )
        tails = jax.tree.map(
            lambda x: x.reshape(*prefix.shape[:3], num_completions, *x.shape[2:]), tails
        )
        joined = jax.tree.map(
            lambda x: x.reshape(count, -1, *x.shape[4:]), _join(responses, tails, prefix, exists)
        )
        first = jnp.broadcast_to(order, (count, group, num_steps - 1, num_completions))
        rows.append((joined, first.reshape(count, -1)))
        later = checks.numbers("reward", reward(problems, joined))
        rewards = jnp.concatenate([rewards, later], axis=1)
    every, first = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *rows)
    found = StepRollouts(
        rollouts.prompts,
        rollouts.prompt_mask,
        every.tokens,
        every.mask,
        capped_ids(every.tokens, separator, num_steps),
        rewards.astype(jnp.float32),
        first,
        *_values(rewards.astype(jnp.float32), exists, num_completions),
    )
    inside = found.states[:, group:] & (jnp.arange(num_steps)[None, None] > first[:, group:, None])
    return found._replace(  # states inside completions
        values=found.values.at[:, group:].set(jnp.where(inside, rewards[:, group:, None], 0.0)),
        counts=found.counts.at[:, group:].set(inside.astype(jnp.float32)),
    )


def response_rows(rollouts: StepRollouts, size: int = 1) -> StepRollouts:
    """Make groups of responses questions of their own, for batches from more questions.

    Args:
        rollouts: of :func:`sample_steps`.
        size: responses of a group, a divisor of ``R``. Group ``i`` of a question has its rows
            ``i``, ``i + R / size``, …: some of its responses and some of its completions.

    Returns:
        The same responses, leaves ``[Q R / size, size, ...]``; prompts are repeated. With ``size``
        1 they are in the same order.

    Raises:
        ValueError: for arguments of another kind, or a size that is no divisor.
    """
    checks.instance("rollouts", rollouts, StepRollouts, "language.sample_steps(…)")
    count, rows = jnp.shape(rollouts.tokens)[:2]
    size = checks.whole("size", size, 1)
    if rows % size:
        raise ValueError(f"size: expected a divisor of the {rows} rows of a question, got {size}")
    parts = rows // size

    def split(name: str, x: jax.Array) -> jax.Array:
        x = jnp.asarray(x)
        if name in ("prompts", "prompt_mask"):
            return jnp.repeat(x, parts, axis=0)
        x = x.reshape(count, size, parts, *x.shape[2:])
        return jnp.swapaxes(x, 1, 2).reshape(count * parts, size, *x.shape[3:])

    return StepRollouts(*map(split, StepRollouts._fields, rollouts))


def state_ids(rollouts: StepRollouts) -> jax.Array:
    """Number the states before steps: equal for steps of a question that follow equal tokens.

    A response and its completions share states, and so do responses that happen to agree so far.

    Args:
        rollouts: of :func:`sample_steps`.

    Returns:
        ``int32[Q, R, K]`` in ``[0, Q R K)``; of no meaning where a state does not exist.

    Raises:
        ValueError: for arguments of another kind.
    """
    checks.instance("rollouts", rollouts, StepRollouts, "language.sample_steps(…)")
    count, rows, steps = jnp.shape(rollouts.values)
    order = jnp.arange(steps)[None, None, :, None]
    before = rollouts.mask[:, :, None] & (rollouts.step_ids[:, :, None] < order)
    tokens = jnp.where(before, rollouts.tokens[:, :, None], -1)  # [Q, R, K, T]
    equal = jnp.all(tokens[:, :, None] == tokens[:, None], axis=-1)  # [Q, R, R, K]
    first = jnp.argmax(equal, axis=2)
    question, step = jnp.arange(count)[:, None, None], jnp.arange(steps)[None, None]
    return ((question * rows + first) * steps + step).astype(jnp.int32)


def step_advantages(
    values: jax.Array,
    rewards: jax.Array,
    states: jax.Array,
    *,
    discount: ArrayLike = 1.0,
    gae_lambda: ArrayLike = 0.0,
) -> jax.Array:
    """Advantage of each step from the values of states and the reward at the end.

    By default the value of the next state minus that of the state before, where the value of the
    state after the last step is the reward: the advantages of a response then add up to its reward
    minus the value of the question. With ``gae_lambda`` the generalized advantage estimate.

    Args:
        values: ``float[..., K]`` of the state before each step.
        rewards: ``float[...]`` of whole responses.
        states: ``bool[..., K]``, steps that exist, the first ones of each response.
        discount: ``γ`` in ``[0, 1]``.
        gae_lambda: ``λ`` in ``[0, 1]``; 1 gives the discounted reward minus the value.

    Returns:
        ``float32[..., K]``; 0 for a step that does not exist.

    Raises:
        ValueError: for shapes that do not fit, or numbers out of range.

    References:
        J. Schulman et al., High-dimensional continuous control using generalized advantage
        estimation, 2016.

    Example:
        >>> import jax.numpy as jnp
        >>> step_advantages(
        ...     jnp.array([0.5, 0.75, 9.0]), jnp.array(1.0), jnp.array([True, True, False])
        ... ).tolist()
        [0.25, 0.25, 0.0]
    """
    values = checks.numbers("values", values).astype(jnp.float32)
    if not values.ndim:
        raise ValueError("values: expected at least one axis, that of the steps, got a number")
    rewards = checks.numbers("rewards", rewards, shape=values.shape[:-1])
    states = jnp.asarray(checks.mask("states", states, values.shape))
    checks.probability("discount", discount)
    checks.probability("gae_lambda", gae_lambda)
    edge = [(0, 0)] * (values.ndim - 1) + [(0, 1)]
    continues = jnp.pad(states[..., 1:], edge)
    following = jnp.where(continues, discount * jnp.pad(values[..., 1:], edge), rewards[..., None])
    found = jnp.where(states, following - values, 0.0)
    if not checks.is_traced(gae_lambda) and float(gae_lambda) == 0.0:  # pyright: ignore
        return found

    def backward(later: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        total = now + jnp.asarray(discount) * gae_lambda * later
        return total, total

    steps = jnp.moveaxis(found, -1, 0)
    _, totals = jax.lax.scan(backward, jnp.zeros_like(steps[0]), steps, reverse=True)
    return jnp.where(states, jnp.moveaxis(totals, 0, -1), 0.0)


def step_members(mask: jax.Array, ids: jax.Array, num_steps: int) -> jax.Array:
    """Tokens of each step, ``bool[..., K, T]``, from flags and step numbers ``[..., T]``."""
    steps = jnp.arange(num_steps).reshape((1,) * (ids.ndim - 1) + (-1, 1))
    return mask[..., None, :] & (ids[..., None, :] == steps)


def first_tokens(members: jax.Array, values: jax.Array) -> jax.Array:
    """Pick the entry at the first token of each step, ``[..., T] -> [..., K]``; 0 without one."""
    starts = members & (jnp.cumsum(members, axis=-1) == 1)
    return jnp.sum(jnp.where(starts, values[..., None, :], 0.0), axis=-1)


def check_steps(rollouts: Any) -> StepRollouts:
    """Check what is known of rollouts: shapes, step numbers, values, and values of missing states.

    Raises:
        ValueError: naming ``rollouts`` or its field.
    """
    checks.instance("rollouts", rollouts, StepRollouts, "language.sample_steps(…)")
    shape, count = jnp.shape(rollouts.tokens), jnp.shape(rollouts.values)[-1]
    if len(shape) != 3 or jnp.shape(rollouts.step_ids) != shape:
        raise ValueError(
            f"step_ids: expected one for each token [Q, R, T], got shape "
            f"{jnp.shape(rollouts.step_ids)} for tokens {shape}"
        )
    checks.mask("mask", rollouts.mask, shape)
    checks.wholes("step_ids", rollouts.step_ids, 0, count - 1)
    checks.wholes("first", rollouts.first, 0, count - 1, shape=shape[:2])
    checks.real("rewards", rollouts.rewards, shape=shape[:2])
    checks.probability("values", rollouts.values, shape=(*shape[:2], count))
    checks.real("counts", rollouts.counts, 0.0, shape=(*shape[:2], count))
    if not any(checks.is_traced(x) for x in rollouts):
        empty = (rollouts.counts > 0) & ~rollouts.states
        if bool(jnp.any(empty)):
            raise ValueError(
                "counts: expected 0 for a step without tokens, whose state does not exist, got "
                f"{checks.shown(rollouts.counts[empty][0])}"
            )
    return rollouts


def capped_ids(tokens: jax.Array, separator: int, num_steps: int) -> jax.Array:
    return jnp.minimum(step_ids(tokens, separator), num_steps - 1)


def _join(
    responses: Completions, tails: Completions, prefix: jax.Array, exists: jax.Array
) -> Completions:
    """Join responses up to a boundary and completions, cut to ``T``: ``[Q, G, K − 1, M, T]``."""
    length = prefix.shape[-1]
    used = jnp.sum(prefix, axis=-1)[..., None, None]
    place = jnp.arange(length)[None, None, None, None] - used
    kept = place < 0
    index = jnp.broadcast_to(jnp.maximum(place, 0), tails.tokens.shape)

    def join(head: jax.Array, tail: jax.Array) -> jax.Array:
        moved = jnp.take_along_axis(tail, index, axis=-1)
        joined = jnp.where(kept, head[:, :, None, None], moved)
        return jnp.where(exists[..., None, None], joined, jnp.zeros((), joined.dtype))

    mask = join(responses.mask, tails.mask)
    lengths = jnp.sum(mask, axis=-1, dtype=jnp.int32)
    finished = tails.finished & (used[..., 0] + tails.lengths <= length) & exists[..., None]
    return Completions(
        join(responses.tokens, tails.tokens),
        mask,
        join(responses.log_probs, tails.log_probs),
        lengths,
        finished,
    )


def _values(
    rewards: jax.Array, exists: jax.Array, num_completions: int
) -> tuple[jax.Array, jax.Array]:
    """Monte-Carlo values and counts of the states of the ``G`` responses; 0 in the other rows."""
    count, group, boundaries = exists.shape
    own, later = rewards[:, :group], rewards[:, group:]
    values = jnp.mean(later.reshape(count, group, boundaries, num_completions), axis=-1)
    start = jnp.zeros((count, group, 1))
    start_values = start.at[:, 0, 0].set(jnp.mean(own, axis=1))
    values = jnp.concatenate([start_values, jnp.where(exists, values, 0.0)], axis=-1)
    counts = jnp.concatenate(
        [start.at[:, 0].set(group), jnp.where(exists, float(num_completions), 0.0)], axis=-1
    )
    others = ((0, 0), (0, later.shape[1]), (0, 0))
    return jnp.pad(values, others), jnp.pad(counts, others)
