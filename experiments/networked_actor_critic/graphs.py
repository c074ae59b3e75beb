"""The communication graphs that arms differ by, as one stacked mixing operator."""

import numpy as np

from jaxswarm import gossip, topology

NO_EDGES, SPARSE, COMPLETE = range(3)
"""Positions in what :func:`stacked_mixing` returns."""


def stacked_mixing(n: int, sparse: topology.Topology) -> gossip.Mixing:
    """Stack Metropolis weights of no edges, of ``sparse`` and of the complete graph.

    Arms that differ by the graph alone index it and share one compiled program.
    """
    no_edges = topology.from_edges(np.zeros((0, 2), int), n)
    graphs = topology.stack([no_edges, sparse, topology.complete(n)])
    return gossip.mixing(graphs, "metropolis", layout="dense", connected=False)
