"""Commit–reveal: publish a digest first and what it stands for later.

Without it, a verifier could copy the hash that another one published. A commitment is
``SHA-256(tag, context, nonce, value)`` of canonical bytes: hiding by a random nonce of 32 bytes,
binding by SHA-256.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from jaxswarm.trust.consensus._claims import Claim, decode_claim, encode_claim
from jaxswarm.trust.consensus._encoding import canonical, decode

TAG = "jaxswarm commitment 1"
NONCE = 32
"""Bytes of a nonce."""
DIGEST = 32
"""Bytes of a commitment."""
_CLAIM, _PLAIN = b"C", b"P"


@dataclass(frozen=True)
class Opening:
    """What opens a commitment; secret until it is revealed, so ``repr`` shows nothing of it.

    Attributes:
        value: what was committed to.
        nonce: 32 random bytes.
    """

    value: Any = field(repr=False)
    nonce: bytes = field(repr=False)

    def packet(self) -> bytes:
        """Bytes to send when the value is revealed; :func:`reveal` takes them."""
        return self.nonce + _content(self.value)


def commit(value: Any, nonce: bytes | None = None, *, context: Any = "") -> tuple[bytes, Opening]:
    """Commit to a value without showing it.

    Args:
        value: a :class:`Claim`, or what :func:`canonical` encodes.
        nonce: 32 bytes; from the operating system's cryptographic source by default. Never use one
            twice.
        context: what the commitment is bound to, such as ``["node 3", "round 7"]``: with the node's
            name in it, a copied commitment cannot be opened in another's name.

    Returns:
        ``(commitment, opening)``: 32 bytes to publish now, and what :func:`reveal` needs.

    Raises:
        ValueError: for a value that has no canonical bytes, or a nonce of another length; messages
            show nothing of either.

    Example:
        >>> from jaxswarm.trust import consensus
        >>> commitment, opening = consensus.commit("heads", context="node 3")
        >>> opening
        Opening()
        >>> consensus.reveal(commitment, opening, context="node 3")
        True
        >>> consensus.reveal(commitment, opening, context="node 4")
        False
    """
    if nonce is None:
        nonce = secrets.token_bytes(NONCE)
    if not isinstance(nonce, bytes):
        raise ValueError(f"nonce: expected {NONCE} bytes, got a {type(nonce).__name__}")
    if len(nonce) != NONCE:
        raise ValueError(f"nonce: expected {NONCE} bytes, got {len(nonce)}")
    return _digest(nonce + _content(value), context), Opening(value, nonce)


def reveal(commitment: Any, opening: Any, *, context: Any = "") -> bool:
    """Check an opening against a commitment, in time that does not depend on where they differ.

    Args:
        commitment: 32 bytes that were published.
        opening: an :class:`Opening`, or bytes of its ``packet()``.
        context: as in :func:`commit`.

    Returns:
        Whether the opening is the one that was committed to; ``False`` also for anything
        malformed, whatever its type.
    """
    try:
        packet = opening.packet() if isinstance(opening, Opening) else opening
        if not isinstance(packet, (bytes, bytearray)) or len(packet) <= NONCE:
            return False
        if not isinstance(commitment, (bytes, bytearray)) or len(commitment) != DIGEST:
            return False
        opened_value(bytes(packet))
        expected = _digest(bytes(packet), context)
    except (ValueError, TypeError):
        return False
    return hmac.compare_digest(expected, bytes(commitment))


def opened_value(packet: bytes) -> Any:
    """Read the value of an opening's packet; check it by :func:`reveal` first.

    Raises:
        ValueError: for bytes that are no packet, without their content.

    Example:
        >>> from jaxswarm.trust import consensus
        >>> commitment, opening = consensus.commit({"answer": 42})
        >>> packet = opening.packet()
        >>> consensus.opened_value(packet) if consensus.reveal(commitment, packet) else None
        {'answer': 42}
    """
    if not isinstance(packet, (bytes, bytearray)) or len(packet) <= NONCE + 1:
        raise ValueError(f"packet: expected more than {NONCE + 1} bytes, got fewer or no bytes")
    kind, content = bytes(packet[NONCE : NONCE + 1]), bytes(packet[NONCE + 1 :])
    if kind == _CLAIM:
        return decode_claim(content)
    if kind == _PLAIN:
        return decode(content)
    raise ValueError("packet: expected a claim or a plain value, got another kind")


def _content(value: Any) -> bytes:
    if isinstance(value, Claim):
        return _CLAIM + encode_claim(value)
    return _PLAIN + canonical(value)


def _digest(packet: bytes, context: Any) -> bytes:
    return hashlib.sha256(canonical([TAG, context, packet])).digest()
