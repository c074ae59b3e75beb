"""Information measures of specialisation: which workers execute which types of tasks.

Shapes: ``W`` workers, ``T`` task types.

References:
    T. M. Cover, J. A. Thomas, Elements of information theory, 2006.
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks


class RoleInformation(NamedTuple):
    """Specialisation of workers, in bits.

    Attributes:
        mutual_information: ``I(worker; type)``: 0 if all workers do the same mix of types, the
            entropy of the types if each type is done by workers of its own.
        entropy: ``H(type | worker)``, mean entropy of a worker's types, weighted by its tasks.
    """

    mutual_information: float
    entropy: float


def role_information(
    worker: ArrayLike, kind: ArrayLike, num_workers: int, num_types: int
) -> RoleInformation:
    """Mutual information between workers and the types of tasks that they execute.

    Args:
        worker: ``int[...]``, the worker of each task; negative entries (not executed) are ignored.
        kind: ``int[...]`` in ``[0, T)``, the type of each task, same shape as ``worker``.
        num_workers: ``W``.
        num_types: ``T``.

    Returns:
        Bits; both are 0 without any executed task.

    Raises:
        ValueError: for numbers that are not whole or out of range, or different shapes.

    Example:
        >>> from jaxswarm import coordination
        >>> specialists = coordination.role_information([0, 1, 0, 1], [0, 1, 0, 1], 2, 2)
        >>> specialists.mutual_information, specialists.entropy
        (1.0, 0.0)
        >>> coordination.role_information([0, 0, 1, 1], [0, 1, 0, 1], 2, 2).mutual_information
        0.0
    """
    num_workers = checks.whole("num_workers", num_workers, 1)
    num_types = checks.whole("num_types", num_types, 1)
    known = checks.concrete("worker", worker)
    workers = checks.wholes("worker", known, -checks.LARGEST, num_workers - 1)
    types = checks.wholes("kind", checks.concrete("kind", kind), -1, num_types - 1)
    if types.shape != workers.shape:
        raise ValueError(f"kind: expected shape {workers.shape} like worker, got {types.shape}")
    workers, types = workers.ravel(), types.ravel()
    if (types[workers >= 0] < 0).any():
        raise ValueError("kind: expected the type of every executed task, got -1")
    table = np.zeros((num_workers, num_types))
    np.add.at(table, (workers[workers >= 0], types[workers >= 0]), 1.0)
    if table.sum() == 0:
        return RoleInformation(0.0, 0.0)
    joint = table / table.sum()
    conditional = entropy_bits(joint) - entropy_bits(joint.sum(axis=1))
    return RoleInformation(entropy_bits(joint.sum(axis=0)) - conditional, conditional)


def entropy_bits(distribution: np.ndarray) -> float:
    """Shannon entropy of a distribution of any shape, in bits; ``0 log 0 = 0``."""
    positive = distribution[distribution > 0]
    return float(-np.sum(positive * np.log2(positive)))
