"""Pictures in one house style: curves with bands, disagreement, graphs, swarms, tables of numbers.

Every function draws into ``ax`` (or into a new figure), returns the axes, and takes numpy or jax
arrays; :func:`save` writes axes or figure to a file. matplotlib and networkx are imported on first
use.
"""

from jaxswarm.plotting.curves import curves, disagreement, intervals
from jaxswarm.plotting.graphs import graph, layout
from jaxswarm.plotting.style import PALETTE, axes, panels, save, tidy
from jaxswarm.plotting.swarms import animate, swarm
from jaxswarm.plotting.tables import heatmap

__all__ = [
    "PALETTE",
    "animate",
    "axes",
    "curves",
    "disagreement",
    "graph",
    "heatmap",
    "intervals",
    "layout",
    "panels",
    "save",
    "swarm",
    "tidy",
]
