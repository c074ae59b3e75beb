"""The group secp256k1 through coincurve, with the point at infinity.

The group has prime order, so that every point but infinity generates it.
"""

import functools
import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order ``q`` of the group, a prime; scalars are integers modulo it."""

POINT_SIZE = 33
"""Bytes of an encoded point."""


@functools.cache
def library() -> Any:
    """Import coincurve.

    Raises:
        ImportError: saying what to install.
    """
    try:
        import coincurve
    except ImportError as error:
        raise ImportError(
            "pedersen: expected the library coincurve to be installed, try pip install "
            "'jaxswarm[zk]'"
        ) from error
    return coincurve


class Point:
    """A point of the group, infinity included.

    Attributes:
        encoded: 33 bytes; zeros for infinity.
    """

    def __init__(self, key: Any) -> None:
        self._key = key
        self.encoded: bytes = bytes(POINT_SIZE) if key is None else key.format()

    @classmethod
    def decode(cls, data: Any) -> "Point":
        """Read 33 bytes.

        Raises:
            ValueError: for what encodes no point.
        """
        if not isinstance(data, bytes) or len(data) != POINT_SIZE:
            raise ValueError(f"point: expected {POINT_SIZE} bytes, got {type(data).__name__}")
        if data == bytes(POINT_SIZE):
            return cls(None)
        try:
            return cls(library().PublicKey(data))
        except ValueError:
            raise ValueError("point: expected a point of secp256k1, got other bytes") from None

    def __add__(self, other: "Point") -> "Point":
        return add([self, other])

    def __sub__(self, other: "Point") -> "Point":
        return add([self, other.times(-1)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and self.encoded == other.encoded

    def __hash__(self) -> int:
        return hash(self.encoded)

    def times(self, scalar: int) -> "Point":
        """Multiply by an integer; not in constant time."""
        scalar %= ORDER
        if self._key is None or scalar == 0:
            return Point(None)
        return Point(self._key.multiply(scalar.to_bytes(32, "big")))


def base_times(scalar: int) -> Point:
    """Multiply the first generator by an integer, in constant time."""
    scalar %= ORDER
    if scalar == 0:
        return Point(None)
    return Point(library().PublicKey.from_valid_secret(scalar.to_bytes(32, "big")))


def add(points: Iterable[Point]) -> Point:
    """Add points."""
    keys = [point._key for point in points if point._key is not None]
    if not keys:
        return Point(None)
    try:
        return Point(library().PublicKey.combine_keys(keys))
    except ValueError:  # the sum is infinity
        return Point(None)


@functools.cache
def second_generator() -> Point:
    """The generator ``H``, from a hash, so that no party knows its discrete logarithm.

    The first counter for which SHA-256 of a label and the counter is the first coordinate of a
    point, taken with the even second coordinate (try and increment).
    """
    for counter in range(256):
        data = b"jaxswarm.trust.verify.pedersen second generator" + counter.to_bytes(4, "big")
        try:
            return Point.decode(b"\2" + hashlib.sha256(data).digest())
        except ValueError:
            continue
    raise AssertionError("no point found")  # probability 2**-256


def random_scalar() -> int:
    """Draw a scalar in ``[1, q)`` from the system's cryptographic source."""
    return 1 + secrets.randbelow(ORDER - 1)


def hash_to_scalar(*parts: bytes) -> int:
    """Hash parts, with their lengths, to a scalar; the bias is below ``2**-250``."""
    data = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    wide = b"".join(hashlib.sha256(bytes([i]) + data).digest() for i in range(2))
    return int.from_bytes(wide, "big") % ORDER
