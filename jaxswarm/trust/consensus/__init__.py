"""Consensus on generated outputs: verifiers generate again, compare hashes and vote.

``consensus.majority(claims, tolerance=4)`` decides claims by votes of verifiers, with a tolerance
that :func:`threshold` takes from a calibration half. ``Claim``, ``commit`` and ``reveal`` are the
protocol: a canonical record of model, prompt, seed, sampler and hash, published before others can
copy it. ``agree`` compares token sequences, ``exact_hash`` and ``pixel_distance`` are baselines,
``independence`` estimates whether verifiers err independently. Hashes are those of
:mod:`jaxswarm.trust.hashes`.
"""

from jaxswarm.trust.consensus._baselines import exact_hash, pixel_distance
from jaxswarm.trust.consensus._claims import Claim, decode_claim, encode_claim
from jaxswarm.trust.consensus._commitments import Opening, commit, opened_value, reveal
from jaxswarm.trust.consensus._encoding import canonical, decode
from jaxswarm.trust.consensus._independence import Independence, independence, majority_error
from jaxswarm.trust.consensus._majority import TIES, Verdict, majority, vote
from jaxswarm.trust.consensus._thresholds import Calibration, Roc, roc, threshold
from jaxswarm.trust.consensus._tokens import Agreement, agree

__all__ = [
    "TIES",
    "Agreement",
    "Calibration",
    "Claim",
    "Independence",
    "Opening",
    "Roc",
    "Verdict",
    "agree",
    "canonical",
    "commit",
    "decode",
    "decode_claim",
    "encode_claim",
    "exact_hash",
    "independence",
    "majority",
    "majority_error",
    "opened_value",
    "pixel_distance",
    "reveal",
    "roc",
    "threshold",
    "vote",
]
