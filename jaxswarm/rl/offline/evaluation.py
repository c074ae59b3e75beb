"""Off-policy evaluation: what a policy would have earned, from sessions that another one logged.

Shapes: ``S`` sessions, ``T`` steps, ``m`` rewards, ``p`` features. ``target[s, t]`` is the
probability with which the policy to be evaluated takes the logged action; the ratio to the logged
propensity is the importance weight. Steps past the end of a session have ratio 1 and reward 0.

All estimators of weights report the effective sample size ``(Σ w)² / Σ w²`` and refuse to answer
below a floor: outside ``jit`` by a ``ValueError``, inside by NaN.

References:
    D. Precup, R. S. Sutton, S. Singh, Eligibility traces for off-policy policy evaluation, 2000.
    A. Swaminathan, T. Joachims, The self-normalized estimator for counterfactual learning, 2015.
    N. Jiang, L. Li, Doubly robust off-policy value evaluation for reinforcement learning, 2016.
    L. Zou et al., Reinforcement learning to optimize long-term user engagement in recommender
    systems, 2019 (normalized capped importance sampling).
    H. Le, C. Voloshin, Y. Yue, Batch policy learning under constraints, 2019 (fitted Q evaluation).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data._interactions import Interactions
from jaxswarm.types import ArrayLike

FLOOR = 10.0
"""Default of the smallest effective sample size with which an estimate is given."""


class Estimate(NamedTuple):
    """Value of a policy, estimated from a log.

    Attributes:
        value: ``[m]``, one for each reward.
        standard_error: ``[m]``, of the value over sessions; by the delta method where weights are
            normalized.
        effective_samples: scalar, the number of samples with equal weights that would have the
            same variance of weights.
    """

    value: jax.Array
    standard_error: jax.Array
    effective_samples: jax.Array


class FittedQ(NamedTuple):
    """Linear action values of a policy; what :func:`doubly_robust` takes.

    Attributes:
        weights: ``[p, m]``.
        q: ``[S, T, m]``, of the logged actions; 0 where padded.
        v: ``[S, T, m]``, means over the policy's actions; 0 where padded.
        value: ``[m]``, mean of ``v`` over the first steps.
    """

    weights: jax.Array
    q: jax.Array
    v: jax.Array
    value: jax.Array


def ips(
    log: Interactions, target: ArrayLike, *, discount: float = 1.0, floor: float = FLOOR
) -> Estimate:
    """Estimate the return by per-decision importance sampling, unbiased.

    The reward of step ``t`` has as weight the product of the ratios up to ``t``.

    Args:
        log: logged sessions.
        target: ``[S, T]``, probability of each logged action under the policy to be evaluated.
        discount: of rewards, in ``[0, 1]``.
        floor: smallest effective sample size, of the products over whole sessions.

    Returns:
        Estimated return of a session.

    Example:
        >>> import numpy as np
        >>> from jaxswarm import data
        >>> from jaxswarm.rl import offline
        >>> action = np.arange(40) % 2
        >>> log = data.interactions(np.arange(40), action, 1.0 * action, propensity=[0.5] * 40)
        >>> found = offline.evaluation.ips(log, np.where(log.actions == 1, 0.75, 0.25))
        >>> found.value.tolist(), found.effective_samples.item()
        ([0.75], 32.0)

    Raises:
        ValueError: for another shape, probabilities outside ``[0, 1]`` (densities: below 0), or an
            effective sample size below the floor.
    """
    ratio, rewards, mask, floor = _inputs(log, target, discount, floor)
    weights = jnp.cumprod(ratio, axis=1)
    returns = jnp.einsum("st,stm->sm", weights * _powers(discount, mask)[None], rewards)
    return _mean(returns, weights[:, -1], floor)


def snips(
    log: Interactions, target: ArrayLike, *, discount: float = 1.0, floor: float = FLOOR
) -> Estimate:
    """Estimate the return by self-normalized per-decision importance sampling.

    Weights of each step are divided by their mean over sessions: biased, with less variance than
    :func:`ips`, and never outside the range of the rewards.

    Args:
        log: logged sessions.
        target: ``[S, T]``, as in :func:`ips`.
        discount: of rewards, in ``[0, 1]``.
        floor: smallest effective sample size, of the products over whole sessions.

    Raises:
        ValueError: as :func:`ips`.
    """
    ratio, rewards, mask, floor = _inputs(log, target, discount, floor)
    return _normalized(jnp.cumprod(ratio, axis=1), rewards, _powers(discount, mask), floor)


def ncis(
    log: Interactions,
    target: ArrayLike,
    *,
    cap: float = 10.0,
    per_step: bool = True,
    discount: float = 1.0,
    floor: float = FLOOR,
) -> Estimate:
    """Estimate rewards by normalized capped importance sampling (NCIS).

    Args:
        log: logged sessions.
        target: ``[S, T]``, as in :func:`ips`.
        cap: largest weight.
        per_step: weigh each step by its own ratio, and estimate the mean reward of a step (how
            states would change is left out); otherwise weigh it by the product of the ratios up to
            it, capped, and estimate the return of a session.
        discount: of rewards, in ``[0, 1]``; for returns only.
        floor: smallest effective sample size, of all steps or of whole sessions.

    Raises:
        ValueError: as :func:`ips`; for a cap that is not positive.
    """
    ratio, rewards, mask, floor = _inputs(log, target, discount, floor)
    checks.real("cap", cap, above=0.0)
    if checks.flag("per_step", per_step):
        weights = jnp.where(mask, jnp.minimum(ratio, cap), 0.0)
        total = weights.sum()
        value = jnp.einsum("st,stm->m", weights, rewards) / total
        error = jnp.einsum("st,stm->sm", weights, rewards - value[None, None]) / total
        return _estimate(value, jnp.sqrt((error**2).sum(0)), weights, floor)
    weights = jnp.minimum(jnp.cumprod(ratio, axis=1), cap)
    return _normalized(weights, rewards, _powers(discount, mask), floor)


def doubly_robust(
    log: Interactions,
    target: ArrayLike,
    q: ArrayLike,
    v: ArrayLike,
    *,
    discount: float = 1.0,
    floor: float = FLOOR,
) -> Estimate:
    """Estimate the return by importance sampling of what estimated values leave unexplained.

    Unbiased whatever the values are, if the propensities are right; with exact values of a
    deterministic world without variance.

    Args:
        log: logged sessions.
        target: ``[S, T]``, as in :func:`ips`.
        q: ``[S, T, m]``, estimated action values of the logged actions, say of
            :func:`fitted_q_evaluation`.
        v: ``[S, T, m]``, their means over the policy's actions.
        discount: of rewards, in ``[0, 1]``.
        floor: smallest effective sample size, of the products over whole sessions.

    Raises:
        ValueError: as :func:`ips`; for values of another shape or that are not finite.
    """
    ratio, rewards, mask, floor = _inputs(log, target, discount, floor)
    q = jnp.asarray(checks.real("q", q, shape=rewards.shape))
    v = jnp.asarray(checks.real("v", v, shape=rewards.shape))

    def back(later: jax.Array, step: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        ratio, reward, q, v, real = step
        here = v + ratio[:, None] * (reward + discount * later - q)
        return jnp.where(real[:, None], here, 0.0), None

    steps = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (ratio, rewards, q, v, mask))
    returns, _ = jax.lax.scan(back, jnp.zeros_like(rewards[:, 0]), steps, reverse=True)
    return _mean(returns, ratio.prod(axis=1), floor)


def fitted_q_evaluation(
    log: Interactions,
    features: ArrayLike,
    expected: ArrayLike,
    *,
    discount: float = 0.99,
    ridge: float = 1e-3,
    num_iterations: int = 200,
) -> FittedQ:
    """Fit linear action values of a policy by repeated regression on bootstrapped targets.

    Each iteration regresses ``reward + discount × next expected value`` on the features of the
    logged actions; a session's end is terminal. With one-hot features of states and actions this is
    iterated policy evaluation on the empirical model.

    Args:
        log: logged sessions.
        features: ``[S, T, p]``, of the logged state and action.
        expected: ``[S, T, p]``, mean of the features over the policy's actions in the same state.
        discount: in ``[0, 1)``.
        ridge: weight of the squared norm, above 0, beside a mean of squares over steps.
        num_iterations: at least 1; the error shrinks as ``discount ** num_iterations``.

    Raises:
        ValueError: for another shape or numbers that are not finite.
    """
    checks.instance("log", log, Interactions, "data.interactions(...)")
    checks.real("discount", discount, 0.0, below=1.0)
    checks.real("ridge", ridge, above=0.0)
    count = checks.whole("num_iterations", num_iterations, 1)
    mask, rewards = jnp.asarray(log.mask), jnp.asarray(log.rewards)
    x = jnp.asarray(checks.real("features", features, shape=(*mask.shape, None)), jnp.float32)
    mean = jnp.asarray(checks.real("expected", expected, shape=x.shape), jnp.float32)
    x, mean = (jnp.where(mask[..., None], y, 0.0) for y in (x, mean))
    after = jnp.concatenate([mean[:, 1:], jnp.zeros_like(mean[:, :1])], axis=1)
    steps = mask.sum()
    gram = jnp.einsum("stp,stq->pq", x, x) / steps + ridge * jnp.eye(x.shape[-1])
    factor = jax.scipy.linalg.cho_factor(gram)

    def solve(y: jax.Array) -> jax.Array:
        return jax.scipy.linalg.cho_solve(factor, y)

    constant = solve(jnp.einsum("stp,stm->pm", x, jnp.where(mask[..., None], rewards, 0.0)) / steps)
    carried = solve(jnp.einsum("stp,stq->pq", x, after) / steps)
    weights, _ = jax.lax.scan(
        lambda w, _: (constant + discount * carried @ w, None), constant, length=count
    )
    q, v = x @ weights, mean @ weights
    return FittedQ(weights, q, v, v[:, 0].mean(0))


def _inputs(
    log: Interactions, target: ArrayLike, discount: float, floor: float
) -> tuple[jax.Array, jax.Array, jax.Array, float]:
    checks.instance("log", log, Interactions, "data.interactions(...)")
    mask = jnp.asarray(log.mask)
    checks.real("target", target, 0.0, shape=mask.shape)
    checks.probability("discount", discount)
    floor = checks.real("floor", floor, 0.0)
    ratio = jnp.where(mask, jnp.asarray(target) / log.propensities, 1.0)
    rewards = jnp.where(mask[..., None], log.rewards, 0.0)
    return ratio, rewards, mask, floor


def _powers(discount: float, mask: jax.Array) -> jax.Array:
    return jnp.asarray(discount, jnp.float32) ** jnp.arange(mask.shape[1])


def _mean(returns: jax.Array, weights: jax.Array, floor: float) -> Estimate:
    count = returns.shape[0]
    error = jnp.sqrt(
        ((returns - returns.mean(0, keepdims=True)) ** 2).sum(0) / max(count - 1, 1) / count
    )
    return _estimate(returns.mean(0), error, weights, floor)


def _normalized(
    weights: jax.Array, rewards: jax.Array, powers: jax.Array, floor: float
) -> Estimate:
    share = weights / weights.sum(0, keepdims=True)  # over sessions, for every step
    means = jnp.einsum("st,stm->tm", share, rewards)
    error = jnp.einsum("t,st,stm->sm", powers, share, rewards - means[None])
    return _estimate(powers @ means, jnp.sqrt((error**2).sum(0)), weights[:, -1], floor)


def _estimate(value: jax.Array, error: jax.Array, weights: jax.Array, floor: float) -> Estimate:
    size = weights.sum() ** 2 / jnp.maximum((weights**2).sum(), jnp.finfo(weights.dtype).tiny)
    if not checks.is_traced(size) and not float(size) >= floor:
        raise ValueError(
            f"log: expected an effective sample size of at least {float(floor):g} (floor), got "
            f"{float(size):.3g} of {np.size(weights)} weights; the policy takes other actions than "
            "those logged"
        )
    enough = size >= floor
    return Estimate(jnp.where(enough, value, jnp.nan), jnp.where(enough, error, jnp.nan), size)
