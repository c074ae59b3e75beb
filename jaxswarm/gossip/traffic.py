"""Count messages and bytes: traffic of a round, and its sum since the start of a run.

The size of one message is :func:`jaxswarm.agents.message_size`; what collectives of a compiled
program move between devices is counted in :mod:`jaxswarm.sharding.collectives`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.types import Params, PyTree


class Traffic(NamedTuple):
    """What was sent: scalars, float32 so that a million rounds do not overflow.

    Exact up to 2²⁴ per round, relative error 6e-8 beyond.

    Attributes:
        messages: number of directed agent-to-agent messages.
        bytes: their payload.
    """

    messages: jax.Array
    bytes: jax.Array


def no_traffic() -> Traffic:
    """Return the traffic of a round in which nothing is sent."""
    return Traffic(jnp.zeros(()), jnp.zeros(()))


def traffic_of(num_messages: jax.Array, params: Params) -> Traffic:
    """Return the traffic of ``num_messages`` messages that each carry one agent's parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> float(traffic_of(jnp.float32(10), {"w": jnp.zeros((4, 3))}).bytes)
        120.0
    """
    _, size = agents.message_size(params)
    return Traffic(num_messages, num_messages * size)


class Ledger(NamedTuple):
    """Traffic since the start, by compensated summation: error about 1e-7 for any run length.

    Attributes:
        total: messages and bytes so far; any other tree of sums will do.
        residue: what rounding has left out of ``total``.
    """

    total: PyTree
    residue: PyTree

    @classmethod
    def empty(cls) -> "Ledger":
        """Return the ledger before the first round."""
        return cls(no_traffic(), no_traffic())

    def add(self, traffic: PyTree) -> "Ledger":
        """Return the ledger after one more round."""
        corrected = jax.tree.map(jnp.subtract, traffic, self.residue)
        total = jax.tree.map(jnp.add, self.total, corrected)
        residue = jax.tree.map(lambda t, old, c: (t - old) - c, total, self.total, corrected)
        return Ledger(total, residue)
