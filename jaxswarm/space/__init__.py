"""Spatial domains with boundary conditions, distances, and fixed-radius neighbour search.

:class:`Space` is a box with periodic, reflecting or open boundaries. :func:`search` finds the
agents within a radius of each agent, by all pairs or by a sorted cell list, whichever is faster,
and reduces over them without an ``[N, K]`` array.
"""

from jaxswarm.space._search import METHODS, Neighbors, Report, Search, search
from jaxswarm.space.domain import BOUNDARIES, Space, length

__all__ = [
    "BOUNDARIES",
    "METHODS",
    "Neighbors",
    "Report",
    "Search",
    "Space",
    "length",
    "search",
]
