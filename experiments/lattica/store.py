"""A replicated store under a partition, losses, repeated and reordered messages, and crashes.

Shapes: ``S`` seeds, ``N`` replicas, ``W`` writers, ``T`` rounds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, seed_keys
from jaxswarm import agents, gossip, network, topology
from jaxswarm.network import crdt
from jaxswarm.topology import Topology

KEYS = 16  # registers, and elements of the set
WALL = 4  # rounds in which the wall clock stands still, so that writes tie
WRITES = 0.5  # probability that a writer writes in a round
REMOVES = 0.2  # share of the writes that remove an element as well


class Kind(NamedTuple):
    """Replicated data, as ``crdt.anti_entropy`` takes it."""

    init: Callable[[], Any]
    merge: Callable[[Any, Any], Any]
    read: Callable[[Any], Any]
    version: Callable[[Any], Any]


def store(config: Config, *, tie_break: bool) -> tuple[Kind, crdt.ORSet, Any, crdt.Keyed]:
    """A set and registers; a product of replicated data is replicated data."""
    elements = crdt.or_set(KEYS, config.writers)
    register = crdt.lww_register(jnp.int32(0), tie_break=tie_break)
    table = crdt.keyed(register, KEYS)

    def both(name: str) -> Callable[..., Any]:
        one, other = getattr(elements, name), getattr(table, name)
        return lambda *states: (
            one(*(s[0] for s in states)), other(*(s[1] for s in states)),
        )  # fmt: skip

    kind = Kind(both("init"), both("merge"), both("read"), both("version"))
    return kind, elements, register, table


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Stores of all sizes, and the controls at the middle size.

    Returns:
        ``rounds [sizes, S]`` after the partition until all live replicas are equal, ``converged
        [sizes, S]``, ``agreement [sizes, S, T]``, ``lost`` and ``acknowledged`` ``{rule: [sizes,
        S]}`` writes, ``bytes [sizes, S]`` per replica; ``no_tie_break [S]``, final agreement
        without a tie-break; ``primary {"majority", "minority": [S]}``, shares of the writes that a
        single primary accepts during the partition.
    """
    found = []
    for size in config.replicas:
        progress(f"replicated store, {size} replicas")
        found.append(_run_size(config, size, tie_break=True))
    middle = config.replicas[len(config.replicas) // 2]
    progress("replicated store, controls")
    control = _run_size(config, middle, tie_break=False)
    stacked = jax.tree.map(lambda *x: np.stack(x), *found)
    primary = stacked.pop("primary")
    return {
        **stacked,
        "primary": {"majority": primary[:, :, 0], "minority": primary[:, :, 1]},
        "no_tie_break": control["agreement"][:, -1],
    }


def _run_size(config: Config, n: int, *, tie_break: bool) -> dict[str, np.ndarray]:
    degree = min(config.degree, n // 2)
    graph = topology.random_regular(n, degree, seed=config.seed)
    every = jit_fast_compile(
        lambda keys: jax.lax.map(lambda k: _run_seed(config, graph, k, tie_break), keys), **FAST
    )
    result = every(seed_keys(config, 2))
    return jax.tree.map(np.asarray, result)


def _run_seed(config: Config, graph: Topology, key: jax.Array, tie_break: bool) -> dict[str, Any]:
    n, w = graph.num_agents, config.writers
    kind, elements, register, table = store(config, tie_break=tie_break)
    keys = jax.random.split(key, 3)
    order = jax.random.permutation(keys[0], n)
    small = max(2, round(config.minority * n))
    minority = jnp.zeros(n, bool).at[order[:small]].set(True)
    here = max(1, round(config.minority * w))
    writers = jnp.concatenate([order[:here], order[small : small + w - here]])
    survives = jax.random.uniform(keys[1], (n,)) >= config.crashes
    split = network.partitioned(graph, minority, 0, config.cut)
    process = network.combine(split, network.link_loss(graph, config.loss))
    rule = crdt.anti_entropy(kind, gossip.random_neighbors(n, 1, topology=graph))

    def write(states: Any, round_key: jax.Array, index: jax.Array) -> tuple[Any, jax.Array]:
        u = jax.random.uniform(round_key, (w, 4))
        writes = (u[:, 0] < WRITES) & (index < config.cut)

        def one(place: jax.Array, states: Any) -> Any:
            at = writers[place]
            own = jax.tree.map(lambda x: x[at], states)
            dots, entries = own
            element, name = (jnp.int32(x * KEYS) for x in u[place, 1:3])
            removed = elements.remove(dots, (element + 1) % KEYS)
            dots = jax.tree.map(lambda x, y: jnp.where(u[place, 3] < REMOVES, x, y), removed, dots)
            dots = elements.add(dots, element, place)

            def set_value(entry: crdt.Written) -> crdt.Written:
                value = index * w + place
                return register.write(entry, value, crdt.tick(entry.clock, index // WALL), at)

            new = (dots, table.update(entries, name, set_value))
            return jax.tree.map(
                lambda x, a, b: x.at[at].set(jnp.where(writes[place], a, b)), states, new, own
            )

        return jax.lax.fori_loop(0, w, one, states), writes

    def step(carry: tuple, index: jax.Array) -> tuple[tuple, tuple]:
        states, older, old, sent = carry
        now = jax.random.split(jax.random.fold_in(keys[2], index), 4)
        states, writes = write(states, now[0], index)
        alive = survives | (index < config.cut)
        _, exchange = process.step(now[1], process.init(), index)
        # Some replicas send what they sent two rounds ago: older than what came since, or again.
        late = jax.random.uniform(now[2], (n,)) < config.repeated
        exchange = exchange._replace(alive=alive, messages=agents.where(late, older, states))
        mixed, _, traffic = rule.mix(now[3], states, (), exchange)
        done = crdt.agreement(mixed, alive)
        return (mixed, old, states, sent + traffic.bytes), (
            done, writes, seen_by(mixed[0].seen),
        )  # fmt: skip

    def seen_by(seen: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Writes of each writer that it holds, and that a quorum holds."""
        own = seen[writers, jnp.arange(w)]
        ranked = jnp.sort(seen, axis=0)[n - config.quorum]
        return own, ranked

    start = crdt.replicas(kind, n)
    total = config.cut + config.settle
    last, (agreement, writes, (own, quorum)) = jax.lax.scan(
        step, (start, start, start, jnp.zeros(())), jnp.arange(total)
    )
    final = jnp.min(jnp.where(survives[:, None], last[0][0].seen, jnp.uint32(2**32 - 1)), axis=0)
    at_end = {"at once": own[config.cut - 1], "by a quorum": quorum[config.cut - 1]}
    after = agreement[config.cut :]
    reached = jnp.any(after == 1.0)
    return {
        "agreement": agreement,
        "rounds": jnp.where(reached, jnp.argmax(after == 1.0) + 1, config.settle),
        "converged": reached,
        "lost": {k: jnp.sum(jnp.where(x > final, x - final, 0)) for k, x in at_end.items()},
        "acknowledged": {k: jnp.sum(x) for k, x in at_end.items()},
        "bytes": last[3] / n,
        "primary": _primary(config, graph, keys[2], split, order[-1], writers, minority, writes),
    }


def _primary(
    config: Config, graph: Topology, key: jax.Array, split: network.Network, primary: jax.Array,
    writers: jax.Array, minority: jax.Array, writes: jax.Array,
) -> jax.Array:  # fmt: skip
    """Writes that a single primary accepts during the partition, by side, ``[2]``.

    A write is accepted if a path of standing edges leads from the writer to the primary.
    """
    n = graph.num_agents
    stands = split.step(key, (), 0)[1].delivered
    senders, receivers = jnp.asarray(graph.senders), jnp.asarray(graph.receivers)

    def grow(reached: jax.Array, _: None) -> tuple[jax.Array, None]:
        hit = reached[receivers] & stands & jnp.asarray(graph.mask)
        return reached | _any_edge(hit, senders, n), None

    reached, _ = jax.lax.scan(grow, jnp.arange(n) == primary, None, length=n.bit_length() + 6)
    tried = writes[: config.cut].sum(axis=0)
    accepted = jnp.where(reached[writers], tried, 0)
    side = minority[writers]

    def share(where: jax.Array) -> jax.Array:
        count = jnp.sum(jnp.where(where, tried, 0))
        return jnp.sum(jnp.where(where, accepted, 0)) / jnp.maximum(count, 1)

    return jnp.stack([share(~side), share(side)])


def _any_edge(hit: jax.Array, at: jax.Array, n: int) -> jax.Array:
    """Whether any of the edges at each agent is hit, ``bool[n]``."""
    return jnp.zeros(n, bool).at[at].max(hit)
