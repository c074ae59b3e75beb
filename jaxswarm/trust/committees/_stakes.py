"""Stakes of nodes: rewards for agreeing with a consensus, penalties for deviating from it."""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike


def settle(
    stakes: ArrayLike,
    members: ArrayLike,
    agrees: ArrayLike,
    accepted: ArrayLike,
    *,
    reward: ArrayLike = 0.01,
    penalty: ArrayLike = 0.5,
) -> jax.Array:
    """Pay members that agree with an accepted output and cut the stakes of those that deviate.

    Committees without a consensus change nothing. A node that deviates in several committees of a
    round is cut once for each. For reputation as a moving average see
    :func:`jaxswarm.trust.ranking.update_reputation`.

    Args:
        stakes: ``float[N]``, at least 0.
        members: ``int[R, k]``, nodes of each committee.
        agrees: ``bool[R, k]``, see :class:`Decision`.
        accepted: ``bool[R]``.
        reward: added for each agreement.
        penalty: share in ``[0, 1]`` that each deviation takes.

    Returns:
        ``float32[N]``.

    Raises:
        ValueError: for numbers out of range or shapes that do not fit.

    Example:
        >>> settle([1.0, 1.0, 1.0], [[0, 1, 2]], [[True, True, False]], [True]).tolist()
        [1.0..., 1.0..., 0.5]
    """
    checks.real("stakes", stakes, 0.0, shape=(None,))
    held = checks.numbers("stakes", stakes).astype(jnp.float32)
    nodes = jnp.asarray(checks.wholes("members", members, 0, held.size - 1, shape=(None, None)))
    good = jnp.asarray(checks.mask("agrees", agrees, nodes.shape))
    decided = jnp.asarray(checks.mask("accepted", accepted, nodes.shape[:1]))
    checks.real("reward", reward, 0.0)
    checks.probability("penalty", penalty)
    good, bad = good & decided[:, None], ~good & decided[:, None]

    def count(flags: jax.Array) -> jax.Array:
        return jnp.zeros(held.shape).at[nodes].add(flags.astype(jnp.float32))

    return held * (1.0 - penalty) ** count(bad) + reward * count(good)
