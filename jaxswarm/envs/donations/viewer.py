"""Rendering of the donation game: the graph coloured by donations held and given."""

from typing import Any

import numpy as np

from jaxswarm import plotting
from jaxswarm.topology import Topology


def draw(world: Any, topology: Topology, ax: Any) -> None:
    """Draw agents that gave in the step before dark, other agents with a donation light."""
    values = np.where(world.gave, 1.0, np.where(world.has, 0.5, 0.0))
    title = f"{int(np.sum(world.gave))} gave (dark), {int(np.sum(world.has))} have"
    plotting.graph(topology, values, limits=(0.0, 1.0), cmap="YlGn", title=title, ax=ax)
