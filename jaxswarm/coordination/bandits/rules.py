"""LinUCB and Thompson sampling as one pair of functions ``(init, score)`` and one way to learn.

``shared``: one ``θ`` for all arms, which differ by their features. ``disjoint``: a ``θ`` per arm.
Both may discount the past. A learner is unbatched; ``jax.vmap`` makes thousands.

Shapes: ``L`` candidates, ``d`` features, ``A`` arms.

References: Y. Abbasi-Yadkori, D. Pál, C. Szepesvári, Improved algorithms for linear stochastic
    bandits, 2011 (the radius). S. Agrawal, N. Goyal, Thompson sampling for contextual bandits with
    linear payoffs, 2013. Constants: the Symphony-Coord code, 2026.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.coordination.bandits.ridge import (
    Ridge,
    factor,
    faded,
    no_observations,
    observed,
    solved,
    widths,
)
from jaxswarm.topology.validation import is_traced

NOBODY = -1
"""What :func:`choose` answers when there is no candidate."""


class Bandit(NamedTuple):
    """A rule.

    Attributes:
        init: ``() -> Ridge``, leaves without leading axis if shared, ``[A, ...]`` if disjoint.
        score: ``(key, sums, features [L, d], arms [L]) -> [L]``; the best is chosen.
        learn: ``(sums, x [d], reward, arm, weight) -> sums``.
    """

    init: Callable[[], Ridge]
    score: Callable[..., jax.Array]
    learn: Callable[..., Ridge]


def published_radius(
    count: Any,
    num_features: int,
    *,
    regularization: Any = 1.0,
    alpha: Any = 1.0,
    delta: Any = 0.05,
    bound: Any = 1.0,
) -> jax.Array:
    """``α √(d ln(1 + t/λ) + 2 ln(1/δ)) + √λ S``, the confidence radius after ``t`` observations."""
    inside = num_features * jnp.log1p(count / regularization) - 2.0 * jnp.log(delta)
    return alpha * jnp.sqrt(inside) + jnp.sqrt(regularization) * bound


def linucb(
    num_features: int,
    *,
    num_arms: int | None = None,
    regularization: Any = 1.0,
    radius: Any = None,
    alpha: Any = 1.0,
    delta: Any = 0.05,
    bound: Any = 1.0,
    discount: Any = 1.0,
) -> Bandit:
    """Optimism: ``x·θ + β √(xᵀ (λ I + G)⁻¹ x)``.

    Args:
        num_features: ``d``.
        num_arms: ``A`` for disjoint arms, ``None`` for one shared ``θ``.
        regularisation: ``λ > 0``.
        radius: a constant ``β ≥ 0``; ``None`` takes :func:`published_radius`, which over-explores
            on a few hundred tasks.
        alpha: of the published radius.
        delta: of the published radius, in ``(0, 1)``.
        bound: ``S``, of the published radius: a bound of ``‖θ‖``.
        discount: factor on the past at every observation, in ``(0, 1]``.

    Raises:
        ValueError: naming the argument. Numbers other than ``num_features`` and ``num_arms`` may be
            traced and are then not checked.
    """
    _check(num_features, num_arms, regularization, discount)
    _expect("delta", delta, lambda v: 0 < v < 1, "a number in (0, 1)")
    if radius is not None:
        _expect("radius", radius, lambda v: v >= 0, "a number of at least 0")

    def score(key: jax.Array, sums: Ridge, features: jax.Array, arms: jax.Array) -> jax.Array:
        del key
        mean, width, count = _read(sums, features, arms, regularization, num_arms is not None)
        beta = radius
        if beta is None:
            beta = published_radius(
                count,
                num_features,
                regularization=regularization,
                alpha=alpha,
                delta=delta,
                bound=bound,
            )
        return mean + beta * width

    return Bandit(_init(num_features, num_arms), score, _learner(num_arms, discount))


def thompson(
    num_features: int,
    *,
    num_arms: int | None = None,
    regularization: Any = 1.0,
    scale: Any = 0.3,
    discount: Any = 1.0,
) -> Bandit:
    """Posterior sampling: score by ``θ̃ ~ N(θ, scale² (λ I + G)⁻¹)``, one draw per ``θ``.

    Args:
        num_features: ``d``.
        num_arms: as in :func:`linucb`.
        regularisation: ``λ > 0``.
        scale: of the noise, at least 0.
        discount: as in :func:`linucb`.

    Raises:
        ValueError: naming the argument.
    """
    _check(num_features, num_arms, regularization, discount)
    _expect("scale", scale, lambda v: v >= 0, "a number of at least 0")

    def score(key: jax.Array, sums: Ridge, features: jax.Array, arms: jax.Array) -> jax.Array:
        low = factor(sums, regularization)
        noise = jax.random.normal(key, sums.moment.shape)
        upper = jnp.swapaxes(low, -1, -2)
        tilt = jax.scipy.linalg.solve_triangular(upper, noise[..., None], lower=False)[..., 0]
        theta = solved(low, sums.moment) + scale * tilt
        if num_arms is not None:
            return jnp.sum(features * theta[arms], axis=-1)
        return features @ theta

    return Bandit(_init(num_features, num_arms), score, _learner(num_arms, discount))


def choose(scores: jax.Array, valid: jax.Array) -> jax.Array:
    """``int32[...]``: the best valid candidate of ``[..., L]``, or :data:`NOBODY`."""
    best = jnp.argmax(jnp.where(valid, scores, -jnp.inf), axis=-1)
    return jnp.where(valid.any(axis=-1), best, NOBODY).astype(jnp.int32)


def check_rewards(rewards: Any) -> None:
    """Refuse rewards that the radius does not hold for.

    Raises:
        ValueError: if one is not finite or outside ``[0, 1]``.
    """
    values = np.asarray(rewards)
    if not ((values >= 0) & (values <= 1)).all():
        wrong = values[~((values >= 0) & (values <= 1))].flat[0]
        raise ValueError(f"rewards: expected finite numbers in [0, 1], got {wrong}")


def check_features(features: Any) -> None:
    """Refuse features that are not finite or longer than 1.

    Raises:
        ValueError: saying which row.
    """
    values = np.asarray(features)
    norms = np.linalg.norm(values, axis=-1)
    if not (norms <= 1 + 1e-5).all():
        row = np.argwhere(~(norms <= 1 + 1e-5))[0].tolist()
        raise ValueError(f"features: expected finite rows of norm at most 1, row {row} is not")


def _read(
    sums: Ridge, features: jax.Array, arms: jax.Array, regularization: Any, disjoint: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    low = factor(sums, regularization)
    theta = solved(low, sums.moment)
    if disjoint:
        width = widths(low[arms], features[:, None, :])[:, 0]
        return jnp.sum(features * theta[arms], axis=-1), width, sums.count[arms]
    return features @ theta, widths(low, features), sums.count


def _init(num_features: int, num_arms: int | None) -> Callable[[], Ridge]:
    return lambda: no_observations(num_features, () if num_arms is None else (num_arms,))


def _learner(num_arms: int | None, discount: Any) -> Callable[..., Ridge]:
    def learn(sums: Ridge, x: jax.Array, reward: Any, arm: Any = 0, weight: Any = 1.0) -> Ridge:
        weight, reward = jnp.asarray(weight, jnp.float32), jnp.asarray(reward, jnp.float32)
        sums = faded(sums, jnp.where(weight > 0, discount, 1.0))
        if num_arms is None:
            return observed(sums, x, reward, weight)
        hit = weight * (jnp.arange(num_arms) == arm)
        rows = jnp.broadcast_to(x, (num_arms, x.shape[-1]))
        return observed(sums, rows, jnp.full(num_arms, reward), hit)

    return learn


def _check(num_features: int, num_arms: int | None, regularization: Any, discount: Any) -> None:
    if num_features < 1:
        raise ValueError(f"num_features: expected at least 1, got {num_features}")
    if num_arms is not None and num_arms < 1:
        raise ValueError(f"num_arms: expected at least 1 or None, got {num_arms}")
    _expect("regularization", regularization, lambda v: v > 0, "a number above 0")
    _expect("discount", discount, lambda v: 0 < v <= 1, "a number in (0, 1]")


def _expect(name: str, value: Any, test: Callable[[Any], bool], words: str) -> None:
    if not is_traced(value) and not (np.isfinite(value) and test(value)):
        raise ValueError(f"{name}: expected {words}, got {value}")
