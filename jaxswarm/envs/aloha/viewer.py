"""The interference graph with every agent's backlog."""

from typing import Any

from jaxswarm import plotting
from jaxswarm.topology import Topology


def draw(world: Any, topology: Topology, capacity: float, ax: Any) -> None:
    """Backlogs as colours."""
    plotting.graph(
        topology, world, limits=(0.0, float(capacity)), cmap="YlOrRd", title="backlog", ax=ax
    )
