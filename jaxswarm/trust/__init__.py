"""Trust between agents: rankings, reputation by walks, consensus, verified and private inference.

``ranking`` orders replies by pairwise comparisons and follows the reputation of judges. ``graphs``
holds trust and affinity as padded arrays with Sybil attacks as edits, ``walks`` ranks users and
items by random walks on them. ``hashes`` compares outputs by locality-sensitive hashes,
``consensus`` lets verifiers vote on claims about them, ``profiles`` executes one function in
several precisions, batch sizes and compilations. ``verify`` checks claims about the execution of a
model. ``committees`` repeat an inference and agree on its output, ``split`` cuts a network between
nodes and measures what activations reveal, ``attestation`` simulates trusted hardware,
``obfuscation`` has permuted vocabularies and their break.
"""

from jaxswarm.trust import (
    attestation,
    committees,
    consensus,
    graphs,
    hashes,
    obfuscation,
    profiles,
    ranking,
    split,
    verify,
    walks,
)

__all__ = [
    "attestation",
    "committees",
    "consensus",
    "graphs",
    "hashes",
    "obfuscation",
    "profiles",
    "ranking",
    "split",
    "verify",
    "walks",
]
