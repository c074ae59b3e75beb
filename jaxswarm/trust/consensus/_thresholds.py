"""Thresholds on distances from a calibration half, and receiver operating characteristics.

Shapes: ``H`` distances of honest pairs (the same job), ``I`` of impostor pairs (other jobs).
"""

from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike


class Roc(NamedTuple):
    """Result of :func:`roc`.

    Attributes:
        thresholds: ``[T]``, the distances that occur, ascending; a pair matches up to one.
        acceptance: ``float64[T]``, share of honest pairs that match.
        false_match: ``float64[T]``, share of impostor pairs that match.
        area: under the curve: the probability that an impostor pair is farther apart than an
            honest one, where equal distances count one half.
    """

    thresholds: np.ndarray
    acceptance: np.ndarray
    false_match: np.ndarray
    area: float


class Calibration(NamedTuple):
    """Result of :func:`threshold`, with shares of the pairs that it was calibrated on.

    Attributes:
        tolerance: the threshold: ``int`` for whole distances, else ``float``; -1 accepts nothing.
        acceptance: share of honest pairs up to it.
        false_match: share of impostor pairs up to it.
        honest: ``H``.
        impostor: ``I``.
    """

    tolerance: Any
    acceptance: float
    false_match: float
    honest: int
    impostor: int


def roc(honest: ArrayLike, impostor: ArrayLike, *, counts: bool = False) -> Roc:
    """Receiver operating characteristic of distances: acceptance against false matches.

    Args:
        honest: ``[H]`` distances of honest pairs, at least 0; with ``counts``, ``int[bits + 1]``
            pairs at each distance, as of :func:`jaxswarm.trust.hashes.histogram`.
        impostor: ``[I]``, or counts, of impostor pairs.
        counts: whether both are counts.

    Raises:
        ValueError: for no pairs, negative or non-finite distances, or traced arrays.

    Example:
        >>> curve = roc([0, 1, 1, 3], [2, 4, 5, 6])
        >>> curve.acceptance[curve.thresholds == 1].tolist(), curve.area
        ([0.75], 0.9375)
    """
    levels, true, false = _tallies({"honest": honest, "impostor": impostor}, counts)
    beyond = false.sum() - np.cumsum(false) + 0.5 * false
    area = float((true * beyond).sum() / (true.sum() * float(false.sum())))
    return Roc(levels, np.cumsum(true) / true.sum(), np.cumsum(false) / false.sum(), area)


def threshold(
    honest_distances: ArrayLike,
    impostor_distances: ArrayLike,
    *,
    false_match: float = 0.01,
    bits: int | None = None,
    counts: bool = False,
) -> Calibration:
    """Largest tolerance at which at most a given share of impostor pairs matches.

    It is the largest one, so that honest pairs beyond those seen have the best chance; it does not
    depend on the honest distances, whose acceptance is reported. Calibrate on one half of the items
    and evaluate on the other, where the share is above ``false_match`` about as often as below.

    Args:
        honest_distances: ``[H]``, at least 0; or counts as in :func:`roc`.
        impostor_distances: ``[I]``, or counts.
        false_match: the share of impostor pairs allowed, in ``[0, 1)``.
        bits: length of the hashes: keeps the tolerance below half of it.
        counts: whether both are counts.

    Returns:
        The tolerance and what it means on these pairs.

    Raises:
        ValueError: for no pairs, numbers out of range, or traced arrays.

    Example:
        >>> threshold([0, 1, 1, 3], [2, 8, 9, 12], false_match=0.25, bits=64).tolerance
        7
    """
    levels, true, false = _tallies(
        {"honest_distances": honest_distances, "impostor_distances": impostor_distances}, counts
    )
    checks.real("false_match", false_match, 0.0, below=1.0)
    whole = np.issubdtype(levels.dtype, np.integer)
    allowed = int(np.floor(float(false_match) * int(false.sum()) + 1e-9))
    first = levels[np.argmax(np.cumsum(false) > allowed)]  # one level is, since false_match < 1
    found = int(first) - 1 if whole else float(np.nextafter(first, -np.inf))
    if bits is not None:
        half = checks.whole("bits", bits, 2) / 2
        found = min(found, int(np.ceil(half)) - 1) if whole else min(found, np.nextafter(half, 0))
    found = max(found, -1) if whole else (found if found >= 0.0 else -1.0)
    below = levels <= found
    return Calibration(
        tolerance=found,
        acceptance=float(true[below].sum() / true.sum()),
        false_match=float(false[below].sum() / false.sum()),
        honest=int(true.sum()),
        impostor=int(false.sum()),
    )


def _tallies(distances: dict[str, Any], counts: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances that occur, ascending, and how many honest and impostor pairs have each."""
    found = []
    for name, value in distances.items():
        checks.concrete(name, value)
        array = np.asarray(checks.real(name, value, 0.0, shape=(None,)))
        if checks.flag("counts", counts):
            if not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{name}: expected whole counts, got {checks.shown(array)}")
            array = array.astype(np.int64)
        if array.size == 0 or (counts and not array.any()):
            raise ValueError(f"{name}: expected at least one pair, got none")
        found.append(array)
    if counts:
        if len(found[0]) != len(found[1]):
            first, second = distances
            raise ValueError(
                f"{second}: expected {len(found[0])} counts like {first}, got {len(found[1])}"
            )
        occurs = (found[0] > 0) | (found[1] > 0)
        return np.flatnonzero(occurs), found[0][occurs], found[1][occurs]
    levels, where = np.unique(np.concatenate(found), return_inverse=True)
    split = len(found[0])
    true, false = (np.bincount(x, minlength=len(levels)) for x in (where[:split], where[split:]))
    return levels.astype(np.int64) if levels.dtype.kind in "iu" else levels, true, false
