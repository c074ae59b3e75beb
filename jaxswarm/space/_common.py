"""What both search methods share: the reductions, and the handling of non-finite agents.

Shapes: ``N`` agents.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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
