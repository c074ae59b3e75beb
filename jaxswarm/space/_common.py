"""What both search methods share: the reductions, and the handling of non-finite agents.

Shapes: ``N`` agents.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxswarm import agents
from jaxswarm.types import PyTree

OPERATIONS: dict[str, tuple[float, Callable[..., Any], Callable[..., Any]]] = {
    "sum": (0.0, jnp.add, jnp.sum),
    "min": (jnp.inf, jnp.minimum, jnp.min),
    "max": (-jnp.inf, jnp.maximum, jnp.max),
}
"""Name -> neutral element, binary operation, reduction over an axis."""


def usable(
    positions: jax.Array, features: PyTree, active: jax.Array | None
) -> tuple[jax.Array, PyTree, jax.Array, jax.Array]:
    """Set non-finite agents to zero and mark them: ``(positions, features, taking, flagged)``.

    ``taking: bool[N]`` are the finite active agents, the only ones that see and are seen;
    ``flagged: bool[N]`` are active agents with a NaN or infinite number, which a matrix product
    would spread to all others.
    """
    n = len(positions)
    finite = jnp.all(jnp.isfinite(positions), axis=1)
    for leaf in jax.tree.leaves(features):
        finite = finite & jnp.all(jnp.isfinite(jnp.reshape(leaf, (n, -1))), axis=1)
    flagged = ~finite if active is None else ~finite & active
    taking = finite if active is None else finite & active
    safe, features = agents.where(
        finite, (positions, features), jax.tree.map(jnp.zeros_like, (positions, features))
    )
    return safe, features, taking, flagged


def neutral(op: str, dtype: Any) -> jax.Array:
    """Neutral element of an operation of :data:`OPERATIONS` in a dtype.

    Raises:
        ValueError: for a minimum or maximum of integers, which have no infinity.
    """
    if op != "sum" and not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"fn: expected floating results for op {op!r}, got {dtype}")
    return jnp.asarray(OPERATIONS[op][0], dtype)


def squared_reach(reach: jax.Array) -> jax.Array:
    """Largest squared distance of neighbours; below 0, hence none, for a negative or NaN radius."""
    return jnp.where(reach >= 0.0, jnp.square(reach), -1.0)


def forward_only(tree: PyTree) -> PyTree:
    """Return a tree as it is; reverse-mode differentiation through it raises an error of ours.

    The loop that made it has a length that depends on the data, for which jax's own message names
    ``lax.while_loop``, which no user called.
    """

    def leaf(x: jax.Array) -> jax.Array:
        return _forward_only.bind(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x

    return jax.tree.map(leaf, tree)


def _refuse(cotangent: Any, x: Any) -> Any:
    del cotangent, x
    raise ValueError(
        "capacity: reverse-mode differentiation (grad) of a neighbour search by strips expects a "
        "number of slots, got None; give capacity, such as search(..., capacity=64) or "
        "swarms.vicsek(..., capacity=64), or method='pairs' for few agents"
    )


_forward_only = Primitive("forward_only")
_forward_only.def_impl(lambda x: x)
_forward_only.def_abstract_eval(lambda x: x)
ad.deflinear2(_forward_only, _refuse)
batching.defvectorized(_forward_only)
mlir.register_lowering(_forward_only, lambda ctx, x: [x])
