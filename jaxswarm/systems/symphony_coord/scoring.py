"""Composite screening score and bandit features of Symphony-Coord.

Shapes: ``R`` requesters, ``C`` candidates, ``d = 6`` features ``[1, match, load, latency,
reputation, available]``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.coordination import LoadModel

FEATURES = 6
LATENCY_SCALE = 2000.0
"""Milliseconds of latency that count as 1."""


class RouterSettings(NamedTuple):
    """Constants of the published router; all may be traced.

    Attributes:
        screening_weights: of match, prior success and stability in the composite score.
        stability_weights: of idleness, speed and availability in stability.
        prior: success probability assumed of every candidate at first.
        latency_penalty: reward lost per square root of normalised latency (published: 0.2 or 0).
        price_penalty: reward lost per unit price (published: 0.15 or 0).
        latency_decay: weight of the past in the exponential average of latency.
        reputation_decay: weight of the past in the exponential average of success.
    """

    screening_weights: tuple[float, float, float] = (0.5, 0.35, 0.15)
    stability_weights: tuple[float, float, float] = (0.4, 0.4, 0.2)
    prior: float | jax.Array = 0.5
    latency_penalty: float | jax.Array = 0.0
    price_penalty: float | jax.Array = 0.0
    latency_decay: float | jax.Array = 0.8
    reputation_decay: float | jax.Array = 0.95


def composite_score(
    settings: RouterSettings,
    match: jax.Array,
    load: jax.Array,
    latency: jax.Array,
    load_model: LoadModel,
) -> jax.Array:
    """Screening score ``[R, C]``: weighted match, prior success and stability.

    Args:
        settings: weights.
        match: ``[R, C]``, advertised fit.
        load: ``[R, C]``, of the candidates as far as the requester knows.
        latency: ``[R, C]``, average milliseconds.
        load_model: its ``limit`` defines availability.
    """
    idle, fast, up = settings.stability_weights
    speed = 1.0 - jnp.clip(latency / LATENCY_SCALE, 0.0, 1.0)
    stability = idle * (1.0 - load) + fast * speed + up * (load < load_model.limit)
    fit, prior, stable = settings.screening_weights
    return fit * match + prior * settings.prior + stable * stability


def bandit_features(
    match: jax.Array,
    load: jax.Array,
    latency: jax.Array,
    reputation: jax.Array,
    load_model: LoadModel,
) -> jax.Array:
    """Features ``[R, C, 6]`` of candidates, of norm at most 1; arguments ``[R, C]``."""
    up = load < load_model.limit
    columns = (jnp.ones_like(match), match, load, latency / LATENCY_SCALE, reputation, up)
    x = jnp.stack([jnp.clip(c, 0.0, 1.0) for c in columns], axis=-1)
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1.0)


def check_router_settings(settings: RouterSettings) -> None:
    """Refuse weights and averages out of their range; traced ones are not checked.

    Raises:
        ValueError: naming the number.
    """
    checks.instance("settings", settings, RouterSettings, "RouterSettings()")
    for name in ("screening_weights", "stability_weights"):
        weights = getattr(settings, name)
        if not any(checks.is_traced(weight) for weight in jax.tree.leaves(weights)):
            checks.real(name, weights, 0.0, shape=(3,))
    for name in ("prior", "latency_decay", "reputation_decay"):
        checks.probability(name, getattr(settings, name))
    for name in ("latency_penalty", "price_penalty"):
        checks.real(name, getattr(settings, name), 0.0)
