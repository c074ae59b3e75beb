"""Parts of Symphony's joint loss: the scale regularizer, robust errors, a pessimistic mean.

Shapes: ``B`` items of a batch, ``A`` numbers of an action, ``n`` nodes of all critics, ``K``
critics with ``H`` nodes each.

References:
    T. Ishuov et al., Symphony, 2025.
"""

import jax
import jax.numpy as jnp
import numpy as np


def split_outputs(outputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Action ``A`` in ``(-1, 1)``, scale ``S`` and width ``B`` in ``(0, 1)``, each ``[…, A]``.

    Args:
        outputs: of the actor, ``[…, 3 A]``.

    Raises:
        ValueError: for outputs that are not of three equal parts.
    """
    if not jnp.ndim(outputs) or jnp.shape(outputs)[-1] % 3:
        raise ValueError(f"outputs: expected shape [..., 3 A], got {jnp.shape(outputs)}")
    action, scale, width = jnp.split(jnp.tanh(outputs / 2.0), 3, axis=-1)
    low, high = 1e-3, 1.0 - 1e-3
    return action, jnp.clip(jnp.abs(scale), low, high), jnp.clip(jnp.abs(width), low, high)


def swaddling(outputs: jax.Array) -> jax.Array:
    """Regularizer of the scales, ``[B]``: minimal at ``S = 1/e``, unbounded as ``S, B → 1``."""
    _, scale, width = split_outputs(outputs)
    wide = barrier(scale ** (1.0 / jax.lax.stop_gradient(width)))
    return jnp.mean(wide + width * scale * jnp.log(scale) + barrier(width**2), axis=-1)


def barrier(x: jax.Array) -> jax.Array:
    """``ln((1 + x) / (1 - x))``: 0 at 0, infinite towards 1."""
    return jnp.log1p(x) - jnp.log1p(-x)


def square_loss(x: jax.Array) -> jax.Array:
    """``x tanh(x/2)``: about ``x²/2`` for small ``x``, ``|x|`` for large."""
    return x * jnp.tanh(x / 2.0)


def advantage_loss(x: jax.Array) -> jax.Array:
    """``|x| tanh(x/2)``: :func:`square_loss` with the sign of ``x``."""
    return jnp.abs(x) * jnp.tanh(x / 2.0)


def join_critics(nodes: jax.Array) -> jax.Array:
    """Nodes of all critics side by side, ``[K, B, H] -> [B, K H]``."""
    return jnp.moveaxis(nodes, 0, 1).reshape(nodes.shape[1], -1)


def pessimistic_mean(values: jax.Array) -> jax.Array:
    """Weighted mean ``[B]`` of values ``[B, n]``: the lower a value, the larger its weight.

    Ranks are counted rather than sorted, which takes a CPU a fraction of the time at these sizes.
    """
    n = values.shape[-1]
    own, other = values[:, :, None], values[:, None, :]
    before = (other < own) | ((other == own) & np.tri(n, k=-1, dtype=bool)[None])
    rank = jnp.sum(before, axis=-1)
    weight = jnp.tanh((np.pi * (1.0 - rank / n)) ** np.e)
    return jnp.sum(values * weight, axis=-1) / np.sum(
        np.tanh((np.pi * (1.0 - np.arange(n) / n)) ** np.e)
    )
