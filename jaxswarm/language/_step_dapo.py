"""Step-level direct advantage policy optimization (step-DAPO) of one agent's language model.

It is offline and has two stages: fit a critic of states to Monte-Carlo values under the reference
policy and freeze it (:func:`fit_critic`), then regress the log-ratio of each step on its advantage.
It is not the method of the same acronym of Q. Yu et al., 2025 (``grpo`` has its two clip ranges).

Shapes: ``Q`` questions, ``R`` rows of each, ``K`` steps of a response, ``T`` tokens.

References:
    J. Liu et al., Improving multi-step reasoning abilities of large language models with direct
    advantage policy optimization, 2024.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.language._critic import Critic, ValueFn
from jaxswarm.language._losses import step_quadratic_loss
from jaxswarm.language._offline import offline
from jaxswarm.language._steps import StepRollouts, check_steps, state_ids, step_advantages
from jaxswarm.models.transformer import (
    LanguageModel,
    check_model,
    completion_log_probs,
    step_log_probs,
)
from jaxswarm.types import ArrayLike, Key, Params

LOG_PARTITIONS = ("dropped", "fitted")
"""Logarithm of the partition function of a state in the loss: left out as in the paper, or the
value that fits the steps of the state in a batch best."""


class ScoredSteps(NamedTuple):
    """Steps with their advantages and log-probabilities under the reference policy.

    Attributes:
        rollouts: the responses.
        reference: ``float32[Q, R, K]``, log-probability of each step under the reference policy.
        advantages: ``float32[Q, R, K]`` of a frozen critic.
        mask: ``bool[Q, R, K]``, steps that were sampled, in states whose value is large enough;
            context does not count.
    """

    rollouts: StepRollouts
    reference: jax.Array
    advantages: jax.Array
    mask: jax.Array


def score_steps(
    model: LanguageModel,
    params: Params,
    critic: ValueFn,
    rollouts: StepRollouts,
    *,
    min_value: ArrayLike = 0.0,
) -> ScoredSteps:
    """Value the steps of responses by a frozen critic, for :func:`step_dapo`.

    Args:
        model: of one agent.
        params: of the reference policy.
        critic: ``critic(rollouts) -> float[Q, R, K]``, such as a :class:`Critic`.
        rollouts: of :func:`sample_steps`.
        min_value: steps in states of a smaller value do not count, in ``[0, 1]``.

    Raises:
        ValueError: for arguments of another kind or out of range, a critic of another vocabulary,
            or advantages that are not finite.
    """
    check_model(model)
    checks.function("critic", critic)
    checks.probability("min_value", min_value)
    if isinstance(critic, Critic) and critic.model.vocab_size != model.vocab_size:
        raise ValueError(
            f"critic: expected the vocabulary of model, {model.vocab_size} tokens, got "
            f"{critic.model.vocab_size}"
        )
    rollouts = jax.tree.map(jnp.asarray, check_steps(rollouts))
    values = checks.numbers("critic", critic(rollouts), shape=rollouts.values.shape)
    advantages = step_advantages(values, rollouts.rewards, rollouts.states)
    if not checks.is_traced(advantages):
        checks.real("advantages", advantages, shape=None)
    return ScoredSteps(
        rollouts,
        rollout_step_log_probs(model, params, rollouts),
        jax.lax.stop_gradient(advantages),
        rollouts.sampled_steps & (values >= min_value),
    )


def rollout_step_log_probs(
    model: LanguageModel, params: Params, rollouts: StepRollouts
) -> jax.Array:
    """Log-probability of each step of responses under a policy, ``float32[Q, R, K]``.

    Args:
        model: of one agent.
        params: of the policy.
        rollouts: of :func:`sample_steps`.

    Raises:
        ValueError: for arguments of another kind, or tokens outside the model's vocabulary.
    """
    checks.instance("rollouts", rollouts, StepRollouts, "language.sample_steps(…)")
    found = completion_log_probs(
        model, params, rollouts.prompts, rollouts.prompt_mask, rollouts.tokens, rollouts.mask
    )
    return step_log_probs(found, rollouts.step_ids, rollouts.values.shape[-1], rollouts.mask)


def step_dapo(
    model: LanguageModel,
    critic: ValueFn,
    optimizer: optax.GradientTransformation | None = None,
    *,
    beta: ArrayLike = 0.1,
    batch_size: int = 8,
    min_value: ArrayLike = 0.0,
    log_partition: str = "dropped",
) -> Algorithm:
    r"""Step-level direct advantage policy optimization (step-DAPO) with a frozen critic.

    ``init(params, rollouts) -> OfflineState`` with ``params`` of the reference policy values all
    steps of the rollouts of :func:`sample_steps` once; ``step(key, state) -> (OfflineState,
    OfflineInfo)`` draws a batch of questions and makes a gradient step of
    :func:`step_quadratic_loss`. The critic's values are data of the state, so that the critic
    cannot be trained along. For another round sample with the new parameters, fit a new critic and
    start again.

    Args:
        model: of one agent.
        critic: ``critic(rollouts) -> float[Q, R, K]``, values of the state before each step, such
            as that of :func:`fit_critic`.
        optimizer: Adam with step size 1e-3 if ``None``.
        beta: strength of the reference, > 0.
        batch_size: questions of a step, with all their rows; see :func:`response_rows` for batches
            of single responses.
        min_value: steps in states that the critic values less do not count, in ``[0, 1]``. In a
            state that can hardly end right all advantages are near 0, and such steps, often the
            majority, hold the policy to the reference. 0 leaves none out.
        log_partition: a name in ``LOG_PARTITIONS``. ``"dropped"`` as in the paper; ``"fitted"``
            subtracts in each state the mean of ``A / β − log π / π_ref`` over its steps in the
            batch, which makes ``π_ref exp(A / β) / Z`` the minimum, see
            :func:`step_quadratic_loss`. It needs several rows of a question in a batch (no
            :func:`response_rows`); steps that are alone in their state do not count.

    Raises:
        ValueError: for arguments of another kind or out of range; by ``init``, for a critic of
            another vocabulary, step numbers past the end, advantages that are not finite, or one
            row of each question with ``log_partition="fitted"``.

    Example:
        >>> import jax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> tokens = verifiable.tokenizer()
        >>> newline = tokens.token("\n")
        >>> items = verifiable.draw_items(verifiable.chain_sums(3), 4, seed=0)
        >>> problems = verifiable.to_arrays(items, tokens)  # 2 steps: two lines
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> params = model.init(jax.random.key(0))  # of a model that you have fine-tuned
        >>> rollouts = language.sample_steps(
        ...     jax.random.key(1), model, params, problems, language.exact_match_reward(newline),
        ...     separator=newline, num_steps=2, num_samples=2, max_new_tokens=6,
        ... )
        >>> critic = language.fit_critic(jax.random.key(2), model, params, rollouts, num_updates=2)
        >>> learner = language.step_dapo(model, critic, beta=0.1)
        >>> state = learner.init(params, rollouts)
        >>> state, info = jax.jit(learner.step)(jax.random.key(3), state)
        >>> state.data.advantages.shape, info.loss.shape
        ((4, 10, 2), ())
    """
    check_model(model)
    checks.function("critic", critic)
    checks.real("beta", beta, above=0.0)
    checks.probability("min_value", min_value)
    checks.choice("log_partition", log_partition, LOG_PARTITIONS)
    fitted = log_partition == "fitted"

    def prepare(params: Params, rollouts: StepRollouts) -> ScoredSteps:
        if fitted and isinstance(rollouts, StepRollouts) and jnp.shape(rollouts.tokens)[1] < 2:
            raise ValueError(
                "rollouts: expected several rows of each question for log_partition='fitted', got 1"
            )
        return score_steps(model, params, critic, rollouts, min_value=min_value)

    def loss(key: Key, params: Params, batch: ScoredSteps) -> jax.Array:
        del key
        return step_quadratic_loss(
            rollout_step_log_probs(model, params, batch.rollouts),
            batch.reference,
            batch.advantages,
            batch.mask,
            beta=beta,
            states=state_ids(batch.rollouts) if fitted else None,
        )

    return offline(prepare, loss, optimizer, batch_size)
