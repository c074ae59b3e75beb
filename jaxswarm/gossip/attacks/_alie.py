"""A little is enough (ALIE): shift messages by a fraction of the honest standard deviation.

References:
    G. Baruch, M. Baruch, Y. Goldberg, A little is enough: circumventing defenses for distributed
    learning, 2019.
"""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.gossip.attacks._honest import honest_agents, honest_moments
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key, Params, PyTree


def alie(z: float | jax.Array | None = None) -> Attack:
    """Send the honest mean minus ``z`` honest standard deviations, in every coordinate.

    All Byzantine agents send the same. Small enough to hide among honest messages, and always to
    one side.

    Args:
        z: deviations; may be traced. If omitted, the paper's largest that still has enough honest
            supporters, from the numbers of all agents and of Byzantine ones (0.3 at least).

    Raises:
        ValueError: if a concrete ``z`` is not a finite number.
    """
    if z is not None:
        checks.real("z", z)

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del key, params
        honest = honest_agents(messages, byzantine, exchange)
        deviations = largest_z(byzantine) if z is None else z

        def leaf(x: jax.Array) -> jax.Array:
            mean, deviation = honest_moments(x, honest)
            return jnp.broadcast_to(mean - deviations * deviation, x.shape).astype(x.dtype)

        return jax.tree.map(leaf, messages)

    return Attack(forge)


def largest_z(byzantine: jax.Array) -> jax.Array:
    """Compute ``Φ⁻¹((n − m − s) / (n − m))``, ``s = ⌊n/2⌋ + 1 − m`` supporters; in ``[0.3, 3]``."""
    n = byzantine.shape[0]
    table = []
    for m in range(n):
        supporters = max(n // 2 + 1 - m, 0)
        share = (n - m - supporters) / (n - m)
        table.append(NormalDist().inv_cdf(share) if 0.0 < share < 1.0 else 3.0 * (share >= 1.0))
    z = jnp.asarray(np.clip(table, 0.3, 3.0), jnp.float32)
    return z[jnp.minimum(jnp.sum(byzantine), n - 1)]
