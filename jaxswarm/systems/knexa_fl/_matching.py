"""Disjoint pairs of a teacher and a student: greedy by score, at random, and of the largest sum.

Greedy matching has at least half the sum of the best one where values are not negative.

Shapes: ``N`` agents, ``K`` pairs; entry ``[i, j]`` is teacher ``i`` for student ``j``.

References:
    D. Avis, A survey of heuristics for the weighted matching problem, 1983 (greedy matching).
    J. Edmonds, Maximum matching and a polyhedron with 0,1-vertices, 1965.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import bandits
from jaxswarm.types import ArrayLike, Key


class Pairs(NamedTuple):
    """Disjoint directed pairs.

    Attributes:
        teachers: ``int32[K]``, -1 where there is no pair.
        students: ``int32[K]``, the same.
        valid: ``bool[K]``.
    """

    teachers: jax.Array
    students: jax.Array
    valid: jax.Array


def greedy_matching(scores: ArrayLike, num_pairs: int, active: ArrayLike | None = None) -> Pairs:
    """Take the pair with the highest score whose agents are free, ``num_pairs`` times.

    Ties go to the smaller teacher, then to the smaller student. A score that is NaN comes last.

    Args:
        scores: ``float[N, N]``; the diagonal is never taken.
        num_pairs: ``K``, from 1 to ``N / 2``.
        active: ``bool[N]``, agents that may be in a pair, all if ``None``.

    Returns:
        Pairs in the order they were taken; fewer than ``K`` are valid if too few agents are active.

    Raises:
        ValueError: for another shape, or more pairs than ``N / 2``.

    Example:
        >>> from jaxswarm.systems import knexa_fl
        >>> pairs = knexa_fl.greedy_matching([[0.0, 1.0, 5.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], 1)
        >>> pairs.teachers.tolist(), pairs.students.tolist()
        ([0], [2])
    """
    scores = checks.numbers("scores", scores)
    n = _check_square("scores", scores.shape)
    num_pairs = check_num_pairs(num_pairs, n)
    free = jnp.ones(n, bool)
    if active is not None:
        free = jnp.asarray(checks.mask("active", active, (n,)))
    distinct = ~jnp.eye(n, dtype=bool)

    def take(k: jax.Array, carry: tuple[jax.Array, Pairs]) -> tuple[jax.Array, Pairs]:
        free, pairs = carry
        allowed = distinct & free[:, None] & free[None]
        place = bandits.choose(scores.ravel(), allowed.ravel())
        found = place >= 0
        teacher = jnp.where(found, place // n, -1)
        student = jnp.where(found, place % n, -1)
        ids = jnp.arange(n)
        free = free & (ids != teacher) & (ids != student)
        return free, Pairs(
            pairs.teachers.at[k].set(teacher),
            pairs.students.at[k].set(student),
            pairs.valid.at[k].set(found),
        )

    none = jnp.full(num_pairs, -1, jnp.int32)
    start = (free, Pairs(none, none, jnp.zeros(num_pairs, bool)))
    return jax.lax.fori_loop(0, num_pairs, take, start)[1]


def random_matching(
    key: Key, num_agents: int, num_pairs: int, active: ArrayLike | None = None
) -> Pairs:
    """Draw disjoint directed pairs, all equally probable.

    Args:
        key: consumed.
        num_agents: ``N >= 2``.
        num_pairs: ``K``, from 1 to ``N / 2``.
        active: as in :func:`greedy_matching`.

    Raises:
        ValueError: as :func:`greedy_matching`.
    """
    n = checks.whole("num_agents", num_agents, 2)
    return greedy_matching(jax.random.uniform(checks.key(key), (n, n)), num_pairs, active)


def optimal_matching(values: ArrayLike, num_pairs: int) -> Pairs:
    """Disjoint directed pairs with the largest sum of values, by the blossom algorithm on the host.

    Args:
        values: ``float[N, N]``, finite.
        num_pairs: ``K``, from 1 to ``N / 2``; exactly as many are taken.

    Raises:
        ValueError: for traced or non-finite values, another shape, or more pairs than ``N / 2``.

    Example:
        >>> from jaxswarm.systems import knexa_fl
        >>> pairs = knexa_fl.optimal_matching([[0.0, 1.0], [2.0, 0.0]], 1)
        >>> pairs.teachers.tolist(), pairs.students.tolist()
        ([1], [0])
    """
    import networkx as nx

    checks.real("values", checks.concrete("values", values), shape=(None, None))
    array = np.asarray(values, np.float64)
    n = _check_square("values", array.shape)
    num_pairs = check_num_pairs(num_pairs, n)
    graph = nx.Graph()
    for i in range(n):
        for j in range(i + 1, n):
            graph.add_edge(i, j, weight=max(array[i, j], array[j, i]))
    # Nodes that only agents can be matched with take the agents that are in no pair.
    for spare in range(n, n + n - 2 * num_pairs):
        graph.add_edges_from(((i, spare) for i in range(n)), weight=0.0)
    found = nx.max_weight_matching(graph, maxcardinality=True)
    pairs = sorted(tuple(sorted(edge)) for edge in found if max(edge) < n)
    directed = [(i, j) if array[i, j] >= array[j, i] else (j, i) for i, j in pairs]
    teachers, students = np.asarray(directed, np.int32).T
    return Pairs(jnp.asarray(teachers), jnp.asarray(students), jnp.ones(len(directed), bool))


def matching_value(values: ArrayLike, pairs: Pairs) -> jax.Array:
    """Sum of the values of pairs, a scalar.

    Args:
        values: ``float[N, N]``.
        pairs: of agents ``0 .. N - 1``.

    Raises:
        ValueError: for values of another shape, or what are no pairs.
    """
    values = checks.numbers("values", values)
    _check_square("values", values.shape)
    checks.instance("pairs", pairs, Pairs, "knexa_fl.greedy_matching(scores, 3)")
    return jnp.sum(jnp.where(pairs.valid, values[pairs.teachers, pairs.students], 0.0))


def check_num_pairs(num_pairs: int, num_agents: int) -> int:
    """Return a number of pairs between 1 and half the number of agents.

    Raises:
        ValueError: naming ``num_pairs``.
    """
    return checks.whole("num_pairs", num_pairs, 1, num_agents // 2)


def _check_square(name: str, shape: tuple[int, ...]) -> int:
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        raise ValueError(f"{name}: expected [N, N] of at least two agents, got {shape}")
    return shape[0]
