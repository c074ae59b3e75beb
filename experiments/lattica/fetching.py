"""Fetching blocks from a few peers of high score, against all peers, random ones and an oracle.

Shapes: ``S`` seeds, ``P`` peers, ``M`` blocks, ``B`` block sizes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lattica.config import Config
from experiments.lattica.world import earth, seed_keys
from jaxswarm.network import blocks, transport

EVERYONE, TOP, PATIENT, RANDOM, ORACLE = ARMS = (
    "ask everyone", "top 3, published wait", "top 3, wait for all", "random 3",
    "3 fastest (oracle)",
)  # fmt: skip
HELD = 0.6  # share of the peers that have a block
FAILURE = 0.02  # probability that a peer fails to send
UPLINK, SPREAD = 4e6, 0.8  # median bytes per second of a peer, and its logarithm's deviation


def run(config: Config) -> dict[str, Any]:
    """Fetch blocks one after another with every arm and block size.

    Returns:
        ``seconds`` and ``bytes`` ``{arm: [B, S]}``, means over blocks that came; ``served {arm:
        [B, S]}``; ``closed [B, S]``, share of the three fastest peers that the published wait never
        lets a client ask.
    """
    sizes = jnp.asarray(config.sizes, jnp.float32)
    found = {}
    for arm in ARMS:
        over = jax.vmap(jax.vmap(lambda k, s, a=arm: _run(config, a, k, s), (0, None)), (None, 0))
        found[arm] = jax.tree.map(np.asarray, jax.jit(over)(seed_keys(config, 4), sizes))
    return {
        "seconds": {arm: x["seconds"] for arm, x in found.items()},
        "bytes": {arm: x["bytes"] for arm, x in found.items()},
        "served": {arm: x["served"] for arm, x in found.items()},
        "closed": {arm: found[arm]["closed"] for arm in (TOP, PATIENT)},
    }


def _run(config: Config, arm: str, key: jax.Array, size: jax.Array) -> dict[str, jax.Array]:
    n = config.holders
    keys = jax.random.split(key, 5)
    where = earth(config)
    own = jax.random.randint(keys[0], (), 0, config.regions)
    region = jax.random.randint(keys[1], (n,), 0, config.regions)
    trip = transport.medians(where, jnp.broadcast_to(own, (n,)), region)
    speed = UPLINK * jnp.exp(SPREAD * jax.random.normal(keys[2], (n,)))
    expected = trip + size / speed
    known = _truth(n, trip, speed, size)

    def step(carry: tuple, index: jax.Array) -> tuple[tuple, Any]:
        kept, now = carry
        own = jax.random.split(jax.random.fold_in(keys[3], index), 3)
        have = jax.random.uniform(own[0], (n,)) < HELD
        options: dict[str, Any] = {"size": size, "now": now, "failure": FAILURE}
        options |= {"jitter": config.jitter, "downlink": config.downlink}
        if arm == EVERYONE:
            options["top"] = None
        if arm in (PATIENT, ORACLE):
            options |= {"wait": 2.0, "answered": 1.0}
        if arm == ORACLE:
            # The three fastest holders; it knows them, so it need not ask who has the block.
            fastest = jnp.argsort(jnp.argsort(jnp.where(have, expected, jnp.inf))) < 3
            new, got = blocks.fetch(own[1], known, have & fastest, trip, speed, **options | {"top": None})
        elif arm == RANDOM:
            shuffled = jax.random.permutation(own[2], n)
            new, got = blocks.fetch(
                own[1], blocks.history(n), have[shuffled], trip[shuffled], speed[shuffled],
                **options,
            )  # fmt: skip
            new = kept
        else:
            new, got = blocks.fetch(own[1], kept, have, trip, speed, **options)
        return (new, now + jnp.where(got.served, got.seconds, 1.0)), got

    (kept, _), got = jax.lax.scan(step, (blocks.history(n), 0.0), jnp.arange(config.blocks))
    served = jnp.maximum(jnp.sum(got.served), 1)
    fastest = jnp.argsort(jnp.argsort(expected)) < 3
    return {
        "seconds": jnp.sum(jnp.where(got.served, got.seconds, 0.0)) / served,
        "bytes": jnp.sum(got.bytes) / served,
        "served": jnp.mean(got.served.astype(jnp.float32)),
        "closed": jnp.sum(fastest & (kept.asked == 0)) / 3.0,
    }


def _truth(n: int, trip: jax.Array, speed: jax.Array, size: jax.Array) -> blocks.History:
    """A history in which every peer served often, at its own speed."""
    del trip, size
    many = jnp.full(n, blocks_remembered(), jnp.int32)
    return blocks.history(n)._replace(
        speeds=jnp.broadcast_to(speed[:, None], (n, blocks_remembered())), served=many, asked=many
    )


def blocks_remembered() -> int:
    """Transfers that a history keeps."""
    return blocks.history(1).speeds.shape[1]
