"""Tables of judgements: each pair of different replies is judged once, however often it is drawn.

A judge that takes its most probable tokens gives the same verdict whenever it sees the same prompt,
so nodes whose replies have the same text share one judgement.

Shapes: ``Q`` requests, ``N`` nodes (authors of one reply each), ``J`` judges, ``M`` pairs of
different texts, ``p`` pairs of each judge.
"""

from typing import NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.ranking import FIRST, SECOND
from jaxswarm.types import ArrayLike


class DistinctPairs(NamedTuple):
    """Pairs of different texts among the replies to each request.

    Attributes:
        request: ``int32[M]``.
        first: ``int32[M]``, the first node whose reply has one text.
        second: ``int32[M]``, the first node whose reply has the other; above ``first``.
    """

    request: np.ndarray
    first: np.ndarray
    second: np.ndarray


def distinct_pairs(texts: ArrayLike) -> DistinctPairs:
    """List the pairs of different texts among the replies to each request; runs on the host.

    Args:
        texts: ``int[Q, N]``, the first node whose reply has the same text, as
            ``ranking.answer_classes`` finds it.

    Raises:
        ValueError: for numbers outside ``[0, N)``, or one that is not the first node of its text.

    Example:
        >>> pairs = distinct_pairs([[0, 0, 2, 2], [0, 0, 0, 0]])
        >>> pairs.request.tolist(), pairs.first.tolist(), pairs.second.tolist()
        ([0], [0], [2])
    """
    found = _texts(texts)
    is_first = found == np.arange(found.shape[1])
    request, first, second = np.nonzero(
        np.triu(is_first[:, :, None] & is_first[:, None], 1)  # [Q, N, N]
    )
    return DistinctPairs(*(x.astype(np.int32) for x in (request, first, second)))


def judgement_table(
    pairs: DistinctPairs, verdicts: ArrayLike, shape: tuple[int, int]
) -> np.ndarray:
    """Arrange verdicts on distinct pairs in a table from which comparisons are looked up.

    Args:
        pairs: of :func:`distinct_pairs`.
        verdicts: ``int[J, M, 2]`` of each judge about ``(first, second)``, in both orders of
            presentation, see :class:`Judgements`.
        shape: ``(Q, N)``.

    Returns:
        ``int8[Q, J, N, N]``: the verdict about ``(a, b)`` when ``a`` is shown first; 0 where there
        is no judgement.

    Raises:
        ValueError: for shapes that do not fit or unknown verdicts.
    """
    checks.instance("pairs", pairs, DistinctPairs, "distinct_pairs(texts)")
    count, n = (checks.whole("shape", x, 1) for x in shape)
    size = (None, len(pairs.request), 2)
    given = np.asarray(checks.wholes("verdicts", verdicts, SECOND, FIRST, shape=size))
    table = np.zeros((count, given.shape[0], n, n), np.int8)
    table[pairs.request, :, pairs.first, pairs.second] = given[..., 0].T
    table[pairs.request, :, pairs.second, pairs.first] = -given[..., 1].T
    return table


def look_up(table: ArrayLike, texts: ArrayLike, first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Verdicts of all judges on drawn pairs of replies; judges abstain from equal texts.

    Args:
        table: ``int[Q, J, N, N]`` of :func:`judgement_table`.
        texts: ``int[Q, N]``, as for :func:`distinct_pairs`.
        first: ``int[Q, J, p]``, replies that each judge compares.
        second: ``int[Q, J, p]``.

    Returns:
        ``int32[Q, J, p, 2]`` about ``(first, second)``, in both orders of presentation.

    Raises:
        ValueError: for shapes that do not fit or numbers out of range.

    Example:
        >>> texts = [[0, 1, 1]]
        >>> table = judgement_table(distinct_pairs(texts), [[[1, -1]]], (1, 3))
        >>> look_up(table, texts, [[[0, 2, 1]]], [[[1, 0, 2]]]).tolist()
        [[[[1, -1], [1, -1], [0, 0]]]]
    """
    found = _texts(texts)
    count, n = found.shape
    given = checks.wholes("table", table, SECOND, FIRST, shape=(count, None, n, n))
    shape = (count, given.shape[1], None)
    a = np.asarray(checks.wholes("first", first, 0, n - 1, shape=shape))
    b = np.asarray(checks.wholes("second", second, 0, n - 1, shape=a.shape))
    judge = np.arange(a.shape[1])[:, None]
    rows = np.arange(count)[:, None, None]
    a, b = found[rows, a], found[rows, b]
    known = np.asarray(given)
    both = [known[rows, judge, a, b], -known[rows, judge, b, a]]
    return np.stack(both, axis=-1).astype(np.int32)


def _texts(texts: ArrayLike) -> np.ndarray:
    """Check classes of texts."""
    found = np.asarray(checks.wholes("texts", texts, 0, shape=(None, None)))
    n = checks.whole("number of replies", found.shape[1], 2)
    if (found >= n).any() or (np.take_along_axis(found, found, 1) != found).any():
        raise ValueError(
            "texts: expected the first node whose reply has the same text, got a node whose own "
            f"text belongs to another, or none of the {n}"
        )
    return found
