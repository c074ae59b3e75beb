"""Losses of policy-gradient and preference learning of language models, as pure functions.

Tokens, responses or steps whose mask is false have no influence on values or gradients, even if
they are NaN; without any that counts a loss is 0.

Shapes: ``G`` responses to each question, ``T`` tokens of a response, ``K`` steps of a response.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

TINY = 1e-8
"""Added to the deviation of a group's rewards."""


class GRPOLoss(NamedTuple):
    """Loss of :func:`grpo_loss` and what it is made of, scalars.

    Attributes:
        loss: the clipped surrogate, negated, and ``kl_weight`` times the divergence.
        kl: estimate of the divergence from the reference policy in nats per token.
        clip_fraction: share of tokens whose ratio of probabilities lies outside the clip range.
    """

    loss: jax.Array
    kl: jax.Array
    clip_fraction: jax.Array


def group_advantages(
    rewards: jax.Array, mask: jax.Array | None = None, *, normalize: bool = True
) -> jax.Array:
    """Advantages of responses relative to the other responses to the same question.

    ``(r − mean) / (deviation + 1e-8)`` inside each group; exactly 0 where all rewards of the group
    are equal.

    Args:
        rewards: ``[..., G]``.
        mask: ``bool[..., G]``, responses that count, all if ``None``; others get 0.
        normalize: divide by the deviation; else only the mean is subtracted.

    Returns:
        ``float32[..., G]``.

    Raises:
        ValueError: for fewer than two responses, or rewards that are known and not finite.

    References:
        Z. Shao et al., DeepSeekMath: pushing the limits of mathematical reasoning in open language
        models, 2024.

    Example:
        >>> import jax.numpy as jnp
        >>> group_advantages(jnp.array([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])).tolist()
        [[1.0, -1.0, -1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    """
    normalize = checks.flag("normalize", normalize)
    rewards = _floats("rewards", rewards)
    if not rewards.ndim or rewards.shape[-1] < 2:
        raise ValueError(
            f"rewards: expected at least two responses in each group, got shape {rewards.shape}"
        )
    counts = _mask(mask, rewards.shape)
    _known_finite("rewards", rewards, mask)
    total = jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True), 1)
    kept = jnp.where(counts, rewards, 0.0)
    centered = kept - jnp.sum(kept, axis=-1, keepdims=True) / total
    centered = jnp.where(counts, centered, 0.0)
    high = jnp.max(jnp.where(counts, rewards, -jnp.inf), axis=-1, keepdims=True)
    low = jnp.min(jnp.where(counts, rewards, jnp.inf), axis=-1, keepdims=True)
    varied = high > low
    if normalize:
        variance = jnp.sum(jnp.square(centered), axis=-1, keepdims=True) / total
        centered = centered / (jnp.sqrt(jnp.where(varied, variance, 1.0)) + TINY)
    return jnp.where(varied, centered, 0.0)


def grpo_loss(
    log_probs: jax.Array,
    advantages: jax.Array,
    mask: jax.Array | None = None,
    *,
    old_log_probs: jax.Array | None = None,
    clip_low: ArrayLike = 0.2,
    clip_high: ArrayLike = 0.28,
    reference_log_probs: jax.Array | None = None,
    kl_weight: ArrayLike = 0.0,
) -> GRPOLoss:
    """Clipped surrogate loss of group-relative policy optimization (GRPO), mean over tokens.

    ``−mean_t min(ρ_t A, clip(ρ_t, 1 − clip_low, 1 + clip_high) A) + kl_weight · KL`` with the ratio
    ``ρ_t`` of the probabilities now and when the response was sampled.

    Args:
        log_probs: ``[..., T]`` of the tokens under the policy that learns.
        advantages: ``[...]``, one for each response; ``[..., T]`` for one for each token.
        mask: ``bool[..., T]``, tokens that count, all if ``None``.
        old_log_probs: ``[..., T]`` when they were sampled; ``None`` for those of now, so that the
            ratio is 1, the gradient that of ``A log π``, and nothing is clipped.
        clip_low: in ``[0, 1]``.
        clip_high: at least 0.
        reference_log_probs: ``[..., T]`` of a frozen policy for the divergence.
        kl_weight: at least 0; needs ``reference_log_probs`` if it is not 0.

    Raises:
        ValueError: for shapes that do not fit, advantages that are known and not finite, or numbers
            out of range.

    References:
        Z. Shao et al., DeepSeekMath, 2024 (GRPO); Q. Yu et al., DAPO: an open-source LLM
        reinforcement learning system at scale, 2025 (two clip ranges, mean over tokens);
        J. Schulman, Approximating KL divergence, 2020 (the estimator).
    """
    log_probs = _floats("log_probs", log_probs)
    counts = _mask(mask, log_probs.shape)
    checks.probability("clip_low", clip_low)
    checks.real("clip_high", clip_high, 0.0)
    checks.real("kl_weight", kl_weight, 0.0)
    log_probs = jnp.where(counts, log_probs, 0.0)
    advantages = _per_token("advantages", advantages, log_probs.shape, mask)
    if old_log_probs is None:
        old = jax.lax.stop_gradient(log_probs)
    else:
        old = _like("old_log_probs", old_log_probs, log_probs.shape)
    log_ratio = jnp.where(counts, log_probs - old, 0.0)
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1.0 - jnp.asarray(clip_low), 1.0 + jnp.asarray(clip_high))
    loss = -_mean(jnp.minimum(ratio * advantages, clipped * advantages), counts)
    kl = jnp.zeros(())
    if reference_log_probs is not None:
        reference = _like("reference_log_probs", reference_log_probs, log_probs.shape)
        gap = jnp.where(counts, reference - log_probs, 0.0)
        kl = _mean(jnp.exp(gap) - gap - 1.0, counts)
        loss = loss + kl_weight * kl
    elif checks.is_traced(kl_weight) or float(kl_weight) != 0.0:  # pyright: ignore
        raise ValueError("reference_log_probs: expected an array, since kl_weight is set, got None")
    outside = (ratio != clipped).astype(jnp.float32)
    return GRPOLoss(loss, kl, _mean(outside, counts))


def reinforce_loss(
    log_probs: jax.Array, advantages: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """REINFORCE: minus the mean over responses of the advantage times the log-probability.

    Args:
        log_probs: ``[..., T]`` of the tokens.
        advantages: ``[...]``, one for each response: its reward minus a baseline.
        mask: ``bool[..., T]``, tokens that count, all if ``None``; responses without any do not
            count.

    Raises:
        ValueError: for shapes that do not fit, or advantages that are known and not finite.

    References:
        R. Williams, Simple statistical gradient-following algorithms for connectionist
        reinforcement learning, 1992.
    """
    log_probs = _floats("log_probs", log_probs)
    counts = _mask(mask, log_probs.shape)
    some = jnp.any(counts, axis=-1)
    advantages = _per_response("advantages", advantages, some.shape, some)
    return -_mean(advantages * _sums(log_probs, counts), some)


def dpo_loss(
    chosen: jax.Array,
    rejected: jax.Array,
    reference_chosen: jax.Array,
    reference_rejected: jax.Array,
    *,
    beta: ArrayLike = 0.1,
    weight: jax.Array | None = None,
) -> jax.Array:
    """Direct preference optimization (DPO): logistic loss of the difference of log-ratios.

    Args:
        chosen: ``[B]``, log-probability of the better response of each pair.
        rejected: ``[B]``, of the worse one.
        reference_chosen: ``[B]``, the same under the frozen reference policy.
        reference_rejected: ``[B]``.
        beta: strength of the reference, > 0.
        weight: ``[B]``, non-negative; pairs of weight 0 have no influence.

    Returns:
        The weighted mean, a scalar.

    Raises:
        ValueError: for shapes that do not fit or numbers out of range.

    References:
        R. Rafailov et al., Direct preference optimization: your language model is secretly a reward
        model, 2023.

    Example:
        >>> import jax.numpy as jnp
        >>> zero = jnp.zeros(2)
        >>> round(float(dpo_loss(zero, zero, zero, zero)), 4)  # log 2
        0.6931
    """
    chosen = _floats("chosen", chosen)
    others = {
        "rejected": rejected,
        "reference_chosen": reference_chosen,
        "reference_rejected": reference_rejected,
    }
    rejected, base, other = (_like(name, x, chosen.shape) for name, x in others.items())
    checks.real("beta", beta, above=0.0)
    if weight is None:
        weight = jnp.ones(chosen.shape)
    weight = jnp.asarray(checks.real("weight", weight, 0.0, shape=chosen.shape))
    kept = weight > 0
    margin = jnp.where(kept, (chosen - base) - (rejected - other), 0.0)
    total = jnp.sum(weight)
    losses = jnp.where(kept, jax.nn.softplus(-jnp.asarray(beta) * margin), 0.0)
    return jnp.sum(weight * losses) / jnp.where(total > 0, total, 1.0)


def response_quadratic_loss(
    log_probs: jax.Array,
    reference_log_probs: jax.Array,
    advantages: jax.Array,
    mask: jax.Array | None = None,
    *,
    beta: ArrayLike = 0.1,
) -> jax.Array:
    """Quadratic loss that fits a response's log-ratio to its scaled advantage.

    ``½ mean (A / β − log π(y|x) / π_ref(y|x))²``, the response-level baseline of
    :func:`step_quadratic_loss`.

    Args:
        log_probs: ``[..., T]`` of the tokens under the policy that learns.
        reference_log_probs: ``[..., T]`` under the frozen reference policy.
        advantages: ``[...]``, one for each response.
        mask: ``bool[..., T]``, tokens that count, all if ``None``; responses without any do not
            count.
        beta: strength of the reference, > 0.

    Raises:
        ValueError: for shapes that do not fit, advantages that are known and not finite, or
            ``beta`` out of range.
    """
    log_probs = _floats("log_probs", log_probs)
    reference = _like("reference_log_probs", reference_log_probs, log_probs.shape)
    counts = _mask(mask, log_probs.shape)
    some = jnp.any(counts, axis=-1)
    advantages = _per_response("advantages", advantages, some.shape, some)
    checks.real("beta", beta, above=0.0)
    ratio = _sums(log_probs, counts) - _sums(reference, counts)
    return 0.5 * _mean(jnp.square(advantages / beta - ratio), some)


def step_quadratic_loss(
    step_log_probs: jax.Array,
    reference_step_log_probs: jax.Array,
    advantages: jax.Array,
    mask: jax.Array | None = None,
    *,
    beta: ArrayLike = 0.1,
    states: jax.Array | None = None,
) -> jax.Array:
    r"""Quadratic loss of step-level direct advantage policy optimization.

    ``½ mean (A(s, a) / β − b(s) − log π(a|s) / π_ref(a|s))²`` over reasoning steps ``a`` in states
    ``s``. The maximizer of ``E_π A − β KL(π, π_ref)`` in a state is ``π_ref exp(A / β) / Z``, of
    which ``b = log Z`` makes every term 0.

    Without ``states``, ``b = 0``. The minimum is another distribution then, unless all advantages
    of the state are 0: for steps drawn from ``π_ref`` the log-ratio is ``A / β − W(λ exp(A / β))``
    with Lambert's function ``W`` and the ``λ`` for which probabilities add up to 1. Steps keep
    their order, but large positive advantages are compressed.

    With ``states``, ``b(s)`` is the value that minimizes the loss, the mean of the other terms over
    the steps of the state: the loss is then the variance of ``A / β − log π / π_ref`` within
    states, the minimum is the maximizer above whatever distribution the steps were drawn from, and
    an error of the critic in the value of ``s`` itself, the same for all its steps, has no
    influence. A state with a single step has none either.

    Args:
        step_log_probs: ``[..., K]`` under the policy that learns, see
            :func:`jaxswarm.models.transformer.step_log_probs`.
        reference_step_log_probs: ``[..., K]`` under the frozen reference policy.
        advantages: ``[..., K]`` of a frozen critic.
        mask: ``bool[..., K]``, steps that count, all if ``None``.
        beta: strength of the reference, > 0.
        states: ``int[..., K]``, the state of each step as a number below the number of entries;
            equal numbers are the same state.

    Raises:
        ValueError: for shapes that do not fit, advantages that are known and not finite, or
            ``beta`` or ``states`` out of range.

    References:
        J. Liu et al., Improving multi-step reasoning abilities of large language models with direct
        advantage policy optimization, 2024.
        L. Richter et al., VarGrad: a low-variance gradient estimator for variational inference,
        2020 (the variance of log-ratios as a loss).

    Example:
        >>> import jax.numpy as jnp
        >>> log_ratio, zero = jnp.array([1.0, 0.0]), jnp.zeros(2)  # two steps of one state
        >>> advantages = jnp.array([0.3, -0.7])
        >>> one_state = jnp.zeros(2, int)
        >>> abs(float(step_quadratic_loss(log_ratio, zero, advantages, beta=1.0, states=one_state)))
        0.0
    """
    values = _floats("step_log_probs", step_log_probs)
    reference = _like("reference_step_log_probs", reference_step_log_probs, values.shape)
    counts = _mask(mask, values.shape)
    advantages = _like("advantages", advantages, values.shape)
    _known_finite("advantages", advantages, mask)
    checks.real("beta", beta, above=0.0)
    gap = jnp.where(counts, advantages / beta - (values - reference), 0.0)
    if states is not None:
        ids = jnp.asarray(checks.wholes("states", states, 0, gap.size - 1, shape=gap.shape))
        gap, counts = _centered(gap, ids, counts)
    return 0.5 * _mean(jnp.square(gap), counts)


def value_loss(logits: jax.Array, values: jax.Array, counts: jax.Array) -> jax.Array:
    """Cross-entropy of a critic's logits and Monte-Carlo values, weighted by their completions.

    Args:
        logits: ``[...]``, the critic's output before the sigmoid.
        values: ``[...]`` in ``[0, 1]``, share of right completions.
        counts: ``[...]``, number of completions; entries of count 0 have no influence.

    Returns:
        Nats per completion, a scalar.

    Raises:
        ValueError: for shapes that do not fit, or values and counts that are known and out of
            range.
    """
    logits = _floats("logits", logits)
    values = jnp.asarray(checks.probability("values", values, shape=logits.shape))
    counts = jnp.asarray(checks.real("counts", counts, 0.0, shape=logits.shape))
    kept, total = counts > 0, jnp.sum(counts)
    logits = jnp.where(kept, logits, 0.0)
    losses = jax.nn.softplus(logits) - values * logits
    return jnp.sum(jnp.where(kept, counts * losses, 0.0)) / jnp.where(total > 0, total, 1.0)


def _floats(name: str, values: Any) -> jax.Array:
    values = checks.numbers(name, values)
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _like(name: str, values: Any, shape: tuple[int, ...]) -> jax.Array:
    values = _floats(name, values)
    if values.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {values.shape}")
    return values


def _mask(mask: Any, shape: tuple[int, ...]) -> jax.Array:
    if not shape:
        raise ValueError("log_probs: expected at least one axis, got a single number")
    return jnp.ones(shape, bool) if mask is None else jnp.asarray(checks.mask("mask", mask, shape))


def _known_finite(name: str, values: Any, mask: Any) -> None:
    """Refuse values that are known, count, and are not finite."""
    if checks.is_traced(values) or checks.is_traced(mask):
        return
    counts = True if mask is None else jnp.asarray(mask)
    bad = counts & ~jnp.isfinite(values)
    if not checks.is_traced(bad) and bool(bad.any()):
        raise ValueError(f"{name}: expected finite numbers, got {checks.shown(values[bad][0])}")


def _per_response(name: str, values: Any, shape: tuple[int, ...], some: Any) -> jax.Array:
    values = _like(name, values, shape)
    _known_finite(name, values, some)
    return values


def _per_token(name: str, values: Any, shape: tuple[int, ...], mask: Any) -> jax.Array:
    values = _floats(name, values)
    if values.shape not in (shape, shape[:-1]):
        raise ValueError(f"{name}: expected shape {shape[:-1]} or {shape}, got {values.shape}")
    if values.shape == shape[:-1]:
        values = jnp.broadcast_to(values[..., None], shape)
    _known_finite(name, values, mask)
    return values


def _sums(values: jax.Array, counts: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(counts, values, 0.0), axis=-1)


def _centered(values: jax.Array, ids: jax.Array, counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Subtract the mean of entries of equal number; those that are alone do not count."""

    def total(x: jax.Array) -> jax.Array:
        flat = jnp.ravel(jnp.where(counts, x, 0.0))
        return jax.ops.segment_sum(flat, jnp.ravel(ids), ids.size)[ids]

    size = total(jnp.ones_like(values))
    counts = counts & (size > 1)
    return jnp.where(counts, values - total(values) / jnp.maximum(size, 1), 0.0), counts


def _mean(values: jax.Array, counts: jax.Array) -> jax.Array:
    total = jnp.maximum(jnp.sum(counts), 1)
    return jnp.sum(jnp.where(counts, values, 0.0)) / total
