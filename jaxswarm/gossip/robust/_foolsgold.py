"""FoolsGold over neighbourhoods: who always pulls the same way as another is thought a Sybil.

Shapes: ``N`` agents, ``K`` in-neighbour slots, ``P`` parameters of one agent.

References:
    C. Fung, C. Yoon, I. Beschastnikh, The limitations of federated learning in Sybil settings,
    2020.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.gossip.robust._neighborhoods import Near, over_neighborhoods
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.topology import Topology


def foolsgold(
    topology: Topology, *, chunk: int | None = None, member: int | jax.Array | None = None
) -> GossipTransformation:
    """Average with weights that fall with the similarity of two neighbours' histories.

    The history of a neighbour is the sum, over the rounds in which it was heard, of the difference
    of its message to the receiver's own model: what it has pulled for. (The paper sums updates to a
    server's model; without a server the receiver's own model takes its place.) The own model weighs
    1, a neighbour at most 1, and one whose history equals another's 0. Made against colluding
    copies, blind to a lone attacker; without attackers it is the uniform mean only where histories
    are not alike.

    The state is ``float32[N, K, P]``: as large as all messages of a round.

    Args:
        topology: who hears whom; a single graph, since histories belong to its edges, or a batch of
            which ``member`` is used.
        chunk: agents at a time, see :func:`over_neighborhoods`.
        member: which graph of a batch; may be traced, so that a sweep over graphs compiles once.

    Raises:
        ValueError: for a sequence of topologies without ``member``.
    """
    if topology.is_sequence and member is None:
        raise ValueError(
            "topology: foolsgold expects a single graph, got a sequence; pass member for a batch"
        )

    def aggregate(near: Near, history: jax.Array) -> tuple[jax.Array, jax.Array]:
        pulled = jnp.where(near.arrived[:, None], near.received - near.own[None], 0.0)
        history = history + jnp.where(jnp.isfinite(pulled), pulled, 0.0)
        weights = foolsgold_weights(history, near.arrived)
        voices = 1.0 + jnp.sum(weights)
        mixed = (near.own + jnp.sum(weights[:, None] * near.received, axis=0)) / voices
        return mixed, history

    rule = over_neighborhoods(
        topology,
        aggregate,
        remember=lambda n, width, size: jnp.zeros((n, width, size)),
        chunk=chunk,
    )
    if member is None:
        return rule

    def of_member(key: Any, params: Any, state: Any, round: Exchange, **extra: Any) -> Any:
        return rule.mix(key, params, state, round._replace(index=member), **extra)

    return GossipTransformation(rule.init, of_member)


def foolsgold_weights(
    histories: jax.Array, valid: jax.Array, counted: jax.Array | None = None
) -> jax.Array:
    """``float32[K]`` in ``[0, 1]``: trust in each of the histories ``[K, P]``.

    Cosine similarities to the others, pardoning, inversion, rescaling to a maximum of 1 and a logit
    about 1/2, all clipped to ``[0, 1]``. A zero history is similar to nothing; fewer than two
    histories cannot be compared and are trusted.

    Args:
        histories: ``[K, P]``.
        valid: ``bool[K]``: which of them are there to be compared.
        counted: ``bool[K]``: whose trust is asked for, all that are there by default. The others
            only serve to compare with: they get 0 and do not set the scale.
    """
    # Scaled first: the square of a model blown up on purpose overflows and would look like none.
    histories = jnp.clip(jnp.nan_to_num(histories), -1e37, 1e37)  # 1 / 1e38 would underflow
    largest = jnp.max(jnp.abs(histories), axis=1, initial=0.0, keepdims=True)
    histories = histories / jnp.where(largest > 0, largest, 1.0)
    gram = jnp.matmul(histories, histories.T, precision=jax.lax.Precision.HIGHEST)
    square = jnp.diag(gram)
    scale = jnp.where(square > 0, jax.lax.rsqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    similar = gram * scale[:, None] * scale[None, :]
    pair = valid[:, None] & valid[None, :] & ~jnp.eye(len(valid), dtype=bool)
    alone = ~jnp.any(pair, axis=1)
    most = jnp.where(alone, 0.0, jnp.max(similar, axis=1, where=pair, initial=-jnp.inf)) + 1e-5
    # The less suspicious of a pair is pardoned by the ratio of their maxima.
    ratio = most[:, None] / jnp.where(most[None, :] == 0, 1.0, most[None, :])
    pardoned = jnp.where(most[:, None] < most[None, :], similar * ratio, similar)
    worst = jnp.where(alone, 0.0, jnp.max(pardoned, axis=1, where=pair, initial=-jnp.inf))
    asked = valid if counted is None else valid & counted
    trust = jnp.where(asked, jnp.clip(1.0 - worst, 0.0, 1.0), 0.0)
    trust = jnp.where(trust < 1e-5, 0.0, trust)  # copies up to rounding: not to be scaled up
    largest = jnp.max(trust, initial=0.0)
    trust = trust / jnp.where(largest > 0, largest, 1.0)
    certain = jnp.clip(trust, 1e-6, 1.0 - 1e-6)
    logit = jnp.clip(jnp.log(certain / (1.0 - certain)) + 0.5, 0.0, 1.0)
    return jnp.where(asked & (trust > 0), logit, 0.0)
