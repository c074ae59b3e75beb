"""Pairwise comparisons: random comparison graphs of a request, verdicts, wins and losses.

Shapes: ``N`` nodes that judge, ``K`` items (replies), ``p`` pairs of each node, ``M`` comparisons.
"""

import functools
import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.types import ArrayLike, Key

FIRST, SECOND, ABSTAIN = 1, -1, 0
"""Verdicts: the first item is better, the second is better, neither."""


class Comparisons(NamedTuple):
    """Verdicts of judges on ordered pairs of items.

    Attributes:
        judges: ``int32[M]``, the node that compared.
        first: ``int32[M]``, the item that was shown first.
        second: ``int32[M]``, the item that was shown second.
        verdicts: ``int32[M]``, ``FIRST``, ``SECOND`` or ``ABSTAIN``.
    """

    judges: Any
    first: Any
    second: Any
    verdicts: Any


def request_seed(request: str | bytes) -> int:
    """Hash a request by SHA-256 to a seed below 2³¹.

    Args:
        request: its text.

    Raises:
        ValueError: for what is neither text nor bytes.
    """
    checks.instance("request", request, (str, bytes))
    data = request if isinstance(request, bytes) else request.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big") >> 1


def request_key(request: str | bytes) -> Key:
    """Derive a random key from the hash of a request, see :func:`request_seed`.

    Args:
        request: its text.

    Raises:
        ValueError: for what is neither text nor bytes.
    """
    return jax.random.key(request_seed(request))


def draw_comparisons(
    key: Key, num_nodes: int, num_items: int, per_node: int, *, attempts: int = 16
) -> tuple[jax.Array, jax.Array]:
    """Draw the pairs that each node compares until together they connect all items.

    Node ``i`` draws distinct unordered pairs from ``fold_in(key, i)``. If the graph of all pairs is
    not connected, all nodes draw anew from the next attempt's key. Runs inside ``jit``; after the
    last attempt the pairs are returned as they are (:func:`is_connected` tells).

    Args:
        key: consumed.
        num_nodes: ``N >= 1`` judges.
        num_items: ``K >= 2``. Memory grows with ``N K²``.
        per_node: ``p``, from 1 to ``K (K - 1) / 2``.
        attempts: at least 1.

    Returns:
        ``(first, second)``, ``int32[N, p]`` with ``first < second``.

    Raises:
        ValueError: for sizes out of range.
    """
    checks.key(key)
    num_nodes = checks.whole("num_nodes", num_nodes, 1)
    num_items = checks.whole("num_items", num_items, 2)
    num_pairs = num_items * (num_items - 1) // 2
    per_node = checks.whole("per_node", per_node, 1, num_pairs)
    attempts = checks.whole("attempts", attempts, 1)

    def pairs(key: Key) -> tuple[jax.Array, jax.Array]:
        def own(key: Key) -> jax.Array:
            scores = jax.random.uniform(key, (num_pairs,))
            return jax.lax.top_k(scores, per_node)[1]

        return _unranked(jax.vmap(own)(agents.keys(key, num_nodes)), num_items)

    def unfinished(carry: Any) -> jax.Array:
        attempt, first, second = carry
        found = is_connected(first.ravel(), second.ravel(), num_items=num_items)
        return (attempt < attempts) & ~found

    def again(carry: Any) -> Any:
        return carry[0] + 1, *pairs(jax.random.fold_in(key, carry[0]))

    start = (jnp.int32(1), *pairs(key))
    return jax.lax.while_loop(unfinished, again, start)[1:]


def comparison_graph(
    request: str | bytes, num_nodes: int, per_node: int, *, num_items: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the connected comparison graph that belongs to a request's text.

    Every node can compute it, and no node can choose its pairs.

    Args:
        request: its text.
        num_nodes: ``N >= 1`` judges.
        per_node: pairs of each, at least 1.
        num_items: ``K >= 2``; ``N`` if ``None``, one reply of each node.

    Returns:
        ``(first, second)``, ``int32[N, p]`` with ``first < second``.

    Raises:
        ValueError: for sizes out of range, or so few pairs that no connected graph was found.

    Example:
        >>> first, second = comparison_graph("What is 6 x 7?", num_nodes=5, per_node=3)
        >>> first.shape, bool((first < second).all())
        ((5, 3), True)
    """
    num_items = num_nodes if num_items is None else num_items
    draw = _jitted(draw_comparisons)
    first, second = draw(request_key(request), num_nodes, num_items, per_node)
    if not connected(first.ravel(), second.ravel(), num_items=num_items):
        raise ValueError(
            f"per_node: expected enough pairs to connect {num_items} items, got {per_node} of each "
            f"of {num_nodes} nodes"
        )
    return np.asarray(first), np.asarray(second)


def is_connected(
    first: ArrayLike, second: ArrayLike, counts: ArrayLike | None = None, *, num_items: int
) -> jax.Array:
    """Whether compared pairs connect all items; runs inside ``jit``.

    Args:
        first: ``int[M]`` in ``[0, K)``.
        second: ``int[M]`` in ``[0, K)``.
        counts: ``bool[M]``, pairs that count; all if ``None``.
        num_items: ``K >= 1``.

    Returns:
        ``bool[]``.

    Raises:
        ValueError: for items out of range or lengths that differ.

    Example:
        >>> bool(is_connected([0, 2], [1, 3], num_items=4))
        False
    """
    num_items = checks.whole("num_items", num_items, 1)
    a = jnp.asarray(checks.wholes("first", first, 0, num_items - 1, shape=(None,)))
    b = jnp.asarray(checks.wholes("second", second, 0, num_items - 1, shape=a.shape))
    if counts is not None:
        counted = jnp.asarray(checks.mask("counts", counts, a.shape))
        a, b = jnp.where(counted, a, 0), jnp.where(counted, b, 0)

    def spread(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        labels, _ = carry
        least = jnp.minimum(labels[a], labels[b])
        new = labels.at[a].min(least).at[b].min(least)
        return new, jnp.any(new != labels)

    start = (jnp.arange(num_items), jnp.bool_(True))
    labels, _ = jax.lax.while_loop(lambda carry: carry[1], spread, start)
    return jnp.all(labels == 0)


def verdicts_of(tokens: ArrayLike, first_token: int, second_token: int) -> jax.Array:
    """Read verdicts from a model's tokens: any token but the two expected ones abstains.

    Args:
        tokens: ``int[...]``.
        first_token: says that the first item is better.
        second_token: says that the second item is better.

    Returns:
        ``int32[...]``, ``FIRST``, ``SECOND`` or ``ABSTAIN``.

    Raises:
        ValueError: for tokens that are no whole numbers, or one token for both verdicts.

    Example:
        >>> verdicts_of([7, 8, 9], first_token=7, second_token=8).tolist()
        [1, -1, 0]
    """
    first_token = checks.whole("first_token", first_token)
    second_token = checks.whole("second_token", second_token)
    if first_token == second_token:
        raise ValueError(
            f"second_token: expected another token than first_token, got {first_token}"
        )
    tokens = jnp.asarray(checks.wholes("tokens", tokens, -checks.LARGEST))
    second = jnp.where(tokens == second_token, SECOND, ABSTAIN)
    return jnp.where(tokens == first_token, FIRST, second).astype(jnp.int32)


def wins_and_losses(comparisons: Comparisons) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Winner and loser of each comparison, and whether it counts (no abstention).

    Args:
        comparisons: leaves ``int[..., M]``.

    Returns:
        ``(winners int32[..., M], losers int32[..., M], counts bool[..., M])``.

    Raises:
        ValueError: for what are no comparisons.
    """
    checks.instance("comparisons", comparisons, Comparisons, "Comparisons(judges, first, …)")
    first, second = jnp.asarray(comparisons.first), jnp.asarray(comparisons.second)
    verdicts = jnp.asarray(comparisons.verdicts)
    winners = jnp.where(verdicts == SECOND, second, first)
    losers = jnp.where(verdicts == SECOND, first, second)
    return winners, losers, verdicts != ABSTAIN


def _unranked(index: jax.Array, num_items: int) -> tuple[jax.Array, jax.Array]:
    """The pair at each index of the list (0, 1), (0, 2), …, (1, 2), …, by arithmetic."""
    rows = np.arange(num_items)
    starts = jnp.asarray(rows * (2 * num_items - rows - 1) // 2, jnp.int32)
    first = jnp.sum(index[..., None] >= starts[None, None, 1:], axis=-1, dtype=jnp.int32)
    start = first * (2 * num_items - first - 1) // 2
    return first, (index - start + first + 1).astype(jnp.int32)


# One request after the other: traced once for each size.
connected = jax.jit(is_connected, static_argnames="num_items")


@functools.cache
def _jitted(function: Any) -> Any:
    return jax.jit(function, static_argnums=(1, 2, 3))
