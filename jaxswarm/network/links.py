"""Message loss on links, and partitions of the network into groups.

Which property of doubly stochastic weights on an undirected graph survives (the weight of a missing
message is added to its receiver's self-weight, see ``gossip.Mixing.restrict``):

* one direction lost without the other: rows sum to one, columns do not. Agents still reach
  consensus, on another value than the average.
* both directions of an edge lost together (``symmetric=True``, partitions, absent agents): rows and
  columns still sum to one, if the weights are symmetric. The average is kept exactly.
* column-stochastic weights (push-sum): the weight returns to the sender, columns always sum to one.

Shapes: ``N`` agents, ``E`` directed edge slots of the topology.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.gossip.types import Exchange
from jaxswarm.network.process import (
    Network,
    check_integer,
    check_probability,
    expect_single,
)
from jaxswarm.topology import Topology, require_symmetric, require_topology, reverse_slots
from jaxswarm.topology.validation import is_concrete
from jaxswarm.types import ArrayLike


def link_loss(topology: Topology, probability: ArrayLike, *, symmetric: bool = False) -> Network:
    """Lossy links: every message is lost independently with a given probability.

    Args:
        topology: the graph whose edge slots are delivered or not; a sequence is used cyclically by
            round.
        probability: of a loss, in ``[0, 1]``, a scalar or ``[E]``; may be traced. With
            ``symmetric=True`` and ``[E]``, give both directions of an edge the same.
        symmetric: lose both directions of an edge together, which keeps symmetric weights doubly
            stochastic.

    Raises:
        ValueError: for a probability out of range or of another shape; ``symmetric`` for a directed
            graph.

    Example:
        >>> import jax
        >>> from jaxswarm import topology
        >>> network = link_loss(topology.ring(500), 0.2)
        >>> _, exchange = network.step(jax.random.key(0), network.init(), 0)
        >>> exchange.delivered.shape, round(float(exchange.delivered.mean()), 1)
        ((1000,), 0.8)
    """
    require_topology(topology)
    checks.flag("symmetric", symmetric)
    loss = check_probability("probability", probability, topology.num_edge_slots)
    if symmetric and is_concrete(topology):
        require_symmetric(topology, "symmetric link loss")
        if np.ndim(probability) and not checks.is_traced(probability):
            back = np.asarray(reverse_slots(topology))
            if not topology.is_sequence and not np.array_equal(loss, np.asarray(loss)[back]):
                raise ValueError(
                    "probability: expected the same for both directions of an edge with "
                    "symmetric=True"
                )

    def step(key: jax.Array, state: tuple[()], index: ArrayLike) -> tuple[tuple[()], Exchange]:
        member = topology
        if topology.is_sequence:
            member = jax.tree.map(jnp.asarray, topology)[jnp.asarray(index) % topology.length]
        u = link_uniforms(key, member, symmetric=symmetric)
        return state, Exchange(index, delivered=u >= loss)

    return Network(lambda: (), step)


def partitioned(
    topology: Topology,
    groups: ArrayLike,
    at: int | jax.Array,
    heals: int | jax.Array | None = None,
) -> Network:
    """Partition the network: no message crosses between groups from round ``at`` to ``heals``.

    Agents stay alive and learn within their group. Both directions of an edge are cut together, so
    symmetric weights stay doubly stochastic: every group keeps its own average.

    Args:
        topology: the graph whose edge slots are delivered or not.
        groups: ``int[N]``, the group of each agent; ``bool[N]`` for two groups.
        at: first round of the partition, at least 0; may be traced.
        heals: first round after it, later than ``at``; ``None`` for never.

    Raises:
        ValueError: for another number of groups than agents, rounds out of order, or a sequence of
            topologies.
    """
    expect_single(topology, "partitioned")
    if getattr(groups, "dtype", None) == np.bool_:  # two groups
        groups = jnp.asarray(groups, jnp.int32)
    wanted = (topology.num_agents,)
    label = jnp.asarray(checks.wholes("groups", groups, -checks.LARGEST, shape=wanted))
    start, stop = check_window(at, heals, "heals")
    inside = label[jnp.asarray(topology.senders)] == label[jnp.asarray(topology.receivers)]

    def step(key: jax.Array, state: tuple[()], index: ArrayLike) -> tuple[tuple[()], Exchange]:
        del key
        return state, Exchange(index, delivered=inside | ~during(index, start, stop))

    return Network(lambda: (), step)


def link_uniforms(key: jax.Array, topology: Topology, *, symmetric: bool = False) -> jax.Array:
    """Uniform ``float32[E]`` in ``[0, 1)``, each from its link's own stream ``fold_in(key, ends)``.

    With ``symmetric`` both directions of an edge get the same number.

    Raises:
        ValueError: if the key is not a typed one.
    """
    checks.key(key)
    senders, receivers = jnp.asarray(topology.senders), jnp.asarray(topology.receivers)
    if symmetric:
        senders, receivers = jnp.minimum(senders, receivers), jnp.maximum(senders, receivers)

    def draw(sender: jax.Array, receiver: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, sender), receiver))

    return jax.vmap(draw)(senders, receivers)


def check_window(
    at: int | jax.Array, end: int | jax.Array | None, name: str
) -> tuple[jax.Array, jax.Array | None]:
    """``(at, end)`` as validated round numbers; ``None`` for no end.

    Raises:
        ValueError: if one is negative or ``end <= at``.
    """
    start = check_integer("at", at)
    if end is None:
        return jnp.asarray(start, jnp.int32), None
    stop = check_integer(name, end)
    if isinstance(start, int) and isinstance(stop, int) and stop <= start:
        raise ValueError(f"{name}: expected a round after at={start}, got {stop}")
    return jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32)


def during(index: ArrayLike, start: jax.Array, stop: jax.Array | None) -> jax.Array:
    """Whether ``start <= index < stop``, ``bool[]``."""
    inside = jnp.asarray(index) >= start
    return inside if stop is None else inside & (jnp.asarray(index) < stop)
