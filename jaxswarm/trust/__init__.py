"""Trust between agents: rankings by comparisons, and reputation by random walks that bound Sybils.

``ranking`` orders replies by pairwise comparisons and follows the reputation of judges. ``graphs``
holds trust and affinity as padded arrays with Sybil attacks as edits, ``walks`` ranks users and
items by random walks on them.
"""

from jaxswarm.trust import graphs, ranking, walks

__all__ = ["graphs", "ranking", "walks"]
