"""Which pairs of peers connect, rung by rung, and how long that takes.

Shapes: ``S`` seeds, ``N`` peers, ``G`` regions, ``J`` jitters.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, MIXES, earth, population, seed_keys
from jaxswarm.network import transport

TIMED = 20_000  # pairs of which set-up times are taken


def run(config: Config) -> dict[str, Any]:
    """Connect all pairs of peers of every mix.

    Returns:
        ``ladder {mix: {level: [S]}}``, shares of the pairs, as in the ladder's population;
        ``punched {mix: [S]}``, successes among pairs behind NATs without an open port, and
        ``rules``, the same if packets never missed each other; ``first_try [S]``, share of the
        successes at the first try; ``first`` and ``met`` ``[J, S]``, these, and the pairs whose
        packets meet in three tries, by jitter; ``setup {way: [S]}``, median seconds; ``direct`` and
        ``relayed`` ``[G, G]``, links between regions.
    """
    pairs = tuple(np.stack(np.triu_indices(config.peers, 1)).astype(np.int32))
    where = earth(config)

    def one(
        given: tuple[jax.Array, transport.Peers], first: jax.Array, second: jax.Array
    ) -> dict[str, Any]:
        key, found = given
        met, tries = transport.punches(key, where, found.region[first], found.region[second])
        rungs = [transport.connects(found, first, second, x) for x in transport.LEVELS]
        punches = ~rungs[1] & rungs[2]
        direct = rungs[1] | (punches & met)
        attempts = ~rungs[1]
        some = slice(None, None, max(1, len(first) // TIMED))
        return {
            "ladder": jnp.stack([x.mean() for x in (rungs[0], rungs[1], direct, rungs[3])]),
            "punched": jnp.sum(punches & met) / jnp.maximum(jnp.sum(attempts), 1),
            "rules": jnp.sum(punches) / jnp.maximum(jnp.sum(attempts), 1),
            "links": _between_regions(config, found, first, second, direct),
            "setup": _setup(where, found, first[some], second[some], rungs[1][some], direct[some]),
            "first": jnp.sum(punches & met & (tries == 1)) / jnp.maximum(jnp.sum(punches & met), 1),
        }

    keys = seed_keys(config, 0)
    drawn = [
        jax.vmap(lambda k, m=mix: population(config, k, config.peers, m))(keys) for mix in MIXES
    ]
    every = jit_fast_compile(
        lambda given, *ends: jax.lax.map(lambda x: one(x, *ends), given), **FAST
    )
    found = [every((jax.vmap(jax.random.fold_in, (0, None))(keys, 1), x), *pairs) for x in drawn]
    by_mix = dict(zip(MIXES, found, strict=True))
    main = next(iter(by_mix.values()))
    met, first = _jitters(config)
    direct, both = np.asarray(main["links"]).mean(axis=0)
    return {
        "ladder": {
            mix: dict(zip(transport.LEVELS, np.asarray(x["ladder"]).T, strict=True))
            for mix, x in by_mix.items()
        },
        "punched": {mix: np.asarray(x["punched"]) for mix, x in by_mix.items()},
        "rules": {mix: np.asarray(x["rules"]) for mix, x in by_mix.items()},
        "first_try": np.asarray(main["first"]),
        "met": met,
        "first": first,
        "setup": {name: np.asarray(x) for name, x in main["setup"].items()},
        "direct": direct,
        "relayed": both - direct,
    }


def _between_regions(
    config: Config, found: transport.Peers, first: Any, second: Any, direct: jax.Array
) -> jax.Array:
    """Direct and all links between regions, ``[2, G, G]``, symmetric."""
    at = found.region[first] * config.regions + found.region[second]

    def count(weight: jax.Array) -> jax.Array:
        table = jnp.zeros(config.regions**2).at[at].add(weight).reshape(config.regions, -1)
        return table + table.T

    return jnp.stack([count(direct.astype(jnp.float32)), count(jnp.ones(at.shape))])


def _setup(
    where: transport.Regions, found: Any, first: Any, second: Any, dialed: Any, direct: Any
) -> dict[str, jax.Array]:
    """Median seconds until a connection carries data, by way and protocol."""
    one, other = found.region[first], found.region[second]
    trip = transport.medians(where, one, other)
    relay = jnp.zeros_like(one)
    over = transport.medians(where, one, relay) + transport.medians(where, relay, other)
    times = {}
    for protocol in transport.HANDSHAKES:
        ways = {
            "dialed": (transport.setup_seconds(trip, protocol=protocol), dialed),
            "punched": (
                transport.setup_seconds(trip, protocol=protocol, relay_round_trip=over),
                direct & ~dialed,
            ),
            "relayed": (transport.setup_seconds(over, protocol=protocol), ~direct),
        }
        for way, (seconds, taken) in ways.items():
            times[f"{way}, {protocol}"] = jnp.nanmedian(jnp.where(taken, seconds, jnp.nan))
    return times


def _jitters(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose packets meet and first tries among these, ``[J, S]``, over random pairs."""
    count = min(20_000, config.peers**2)

    def one(key: jax.Array, jitter: jax.Array) -> tuple[jax.Array, jax.Array]:
        where = earth(config)._replace(jitter=jitter)
        keys = jax.random.split(key, 3)
        ends = (jax.random.randint(k, (count,), 0, config.regions) for k in keys[:2])
        met, tries = transport.punches(keys[2], where, *ends)
        return met.mean(), jnp.sum(met & (tries == 1)) / jnp.maximum(jnp.sum(met), 1)

    over = jax.vmap(jax.vmap(one, (0, None)), (None, 0))
    met, first = jit_fast_compile(over, **FAST)(
        seed_keys(config, 1), jnp.asarray(config.jitters, jnp.float32)
    )
    return np.asarray(met), np.asarray(first)
