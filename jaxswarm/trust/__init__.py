"""Trust between agents: rankings, reputation by walks, verified and private inference.

``ranking`` orders replies by pairwise comparisons and follows the reputation of judges. ``graphs``
holds trust and affinity as padded arrays with Sybil attacks as edits, ``walks`` ranks users and
items by random walks on them. ``verify`` checks claims about the execution of a model.
``committees`` repeat an inference and agree on its output, ``split`` cuts a network between nodes
and measures what activations reveal, ``attestation`` simulates trusted hardware, ``obfuscation``
has permuted vocabularies and their break.
"""

from jaxswarm.trust import (
    attestation,
    committees,
    graphs,
    obfuscation,
    ranking,
    split,
    verify,
    walks,
)

__all__ = [
    "attestation",
    "committees",
    "graphs",
    "obfuscation",
    "ranking",
    "split",
    "verify",
    "walks",
]
