"""Variance-corrected averaging: the cure for the vanishing variance of averaged networks.

Averaging ``M`` uncorrelated (independently initialised) networks divides each layer's weight
variance by about ``M`` and stalls learning; rescaling the averaged layer to the contributors' own
variance undoes it.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    Y. Tian et al., Vanishing variance problem in fully decentralized neural-network systems, 2024.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import errors
from jaxswarm.gossip._mixing import mix
from jaxswarm.gossip.rounds import Source, operator, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic

TARGETS = ("others", "self", "conservative")


def layer_variance(params: PyTree) -> PyTree:
    """Unbiased variance over the entries of each layer of each agent: leaves ``[N, ...] -> [N]``.

    Layers of a single entry have variance 0.
    """

    def leaf(x: jax.Array) -> jax.Array:
        flat = x.reshape(x.shape[0], -1).astype(jnp.promote_types(x.dtype, jnp.float32))
        if flat.shape[1] < 2:
            return jnp.zeros(x.shape[0], flat.dtype)
        return jnp.var(flat, axis=1, ddof=1)

    return jax.tree.map(leaf, params)


def variance_corrected(
    W: Source,
    *,
    self_weight: float | jax.Array = 0.5,
    target: str = "others",
    correct: bool = True,
    epsilon: float = 1e-12,
) -> GossipTransformation:
    """Conservative averaging whose layers are rescaled to the contributors' variance.

    ``x̄_i = c x_i + (1 − c) Σ_j w̃_ij m_j`` with the others' weights normalised to sum to one, then
    every layer is rescaled about its own mean so that its variance becomes the target. A constant
    layer (a fresh bias) stays as it is; an agent that hears nobody keeps its own.

    Args:
        W: whom an agent hears and how the others' weights compare; its own weight is
            ``self_weight``.
        self_weight: ``c`` in ``[0, 1]``.
        target: variance to restore: the mean of the ``"others"``', the agent's own (``"self"``), or
            ``"conservative"``, ``c`` parts own and ``1 − c`` parts others.
        correct: false gives the same conservative average uncorrected, the paper's baseline.
        epsilon: positive floor below which a variance counts as zero (then nothing is rescaled).

    Raises:
        ValueError: on an unknown target, ``self_weight`` outside ``[0, 1]`` or ``epsilon <= 0``.
    """
    if target not in TARGETS:
        raise errors.unknown("target", target, TARGETS)
    if not isinstance(self_weight, jax.Array) and not 0.0 <= self_weight <= 1.0:
        raise ValueError(f"self_weight: expected a number in [0, 1], got {self_weight}")
    if epsilon <= 0:
        raise ValueError(f"epsilon: expected a positive number, got {epsilon}")

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        del extra
        now = operator(W, key, round)
        mix(now, params)  # checks shapes and dtypes; the result is unused and never computed
        told = params if messages is None else messages
        heard = 1.0 - now.self_weights
        hears = heard > 1e-6
        share = jnp.where(hears, (1.0 - self_weight) / jnp.where(hears, heard, 1.0), 0.0)
        own_share = jnp.where(hears, self_weight, 1.0)

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            n = own.shape[0]
            column = (n,) + (1,) * (own.ndim - 1)
            mixed = own_share.reshape(column) * own + share.reshape(column) * now.receive(message)
            if not correct or own.size == n:
                return mixed.astype(own.dtype)
            own_variance = layer_variance(own)
            others = now.receive(layer_variance(message)) / jnp.where(hears, heard, 1.0)
            wanted = {
                "others": others,
                "self": own_variance,
                "conservative": self_weight * own_variance + (1.0 - self_weight) * others,
            }[target]
            actual = layer_variance(mixed)
            sound = hears & (actual > epsilon) & (wanted > epsilon)
            factor = jnp.sqrt(jnp.where(sound, wanted, 1.0) / jnp.where(sound, actual, 1.0))
            center = jnp.mean(mixed, axis=tuple(range(1, own.ndim)), keepdims=True)
            rescaled = center + factor.reshape(column) * (mixed - center)
            return jnp.where(sound.reshape(column), rescaled, mixed).astype(own.dtype)

        return jax.tree.map(leaf, params, told), state, traffic_of(now.num_messages(), params)

    return GossipTransformation(lambda params: (), mix_fn)
