"""Workers, their advertised fit, and a shock: what Symphony-Coord's requesters act in.

Shapes: ``M`` workers, ``K`` task types.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.coordination import Workers

Table = jax.Array | np.ndarray


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class World:
    """Workers, what they advertise, and one shock; all leaves may be traced and mapped.

    Attributes:
        pool: ``Workers`` with linear link; ``skill [M, K]`` is the success probability by type.
        match: ``float32[M, K]`` in ``[0, 1]``, advertised fit; not the success probability.
        skill_after: ``float32[M, K]``, from step ``shock`` on; 0 is a silent failure.
        match_after: ``float32[M, K]``, from step ``shock`` on.
        shock: ``int32[]``, step.
        types: ``float32[K]``, shares of task types.
        static: ``int32[K]``, the worker that the static policy takes for each type.
        slowdown_after: ``float32[M]``, factor of the latency from step ``shock`` on.
    """

    pool: Workers
    match: Table
    skill_after: Table
    match_after: Table
    shock: Table
    types: Table
    static: Table
    slowdown_after: Table


def world(
    pool: Workers,
    match: ArrayLike,
    *,
    types: ArrayLike | Sequence[float],
    static: ArrayLike | Sequence[int] | None = None,
    shock: int = 2**30,
    skill_after: ArrayLike | None = None,
    match_after: ArrayLike | None = None,
    slowdown_after: ArrayLike | None = None,
) -> World:
    """Make a validated world; without ``shock`` it does not change.

    Args:
        pool: of ``coordination.workers`` with linear link.
        match: ``[M, K]``, advertised fit in ``[0, 1]``.
        types: ``[K]``, shares of task types, which sum to one.
        static: ``[K]``, workers of the static policy; those of best ``match`` by default.
        shock: step from which ``skill_after`` and ``match_after`` hold.
        skill_after: ``[M, K]`` in ``[0, 1]``; unchanged by default.
        match_after: ``[M, K]`` in ``[0, 1]``; unchanged by default.
        slowdown_after: ``[M]``, factors of the latency, at least 0; 1 by default.

    Raises:
        ValueError: naming the argument: shapes other than ``[M, K]``, numbers outside ``[0, 1]``,
            shares that do not sum to one, an unknown worker, a logistic pool.
    """
    checks.instance("pool", pool, Workers, "coordination.workers([[0.9, 0.1]])")
    checks.concrete("pool", pool)
    if pool.link != "linear":
        raise ValueError(f"pool: expected the linear link, got {pool.link!r}")
    skill = np.asarray(pool.skill, np.float32)
    m, k = skill.shape
    tables = {
        "match": match,
        "skill_after": skill if skill_after is None else skill_after,
        "match_after": match if match_after is None else match_after,
    }
    for name, table in tables.items():
        checks.probability(name, checks.concrete(name, table), shape=(m, k))
        tables[name] = np.asarray(table, np.float32)
    checks.probability("types", checks.concrete("types", types), shape=(k,))
    shares = np.asarray(types, np.float32)
    if abs(shares.sum() - 1) > 1e-4:
        raise ValueError(f"types: expected {k} shares that sum to one, got {types}")
    fixed = np.argmax(tables["match"], axis=0)
    if static is not None:
        fixed = checks.wholes("static", checks.concrete("static", static), 0, m - 1, shape=(k,))
    shock = checks.whole("shock", shock)
    slowdown = np.ones(m) if slowdown_after is None else slowdown_after
    checks.real("slowdown_after", checks.concrete("slowdown_after", slowdown), 0.0, shape=(m,))
    return World(
        pool,
        tables["match"],
        tables["skill_after"],
        tables["match_after"],
        np.asarray(shock, np.int32),
        shares,
        fixed.astype(np.int32),
        np.asarray(slowdown, np.float32),
    )
