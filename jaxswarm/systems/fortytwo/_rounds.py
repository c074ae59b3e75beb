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
        first, second = (jnp.broadcast_to(x[..., None], verdicts.shape) for x in (first, second))
        winners = jnp.where(verdicts == ranking.SECOND, second, first)
        losers = jnp.where(verdicts == ranking.SECOND, first, second)
        judged = verdicts != ranking.ABSTAIN
        weights = jnp.where(judged & counts[:, None, None], reputation[:, None, None], 0.0)
        strengths = ranking.bradley_terry(
            winners.ravel(), losers.ravel(), weights.ravel(), num_items=n, ridge=ridge
        )
        winner, _ = ranking.pick(strengths, classes)
        merged, _ = ranking.pick(strengths, classes, "answer")
        agreed, number = judged_well(winners, losers, judged, strengths)
        quality = (classes == classes[winner]).astype(jnp.float32)
        updated = ranking.update_reputation(
            reputation, agreed, quality, rate=rate, mix=mix, counts=number > 0
        )
        return updated, RoundInfo(winner, merged, strengths, updated, agreed)

    start = jnp.asarray(reputation, jnp.float32)
    inputs = (classes, jnp.asarray(first), jnp.asarray(second), jnp.asarray(verdicts))
    return jax.lax.scan(decide, start, inputs)[1]


def judged_well(
    winners: jax.Array, losers: jax.Array, judged: jax.Array, strengths: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """``ranking.agreement`` of comparisons that are sorted by judge, by sums over axes.

    On CPUs faster in a loop over requests than sums by segments, which are scattered.

    Args:
        winners: ``int[N, ...]``.
        losers: ``int[N, ...]``.
        judged: ``bool[N, ...]``, no abstention.
        strengths: ``float[K]``.

    Returns:
        ``(share float32[N], counts float32[N])``.
    """
    n, items = winners.shape[0], strengths.shape[0]
    won = jax.nn.one_hot(winners.reshape(n, -1), items) @ strengths
    lost = jax.nn.one_hot(losers.reshape(n, -1), items) @ strengths
    counts = judged.reshape(n, -1)
    score = jnp.where(won > lost, 1.0, jnp.where(won < lost, 0.0, 0.5))
    number = jnp.sum(counts, axis=1, dtype=jnp.float32)
    total = jnp.sum(jnp.where(counts, score, 0.0), axis=1)
    return jnp.where(number > 0, total / jnp.maximum(number, 1.0), 0.5), number
