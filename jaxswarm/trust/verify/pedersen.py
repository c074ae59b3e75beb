"""Zero-knowledge proof of a linear layer ``y = x W + b`` with hidden integer weights.

Every weight and bias is committed as ``m G + r H`` in the group secp256k1 (extra ``zk``). The
commitments are homomorphic: for public ``x`` a verifier forms those to ``x W + b`` itself, and the
prover shows by Schnorr proofs that they open to ``y``, without opening them. The commitments hide
the weights perfectly and bind under the discrete logarithm problem.

What is not hidden: ``y`` itself. Each answer is one linear equation in the ``d + 1`` unknowns of an
output, so ``d + 1`` answers to independent inputs reveal all weights, whatever the proofs hide;
limit the number of answers. Multiplications by secret numbers are not in constant time: timing is
outside of what is protected.

References:
    T. Pedersen, Non-interactive and information-theoretic secure verifiable secret sharing, 1991.
    C. Schnorr, Efficient signature generation by smart cards, 1991.
    H. Zhang et al. (Nesa), Towards secure and private AI: a framework for decentralized inference,
    2024 (the layer with hidden weights as its example).
"""

import dataclasses
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify import _curve as curve
from jaxswarm.trust.verify import merkle
from jaxswarm.trust.verify._schnorr import Transcripts, check_transcripts, simulated_transcripts
from jaxswarm.types import ArrayLike

__all__ = [
    "LayerCommitment",
    "LayerOpening",
    "LayerProof",
    "Transcripts",
    "check",
    "check_transcripts",
    "combine",
    "commit_layer",
    "prove",
    "simulated_transcripts",
    "transcripts",
]

LABEL = b"jaxswarm.trust.verify.pedersen layer"
MAX_OUTPUTS = 2**16
"""Most outputs of an encoded proof."""


@dataclasses.dataclass(frozen=True)
class LayerCommitment:
    """Public commitments to a layer.

    Attributes:
        weights: encoded points of 33 bytes, ``weights[i][j]`` for input ``i`` and output ``j``.
        bias: ``bias[j]``.
    """

    weights: tuple[tuple[bytes, ...], ...] = dataclasses.field(repr=False)
    bias: tuple[bytes, ...] = dataclasses.field(repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return len(self.weights), len(self.bias)

    @property
    def root(self) -> bytes:
        """Merkle root of all points, 32 bytes."""
        size = b"%d %d" % self.shape
        return merkle.root([size, *(b"".join(row) for row in (*self.weights, self.bias))])


class LayerOpening:
    """The prover's secret of :func:`commit_layer`: weights and randomness.

    It is not shown by ``repr`` and cannot be pickled or copied.
    """

    def __init__(
        self, commitment: LayerCommitment, weights: Any, bias: Any, randomness: Any
    ) -> None:
        self.commitment = commitment
        self._weights, self._bias, self._randomness = weights, bias, randomness

    def __repr__(self) -> str:
        return f"LayerOpening(shape {self.commitment.shape}, secret)"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("LayerOpening holds secrets: expected no pickling or copying")

    def _answer(self, x: np.ndarray) -> tuple[list[int], list[int]]:
        """Outputs, and the randomness of their commitments."""
        factors = [*map(int, x), 1]
        rows = [*self._weights, self._bias]
        columns = range(self.commitment.shape[1])
        outputs = [sum(f * row[j] for f, row in zip(factors, rows, strict=True)) for j in columns]
        randomness = [
            sum(f * row[j] for f, row in zip(factors, self._randomness, strict=True)) % curve.ORDER
            for j in columns
        ]
        return outputs, randomness


@dataclasses.dataclass(frozen=True)
class LayerProof:
    """A layer's outputs and the proof that they are right.

    Attributes:
        outputs: integers ``y``.
        announcements: encoded points, one for each output.
        responses: scalars, one for each output.
    """

    outputs: tuple[int, ...]
    announcements: tuple[bytes, ...] = dataclasses.field(repr=False)
    responses: tuple[int, ...] = dataclasses.field(repr=False)

    def to_bytes(self) -> bytes:
        """Encode the proof: a count, then 8 + 33 + 32 bytes for each output."""
        parts = [len(self.outputs).to_bytes(4, "big")]
        for y, point, s in zip(self.outputs, self.announcements, self.responses, strict=True):
            parts += [y.to_bytes(16, "big", signed=True), point, s.to_bytes(32, "big")]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "LayerProof":
        """Decode a proof.

        Raises:
            ValueError: for malformed bytes.
        """
        if not isinstance(data, bytes) or len(data) < 4:
            raise ValueError(f"data: expected an encoded proof, got {type(data).__name__}")
        count, size = int.from_bytes(data[:4], "big"), 16 + curve.POINT_SIZE + 32
        if not 1 <= count <= MAX_OUTPUTS or len(data) != 4 + count * size:
            raise ValueError("data: expected an encoded proof, got another length")
        rows = [data[4 + i * size : 4 + (i + 1) * size] for i in range(count)]
        return cls(
            tuple(int.from_bytes(row[:16], "big", signed=True) for row in rows),
            tuple(row[16:-32] for row in rows),
            tuple(int.from_bytes(row[-32:], "big") for row in rows),
        )


def commit_layer(weights: ArrayLike, bias: ArrayLike) -> tuple[LayerCommitment, LayerOpening]:
    """Commit to the integer weights of a linear layer.

    Args:
        weights: ``int[d, n]``, of at most 32 bits.
        bias: ``int[n]``.

    Returns:
        The commitment to publish, and the opening to keep; its randomness comes from the system's
        cryptographic source.

    Raises:
        ValueError: for what is no such integer; messages show shapes only.
        ImportError: without coincurve.

    Example:
        >>> from jaxswarm.trust.verify import pedersen
        >>> commitment, opening = pedersen.commit_layer([[2, -1], [0, 3]], [5, 5])
        >>> proof = pedersen.prove(opening, [10, -4])
        >>> proof.outputs, pedersen.check(commitment, [10, -4], proof)
        ((25, -17), True)
        >>> pedersen.check(commitment, [10, -3], proof)
        False
    """
    w, b = _integers("weights", weights, 2), _integers("bias", bias, 1)
    if 0 in w.shape or b.shape != w.shape[1:]:
        raise ValueError(
            f"bias: expected int[n] for weights int[d, n], got {list(b.shape)} for {list(w.shape)}"
        )
    rows = [[int(v) for v in row] for row in (*w, b)]
    randomness = [[curve.random_scalar() for _ in row] for row in rows]
    blind = curve.second_generator()
    points = [
        tuple((curve.base_times(v) + blind.times(r)).encoded for v, r in zip(*pair, strict=True))
        for pair in zip(rows, randomness, strict=True)
    ]
    commitment = LayerCommitment(tuple(points[:-1]), points[-1])
    return commitment, LayerOpening(commitment, rows[:-1], rows[-1], randomness)


def combine(commitment: LayerCommitment, x: ArrayLike) -> tuple[bytes, ...]:
    """Form the commitments to ``x W + b`` from those to ``W`` and ``b``.

    Args:
        commitment: of :func:`commit_layer`.
        x: public ``int[d]``.

    Returns:
        One encoded point for each output.

    Raises:
        ValueError: for inputs of another shape, or what encodes no points.
        ImportError: without coincurve.
    """
    checks.instance("commitment", commitment, LayerCommitment, "pedersen.commit_layer(w, b)[0]")
    factors = [*map(int, _inputs(x, commitment)), 1]
    rows = [*commitment.weights, commitment.bias]
    return tuple(
        curve.add(
            curve.Point.decode(row[j]).times(f) for f, row in zip(factors, rows, strict=True) if f
        ).encoded
        for j in range(len(commitment.bias))
    )


def prove(opening: LayerOpening, x: ArrayLike) -> LayerProof:
    """Compute ``y = x W + b`` and prove it without showing ``W`` and ``b``.

    Args:
        opening: the prover's secret.
        x: public ``int[d]``.

    Raises:
        ValueError: for another opening or inputs of another shape.
        ImportError: without coincurve.
    """
    checks.instance("opening", opening, LayerOpening, "pedersen.commit_layer(w, b)[1]")
    values = _inputs(x, opening.commitment)
    outputs, randomness = opening._answer(values)
    blind = curve.second_generator()
    nonces = [curve.random_scalar() for _ in outputs]
    announcements = tuple(blind.times(k).encoded for k in nonces)
    challenges = _challenges(opening.commitment, values, outputs, announcements)
    responses = tuple(
        (k + e * r) % curve.ORDER for k, e, r in zip(nonces, challenges, randomness, strict=True)
    )
    return LayerProof(tuple(outputs), announcements, responses)


def check(commitment: LayerCommitment, x: ArrayLike, proof: LayerProof | bytes) -> bool:
    """Check a proof of ``y = x W + b``; whatever is wrong or malformed in it is refused.

    Args:
        commitment: published before.
        x: the ``int[d]`` that was asked.
        proof: of :func:`prove`, or its bytes.

    Raises:
        ValueError: for a commitment or inputs that are not well formed, which are the verifier's.
        ImportError: without coincurve.
    """
    points = combine(commitment, x)
    values = _inputs(x, commitment)
    if isinstance(proof, bytes):
        try:
            proof = LayerProof.from_bytes(proof)
        except ValueError:
            return False
    if not _is_formed(proof, len(points)):
        return False
    challenges = _challenges(commitment, values, proof.outputs, proof.announcements)
    return check_transcripts(
        points, proof.outputs, Transcripts(proof.announcements, challenges, proof.responses)
    )


def transcripts(opening: LayerOpening, x: ArrayLike) -> Transcripts:
    """Run the interactive proof with an honest verifier's random challenges.

    For comparison with :func:`simulated_transcripts`; :func:`prove` makes proofs to send.

    Raises:
        ValueError: as :func:`prove`.
        ImportError: without coincurve.
    """
    checks.instance("opening", opening, LayerOpening, "pedersen.commit_layer(w, b)[1]")
    outputs, randomness = opening._answer(_inputs(x, opening.commitment))
    blind = curve.second_generator()
    nonces = [curve.random_scalar() for _ in outputs]
    challenges = tuple(curve.random_scalar() for _ in outputs)
    responses = tuple(
        (k + e * r) % curve.ORDER for k, e, r in zip(nonces, challenges, randomness, strict=True)
    )
    return Transcripts(tuple(blind.times(k).encoded for k in nonces), challenges, responses)


def _challenges(
    commitment: LayerCommitment, x: np.ndarray, outputs: Any, announcements: Any
) -> tuple[int, ...]:
    """Hash the whole statement and all announcements to one scalar for each output."""
    y = b"".join(int(v).to_bytes(16, "big", signed=True) for v in outputs)
    common = (LABEL, commitment.root, merkle.canonical(x), y, b"".join(announcements))
    return tuple(curve.hash_to_scalar(*common, j.to_bytes(4, "big")) for j in range(len(outputs)))


def _is_formed(proof: Any, count: int) -> bool:
    if not isinstance(proof, LayerProof):
        return False
    parts = (proof.outputs, proof.announcements, proof.responses)
    if any(not isinstance(part, tuple) or len(part) != count for part in parts):
        return False
    if any(type(y) is not int or abs(y) >= 2**127 for y in proof.outputs):
        return False
    if any(type(s) is not int or not 0 <= s < curve.ORDER for s in proof.responses):
        return False
    return all(isinstance(p, bytes) and len(p) == curve.POINT_SIZE for p in proof.announcements)


def _inputs(x: Any, commitment: LayerCommitment) -> np.ndarray:
    values = _integers("x", x, 1)
    if len(values) != commitment.shape[0]:
        raise ValueError(f"x: expected int[{commitment.shape[0]}], got int[{len(values)}]")
    return values


def _integers(name: str, value: Any, rank: int) -> np.ndarray:
    """Check secret or public integers of 32 bits; messages show shapes, never values."""
    wanted = f"integers of at most 32 bits with {rank} axes"
    try:
        array = np.asarray(value)
    except Exception:
        raise ValueError(f"{name}: expected {wanted}, got {type(value).__name__}") from None
    if array.dtype.kind not in "iu" or array.ndim != rank:
        raise ValueError(f"{name}: expected {wanted}, got {array.dtype}{list(array.shape)}")
    if array.size and (array.min() < -(2**31) or array.max() >= 2**31):
        raise ValueError(f"{name}: expected {wanted}, got larger ones")
    return array.astype(np.int32)
