"""SybilWall: aggregation that weighs down similar histories, exchanged between agents."""

from jaxswarm.systems.sybilwall._sybilwall import HISTORIES, Records, SybilWallState, sybilwall
from jaxswarm.systems.sybilwall.graphs import SybilSwarm, with_sybils

__all__ = ["HISTORIES", "Records", "SybilSwarm", "SybilWallState", "sybilwall", "with_sybils"]
