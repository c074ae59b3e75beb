"""Learners from a fixed set of responses: the gradient loop, DPO and response-level regression.

Shapes: ``Q`` questions, ``G`` responses to each of ``T`` tokens, ``B`` questions of a batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.language._grpo import Rollouts, rollout_log_probs
from jaxswarm.language._losses import dpo_loss, response_quadratic_loss
from jaxswarm.models.transformer import LanguageModel, check_model
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class OfflineState(NamedTuple):
    """State of a learner from a fixed set of responses.

    Attributes:
        params: of one agent.
        opt_state: the optimizer's state.
        data: responses with all that does not change: log-probabilities under the reference policy
            and, of :func:`step_dapo`, advantages. Leaves ``[Q, ...]``.
    """

    params: Params
    opt_state: PyTree
    data: PyTree


class OfflineInfo(NamedTuple):
    """Measurements of one gradient step, ``float32[]``.

    Attributes:
        loss: before the step.
        grad_norm: of its gradient.
    """

    loss: jax.Array
    grad_norm: jax.Array


class _Referenced(NamedTuple):
    rollouts: Rollouts
    reference: jax.Array  # float32[Q, G, T], token log-probabilities under the reference policy


def offline(
    prepare: Callable[[Params, Any], PyTree],
    loss: Callable[[Key, Params, Any], jax.Array],
    optimizer: optax.GradientTransformation | None,
    batch_size: int,
) -> Algorithm:
    """Make a learner that draws batches of questions from a fixed set of responses.

    Args:
        prepare: ``prepare(params, rollouts) -> data``, leaves ``[Q, ...]``; called once.
        loss: ``loss(key, params, batch) -> scalar`` of data of ``B`` questions.
        optimizer: Adam with step size 1e-3 if ``None``.
        batch_size: ``B >= 1``, drawn with replacement.

    Raises:
        ValueError: for arguments of another kind or out of range.
    """
    optimizer = optax.adam(1e-3) if optimizer is None else optimizer
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    batch_size = checks.whole("batch_size", batch_size, 1)

    def init(params: Params, rollouts: Any) -> OfflineState:
        return OfflineState(params, optimizer.init(params), prepare(params, rollouts))

    def step(
        key: Key, state: OfflineState, inputs: None = None
    ) -> tuple[OfflineState, OfflineInfo]:
        del inputs
        row_key, key = jax.random.split(checks.key(key))
        count = jax.tree.leaves(state.data)[0].shape[0]
        rows = jax.random.randint(row_key, (batch_size,), 0, count)
        batch = jax.tree.map(lambda x: x[rows], state.data)
        found, grads = jax.value_and_grad(lambda p: loss(key, p, batch))(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return OfflineState(params, opt_state, state.data), OfflineInfo(
            found, optax.tree.norm(grads)
        )

    return Algorithm(init, step)


def response_quadratic(
    model: LanguageModel,
    optimizer: optax.GradientTransformation | None = None,
    *,
    beta: ArrayLike = 0.1,
    batch_size: int = 8,
) -> Algorithm:
    """Regression of the log-ratio of whole responses on their scaled advantages, of one agent.

    ``init(params, rollouts) -> OfflineState`` with ``params`` of the reference policy and
    :class:`Rollouts` such as those of :func:`sample_rollouts`; ``step(key, state) ->
    (OfflineState, OfflineInfo)`` draws a batch of questions, with all their responses. It is the
    response-level baseline of :func:`step_dapo`.

    Args:
        model: of one agent.
        optimizer: Adam with step size 1e-3 if ``None``.
        beta: strength of the reference, > 0.
        batch_size: questions of a step.

    Raises:
        ValueError: for arguments of another kind or out of range.
    """
    check_model(model)
    checks.real("beta", beta, above=0.0)

    def loss(key: Key, params: Params, batch: _Referenced) -> jax.Array:
        del key
        return response_quadratic_loss(
            rollout_log_probs(model, params, batch.rollouts),
            batch.reference,
            batch.rollouts.advantages,
            batch.rollouts.mask,
            beta=beta,
        )

    return offline(_reference_of(model), loss, optimizer, batch_size)


def dpo(
    model: LanguageModel,
    optimizer: optax.GradientTransformation | None = None,
    *,
    beta: ArrayLike = 0.1,
    num_pairs: int | None = None,
    batch_size: int = 8,
) -> Algorithm:
    r"""Direct preference optimization (DPO) on pairs of responses to the same question.

    ``init(params, rollouts) -> OfflineState`` with ``params`` of the reference policy and
    :class:`Rollouts`; ``step(key, state) -> (OfflineState, OfflineInfo)`` draws a batch of
    questions, and of each pairs of a response of positive and one of negative advantage. Questions
    without such a pair have no influence.

    Args:
        model: of one agent.
        optimizer: Adam with step size 1e-3 if ``None``.
        beta: strength of the reference, > 0.
        num_pairs: of each question of a step; ``G // 2`` if ``None``.
        batch_size: questions of a step.

    Raises:
        ValueError: for arguments of another kind or out of range.

    References:
        R. Rafailov et al., Direct preference optimization: your language model is secretly a reward
        model, 2023.

    Example:
        >>> import jax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.reverse_comparison(2), 4, seed=0)
        >>> problems = verifiable.to_arrays(items, tokens)
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> reward = language.exact_match_reward(tokens.token("\n"))
        >>> rollouts, _, _ = language.sample_rollouts(
        ...     jax.random.key(1), model, params, problems, reward, num_samples=4, max_new_tokens=3
        ... )
        >>> learner = language.dpo(model, beta=0.1, batch_size=2)
        >>> state, info = learner.step(jax.random.key(2), learner.init(params, rollouts))
        >>> info.loss.shape
        ()
    """
    check_model(model)
    checks.real("beta", beta, above=0.0)
    if num_pairs is not None:
        num_pairs = checks.whole("num_pairs", num_pairs, 1)

    def loss(key: Key, params: Params, batch: _Referenced) -> jax.Array:
        rollouts, count = batch.rollouts, batch.rollouts.advantages.shape[-1]
        pairs = max(1, count // 2) if num_pairs is None else num_pairs
        better, worse = rollouts.advantages > 0, rollouts.advantages < 0
        keys = jax.random.split(key)
        rows = [_draw(k, x, pairs) for k, x in zip(keys, (better, worse), strict=True)]
        index = jnp.concatenate(rows, axis=1)[..., None]

        def take(x: jax.Array) -> jax.Array:
            return jnp.take_along_axis(x, index, axis=1)

        drawn = rollouts._replace(tokens=take(rollouts.tokens), mask=take(rollouts.mask))
        own = jnp.sum(rollout_log_probs(model, params, drawn), axis=-1)
        reference = jnp.sum(jnp.where(drawn.mask, take(batch.reference), 0.0), axis=-1)
        usable = (jnp.any(better, 1) & jnp.any(worse, 1)).astype(jnp.float32)
        weight = jnp.repeat(usable, pairs)
        chosen, rejected, base, other = (
            jnp.ravel(x)
            for x in (own[:, :pairs], own[:, pairs:], reference[:, :pairs], reference[:, pairs:])
        )
        return dpo_loss(chosen, rejected, base, other, beta=beta, weight=weight)

    return offline(_reference_of(model), loss, optimizer, batch_size)


def _reference_of(model: LanguageModel) -> Callable[[Params, Rollouts], _Referenced]:
    def prepare(params: Params, rollouts: Rollouts) -> _Referenced:
        checks.instance("rollouts", rollouts, Rollouts, "language.sample_rollouts(…)[0]")
        checks.real("advantages", rollouts.advantages, shape=jnp.shape(rollouts.tokens)[:2])
        rollouts = jax.tree.map(jnp.asarray, rollouts)
        return _Referenced(rollouts, rollout_log_probs(model, params, rollouts))

    return prepare


def _draw(key: Key, wanted: jax.Array, num: int) -> jax.Array:
    """Positions of wanted entries of each row, uniformly with replacement, ``int[B, num]``."""
    logits = jnp.where(wanted, 0.0, -1e9)[:, None]
    shape = (wanted.shape[0], num)
    return jax.random.categorical(key, logits, axis=-1, shape=shape)
