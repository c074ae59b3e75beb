"""METIS's partition of a graph (extra ``metis``), made into parts of exactly equal size.

Reference:
    G. Karypis, V. Kumar, A fast and high quality multilevel scheme for partitioning irregular
    graphs, 1998.
"""

import importlib.util
from typing import Any

import numpy as np


def is_installed() -> bool:
    """Return whether pymetis can be imported."""
    return importlib.util.find_spec("pymetis") is not None


def metis_order(matrix: Any, num_shards: int) -> np.ndarray:
    """Order of the agents whose consecutive blocks of ``N/D`` are METIS's parts.

    METIS bisects recursively, with sizes that are equal up to a few agents; these then change to
    the part with room in which they have the most neighbors.

    Args:
        matrix: symmetric adjacency, scipy's CSR ``[N, N]`` of ones.
        num_shards: ``D``, a divisor of ``N``.

    Raises:
        ImportError: without pymetis, naming the extra.
    """
    try:
        import pymetis
    except ImportError as error:
        raise ImportError(
            "pymetis is not installed: pip install 'jaxswarm[metis]', or use method='bisection'",
            name="pymetis",
        ) from error
    if num_shards == 1:
        return np.arange(matrix.shape[0])
    found = pymetis.part_graph(
        num_shards,
        pymetis.CSRAdjacency(matrix.indptr, matrix.indices),
        options=pymetis.Options(seed=0),
        recursive=True,  # direct 8-way partition cut 1 % to 8 % more rows in three of four graphs
    )
    parts = _leveled(matrix, np.asarray(found.vertex_part), num_shards)
    return np.argsort(parts, kind="stable")


def _leveled(matrix: Any, parts: np.ndarray, num_shards: int) -> np.ndarray:
    """Move agents from parts with more than ``N/D`` to parts with fewer, cutting few edges."""
    parts, size = parts.copy(), len(parts) // num_shards
    counts = np.bincount(parts, minlength=num_shards)
    while (counts > size).any():
        full = int(np.argmax(counts))
        members = np.flatnonzero(parts == full)
        neighbors = np.stack(
            [np.asarray(matrix[members] @ (parts == p)) for p in range(num_shards)], axis=1
        )
        gain = neighbors - neighbors[:, [full]]
        gain[:, counts >= size] = -np.inf
        mover, target = np.unravel_index(np.argmax(gain), gain.shape)
        parts[members[mover]] = target
        counts[full] -= 1
        counts[target] += 1
    return parts
