"""Fetching blocks from a few peers of high score, against all peers, random ones and an oracle.

Shapes: ``S`` seeds, ``P`` peers, ``M`` blocks, ``B`` block sizes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, earth, seed_keys
from jaxswarm.network import blocks, transport

EVERYONE, TOP, PATIENT, OPEN, RANDOM, ORACLE = ARMS = (
    "ask everyone", "top 3, published wait", "top 3, wait for all",
    "top 3, wait for all, new peers first", "random 3",
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
    keys, found = seed_keys(config, 4), {}
    for ask_all, arms in ((True, (EVERYONE, ORACLE)), (False, (TOP, PATIENT, OPEN, RANDOM))):
        options = [_OPTIONS[arm] for arm in arms]
        stacked = _Options(*(jnp.array(x) for x in zip(*options, strict=True)))
        each = jax.vmap(lambda k, s, o, a=ask_all: _run(config, a, k, s, o), (0, None, None))
        over = jax.vmap(jax.vmap(each, (None, 0, None)), (None, None, 0))
        results = jit_fast_compile(over, **FAST)(keys, sizes, stacked)
        found |= {
            arm: {what: np.asarray(x)[i] for what, x in results.items()}
            for i, arm in enumerate(arms)
        }
    return {
        "seconds": {arm: x["seconds"] for arm, x in found.items()},
        "bytes": {arm: x["bytes"] for arm, x in found.items()},
        "served": {arm: x["served"] for arm, x in found.items()},
        "closed": {arm: found[arm]["closed"] for arm in (TOP, PATIENT, OPEN)},
    }


class _Options(NamedTuple):
    """What differs between arms; ``fastest`` where all are asked, the others where three are."""

    fastest: Any  # ask the three fastest holders alone
    random: Any  # three of those that answered in time, drawn anew
    wait: Any
    answered: Any
    newcomer: Any = 55.0


_OPTIONS = {
    EVERYONE: _Options(False, False, 0.1, 0.3),
    ORACLE: _Options(True, False, 0.1, 0.3),
    TOP: _Options(False, False, 0.1, 0.3),
    PATIENT: _Options(False, False, 2.0, 1.0),
    OPEN: _Options(False, False, 2.0, 1.0, 100.0),
    RANDOM: _Options(False, True, 0.1, 0.3),
}


def _run(
    config: Config, ask_all: bool, key: jax.Array, size: jax.Array, options: _Options
) -> dict[str, jax.Array]:
    n = config.holders
    keys = jax.random.split(key, 4)
    where = earth(config)
    own = jax.random.randint(keys[0], (), 0, config.regions)
    region = jax.random.randint(keys[1], (n,), 0, config.regions)
    trip = transport.medians(where, jnp.broadcast_to(own, (n,)), region)
    speed = UPLINK * jnp.exp(SPREAD * jax.random.normal(keys[2], (n,)))
    expected = trip + size / speed
    new = blocks.history(n)

    def step(carry: tuple, index: jax.Array) -> tuple[tuple, Any]:
        kept, now = carry
        own = jax.random.split(jax.random.fold_in(keys[3], index), 3)
        have = jax.random.uniform(own[0], (n,)) < HELD
        fastest = jnp.argsort(jnp.argsort(jnp.where(have, expected, jnp.inf))) < 3
        have &= fastest | ~options.fastest
        # Without a history equal scores go by position, so places are drawn anew.
        place = jnp.where(options.random, jax.random.permutation(own[2], n), jnp.arange(n))
        before = jax.tree.map(lambda x, y: jnp.where(options.random, x, y), new, kept)
        after, got = blocks.fetch(
            own[1], before, have[place], trip[place], speed[place], size=size, now=now,
            failure=FAILURE, top=None if ask_all else 3, jitter=config.jitter,
            wait=options.wait, answered=options.answered, newcomer=options.newcomer,
            downlink=config.downlink,
        )  # fmt: skip
        return (after, now + jnp.where(got.served, got.seconds, 1.0)), got

    start = (new, jnp.zeros(()))
    (kept, _), got = jax.lax.scan(step, start, jnp.arange(config.blocks))
    served = jnp.maximum(jnp.sum(got.served), 1)
    best = jnp.argsort(jnp.argsort(expected)) < 3
    return {
        "seconds": jnp.sum(jnp.where(got.served, got.seconds, 0.0)) / served,
        "bytes": jnp.sum(got.bytes) / served,
        "served": jnp.mean(got.served.astype(jnp.float32)),
        "closed": jnp.sum(best & (kept.asked == 0)) / 3.0,
    }
