"""Data sets without classes: regression targets, tokens, images of bytes; dtypes are kept.

Shapes: ``S`` samples, ``...`` the shape of one sample's features or targets.
"""

from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.data.dataset import Dataset
from jaxswarm.types import ArrayLike


def from_samples(
    features: ArrayLike, targets: ArrayLike | None = None, *, name: str = "dataset"
) -> Dataset:
    """Build a :class:`Dataset` of samples whose targets are no classes; all dtypes are kept.

    Partitioners deal its rows by classes made of anything known about them, see
    :func:`as_classes`; train with a loss of your own, ``loss(params, batch)`` of ``batch.x``,
    ``batch.y`` and ``batch.weight``.

    Args:
        features: ``[S, ...]``, ``S >= 1``: numbers or flags, such as tokens ``int32[S, L]`` or
            images ``uint8[S, H, W]``. 64-bit numbers become 32-bit ones, unless jax keeps 64 bits.
        targets: ``[S, ...]``, likewise; without them ``labels`` are zeros ``int32[S]``.
        name: for tables and messages.

    Returns:
        A data set whose ``labels`` are the targets and whose ``num_classes`` is 0.

    Raises:
        ValueError: if lengths differ, a set is empty, an entry is no number, or a floating one is
            NaN or infinite (the message names the row).

    Example:
        >>> import numpy as np
        >>> from jaxswarm import data
        >>> x = np.linspace(0.0, 1.0, 12, dtype=np.float32)[:, None]
        >>> curve = data.from_samples(x, np.sin(x))
        >>> classes = data.as_classes(curve.labels[:, 0], 3)
        >>> parts = data.shards(curve, data.disjoint_classes(classes, 3))
        >>> parts.labels.dtype, parts.counts.tolist()
        (dtype('float32'), [4, 4, 4])
    """
    x = _numbers(name, "features", features)
    y = np.zeros(len(x), np.int32) if targets is None else _numbers(name, "targets", targets)
    if len(x) != len(y):
        raise ValueError(
            f"{name}: expected one target per row of features, got {len(y)} for {len(x)} rows"
        )
    return Dataset(x, y, num_classes=0, name=name)


def as_classes(values: ArrayLike, num_bins: int = 10) -> np.ndarray:
    """Classes ``int32[S]`` of any values, for partitioners, which deal samples by class.

    Args:
        values: ``[S]``. Whole numbers, flags and strings (topics, users) are numbered in the order
            of their sorted distinct values; floats are put into bins of equal counts.
        num_bins: number of bins of floats, at least 1.

    Raises:
        ValueError: for no vector, no values, or floats that are NaN.

    Example:
        >>> from jaxswarm import data
        >>> data.as_classes(["cat", "ant", "cat"]).tolist()
        [1, 0, 1]
        >>> data.as_classes([0.1, 5.0, 0.2, 9.0], 2).tolist()
        [0, 1, 0, 1]
    """
    num_bins = checks.whole("num_bins", num_bins, 1)
    array = np.asarray(checks.concrete("values", values))
    if array.ndim != 1 or not array.size or array.dtype.kind not in "fiubUS":
        raise ValueError(
            f"values: expected a non-empty vector [S] of numbers or strings, got "
            f"{array.dtype}{list(array.shape)}; of a table pass one column"
        )
    if array.dtype.kind != "f":
        return np.unique(array, return_inverse=True)[1].astype(np.int32)
    if np.isnan(array).any():
        raise ValueError(
            f"values: expected numbers, got nan in row {int(np.argmax(array != array))}"
        )
    rank = np.argsort(np.argsort(array, kind="stable"), kind="stable")
    bins = rank * num_bins // len(array)
    first = np.unique(array, return_index=False, return_inverse=True)[1]
    # Equal values share the bin of their lowest rank.
    lowest = np.full(first.max() + 1, num_bins, np.int64)
    np.minimum.at(lowest, first, bins)
    return np.unique(lowest[first], return_inverse=True)[1].astype(np.int32)


def _numbers(name: str, what: str, value: Any) -> np.ndarray:
    array = checks.as_array(f"{name}: {what}", value, "numbers [S, ...]")
    if array.ndim < 1 or not len(array) or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name}: {what}: expected numbers [S, ...] with S >= 1, got "
            f"{array.dtype}{list(array.shape)}"
        )
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{name}: {what}: expected finite numbers, got NaN or infinity in row "
                f"{int(np.argmax(bad))} ({int(bad.sum())} such rows of {len(array)})"
            )
    return array
