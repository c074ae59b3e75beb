"""Labelled data sets as arrays: the type, its validation, and the sets that need no download.

Shapes: ``S`` samples, ``C`` classes, ``...`` the shape of one sample's features.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxswarm.errors import unknown


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dataset:
    """Samples with class labels; build one with :func:`from_arrays`, which validates on the host.

    Attributes:
        features: ``float32[S, ...]``.
        labels: ``int32[S]`` in ``[0, C)``.
        num_classes: ``C``, static.
        name: static; what the set is called in tables and messages.
    """

    features: Any
    labels: Any
    num_classes: int = field(metadata={"static": True})
    name: str = field(default="dataset", metadata={"static": True})

    @property
    def num_samples(self) -> int:
        """``S``."""
        return self.labels.shape[0]


class Split(NamedTuple):
    """A training set, to be dealt to the agents, and a global test set nobody trains on."""

    train: Dataset
    test: Dataset


def from_arrays(
    features: Any, labels: Any, *, num_classes: int | None = None, name: str = "dataset"
) -> Dataset:
    """A validated :class:`Dataset` of numpy arrays.

    Args:
        features: ``[S, ...]`` finite numbers, ``S >= 1``; converted to ``float32``.
        labels: ``[S]`` integers in ``[0, C)``.
        num_classes: ``C``; the largest label plus one if not given.
        name: for tables and messages.

    Raises:
        ValueError: if lengths differ, a set is empty, a feature is NaN or infinite (the message
            names the row), or a label is not an integer in ``[0, C)``.
    """
    x, y = np.asarray(features), np.asarray(labels)
    if x.ndim < 1 or y.ndim != 1:
        raise ValueError(
            f"{name}: expected features [S, ...] and labels [S], got shapes {x.shape} and {y.shape}"
        )
    if len(x) != len(y):
        raise ValueError(f"{name}: features have {len(x)} rows but there are {len(y)} labels")
    if not len(x):
        raise ValueError(f"{name}: expected at least one sample, got none")
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{name}: features must be real numbers, got dtype {x.dtype}")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    wrong = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: features must be finite, got NaN or infinity in row {row}"
            f" ({int(wrong.sum())} such rows of {len(x)})"
        )
    y, classes = check_labels(y, num_classes, name=f"{name}: labels")
    return Dataset(x, y, num_classes=classes, name=name)


def check_labels(
    labels: Any, num_classes: int | None = None, *, name: str = "labels"
) -> tuple[np.ndarray, int]:
    """``(labels as int32[S], C)`` after checking that they are integers in ``[0, C)``.

    Raises:
        ValueError: naming the first offending position.
    """
    y = np.asarray(labels)
    if y.ndim != 1 or not y.size:
        raise ValueError(f"{name}: expected a non-empty vector [S], got shape {y.shape}")
    if y.dtype.kind not in "iub":
        whole = y.dtype.kind == "f" and np.isfinite(y).all() and np.array_equal(y, np.round(y))
        if not whole:
            raise ValueError(f"{name}: expected integer classes, got dtype {y.dtype}")
    y = y.astype(np.int64)
    classes = int(y.max()) + 1 if num_classes is None else num_classes
    outside = (y < 0) | (y >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(f"{name}: expected classes in [0, {classes}), got {y[row]} in row {row}")
    return y.astype(np.int32), classes


def load(
    name: str = "digits",
    *,
    path: str | Path | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    standardize: bool | None = None,
) -> Split:
    """Load a data set by name, split into training and test data. Nothing is downloaded.

    Args:
        name: ``"digits"`` (1,797 images of 8×8, features ``[S, 64]`` in ``[0, 1]``),
            ``"breast_cancer"``, ``"wine"`` or ``"iris"``, all bundled with scikit-learn; or
            ``"mnist"``, ``"fashion_mnist"`` or the like: a folder of IDX files or an ``.npz``, see
            :func:`jaxswarm.data.files.load_files`.
        path: where the files of a set on disk are; without it the folder named by the environment
            variable ``JAXSWARM_DATA``. Bundled sets take none.
        test_fraction: share of every class held out, in ``(0, 1)``; sets on disk that have an
            official test file use that one instead.
        seed: of the split.
        standardize: subtract the training mean and divide by the training deviation, per feature.
            ``None`` does so for tabular sets and leaves images in ``[0, 1]``.

    Raises:
        ValueError: on an unknown name (with a suggestion), missing files (named), or bad numbers.
    """
    if name in BUNDLED:
        if path is not None:
            raise ValueError(f"path: {name!r} is bundled with scikit-learn and read from no file")
        features, labels, is_image = BUNDLED[name]()
        whole = from_arrays(features, labels, name=name)
        split = split_by_class(whole, test_fraction=test_fraction, seed=seed)
        scaled = not is_image if standardize is None else standardize
    else:
        from jaxswarm.data import files

        if path is None and name not in files.FILE_SETS and not files.is_on_disk(name):
            raise unknown("data set", name, sorted([*BUNDLED, *files.FILE_SETS]))
        split = files.load_files(name, path=path, test_fraction=test_fraction, seed=seed)
        scaled = bool(standardize)
    return standardized(split) if scaled else split


def split_by_class(dataset: Dataset, *, test_fraction: float = 0.2, seed: int = 0) -> Split:
    """Hold out the same share of every class (rounded), at random by ``seed``.

    Raises:
        ValueError: if ``test_fraction`` is outside ``(0, 1)`` or one side would be empty.
    """
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"test_fraction: expected a share in (0, 1), got {test_fraction}")
    rng = np.random.default_rng(seed)
    labels = np.asarray(dataset.labels)
    held_out = np.zeros(len(labels), bool)
    for c in range(dataset.num_classes):
        members = rng.permutation(np.flatnonzero(labels == c))
        held_out[members[: round(test_fraction * len(members))]] = True
    if held_out.all() or not held_out.any():
        raise ValueError(
            f"test_fraction: {test_fraction} of {len(labels)} samples leaves one side empty"
        )
    return Split(_take(dataset, ~held_out), _take(dataset, held_out))


def standardized(split: Split) -> Split:
    """Centre and scale every feature by its *training* mean and deviation; constants become 0."""
    center = split.train.features.mean(axis=0)
    scale = split.train.features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)

    def apply(dataset: Dataset) -> Dataset:
        x = (dataset.features - center) / scale
        return Dataset(x, dataset.labels, num_classes=dataset.num_classes, name=dataset.name)

    return Split(apply(split.train), apply(split.test))


def _take(dataset: Dataset, rows: np.ndarray) -> Dataset:
    return Dataset(
        np.asarray(dataset.features)[rows],
        np.asarray(dataset.labels)[rows],
        num_classes=dataset.num_classes,
        name=dataset.name,
    )


def _digits() -> tuple[np.ndarray, np.ndarray, bool]:
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    return np.asarray(features) / 16.0, np.asarray(labels), True


def _tabular(loader: str) -> Callable[[], tuple[np.ndarray, np.ndarray, bool]]:
    def read() -> tuple[np.ndarray, np.ndarray, bool]:
        from sklearn import datasets

        features, labels = getattr(datasets, loader)(return_X_y=True)
        return features, labels, False

    return read


BUNDLED: dict[str, Callable[[], tuple[np.ndarray, np.ndarray, bool]]] = {
    "digits": _digits,
    "breast_cancer": _tabular("load_breast_cancer"),
    "wine": _tabular("load_wine"),
    "iris": _tabular("load_iris"),
}
"""Sets that come with scikit-learn: name -> reader of ``(features, labels, is_image)``."""
