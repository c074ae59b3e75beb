"""DecAvg on disrupted networks: average the living neighbours, then train locally."""

from jaxswarm.systems.disrupted._decavg import WEIGHTINGS, decavg, decavg_mixing, living_average

__all__ = ["WEIGHTINGS", "decavg", "decavg_mixing", "living_average"]
