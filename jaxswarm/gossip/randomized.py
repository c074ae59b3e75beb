"""Randomized gossip: one pair, a random matching, or random in-neighbours per round.

Shapes: ``N`` agents, ``E`` directed edges, ``K`` sampled slots.

References:
    S. Boyd, A. Ghosh, B. Prabhakar, D. Shah, Randomized gossip algorithms, 2006.
    T. Zhu et al., A single merging suffices: recovering server-based learning performance in
    decentralized learning, 2025 (fractional random neighbours).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.gossip._operator import accumulator, check_delivered
from jaxswarm.gossip.sparse_layouts import Bucket, Gather
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.topology import (
    Topology,
    degrees,
    in_neighbors,
    require_connected,
    require_symmetric,
    require_topology,
)
from jaxswarm.types import Key, Params, PyTree

Schedule = Callable[[jax.Array], jax.Array]
"""``round index -> number of random neighbours``."""


def pairwise(topology: Topology, *, parallel: bool = False) -> GossipTransformation:
    """Average random pairs of neighbours (randomized gossip): both move to their midpoint.

    Args:
        topology: a single undirected graph.
        parallel: false picks one uniformly random agent and a uniformly random neighbour of it
            (Boyd et al.); true gives every edge a random priority and averages the edges of the
            highest priority at both their ends: a random matching, O(N) pairs a round.

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: if this is no topology, or the graph is a sequence, directed, or disconnected.
    """
    require_topology(topology)
    if topology.is_sequence:
        raise ValueError("topology: pairwise gossip expects a single graph, got a sequence")
    require_symmetric(topology, "pairwise gossip")
    n = topology.num_agents
    if n > 1:
        require_connected(topology)
    slots = np.flatnonzero(np.asarray(topology.mask))
    sender_ids = np.asarray(topology.senders)[slots]
    receiver_ids = np.asarray(topology.receivers)[slots]
    backward = sender_ids.astype(np.int64) * n + receiver_ids
    reverse = jnp.asarray(np.argsort(backward, kind="stable"), jnp.int32)
    starts = jnp.asarray(np.searchsorted(receiver_ids, np.arange(n)), jnp.int32)
    counts = jnp.asarray(np.bincount(receiver_ids, minlength=n), jnp.int32)
    senders, receivers = jnp.asarray(sender_ids), jnp.asarray(receiver_ids)

    def draw_partners(key: jax.Array) -> jax.Array:
        """``int32[N]``: the partner of each agent, itself without one."""
        own = jnp.arange(n, dtype=jnp.int32)
        if n == 1:
            return own
        if not parallel:
            agent_key, partner_key = jax.random.split(key)
            agent = jax.random.randint(agent_key, (), 0, n)
            draw = jax.random.randint(partner_key, (), 0, counts[agent])
            partner = senders[starts[agent] + draw]
            return own.at[agent].set(partner).at[partner].set(agent)
        priority = jax.random.uniform(key, senders.shape)
        priority = jnp.minimum(priority, priority[reverse])
        best = jax.ops.segment_min(priority, receivers, n, indices_are_sorted=True)
        wins = (priority == best[senders]) & (priority == best[receivers])
        return own.at[receivers].add(jnp.where(wins, senders - receivers, 0))

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        agents.check_params(params, n)
        partner = draw_partners(key)
        active = exchange.active(n)
        meets = partner != jnp.arange(n)
        if active is not None:
            meets &= active & active[partner]
        if exchange.delivered is not None:
            flags = check_delivered(exchange.delivered, topology.num_edge_slots)
            delivered = jnp.asarray(flags)[slots]
            pair = jnp.where(senders == partner[receivers], delivered, True)
            arrives = jax.ops.segment_min(pair.astype(jnp.int32), receivers, n) > 0
            meets &= arrives & arrives[partner]

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            exact = own.astype(accumulator(own))  # the sum of two float16 may overflow
            midpoint = (exact + message[partner]) * 0.5
            return jnp.where(agents.expand(meets, own), midpoint, own).astype(own.dtype)

        count = jnp.sum(meets).astype(jnp.float32)
        mixed = jax.tree.map(leaf, params, exchange.sent(params))
        return mixed, state, traffic_of(count, params)

    return GossipTransformation(lambda params: (), mix_fn, frozenset({"messages", "only_drawn"}))


def random_neighbors(
    num_agents: int,
    count: float | Schedule,
    *,
    maximum: int | None = None,
    topology: Topology | None = None,
) -> Callable[[jax.Array, jax.Array], Gather]:
    """Draw new in-neighbours every round, for ``averaging(random_neighbors(…))``.

    Every agent receives from ``⌊r⌋`` distinct others and one more with probability ``r − ⌊r⌋``,
    itself included with equal weights: ``r = 0.2`` means pulling from one random peer in one round
    of five. A draw is row-stochastic; only its expectation is doubly stochastic, so the average
    over agents is not kept exactly.

    Args:
        num_agents: ``N``, at least 2.
        count: ``r`` in ``[0, maximum]``, or a schedule ``round index -> r`` (clipped to that
            range).
        maximum: slots ``K`` of the draw; needed for a schedule, default ``⌈r⌉``.
        topology: a single graph whose in-neighbours are the candidates; all agents if omitted.
            ``Exchange.delivered`` has one flag for each edge of it, or of ``topology.complete(N)``;
            a message that is drawn gets lost if its edge is down.

    Returns:
        ``(key, round index) -> operator``.

    Raises:
        ValueError: if ``num_agents < 2``, ``r`` is negative or beyond ``maximum`` or the
            candidates, or a schedule comes without ``maximum``.
    """
    n = checks.whole("num_agents", num_agents, 2)
    largest = n - 1
    if topology is not None:
        require_topology(topology)
        if topology.is_sequence or topology.num_agents != n:
            raise ValueError(
                f"topology: expected a single graph of {n} agents, got "
                f"{'a sequence' if topology.is_sequence else topology.num_agents}"
            )
        largest = int(degrees(topology)[0].max(initial=0))
    if callable(count):
        if maximum is None:
            raise ValueError(
                "maximum: a schedule needs the largest number of neighbours it may ask for"
            )
        schedule = count
    else:
        checks.real("count", count, 0.0, largest)
        if maximum is None and checks.is_traced(count):
            raise ValueError("maximum: expected the largest count, since count is traced, got None")
        maximum = int(np.ceil(count)) if maximum is None else maximum
        schedule = _constant(count)
    maximum = checks.whole("maximum", maximum, 0, largest)
    slots = max(maximum, 1)
    candidates = None
    if topology is not None:
        lists = in_neighbors(topology)
        available = jnp.asarray(lists.mask.sum(axis=1), jnp.int32)
        candidates = (jnp.asarray(lists.neighbors), jnp.asarray(lists.edges), available)
        num_edges = topology.num_edge_slots
    else:  # slots of topology.complete(n), as far as they can be numbered
        num_edges = n * (n - 1) if n * (n - 1) <= checks.LARGEST else None

    def draw(key: jax.Array, index: jax.Array) -> Gather:
        ratio = jnp.clip(schedule(index), 0.0, maximum)
        choice_keys, extra_keys = jax.vmap(jax.random.split, out_axes=1)(agents.keys(key, n))
        whole = jnp.floor(ratio)
        one_more = jax.vmap(jax.random.uniform)(extra_keys) < ratio - whole
        chosen = whole.astype(jnp.int32) + one_more
        if candidates is None:
            hops = jax.vmap(lambda k: _distinct(k, n - 1, slots))(choice_keys) + 1
            receivers = jnp.arange(n)[:, None]
            neighbors = (receivers + hops) % n
            edges = jnp.zeros(neighbors.shape, jnp.int32)
            if num_edges is not None:
                edges = receivers * (n - 1) + neighbors - (neighbors > receivers)
            available = jnp.full(n, n - 1)
        else:
            table, edge_table, available = candidates
            width = table.shape[1]
            priority = jax.vmap(lambda k: jax.random.gumbel(k, (width,)))(choice_keys)
            real = jnp.arange(width)[None, :] < available[:, None]
            _, picks = jax.lax.top_k(jnp.where(real, priority, -jnp.inf), slots)
            neighbors = jnp.take_along_axis(table, picks, axis=1)
            edges = jnp.take_along_axis(edge_table, picks, axis=1)
        chosen = jnp.minimum(chosen, available)
        used = jnp.arange(slots)[None, :] < chosen[:, None]
        weight = 1.0 / (chosen + 1.0)
        weights = jnp.where(used, weight[:, None], 0.0)
        bucket = Bucket(None, neighbors.astype(jnp.int32), weights, edges.astype(jnp.int32))
        return Gather(weight, (bucket,), n, "row", num_edges)

    return draw


def _constant(count: float) -> Schedule:
    return lambda index: jnp.float32(count)


def _distinct(key: jax.Array, n: int, count: int) -> jax.Array:
    """``int32[count]`` distinct numbers below ``n`` in random order (Floyd's algorithm)."""
    if count * 4 >= n:
        return jax.random.permutation(key, n)[:count].astype(jnp.int32)
    draws = [
        jax.random.randint(jax.random.fold_in(key, j), (), 0, n - count + j + 1)
        for j in range(count)
    ]
    chosen = jnp.full(count, -1, jnp.int32)
    for j, draw in enumerate(draws):
        taken = jnp.any(chosen == draw)
        chosen = chosen.at[j].set(jnp.where(taken, n - count + j, draw).astype(jnp.int32))
    return jax.random.permutation(jax.random.fold_in(key, count), chosen) if count > 1 else chosen
