"""Claims about the execution of a quantized model, and their canonical bytes.

References:
    Z. Ghodsi, T. Gu, S. Garg, SafetyNets: verifiable execution of deep neural networks on an
    untrusted cloud, 2017 (products checked in a field, elementwise steps by the verifier).
    H. Zhang et al. (Nesa), Towards secure and private AI: a framework for decentralized inference,
    2024.
"""

import dataclasses
import math
import secrets
import struct
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify import field, merkle
from jaxswarm.trust.verify._model import QuantizedModel, check_model, check_modulus, plan, run
from jaxswarm.trust.verify._transcript import NONCE_SIZE, Transcript
from jaxswarm.types import ArrayLike

MAGIC = b"jaxswarm claim 1"
MAX_SIZE = 2**30
"""Most bytes of an encoded claim."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Claim:
    """What a prover states about one execution; nothing in it is secret.

    Attributes:
        model_root: commitment to the model, 32 bytes.
        nonce: 16 bytes, of the verifier if claims must be fresh.
        modulus: of the field of the check.
        inputs: quantized inputs or tokens, ``int32``.
        products: results of all matrix products, ``int32``, from which all else follows.
        roots: Merkle roots of the products, 32 bytes each.
        seal: hash of all of the above, 32 bytes; challenges are drawn from it.
    """

    model_root: bytes
    nonce: bytes
    modulus: int
    inputs: np.ndarray
    products: tuple[np.ndarray, ...]
    roots: tuple[bytes, ...]
    seal: bytes

    def to_bytes(self) -> bytes:
        """Encode the claim, in one way only; :meth:`from_bytes` reads it."""
        arrays = [self.inputs, *self.products]
        parts = [self.model_root, self.nonce, self.seal, *self.roots]
        parts += [merkle.canonical(np.asarray(a, np.int32)) for a in arrays]
        head = MAGIC + struct.pack(">IH", self.modulus, len(self.products))
        return head + b"".join(struct.pack(">Q", len(part)) + part for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Claim":
        """Decode a claim; what :meth:`to_bytes` cannot give is refused.

        Only the encoding is checked here, and nothing of it is trusted;
        :func:`jaxswarm.trust.verify.check` checks the rest.

        Raises:
            ValueError: for malformed bytes.
        """
        reader = _Reader(data)
        modulus, count = reader.head()
        model_root, nonce, seal = (reader.part(size) for size in (32, NONCE_SIZE, 32))
        roots = tuple(reader.part(32) for _ in range(count))
        arrays = [reader.array() for _ in range(count + 1)]
        reader.end()
        return cls(model_root, nonce, modulus, arrays[0], tuple(arrays[1:]), roots, seal)

    @property
    def num_bytes(self) -> int:
        """Bytes of the encoded claim."""
        return len(self.to_bytes())

    def __repr__(self) -> str:
        return (
            f"Claim(inputs {list(self.inputs.shape)}, {len(self.products)} products, modulus "
            f"{self.modulus}, seal {self.seal.hex()[:12]}…)"
        )


def prove(
    model: QuantizedModel,
    x: ArrayLike,
    *,
    modulus: int = field.MERSENNE,
    nonce: bytes | None = None,
) -> Claim:
    """Execute a quantized model and state its products, so that others can check them.

    Verifiable computing, not zero-knowledge: the claim shows inputs and all activations.

    Args:
        model: public model of :func:`quantize` or :func:`quantized_transformer`.
        x: one batch of inputs; the more rows, the smaller the verifier's share of the work.
        modulus: the verifier's; the probability that one repetition of the check accepts a wrong
            product is ``1 / modulus``.
        nonce: 16 bytes of a verifier that wants fresh claims; random by default.

    Returns:
        The claim; ``claim.to_bytes()`` to send it.

    Raises:
        ValueError: for inputs outside the range of the calibration, a modulus that is not prime or
            too small for the model's products, or a nonce of another length.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.trust import verify
        >>> layers = [(np.eye(3, 4), np.zeros(4)), (np.ones((4, 2)), np.ones(2))]
        >>> model = verify.quantize(layers, np.ones((1, 3)))
        >>> claim = verify.prove(model, [[0.5, 0.0, 1.0]])
        >>> verify.check(model, claim).accepted
        True
        >>> claim.products[1][0, 0] += 1
        >>> verify.check(model, claim).reason
        'products do not match their commitment'
    """
    check_model(model)
    p = check_modulus(model, modulus)
    inputs = model.inputs(x)
    _, products = run(model, inputs)
    return commit(model, inputs, products, modulus=p, nonce=nonce)


def commit(
    model: QuantizedModel,
    inputs: ArrayLike,
    products: Sequence[ArrayLike],
    *,
    modulus: int = field.MERSENNE,
    nonce: bytes | None = None,
) -> Claim:
    """Make a claim of given products, right or wrong, as a cheating prover can.

    Args:
        model: whose execution is claimed.
        inputs: ``int32`` of ``model.inputs(x)``.
        products: ``int32``, of the shapes that :func:`jaxswarm.trust.verify.run` gives.
        modulus: as :func:`prove`.
        nonce: as :func:`prove`.

    Raises:
        ValueError: for shapes or types that do not fit, or as :func:`prove`.
    """
    check_model(model)
    p = check_modulus(model, modulus)
    if nonce is None:
        nonce = secrets.token_bytes(NONCE_SIZE)
    if not isinstance(nonce, bytes) or len(nonce) != NONCE_SIZE:
        raise ValueError(f"nonce: expected {NONCE_SIZE} bytes, got {type(nonce).__name__}")
    checks.concrete("products", products)
    given = np.array(inputs)
    if given.dtype != np.int32:
        raise ValueError(f"inputs: expected int32[B, d], got {checks.shown(inputs)}")
    wanted = plan(model, given.shape)
    made = tuple(np.array(product) for product in jax.device_get(tuple(products)))
    found = [(product.shape, product.dtype.name) for product in made]
    if found != [(sizes.shape, "int32") for sizes in wanted]:
        raise ValueError(
            f"products: expected int32 of shapes {[sizes.shape for sizes in wanted]}, got {found}"
        )
    roots = tuple(merkle.array_root(product) for product in made)
    seal = sealed(model.root, nonce, p, given, roots).digest()
    return Claim(model.root, nonce, p, given, made, roots, seal)


def sealed(
    model_root: bytes, nonce: bytes, modulus: int, inputs: np.ndarray, roots: Sequence[bytes]
) -> Transcript:
    """Hash all that a claim commits to, in the one order that prover and verifier share."""
    transcript = Transcript("jaxswarm.trust.verify claim")
    transcript.commit("model", model_root)
    transcript.commit("nonce", nonce)
    transcript.commit("modulus", modulus.to_bytes(4, "big"))
    transcript.commit("inputs", merkle.array_root(inputs))
    for root in roots:
        transcript.commit("product", root)
    return transcript


class _Reader:
    """Reads an encoded claim with a check of every length."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, bytes) or not len(MAGIC) + 6 <= len(data) <= MAX_SIZE:
            raise ValueError(f"data: expected an encoded claim, got {type(data).__name__}")
        self._data, self._at = data, 0

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ValueError("data: expected an encoded claim, got one that is cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def head(self) -> tuple[int, int]:
        if self._take(len(MAGIC)) != MAGIC:
            raise ValueError("data: expected an encoded claim, got other bytes")
        return struct.unpack(">IH", self._take(6))

    def part(self, size: int | None = None) -> bytes:
        (length,) = struct.unpack(">Q", self._take(8))
        if size is not None and length != size:
            raise ValueError(f"data: expected a part of {size} bytes, got {length}")
        return self._take(length)

    def array(self) -> np.ndarray:
        part = self.part()
        axes = part[2] if len(part) >= 3 and part[:2] == merkle.DTYPES["int32"] else 0
        start = 3 + 8 * axes
        if not 1 <= axes <= 8 or len(part) < start:
            raise ValueError("data: expected an array int32 of 1 to 8 axes, got another part")
        shape = struct.unpack(f">{axes}Q", part[3:start])
        size = 4 * math.prod(shape)
        if not size or size != len(part) - start:
            raise ValueError("data: expected an array of the size of its shape, got another")
        return np.frombuffer(part, "<i4", offset=start).astype(np.int32).reshape(shape)

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("data: expected the end of the claim, got more bytes")
