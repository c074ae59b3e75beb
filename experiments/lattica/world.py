"""Where regions are, how far apart, and which NATs peers have.

Shapes: ``G`` regions.
"""

import jax
import numpy as np

from experiments.lattica.config import Config
from jaxswarm.network import transport

PLACES: dict[str, tuple[float, float]] = {
    "US East": (39.0, -77.5),
    "Europe": (50.1, 8.7),
    "Southeast Asia": (1.35, 103.8),
    "South America": (-23.5, -46.6),
    "US West": (37.4, -122.0),
    "Japan": (35.7, 139.7),
    "India": (19.1, 72.9),
    "Australia": (-33.9, 151.2),
    "South Africa": (-33.9, 18.4),
    "Middle East": (25.2, 55.3),
}
"""Latitude and longitude in degrees; the first ``G`` are used."""

DOCUMENTED = "documented"
MIXES: dict[str, dict[str, float]] = {
    DOCUMENTED: dict(transport.MIX),
    "fewer symmetric": {"full_cone": 0.3, "port_restricted": 0.5, "symmetric": 0.2},
    "more symmetric": {"full_cone": 0.3, "port_restricted": 0.3, "symmetric": 0.4},
    "address-restricted": {
        "full_cone": 0.2, "restricted": 0.3, "port_restricted": 0.2, "symmetric": 0.3,
    },
    "carrier-grade": {"full_cone": 0.1, "port_restricted": 0.4, "symmetric": 0.5},
}  # fmt: skip
"""Shares of NATs; all but the first are other assumptions that one could make."""

FAST = {"level": 1, "plain": True}
"""How programs are compiled: most of them run for less time than XLA needs for its best."""

_FIBER = 2e5  # km per second
_DETOUR = 1.5  # length of a cable over that of the great circle
_LOCAL = 0.005  # seconds of a round trip within a region


def earth(config: Config, *, jitter: float | None = None) -> transport.Regions:
    """Round trips from great circles, light in fiber and detours."""
    lat, lon = np.radians(np.array(list(PLACES.values())[: config.regions])).T
    cosine = np.sin(lat)[:, None] * np.sin(lat) + np.cos(lat)[:, None] * np.cos(lat) * np.cos(
        lon[:, None] - lon
    )
    km = 6371.0 * np.arccos(np.clip(cosine, -1.0, 1.0))
    matrix = _LOCAL + 2.0 * _DETOUR * km / _FIBER
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, _LOCAL)
    return transport.regions(matrix, jitter=config.jitter if jitter is None else jitter)


def population(
    config: Config, key: jax.Array, count: int, mix: str = DOCUMENTED, *, bandwidth: float = 12.5e6
) -> transport.Peers:
    """Peers of the ladder: some public, the others behind NATs of a mix, some with UPnP."""
    shares = {name: share * (1.0 - config.public) for name, share in MIXES[mix].items()}
    return transport.peers(
        key, count, nat={"public": config.public, **shares}, upnp=config.upnp,
        regions=config.regions, bandwidth=bandwidth,
    )  # fmt: skip


def seed_keys(config: Config, part: int) -> jax.Array:
    """Keys of one part's runs, ``[S]``."""
    key = jax.random.fold_in(jax.random.key(config.seed), part)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(np.arange(config.seeds))
