"""Loading data sets by name: those bundled with scikit-learn, and those on disk.

Shapes: ``S`` samples, ``C`` classes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxswarm import checks
from jaxswarm.data.dataset import Split, check_seed, from_arrays, split_by_class, standardized
from jaxswarm.data.files import FILE_SETS, check_name, is_on_disk, load_files
from jaxswarm.errors import unknown


def load(
    name: str = "digits",
    *,
    path: str | Path | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    standardize: bool | None = None,
) -> Split:
    """Load a data set by name, split into training and test data; nothing is downloaded.

    Args:
        name: ``"digits"`` (1,797 images of 8×8, features ``[S, 64]`` in ``[0, 1]``),
            ``"breast_cancer"``, ``"wine"`` or ``"iris"``, all bundled with scikit-learn; or
            ``"mnist"``, ``"fashion_mnist"`` or the like: a folder of IDX files or an ``.npz``, see
            :func:`jaxswarm.data.files.load_files`.
        path: folder or archive of a set on disk; without it the folder named by the environment
            variable ``JAXSWARM_DATA``. Bundled sets take none.
        test_fraction: share of every class held out, in ``(0, 1)``; sets on disk with an official
            test file use that one instead.
        seed: of the split.
        standardize: subtract the training mean and divide by the training deviation, per feature.
            ``None`` does so for tabular sets and leaves images in ``[0, 1]``.

    Raises:
        ValueError: for an unknown name (with a suggestion) or one that would leave the folder of
            data sets, missing files (named), or arguments out of range.

    Example:
        >>> from jaxswarm import data
        >>> train, test = data.load("digits")
        >>> train.features.shape, train.num_classes, test.num_samples
        ((1438, 64), 10, 359)
    """
    check_name(name)
    checks.real("test_fraction", test_fraction, above=0.0, below=1.0)
    seed = check_seed(seed)
    if standardize is not None:
        standardize = checks.flag("standardize", standardize)
    if name in BUNDLED:
        if path is not None:
            raise ValueError(
                f"path: expected None for {name!r}, which is bundled with scikit-learn, got {path}"
            )
        features, labels, is_image = BUNDLED[name]()
        whole = from_arrays(features, labels, name=name)
        split = split_by_class(whole, test_fraction=test_fraction, seed=seed)
        scaled = not is_image if standardize is None else standardize
    else:
        if path is None and name not in FILE_SETS and not is_on_disk(name):
            raise unknown("data set", name, sorted([*BUNDLED, *FILE_SETS]))
        split = load_files(name, path=path, test_fraction=test_fraction, seed=seed)
        scaled = bool(standardize)
    return standardized(split) if scaled else split


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
"""Data sets bundled with scikit-learn: name -> reader of ``(features, labels, is_image)``."""
