"""Consensus of a swarm: the answer that reputation-weighted Bradley–Terry ranks highest.

Shapes: ``N`` nodes with one reply each, ``M`` comparisons.

References:
    Fortytwo: swarm inference with peer-ranked consensus, arXiv 2510.24801, 2025.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.ranking._bradley_terry import bradley_terry
from jaxswarm.trust.ranking._comparisons import (
    FIRST,
    SECOND,
    Comparisons,
    connected,
    wins_and_losses,
)
from jaxswarm.trust.ranking._votes import answer_classes
from jaxswarm.types import ArrayLike

MERGES = ("reply", "answer")
"""How strengths decide: the strongest single reply, or the answer with the largest sum."""


class Consensus(NamedTuple):
    """Result of :func:`swarm`.

    Attributes:
        answer: the winning one.
        winner: a node that gave it.
        strengths: ``float32[N]``, log-strengths of the replies, of mean 0.
        shares: ``float32[N]``, summed strengths ``Σ exp(s)`` of all replies with the same answer,
            as a share of those of all replies that could be parsed; 0 for the others.
    """

    answer: Hashable
    winner: int
    strengths: np.ndarray
    shares: np.ndarray


def pick(
    strengths: ArrayLike, classes: ArrayLike, merge: str = "reply"
) -> tuple[jax.Array, jax.Array]:
    """Choose a reply by log-strengths; runs inside ``jit``.

    Args:
        strengths: ``float[N]``.
        classes: ``int[N]`` of :func:`answer_classes`; an unparseable reply cannot win.
        merge: ``"reply"`` takes the strongest reply (of equal ones the one whose answer has the
            larger share, then the lowest index), ``"answer"`` the answer with the largest sum of
            ``exp(strength)``.

    Returns:
        ``(winner int32[], shares float32[N])``, see :class:`Consensus`.

    Raises:
        ValueError: for an unknown name or shapes that differ.
    """
    checks.choice("merge", merge, MERGES)
    strengths = checks.numbers("strengths", strengths, (None,))
    classes = jnp.asarray(checks.wholes("classes", classes, -1, shape=strengths.shape))
    parsed = classes >= 0
    mass = jnp.where(parsed, jax.nn.softmax(jnp.where(parsed, strengths, -jnp.inf)), 0.0)
    same = (classes[:, None] == classes[None]) & parsed[None] & parsed[:, None]
    shares = jnp.sum(jnp.where(same, mass[None], 0.0), axis=1)
    score = shares
    if merge == "reply":
        best = jnp.max(jnp.where(parsed, strengths, -jnp.inf))
        score = jnp.where(strengths >= best - 1e-6, shares, -1.0)
    return jnp.argmax(jnp.where(parsed, score, -jnp.inf)).astype(jnp.int32), shares


# One request after the other: traced once for each size.
_fitted = jax.jit(bradley_terry, static_argnames=("num_items", "num_steps"))
_picked = jax.jit(pick, static_argnames="merge")


def swarm(
    replies: Sequence[Hashable | None],
    comparisons: Comparisons,
    reputation: ArrayLike | None = None,
    *,
    admitted: ArrayLike | None = None,
    merge: str = "reply",
    ridge: float = 0.1,
) -> Consensus:
    """Pick the answer of one request from replies and peer comparisons of them.

    Reply ``i`` is that of node ``i``. Each comparison counts with its judge's reputation in a
    Bradley–Terry model with a ridge penalty. An abstention has weight 0.

    Args:
        replies: an answer of each of ``N >= 2`` nodes; ``None`` where none could be read, which
            cannot win.
        comparisons: verdicts on pairs of replies; the pairs must connect all replies. A node may
            judge a pair in both orders, but no ordered pair twice.
        reputation: ``float[N]``, > 0; 1 if ``None``.
        admitted: ``bool[N]``, nodes that may judge; all if ``None``.
        merge: ``"reply"`` or ``"answer"``, see :func:`pick`.
        ridge: strength of the penalty, > 0.

    Returns:
        The answer, a node that gave it, strengths and shares.

    Raises:
        ValueError: for fewer than two replies or none that can be parsed, a reply compared with
            itself, replies or judges that do not exist, a judge that is not admitted, a duplicated
            vote, unknown verdicts, reputations that are not positive, or pairs that do not connect
            all replies.

    Example:
        >>> from jaxswarm.trust import ranking
        >>> comparisons = ranking.Comparisons(
        ...     judges=[0, 1, 2, 2], first=[0, 1, 0, 1], second=[1, 2, 2, 0], verdicts=[-1, 1, 1, 1]
        ... )
        >>> found = ranking.swarm(["41", "42", "41"], comparisons, reputation=[0.5, 0.9, 0.9])
        >>> found.answer, found.winner
        ('42', 1)
    """
    classes = np.asarray(answer_classes(replies))
    n = len(classes)
    if (classes < 0).all():
        raise ValueError("replies: expected at least one that could be parsed, got only None")
    found = check_comparisons(comparisons, n, admitted)
    if reputation is None:
        reputation = np.ones(n, np.float32)
    weights = np.asarray(checks.real("reputation", reputation, above=0.0, shape=n), np.float32)
    checks.choice("merge", merge, MERGES)
    checks.real("ridge", ridge, above=0.0)
    winners, losers, counts = wins_and_losses(found)
    strengths = jnp.zeros(n)
    if np.asarray(counts).any():
        weights = jnp.where(counts, jnp.asarray(weights)[found.judges], 0.0)
        strengths = _fitted(winners, losers, weights, num_items=n, ridge=ridge)
    winner, shares = _picked(strengths, classes, merge)
    return Consensus(replies[int(winner)], int(winner), np.asarray(strengths), np.asarray(shares))


def check_comparisons(comparisons: Any, num_nodes: int, admitted: Any = None) -> Comparisons:
    """Check the comparisons of one request and return them as ``int32`` arrays.

    Args:
        comparisons: what came.
        num_nodes: ``N``, replies and judges.
        admitted: ``bool[N]``, nodes that may judge; all if ``None``.

    Raises:
        ValueError: as :func:`swarm`.
    """
    checks.instance("comparisons", comparisons, Comparisons, "Comparisons(judges, first, …)")
    checks.concrete("comparisons", comparisons)
    judges = checks.wholes("judges", comparisons.judges, 0, num_nodes - 1, shape=(None,))
    first = checks.wholes("first", comparisons.first, 0, num_nodes - 1, shape=judges.shape)
    second = checks.wholes("second", comparisons.second, 0, num_nodes - 1, shape=judges.shape)
    verdicts = checks.wholes("verdicts", comparisons.verdicts, SECOND, FIRST, shape=judges.shape)
    if not len(judges):
        raise ValueError("comparisons: expected at least one, got none")
    same = first == second
    if same.any():
        raise ValueError(
            f"second: expected another reply than first, got reply {first[same][0]} compared with "
            "itself"
        )
    rows, times = np.unique(np.stack([judges, first, second]), axis=1, return_counts=True)
    if (times > 1).any():
        judge, a, b = rows[:, times > 1][:, 0]
        raise ValueError(
            f"comparisons: expected each node to judge an ordered pair once, got {times.max()} "
            f"votes of node {judge} on replies ({a}, {b})"
        )
    if admitted is not None:
        allowed = np.asarray(checks.mask("admitted", admitted, (num_nodes,)))
        if not allowed[judges].all():
            raise ValueError(
                f"judges: expected admitted nodes only, got node {int(judges[~allowed[judges]][0])}"
            )
    if not connected(first, second, num_items=num_nodes):
        raise ValueError(
            f"comparisons: expected pairs that connect all {num_nodes} replies, got a graph in "
            "several parts"
        )
    return Comparisons(judges, first, second, verdicts)
