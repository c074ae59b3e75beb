"""Proximal policy optimization (PPO) of one agent's language model with a co-trained critic.

Shapes: ``Q`` questions of a step, ``G`` responses to each, ``T`` tokens of a response, ``U`` units
of a response that have a value of their own: its tokens or its reasoning steps.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
    L. Ouyang et al., Training language models to follow instructions with human feedback, 2022.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.data import verifiable
from jaxswarm.language._critic import value_params, with_value_head
from jaxswarm.language._grpo import Rollouts, rollout_log_probs, sample_rollouts
from jaxswarm.language._losses import GRPOLoss, grpo_loss
from jaxswarm.language._rewards import RewardFn
from jaxswarm.language._steps import capped_ids, first_tokens, step_advantages, step_members
from jaxswarm.models.transformer import LanguageModel, check_model, completion_outputs
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class PPOState(NamedTuple):
    """State of :func:`ppo`.

    Attributes:
        params: of the policy.
        opt_state: of the policy's optimizer.
        critic_params: of the critic, which has the architecture of the policy and a scalar head.
        critic_opt_state: of the critic's optimizer.
    """

    params: Params
    opt_state: PyTree
    critic_params: Params
    critic_opt_state: PyTree


class PPOInfo(NamedTuple):
    """Measurements of one step of :func:`ppo`, ``float32[]``.

    Attributes:
        reward: mean over all responses.
        loss: of the policy in the last update.
        critic_loss: half the mean squared error of the values in the last update.
        clip_fraction: share of tokens outside the clip range in the last update.
        grad_norm: of the policy in the last update.
        length: mean number of tokens of a response.
        num_tokens: number of generated tokens.
    """

    reward: jax.Array
    loss: jax.Array
    critic_loss: jax.Array
    clip_fraction: jax.Array
    grad_norm: jax.Array
    length: jax.Array
    num_tokens: jax.Array


def ppo(
    model: LanguageModel,
    optimizer: optax.GradientTransformation,
    reward: RewardFn,
    *,
    critic_optimizer: optax.GradientTransformation | None = None,
    separator: int | None = None,
    num_steps: int | None = None,
    num_samples: int = 8,
    max_new_tokens: int,
    num_updates: int = 2,
    clip: ArrayLike = 0.2,
    discount: ArrayLike = 1.0,
    gae_lambda: ArrayLike = 0.95,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
) -> Algorithm:
    r"""Proximal policy optimization (PPO) with a critic that is trained along with the policy.

    ``init(params) -> PPOState``; ``step(key, state, problems) -> (PPOState, PPOInfo)`` samples
    ``G`` responses to each question, estimates advantages by the critic, standardizes them over the
    batch, and makes ``num_updates`` gradient steps of policy and critic. For many agents see
    :func:`independent`.

    Args:
        model: a transformer of one agent.
        optimizer: of the policy.
        reward: ``reward(problems, completions) -> float[Q, G]``, see :func:`exact_match_reward`.
        critic_optimizer: the policy's if ``None``, with a state of its own.
        separator: token of the newline between steps, for one value and advantage of each reasoning
            step; ``None`` for one of each token.
        num_steps: the most steps that are distinguished, with ``separator``.
        num_samples: ``G >= 2``.
        max_new_tokens: ``T >= 1``.
        num_updates: on the same responses.
        clip: the ratio of probabilities is clipped to ``[1 − clip, 1 + clip]``, in ``[0, 1]``.
        discount: ``γ`` in ``[0, 1]``.
        gae_lambda: ``λ`` of the generalized advantage estimate, in ``[0, 1]``.
        temperature: of sampling, > 0.
        top_k: sample among the most probable tokens; all if ``None``.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax, optax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.reverse_comparison(2), 4, seed=0)
        >>> problems = verifiable.to_arrays(items, tokens)
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> learner = language.ppo(
        ...     model,
        ...     optax.adam(1e-3),
        ...     language.exact_match_reward(tokens.token("\n")),
        ...     max_new_tokens=3,
        ... )
        >>> state = learner.init(model.init(jax.random.key(0)))
        >>> state, info = jax.jit(learner.step)(jax.random.key(1), state, problems)
        >>> bool(0 <= info.reward <= 1), info.critic_loss.shape
        (True, ())
    """
    check_model(model)
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    critic_optimizer = optimizer if critic_optimizer is None else critic_optimizer
    checks.instance("critic_optimizer", critic_optimizer, optax.GradientTransformation)
    checks.function("reward", reward)
    if (separator is None) != (num_steps is None):
        raise ValueError(
            "separator, num_steps: expected both or neither, got "
            f"{checks.shown(separator)} and {checks.shown(num_steps)}"
        )
    if separator is not None:
        separator = checks.whole("separator", separator)
        num_steps = checks.whole("num_steps", num_steps, 1)
    num_samples = checks.whole("num_samples", num_samples, 2)
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    num_updates = checks.whole("num_updates", num_updates, 1)
    checks.probability("clip", clip)
    checks.probability("discount", discount)
    checks.probability("gae_lambda", gae_lambda)
    checks.real("temperature", temperature, above=0.0)
    if top_k is not None:
        top_k = checks.whole("top_k", top_k, 1, model.vocab_size)

    def init(params: Params) -> PPOState:
        critic_params = value_params(model, params)
        return PPOState(
            params,
            optimizer.init(params),
            critic_params,
            critic_optimizer.init(critic_params),
        )

    def unit_values(params: Params, rollouts: Rollouts, members: jax.Array | None) -> jax.Array:
        critic = with_value_head(model)
        outputs = completion_outputs(
            critic, params, rollouts.prompts, rollouts.prompt_mask, rollouts.tokens, rollouts.mask
        )
        assert outputs.values is not None
        return outputs.values if members is None else first_tokens(members, outputs.values)

    def step(key: Key, state: PPOState, problems: verifiable.Problems) -> tuple[PPOState, PPOInfo]:
        rollouts, rewards, completions = sample_rollouts(
            key,
            model,
            state.params,
            problems,
            reward,
            num_samples=num_samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
        )
        members, ids, exists = None, None, rollouts.mask
        if separator is not None and num_steps is not None:
            ids = capped_ids(rollouts.tokens, separator, num_steps)
            members = step_members(rollouts.mask, ids, num_steps)
            exists = jnp.any(members, axis=-1)
        values = unit_values(state.critic_params, rollouts, members)
        estimated = step_advantages(
            values, rewards, exists, discount=discount, gae_lambda=gae_lambda
        )
        targets = values + estimated
        advantages = estimated if ids is None else jnp.take_along_axis(estimated, ids, axis=-1)
        advantages = _standardized(advantages, rollouts.mask)

        def objective(params: Params) -> tuple[jax.Array, GRPOLoss]:
            found = grpo_loss(
                rollout_log_probs(model, params, rollouts),
                advantages,
                rollouts.mask,
                old_log_probs=completions.log_probs,
                clip_low=clip,
                clip_high=clip,
            )
            return found.loss, found

        def error(params: Params) -> jax.Array:
            gap = jnp.where(exists, unit_values(params, rollouts, members) - targets, 0.0)
            return 0.5 * jnp.sum(jnp.square(gap)) / jnp.maximum(jnp.sum(exists), 1)

        def update(state: PPOState, _: None) -> tuple[PPOState, tuple]:
            grads, parts = jax.grad(objective, has_aux=True)(state.params)
            changes, opt_state = optimizer.update(grads, state.opt_state, state.params)
            critic_loss, slopes = jax.value_and_grad(error)(state.critic_params)
            moves, critic_opt_state = critic_optimizer.update(
                slopes, state.critic_opt_state, state.critic_params
            )
            new = PPOState(
                optax.apply_updates(state.params, changes),
                opt_state,
                optax.apply_updates(state.critic_params, moves),
                critic_opt_state,
            )
            return new, (parts, critic_loss, optax.tree.norm(grads))

        state, found = jax.lax.scan(update, state, length=num_updates)
        parts, critic_loss, norm = jax.tree.map(lambda x: x[-1], found)
        info = PPOInfo(
            reward=jnp.mean(rewards),
            loss=parts.loss,
            critic_loss=critic_loss,
            clip_fraction=parts.clip_fraction,
            grad_norm=norm,
            length=jnp.mean(completions.lengths.astype(jnp.float32)),
            num_tokens=jnp.sum(completions.lengths).astype(jnp.float32),
        )
        return state, info

    return Algorithm(init, step)


def _standardized(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Subtract the mean of the entries that count and divide by their deviation; others are 0."""
    total = jnp.maximum(jnp.sum(mask), 1)
    centered = jnp.where(mask, values - jnp.sum(jnp.where(mask, values, 0.0)) / total, 0.0)
    return centered / (jnp.sqrt(jnp.sum(jnp.square(centered)) / total) + 1e-8)
