"""Requests per second by size of a request, distance and requests in flight.

Shapes: ``S`` seeds, ``D`` distances, ``B`` sizes, ``W`` widths.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, earth, seed_keys
from jaxswarm.network import transport

DISTANCES = ("one machine", "one region", "nearest region", "farthest region")
SIZES = (128.0, 4096.0, 65536.0, 262144.0)
BANDWIDTH, SERVICE = 30e6, 1e-4  # bytes per second, and seconds of the server: assumptions


def run(config: Config) -> dict[str, Any]:
    """Measure rates over the second half of the requests.

    Returns:
        ``rate [W, D, B, S]`` requests per second; ``bound [W, D, B]``; ``round_trip [D]``.
    """
    matrix = np.asarray(earth(config).round_trip)
    away = matrix[~np.eye(len(matrix), dtype=bool)]
    trips = np.array([1e-4, matrix[0, 0], away.min(), away.max()], np.float32)
    half = config.requests // 2

    def rate(key: jax.Array, trip: jax.Array, size: jax.Array, width: int) -> jax.Array:
        found = transport.requests(
            key, trip, size=size, bandwidth=BANDWIDTH, service=SERVICE, in_flight=width,
            count=config.requests, jitter=config.jitter,
        )  # fmt: skip
        finished = jnp.sort(found.finished)
        return (config.requests - 1 - half) / (finished[-1] - finished[half])

    rates, bounds = [], []
    for width in config.in_flight:
        by_seed = jax.vmap(lambda k, t, s, w=width: rate(k, t, s, w), (0, None, None))
        by_size = jax.vmap(by_seed, (None, None, 0))
        over = jit_fast_compile(jax.vmap(by_size, (None, 0, None)), **FAST)
        rates.append(np.asarray(over(seed_keys(config, 5), trips, jnp.asarray(SIZES))))
        bounds.append(
            np.asarray(
                transport.request_bound(
                    trips[:, None], size=np.array(SIZES, np.float32)[None], bandwidth=BANDWIDTH,
                    service=SERVICE, in_flight=float(width),
                )
            )
        )  # fmt: skip
    return {"rate": np.stack(rates), "bound": np.stack(bounds), "round_trip": trips}
