"""Splits that leave members out, and what a choice of methods is worth.

Shapes: ``C`` cells, ``M`` methods.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.systems.meta_inf._cells import AXES, Cells
from jaxswarm.systems.meta_inf._ensemble import Training, fit_ensemble, predict
from jaxswarm.systems.meta_inf._features import Features
from jaxswarm.systems.meta_inf._selectors import Selector
from jaxswarm.types import Key


class Quality(NamedTuple):
    """What choices are worth, by cell.

    Attributes:
        chosen: ``int[C]``, methods; -1 where the selector found none that fits the budget.
        right: ``bool[C]``, whether it is the fastest.
        speed: ``float64[C]``, seconds of the fastest method by those of the chosen one; 0 without.
    """

    chosen: np.ndarray
    right: np.ndarray
    speed: np.ndarray


def leave_one_out(cells: Cells, axis: str = "device") -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Masks ``(train, test)``, each ``bool[C]``, which leave out one member of an axis.

    Raises:
        ValueError: for an unknown axis, or one with a single member.
    """
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    column = cells.index[:, AXES.index(checks.choice("axis", axis, AXES))]
    members = np.unique(column)
    if len(members) < 2:
        raise ValueError(f"axis: expected at least two members of {axis!r}, got one")
    for member in members:
        yield column != member, column == member


def check_unseen(train: Cells, test: Cells, axis: str = "device") -> None:
    """Check that no member of an axis is in both tables.

    Raises:
        ValueError: naming a member that is.
    """
    at = AXES.index(checks.choice("axis", axis, AXES))
    names = [
        {checks.instance(name, cells, Cells).members(axis)[i].name for i in cells.index[:, at]}
        for name, cells in (("train", train), ("test", test))
    ]
    both = sorted(names[0] & names[1])
    if both:
        raise ValueError(f"test: expected {axis}s that are not in the training table, got {both}")


def held_out_scores(
    selector: Selector, cells: Cells, given: Features, *, axis: str = "device", seed: int = 0
) -> np.ndarray:
    """Scores ``[C, M]`` of a selector for each cell, trained without the cell's member.

    Args:
        selector: one of ``SELECTORS``, or alike.
        cells: all cells.
        given: their features.
        axis: whose members are left out in turn.
        seed: of the selector.
    """
    checks.function("selector", selector)
    checks.instance("given", given, Features, "meta_inf.features(cells)")
    if len(given.values) != len(cells):
        raise ValueError(f"given: expected {len(cells)} rows, got {len(given.values)}")
    scores = np.zeros((len(cells), len(cells.methods)))
    for train, test in leave_one_out(cells, axis):
        known, new = cells.rows(train), cells.rows(test)
        check_unseen(known, new, axis)
        scores[test] = selector(known, given.rows(train), seed)(new, given.rows(test))
    return scores


def quality(cells: Cells, scores: np.ndarray) -> Quality:
    """What the methods of the smallest scores are worth.

    Args:
        cells: with the measured seconds.
        scores: ``[C, M]``; infinite for a method that must not be chosen. A cell without a finite
            score has no choice.

    Raises:
        ValueError: for scores of another shape, or NaN.
    """
    scores = checks.as_array("scores", scores, "numbers [C, M]")
    if scores.shape != cells.seconds.shape or np.isnan(scores).any():
        raise ValueError(
            f"scores: expected numbers {list(cells.seconds.shape)}, got {checks.shown(scores)}"
        )
    chosen = np.where(np.isfinite(scores).any(axis=1), scores.argmin(axis=1), -1)
    rows = np.arange(len(cells))
    speed = cells.seconds.min(axis=1) / cells.seconds[rows, chosen]
    return Quality(chosen, chosen == cells.best, np.where(chosen < 0, 0.0, speed))


def within_budget(
    cells: Cells, log_seconds: np.ndarray, budget: np.ndarray, margin: float | np.ndarray = 0.0
) -> np.ndarray:
    """Scores with infinity for methods whose predicted cost exceeds the budget of their cell.

    Args:
        cells: with the devices' prices.
        log_seconds: ``[C, M]``, predicted.
        budget: ``[C]`` in the currency of the prices.
        margin: of the logarithm, added before the cost is compared; a number or ``[C]``.
    """
    log_seconds = checks.as_array("log_seconds", log_seconds, "numbers [C, M]")
    checks.real("budget", budget, above=0.0, shape=(len(cells),))
    price = np.array([device.price for device in cells.devices])[cells.index[:, 0]]
    upper = np.exp(log_seconds + np.reshape(margin, (-1, 1))) * price[:, None]
    return np.where(upper <= np.asarray(budget)[:, None], log_seconds, np.inf)


def fit_and_predict(
    keys: Key, x: jax.Array, y: jax.Array, new: jax.Array, training: Training
) -> jax.Array:
    """Train an ensemble on each of ``K`` training sets and predict its test set.

    Args:
        keys: ``[K]``, consumed.
        x: features ``[K, C, F]``.
        y: logarithms of seconds ``[K, C, M]``.
        new: features ``[K, D, F]``.
        training: see :class:`Training`; static under ``jit``.

    Returns:
        Mean over the members of the predicted logarithms, ``[K, D, M]``.
    """

    def one(key: Key, x: jax.Array, y: jax.Array, new: jax.Array) -> jax.Array:
        return predict(fit_ensemble(key, x, y, training), new).mean(axis=0)

    return jax.vmap(one)(keys, x, y, new)
