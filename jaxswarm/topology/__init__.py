"""Communication graphs as arrays.

A :class:`Topology` is a directed edge list: which agent sends to which. Build one with a family
(:func:`ring`, :func:`torus`, :func:`random_regular`, ...), :func:`from_edges` or
:func:`from_networkx`; many in a row, in time or as a batch, with :func:`stack` and the sequences
(:func:`one_peer_exponential`, ...). How much each neighbour weighs is chosen in
:mod:`~jaxswarm.topology.weights`, how fast that mixes is computed in
:mod:`~jaxswarm.topology.spectra`, :func:`optimal_rates` finds how often each edge is best used,
:func:`in_neighbors` gives padded neighbour lists, and :func:`require_connected` and the like check
a graph on the host.
"""

from jaxswarm.topology import spectra, weights
from jaxswarm.topology.convert import from_networkx, to_networkx
from jaxswarm.topology.families import (
    barbell,
    circulant,
    cluster,
    complete,
    directed_ring,
    exponential,
    grid,
    hypercube,
    path,
    ring,
    star,
    torus,
)
from jaxswarm.topology.graph import Topology, from_edges, per_member, reverse_slots
from jaxswarm.topology.neighbors import InNeighbors, in_neighbors
from jaxswarm.topology.random_families import (
    barabasi_albert,
    erdos_renyi,
    random_geometric,
    random_regular,
    watts_strogatz,
)
from jaxswarm.topology.rates import OptimalRates, optimal_rates
from jaxswarm.topology.sequences import (
    one_peer_exponential,
    random_matching,
    resampled_random_regular,
    rewired_watts_strogatz,
    stack,
)
from jaxswarm.topology.validation import (
    components,
    degrees,
    is_balanced,
    is_connected,
    is_regular,
    is_symmetric,
    require_connected,
    require_symmetric,
    require_topology,
)

__all__ = [
    "InNeighbors",
    "OptimalRates",
    "Topology",
    "barabasi_albert",
    "barbell",
    "circulant",
    "cluster",
    "complete",
    "components",
    "degrees",
    "directed_ring",
    "erdos_renyi",
    "exponential",
    "from_edges",
    "from_networkx",
    "grid",
    "hypercube",
    "in_neighbors",
    "is_balanced",
    "is_connected",
    "is_regular",
    "is_symmetric",
    "one_peer_exponential",
    "optimal_rates",
    "path",
    "per_member",
    "random_geometric",
    "random_matching",
    "random_regular",
    "require_connected",
    "require_symmetric",
    "require_topology",
    "resampled_random_regular",
    "reverse_slots",
    "rewired_watts_strogatz",
    "ring",
    "spectra",
    "stack",
    "star",
    "to_networkx",
    "torus",
    "watts_strogatz",
    "weights",
]
