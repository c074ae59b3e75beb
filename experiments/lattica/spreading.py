"""Time until all peers hold a model in blocks: exchange, one server, flooding; with churn.

Shapes: ``S`` seeds.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, population, seed_keys
from jaxswarm.systems import lattica

EXCHANGE, SERVER, FLOODING, CHURN, RELAYS = ARMS = (
    "exchange", "one server", "flooding", "exchange, churn", "exchange, also over relays",
)  # fmt: skip


def run(config: Config) -> dict[str, Any]:
    """Spread a model.

    Returns:
        For each of :data:`ARMS` the fields of ``lattica.Spread``, ``[S]`` each.
    """
    keys = seed_keys(config, 6)[: config.spread_seeds]
    n, m, uplink = config.spread_peers, config.spread_blocks, config.spread_uplink

    bound = max(400 + 40 * m, 2 * n * m // uplink)

    def over(method: str, leaves: float = 0.0, share: float = 1.0, relays: bool = False) -> dict:
        found = _compiled(config, method, bound)(
            keys, jnp.float32(leaves), jnp.float32(share), jnp.array(relays)
        )
        return {name: np.asarray(x) for name, x in found._asdict().items()}

    results = {
        EXCHANGE: over("exchange"),
        CHURN: over("exchange", leaves=config.spread_leaves, share=0.99),
        RELAYS: over("exchange", relays=True),
        FLOODING: over("flooding"),
    }
    if config.every_method:
        results[SERVER] = over("server")
    else:
        # The simulated time of a server is this to within a few slots (tests); it would take days.
        slots = np.full(len(keys), -(-(n - 1) * m // uplink))
        none = np.zeros(len(keys))
        results[SERVER] = {
            "slots": slots, "complete": none + 1.0, "copies": none + (n - 1) * m, "wasted": none,
            "relayed": none, "finished": none == 0.0,
        }  # fmt: skip
    return results


@functools.cache
def _compiled(config: Config, method: str, bound: int) -> Callable[..., lattica.Spread]:
    """All seeds of a method, one after another; churn, share and relays are arguments."""

    def one(key: jax.Array, leaves: jax.Array, share: jax.Array, relays: jax.Array) -> Any:
        own = jax.random.split(key)
        found = population(config, own[0], config.spread_peers)
        return lattica.spread(
            own[1], found, config.spread_blocks, method=method, leaves=leaves, share=share,
            server_uplink=config.spread_uplink, use_relays=relays, max_slots=bound,
        )  # fmt: skip

    return jit_fast_compile(
        lambda keys, *given: jax.lax.map(lambda key: one(key, *given), keys), **FAST
    )
