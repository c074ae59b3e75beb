"""Regression of performance on measures of coordination, and selection of architectures by it.

The form is the paper's: an intercept, ten main effects, nine interactions. Coefficients are fitted
here; none of the paper's is used.

Shapes: ``R`` runs, ``D = 20`` columns.

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025 (v2).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks

COLUMNS = (
    "1", "I", "I²", "log(1+T)", "log(1+n)", "log(1+O)", "c", "R", "E_c", "log(1+A_e)", "P_SA",
    "P_SA·log(1+n)", "E_c·T", "O·T", "A_e·P_SA", "A_e·T", "R·n", "c·I", "I·E_c", "I·log(1+T)",
)  # fmt: skip
"""Ability I (centred), tools T, agents n, overhead O, density c, redundancy R, efficiency E_c,
amplification A_e, the single agent's performance P_SA."""


class Fit(NamedTuple):
    """Regression ``coefficients [D]`` of columns standardised by ``mean [D]`` and ``scale [D]``."""

    coefficients: jax.Array
    mean: jax.Array
    scale: jax.Array


def design(
    *,
    ability: ArrayLike,
    tools: ArrayLike,
    agents: ArrayLike,
    overhead: ArrayLike,
    density: ArrayLike,
    redundancy: ArrayLike,
    efficiency: ArrayLike,
    amplification: ArrayLike,
    single: ArrayLike,
) -> np.ndarray:
    """Make the design matrix ``[R, D]`` with :data:`COLUMNS`; all arguments ``[R]``.

    Raises:
        ValueError: numbers that are not finite, or columns that depend on each other, by name.
    """
    given = {
        "ability": ability, "tools": tools, "agents": agents, "overhead": overhead,
        "density": density, "redundancy": redundancy, "efficiency": efficiency,
        "amplification": amplification, "single": single,
    }  # fmt: skip
    runs = np.shape(checks.as_array("ability", ability, "numbers [R]"))
    x = {}
    for name, value in given.items():
        # The logarithm of one plus these, or their own range.
        low = 0.0 if name in ("tools", "agents", "amplification") else -np.inf
        checks.real(name, checks.concrete(name, value), low, shape=(None,))
        if np.shape(value) != runs:
            raise ValueError(f"{name}: expected shape {runs} like ability, got {np.shape(value)}")
        x[name] = np.asarray(value, np.float64)
    i = x["ability"] - x["ability"].mean()
    t, n, o = x["tools"], x["agents"], x["overhead"]
    c, r, e, a, p = (
        x[k] for k in ("density", "redundancy", "efficiency", "amplification", "single")
    )
    table = np.stack(
        [
            np.ones_like(i), i, i**2, np.log1p(t), np.log1p(n), np.log1p(np.maximum(o, -0.99)), c,
            r, e, np.log1p(a), p, p * np.log1p(n), e * t, o * t, a * p, a * t, r * n, c * i, i * e,
            i * np.log1p(t),
        ],
        axis=1,
    )  # fmt: skip
    scaled = table / np.maximum(np.linalg.norm(table, axis=0), 1e-300)
    rank = np.linalg.matrix_rank(scaled, tol=1e-9)
    if rank < table.shape[1]:
        _, pivots = _dependent(scaled)
        raise ValueError(f"design: columns {pivots} depend on the others (rank {rank})")
    return table


def fit(table: ArrayLike, performance: ArrayLike, ridge: float | jax.Array = 1e-3) -> Fit:
    """Fit ridge regression on standardised columns; the intercept is not penalised.

    Args:
        table: ``[R, D]``, of :func:`design`.
        performance: ``[R]``.
        ridge: penalty per run, at least 0; may be traced.

    Raises:
        ValueError: shapes that do not match, or a ``ridge`` below 0.
    """
    checks.real("table", table, shape=(None, None))
    runs = np.shape(table)[0]
    if not runs:
        raise ValueError("table: expected at least one run, got none")
    checks.real("performance", performance, shape=(runs,))
    checks.real("ridge", ridge, 0.0)
    x, y = jnp.asarray(table, jnp.float32), jnp.asarray(performance, jnp.float32)
    mean, scale = jnp.mean(x, axis=0), jnp.std(x, axis=0)
    constant = scale < 1e-9
    mean, scale = jnp.where(constant, 0.0, mean), jnp.where(constant, 1.0, scale)
    z = (x - mean[None, :]) / scale[None, :]
    weight = jnp.where(constant, 0.0, ridge * x.shape[0])
    gram = z.T @ z + jnp.diag(weight)
    return Fit(jnp.linalg.solve(gram, z.T @ y), mean, scale)


def predict(found: Fit, table: ArrayLike) -> jax.Array:
    """Predicted performance ``[R]`` of the rows of ``table [R, D]``.

    Raises:
        ValueError: if this is no fit, or the table has other columns or is not finite.
    """
    checks.instance("found", found, Fit, "scaling_agents.fit(table, performance)")
    checks.real("table", table, shape=(None, np.shape(found.mean)[-1]))
    x = jnp.asarray(table, jnp.float32)
    return ((x - found.mean[None, :]) / found.scale[None, :]) @ found.coefficients


def cross_validated(
    table: ArrayLike, performance: ArrayLike, groups: ArrayLike, *, ridge: float = 1e-3
) -> dict[str, Any]:
    """Leave-one-group-out cross-validation: ``r2``, ``mae`` and the ``predicted [R]``.

    Args:
        table: ``[R, D]``.
        performance: ``[R]``.
        groups: ``int[R]``, such as the kind of task.
        ridge: see :func:`fit`.

    Raises:
        ValueError: fewer than two groups.
    """
    checks.real("table", checks.concrete("table", table), shape=(None, None))
    runs = np.shape(table)[0]
    checks.real("performance", checks.concrete("performance", performance), shape=(runs,))
    checks.wholes("groups", checks.concrete("groups", groups), -checks.LARGEST, shape=(runs,))
    x, y, g = np.asarray(table), np.asarray(performance), np.asarray(groups)
    names = np.unique(g)
    if len(names) < 2:
        raise ValueError(f"groups: expected at least two, got {len(names)}")
    predicted = np.zeros(len(y))
    for name in names:
        out = g == name
        predicted[out] = np.asarray(predict(fit(x[~out], y[~out], ridge), x[out]))
    residual = y - predicted
    r2 = 1.0 - float((residual**2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-12))
    return {"r2": r2, "mae": float(np.abs(residual).mean()), "predicted": predicted}


def select(
    features: ArrayLike, performance: ArrayLike, train: ArrayLike, *, ridge: float = 1e-2
) -> tuple[np.ndarray, np.ndarray]:
    """Select an architecture for each case by its predicted performance (one regression each).

    Args:
        features: ``[R, D]`` of cases, known when only the single agent has been run.
        performance: ``[R, X]`` of ``X`` architectures; only rows in ``train`` are used.
        train: ``bool[R]``.
        ridge: see :func:`fit`.

    Returns:
        Chosen architectures ``int[R]``, and their predicted performance ``[R, X]``; of all rows.

    Raises:
        ValueError: no case to train on, or none held out.
    """
    checks.real("features", checks.concrete("features", features), shape=(None, None))
    cases = np.shape(features)[0]
    checks.numbers("performance", checks.concrete("performance", performance), (cases, None))
    trained = np.asarray(checks.mask("train", checks.concrete("train", train), (cases,)))
    x, y = np.asarray(features), np.asarray(performance)
    checks.real("performance", y[trained], shape=(None, None))
    if not trained.any() or trained.all():
        raise ValueError("train: expected some cases to train on and some held out")
    predicted = np.stack(
        [np.asarray(predict(fit(x[trained], column[trained], ridge), x)) for column in y.T], axis=1
    )
    return predicted.argmax(axis=1), predicted


def _dependent(table: np.ndarray) -> tuple[list[int], list[str]]:
    kept: list[int] = []
    dependent: list[int] = []
    for j in range(table.shape[1]):
        rank = np.linalg.matrix_rank(table[:, [*kept, j]], tol=1e-9)
        (kept if rank > len(kept) else dependent).append(j)
    return dependent, [COLUMNS[j] for j in dependent]
