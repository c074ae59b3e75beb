"""Trust between agents: rankings, reputation that bounds Sybils, consensus on outputs.

``ranking`` orders replies by pairwise comparisons and follows the reputation of judges. ``graphs``
holds trust and affinity as padded arrays with Sybil attacks as edits, ``walks`` ranks users and
items by random walks on them. ``hashes`` compares outputs by locality-sensitive hashes,
``consensus`` lets verifiers vote on claims about them, ``profiles`` executes one function in
several precisions, batch sizes and compilations. ``verify`` checks claims about the execution of a
model.
"""

from jaxswarm.trust import consensus, graphs, hashes, profiles, ranking, verify, walks

__all__ = ["consensus", "graphs", "hashes", "profiles", "ranking", "verify", "walks"]
