"""SybilWall: aggregation against Sybil attacks by histories that agents exchange.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil resilience in decentralized learning, 2023.
"""

from jaxswarm.systems.sybilwall._sybilwall import HISTORIES, Records, SybilWallState, sybilwall
from jaxswarm.systems.sybilwall.graphs import SybilSwarm, with_sybils

__all__ = ["HISTORIES", "Records", "SybilSwarm", "SybilWallState", "sybilwall", "with_sybils"]
