"""Figures in one style: curves with bands, disagreement, graphs, swarms, environments, heat maps.

Every function draws into ``ax`` (or into a new figure), returns the axes, and takes numpy or jax
arrays; :func:`save` writes axes or a figure to a file. matplotlib and networkx are imported on
first use.
"""

from jaxswarm.plotting._curves import curves, disagreement, intervals
from jaxswarm.plotting.graphs import graph, layout, wheel
from jaxswarm.plotting.scenes import discs, movie, stage, tiles
from jaxswarm.plotting.style import PALETTE, axes, panels, save, tidy, titles
from jaxswarm.plotting.swarms import animate, swarm
from jaxswarm.plotting.tables import heatmap

__all__ = [
    "PALETTE",
    "animate",
    "axes",
    "curves",
    "disagreement",
    "discs",
    "graph",
    "heatmap",
    "intervals",
    "layout",
    "movie",
    "panels",
    "save",
    "stage",
    "swarm",
    "tidy",
    "tiles",
    "titles",
    "wheel",
]
