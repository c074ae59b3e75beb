"""Reading image data sets on disk: IDX files (the MNIST family) and ``.npz`` archives.

Shapes: ``S`` samples, ``H × W`` pixels.

References:
    LeCun, Cortes & Burges, The MNIST database of handwritten digits, 1998 (the IDX format).
"""

import gzip
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm.data.dataset import Split, check_labels, from_arrays, split_by_class

ENVIRONMENT = "JAXSWARM_DATA"
"""Environment variable that names the folder of data sets."""

FILE_SETS = ("mnist", "fashion_mnist", "kmnist")
"""Data sets found by name in that folder; any other name works with a path."""

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PREFIXES = ("train", "t10k")
_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
_NPZ_TRAIN = (("x_train", "y_train"), ("features", "labels"), ("x", "y"))


def load_files(
    name: str,
    *,
    path: str | Path | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """Read an image set from IDX files or an ``.npz``; pixels are scaled to ``[0, 1]``.

    IDX: ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same for ``t10k``, each
    also as ``.gz``. With both pairs the split is the official one. With one pair only (say the
    10,000 ``t10k`` images) that pair is split class by class by ``test_fraction`` and ``seed``, so
    that the same call always gives the same split.

    ``.npz``: arrays ``x_train, y_train, x_test, y_test``, or ``features, labels`` (or ``x, y``),
    which are split likewise. Archives with pickled objects are refused.

    Args:
        name: of the set; looked for as ``path``, ``path/name`` or ``path/name.npz``.
        path: an ``.npz`` file or a folder; default: the environment variable ``JAXSWARM_DATA``.
        test_fraction: share of every class held out, in ``(0, 1)``.
        seed: of the split.

    Returns:
        Features ``float32[S, H, W]`` (an ``.npz`` keeps its own shape).

    Raises:
        ValueError: if files are missing (naming them and where they were looked for), truncated,
            not IDX, or images and labels do not fit together.
    """
    root = _root(name, path)
    archives = [root / f"{name}.npz", root / name / f"{name}.npz"]
    if root.suffix == ".npz":
        archives = [root]
    for archive in archives:
        if archive.is_file():
            return _load_npz(archive, name, test_fraction, seed)
    folders = [root / name]
    # A root named after another data set holds that one, not the one requested.
    if root.name == name or path is not None or root.name not in FILE_SETS:
        folders.append(root)
    for folder in folders:
        if any(_find(folder, prefix, kind) for prefix in _PREFIXES for kind in _KINDS):
            return _load_idx(folder, name, test_fraction, seed)
    wanted = ", ".join(f"{prefix}-{part}[.gz]" for prefix in _PREFIXES for part in _KINDS)
    raise ValueError(
        f"{name}: expected {wanted} (one pair is enough) in {', '.join(map(str, folders))}, or "
        f"{', '.join(map(str, archives))}, got no data files"
    )


def read_idx(path: str | Path) -> np.ndarray:
    """Read one IDX file, raw or gzipped (detected by content), as an array of native byte order.

    Raises:
        ValueError: naming the file, if it is not an IDX file, damaged, or of another length than
            its header says.
    """
    path = Path(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: truncated or damaged gzip file ({error})") from None
    if len(raw) < 4 or raw[0] or raw[1] or raw[2] not in _DTYPES:
        raise ValueError(f"{path}: not an IDX file, magic number 0x{raw[:4].hex() or '(empty)'}")
    dtype, ndim = np.dtype(_DTYPES[raw[2]]), raw[3]
    start = 4 + 4 * ndim
    if len(raw) < start:
        raise ValueError(f"{path}: truncated IDX header, expected {start} bytes, got {len(raw)}")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", ndim, 4))
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(raw) != expected:
        state = "truncated" if len(raw) < expected else "too long"
        raise ValueError(f"{path}: {state}, shape {shape} needs {expected} bytes, got {len(raw)}")
    array = np.frombuffer(raw, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def is_on_disk(name: str) -> bool:
    """Whether ``JAXSWARM_DATA`` is set and holds a folder or an archive called ``name``."""
    root = os.environ.get(ENVIRONMENT)
    return bool(root) and any((Path(root) / part).exists() for part in (name, f"{name}.npz"))


def _root(name: str, path: str | Path | None) -> Path:
    if path is None:
        path = os.environ.get(ENVIRONMENT)
        if not path:
            raise ValueError(
                f"path: expected the folder that holds {name}/ with IDX files, or {name}.npz, got "
                f"None; pass path= or set the environment variable {ENVIRONMENT}"
            )
    root = Path(path).expanduser()
    if not root.exists():
        raise ValueError(f"path: expected a file or folder for {name!r}, {root} does not exist")
    return root


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    # Some mirrors write "train-images.idx3-ubyte".
    for stem in (f"{prefix}-{kind}", f"{prefix}-{kind.replace('-idx', '.idx')}"):
        for candidate in (folder / stem, folder / f"{stem}.gz"):
            if candidate.is_file():
                return candidate
    return None


def _load_idx(folder: Path, name: str, test_fraction: float, seed: int) -> Split:
    found = {(p, k): _find(folder, p, k) for p in _PREFIXES for k in _KINDS}
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for prefix in _PREFIXES:
        files = [found[prefix, kind] for kind in _KINDS]
        missing = [f"{prefix}-{k}[.gz]" for k, f in zip(_KINDS, files, strict=True) if f is None]
        if len(missing) == 1:
            raise ValueError(
                f"{name}: expected images and labels in {folder}, missing {missing[0]}"
            )
        images, labels = files
        if images is not None and labels is not None:
            arrays[prefix] = (_pixels(read_idx(images), images), _classes(read_idx(labels), labels))
    if len(arrays) == 1:
        ((x, y),) = arrays.values()
        return split_by_class(from_arrays(x, y, name=name), test_fraction=test_fraction, seed=seed)
    return _official(arrays["train"], arrays["t10k"], name)


def _pixels(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim < 2:
        raise ValueError(f"{path}: expected images [S, H, W], got shape {array.shape}")
    return array.astype(np.float32) / np.float32(255.0) if array.dtype == np.uint8 else array


def _classes(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim != 1:
        raise ValueError(f"{path}: expected labels [S], got shape {array.shape}")
    return array


def _official(train: tuple[Any, Any], test: tuple[Any, Any], name: str) -> Split:
    classes = max(check_labels(pair[1], name=f"{name}: labels")[1] for pair in (train, test))
    x_train, x_test = np.shape(train[0])[1:], np.shape(test[0])[1:]
    if x_train != x_test:
        raise ValueError(
            f"{name}: expected training and test samples of one shape, got {x_train} and {x_test}"
        )
    parts = [from_arrays(*pair, num_classes=classes, name=name) for pair in (train, test)]
    return Split(*parts)


def _load_npz(path: Path, name: str, test_fraction: float, seed: int) -> Split:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a readable .npz of plain arrays ({error})") from None
    for x_key, y_key in _NPZ_TRAIN:
        if x_key in arrays and y_key in arrays:
            x, y = _pixels(arrays[x_key], path), arrays[y_key]
            break
    else:
        raise ValueError(
            f"{path}: expected arrays x_train and y_train, or features and labels,"
            f" got {sorted(arrays)}"
        )
    tested = [key for key in ("x_test", "y_test") if key in arrays]
    if len(tested) == 1:
        raise ValueError(f"{path}: expected x_test and y_test together, got only {tested[0]}")
    if tested:
        return _official((x, y), (_pixels(arrays["x_test"], path), arrays["y_test"]), name)
    return split_by_class(from_arrays(x, y, name=name), test_fraction=test_fraction, seed=seed)
