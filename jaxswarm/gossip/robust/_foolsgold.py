"""FoolsGold over neighbourhoods: weights that fall with the similarity of message histories.

Shapes: ``N`` agents, ``K`` in-neighbour slots, ``P`` parameters of one agent.

References:
    C. Fung, C. Yoon, I. Beschastnikh, The limitations of federated learning in Sybil settings,
    2020.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.gossip.robust._neighborhoods import Neighborhood, over_neighborhoods
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.topology import Topology, require_topology
from jaxswarm.types import Key, Params, PyTree


def foolsgold(
    topology: Topology, *, chunk: int | None = None, member: int | jax.Array | None = None
) -> GossipTransformation:
    """Average with weights that fall with the similarity of two neighbours' histories (FoolsGold).

    The history of a neighbour is the sum, over the rounds in which its message arrived, of the
    difference of that message to the receiver's own model. (The paper sums updates to a server's
    model; without a server the receiver's own model takes its place.) The own model weighs 1, a
    neighbour at most 1, and one whose history equals another's 0. Made against colluding copies, no
    defence against a single attacker; without attackers it is the uniform mean only where histories
    differ.

    The state is ``float32[N, K, P]``: as large as all messages of a round.

    Args:
        topology: a single graph, since histories belong to its edges, or a batch of which
            ``member`` is used.
        chunk: agents at a time, see :func:`over_neighborhoods`.
        member: which graph of a batch; may be traced, so that a sweep over graphs compiles once.

    Raises:
        ValueError: for a sequence of topologies without ``member``, or a ``member`` that it does
            not have.
    """
    require_topology(topology)
    if topology.is_sequence and member is None:
        raise ValueError(
            "topology: foolsgold expects a single graph, got a sequence; pass member for a batch"
        )
    if member is not None:
        member = checks.index("member", member, topology.length if topology.is_sequence else 1)

    def aggregate(near: Neighborhood, history: jax.Array) -> tuple[jax.Array, jax.Array]:
        change = jnp.where(near.arrived[:, None], near.received - near.own[None], 0.0)
        history = history + jnp.where(jnp.isfinite(change), change, 0.0)
        weights = foolsgold_weights(history, near.arrived)
        total = 1.0 + jnp.sum(weights)
        mixed = (near.own + jnp.sum(weights[:, None] * near.received, axis=0)) / total
        return mixed, history

    rule = over_neighborhoods(
        topology,
        aggregate,
        init_state=lambda n, width, size: jnp.zeros((n, width, size)),
        chunk=chunk,
    )
    if member is None:
        return rule

    def mix_member(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        return rule.mix(key, params, state, exchange._replace(index=member))

    return GossipTransformation(rule.init, mix_member, rule.supports)


def foolsgold_weights(
    histories: jax.Array, valid: jax.Array, counted: jax.Array | None = None
) -> jax.Array:
    """Compute FoolsGold's weights in ``[0, 1]`` of histories by their cosine similarities.

    Cosine similarities to the others, pardoning, inversion, rescaling to a maximum of 1 and a logit
    about 1/2, all clipped to ``[0, 1]``. A zero history is similar to nothing; a single history
    cannot be compared and gets full weight.

    Args:
        histories: ``[K, P]``.
        valid: ``bool[K]``: which of them are compared.
        counted: ``bool[K]``: which of them get a weight, all valid ones by default. The others
            only serve as comparisons: they get 0 and do not set the scale.

    Returns:
        ``float32[K]``.
    """
    # Scaled first: the square of a very large model overflows and would look like a zero history.
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
