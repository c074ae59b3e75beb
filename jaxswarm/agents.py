"""Pytrees whose leaves lead with the agents' axis: build, reduce and measure them.

Shapes: ``N`` agents (axis 0 of every leaf), ``P`` parameters of one agent, ``...`` any trailing
axes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def num_agents(tree: PyTree) -> int:
    """Size ``N`` of the leading axis that all leaves of ``tree`` share.

    Raises:
        ValueError: if the tree has no leaves, a leaf is a scalar, or leading axes differ; the
            message names the leaf.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    if not leaves:
        raise ValueError("expected a pytree with at least one leaf [N, ...], got an empty one")
    sizes: list[tuple[str, int]] = []
    for path, leaf in leaves:
        shape = jnp.shape(leaf)
        if not shape:
            raise ValueError(
                f"leaf {_name(path)}: expected a leading agents axis, got a scalar (shape ())"
            )
        sizes.append((_name(path), shape[0]))
    first_name, first = sizes[0]
    for name, size in sizes[1:]:
        if size != first:
            raise ValueError(
                f"leaf {name}: expected leading axis {first} like leaf {first_name}, got {size}"
            )
    return first


def check_leading_axis(tree: PyTree, expected: int, what: str = "tree") -> None:
    """Refuse a tree whose leaves do not all lead with ``expected`` agents.

    Raises:
        ValueError: naming ``what``, the leaf, the expected and the found leading axis.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        shape = jnp.shape(leaf)
        if not shape or shape[0] != expected:
            raise ValueError(
                f"{what}: leaf {_name(path)} must lead with {expected} agents, got shape {shape}"
            )


def keys(key: jax.Array, n: int, *, offset: int | jax.Array = 0) -> jax.Array:
    """One random key per agent, ``[N]``: ``fold_in(key, global agent id)``.

    The stream of agent ``i`` depends on ``key`` and ``i`` only, never on ``N``, padding or the
    number of devices. ``offset`` is the global id of the first agent (a shard's start).

    Raises:
        ValueError: if ``key`` is not a typed key of ``jax.random.key``.
    """
    found = getattr(key, "dtype", type(key))
    if not jnp.issubdtype(found, jax.dtypes.prng_key):
        raise ValueError(f"key: expected a typed key from jax.random.key(seed), got {found}")
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n) + offset)


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Stack ``N`` single-agent trees of equal structure into one tree with leaves ``[N, ...]``.

    Raises:
        ValueError: if ``trees`` is empty, or an agent differs from the first in structure or in a
            leaf's shape; the message names agent and leaf.
    """
    if not trees:
        raise ValueError("trees: expected at least one agent to stack, got an empty sequence")
    structure = jax.tree.structure(trees[0])
    first = jax.tree_util.tree_leaves_with_path(trees[0])
    for i, tree in enumerate(trees[1:], 1):
        if jax.tree.structure(tree) != structure:
            raise ValueError(
                f"trees: agent {i} must have agent 0's structure {structure}, "
                f"got {jax.tree.structure(tree)}"
            )
        for (path, a), b in zip(first, jax.tree.leaves(tree), strict=True):
            if jnp.shape(a) != jnp.shape(b):
                raise ValueError(
                    f"trees: agent {i}, leaf {_name(path)}: expected shape {jnp.shape(a)} "
                    f"like agent 0, got {jnp.shape(b)}"
                )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: PyTree) -> list[PyTree]:
    """The ``N`` single-agent trees of a stacked tree, the inverse of :func:`stack` (host side)."""
    return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(num_agents(tree))]


def broadcast(tree: PyTree, n: int) -> PyTree:
    """Give ``n`` agents the same single-agent tree: leaves ``[...] -> [n, ...]``.

    Raises:
        ValueError: if ``n < 1``.
    """
    if n < 1:
        raise ValueError(f"n: expected at least one agent, got {n}")
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), tree)


def initialize(
    key: jax.Array, init: Callable[[jax.Array], PyTree], n: int, *, shared: bool = False
) -> PyTree:
    """Parameters of ``n`` agents from a single-agent ``init(key)``; leaves ``[n, ...]``.

    Args:
        key: consumed.
        init: initialises one agent from a key.
        n: number of agents, at least 1.
        shared: every agent starts from the *same* draw instead of its own. This decides whether
            naive averaging works at all (independent draws lose weight variance when averaged).

    Raises:
        ValueError: if ``n < 1``.
    """
    if n < 1:
        raise ValueError(f"n: expected at least one agent, got {n}")
    if shared:
        return broadcast(init(key), n)
    return jax.vmap(init)(keys(key, n))


def mean(tree: PyTree, mask: jax.Array | None = None) -> PyTree:
    """The average agent, leaves ``[N, ...] -> [...]``; ``mask: bool[N]`` restricts who counts.

    Summed in float32 at least; integer leaves give float32. Nobody counting gives zeros.

    Raises:
        ValueError: if ``mask`` is not ``[N]``.
    """
    if mask is None:
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), tree)
    count = jnp.maximum(jnp.sum(mask), 1)

    def leaf(x: jax.Array) -> jax.Array:
        kept = jnp.where(_expand(mask, x), x, jnp.zeros((), x.dtype))
        total = jnp.sum(kept, axis=0, dtype=_accumulator(x)) / count
        return total.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else total

    return jax.tree.map(leaf, tree)


def squared_distance_to_mean(tree: PyTree) -> jax.Array:
    """``[N]``: squared Euclidean distance of each agent from the average agent, over all leaves.

    In float32 at least, whatever the leaves' dtype. Distances are taken from agent 0 first, so
    agents that are equal to the last bit are at distance zero, and a large common offset costs no
    accuracy.
    """

    def leaf(x: jax.Array) -> jax.Array:
        x = x.astype(_accumulator(x))
        difference = x - x[:1]
        difference = difference - jnp.mean(difference, axis=0, keepdims=True)
        return jnp.sum(jnp.square(difference).reshape(x.shape[0], -1), axis=1)

    return sum(map(leaf, jax.tree.leaves(tree)), jnp.zeros(num_agents(tree)))


def disagreement(tree: PyTree) -> jax.Array:
    """Consensus error ``(1/N) Σ_i ‖x_i − x̄‖²``, a scalar; zero iff all agents agree.

    >>> import jax.numpy as jnp
    >>> float(disagreement({"w": jnp.array([[0.0], [2.0]])}))
    1.0
    """
    return jnp.mean(squared_distance_to_mean(tree))


def ravel(tree: PyTree) -> tuple[jax.Array, Callable[[jax.Array], PyTree]]:
    """Flatten to one row per agent: ``(matrix [N, P], unravel)`` with ``unravel(matrix) -> tree``.

    Mixed dtypes are promoted to a common one and restored by ``unravel``.
    """
    n = num_agents(tree)
    leaves, treedef = jax.tree.flatten(tree)
    shapes = [leaf.shape[1:] for leaf in leaves]
    dtypes = [leaf.dtype for leaf in leaves]
    common = jnp.result_type(*dtypes)
    rows = [leaf.reshape(n, -1).astype(common) for leaf in leaves]
    splits = []
    for row in rows[:-1]:
        splits.append((splits[-1] if splits else 0) + row.shape[1])

    def unravel(matrix: jax.Array) -> PyTree:
        parts = jnp.split(matrix, splits, axis=1)
        return jax.tree.unflatten(
            treedef,
            [
                part.reshape(matrix.shape[0], *shape).astype(dtype)
                for part, shape, dtype in zip(parts, shapes, dtypes, strict=True)
            ],
        )

    return jnp.concatenate(rows, axis=1), unravel


def size_of_one(tree: PyTree) -> tuple[int, int]:
    """``(parameters, bytes)`` of one agent of a stacked tree: what a full message carries."""
    count = size = 0
    for leaf in jax.tree.leaves(tree):
        entries = 1
        for extent in jnp.shape(leaf)[1:]:
            entries *= extent
        count += entries
        size += entries * jnp.result_type(leaf).itemsize
    return count, size


def where(mask: jax.Array, on_true: PyTree, on_false: PyTree) -> PyTree:
    """Agent-wise choice between two stacked trees, ``mask: bool[N]``.

    Raises:
        ValueError: if ``mask`` is not ``[N]``.
    """
    return jax.tree.map(lambda a, b: jnp.where(_expand(mask, a), a, b), on_true, on_false)


def _accumulator(x: jax.Array) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)


def _expand(mask: jax.Array, like: jax.Array) -> jax.Array:
    if mask.shape != like.shape[:1]:
        raise ValueError(f"mask: expected shape {like.shape[:1]}, got {mask.shape}")
    return mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path) or "<root>"
