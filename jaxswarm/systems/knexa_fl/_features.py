"""Features of directed teacher–student pairs from profiles: concatenated, or with pair terms.

With concatenated profiles the score of a linear bandit is a teacher's term plus a student's term.
If every agent is in a pair and rewards are symmetric, all perfect matchings then have the same
score: synergy of a pair cannot be represented. The pair terms can.

Shapes: ``N`` agents, ``D`` features; entry ``[i, j]`` is teacher ``i`` for student ``j``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.systems.knexa_fl._profiles import PROFILE_SIZE, js_divergence, split_profiles
from jaxswarm.types import ArrayLike

FEATURES = ("concat", "pairwise")
"""Feature maps: the paper's concatenation, and that with the terms of :data:`PAIR_TERMS`."""

PAIR_TERMS = (
    "constant",
    "divergence of the data",
    "same family",
    "mean score of the teacher minus the student's",
    "mean of what the teacher scores above the student",
    "divergence times the latter",
    "mean reward of the pair so far",
    "novelty 1 / sqrt(1 + uses)",
)
"""What ``"pairwise"`` adds, in this order."""

NUM_FEATURES = {"concat": 2 * PROFILE_SIZE, "pairwise": 2 * PROFILE_SIZE + len(PAIR_TERMS)}
"""Number of features ``D`` of each map."""


class History(NamedTuple):
    """Rewards of each directed pair so far.

    Attributes:
        total: ``float32[N, N]``, sum of normalized rewards.
        count: ``float32[N, N]``, number of rewards.
    """

    total: jax.Array
    count: jax.Array


def empty_history(num_agents: int) -> History:
    """History without rewards.

    Raises:
        ValueError: for fewer than two agents.
    """
    n = checks.whole("num_agents", num_agents, 2)
    return History(jnp.zeros((n, n)), jnp.zeros((n, n)))


def pair_features(kind: str, profiles: ArrayLike, history: History | None = None) -> jax.Array:
    """Features of all directed pairs, ``float32[N, N, D]``.

    Args:
        kind: one of :data:`FEATURES`.
        profiles: ``[N, 32]``, see :func:`make_profiles`.
        history: of earlier rewards, used by ``"pairwise"``; none if ``None``.

    Raises:
        ValueError: for an unknown map, or profiles or a history of another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.systems import knexa_fl
        >>> profiles = knexa_fl.make_profiles([0, 1], jnp.zeros((2, 12)), jnp.eye(2, 12))
        >>> knexa_fl.pair_features("concat", profiles).shape
        (2, 2, 64)
        >>> float(knexa_fl.pair_features("pairwise", profiles)[0, 1, 65])  # disjoint data: 1 bit
        1.0
    """
    checks.choice("kind", kind, FEATURES)
    parts = split_profiles(profiles)
    profiles = checks.numbers("profiles", profiles, (None, PROFILE_SIZE))
    n = profiles.shape[0]
    square = (n, n, PROFILE_SIZE)
    teacher = jnp.broadcast_to(profiles[:, None], square)
    student = jnp.broadcast_to(profiles[None], square)
    both = jnp.concatenate([teacher, student], axis=-1)
    if kind == "concat":
        return both
    history = empty_history(max(n, 2)) if history is None else history
    checks.instance("history", history, History, "knexa_fl.empty_history(6)")
    total = checks.numbers("history", history.total, (n, n))
    count = checks.numbers("history", history.count, (n, n))
    divergence = js_divergence(parts.histogram[:, None], parts.histogram[None])
    gap = parts.scores[:, None] - parts.scores[None]
    above = jnp.mean(jnp.maximum(gap, 0.0), axis=-1)
    terms = (
        jnp.ones((n, n)),
        divergence,
        jnp.sum(parts.family[:, None] * parts.family[None], axis=-1),
        jnp.mean(gap, axis=-1),
        above,
        divergence * above,
        total / jnp.maximum(count, 1.0),
        1.0 / jnp.sqrt(1.0 + count),
    )
    return jnp.concatenate([both, jnp.stack(terms, axis=-1)], axis=-1)
