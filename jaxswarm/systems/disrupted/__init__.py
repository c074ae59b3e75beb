"""DecAvg on disrupted networks: renormalised averaging of live neighbours, then local training."""

from jaxswarm.systems.disrupted._decavg import (
    WEIGHTINGS,
    decavg,
    decavg_mixing,
    renormalized_averaging,
)

__all__ = ["WEIGHTINGS", "decavg", "decavg_mixing", "renormalized_averaging"]
