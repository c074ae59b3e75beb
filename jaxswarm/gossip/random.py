"""Randomised gossip: one pair, a random matching, or a fractional number of random peers per round.

Shapes: ``N`` agents, ``E`` directed edges, ``K`` sampled slots.

References:
    S. Boyd, A. Ghosh, B. Prabhakar, D. Shah, Randomized gossip algorithms, 2006.
    T. Zhu et al., A single merging suffices: recovering server-based learning performance in
    decentralized learning, 2025 (fractional random neighbours).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.gossip.rounds import both, traffic_of
from jaxswarm.gossip.sparse import Bucket, Gather
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic
from jaxswarm.topology import Topology, require_connected

Schedule = Callable[[jax.Array], jax.Array]


def pairwise(topology: Topology, *, parallel: bool = False) -> GossipTransformation:
    """Randomized pairwise gossip: neighbours that meet both move to their midpoint.

    Args:
        topology: an undirected graph.
        parallel: false wakes one uniformly random agent, which picks a uniformly random neighbour
            (Boyd et al.); true lets every edge draw a lot and those that beat all edges at both
            their ends meet: a random matching, O(N) meetings a round.

    Raises:
        ValueError: if the graph is a sequence, directed, or disconnected.
    """
    if topology.is_sequence:
        raise ValueError("topology: pairwise gossip expects a single graph, got a sequence")
    n = topology.num_agents
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    forward = receivers.astype(np.int64) * n + senders
    backward = senders.astype(np.int64) * n + receivers
    if not np.array_equal(np.sort(backward), forward):
        raise ValueError(
            "topology: pairwise gossip expects an undirected graph, got a directed one"
        )
    if n > 1:
        require_connected(topology)
    reverse = jnp.asarray(np.argsort(backward, kind="stable"), jnp.int32)
    starts = jnp.asarray(np.searchsorted(receivers, np.arange(n)), jnp.int32)
    degrees = jnp.asarray(np.bincount(receivers, minlength=n), jnp.int32)
    heard, hears = jnp.asarray(senders), jnp.asarray(receivers)

    def partner_of(key: jax.Array) -> jax.Array:
        """``int32[N]``: whom each agent meets, itself if nobody."""
        identity = jnp.arange(n, dtype=jnp.int32)
        if n == 1:
            return identity
        if not parallel:
            who_key, peer_key = jax.random.split(key)
            agent = jax.random.randint(who_key, (), 0, n)
            draw = jax.random.randint(peer_key, (), 0, degrees[agent])
            peer = heard[starts[agent] + draw]
            return identity.at[agent].set(peer).at[peer].set(agent)
        lots = jax.random.uniform(key, heard.shape)
        lots = jnp.minimum(lots, lots[reverse])
        best = jax.ops.segment_min(lots, hears, n, indices_are_sorted=True)
        wins = (lots == best[heard]) & (lots == best[hears])
        return identity.at[hears].add(jnp.where(wins, heard - hears, 0))

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
        partner = partner_of(key)
        active = both(round.alive, round.participates)
        meets = partner != jnp.arange(n)
        if active is not None:
            meets &= active & active[partner]
        if round.delivered is not None:
            pair = jnp.where(heard == partner[hears], round.delivered, True)
            arrives = jax.ops.segment_min(pair.astype(jnp.int32), hears, n) > 0
            meets &= arrives & arrives[partner]
        told = params if messages is None else messages

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            kept = meets.reshape((n,) + (1,) * (own.ndim - 1))
            return jnp.where(kept, (own + message[partner]) * 0.5, own).astype(own.dtype)

        count = jnp.sum(meets).astype(jnp.float32)
        return jax.tree.map(leaf, params, told), state, traffic_of(count, params)

    return GossipTransformation(lambda params: (), mix_fn)


def random_neighbors(
    n: int,
    count: float | Schedule,
    *,
    maximum: int | None = None,
    topology: Topology | None = None,
) -> Callable[[jax.Array, jax.Array], Gather]:
    """A fresh draw of in-neighbours each round, for ``averaging(random_neighbours(…))``.

    Every agent hears ``⌊r⌋`` distinct others and one more with probability ``r − ⌊r⌋``, itself
    included with equal weights: ``r = 0.2`` means pulling from one random peer in one round of
    five. A draw is row-stochastic; only its expectation is doubly stochastic, so the average
    wanders.

    Args:
        n: number of agents, at least 2.
        count: ``r`` in ``[0, maximum]``, or a schedule ``round index -> r`` (clipped to that
            range).
        maximum: slots ``K`` of the draw; needed for a schedule, default ``⌈r⌉``.
        topology: candidates are its in-neighbours; everyone if omitted.

    Raises:
        ValueError: if ``n < 2``, ``r`` is negative or beyond ``maximum`` or the candidates, or a
            schedule comes without ``maximum``.
    """
    if n < 2:
        raise ValueError(f"n: expected at least 2 agents, got {n}")
    largest = n - 1 if topology is None else int(np.max(np.asarray(topology.in_degrees())))
    if callable(count):
        if maximum is None:
            raise ValueError(
                "maximum: a schedule needs the largest number of neighbours it may ask for"
            )
        schedule = count
    else:
        if not 0.0 <= count <= largest:
            raise ValueError(f"count: expected neighbours in [0, {largest}], got {count}")
        maximum = int(np.ceil(count)) if maximum is None else maximum
        schedule = lambda index: jnp.float32(count)  # noqa: E731
    if not 0 <= maximum <= largest:
        raise ValueError(f"maximum: expected slots in [0, {largest}], got {maximum}")
    slots = max(maximum, 1)
    candidates = None if topology is None else _padded(topology)

    def draw(key: jax.Array, index: jax.Array) -> Gather:
        ratio = jnp.clip(schedule(index), 0.0, maximum)
        which, extra = jax.vmap(jax.random.split, out_axes=1)(agents.keys(key, n))
        whole = jnp.floor(ratio)
        one_more = jax.vmap(jax.random.uniform)(extra) < ratio - whole
        chosen = whole.astype(jnp.int32) + one_more
        if candidates is None:
            hops = jax.vmap(lambda k: _distinct(k, n - 1, slots))(which) + 1
            neighbors = (jnp.arange(n)[:, None] + hops) % n
            available = jnp.full(n, n - 1)
        else:
            table, available = candidates
            lots = jax.vmap(lambda k: jax.random.gumbel(k, (table.shape[1],)))(which)
            lots = jnp.where(
                jnp.arange(table.shape[1])[None, :] < available[:, None], lots, -jnp.inf
            )
            _, picks = jax.lax.top_k(lots, slots)
            neighbors = jnp.take_along_axis(table, picks, axis=1)
        chosen = jnp.minimum(chosen, available)
        used = jnp.arange(slots)[None, :] < chosen[:, None]
        weight = 1.0 / (chosen + 1.0)
        weights = jnp.where(used, weight[:, None], 0.0)
        edges = jnp.zeros(neighbors.shape, jnp.int32)
        return Gather(
            weight, (Bucket(None, neighbors.astype(jnp.int32), weights, edges),), n, "row"
        )

    return draw


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


def _padded(topology: Topology) -> tuple[jax.Array, jax.Array]:
    """``(neighbours [N, K], degrees [N])`` of a single topology."""
    receivers = np.asarray(topology.receivers)
    n = topology.num_agents
    degrees = np.bincount(receivers, minlength=n)
    slot = np.arange(len(receivers)) - np.searchsorted(receivers, receivers)
    table = np.repeat(np.arange(n)[:, None], max(int(degrees.max()), 1), axis=1)
    table[receivers, slot] = np.asarray(topology.senders)
    return jnp.asarray(table, jnp.int32), jnp.asarray(degrees, jnp.int32)
