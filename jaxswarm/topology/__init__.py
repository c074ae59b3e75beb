"""Communication graphs as arrays: families, mixing weights, spectra, time-varying sequences."""

from jaxswarm.topology.graph import Topology, from_edges

__all__ = ["Topology", "from_edges"]
