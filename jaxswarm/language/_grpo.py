"""Group-relative policy optimization (GRPO) of one agent's language model.

Shapes: ``Q`` questions of a step, ``G`` responses to each, ``P`` tokens of a question, ``T`` of a
response.

References:
    Z. Shao et al., DeepSeekMath: pushing the limits of mathematical reasoning in open language
    models, 2024.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.data import verifiable
from jaxswarm.language._losses import GRPOLoss, group_advantages, grpo_loss
from jaxswarm.language._rewards import RewardFn
from jaxswarm.models.transformer import (
    Completions,
    LanguageModel,
    check_model,
    completion_log_probs,
    generate,
)
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class Rollouts(NamedTuple):
    """Groups of responses with advantages: what a policy update takes, wherever they come from.

    Attributes:
        prompts: ``int32[Q, P]``.
        prompt_mask: ``bool[Q, P]``.
        tokens: ``int32[Q, G, T]``.
        mask: ``bool[Q, G, T]``, tokens of the responses; all false for a group that is padding.
        advantages: ``float32[Q, G]``.
    """

    prompts: jax.Array
    prompt_mask: jax.Array
    tokens: jax.Array
    mask: jax.Array
    advantages: jax.Array


class GRPOState(NamedTuple):
    """State of :func:`grpo`.

    Attributes:
        params: of one agent.
        opt_state: the optimizer's state.
        reference: parameters of the frozen reference policy; ``None`` without a divergence.
    """

    params: Params
    opt_state: PyTree
    reference: Params | None


class GRPOInfo(NamedTuple):
    """Measurements of one step of :func:`grpo`, ``float32[]``.

    Attributes:
        reward: mean over all responses.
        live: share of groups whose rewards differ, which alone have a gradient.
        loss: of the last update.
        kl: estimated divergence from the reference policy; 0 without one.
        clip_fraction: share of tokens outside the clip range in the last update.
        grad_norm: of the last update.
        length: mean number of tokens of a response.
        finished: share of responses that ended by themselves.
    """

    reward: jax.Array
    live: jax.Array
    loss: jax.Array
    kl: jax.Array
    clip_fraction: jax.Array
    grad_norm: jax.Array
    length: jax.Array
    finished: jax.Array


def sample_rollouts(
    key: Key,
    model: LanguageModel,
    params: Params,
    problems: verifiable.Problems,
    reward: RewardFn,
    *,
    num_samples: int,
    max_new_tokens: int,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
) -> tuple[Rollouts, jax.Array, Completions]:
    """Sample a group of responses to each question and reward them.

    Args:
        key: consumed.
        model: of one agent.
        params: its parameters.
        problems: ``Q`` questions.
        reward: ``reward(problems, completions) -> float[Q, G]``.
        num_samples: ``G >= 2``.
        max_new_tokens: ``T``.
        temperature: of sampling, > 0.
        top_k: sample among the most probable tokens; all if ``None``.

    Returns:
        ``(rollouts, rewards [Q, G], completions)``.

    Raises:
        ValueError: as :func:`generate`, or for rewards of another shape.
    """
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    num_samples = checks.whole("num_samples", num_samples, 2)
    completions = generate(
        key,
        model,
        params,
        problems.prompts,
        problems.prompt_mask,
        max_new_tokens=max_new_tokens,
        num_samples=num_samples,
        temperature=temperature,
        top_k=top_k,
    )
    rewards = checks.numbers("reward", reward(problems, completions))
    if rewards.shape != completions.lengths.shape:
        raise ValueError(
            f"reward: expected one for each response, shape {completions.lengths.shape}, got "
            f"{rewards.shape}"
        )
    rollouts = Rollouts(
        jnp.asarray(problems.prompts),
        jnp.asarray(problems.prompt_mask),
        completions.tokens,
        completions.mask,
        group_advantages(rewards),
    )
    return rollouts, rewards, completions


def rollout_log_probs(model: LanguageModel, params: Params, rollouts: Rollouts) -> jax.Array:
    """Log-probability of each token of the responses under a policy, ``float32[Q, G, T]``.

    Args:
        model: of one agent.
        params: of the policy.
        rollouts: groups of responses, its own or those of other agents.

    Raises:
        ValueError: for arguments of another kind, or tokens outside the model's vocabulary.
    """
    checks.instance("rollouts", rollouts, Rollouts, "language.sample_rollouts(…)[0]")
    return completion_log_probs(
        model, params, rollouts.prompts, rollouts.prompt_mask, rollouts.tokens, rollouts.mask
    )


def grpo(
    model: LanguageModel,
    optimizer: optax.GradientTransformation,
    reward: RewardFn,
    *,
    num_samples: int = 8,
    max_new_tokens: int,
    num_updates: int = 1,
    clip_low: ArrayLike = 0.2,
    clip_high: ArrayLike = 0.28,
    kl_weight: float = 0.0,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
) -> Algorithm:
    r"""Group-relative policy optimization (GRPO) with verified rewards, of one agent.

    ``init(params) -> GRPOState``; ``step(key, state, problems) -> (GRPOState, GRPOInfo)`` samples
    ``G`` responses to each of the ``Q`` questions, rewards them, and makes ``num_updates`` gradient
    steps of :func:`grpo_loss`. For many agents see :func:`independent`.

    Args:
        model: of one agent.
        optimizer: an optax optimizer.
        reward: ``reward(problems, completions) -> float[Q, G]``, see :func:`exact_match_reward`.
        num_samples: ``G >= 2``.
        max_new_tokens: ``T >= 1``.
        num_updates: on the same responses. With one the ratio of probabilities is 1 and nothing is
            clipped.
        clip_low: in ``[0, 1]``.
        clip_high: at least 0.
        kl_weight: weight of the divergence from the initial policy, at least 0.
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
        >>> learner = language.grpo(
        ...     model,
        ...     optax.adam(1e-3),
        ...     language.exact_match_reward(tokens.token("\n")),
        ...     max_new_tokens=3,
        ... )
        >>> state = learner.init(model.init(jax.random.key(0)))
        >>> state, info = jax.jit(learner.step)(jax.random.key(1), state, problems)
        >>> bool(0 <= info.reward <= 1), info.loss.shape
        (True, ())
    """
    check_model(model)
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    checks.function("reward", reward)
    num_samples = checks.whole("num_samples", num_samples, 2)
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    num_updates = checks.whole("num_updates", num_updates, 1)
    checks.probability("clip_low", clip_low)
    checks.real("clip_high", clip_high, 0.0)
    kl_weight = float(checks.real("kl_weight", kl_weight, 0.0))
    checks.real("temperature", temperature, above=0.0)
    if top_k is not None:
        top_k = checks.whole("top_k", top_k, 1, model.vocab_size)

    def init(params: Params) -> GRPOState:
        reference = jax.tree.map(jnp.array, params) if kl_weight else None
        return GRPOState(params, optimizer.init(params), reference)

    def step(
        key: Key, state: GRPOState, problems: verifiable.Problems
    ) -> tuple[GRPOState, GRPOInfo]:
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
        reference = None
        if state.reference is not None:
            reference = rollout_log_probs(model, state.reference, rollouts)
        old = completions.log_probs if num_updates > 1 else None

        def objective(params: Params) -> tuple[jax.Array, GRPOLoss]:
            found = grpo_loss(
                rollout_log_probs(model, params, rollouts),
                rollouts.advantages,
                rollouts.mask,
                old_log_probs=old,
                clip_low=clip_low,
                clip_high=clip_high,
                reference_log_probs=reference,
                kl_weight=kl_weight,
            )
            return found.loss, found

        def update(carry: tuple[Params, PyTree], _: None) -> tuple[tuple[Params, PyTree], PyTree]:
            params, opt_state = carry
            grads, parts = jax.grad(objective, has_aux=True)(params)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            return (params, opt_state), (parts, optax.tree.norm(grads))

        carry = (state.params, state.opt_state)
        if num_updates == 1:
            carry, (parts, norm) = update(carry, None)
        else:
            carry, found = jax.lax.scan(update, carry, length=num_updates)
            parts, norm = jax.tree.map(lambda x: x[-1], found)
        live = jnp.max(rewards, axis=-1) > jnp.min(rewards, axis=-1)
        info = GRPOInfo(
            reward=jnp.mean(rewards),
            live=jnp.mean(live.astype(jnp.float32)),
            loss=parts.loss,
            kl=parts.kl,
            clip_fraction=parts.clip_fraction,
            grad_norm=norm,
            length=jnp.mean(completions.lengths.astype(jnp.float32)),
            finished=jnp.mean(completions.finished.astype(jnp.float32)),
        )
        return GRPOState(*carry, state.reference), info

    return Algorithm(init, step)
