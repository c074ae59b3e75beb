"""The labelled data set type, its validation, and train/test splits.

Shapes: ``S`` samples, ``C`` classes, ``...`` the shape of one sample's features.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

MAX_CLASSES = 2**20
"""Most classes that labels may imply; more need ``num_classes`` to be given."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dataset:
    """Samples with class labels; build one with :func:`from_arrays`, which validates on the host.

    Samples with other targets, or of another dtype: :func:`jaxswarm.data.from_samples`.

    Attributes:
        features: ``float32[S, ...]``.
        labels: ``int32[S]`` in ``[0, C)``.
        num_classes: ``C``, static; 0 where ``labels`` are no classes.
        name: static; the name used in tables and messages.
    """

    features: Any
    labels: Any
    num_classes: int = field(metadata={"static": True})
    name: str = field(default="dataset", metadata={"static": True})

    @property
    def num_samples(self) -> int:
        """Number of samples ``S``."""
        return self.labels.shape[0]


class Split(NamedTuple):
    """A training set, to be partitioned over the agents, and a global held-out test set."""

    train: Dataset
    test: Dataset


def from_arrays(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, name: str = "dataset"
) -> Dataset:
    """Build a validated :class:`Dataset` from arrays.

    Args:
        features: ``[S, ...]`` finite numbers, ``S >= 1``; converted to ``float32``.
        labels: ``[S]`` integers in ``[0, C)``. For regression targets, tokens or other dtypes use
            :func:`jaxswarm.data.from_samples`; for data that is already dealt to agents
            :func:`jaxswarm.data.stacked`.
        num_classes: ``C``; the largest label plus one if not given.
        name: for tables and messages.

    Raises:
        ValueError: if lengths differ, a set is empty, a feature is NaN or infinite (the message
            names the row), or a label is not an integer in ``[0, C)``.

    Example:
        >>> from jaxswarm import data
        >>> dataset = data.from_arrays([[0.0, 1.0], [2.0, 3.0]], [0, 1])
        >>> dataset.num_samples, dataset.num_classes
        (2, 2)
    """
    x = _plain(name, "features", features, "real numbers [S, ...]")
    y = _plain(name, "labels", labels, "integers [S]")
    if x.ndim < 1 or y.ndim != 1:
        raise ValueError(
            f"{name}: expected features [S, ...] and labels [S], got shapes {x.shape} and {y.shape}"
        )
    if len(x) != len(y):
        raise ValueError(
            f"{name}: expected one label per row of features, got {len(y)} labels for {len(x)} rows"
        )
    if not len(x):
        raise ValueError(f"{name}: expected at least one sample, got none")
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected features of real numbers, got dtype {x.dtype}")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{name}: expected finite features, got NaN or infinity in row {row}"
            f" ({int(bad.sum())} such rows of {len(x)})"
        )
    y, classes = check_labels(y, num_classes, name=f"{name}: labels")
    return Dataset(x, y, num_classes=classes, name=name)


def check_labels(
    labels: ArrayLike, num_classes: int | None = None, *, name: str = "labels"
) -> tuple[np.ndarray, int]:
    """Validate that labels are integers in ``[0, C)``; returns ``(int32[S], C)``.

    Raises:
        ValueError: naming the first offending position.
    """
    if isinstance(labels, (Dataset, Split)):
        instead = "split.train.labels" if isinstance(labels, Split) else "dataset.labels"
        raise ValueError(
            f"{name}: expected a vector [S] of integer classes, got {type(labels).__name__}; pass "
            f"{instead}"
        )
    y = checks.as_array(name, labels, "a non-empty vector [S] of integer classes")
    if y.ndim != 1 or not y.size:
        raise ValueError(f"{name}: expected a non-empty vector [S], got shape {y.shape}")
    if y.dtype.kind not in "iub":
        whole = y.dtype.kind == "f" and np.isfinite(y).all() and np.array_equal(y, np.round(y))
        if not whole:
            raise ValueError(
                f"{name}: expected integer classes, got dtype {y.dtype}; for other targets use "
                "data.from_samples, for the classes of a partition data.as_classes"
            )
    if num_classes is None:
        largest = y.max()
        if largest >= MAX_CLASSES:
            raise ValueError(
                f"{name}: expected classes below {MAX_CLASSES} unless num_classes is given, got "
                f"{largest} in row {int(np.argmax(y))}"
            )
        classes = max(int(largest) + 1, 1)
    else:
        classes = checks.whole("num_classes", num_classes, 1)
    outside = (y < 0) | (y >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(f"{name}: expected classes in [0, {classes}), got {y[row]} in row {row}")
    return y.astype(np.int32), classes


def split_by_class(dataset: Dataset, *, test_fraction: float = 0.2, seed: int = 0) -> Split:
    """Stratified random train/test split: the same share of every class (rounded) is held out.

    A data set without classes, of :func:`jaxswarm.data.from_samples`, is split at random.

    Raises:
        ValueError: if ``test_fraction`` is outside ``(0, 1)``, one side would be empty, or
            ``dataset`` is no concrete :class:`Dataset`.
    """
    check_dataset(dataset)
    checks.real("test_fraction", test_fraction, above=0.0, below=1.0)
    seed = check_seed(seed)
    test_fraction = float(test_fraction)
    rng = np.random.default_rng(seed)
    labels = np.asarray(dataset.labels)
    if not dataset.num_classes:
        labels = np.zeros(len(labels), np.int32)
    held_out = np.zeros(len(labels), bool)
    for c in range(max(dataset.num_classes, 1)):
        members = rng.permutation(np.flatnonzero(labels == c))
        held_out[members[: round(test_fraction * len(members))]] = True
    if held_out.all() or not held_out.any():
        raise ValueError(
            "test_fraction: expected a share that leaves no side empty, got "
            f"{test_fraction} of {len(labels)} samples"
        )
    return Split(_take(dataset, ~held_out), _take(dataset, held_out))


def standardized(split: Split) -> Split:
    """Standardize features by their *training* mean and deviation; constant features become 0.

    Raises:
        ValueError: if ``split`` is no :class:`Split` of concrete data sets of one sample shape.
    """
    checks.instance("split", split, Split, 'data.load("digits")')
    for name, dataset in zip(("train", "test"), split, strict=True):
        check_dataset(dataset, f"split.{name}")
    shapes = [np.shape(dataset.features)[1:] for dataset in split]
    if shapes[0] != shapes[1]:
        raise ValueError(f"split: expected samples of one shape, got {shapes[0]} and {shapes[1]}")
    center = split.train.features.mean(axis=0)
    scale = split.train.features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)

    def apply(dataset: Dataset) -> Dataset:
        x = (dataset.features - center) / scale
        return Dataset(x, dataset.labels, num_classes=dataset.num_classes, name=dataset.name)

    return Split(apply(split.train), apply(split.test))


def check_seed(seed: int) -> int:
    """Return a seed of numpy's generators.

    Raises:
        ValueError: unless it is a whole number in ``[0, 2**63)``.
    """
    return checks.whole("seed", seed, 0, 2**63 - 1)


def check_dataset(dataset: Dataset, name: str = "dataset") -> None:
    """Refuse what is no data set, or a traced one.

    Raises:
        ValueError: naming the argument and what came.
    """
    if isinstance(dataset, Split):
        raise ValueError(f"{name}: expected a Dataset, got Split; pass split.train")
    checks.instance(name, dataset, Dataset, "data.from_arrays(features, labels)")
    checks.concrete(name, dataset)


def _plain(name: str, what: str, value: ArrayLike, wanted: str) -> np.ndarray:
    return checks.as_array(f"{name}: {what}", value, wanted)


def _take(dataset: Dataset, rows: np.ndarray) -> Dataset:
    return Dataset(
        np.asarray(dataset.features)[rows],
        np.asarray(dataset.labels)[rows],
        num_classes=dataset.num_classes,
        name=dataset.name,
    )
