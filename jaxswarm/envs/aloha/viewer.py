"""Rendering of Aloha: the interference graph coloured by backlog."""

from typing import Any

from jaxswarm import plotting
from jaxswarm.topology import Topology


def draw(world: Any, topology: Topology, capacity: float, ax: Any) -> None:
    """Draw the graph with backlogs as colours."""
    plotting.graph(
        topology, world, limits=(0.0, float(capacity)), cmap="YlOrRd", title="backlog", ax=ax
    )
