"""Trust between agents: rankings, reputation walks that bound Sybils, and verified inference.

``ranking`` orders replies by pairwise comparisons and follows the reputation of judges. ``graphs``
holds trust and affinity as padded arrays with Sybil attacks as edits, ``walks`` ranks users and
items by random walks on them. ``verify`` checks claims about the execution of a model.
"""

from jaxswarm.trust import graphs, ranking, verify, walks

__all__ = ["graphs", "ranking", "verify", "walks"]
