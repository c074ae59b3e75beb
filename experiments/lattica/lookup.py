"""Kademlia lookups: exactness with failed peers, messages against flooding, growth with peers.

Shapes: ``S`` seeds, ``Q`` queries, ``P`` sizes.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, seed_keys
from jaxswarm import coordination, topology
from jaxswarm.network import dht

OVERLAY = 8  # neighbours of a peer in the flooded overlay


def run(config: Config) -> dict[str, Any]:
    """Look up random keys.

    Returns:
        ``exact`` and ``full`` ``{"none failed", "some failed": [S]}``, shares of the lookups that
        find the closest live peer and all ``k`` of them; ``messages`` of a lookup, the same way;
        ``flooding``, messages of one flooded search; ``growth [P, S]``, rounds with buckets of 4,
        and ``growth_messages``.
    """
    cases = {"none failed": 0.0, "some failed": config.failed}
    keys = seed_keys(config, 3)
    found: dict[str, list] = {name: [] for name in cases}
    for key in keys:
        table = _padded(_table(key, config.peers, config.bucket), config.peers)
        for name, share in cases.items():
            found[name].append(_query(key, table, config.queries, share, config.peers))
    by_case = {name: np.array(x, np.float64) for name, x in found.items()}
    growth, messages = [], []
    largest = config.growth[-1]
    for size in config.growth:
        each = [
            _query(key, _padded(_table(key, size, 4), largest), config.queries, 0.0, size)
            for key in keys
        ]
        growth.append([x[3] for x in each])
        messages.append([x[2] for x in each])
    graph = topology.random_regular(config.peers, OVERLAY, seed=config.seed)
    flood = coordination.flood_search(graph, [0], range(1, config.peers), ttl=config.peers)
    return {
        "exact": {name: x[:, 0] for name, x in by_case.items()},
        "full": {name: x[:, 1] for name, x in by_case.items()},
        "messages": {name: x[:, 2] for name, x in by_case.items()},
        "rounds": {name: x[:, 3] for name, x in by_case.items()},
        "flooding": float(flood.messages[0]),
        "growth": np.array(growth),
        "growth_messages": np.array(messages),
    }


def _table(key: jax.Array, count: int, bucket: int) -> dht.RoutingTable:
    ids, fill = jax.random.split(key)
    return dht.routing_table(fill, dht.random_ids(ids, count), k=bucket)


def _padded(table: dht.RoutingTable, count: int) -> dht.RoutingTable:
    """The same table with peers that no other peer knows, with as many buckets whatever the draw.

    So tables of all sizes and seeds share one compiled program.
    """
    n, width = table.ids.shape
    ids = np.zeros((count, width), np.uint32)
    ids[:n] = np.asarray(table.ids)
    buckets = np.full((count, count.bit_length() + 16, table.buckets.shape[2]), -1, np.int32)
    depth = min(table.buckets.shape[1], buckets.shape[1])
    buckets[:n, :depth] = np.asarray(table.buckets)[:, :depth]
    return dht.RoutingTable(jnp.asarray(ids), jnp.asarray(buckets))


def _query(
    key: jax.Array, table: dht.RoutingTable, queries: int, failed: float, count: int
) -> list[float]:
    """Shares of exact and full answers, mean messages and mean rounds."""
    given = (jax.random.fold_in(key, 9), table, jnp.float32(failed), jnp.int32(count))
    return [float(x) for x in _compiled(queries)(*given)]


def _measured(
    key: jax.Array, table: dht.RoutingTable, queries: int, failed: jax.Array, count: jax.Array
) -> list[jax.Array]:
    n, width = table.ids.shape
    k = table.buckets.shape[2]
    keys = jax.random.split(key, 3)
    alive = (jax.random.uniform(keys[0], (n,)) >= failed) & (jnp.arange(n) < count)
    ranked = jnp.argsort(jnp.where(alive, jax.random.uniform(keys[1], (n,)), 2.0))
    starts = ranked[jnp.arange(queries) % jnp.sum(alive)]
    targets = dht.random_ids(keys[2], queries, words=width)
    found = dht.lookup(table, targets, starts, alive=alive)
    wanted = dht.closest_peers(table, targets, k, alive=alive)
    return [
        jnp.mean(found.closest[:, 0] == wanted[:, 0]),
        jnp.mean(jnp.all(found.closest == wanted, axis=1)),
        jnp.mean(found.messages.astype(jnp.float32)),
        jnp.mean(found.rounds.astype(jnp.float32)),
    ]


@functools.cache
def _compiled(queries: int) -> Callable[..., Any]:
    """One program for all tables of equal shape."""
    return jit_fast_compile(
        lambda key, table, failed, count: _measured(key, table, queries, failed, count), **FAST
    )
