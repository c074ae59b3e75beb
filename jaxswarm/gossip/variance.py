"""Variance-corrected averaging: rescale averaged layers to their contributors' variance.

Averaging ``M`` uncorrelated (independently initialised) networks divides each layer's weight
variance by about ``M`` and stalls learning; rescaling the averaged layer to the contributors' own
variance restores it.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    Y. Tian et al., Vanishing variance problem in fully decentralized neural-network systems, 2024.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks, errors
from jaxswarm.gossip._operator import weighted
from jaxswarm.gossip.sources import Source, current_operator, require_source, restrictions
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.types import Key, Params, PyTree

TARGETS = ("others", "self", "conservative")


def layer_variance(params: Params) -> PyTree:
    """Compute the unbiased variance of the entries of each layer: leaves ``[N, ...] -> [N]``.

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
    """Average conservatively and rescale each layer to the contributors' variance.

    ``x̄_i = c x_i + (1 − c) Σ_j w̃_ij m_j`` with the others' weights normalised to sum to one, then
    every layer is rescaled about its own mean so that its variance becomes the target. A constant
    layer (a fresh bias) stays as it is; an agent that receives nothing keeps its own model.

    Args:
        W: in-neighbours and the relative weights of their messages; the weight of the agent's own
            model is ``self_weight``.
        self_weight: ``c`` in ``[0, 1]``.
        target: variance to restore: the mean of the ``"others"``', the agent's own (``"self"``), or
            ``"conservative"``, ``c`` parts own and ``1 − c`` parts others.
        correct: false gives the same conservative average uncorrected, the paper's baseline.
        epsilon: positive floor below which a variance counts as zero (then nothing is rescaled).

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: if ``W`` is no operator, on an unknown target, ``self_weight`` outside
            ``[0, 1]``, ``epsilon <= 0``, or either of them NaN.
    """
    require_source(W, "variance_corrected")
    if target not in TARGETS:
        raise errors.unknown("target", target, TARGETS)
    checks.probability("self_weight", self_weight)
    checks.real("epsilon", epsilon, above=0.0)

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        now = current_operator(W, key, exchange)
        agents.check_params(params, now.num_agents)
        weight_of_others = 1.0 - now.self_weights
        receives = weight_of_others > 1e-6
        total = jnp.where(receives, weight_of_others, 1.0)
        share = jnp.where(receives, (1.0 - self_weight) / total, 0.0)
        own_share = jnp.where(receives, self_weight, 1.0)

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            received = now.receive(message)
            mixed = weighted(own_share, own) + weighted(share, received)
            if not correct or own.size == own.shape[0]:
                return mixed.astype(own.dtype)
            own_variance = layer_variance(own)
            others = now.receive(layer_variance(message)) / total
            wanted = {
                "others": others,
                "self": own_variance,
                "conservative": self_weight * own_variance + (1.0 - self_weight) * others,
            }[target]
            actual = layer_variance(mixed)
            rescale = receives & (actual > epsilon) & (wanted > epsilon)
            factor = jnp.sqrt(jnp.where(rescale, wanted, 1.0) / jnp.where(rescale, actual, 1.0))
            center = jnp.mean(mixed, axis=tuple(range(1, own.ndim)), keepdims=True)
            rescaled = center + agents.expand(factor, own) * (mixed - center)
            return jnp.where(agents.expand(rescale, own), rescaled, mixed).astype(own.dtype)

        mixed = jax.tree.map(leaf, params, exchange.sent(params))
        return mixed, state, traffic_of(now.num_messages(), params)

    supports = {"messages"} | restrictions(W)
    return GossipTransformation(lambda params: (), mix_fn, frozenset(supports))
