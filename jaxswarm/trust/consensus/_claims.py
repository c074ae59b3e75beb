"""Claims of a prover: which output a model gave for a prompt, seed and sampler.

References:
    E. Kim, I. Isozaki, N. Sirkin, M. Robson, Generative AI reproducibility and consensus, 2023.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.consensus._encoding import canonical, decode

VERSION = "jaxswarm claim 1"
FIELDS = ("model", "prompt", "seed", "sampler", "hash")
LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class Claim:
    """What a prover publishes, so that others can generate the output again and compare hashes.

    Attributes:
        model: identifier, such as the hash of the weights; not empty.
        prompt: ``str``, ``bytes``, ``int`` (a class) or a sequence of ``int`` (tokens).
        seed: in ``[0, 2^64)``.
        sampler: settings by name, at least one: numbers, texts or flags. What is left out cannot be
            verified: steps, guidance, precision.
        hash: of the output: ``uint32[W]`` words of one hash, or bytes of as many; kept as bytes.

    Raises:
        ValueError: for a field that is missing or of another kind.

    Example:
        >>> from jaxswarm.trust import consensus
        >>> claim = consensus.Claim("flow-1", "a cat", 7, {"steps": 30}, hash=np.uint32([1, 2]))
        >>> consensus.decode_claim(consensus.encode_claim(claim)) == claim
        True
        >>> claim.words
        array([1, 2], dtype=uint32)
    """

    model: str
    prompt: Any
    seed: int
    sampler: Mapping[str, Any]
    hash: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"model: expected an identifier, got {checks.shown(self.model)}")
        prompt = self.prompt
        if isinstance(prompt, (list, tuple, np.ndarray)):
            prompt = tuple(x.item() if isinstance(x, np.generic) else x for x in prompt)
            good = all(checks.is_whole(x) for x in prompt)
        else:
            good = isinstance(prompt, (str, bytes)) or checks.is_whole(prompt)
        if not good:
            raise ValueError(
                "prompt: expected a str, bytes, int or a sequence of int, got a "
                f"{type(self.prompt).__name__}"
            )
        checks.whole("seed", self.seed, 0, LARGEST_SEED)
        if not isinstance(self.sampler, Mapping) or not self.sampler:
            raise ValueError(
                f"sampler: expected at least one setting by name, got {checks.shown(self.sampler)}"
            )
        for name, setting in self.sampler.items():
            plain = setting.item() if isinstance(setting, np.generic) else setting
            fine = isinstance(plain, (bool, int, str))
            if not fine and not (isinstance(plain, float) and np.isfinite(plain)):
                raise ValueError(
                    f"sampler: expected a number, text or flag for {name!r}, got "
                    f"{checks.shown(setting)}"
                )
        object.__setattr__(self, "prompt", prompt)
        object.__setattr__(self, "hash", _hash_bytes(self.hash))
        object.__setattr__(self, "sampler", dict(self.sampler))
        try:
            canonical([self.model, prompt, self.sampler])
        except ValueError as error:
            message = str(error)
        else:
            return
        raise ValueError(message.replace("value:", "claim:"))

    @property
    def words(self) -> np.ndarray:
        """The hash as packed words, ``uint32[W]``."""
        return np.frombuffer(self.hash, ">u4").astype(np.uint32)


def encode_claim(claim: Claim) -> bytes:
    """Canonical bytes of a claim: what is signed, committed to and sent.

    Raises:
        ValueError: for anything but a claim.
    """
    checks.instance("claim", claim, Claim, "Claim(model, prompt, seed, sampler, hash)")
    return canonical([VERSION, *(getattr(claim, name) for name in FIELDS)])


def decode_claim(packet: bytes) -> Claim:
    """Read a claim from bytes of :func:`encode_claim`; others are refused.

    Args:
        packet: bytes that came, perhaps from an attacker.

    Raises:
        ValueError: for anything but canonical bytes of a valid claim.
    """
    value = decode(packet)
    good = isinstance(value, tuple) and len(value) == 1 + len(FIELDS) and value[0] == VERSION
    if good:
        try:
            claim = Claim(*value[1:])
            good = encode_claim(claim) == bytes(packet)
        except ValueError:
            good = False
        if good:
            return claim
    raise ValueError(f"packet: expected a claim of version {VERSION!r}, got another value")


def _hash_bytes(value: Any) -> bytes:
    """A hash as bytes, most significant first."""
    if isinstance(value, (bytes, bytearray)):
        if value and len(value) % 4 == 0:
            return bytes(value)
        raise ValueError(f"hash: expected a multiple of 4 bytes, got {len(value)} bytes")
    words = value if checks.is_traced(value) else np.asarray(value)
    if checks.is_traced(value) or words.dtype != np.uint32 or words.ndim != 1 or not words.size:
        raise ValueError(f"hash: expected bytes or words uint32[W], got {checks.shown(words)}")
    return words.astype(">u4").tobytes()
