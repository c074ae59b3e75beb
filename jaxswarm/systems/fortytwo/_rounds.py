"""Consensus over a sequence of requests: Bradley–Terry weighted by reputations that follow it.

Shapes: ``Q`` requests, ``N`` nodes (judges and authors of the replies), ``p`` pairs of each judge,
two orders of presentation.

References:
    Fortytwo: swarm inference with peer-ranked consensus, arXiv 2510.24801, 2025. Constants of the
    reputation are ours.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.trust import ranking
from jaxswarm.types import ArrayLike


class Round(NamedTuple):
    """Replies and verdicts of ``Q`` requests.

    Attributes:
        classes: ``int32[Q, N]``, see ``ranking.answer_classes``.
        first: ``int32[Q, N, p]``, replies that each node compares.
        second: ``int32[Q, N, p]``.
        verdicts: ``int32[Q, N, p, 2]`` about ``(first, second)``, in both orders of presentation.
    """

    classes: Any
    first: Any
    second: Any
    verdicts: Any


class RoundInfo(NamedTuple):
    """What the swarm decided for each request.

    Attributes:
        winners: ``int32[Q]``, node of the strongest reply.
        merged: ``int32[Q]``, node of the answer with the largest sum of strengths.
        strengths: ``float32[Q, N]``.
        reputation: ``float32[Q, N]``, after each request.
        agreement: ``float32[Q, N]``, share of each node's verdicts that agree with the ranking.
    """

    winners: jax.Array
    merged: jax.Array
    strengths: jax.Array
    reputation: jax.Array
    agreement: jax.Array


def consensus_rounds(
    rounds: Round,
    reputation: ArrayLike,
    *,
    admitted: ArrayLike | None = None,
    rate: ArrayLike = 0.9,
    mix: ArrayLike = 0.5,
    ridge: ArrayLike = 0.1,
) -> RoundInfo:
    """Decide request after request, with judges weighted by what their reputation is by then.

    After each request a node's reputation moves toward ``mix`` times the share of its verdicts that
    agree with the consensus ranking plus ``1 - mix`` times whether its reply has the winning
    answer. No right answer is used. Runs inside ``jit``; ``vmap`` over swarms.

    Args:
        rounds: of ``Q`` requests.
        reputation: ``float[N]`` in ``(0, 1]``, at the start.
        admitted: ``bool[N]``, nodes whose verdicts count; all if ``None``.
        rate: in ``[0, 1]``, weight of the past; 1 keeps the reputations.
        mix: in ``[0, 1]``, weight of the ranking accuracy.
        ridge: penalty of the Bradley–Terry model, > 0.

    Returns:
        Winners, strengths and reputations.

    Raises:
        ValueError: for shapes that do not fit or numbers out of range.
    """
    checks.instance("rounds", rounds, Round, "Round(classes, first, second, verdicts)")
    classes = jnp.asarray(checks.wholes("classes", rounds.classes, -1, shape=(None, None)))
    count, n = classes.shape
    first = checks.wholes("first", rounds.first, 0, n - 1, shape=(count, n, None))
    second = checks.wholes("second", rounds.second, 0, n - 1, shape=first.shape)
    verdicts = checks.wholes("verdicts", rounds.verdicts, -1, 1, shape=(*first.shape, 2))
    checks.real("reputation", reputation, above=0.0, shape=n)
    checks.probability("rate", rate)
    checks.probability("mix", mix)
    checks.real("ridge", ridge, above=0.0)
    counts = jnp.ones(n, bool)
    if admitted is not None:
        counts = jnp.asarray(checks.mask("admitted", admitted, (n,)))

    def decide(reputation: jax.Array, one: Any) -> tuple[jax.Array, RoundInfo]:
        classes, first, second, verdicts = one
        wins = win_counts(first, second, verdicts)
        weighted = jnp.einsum("j,jab->ab", jnp.where(counts, reputation, 0.0), wins)
        strengths = ranking.bradley_terry(
            better.ravel(), worse.ravel(), weighted.ravel(), num_items=n, ridge=ridge
        )
        winner, _ = ranking.pick(strengths, classes)
        merged, _ = ranking.pick(strengths, classes, "answer")
        agreed, number = shares_that_agree(wins, strengths)
        quality = (classes == classes[winner]).astype(jnp.float32)
        updated = ranking.update_reputation(
            reputation, agreed, quality, rate=rate, mix=mix, counts=number > 0
        )
        return updated, RoundInfo(winner, merged, strengths, updated, agreed)

    better, worse = jnp.indices((n, n))
    start = jnp.asarray(reputation, jnp.float32)
    inputs = (classes, jnp.asarray(first), jnp.asarray(second), jnp.asarray(verdicts))
    return jax.lax.scan(decide, start, inputs)[1]


def win_counts(first: jax.Array, second: jax.Array, verdicts: jax.Array) -> jax.Array:
    """Number of each judge's verdicts for one reply against another.

    A Bradley–Terry model needs no more of the comparisons, and there are only ``N²`` such numbers.

    Args:
        first: ``int[N, p]``.
        second: ``int[N, p]``.
        verdicts: ``int[N, p, 2]`` about ``(first, second)``.

    Returns:
        ``float32[N, N, N]``, of judge, better and worse reply.
    """
    n = first.shape[0]
    a, b = jax.nn.one_hot(first, n), jax.nn.one_hot(second, n)
    won, lost = (
        jnp.sum(verdicts == verdict, axis=-1, dtype=jnp.float32)[..., None]
        for verdict in (ranking.FIRST, ranking.SECOND)
    )
    return jnp.einsum("jpa,jpb->jab", won * a, b) + jnp.einsum("jpb,jpa->jba", lost * b, a)


def shares_that_agree(wins: jax.Array, strengths: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``ranking.agreement`` of comparisons that are given by :func:`win_counts`.

    Args:
        wins: ``float[N, K, K]``.
        strengths: ``float[K]``.

    Returns:
        ``(share float32[N], counts float32[N])``.
    """
    gap = strengths[:, None] - strengths[None]
    score = jnp.where(gap > 0, 1.0, jnp.where(gap < 0, 0.0, 0.5))
    number = jnp.sum(wins, axis=(1, 2))
    total = jnp.sum(wins * score[None], axis=(1, 2))
    return jnp.where(number > 0, total / jnp.maximum(number, 1.0), 0.5), number
