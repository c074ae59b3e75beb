"""LinUCB and linear Thompson sampling as functions ``(init, score, learn)``.

Arms are shared (one ``θ`` for all arms, which differ by their features) or disjoint (a ``θ`` per
arm). Both may discount the past. A learner is unbatched; ``jax.vmap`` makes thousands.

Shapes: ``L`` candidates, ``d`` features, ``A`` arms.

References:
    L. Li, W. Chu, J. Langford, R. Schapire, A contextual-bandit approach to personalized news
    article recommendation, 2010 (LinUCB). Y. Abbasi-Yadkori, D. Pál, C. Szepesvári, Improved
    algorithms for linear stochastic bandits, 2011 (the radius). S. Agrawal, N. Goyal, Thompson
    sampling for contextual bandits with linear payoffs, 2013. Constants: the Symphony-Coord code,
    2026.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.coordination.bandits.ridge import (
    Ridge,
    add_observation,
    as_number,
    cholesky_factor,
    cholesky_solve,
    empty_sums,
    scale_sums,
    widths,
)
from jaxswarm.types import Key

NO_CANDIDATE = -1
"""Returned by :func:`choose` where no candidate is valid."""


class Bandit(NamedTuple):
    """A linear contextual bandit as pure functions.

    Attributes:
        init: ``() -> Ridge``, leaves without leading axis if shared, ``[A, ...]`` if disjoint.
        score: ``(key, sums, features [L, d], arms [L]) -> [L]``; the best is chosen.
        learn: ``(sums, x [d], reward, arm, weight) -> sums``.
    """

    init: Callable[[], Ridge]
    score: Callable[..., jax.Array]
    learn: Callable[..., Ridge]


def confidence_radius(
    count: ArrayLike,
    num_features: int,
    *,
    regularization: float | jax.Array = 1.0,
    alpha: float | jax.Array = 1.0,
    delta: float | jax.Array = 0.05,
    bound: float | jax.Array = 1.0,
) -> jax.Array:
    """Confidence radius after ``t`` observations: ``α √(d ln(1 + t/λ) + 2 ln(1/δ)) + √λ S``.

    Args:
        count: ``t``, at least 0.
        num_features: ``d``.
        regularization: ``λ > 0``.
        alpha: factor on the first term.
        delta: probability of error, in ``(0, 1)``.
        bound: ``S``, a bound of ``‖θ‖``.

    Raises:
        ValueError: naming the number out of range; traced ones are not checked.
    """
    checks.real("count", count, 0.0, shape=None)
    num_features = checks.whole("num_features", num_features, 1)
    _check_radius(regularization, alpha, delta, bound)
    inside = num_features * jnp.log1p(count / regularization) - 2.0 * jnp.log(delta)
    return alpha * jnp.sqrt(inside) + jnp.sqrt(regularization) * bound


def linucb(
    num_features: int,
    *,
    num_arms: int | None = None,
    regularization: float | jax.Array = 1.0,
    radius: float | jax.Array | None = None,
    alpha: float | jax.Array = 1.0,
    delta: float | jax.Array = 0.05,
    bound: float | jax.Array = 1.0,
    discount: float | jax.Array = 1.0,
) -> Bandit:
    """LinUCB: score candidates by ``x·θ + β √(xᵀ (λ I + G)⁻¹ x)``.

    Args:
        num_features: ``d``.
        num_arms: ``A`` for disjoint arms, ``None`` for one shared ``θ``.
        regularization: ``λ > 0``.
        radius: a constant ``β ≥ 0``; ``None`` takes :func:`confidence_radius`, which over-explores
            on a few hundred tasks.
        alpha: of the confidence radius.
        delta: of the confidence radius, in ``(0, 1)``.
        bound: ``S``, of the confidence radius: a bound of ``‖θ‖``.
        discount: factor on the past at every observation, in ``(0, 1]``.

    Raises:
        ValueError: naming the argument. Numbers other than ``num_features`` and ``num_arms`` may be
            traced and are then not checked.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.coordination import bandits
        >>> rule = bandits.linucb(2, radius=0.1)
        >>> sums = rule.learn(rule.init(), jnp.array([1.0, 0.0]), 0.9)
        >>> sums = rule.learn(sums, jnp.array([0.0, 1.0]), 0.2)
        >>> scores = rule.score(jax.random.key(0), sums, jnp.eye(2), jnp.zeros(2, jnp.int32))
        >>> int(bandits.choose(scores, jnp.ones(2, bool)))
        0
    """
    num_features, num_arms = _check(num_features, num_arms, regularization, discount)
    _check_radius(regularization, alpha, delta, bound)
    if radius is not None:
        checks.real("radius", radius, 0.0)

    def score(key: Key, sums: Ridge, features: jax.Array, arms: jax.Array) -> jax.Array:
        features, arms = _checked_candidates(features, arms, num_features, num_arms)
        del key
        mean, width, count = _estimates(sums, features, arms, regularization, num_arms is not None)
        beta = radius
        if beta is None:
            beta = confidence_radius(
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
    regularization: float | jax.Array = 1.0,
    scale: float | jax.Array = 0.3,
    discount: float | jax.Array = 1.0,
) -> Bandit:
    """Linear Thompson sampling: score by ``x·θ̃`` with ``θ̃ ~ N(θ, scale² (λ I + G)⁻¹)``.

    One ``θ̃`` is drawn per ``θ``, not per candidate.

    Args:
        num_features: ``d``.
        num_arms: as in :func:`linucb`.
        regularization: ``λ > 0``.
        scale: of the noise, at least 0.
        discount: as in :func:`linucb`.

    Raises:
        ValueError: naming the argument.
    """
    num_features, num_arms = _check(num_features, num_arms, regularization, discount)
    checks.real("scale", scale, 0.0)

    def score(key: Key, sums: Ridge, features: jax.Array, arms: jax.Array) -> jax.Array:
        features, arms = _checked_candidates(features, arms, num_features, num_arms)
        low = cholesky_factor(sums, regularization)
        noise = jax.random.normal(key, sums.moment.shape)
        upper = jnp.swapaxes(low, -1, -2)
        tilt = jax.scipy.linalg.solve_triangular(upper, noise[..., None], lower=False)[..., 0]
        theta = cholesky_solve(low, sums.moment) + scale * tilt
        if num_arms is not None:
            return jnp.sum(features * theta[arms], axis=-1)
        return features @ theta

    return Bandit(_init(num_features, num_arms), score, _learner(num_arms, discount))


def choose(scores: jax.Array, valid: jax.Array) -> jax.Array:
    """Index ``int32[...]`` of the best valid candidate of ``[..., L]``, or :data:`NO_CANDIDATE`.

    A candidate that is not valid is never chosen, and one whose score is NaN only if no other valid
    one has a score.

    Raises:
        ValueError: if ``scores`` are no numbers ``[..., L]`` or ``valid`` is no ``bool[..., L]``.
    """
    scores = checks.numbers("scores", scores)
    if not scores.ndim or not scores.shape[-1]:
        raise ValueError(f"scores: expected [..., L] of at least one candidate, got {scores.shape}")
    valid = jnp.asarray(checks.mask("valid", valid, scores.shape))
    known = jnp.where(valid & ~jnp.isnan(scores), scores, -jnp.inf)
    scored = jnp.max(known, axis=-1) > -jnp.inf
    best = jnp.where(scored, jnp.argmax(known, axis=-1), jnp.argmax(valid, axis=-1))
    return jnp.where(valid.any(axis=-1), best, NO_CANDIDATE).astype(jnp.int32)


def check_rewards(rewards: ArrayLike) -> None:
    """Refuse rewards outside ``[0, 1]``, for which the confidence radius does not hold.

    Raises:
        ValueError: if one is not finite or outside ``[0, 1]``.
    """
    checks.probability("rewards", checks.concrete("rewards", rewards), shape=None)


def check_features(features: ArrayLike) -> None:
    """Refuse features that are not finite or of norm above 1.

    Raises:
        ValueError: naming the row.
    """
    checks.numbers("features", checks.concrete("features", features))
    values = np.asarray(features, np.float64)
    if values.ndim < 1:
        raise ValueError("features: expected rows [..., d], got a single number")
    norms = np.linalg.norm(values, axis=-1)
    if not (norms <= 1 + 1e-5).all():
        row = np.argwhere(~(norms <= 1 + 1e-5))[0].tolist()
        raise ValueError(f"features: expected finite rows of norm at most 1, row {row} is not")


def _checked_candidates(
    features: jax.Array, arms: jax.Array, num_features: int, num_arms: int | None
) -> tuple[jax.Array, jax.Array]:
    features = checks.numbers("features", features, (None, num_features))
    most = checks.LARGEST if num_arms is None else num_arms - 1
    return features, jnp.asarray(checks.wholes("arms", arms, -1, most, shape=(len(features),)))


def _estimates(
    sums: Ridge,
    features: jax.Array,
    arms: jax.Array,
    regularization: float | jax.Array,
    disjoint: bool,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Estimated means, confidence widths and counts of observations, ``[L]`` each."""
    low = cholesky_factor(sums, regularization)
    theta = cholesky_solve(low, sums.moment)
    if disjoint:
        width = widths(low[arms], features[:, None, :])[:, 0]
        return jnp.sum(features * theta[arms], axis=-1), width, sums.count[arms]
    return features @ theta, widths(low, features), sums.count


def _init(num_features: int, num_arms: int | None) -> Callable[[], Ridge]:
    return lambda: empty_sums(num_features, () if num_arms is None else (num_arms,))


def _learner(num_arms: int | None, discount: float | jax.Array) -> Callable[..., Ridge]:
    def learn(
        sums: Ridge,
        x: jax.Array,
        reward: ArrayLike,
        arm: float | jax.Array = 0,
        weight: float | jax.Array = 1.0,
    ) -> Ridge:
        x = checks.numbers("x", x, sums.moment.shape[-1:])
        reward = checks.numbers("reward", as_number(reward), ()).astype(jnp.float32)
        weight = checks.numbers("weight", as_number(weight), ()).astype(jnp.float32)
        most = checks.LARGEST if num_arms is None else num_arms - 1
        arm = jnp.asarray(checks.wholes("arm", arm, NO_CANDIDATE, most, shape=()))
        # No candidate, or an arm that does not exist: nothing was observed, nothing is discounted.
        weight = jnp.where((arm >= 0) & (arm <= most), weight, 0.0)
        sums = scale_sums(sums, jnp.where(weight > 0, discount, 1.0))
        if num_arms is None:
            return add_observation(sums, x, reward, weight)
        hit = jnp.where(jnp.arange(num_arms) == arm, weight, 0.0)
        rows = jnp.broadcast_to(x, (num_arms, x.shape[-1]))
        return add_observation(sums, rows, jnp.full(num_arms, reward), hit)

    return learn


def _check(
    num_features: int,
    num_arms: int | None,
    regularization: float | jax.Array,
    discount: float | jax.Array,
) -> tuple[int, int | None]:
    num_features = checks.whole("num_features", num_features, 1)
    if num_arms is not None:
        num_arms = checks.whole("num_arms", num_arms, 1)
    checks.real("regularization", regularization, above=0.0)
    checks.real("discount", discount, high=1.0, above=0.0)
    return num_features, num_arms


def _check_radius(
    regularization: float | jax.Array,
    alpha: float | jax.Array,
    delta: float | jax.Array,
    bound: float | jax.Array,
) -> None:
    checks.real("regularization", regularization, above=0.0)
    checks.real("alpha", alpha, 0.0)
    checks.real("delta", delta, above=0.0, below=1.0)
    checks.real("bound", bound, 0.0)
