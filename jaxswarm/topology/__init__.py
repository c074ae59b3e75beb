"""Communication graphs as arrays.

A :class:`Topology` says who hears whom. Build one with a family (:func:`ring`, :func:`torus`,
:func:`random_regular`, ...), :func:`from_edges` or :func:`from_networkx`; many in a row, in time or
as a batch, with :func:`stack` and the sequences (:func:`one_peer_exponential`, ...). How loudly
each neighbour is heard is chosen in :mod:`~jaxswarm.topology.weights`, how fast that mixes is read
off in :mod:`~jaxswarm.topology.spectra`, how often each edge is best used says
:func:`optimal_rates`, and :func:`require_connected` and its kin check a graph on
the host.
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
    is_balanced,
    is_connected,
    is_regular,
    is_symmetric,
    require_connected,
    require_symmetric,
)

__all__ = [
    "OptimalRates",
    "Topology",
    "barabasi_albert",
    "barbell",
    "circulant",
    "cluster",
    "complete",
    "components",
    "directed_ring",
    "erdos_renyi",
    "exponential",
    "from_edges",
    "from_networkx",
    "grid",
    "hypercube",
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
