"""Verification of claimed images: verifiers generate them again, in other profiles, and vote.

Shapes: ``N`` jobs, ``V`` verifiers.

References:
    E. Kim, I. Isozaki, N. Sirkin, M. Robson, Generative AI reproducibility and consensus, 2023.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.trust import consensus, hashes, profiles
from jaxswarm.types import Params, PyTree

VERIFIERS = ("batch 7", "bfloat16", "float16")
"""Profiles of the verifiers unless others are given."""


def verify(
    generate: Callable[[Params, PyTree], jax.Array],
    params: Params,
    jobs: PyTree,
    claimed: Any,
    *,
    verifiers: Sequence[profiles.Profile | str] = VERIFIERS,
    kind: str = "phash",
    tolerance: int = 4,
    ties: str | None = None,
) -> consensus.Verdict:
    """Generate images again in several profiles and let a majority decide on claimed ones.

    Take the tolerance of your own model from :func:`jaxswarm.trust.consensus.threshold`.

    Args:
        generate: ``generate(params, jobs) -> images``, ``uint8`` or floats in ``[0, 1]``,
            ``[N, H, W]`` or ``[N, H, W, C]``, a function of its arguments alone.
        params: of the model that was promised.
        jobs: pytree of leaves ``[N, ...]``: what makes an image, such as noise and conditions.
        claimed: images that the prover shows, or their :class:`jaxswarm.trust.hashes.Hashes`.
        verifiers: profile of each verifier; an odd number, or ``ties`` says what half the votes
            mean. A profile that the prover used too shows nothing.
        kind: one of ``hashes.KINDS``.
        tolerance: largest Hamming distance of a match, of 64 bits.
        ties: as in :func:`jaxswarm.trust.consensus.majority`.

    Raises:
        ValueError: for arguments of another kind or out of range, images that cannot be hashed, or
            another number of claims than jobs.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.systems import generative_consensus
        >>> from jaxswarm.trust import profiles
        >>> def generate(weights, noise):  # your own model here
        ...     return jax.nn.sigmoid(noise @ weights).reshape(-1, 8, 8)
        >>> weights = jax.random.normal(jax.random.key(0), (16, 64))
        >>> noise = jax.random.normal(jax.random.key(1), (5, 16))
        >>> shown = profiles.run(generate, weights, noise, "float32")
        >>> generative_consensus.verify(generate, weights, noise, shown).accepted.tolist()
        [True, True, True, True, True]
        >>> generative_consensus.verify(generate, weights, noise, shown[::-1]).accepted.tolist()
        [False, False, True, False, False]
    """
    checks.function("generate", generate)
    checks.choice("kind", kind, hashes.KINDS)
    if isinstance(verifiers, str) or not isinstance(verifiers, Sequence) or not verifiers:
        raise ValueError(
            f"verifiers: expected the profile of each verifier, got {checks.shown(verifiers)}"
        )
    own = [profiles.check_profile(profile, "verifiers") for profile in verifiers]
    consensus.vote(jnp.zeros((len(own), 1), bool), ties=ties)  # refuses before anything runs
    shown = claimed if isinstance(claimed, hashes.Hashes) else hashes.perceptual(claimed, kind)
    found = [
        hashes.perceptual(profiles.run(generate, params, jobs, profile), kind) for profile in own
    ]
    stacked = hashes.Hashes(
        jnp.stack([each.words for each in found]),
        jnp.stack([each.valid for each in found]),
        found[0].bits,
    )
    return consensus.majority(stacked, shown, tolerance=tolerance, ties=ties)
