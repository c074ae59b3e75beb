"""Votes of verifiers that regenerated an output on a prover's claim.

Shapes: ``V`` verifiers, ``N`` claims, hashes of ``W`` words.

References:
    E. Kim, I. Isozaki, N. Sirkin, M. Robson, Generative AI reproducibility and consensus, 2023.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.hashes import hamming
from jaxswarm.trust.hashes._words import require_pair, require_words, valid_of
from jaxswarm.types import ArrayLike

TIES = ("accept", "reject")
"""What half of the votes mean with an even number of verifiers."""


class Verdict(NamedTuple):
    """Result of :func:`majority`.

    Attributes:
        accepted: ``bool[N]``.
        verifiable: ``bool[N]``, whether the prover's hash and enough of the verifiers' are valid;
            what is not is never accepted.
        votes: ``int32[N]``, verifiers that agree.
        agrees: ``bool[V, N]``, votes one by one.
        distances: ``int32[V, N]``, Hamming distances to the prover's hashes, those that are not
            valid included.
    """

    accepted: jax.Array
    verifiable: jax.Array
    votes: jax.Array
    agrees: jax.Array
    distances: jax.Array


def majority(
    claims: Any,
    prover: Any = None,
    *,
    tolerance: ArrayLike,
    required: int | None = None,
    ties: str | None = None,
    bits: int | None = None,
) -> Verdict:
    """Accept claims that enough verifiers agree with: hashes within a Hamming tolerance.

    Args:
        claims: hashes of the outputs that verifiers generated,
            :class:`jaxswarm.trust.hashes.Hashes` or ``uint32[V, N, W]``. Without ``prover``,
            ``[V + 1, N, W]`` with the prover's first.
        prover: hashes that the prover claims, of ``N``.
        tolerance: a verifier agrees up to this distance, which is less than half of the bits: at
            half, unrelated hashes agree as often as not. -1 accepts nothing. See
            :func:`threshold`.
        required: agreeing votes needed, ``m`` of ``V``; more than half by default.
        ties: ``"accept"`` or ``"reject"`` where half of an even number of verifiers agree; needed
            for an even number unless ``required`` is given.
        bits: length of a hash; that of ``Hashes``, else ``32 W``.

    Returns:
        The verdict; runs inside ``jit``. A hash that is not valid, such as that of a constant
        image, agrees with nothing.

    Raises:
        ValueError: for hashes of different lengths, shapes that differ, no verifiers, an even
            number without a rule for ties, or a tolerance of half of the bits or more.

    Example:
        >>> from jaxswarm.trust import consensus, hashes
        >>> images = np.random.default_rng(0).random((2, 8, 8))
        >>> prover = hashes.perceptual(images)
        >>> honest, other = hashes.perceptual(0.98 * images), hashes.perceptual(images[::-1])
        >>> verifiers = np.stack([honest.words, honest.words, other.words])
        >>> consensus.majority(verifiers, prover, tolerance=4).votes.tolist()
        [2, 2]
    """
    words, length = require_words("claims", claims, bits)
    if words.ndim != 3 or 0 in words.shape:
        raise ValueError(f"claims: expected hashes [V, N], got words of shape {words.shape}")
    valid = valid_of(claims, words.shape[:2])
    if prover is None:
        own, own_valid, words, valid = words[0], valid[0], words[1:], valid[1:]
    else:
        own, _, length = require_pair(prover, claims, bits, names=("prover", "claims"))
        if own.shape != words.shape[1:]:
            raise ValueError(
                f"prover: expected hashes of {words.shape[1]} outputs, got words of shape "
                f"{list(own.shape)}"
            )
        own_valid = valid_of(prover, own.shape[:1])
    needed = needed_votes(words.shape[0], required, ties)
    return _decided(words, valid, own, own_valid, require_tolerance(tolerance, length), needed)


@jax.jit
def _decided(
    words: jax.Array,
    valid: jax.Array,
    own: jax.Array,
    own_valid: jax.Array,
    tolerance: jax.Array,
    needed: int,
) -> Verdict:
    apart = hamming(own[None], words)
    agrees = (apart <= tolerance) & own_valid[None] & valid
    votes = jnp.sum(agrees, axis=0, dtype=jnp.int32)
    verifiable = own_valid & (jnp.sum(valid, axis=0) >= needed)
    return Verdict(votes >= needed, verifiable, votes, agrees, apart)


def vote(agrees: ArrayLike, *, required: int | None = None, ties: str | None = None) -> jax.Array:
    """Count votes that were found in another way than by hashes.

    Args:
        agrees: ``bool[V, N]``, whether each verifier agrees with each claim.
        required: as in :func:`majority`.
        ties: as in :func:`majority`.

    Returns:
        ``bool[N]``, accepted claims.

    Raises:
        ValueError: for another shape, or an even number of verifiers without a rule for ties.

    Example:
        >>> vote([[True, True], [True, False], [False, False]]).tolist()
        [True, False]
    """
    votes = jnp.asarray(checks.mask("agrees", agrees, (None, None)))
    needed = needed_votes(votes.shape[0], required, ties)
    return jnp.sum(votes, axis=0, dtype=jnp.int32) >= needed


def needed_votes(num_verifiers: int, required: int | None, ties: str | None) -> int:
    """Agreeing votes that accept a claim.

    Raises:
        ValueError: for no verifiers, an even number without a rule for ties, or more votes than
            verifiers.
    """
    n = checks.whole("number of verifiers", num_verifiers, 1)
    if ties is not None:
        checks.choice("ties", ties, TIES)
    if required is not None:
        return checks.whole("required", required, 1, n)
    if n % 2 == 0 and ties is None:
        raise ValueError(
            f"ties: expected 'accept' or 'reject' for an even number of verifiers, got {n} "
            "verifiers and None"
        )
    return n // 2 if n % 2 == 0 and ties == "accept" else n // 2 + 1


def require_tolerance(tolerance: Any, bits: int) -> Any:
    """Check a tolerance in bits: at least -1, less than half of the hash.

    Raises:
        ValueError: for anything else.
    """
    if checks.is_traced(tolerance):
        return checks.wholes("tolerance", tolerance, shape=())
    if not checks.is_whole(tolerance) or not -1 <= int(tolerance) < bits / 2:
        raise ValueError(
            f"tolerance: expected a whole number of at least -1, less than half of {bits} bits, "
            f"got {checks.shown(tolerance)}"
        )
    return np.int32(tolerance)
