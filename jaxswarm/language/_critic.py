"""Critics of reasoning steps: fitted to Monte-Carlo values and frozen, shuffled, and an oracle.

A critic is a function ``critic(rollouts) -> float32[Q, R, K]``, the value of the state before each
step. What uses it takes its values as data.

Shapes: as in :mod:`jaxswarm.language._steps`.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.data import verifiable
from jaxswarm.language._losses import value_loss
from jaxswarm.language._steps import (
    StepRollouts,
    check_steps,
    first_tokens,
    state_ids,
    step_members,
)
from jaxswarm.models.transformer import (
    LanguageModel,
    check_model,
    completion_outputs,
    from_config,
)
from jaxswarm.types import Key, Params

ValueFn = Callable[[StepRollouts], jax.Array]
"""``critic(rollouts) -> float32[Q, R, K]``, the value of the state before each step."""


class Critic(NamedTuple):
    """A fitted, frozen critic; call it as ``critic(rollouts)``.

    Attributes:
        model: a language model with a value head.
        params: its parameters.
        losses: ``float32[U]``, loss of each gradient step.
    """

    model: LanguageModel
    params: Params
    losses: jax.Array

    def __call__(self, rollouts: StepRollouts) -> jax.Array:
        """Probability that the state before each step ends in a right answer, ``[Q, R, K]``."""
        return jax.nn.sigmoid(step_outputs(self.model, self.params, rollouts))


def with_value_head(model: LanguageModel) -> LanguageModel:
    """Give a transformer a scalar output per position; its other parameters stay the same.

    Args:
        model: a transformer of one agent, with or without a value head.

    Raises:
        ValueError: for a model that is no transformer of ``from_config`` and has no value head.
    """
    check_model(model)
    if model.has_values:
        return model
    if model.config is None:
        raise ValueError(
            "model: expected a transformer of from_config or one with a value head, got neither"
        )
    return from_config(dataclasses.replace(model.config, value_head=True))


def value_params(model: LanguageModel, params: Params) -> Params:
    """Parameters of :func:`with_value_head`: those of the model, and a head that gives 0."""
    valued = with_value_head(model)
    if valued is model or valued.config is None:
        return params
    return {**params, "value": {"kernel": jnp.zeros((valued.config.width, 1))}}


def step_outputs(model: LanguageModel, params: Params, rollouts: StepRollouts) -> jax.Array:
    """Output of the value head at the state before each step, ``[Q, R, K]``; 0 without one.

    Args:
        model: with a value head.
        params: its parameters.
        rollouts: responses.

    Raises:
        ValueError: for a model without a value head.
    """
    check_model(model, values=True)
    checks.instance("rollouts", rollouts, StepRollouts, "language.sample_steps(…)")
    outputs = completion_outputs(
        model, params, rollouts.prompts, rollouts.prompt_mask, rollouts.tokens, rollouts.mask
    )
    assert outputs.values is not None
    members = step_members(rollouts.mask, rollouts.step_ids, rollouts.values.shape[-1])
    return first_tokens(members, outputs.values)


def fit_critic(
    key: Key,
    model: LanguageModel,
    params: Params,
    rollouts: StepRollouts,
    optimizer: optax.GradientTransformation | None = None,
    *,
    num_updates: int = 300,
    batch_size: int = 8,
) -> Critic:
    r"""Fit a critic of states to Monte-Carlo values by cross-entropy, and freeze it.

    The critic is the architecture of the policy with a scalar head, has parameters and an optimizer
    of its own and starts from the policy's parameters. A value counts as often as the number of
    completions that it is the mean of.

    Args:
        key: consumed.
        model: of the policy, of one agent.
        params: of the policy.
        rollouts: of :func:`sample_steps`.
        optimizer: Adam with step size 1e-3 if ``None``.
        num_updates: gradient steps ``U >= 1``.
        batch_size: questions of a gradient step, drawn with replacement, with all their rows.

    Raises:
        ValueError: for arguments of another kind or out of range, values outside ``[0, 1]``,
            without any completion, or with values of steps that do not exist.

    References:
        J. Liu et al., Improving multi-step reasoning abilities of large language models with direct
        advantage policy optimization, 2024.

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
        >>> params = model.init(jax.random.key(0))
        >>> rollouts = language.sample_steps(
        ...     jax.random.key(1), model, params, problems, language.exact_match_reward(newline),
        ...     separator=newline, num_steps=2, num_samples=2, max_new_tokens=6,
        ... )
        >>> critic = language.fit_critic(
        ...     jax.random.key(2), model, params, rollouts, num_updates=2, batch_size=2
        ... )
        >>> critic(rollouts).shape == rollouts.values.shape
        True
    """
    checks.key(key)
    check_steps(rollouts)
    optimizer = optax.adam(1e-3) if optimizer is None else optimizer
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    num_updates = checks.whole("num_updates", num_updates, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    if not checks.is_traced(rollouts.counts) and not bool(jnp.any(rollouts.counts > 0)):
        raise ValueError("counts: expected at least one completion of a state, got 0")
    valued, start = with_value_head(model), value_params(model, params)
    count = rollouts.tokens.shape[0]

    def loss(params: Params, batch: StepRollouts) -> jax.Array:
        return value_loss(step_outputs(valued, params, batch), batch.values, batch.counts)

    @jax.jit
    def train(key: Key, params: Params, data: StepRollouts) -> tuple[Params, jax.Array]:
        def update(carry: tuple, key: Key) -> tuple[tuple, jax.Array]:
            params, opt_state = carry
            rows = jax.random.randint(key, (batch_size,), 0, count)
            found, grads = jax.value_and_grad(loss)(params, jax.tree.map(lambda x: x[rows], data))
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), found

        carry = (params, optimizer.init(params))
        (params, _), losses = jax.lax.scan(update, carry, jax.random.split(key, num_updates))
        return params, losses

    fitted, losses = train(key, start, jax.tree.map(jnp.asarray, rollouts))
    return Critic(valued, fitted, losses)


def monte_carlo_values(rollouts: StepRollouts) -> jax.Array:
    """Value states by the mean reward of what was sampled from them, without a fitted critic.

    All rows of a question whose tokens agree so far count, see :func:`state_ids`: values have no
    bias, and the noise of few samples. It is a critic in the sense of this module for rollouts that
    are whole (no :func:`response_rows`).

    Args:
        rollouts: of :func:`sample_steps`.

    Returns:
        ``float32[Q, R, K]``.

    Raises:
        ValueError: for arguments of another kind.

    References:
        A. Kazemnejad et al., VinePPO: refining credit assignment in RL training of LLMs, 2024
        (Monte-Carlo values in place of a critic).
    """
    ids, sampled = jnp.ravel(state_ids(rollouts)), jnp.ravel(rollouts.sampled_steps)
    rewards = jnp.broadcast_to(rollouts.rewards[..., None], rollouts.values.shape)
    totals, counts = (
        jax.ops.segment_sum(jnp.where(sampled, jnp.ravel(x), 0.0), ids, ids.size)
        for x in (rewards, jnp.ones_like(rewards))
    )
    found = totals / jnp.maximum(counts, 1.0)
    return found[ids].reshape(rollouts.values.shape)


def shuffled_critic(key: Key, critic: ValueFn) -> ValueFn:
    """Permute a critic's values across states: a control that has lost all information on them.

    Args:
        key: of the permutation.
        critic: ``critic(rollouts) -> float[Q, R, K]``.

    Raises:
        ValueError: for arguments of another kind.
    """
    checks.key(key)
    checks.function("critic", critic)

    def values(rollouts: StepRollouts) -> jax.Array:
        return permuted(key, critic(rollouts), rollouts.states)

    return values


def permuted(key: Key, values: jax.Array, mask: jax.Array) -> jax.Array:
    """Permute the entries where a mask is true among themselves; others stay."""
    flat, kept = jnp.ravel(values), jnp.ravel(mask)
    noise = jax.random.uniform(key, flat.shape)
    source = jnp.argsort(jnp.where(kept, noise, 2.0))
    target = jnp.argsort(~kept, stable=True)
    moved = flat.at[target].set(flat[source])
    return jnp.where(kept, moved, flat).reshape(values.shape)


def oracle_critic(problems: verifiable.Problems, rollouts: StepRollouts) -> ValueFn:
    """Value states by the reference solution: an upper bound for fitted critics, no method.

    A state whose steps so far are those of the solution has the mean Monte-Carlo value of all such
    states after as many steps; all others have the value 0.

    Args:
        problems: ``Q`` questions, the same as those of all rollouts that are to be valued.
        rollouts: from which the means are taken.

    Raises:
        ValueError: for arguments of another kind, or another number of questions.
    """
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    check_steps(rollouts)
    right = _right_states(problems, rollouts)
    weight = jnp.where(right, rollouts.counts, 0.0)
    means = jnp.sum(weight * rollouts.values, (0, 1)) / jnp.maximum(jnp.sum(weight, (0, 1)), 1.0)

    def values(rollouts: StepRollouts) -> jax.Array:
        return jnp.where(_right_states(problems, rollouts), means[None, None], 0.0)

    return values


def _right_states(problems: verifiable.Problems, rollouts: StepRollouts) -> jax.Array:
    """States whose steps so far are those of the solution, ``bool[Q, R, K]``."""
    count, _, length = rollouts.tokens.shape
    solutions = jnp.asarray(problems.solutions)[:, :length]
    if solutions.shape[0] != count:
        raise ValueError(f"problems: expected {count} like the rollouts, got {solutions.shape[0]}")
    missing = length - solutions.shape[1]
    wanted = jnp.pad(solutions, ((0, 0), (0, missing)), constant_values=-1)[:, None]
    equal = (rollouts.tokens == wanted) | ~rollouts.mask
    steps = jnp.arange(rollouts.values.shape[-1])[None, None, :, None]
    before = rollouts.step_ids[:, :, None] < steps
    return jnp.all(equal[:, :, None] | ~before, axis=-1) & rollouts.states
