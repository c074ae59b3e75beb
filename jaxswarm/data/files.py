"""Reading image data sets on disk: IDX files (the MNIST family) and ``.npz`` archives.

Shapes: ``S`` samples, ``H × W`` pixels.

References:
    LeCun, Cortes & Burges, The MNIST database of handwritten digits, 1998 (the IDX format).
"""

import gzip
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxswarm import checks
from jaxswarm.data.dataset import Split, check_labels, from_arrays, split_by_class

ENVIRONMENT = "JAXSWARM_DATA"
"""Environment variable that names the folder of data sets."""

FILE_SETS = ("mnist", "fashion_mnist", "kmnist")
"""Data sets found by name in that folder; any other name works with a path."""

MAX_BYTES = 2**32
"""Largest array that is read from a file, 4 GiB; a header that declares more is refused."""

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

    Headers are checked before memory is allocated: what is decompressed is at most what the header
    declares, and an array of more than :data:`MAX_BYTES` is refused.

    Args:
        name: of the set, without folders; looked for as ``path``, ``path/name`` or
            ``path/name.npz``.
        path: an ``.npz`` file or a folder; default: the environment variable ``JAXSWARM_DATA``.
        test_fraction: share of every class held out, in ``(0, 1)``.
        seed: of the split.

    Returns:
        Features ``float32[S, H, W]`` (an ``.npz`` keeps its own shape).

    Raises:
        ValueError: if files are missing (naming them and where they were looked for), truncated,
            not IDX, too large, or images and labels do not fit together; for a name that would
            leave the folder.
    """
    check_name(name)
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
        ValueError: naming the file, if it is not an IDX file, damaged, of another length than its
            header says, or larger than :data:`MAX_BYTES`.
    """
    path = as_path(path)
    if not path.is_file():
        raise ValueError(f"path: expected an IDX file, {path} is none")
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            return _read_idx(file, path)
        try:
            with gzip.GzipFile(fileobj=file) as unzipped:
                return _read_idx(unzipped, path)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: truncated or damaged gzip file ({error})") from None


def _read_idx(file: IO[bytes] | gzip.GzipFile, path: Path) -> np.ndarray:
    """Read header, then data, never more than the header declares and one byte."""
    magic = file.read(4)
    if len(magic) < 4 or magic[0] or magic[1] or magic[2] not in _DTYPES:
        raise ValueError(f"{path}: not an IDX file, magic number 0x{magic.hex() or '(empty)'}")
    dtype, ndim = np.dtype(_DTYPES[magic[2]]), magic[3]
    start = 4 + 4 * ndim
    extents = file.read(4 * ndim)
    if len(extents) < 4 * ndim:
        raise ValueError(
            f"{path}: truncated IDX header, expected {start} bytes, got {4 + len(extents)}"
        )
    shape = tuple(int(n) for n in np.frombuffer(extents, ">u4"))
    size = dtype.itemsize * math.prod(shape)
    _check_size(path, f"shape {shape}", size)
    data = _read_at_most(file, size + 1)
    if len(data) != size:
        state = "truncated" if len(data) < size else "too long"
        found = f"{start + len(data)}" if len(data) < size else "more"
        raise ValueError(f"{path}: {state}, shape {shape} needs {start + size} bytes, got {found}")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _read_at_most(file: IO[bytes] | gzip.GzipFile, size: int) -> bytes:
    """Read in chunks, so that memory is only taken for what is really there."""
    chunks, left = [], size
    while left > 0 and (chunk := file.read(min(left, 2**20))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def check_name(name: str) -> str:
    """Return the name of a data set, which must not lead out of the folder of data sets.

    Raises:
        ValueError: if it is no string, is empty, or contains a folder.
    """
    plain = isinstance(name, str) and name.strip() not in ("", ".", "..")
    if not plain or any(mark in name for mark in "/\\\0:"):
        raise ValueError(
            f"name: expected the name of a data set, without folders, got {checks.shown(name)}"
        )
    return name


def as_path(path: str | Path) -> Path:
    """A path with ``~`` expanded; anything else is refused."""
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise ValueError(f"path: expected a file or folder, got {checks.shown(path)}")
    return Path(path).expanduser()


def _check_size(path: Path, what: str, size: int) -> None:
    if size > MAX_BYTES:
        raise _SizeError(f"{path}: {what} needs {size} bytes, more than {MAX_BYTES} are not read")


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
    root = as_path(path)
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
    if array.ndim < 2 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{path}: expected images [S, H, W] of numbers, got {array.dtype} of shape "
            f"{array.shape}"
        )
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


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an archive; their sizes are checked before memory is allocated."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays: dict[str, np.ndarray] = {}
            total = 0
            for member in archive.infolist():
                total += member.file_size
                _check_size(path, f"its contents up to {member.filename!r}", total)
                if member.filename.endswith(".npy"):
                    with archive.open(member) as file:
                        _check_npy(path, member, file)
                    with archive.open(member) as file:
                        name = member.filename.removesuffix(".npy")
                        arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    except _SizeError as error:
        raise ValueError(str(error)) from None
    except (
        ValueError,
        OSError,
        EOFError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"{path}: not a readable .npz of plain arrays ({error})") from None


def _check_npy(path: Path, member: zipfile.ZipInfo, file: IO[bytes]) -> None:
    """Refuse an array whose header declares another size than the archive does."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of {member.filename!r}")
    if dtype.hasobject:
        raise ValueError(f"{member.filename!r} holds Python objects")
    size = dtype.itemsize * math.prod(shape)
    if size != member.file_size - file.tell():
        raise _SizeError(
            f"{path}: {member.filename!r} of shape {shape} needs {size} bytes, got "
            f"{member.file_size - file.tell()}"
        )


class _SizeError(ValueError):
    """An array that is larger than the file says, or than what is read."""


def _load_npz(path: Path, name: str, test_fraction: float, seed: int) -> Split:
    arrays = _read_npz(path)
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
