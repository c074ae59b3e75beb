"""Merkle trees of SHA-256 over canonical bytes, and paths from a leaf to the root.

Hashes of leaves, inner nodes and roots start from different prefixes, and the root binds the number
of leaves, so that no inner node passes for a leaf. A node without a partner moves up unchanged.

References:
    R. Merkle, A digital signature based on a conventional encryption function, 1987.
    B. Laurie, A. Langley, E. Kasper, Certificate transparency, RFC 6962, 2013.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks

SIZE = 32
"""Bytes of a hash."""

CHUNK = 4096
"""Bytes of an array in one leaf."""

DTYPES = {"int8": b"b1", "int32": b"i4", "uint32": b"u4", "float64": b"f8"}
"""Types of arrays that have canonical bytes, and their codes."""


class Path(NamedTuple):
    """Hashes that lead from a leaf to the root.

    Attributes:
        index: position of the leaf.
        count: leaves of the tree.
        siblings: hashes of 32 bytes, lowest first.
    """

    index: int
    count: int
    siblings: tuple[bytes, ...]


def root(leaves: Sequence[bytes]) -> bytes:
    """Compute the root of a tree, 32 bytes.

    Args:
        leaves: at least one, of any lengths.

    Raises:
        ValueError: without leaves, or for leaves that are no ``bytes``.

    Example:
        >>> leaves = [b"a", b"b", b"c"]
        >>> top = root(leaves)
        >>> check_path(top, b"c", path(leaves, 2)), check_path(top, b"x", path(leaves, 2))
        (True, False)
    """
    levels = _levels(leaves)
    return _top(len(levels[0]), levels[-1][0])


def path(leaves: Sequence[bytes], index: int) -> Path:
    """Compute the path of one leaf.

    Raises:
        ValueError: as :func:`root`, or for a leaf that does not exist.
    """
    levels = _levels(leaves)
    position = checks.whole("index", index, 0, len(leaves) - 1)
    siblings = []
    for level in levels[:-1]:
        partner = position ^ 1
        if partner < len(level):
            siblings.append(level[partner])
        position //= 2
    return Path(int(index), len(leaves), tuple(siblings))


def check_path(root: Any, leaf: Any, path: Any) -> bool:
    """Check that a leaf belongs to a tree; whatever is malformed is refused, nothing raises.

    Args:
        root: 32 bytes of :func:`root`, from a source that is trusted.
        leaf: its bytes.
        path: of :func:`path`.
    """
    if not isinstance(root, bytes) or len(root) != SIZE or not isinstance(leaf, bytes):
        return False
    if not isinstance(path, Path) or not isinstance(path.siblings, tuple):
        return False
    if type(path.index) is not int or type(path.count) is not int:
        return False
    if not 0 <= path.index < path.count < 2**62 or len(path.siblings) > 64:
        return False
    if any(not isinstance(h, bytes) or len(h) != SIZE for h in path.siblings):
        return False
    value, position, width, used = _hash(b"\0", leaf), path.index, path.count, 0
    while width > 1:
        if position ^ 1 < width:
            if used == len(path.siblings):
                return False
            sibling = path.siblings[used]
            used += 1
            pair = (sibling, value) if position % 2 else (value, sibling)
            value = _hash(b"\1", *pair)
        position, width = position // 2, (width + 1) // 2
    return used == len(path.siblings) and hmac.compare_digest(_top(path.count, value), root)


def canonical(array: Any) -> bytes:
    """Encode an array as bytes for hashing: dtype, shape, then little-endian data.

    Args:
        array: concrete, of ``int8``, ``int32``, ``uint32`` or ``float64``.

    Raises:
        ValueError: for another dtype, more than 15 axes, or traced arrays.
    """
    header, data = _parts(array)
    return header + data


def array_leaves(array: Any) -> list[bytes]:
    """Split an array into leaves: a header of dtype and shape, then blocks of 4,096 bytes.

    Raises:
        ValueError: as :func:`canonical`.
    """
    header, data = _parts(array)
    return [header, *(data[i : i + CHUNK] for i in range(0, len(data), CHUNK))]


def array_root(array: Any) -> bytes:
    """Commit to an array: the root of its leaves, 32 bytes.

    Raises:
        ValueError: as :func:`canonical`.
    """
    return root(array_leaves(array))


def _parts(array: Any) -> tuple[bytes, bytes]:
    checks.concrete("array", array)
    found = checks.as_array("array", array, "an array of " + ", ".join(DTYPES))
    code = DTYPES.get(found.dtype.name)
    if code is None or found.ndim > 15:
        raise ValueError(
            f"array: expected one of {', '.join(DTYPES)} with at most 15 axes, got "
            f"{checks.shown(found)}"
        )
    header = code + struct.pack(f">B{found.ndim}Q", found.ndim, *found.shape)
    return header, np.ascontiguousarray(found, found.dtype.newbyteorder("<")).tobytes()


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    if isinstance(leaves, (bytes, str)) or not all(isinstance(leaf, bytes) for leaf in leaves):
        raise ValueError(f"leaves: expected a sequence of bytes, got {type(leaves).__name__}")
    if not len(leaves):
        raise ValueError("leaves: expected at least one, got none")
    levels = [[_hash(b"\0", leaf) for leaf in leaves]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        level = [_hash(b"\1", *below[i : i + 2]) for i in range(0, len(below) - 1, 2)]
        levels.append(level + below[len(level) * 2 :])
    return levels


def _top(count: int, value: bytes) -> bytes:
    return _hash(b"\2", count.to_bytes(8, "big"), value)


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
