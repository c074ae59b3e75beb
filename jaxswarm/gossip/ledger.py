"""What was sent since the start of a run."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.gossip.types import no_traffic


class Ledger(NamedTuple):
    """Traffic since the start, by compensated summation: error about 1e-7 for any run length.

    Attributes:
        total: messages and bytes so far; any other tree of sums will do.
        residue: what rounding has left out of ``total``.
    """

    total: Any
    residue: Any

    @classmethod
    def empty(cls) -> "Ledger":
        """Nothing sent yet."""
        return cls(no_traffic(), no_traffic())

    def add(self, traffic: Any) -> "Ledger":
        """The ledger after one more round."""
        corrected = jax.tree.map(jnp.subtract, traffic, self.residue)
        total = jax.tree.map(jnp.add, self.total, corrected)
        residue = jax.tree.map(lambda t, old, c: (t - old) - c, total, self.total, corrected)
        return Ledger(total, residue)
