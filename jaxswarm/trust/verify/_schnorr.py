"""Schnorr proofs that commitments open to given integers, and their simulation.

References:
    C. Schnorr, Efficient signature generation by smart cards, 1991.
"""

from typing import Any, NamedTuple

from jaxswarm.trust.verify import _curve as curve


class Transcripts(NamedTuple):
    """Schnorr proofs that points ``D_j = C_j - y_j G`` are multiples of ``H``.

    Attributes:
        announcements: encoded points ``R_j``.
        challenges: scalars ``e_j``.
        responses: scalars ``s_j`` with ``s_j H = R_j + e_j D_j``.
    """

    announcements: tuple[bytes, ...]
    challenges: tuple[int, ...]
    responses: tuple[int, ...]


def simulated_transcripts(points: Any, outputs: Any) -> Transcripts:
    """Simulate transcripts of the interactive proof without any secret, for right outputs or wrong.

    Challenges and responses are drawn first and announcements computed from them. Their
    distribution is that of :func:`jaxswarm.trust.verify.pedersen.transcripts`, hence these reveal
    nothing but ``y``. They are no proofs: in one, challenges are hashes of the announcements.

    Args:
        points: of :func:`jaxswarm.trust.verify.pedersen.combine`.
        outputs: integers, one for each point.

    Raises:
        ValueError: for what encodes no points, or another number of outputs.
        ImportError: without coincurve.
    """
    targets = _targets(points, outputs)
    blind = curve.second_generator()
    challenges = tuple(curve.random_scalar() for _ in targets)
    responses = tuple(curve.random_scalar() for _ in targets)
    announcements = tuple(
        (blind.times(s) - target.times(e)).encoded
        for s, e, target in zip(responses, challenges, targets, strict=True)
    )
    return Transcripts(announcements, challenges, responses)


def check_transcripts(points: Any, outputs: Any, found: Transcripts) -> bool:
    """Check the equations ``s H = R + e (C - y G)`` of all outputs.

    Raises:
        ValueError: for points that encode none, or another number of outputs.
        ImportError: without coincurve.
    """
    targets = _targets(points, outputs)
    blind = curve.second_generator()
    right = len(found.responses) == len(found.challenges) == len(targets)
    if not right or len(found.announcements) != len(targets):
        return False
    for target, encoded, e, s in zip(targets, *found, strict=True):
        try:
            announced = curve.Point.decode(encoded)
        except ValueError:
            right = False
            continue
        right &= blind.times(s) == announced + target.times(e)
    return right


def _targets(points: Any, outputs: Any) -> list[curve.Point]:
    decoded = [curve.Point.decode(point) for point in points]
    values = [int(y) for y in outputs]
    if len(values) != len(decoded):
        raise ValueError(f"outputs: expected {len(decoded)} integers, got {len(values)}")
    return [point - curve.base_times(y) for point, y in zip(decoded, values, strict=True)]
