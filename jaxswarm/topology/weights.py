"""Mixing weights: how much each agent weighs the value of each in-neighbour.

Every scheme maps a topology to edge weights ``[..., E]``, zero on padding slots; the weight of edge
``e`` is what ``receivers[e]`` gives to the value of ``senders[e]``. The mixing matrix is completed
by self-weights (:func:`self_weights`): one minus the rest of a row, or of a column for ``"push"``.
All of it is traceable and accepts sequences and batches. What a scheme needs of the graph
(symmetry, say) is checked when the arrays are concrete, that is outside ``jit`` and ``vmap``.

Schemes by name are in :data:`SCHEMES`: :func:`metropolis`, :func:`max_degree`, :func:`lazy`,
:func:`uniform`, :func:`push`, :func:`best_constant`, :func:`fastest_mixing`; :func:`size_weighted`
needs the agents' data sizes as well.

Shapes: ``N`` agents, ``E`` edge slots.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.errors import unknown
from jaxswarm.topology._local_weights import (
    best_constant,
    dense,
    max_degree,
    metropolis,
    push,
    self_weights,
    size_weighted,
    uniform,
)
from jaxswarm.topology.fastest import fastest_mixing
from jaxswarm.topology.graph import Topology
from jaxswarm.topology.validation import require_topology

__all__ = [
    "SCHEMES",
    "STOCHASTICITY",
    "best_constant",
    "dense",
    "edge_weights",
    "fastest_mixing",
    "lazy",
    "max_degree",
    "metropolis",
    "push",
    "self_weights",
    "size_weighted",
    "uniform",
]


def lazy(
    topology: Topology,
    weights: Any = "metropolis",
    self_weight: float | jax.Array = 0.5,
) -> jax.Array:
    """Compute ``s I + (1 - s) W``: every agent keeps at least the share ``s`` of its own value.

    At the default of one half ``(I + W) / 2`` has no negative eigenvalues, which EXTRA and exact
    diffusion ask for.

    Args:
        topology: the graph.
        weights: the scheme or edge weights of ``W``.
        self_weight: ``s`` in ``[0, 1]``; may be traced.

    Raises:
        ValueError: if ``self_weight`` is outside ``[0, 1]``, and what the scheme itself refuses.
    """
    checks.probability("self_weight", self_weight)
    return (1.0 - self_weight) * edge_weights(topology, weights)


def edge_weights(topology: Topology, weights: Any) -> jax.Array:
    """Return edge weights from the name of a scheme, or check an array ``[..., E]``.

    Raises:
        ValueError: on an unknown name, another shape, or non-finite values.
    """
    require_topology(topology)
    if isinstance(weights, str):
        if weights not in SCHEMES:
            raise unknown("mixing weights", weights, SCHEMES)
        return SCHEMES[weights](topology)
    checks.real("weights", weights, shape=None)
    if np.shape(weights) != topology.mask.shape:
        expected = list(topology.mask.shape)
        raise ValueError(
            f"weights: expected shape {expected} (one per edge), got {list(np.shape(weights))}"
        )
    return jnp.asarray(weights)


SCHEMES: dict[str, Callable[[Topology], jax.Array]] = {
    "metropolis": metropolis,
    "max_degree": max_degree,
    "lazy": lazy,
    "uniform": uniform,
    "push": push,
    "best_constant": best_constant,
    "fastest_mixing": fastest_mixing,
}
"""Name -> ``scheme(topology) -> [..., E]``."""

STOCHASTICITY: dict[str, str] = {
    "metropolis": "doubly",
    "max_degree": "doubly",
    "lazy": "doubly",
    "uniform": "row",
    "push": "column",
    "best_constant": "doubly",
    "fastest_mixing": "doubly",
}
"""What each scheme's mixing matrix is: ``"doubly"``, ``"row"`` or ``"column"`` stochastic.

Only ``"push"`` needs ``self_weights(..., stochastic="column")``.
"""
