"""Sweeps over all combinations (topologies × seeds × step sizes) as one compiled program.

``vmap`` over all combinations is what fills an accelerator. On a CPU it is slower than a loop as
soon as the replicas together outgrow the cache, because every operation then streams all of them
through main memory; replicas one by one leave cores idle. :func:`sweep` runs as many side by side
as fit the cache and the groups one after the other, in one compilation (measurements:
``benchmarks/SCALING.md``).

Shapes: ``R`` combinations, ``A``, ``B``, … members of the axes.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxswarm import checks
from jaxswarm.types import PyTree

CACHE_BYTES = 5_000_000
"""Total size of the states that run side by side on a CPU. With 5, 77 and 615 KB a replica, groups
of 0.3, 5 and 5 MB were the fastest of those tried (an L2 of 1 MB, an L3 of 32 MB)."""


def sweep(run: Callable[..., PyTree], *axes: PyTree, at_once: int | None = None) -> PyTree:
    """Evaluate ``run(a, b, …)`` for every combination of members of the axes, in one program.

    For instance 32 topologies × 8 seeds::

        W = gossip.mixing(topology.stack(graphs), layout="gather")
        keys = jax.random.split(jax.random.key(0), 8)
        accuracy = jax.jit(sweep, static_argnums=0)(run, W, keys)  # [32, 8, ...]

    where ``run(W, key)`` builds a learner and returns the result of :func:`jaxswarm.rollout`.

    Args:
        run: a pure function of one member of each axis. Values it closes over are shared by all.
        *axes: at least one; pytrees whose leaves lead with the axis's members (``A``, ``B``, …):
            stacked operators, keys, step sizes.
        at_once: combinations side by side (``vmap``), at least 1; the groups follow one another. By
            default all on an accelerator, where memory may call for fewer; on a CPU so many that
            their states take about 5 MB, and a number that divides ``R`` if one is near.

    Returns:
        The results of ``run``, leaves ``[A, B, ..., *own axes]``.

    Raises:
        ValueError: without an axis, for an axis that is empty or whose leaves differ in length, or
            if ``at_once < 1``.

    Example:
        >>> import jax.numpy as jnp, jaxswarm as js
        >>> js.sweep(lambda a, b: a * b, jnp.arange(3), jnp.array([1, 10])).tolist()
        [[0, 0], [1, 10], [2, 20]]
    """
    checks.function("run", run)
    lengths = [_length(index, axis) for index, axis in enumerate(axes)]
    if not lengths:
        raise ValueError("axes: expected at least one axis to sweep over, got none")
    total = math.prod(lengths)
    if at_once is not None:
        at_once = checks.whole("at_once", at_once, 1)

    def run_combination(chosen: jax.Array) -> PyTree:
        members = (
            jax.tree.map(lambda x, i=i: x[i], axis) for axis, i in zip(axes, chosen, strict=True)
        )
        return run(*members)

    every = jnp.asarray(list(itertools.product(*map(range, lengths))), jnp.int32)
    width = min(at_once or automatic(run_combination, every[0], total), total)
    if width == total:
        out = jax.vmap(run_combination)(every)
    else:
        out = jax.lax.map(run_combination, every, batch_size=width)
    return jax.tree.map(lambda x: x.reshape(*lengths, *x.shape[1:]), out)


def automatic(run: Callable[..., Any], example: Any, total: int) -> int:
    """Number of the ``total`` combinations to run side by side on the default device."""
    if jax.default_backend() != "cpu":
        return total
    largest = largest_result(run, example)
    fitting = min(max(CACHE_BYTES // max(largest, 1), 1), total)
    # A remainder would be compiled as a second, narrower program.
    even = max(width for width in range(1, fitting + 1) if total % width == 0)
    return even if 2 * even > fitting else fitting


def largest_result(run: Callable[..., Any], *arguments: Any) -> int:
    """Bytes of the largest results of any operation in ``run``: of a rollout, its state."""
    sizes = (
        sum(_size(variable.aval) for variable in equation.outvars)
        for jaxpr in _jaxprs(jax.make_jaxpr(run)(*arguments).jaxpr)
        for equation in jaxpr.eqns
    )
    return max(sizes, default=0)


def _jaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    yield jaxpr
    for equation in jaxpr.eqns:
        for part in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: isinstance(x, Jaxpr | ClosedJaxpr)
        ):
            if isinstance(part, ClosedJaxpr):
                yield from _jaxprs(part.jaxpr)
            elif isinstance(part, Jaxpr):
                yield from _jaxprs(part)


def _size(aval: Any) -> int:
    """Bytes of an array; a typed key counts as one word."""
    return math.prod(getattr(aval, "shape", ())) * getattr(aval.dtype, "itemsize", 4)


def _length(index: int, axis: PyTree) -> int:
    found = set()
    for path, leaf in jax.tree_util.tree_leaves_with_path(axis):
        if not hasattr(leaf, "shape") and not isinstance(leaf, (bool, int, float, complex)):
            raise ValueError(
                f"axes[{index}]: expected arrays, got {checks.shown(leaf)} at leaf "
                f"{jax.tree_util.keystr(path) or '<root>'}"
            )
        found.add(jnp.shape(leaf)[:1])
    if len(found) != 1 or found & {(), (0,)}:
        raise ValueError(
            f"axes[{index}]: expected leaves with one common leading axis of at least 1 member, "
            f"got {sorted(found) or 'no leaves'}"
        )
    return found.pop()[0]
