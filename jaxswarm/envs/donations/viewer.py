"""The graph: who gave, who only had, who had nothing."""

from typing import Any

import numpy as np

from jaxswarm import plotting
from jaxswarm.topology import Topology


def draw(world: Any, topology: Topology, ax: Any) -> None:
    """Two shades for those who have, the darker for those who gave in the step before."""
    values = np.where(world.gave, 1.0, np.where(world.has, 0.5, 0.0))
    title = f"{int(np.sum(world.gave))} gave (dark), {int(np.sum(world.has))} have"
    plotting.graph(topology, values, limits=(0.0, 1.0), cmap="YlGn", title=title, ax=ax)
