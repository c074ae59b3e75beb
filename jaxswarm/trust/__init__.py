"""Trust between agents: ranking of replies by pairwise comparisons, and reputation of judges."""

from jaxswarm.trust import ranking

__all__ = ["ranking"]
