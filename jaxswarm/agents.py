"""Build, reduce and measure pytrees whose leaves all lead with the agents' axis.

Shapes: ``N`` agents (axis 0 of every leaf), ``P`` parameters of one agent, ``...`` any trailing
axes.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import Key, Params, PyTree

_shares: dict[tuple[Any, int], None] = {}
"""Mapped axes over which :func:`jaxswarm.sharding.local` splits agents, with agents per device."""


def num_agents(tree: PyTree) -> int:
    """Return ``N``, the size of the leading axis that all leaves of ``tree`` share.

    Example:
        >>> import jax.numpy as jnp
        >>> num_agents({"w": jnp.ones((4, 3)), "b": jnp.ones(4)})
        4

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
    """Check that every leaf of a tree leads with ``expected`` agents.

    Raises:
        ValueError: naming ``what``, the leaf, the expected and the found leading axis.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        shape = jnp.shape(leaf)
        if not shape or shape[0] != expected:
            raise ValueError(
                f"{what}: leaf {_name(path)} must lead with {expected} agents, got shape {shape}"
            )


def check_params(params: Params, expected: int, what: str = "params") -> None:
    """Check that parameters can be averaged: floating leaves that lead with ``expected`` agents.

    Raises:
        ValueError: naming ``what``, the leaf, what was expected and what came.
    """
    check_leading_axis(params, expected, what)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(
                f"{what}: leaf {_name(path)}: expected a floating dtype, which can be averaged, "
                f"got {jnp.result_type(leaf)}"
            )


def check_same_shapes(tree: PyTree, expected: PyTree, what: str = "messages") -> None:
    """Check that ``tree`` has the structure and the shapes of ``expected``; dtypes may differ.

    Raises:
        ValueError: naming ``what``, the expected and the found shapes.
    """
    if tree is expected:
        return
    same = jax.tree.structure(tree) == jax.tree.structure(expected)
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=False)
    if not same or any(jnp.shape(a) != jnp.shape(b) for a, b in pairs):
        wanted, found = jax.tree.map(jnp.shape, expected), jax.tree.map(jnp.shape, tree)
        raise ValueError(f"{what}: expected the parameters' shapes {wanted}, got {found}")


def keys(key: Key, num_agents: int, *, offset: int | jax.Array | None = None) -> jax.Array:
    """Derive one random key per agent: ``fold_in(key, global agent id)``.

    The stream of agent ``i`` depends on ``key`` and ``i`` only, never on ``N``, padding or the
    number of devices.

    Args:
        key: typed key of ``jax.random.key``.
        num_agents: how many keys.
        offset: global id of the first agent (where a device's share begins); 0 by default, and
            inside a function that is mapped over the axis of a :func:`jaxswarm.sharding.local`
            operator the first of this device's ``num_agents`` agents.

    Returns:
        Typed keys ``[N]``.

    Raises:
        ValueError: if ``key`` is not a typed key.
    """
    checks.key(key)
    num_agents = checks.whole("num_agents", num_agents)
    first = _first_agent(num_agents) if offset is None else offset
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(num_agents) + first)


def register_share(axis_name: Any, num_agents: int) -> None:
    """Let :func:`keys` draw by global id where an axis is mapped on which devices hold a share.

    Args:
        axis_name: the mapped axis.
        num_agents: agents on each device; draws for another number are not of the agents.
    """
    _shares[axis_name, num_agents] = None


def _first_agent(num_agents: int) -> int | jax.Array:
    for axis_name, share in _shares:
        if share == num_agents:
            try:
                return jax.lax.axis_index(axis_name) * share
            except NameError:  # not mapped here
                continue
    return 0


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Stack ``N`` single-agent trees of equal structure into one tree with leaves ``[N, ...]``.

    Example:
        >>> import jax.numpy as jnp
        >>> stack([{"w": jnp.zeros(3)}, {"w": jnp.ones(3)}])["w"].shape
        (2, 3)

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
    """Split a stacked tree into ``N`` single-agent trees, on the host; inverts :func:`stack`."""
    return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(num_agents(tree))]


def broadcast(tree: PyTree, num_agents: int) -> PyTree:
    """Copy a single-agent tree to ``num_agents`` agents: leaves ``[...] -> [N, ...]``.

    Raises:
        ValueError: if ``num_agents < 1``.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (num_agents, *jnp.shape(x))), tree)


def initialize(
    key: Key, init: Callable[[jax.Array], Params], num_agents: int, *, shared: bool = False
) -> Params:
    """Initialise the parameters of ``num_agents`` agents from a single-agent ``init(key)``.

    Args:
        key: consumed.
        init: initialises one agent from a key.
        num_agents: ``N``, at least 1.
        shared: start every agent from the *same* draw instead of its own. This decides whether
            naive averaging works at all (independent draws lose weight variance when averaged).

    Returns:
        Parameters with leaves ``[N, ...]``.

    Example:
        >>> import jax
        >>> params = initialize(jax.random.key(0), lambda key: jax.random.normal(key, (3,)), 4)
        >>> params.shape
        (4, 3)

    Raises:
        ValueError: if ``num_agents < 1``.
    """
    checks.function("init", init)
    checks.key(key)
    num_agents = checks.whole("num_agents", num_agents, 1)
    if shared:
        return broadcast(init(key), num_agents)
    return jax.vmap(init)(keys(key, num_agents))


def mean(tree: PyTree, mask: jax.Array | None = None) -> PyTree:
    """Average over agents: leaves ``[N, ...] -> [...]``.

    Summed in at least float32; integer leaves give float32.

    Args:
        tree: leaves ``[N, ...]``.
        mask: ``bool[N]``, which agents to average; all if omitted. An empty selection gives zeros.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0], [50.0, 60.0]])
        >>> mean(x, jnp.array([True, True, False])).tolist()
        [2.0, 3.0]

    Raises:
        ValueError: if ``mask`` is not ``bool[N]``, or a leaf holds random keys.
    """
    n = _check_numbers(tree)
    return _mean(tree, None if mask is None else checks.mask("mask", mask, (n,)))


@functools.partial(jax.jit, inline=True)
def _mean(tree: PyTree, mask: jax.Array | None) -> PyTree:
    if mask is None:
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), tree)
    count = jnp.maximum(jnp.sum(mask), 1)

    def leaf(x: jax.Array) -> jax.Array:
        kept = jnp.where(_expand_mask(mask, x), x, jnp.zeros((), x.dtype))
        total = jnp.sum(kept, axis=0, dtype=_accumulator(x)) / count
        return total.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else total

    return jax.tree.map(leaf, tree)


def squared_distance_to_mean(tree: PyTree) -> jax.Array:
    """Squared Euclidean distance ``[N]`` of each agent from the mean over agents, over all leaves.

    In float32 at least, whatever the leaves' dtype. Distances are taken from agent 0 first, so
    agents that are equal to the last bit are at distance zero, and a large common offset costs no
    accuracy.

    Raises:
        ValueError: if a leaf holds random keys.
    """
    return _squared_distance_to_mean(tree, _check_numbers(tree))


@functools.partial(jax.jit, static_argnums=1, inline=True)
def _squared_distance_to_mean(tree: PyTree, n: int) -> jax.Array:
    def leaf(x: jax.Array) -> jax.Array:
        x = x.astype(_accumulator(x))
        difference = x - x[:1]
        difference = difference - jnp.mean(difference, axis=0, keepdims=True)
        return jnp.sum(jnp.square(difference).reshape(x.shape[0], -1), axis=1)

    return sum(map(leaf, jax.tree.leaves(tree)), jnp.zeros(n))


def disagreement(tree: PyTree) -> jax.Array:
    """Consensus error ``(1/N) Σ_i ‖x_i − x̄‖²``, a scalar that is zero iff all agents agree.

    Example:
        >>> import jax.numpy as jnp
        >>> float(disagreement({"w": jnp.array([[0.0], [2.0]])}))
        1.0
    """
    return jnp.mean(squared_distance_to_mean(tree))


def ravel(tree: PyTree) -> tuple[jax.Array, Callable[[jax.Array], PyTree]]:
    """Flatten a tree to one row per agent.

    Returns:
        ``(matrix [N, P], unravel)`` with ``unravel(matrix) -> tree``. Mixed dtypes are promoted to
        a common one and restored by ``unravel``.

    Raises:
        ValueError: if a leaf holds random keys, or integers that the common dtype cannot carry
            exactly (beside floating leaves).
    """
    n = _check_numbers(tree)
    leaves, treedef = jax.tree.flatten(jax.tree.map(jnp.asarray, tree))
    shapes = [leaf.shape[1:] for leaf in leaves]
    dtypes = [leaf.dtype for leaf in leaves]
    common = jnp.result_type(*dtypes)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not _carries(common, leaf):
            raise ValueError(
                f"tree: leaf {_name(path)}: expected a dtype that {common} carries exactly, got "
                f"{jnp.result_type(leaf)}; keep it apart from the others"
            )
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


def message_size(params: Params) -> tuple[int, int]:
    """Size of one agent's model, that is of a full message: ``(number of parameters, bytes)``.

    Example:
        >>> import jax.numpy as jnp
        >>> message_size({"w": jnp.zeros((9, 3, 2)), "b": jnp.zeros(9)})
        (7, 28)
    """
    count = size = 0
    for leaf in jax.tree.leaves(params):
        entries = 1
        for extent in jnp.shape(leaf)[1:]:
            entries *= extent
        count += entries
        size += entries * jnp.result_type(leaf).itemsize
    return count, size


def where(mask: jax.Array, on_true: PyTree, on_false: PyTree) -> PyTree:
    """Choose between two stacked trees agent by agent.

    Args:
        mask: ``bool[N]``.
        on_true: leaves ``[N, ...]``, taken where the mask is true.
        on_false: leaves ``[N, ...]``, taken elsewhere.

    Raises:
        ValueError: if ``mask`` is not ``[N]``.
    """
    return jax.tree.map(lambda a, b: jnp.where(_expand_mask(mask, a), a, b), on_true, on_false)


def expand(values: jax.Array, leaf: jax.Array) -> jax.Array:
    """Append axes of length 1 to per-agent values so that they broadcast against a leaf.

    Args:
        values: ``[N]``, or any leading axes of ``leaf``.
        leaf: ``[N, ...]``.

    Returns:
        ``values`` as ``[N, 1, ...]`` with the number of axes of ``leaf``.

    Example:
        >>> import jax.numpy as jnp
        >>> expand(jnp.arange(4), jnp.zeros((4, 3, 2))).shape
        (4, 1, 1)

    Raises:
        ValueError: if ``values`` does not have the leading axes of ``leaf``.
    """
    axes = jnp.ndim(values)
    if jnp.shape(values) != jnp.shape(leaf)[:axes]:
        raise ValueError(
            f"values: expected the leading axes {jnp.shape(leaf)[:axes]} of the leaf, "
            f"got shape {jnp.shape(values)}"
        )
    return values.reshape(values.shape + (1,) * (leaf.ndim - axes))


def _accumulator(x: jax.Array) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)


def _expand_mask(mask: jax.Array, leaf: jax.Array) -> jax.Array:
    if jnp.shape(mask) != jnp.shape(leaf)[:1]:
        raise ValueError(f"mask: expected shape {jnp.shape(leaf)[:1]}, got {jnp.shape(mask)}")
    return expand(jnp.asarray(mask), leaf)


def _check_numbers(tree: PyTree) -> int:
    """Check that leaves are arrays of numbers that share a leading axis, and return ``N``."""
    n = num_agents(tree)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            raise ValueError(
                f"tree: leaf {_name(path)}: expected numbers, got random keys "
                f"{leaf.dtype}{list(leaf.shape)}"
            )
    return n


def _carries(common: Any, leaf: Any) -> bool:
    """Whether a leaf's numbers are numbers of ``common``; all possible ones, if it is traced."""
    dtype = jnp.result_type(leaf)
    if _contains(common, dtype):
        return True
    if checks.is_traced(leaf):
        return False
    with jax.ensure_compile_time_eval():
        values = jnp.asarray(leaf)
        return bool((values.astype(common).astype(dtype) == values).all())


def _contains(common: Any, dtype: Any) -> bool:
    """Whether all numbers of ``dtype`` are numbers of ``common``."""
    if not jnp.issubdtype(dtype, jnp.integer):
        return True
    if jnp.issubdtype(common, jnp.integer):
        given, target = jnp.iinfo(dtype), jnp.iinfo(common)
        return target.min <= given.min and given.max <= target.max
    if not jnp.issubdtype(common, jnp.floating):
        return True
    bits = jnp.iinfo(dtype).bits - int(jnp.issubdtype(dtype, jnp.signedinteger))
    return bits <= jnp.finfo(common).nmant + 1


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path) or "<root>"
