"""Frames of arrays: length first, a version, a sender, a sequence number, raw numbers.

A frame is a header of fixed size, the arrays, and 32 bytes of HMAC-SHA-256 if a secret is shared::

    magic 4 | version 2 | sender 4 | sequence 8 | arrays 2 | length of the rest 4
    for each array: dtype 1 | axes 1 | extents 4 each | numbers, little-endian
"""

import hashlib
import hmac
import math
import struct
from collections.abc import Sequence

import numpy as np

from jaxswarm import checks

VERSION = 1
MAGIC = b"JSWM"
HEADER = struct.Struct("<4sHIQHI")
MAC_BYTES = 32
MAX_AXES = 8
DTYPES = tuple(np.dtype(name) for name in ("<f4", "<f8", "<f2", "<i4", "<i8", "<u4", "|u1", "|b1"))
"""What arrays of a frame may be."""


class Refused(ValueError):
    """A frame that is not accepted; ``reason`` is a name of :data:`jaxswarm.network.node.REASONS`.

    Args:
        reason: the name.
    """

    def __init__(self, reason: str):
        super().__init__(f"frame: refused, {reason}")
        self.reason = reason


def encode(
    arrays: Sequence[np.ndarray], *, sender: int, sequence: int, secret: bytes | None = None
) -> bytes:
    """Make a frame.

    Args:
        arrays: at most 65,535, of a dtype of ``DTYPES`` and at most 8 axes.
        sender: number of the sending node, below 2³².
        sequence: larger than that of all frames before, below 2⁶⁴.
        secret: shared by all nodes; the frame is signed with it.

    Raises:
        ValueError: for numbers out of range or arrays of other dtypes.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.network import node
        >>> frame = node.encode([np.arange(3.0)], sender=1, sequence=7)
        >>> sender, sequence, arrays = node.decode(frame)
        >>> sender, sequence, arrays[0].tolist()
        (1, 7, [0.0, 1.0, 2.0])
    """
    checks.whole("sender", sender, 0, 2**32 - 1)
    checks.whole("sequence", sequence, 0, 2**64 - 1)
    parts = []
    for position, value in enumerate(arrays):
        array = np.asarray(value)
        dtype = array.dtype.newbyteorder("<")
        if dtype not in DTYPES or array.ndim > MAX_AXES:
            raise ValueError(
                f"arrays[{position}]: expected numbers with at most {MAX_AXES} axes, got "
                f"{array.dtype}{list(array.shape)}"
            )
        parts.append(struct.pack("<BB", DTYPES.index(dtype), array.ndim))
        parts.append(struct.pack(f"<{array.ndim}I", *array.shape))
        parts.append(np.ascontiguousarray(array, dtype).tobytes())
    body = b"".join(parts)
    length = len(body) + (MAC_BYTES if secret else 0)
    frame = HEADER.pack(MAGIC, VERSION, sender, sequence, len(parts) // 3, length) + body
    return frame + _signature(frame, secret) if secret else frame


def body_length(header: bytes, limit: int) -> int:
    """Bytes that follow a header.

    Args:
        header: ``HEADER.size`` bytes.
        limit: most bytes accepted.

    Raises:
        Refused: for another magic number or version, or more bytes.
    """
    magic, version, *_, length = HEADER.unpack(header)
    if magic != MAGIC:
        raise Refused("garbage")
    if version != VERSION:
        raise Refused("version")
    if length > limit:
        raise Refused("size")
    return length


def decode(frame: bytes, *, secret: bytes | None = None) -> tuple[int, int, list[np.ndarray]]:
    """Take a frame apart: sender, sequence number, arrays.

    Args:
        frame: bytes of :func:`encode`.
        secret: as the sender's.

    Raises:
        Refused: for what is no such frame or is signed otherwise. Nothing larger than the frame is
            allocated.
    """
    if len(frame) < HEADER.size:
        raise Refused("garbage")
    length = body_length(frame[: HEADER.size], len(frame))
    if len(frame) != HEADER.size + length:
        raise Refused("garbage")
    if secret:
        if length < MAC_BYTES:
            raise Refused("signature")
        frame, given = frame[:-MAC_BYTES], frame[-MAC_BYTES:]
        if not hmac.compare_digest(given, _signature(frame, secret)):
            raise Refused("signature")
    _, _, sender, sequence, count, _ = HEADER.unpack(frame[: HEADER.size])
    arrays, at = [], HEADER.size
    try:
        for _ in range(count):
            code, axes = struct.unpack_from("<BB", frame, at)
            if code >= len(DTYPES) or axes > MAX_AXES:
                raise Refused("garbage")
            shape = struct.unpack_from(f"<{axes}I", frame, at + 2)
            at += 2 + 4 * axes
            size = math.prod(shape)
            if size * DTYPES[code].itemsize > len(frame) - at:
                raise Refused("garbage")
            arrays.append(np.frombuffer(frame, DTYPES[code], size, at).reshape(shape).copy())
            at += size * DTYPES[code].itemsize
    except struct.error:
        raise Refused("garbage") from None
    if at != len(frame):
        raise Refused("garbage")
    return sender, sequence, arrays


def _signature(frame: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, frame, hashlib.sha256).digest()
