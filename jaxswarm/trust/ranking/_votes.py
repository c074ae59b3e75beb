"""Baselines that need no comparisons: majority vote and the best node of a calibration.

Shapes: ``N`` nodes with one reply each, ``T`` tokens of a reply.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

UNPARSEABLE = -1
"""Class of a reply from which no answer could be read; it cannot win."""


def answer_classes(replies: Sequence[Hashable | None] | jax.Array | np.ndarray) -> jax.Array:
    """Class of each reply's answer: the index of the first reply with the same answer.

    Args:
        replies: an answer of each node, ``None`` where none could be read; or tokens
            ``int[N, T]``, of which a row with a negative token counts as unparseable.

    Returns:
        ``int32[N]``, ``UNPARSEABLE`` where there is no answer.

    Raises:
        ValueError: for fewer than two replies, or tokens of another shape.

    Example:
        >>> answer_classes(["42", "41", None, "42"]).tolist()
        [0, 1, -1, 0]
    """
    if hasattr(replies, "dtype"):
        tokens = jnp.asarray(checks.wholes("replies", replies, -checks.LARGEST, shape=(None, None)))
        checks.whole("number of replies", tokens.shape[0], 2)
        same = jnp.all(tokens[:, None] == tokens[None], axis=-1)
        first = jnp.argmax(same, axis=1).astype(jnp.int32)
        return jnp.where(jnp.any(tokens < 0, axis=1), UNPARSEABLE, first)
    if isinstance(replies, str) or not isinstance(replies, Sequence):
        raise ValueError(f"replies: expected one of each node, got {checks.shown(replies)}")
    if len(replies) < 2:
        raise ValueError(f"replies: expected at least two, got {len(replies)}")
    seen: dict[Any, int] = {}
    try:
        found = [UNPARSEABLE if x is None else seen.setdefault(x, i) for i, x in enumerate(replies)]
    except TypeError as error:
        raise ValueError(f"replies: expected texts or numbers, got {replies!r}") from error
    return jnp.asarray(found, jnp.int32)


def majority_vote(classes: ArrayLike, weights: ArrayLike | None = None) -> jax.Array:
    """Node whose answer has the most votes; a tie goes to the reply with the lowest index.

    Args:
        classes: ``int[N]`` of :func:`answer_classes`.
        weights: ``float[N]``, at least 0, such as reputations; 1 if ``None``.

    Returns:
        ``int32[]``, a node with the winning answer.

    Raises:
        ValueError: for arguments of another kind, or if no reply could be parsed.

    Example:
        >>> int(majority_vote([0, 1, 1, -1, -1, -1]))
        1
    """
    classes, votes = votes_for(classes, weights)
    return jnp.argmax(jnp.where(classes >= 0, votes, -jnp.inf)).astype(jnp.int32)


def votes_for(classes: ArrayLike, weights: ArrayLike | None) -> tuple[jax.Array, jax.Array]:
    """Check classes and add up the votes for each reply's answer, ``float32[N]``."""
    checked = checks.wholes("classes", classes, UNPARSEABLE, shape=(None,))
    n = checks.whole("number of replies", checked.shape[0], 2)
    if not checks.is_traced(checked) and (np.asarray(checked) < 0).all():
        raise ValueError("classes: expected at least one reply that could be parsed, got none")
    found = jnp.asarray(checked)
    if weights is None:
        weights = jnp.ones(n)
    checks.real("weights", weights, 0.0, shape=n)
    same = found[:, None] == found[None]
    return found, jnp.sum(jnp.where(same, jnp.asarray(weights)[None], 0.0), axis=1)


def best_node(correct: ArrayLike) -> jax.Array:
    """Node with the most right answers on calibration questions; ties go to the lowest index.

    Args:
        correct: ``bool[N, C]``, whether each node answered each of ``C`` questions.

    Returns:
        ``int32[]``.

    Raises:
        ValueError: for another shape or dtype.
    """
    correct = checks.mask("correct", correct, (None, None))
    return jnp.argmax(jnp.sum(jnp.asarray(correct), axis=1)).astype(jnp.int32)
