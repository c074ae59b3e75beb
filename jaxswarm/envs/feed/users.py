"""The user model of both feeds: tastes, fatigue, satiation, and heavy-tailed watch times.

The match of a user and an item is standard normal over the catalogue for every user, and all
effects on log watch times and on the probits of responses are linear in standard normal features.
So the mean watch time and the rates of responses in the physics are what a fresh user shows under
random recommendations, exactly for a large catalogue.

Shapes: ``N`` users, ``M`` items in the catalogue, ``d`` factors, ``D ≥ d + 1`` features of an item:
its topics, its stickiness (watched by all users, wanted or not), and what an environment adds.

References:
    Q. Cai, Z. Xue, C. Zhang et al., Two-stage constrained actor-critic for short video
    recommendation, 2023 (the responses and their rates; not this simulator).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri

from jaxswarm import checks


class UserParams(NamedTuple):
    """Physics of the user model, traced.

    Attributes:
        items: ``[M, D]``, the catalogue: ``d`` topics, the stickiness, and further features.
        tastes: ``[U, d]``, a pool that users' tastes are drawn from; drawn from a sphere of radius
            ``√d`` if ``U`` is 0.
        watch: mean watch time of a fresh user under random recommendations, in units of 10 s.
        watch_noise: standard deviation of the log watch time of one user and one item.
        match_slope: effect of the match on the log watch time.
        sticky_slope: effect of the item's stickiness on the log watch time.
        fatigue_slope: effect of fatigue on the log watch time, and on satisfaction.
        fatigue_gain: fatigue added by a request without any satisfaction.
        recovery: share of the fatigue lost in each request.
        boredom: effect of satiation with the topics shown on the match.
        satiation_decay: share of the satiation kept in each request.
        patience: mean patience at the start, the total dissatisfaction that ends a session.
        patience_noise: standard deviation of the log patience.
        profile_noise: standard deviation of the error of the tastes in users' profiles.
    """

    items: Any
    tastes: Any
    watch: Any = 1.0
    watch_noise: Any = 1.2
    match_slope: Any = 0.5
    sticky_slope: Any = 0.4
    fatigue_slope: Any = 0.5
    fatigue_gain: Any = 0.2
    recovery: Any = 0.1
    boredom: Any = 0.5
    satiation_decay: Any = 0.8
    patience: Any = 5.0
    patience_noise: Any = 0.5
    profile_noise: Any = 0.5


class Users(NamedTuple):
    """State of the users.

    Attributes:
        user: ``int32[N]``, the number that a user's random stream is derived from.
        taste: ``[N, d]``, latent, of norm ``√d``.
        profile: ``[N, d]``, what is known of the taste beforehand.
        satiation: ``[N, d]``, decayed average of the topics shown.
        interest: ``[N, d]``, the same weighted by ``log(1 + watch time)``: evidence of the taste.
        fatigue: ``[N]``, latent.
        patience: ``[N]``, latent; what is left.
    """

    user: jax.Array
    taste: jax.Array
    profile: jax.Array
    satiation: jax.Array
    interest: jax.Array
    fatigue: jax.Array
    patience: jax.Array


def catalog(num_items: int, num_features: int, seed: int = 0) -> np.ndarray:
    """Draw independent standard normal features of items, ``float32[M, D]``; columns standardized.

    Raises:
        ValueError: for fewer than two items or less than one feature.
    """
    num_items = checks.whole("num_items", num_items, 2)
    num_features = checks.whole("num_features", num_features, 1)
    rng = np.random.default_rng(checks.whole("seed", seed))
    return standardized(rng.standard_normal((num_items, num_features)))


def standardized(columns: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and standard deviation 1 (0 where constant), ``float32``."""
    centered = columns - columns.mean(axis=0)
    deviation = centered.std(axis=0)
    return np.asarray(centered / np.where(deviation > 0, deviation, 1.0), np.float32)


def uniforms(key: jax.Array, user: jax.Array, count: int) -> jax.Array:
    """Uniform numbers in (0, 1), ``float32[N, count]``; each user has a random stream of its own.

    The stream depends on the key and the user's number only, so that permuting the users permutes
    their sessions.
    """

    def one(number: jax.Array) -> jax.Array:
        return jax.random.uniform(
            jax.random.fold_in(key, number), (count,), jnp.float32, 1e-7, 1.0 - 1e-7
        )

    return jax.vmap(one)(user)


def choose(uniform: jax.Array, number: int) -> jax.Array:
    """Whole numbers below ``number`` from uniform numbers in (0, 1)."""
    return jnp.minimum((uniform * number).astype(jnp.int32), number - 1)


def normals(uniform: jax.Array) -> jax.Array:
    """Standard normal numbers from uniform numbers in (0, 1)."""
    return ndtri(uniform)


def log_normal(uniform: jax.Array, noise: jax.Array) -> jax.Array:
    """Log-normal factors of mean 1 from uniform numbers; ``noise`` is the deviation of the log."""
    return jnp.exp(noise * ndtri(uniform) - 0.5 * jnp.square(noise))


def rate(mean: jax.Array, effect: jax.Array, variance: jax.Array) -> jax.Array:
    """Probability ``Φ(Φ⁻¹(mean) √(1 + variance) + effect)``.

    For a normal ``effect`` of mean 0 and this variance its expectation is ``mean``.
    """
    return ndtr(ndtri(mean) * jnp.sqrt(1.0 + variance) + effect)


def start(key: jax.Array, num_users: int, params: UserParams) -> Users:
    """Fresh users with random tastes and patience."""
    user = jnp.arange(num_users, dtype=jnp.int32)
    size = params.tastes.shape[1]
    draws = uniforms(key, user, 2 * size + 2)
    taste = ndtri(draws[:, :size])
    if params.tastes.shape[0]:
        taste = params.tastes[choose(draws[:, -2], params.tastes.shape[0])]
    taste = taste * jnp.sqrt(size / jnp.maximum(jnp.sum(jnp.square(taste), 1, keepdims=True), 1e-9))
    nothing = jnp.zeros((num_users, size), jnp.float32)
    return Users(
        user=user,
        taste=taste,
        profile=taste + params.profile_noise * ndtri(draws[:, size : 2 * size]),
        satiation=nothing,
        interest=nothing,
        fatigue=jnp.zeros(num_users, jnp.float32),
        patience=params.patience * log_normal(draws[:, -1], params.patience_noise),
    )


def match(users: Users, items: jax.Array, params: UserParams) -> jax.Array:
    """Match of each user with its item ``[N, D]``, less what satiation takes: ``[N]``."""
    size = params.tastes.shape[1]
    wanted = users.taste - params.boredom * users.satiation
    return jnp.sum(wanted * items[:, :size], axis=1) / np.sqrt(size)


def mean_watch(users: Users, items: jax.Array, params: UserParams) -> jax.Array:
    """Mean watch time of each user for its item ``[N, D]``, in units of 10 s: ``[N]``."""
    effect = params.match_slope * match(users, items, params)
    effect += params.sticky_slope * items[:, params.tastes.shape[1]]
    variance = jnp.square(params.match_slope) + jnp.square(params.sticky_slope)
    return params.watch * jnp.exp(effect - 0.5 * variance - params.fatigue_slope * users.fatigue)


def after_request(
    users: Users, items: jax.Array, watch: jax.Array, shown: jax.Array, params: UserParams
) -> Users:
    """Users after one request each: satiation, fatigue, and the patience that dissatisfaction cost.

    Args:
        users: before the request.
        items: ``[N, D]``, the items shown.
        watch: ``[N]``, watch times.
        shown: ``bool[N]``, whether an item was shown; without one there is no satisfaction.
        params: the physics.
    """
    size = params.tastes.shape[1]
    topics = jnp.where(shown[:, None], items[:, :size], 0.0)
    content = match(users, items, params) - params.fatigue_slope * users.fatigue
    lacks = 1.0 - jnp.where(shown, jax.nn.sigmoid(content), 0.0)
    keep = params.satiation_decay
    return users._replace(
        satiation=keep * users.satiation + (1.0 - keep) * topics,
        interest=keep * users.interest + (1.0 - keep) * jnp.log1p(watch)[:, None] * topics,
        fatigue=(1.0 - params.recovery) * users.fatigue + params.fatigue_gain * lacks,
        patience=users.patience - lacks,
    )


SHARES = ("recovery", "satiation_decay")
NONNEGATIVE = ("watch", "watch_noise", "fatigue_gain", "boredom", "patience_noise", "profile_noise")


def check(params: UserParams, num_features: int, num_factors: int) -> None:
    """Check the ranges and shapes of known physics; traced leaves are checked for shape.

    Raises:
        ValueError: naming the field.
    """
    checks.real("params.user.items", params.items, shape=(None, num_features))
    checks.real("params.user.tastes", params.tastes, shape=(None, num_factors))
    for name in SHARES:
        checks.probability(f"params.user.{name}", getattr(params, name))
    for name in NONNEGATIVE:
        checks.real(f"params.user.{name}", getattr(params, name), 0.0)
    checks.real("params.user.patience", params.patience, above=0.0)
    for name in ("match_slope", "sticky_slope", "fatigue_slope"):
        checks.real(f"params.user.{name}", getattr(params, name))
