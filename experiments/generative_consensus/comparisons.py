"""Ways of comparing two images, and the claims that are compared.

Shapes: ``J`` images, ``M`` pairs, ``V`` verifiers.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxswarm.trust import consensus, hashes

PERCEPTUAL = ("ahash", "dhash", "phash", "whash")
PROJECTION = "random projection"
PIXELS = "raw pixels"
FLOATS, BYTES = "exact floats", "exact bytes"
EXACT = (FLOATS, BYTES)
TOLERANT = (*PERCEPTUAL, PROJECTION, PIXELS)
METHODS = (*TOLERANT, *EXACT)
"""Ways of comparing; exact ones have tolerance 0, all others a calibrated one."""

BITS = 64
NEVER = 1_000  # distance of a pair with an image that cannot be verified
VERIFIERS = 3


class Prints(NamedTuple):
    """What methods compare of some images.

    Attributes:
        words: for each hash ``uint32[J, W]``.
        valid: for each hash ``bool[J]``.
        pixels: ``uint8[J, 32, 32]``.
    """

    words: dict[str, np.ndarray]
    valid: dict[str, np.ndarray]
    pixels: np.ndarray

    def take(self, *index: Any) -> "Prints":
        """Prints at an index of the leading axes."""
        words, valid = (
            {name: x[index] for name, x in each.items()} for each in (self.words, self.valid)
        )
        return Prints(words, valid, self.pixels[index])


def prints(images: np.ndarray, pixels: np.ndarray) -> Prints:
    """Hash images.

    Args:
        images: ``float32[J, 32, 32]`` as generated.
        pixels: ``uint8`` of the same shape.
    """
    found = {kind: hashes.perceptual(pixels, kind) for kind in PERCEPTUAL}
    project = hashes.random_projection(jax.random.key(0), images[0].size, BITS)
    flat = pixels.reshape(len(pixels), -1) / np.float32(255.0)
    found[PROJECTION] = project(flat - flat.mean(axis=1, keepdims=True))
    found[FLOATS], found[BYTES] = consensus.exact_hash(images), consensus.exact_hash(pixels)
    words = {name: np.asarray(each.words) for name, each in found.items()}
    return Prints(words, {k: np.asarray(each.valid) for k, each in found.items()}, pixels)


def stacked(each: list[Prints]) -> Prints:
    """Prints of ``P`` profiles with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *each)


def distances(method: str, a: Prints, b: Prints) -> np.ndarray:
    """Distances ``[M]`` of pairs; ``NEVER`` where an image cannot be verified."""
    if method == PIXELS:
        return np.concatenate(
            [
                255.0 * np.asarray(consensus.pixel_distance(x, y))
                for x, y in zip(_blocks(a.pixels), _blocks(b.pixels), strict=True)
            ]
        )
    found = np.asarray(hashes.hamming(a.words[method], b.words[method]))
    return np.where(a.valid[method] & b.valid[method], found, NEVER)


def _blocks(x: np.ndarray) -> list[np.ndarray]:
    return [x[i : i + 4096] for i in range(0, len(x), 4096)]


class Votes(NamedTuple):
    """Claims with the profiles of their provers and verifiers.

    Attributes:
        claimed: ``int[M]``, job whose image is shown.
        asked: ``int[M]``, job that it is claimed to be of.
        prover: ``int[M]``, profile of the prover.
        verifiers: ``int[V, M]``, profiles of the verifiers, which differ from the prover's and from
            one another.
    """

    claimed: np.ndarray
    asked: np.ndarray
    prover: np.ndarray
    verifiers: np.ndarray


def draw_votes(
    rng: np.random.Generator, claimed: np.ndarray, asked: np.ndarray, num_profiles: int
) -> Votes:
    """Draw a prover and three verifiers of other profiles for each claim."""
    order = np.argsort(rng.random((len(claimed), num_profiles)), axis=1)
    return Votes(claimed, asked, order[:, 0], order[:, 1 : 1 + VERIFIERS].T)


def vote_distances(
    method: str, outputs: Prints, votes: Votes, shown: Prints | None = None
) -> np.ndarray:
    """Distances of what is shown to what each verifier generated, ``[V, M]``.

    Args:
        method: one of :data:`METHODS`.
        outputs: ``[P, J]`` of all profiles and jobs.
        votes: provers and verifiers.
        shown: ``[M]``, what provers show; their own output if ``None``.
    """
    shown = outputs.take(votes.prover, votes.claimed) if shown is None else shown
    return np.stack(
        [
            distances(method, shown, outputs.take(profile, votes.asked))
            for profile in votes.verifiers
        ]
    )


def impostor_pairs(jobs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of different jobs of the same digit."""
    same = labels[jobs][:, None] == labels[jobs][None]
    first, second = np.nonzero(same & ~np.eye(len(jobs), dtype=bool))
    return jobs[first], jobs[second]
