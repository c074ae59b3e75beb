"""Where agents are and whom they have near: boundaries, distances, one neighbour search.

``Space`` is a box with periodic, reflecting or open borders. ``search`` finds whoever is within a
radius, by all pairs or by sorted strips, whichever is faster, and sums over them without ever
holding an ``[N, K]`` array.
"""

from jaxswarm.space._search import METHODS, Neighbors, Report, Search, check_positions, search
from jaxswarm.space.domain import BOUNDARIES, Space, length

__all__ = [
    "BOUNDARIES",
    "METHODS",
    "Neighbors",
    "Report",
    "Search",
    "Space",
    "check_positions",
    "length",
    "search",
]
