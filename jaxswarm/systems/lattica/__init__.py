"""Lattica: a model in blocks spreads from one peer to all, over peers behind NATs.

The layers below have packages of their own: :mod:`jaxswarm.network.transport` (NATs, relays,
requests), :mod:`jaxswarm.network.dht`, :mod:`jaxswarm.network.crdt` and
:mod:`jaxswarm.network.blocks`.
"""

from jaxswarm.systems.lattica._spread import METHODS, Spread, spread

__all__ = ["METHODS", "Spread", "spread"]
