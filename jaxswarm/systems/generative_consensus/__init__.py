"""Consensus on generated outputs: verifiers run a job again and vote on hashes; training replicas.

``verify(sampler, params, inputs, claimed)`` lets verifiers in several execution profiles vote on
claimed images. ``replicas`` trains one model in several profiles with and without
synchronization; ``relative_distance`` compares a claimed update with one that was run again.
``quantized`` rounds weights as a cheaper provider does.

Profiles are in :mod:`jaxswarm.trust.profiles`, hashes in :mod:`jaxswarm.trust.hashes`, votes and
thresholds in :mod:`jaxswarm.trust.consensus`.
"""

from jaxswarm.systems.generative_consensus._quantize import quantized
from jaxswarm.systems.generative_consensus._replicas import (
    LOSS_SCALE,
    ReplicaInfo,
    ReplicaState,
    relative_distance,
    replicas,
)
from jaxswarm.systems.generative_consensus._verify import VERIFIERS, verify

__all__ = [
    "LOSS_SCALE",
    "VERIFIERS",
    "ReplicaInfo",
    "ReplicaState",
    "quantized",
    "relative_distance",
    "replicas",
    "verify",
]
