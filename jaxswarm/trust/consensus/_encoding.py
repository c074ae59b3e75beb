"""Canonical bytes of plain values: equal values have equal bytes, different ones different bytes.

Every value is a tag, then (except for ``None``, flags and floats) its length in eight bytes, then
its content. Messages of errors name types and places, never contents, which may be secret.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

DEPTH = 16
"""Levels of nesting allowed."""
KINDS = "None, bool, int, finite float, str, bytes, or a list, tuple or dict with str keys of them"
MALFORMED = "packet: expected the canonical bytes of a value, got others"


def canonical(value: Any) -> bytes:
    """Encode a value in the one way that it can be encoded.

    Args:
        value: ``None``, flags, ``int``, finite ``float`` (numpy scalars too), ``str``, ``bytes``,
            and lists, tuples and dicts with ``str`` keys of those, up to 16 levels. A list and a
            tuple with the same entries are equal, the order of a dict's keys does not count.

    Returns:
        Bytes; :func:`decode` reads them.

    Raises:
        ValueError: for a value of another type, without its content.

    Example:
        >>> canonical({"b": 1, "a": True}) == canonical({"a": True, "b": 1})
        True
        >>> canonical(1) == canonical(1.0)
        False
    """
    return _encoded(value, 0)


def _encoded(value: Any, depth: int) -> bytes:
    if depth > DEPTH:
        raise ValueError(f"value: expected at most {DEPTH} levels of nesting, got more")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return b"n"
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return _with_length(b"i", value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, float):
        if not np.isfinite(value):
            raise ValueError("value: expected finite floats, got one that is not")
        return b"d" + struct.pack(">d", value)
    if isinstance(value, (bytes, bytearray)):
        return _with_length(b"y", bytes(value))
    if isinstance(value, str):
        try:
            return _with_length(b"s", value.encode())
        except UnicodeEncodeError:  # its message holds the text
            pass
        raise ValueError("value: expected texts of valid Unicode, got lone surrogates")
    if isinstance(value, (list, tuple)):
        return _with_length(b"l", b"".join(_encoded(x, depth + 1) for x in value))
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("value: expected dicts with str keys, got other keys")
        pairs = sorted((_encoded(name, depth), _encoded(value[name], depth + 1)) for name in value)
        return _with_length(b"m", b"".join(name + content for name, content in pairs))
    raise ValueError(f"value: expected {KINDS}, got a {type(value).__name__}")


def _with_length(tag: bytes, content: bytes) -> bytes:
    return tag + struct.pack(">Q", len(content)) + content


def decode(packet: bytes) -> Any:
    """Read what :func:`canonical` wrote; other bytes are refused.

    Args:
        packet: bytes of one value.

    Returns:
        The value; sequences are tuples.

    Raises:
        ValueError: for anything but the canonical bytes of a value, without its content.

    Example:
        >>> decode(canonical({"seed": 7, "steps": [1, 2]}))
        {'seed': 7, 'steps': (1, 2)}
    """
    if not isinstance(packet, (bytes, bytearray)):
        raise ValueError(f"packet: expected bytes, got a {type(packet).__name__}")
    data = bytes(packet)
    try:
        value, end = _decoded(data, 0, len(data), 0)
        same = end == len(data) and canonical(value) == data
    except (ValueError, struct.error, IndexError):
        same, value = False, None
    if not same:  # outside of the handler: nothing of the packet stays in a traceback
        raise ValueError(MALFORMED)
    return value


def _decoded(data: bytes, at: int, end: int, depth: int) -> tuple[Any, int]:
    """The value at a position and the position after it, both before ``end``."""
    if at >= end or depth > DEPTH:
        raise ValueError
    tag, at = data[at : at + 1], at + 1
    if tag in b"ntf":
        return {b"n": None, b"t": True, b"f": False}[tag], at
    if at + 8 > end:
        raise ValueError
    if tag == b"d":
        return struct.unpack(">d", data[at : at + 8])[0], at + 8
    size = struct.unpack(">Q", data[at : at + 8])[0]
    at, stop = at + 8, at + 8 + size
    if stop > end or tag not in b"iyslm":
        raise ValueError
    content = data[at:stop] if tag in b"iys" else b""
    if tag == b"i":
        return int.from_bytes(content, "big", signed=True), stop
    if tag == b"y":
        return content, stop
    if tag == b"s":
        return content.decode(), stop
    values = []
    while at < stop:
        value, at = _decoded(data, at, stop, depth + 1)
        values.append(value)
    if tag == b"l":
        return tuple(values), stop
    names = values[::2]
    if len(values) % 2 or not all(isinstance(name, str) for name in names):
        raise ValueError
    return dict(zip(names, values[1::2], strict=True)), stop
