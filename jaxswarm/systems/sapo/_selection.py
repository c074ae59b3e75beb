"""Choice of groups of responses: the zero-advantage filter and a masked draw of fixed size.

Shapes: ``C`` candidates, ``J`` chosen, ``G`` responses of a group.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import Key


def informative(rewards: jax.Array) -> jax.Array:
    """Whether the rewards of a group differ, so that its advantages are not all zero.

    Args:
        rewards: ``[..., G]``.

    Returns:
        ``bool[...]``; false for rewards that are not finite.

    Raises:
        ValueError: for fewer than two responses.

    Example:
        >>> import jax.numpy as jnp
        >>> informative(jnp.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
        [True, False]
    """
    rewards = checks.numbers("rewards", rewards)
    if not rewards.ndim or rewards.shape[-1] < 2:
        raise ValueError(
            f"rewards: expected at least two responses in each group, got shape {rewards.shape}"
        )
    finite = jnp.all(jnp.isfinite(rewards), axis=-1)
    return finite & (jnp.max(rewards, axis=-1) > jnp.min(rewards, axis=-1))


def choose_groups(key: Key, eligible: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Draw ``J`` different eligible candidates uniformly; slots that find none are padding.

    Args:
        key: consumed.
        eligible: ``bool[C]``.
        count: ``J >= 0``.

    Returns:
        ``(index int32[J], valid bool[J])``: the valid slots come first; padding has index 0.

    Raises:
        ValueError: for arguments of another kind.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> eligible = jnp.array([False, True, False, True])
        >>> index, valid = choose_groups(jax.random.key(0), eligible, 3)
        >>> sorted(index[:2].tolist()), valid.tolist()
        ([1, 3], [True, True, False])
    """
    checks.key(key)
    eligible = jnp.asarray(checks.mask("eligible", eligible, (None,)))
    count = checks.whole("count", count)
    size = eligible.shape[0]
    if not count or not size:
        return jnp.zeros(count, jnp.int32), jnp.zeros(count, bool)
    noise = jnp.where(eligible, jax.random.uniform(key, (size,)), -1.0)
    top, index = jax.lax.top_k(noise, min(count, size))
    valid = top >= 0.0
    missing = (0, count - min(count, size))
    index = jnp.where(valid, index, 0).astype(jnp.int32)
    return jnp.pad(index, missing), jnp.pad(valid, missing)
