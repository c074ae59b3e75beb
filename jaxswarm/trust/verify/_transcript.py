"""Challenges drawn from a hash of what was committed (Fiat–Shamir), and nonces used once.

References:
    A. Fiat, A. Shamir, How to prove yourself: practical solutions to identification and signature
    problems, 1986.
"""

import hashlib
import secrets
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify import field

NONCE_SIZE = 16
"""Bytes of a nonce."""


class Transcript:
    """Hash of commitments from which challenges are drawn, after all commitments.

    Labels and lengths of all parts are hashed with them, so that different sequences of parts never
    give the same bytes.

    Args:
        protocol: name of the protocol, which separates its challenges from those of others.

    Raises:
        ValueError: if ``protocol`` is no ``str``.

    Example:
        >>> transcript = Transcript("example")
        >>> transcript.challenge("r", 3)
        Traceback (most recent call last):
        ...
        ValueError: transcript: expected a commitment before the challenge 'r', got none
        >>> transcript.commit("activations", bytes(32))
        >>> transcript.challenge("r", 3).shape
        (3,)
    """

    def __init__(self, protocol: str) -> None:
        checks.instance("protocol", protocol, str)
        self._state = hashlib.sha256()
        self._parts = 0
        self._drawn = False
        self._absorb(protocol.encode())

    def commit(self, label: str, data: bytes) -> None:
        """Add a commitment.

        Raises:
            ValueError: after a challenge was drawn, or for data that are no ``bytes``.
        """
        checks.instance("label", label, str)
        checks.instance("data", data, bytes)
        if self._drawn:
            raise ValueError(
                f"transcript: expected all commitments before the first challenge, got {label!r} "
                "after it"
            )
        self._absorb(label.encode())
        self._absorb(data)
        self._parts += 1

    def challenge(self, label: str, count: int, modulus: int = field.MERSENNE) -> np.ndarray:
        """Draw uniform residues ``uint32[count]``; the same label gives the same ones.

        Raises:
            ValueError: before any commitment, or for a wrong count or modulus.
        """
        checks.instance("label", label, str)
        count, p = checks.whole("count", count), field.check_modulus(modulus)
        if not self._parts:
            raise ValueError(
                f"transcript: expected a commitment before the challenge {label!r}, got none"
            )
        self._drawn = True
        seed = self._state.digest() + label.encode() + p.to_bytes(4, "big")
        blocks = (hashlib.sha256(seed + i.to_bytes(8, "big")).digest() for i in range(2**40))
        return _uniform(blocks, count, p)

    def digest(self) -> bytes:
        """Hash of all commitments, 32 bytes."""
        return self._state.digest()

    def _absorb(self, data: bytes) -> None:
        self._state.update(len(data).to_bytes(8, "big"))
        self._state.update(data)


class Nonces:
    """Nonces that a verifier issues and accepts once, from a cryptographic source.

    Example:
        >>> nonces = Nonces()
        >>> nonce = nonces.issue()
        >>> nonces.is_open(nonce), nonces.spend(nonce), nonces.spend(nonce)
        (True, True, False)
    """

    def __init__(self) -> None:
        self._open: set[bytes] = set()

    def issue(self) -> bytes:
        """Draw a fresh nonce of 16 bytes."""
        nonce = secrets.token_bytes(NONCE_SIZE)
        self._open.add(nonce)
        return nonce

    def is_open(self, nonce: Any) -> bool:
        """Return whether a nonce was issued here and not spent."""
        return isinstance(nonce, bytes) and nonce in self._open

    def spend(self, nonce: Any) -> bool:
        """Accept a nonce once; return whether it was open."""
        if not self.is_open(nonce):
            return False
        self._open.remove(nonce)
        return True

    def __repr__(self) -> str:
        return f"Nonces({len(self._open)} open)"


def secret_challenge(count: int, modulus: int) -> np.ndarray:
    """Draw uniform residues ``uint32[count]`` from the system's cryptographic source."""
    blocks = (secrets.token_bytes(1024) for _ in range(2**40))
    return _uniform(blocks, count, modulus)


def _uniform(blocks: Any, count: int, p: int) -> np.ndarray:
    """Residues from random blocks, by rejection of words of just enough bits."""
    mask = np.uint32(2 ** p.bit_length() - 1)
    parts: list[np.ndarray] = []
    found = 0
    while found < count:
        words = np.frombuffer(next(blocks), ">u4").astype(np.uint32) & mask
        kept = words[words < p]
        parts.append(kept)
        found += len(kept)
    return np.concatenate([*parts, np.zeros(0, np.uint32)])[:count]
