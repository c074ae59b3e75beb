"""Networks that score candidates one by one, and checks of the networks of constrained learners.

Shapes: ``C`` features of the context, ``K`` candidates, ``D`` features of a candidate.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.rl.heads import categorical
from jaxswarm.rl.networks import Network
from jaxswarm.types import Key, Params, PyTree


class _Scores(nn.Module):
    """Outputs ``[...]`` of inputs ``[..., D]``: hidden layers of ``tanh`` units, then one unit."""

    widths: Sequence[int]
    last_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = jnp.tanh(layers.Dense(width)(x))
        last = layers.variance_scaling(self.last_scale, "fan_in", "truncated_normal")
        return layers.Dense(1, kernel_init=last)(x)[..., 0]


def candidate_network(
    num_context: int,
    num_candidates: int,
    num_features: int,
    *,
    widths: Sequence[int] = (32,),
) -> Network:
    """Make an actor that scores every candidate alike, and a critic of the whole slate.

    Features are the context followed by the candidates, ``[C + K · D]``. The actor's logit of a
    candidate depends on it and the context, so that permuting candidates permutes the
    probabilities. The critic is given the context and the mean over candidates.

    Args:
        num_context: ``C``, may be 0.
        num_candidates: ``K``.
        num_features: ``D``.
        widths: of hidden layers; none makes both linear, and the actor's choice then does not
            depend on the context.

    Returns:
        A network with a categorical head, as of :func:`jaxswarm.rl.actor_critic_network`.

    Raises:
        ValueError: without candidates, or for sizes out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.rl import constrained
        >>> network = constrained.candidate_network(2, 3, 4)
        >>> params = network.init(jax.random.key(0))
        >>> network.actor(params["actor"], (), jnp.zeros(2 + 3 * 4))[1].shape
        (3,)
    """
    c = checks.whole("num_context", num_context)
    k = checks.whole("num_candidates", num_candidates, 1)
    d = checks.whole("num_features", num_features, 1)
    sizes = tuple(int(x) for x in checks.wholes("widths", tuple(widths), 1, shape=(None,)))
    actor_net, critic_net = _Scores(sizes, 1e-4), _Scores(sizes, 1.0)

    def slate(features: jax.Array) -> tuple[jax.Array, jax.Array]:
        checks.numbers("features", features, (c + k * d,))
        return features[:c], features[c:].reshape(k, d)

    def actor_input(features: jax.Array) -> jax.Array:
        context, candidates = slate(features)
        if not sizes:
            return candidates
        shown = jnp.broadcast_to(context[None], (k, c))
        return jnp.concatenate([shown, candidates], axis=1)

    def critic_input(features: jax.Array) -> jax.Array:
        context, candidates = slate(features)
        return jnp.concatenate([context, candidates.mean(axis=0)])

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        empty = jnp.zeros(c + k * d)
        return {
            "actor": actor_net.init(actor_key, actor_input(empty))["params"],
            "critic": critic_net.init(critic_key, critic_input(empty))["params"],
        }

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        scores: Any = actor_net.apply({"params": params}, actor_input(features))
        return carry, scores

    def critic(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        value: Any = critic_net.apply({"params": params}, critic_input(features))
        return carry, value

    return Network(categorical(k), init, lambda: {"actor": (), "critic": ()}, actor, critic)


def check_plain(network: Any) -> Network:
    """Check that a network is feed-forward, with its head's distribution and its own features.

    Raises:
        ValueError: for anything else.
    """
    checks.instance("network", network, Network, "constrained.candidate_network(4, 8, 10)")
    if network.recurrent or network.centralized or network.distribution is not None:
        raise ValueError(
            "network: expected a feed-forward network whose critic is given its own features, "
            "with the head's distribution, got another"
        )
    return network
