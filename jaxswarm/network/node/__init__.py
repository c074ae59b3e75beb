"""A real node: independent processes exchange arrays over TCP, without collectives.

What :mod:`jaxswarm.network.transport` simulates, on sockets: a slow or dead peer stops no other.
Nothing here uses JAX; frames carry raw arrays and are never unpickled.
"""

from jaxswarm.network.node._frames import Refused, decode, encode
from jaxswarm.network.node._node import REASONS, Node

__all__ = ["REASONS", "Node", "Refused", "decode", "encode"]
