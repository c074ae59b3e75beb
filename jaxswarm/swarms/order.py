"""How ordered a swarm is.

Shapes: ``N`` agents, ``d`` dimensions.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.space import Search, Space, length


def polarization(velocities: jax.Array, active: jax.Array | None = None) -> jax.Array:
    """Length of the mean direction of ``[N, d]``: 1 if all go one way, near 0 in disorder."""
    speed = length(velocities)[:, None]
    directions = velocities / jnp.where(speed > 0.0, speed, 1.0)
    return length(agents.mean(directions, active))


def phase_order(phases: jax.Array, active: jax.Array | None = None) -> jax.Array:
    """Kuramoto's ``r = |mean e^{iθ}|`` of ``[N]`` angles; the polarisation of headings."""
    return length(agents.mean(jnp.stack([jnp.cos(phases), jnp.sin(phases)], axis=1), active))


def milling(
    positions: jax.Array, velocities: jax.Array, active: jax.Array | None = None
) -> jax.Array:
    """How much the swarm turns about its centre, 0 to 1: the mean ``|r̂ × v̂|`` vector's length.

    For two or three dimensions, in an open space (the centre is the mean position).
    """
    arm = positions - agents.mean(positions, active)[None, :]
    arm = arm / jnp.maximum(length(arm), 1e-12)[:, None]
    way = velocities / jnp.maximum(length(velocities), 1e-12)[:, None]
    if positions.shape[1] == 2:
        return jnp.abs(agents.mean(arm[:, 0] * way[:, 1] - arm[:, 1] * way[:, 0], active))
    return length(agents.mean(jnp.cross(arm, way), active))


def mean_pair_distance(
    space: Space, positions: jax.Array, active: jax.Array | None = None
) -> jax.Array:
    """Mean distance of two different agents; all pairs, for up to a few thousand."""
    mask = jnp.ones(len(positions), bool) if active is None else active
    both = mask[:, None] & mask[None, :] & ~jnp.eye(len(positions), dtype=bool)
    apart = space.distance(positions[:, None, :], positions[None, :, :])
    return jnp.sum(jnp.where(both, apart, 0.0)) / jnp.maximum(jnp.sum(both), 1)


def nearest_distance(
    search: Search, positions: jax.Array, active: jax.Array | None = None
) -> jax.Array:
    """``[N]``: distance to the nearest other within the search's radius, else infinite."""
    return search.reduce(
        positions, lambda own, other, offset: length(offset), op="min", active=active
    )[0]


def clusters(search: Search, positions: jax.Array, active: jax.Array | None = None) -> Any:
    """``int32[N]``: the least id of each agent's cluster; one sees another, so they are in one.

    Inactive agents are labelled -1. Labels spread by neighbours, so a long thin cluster takes as
    many searches as it is long.
    """
    n = search.num_agents
    ids = jnp.arange(n, dtype=jnp.float32)

    def spread(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        label, _ = carry
        seen, _ = search.reduce(
            positions, lambda own, other, offset: other, label, op="min", active=active
        )
        least = jnp.minimum(label, seen)
        return least, jnp.any(least != label)

    label, _ = jax.lax.while_loop(lambda carry: carry[1], spread, (ids, jnp.bool_(True)))
    mask = jnp.ones(n, bool) if active is None else active
    return jnp.where(mask, label.astype(jnp.int32), -1)


def largest_cluster(labels: jax.Array) -> jax.Array:
    """Share of the labelled agents that are in the largest cluster of ``labels [N]``."""
    labeled = labels >= 0
    slot = jnp.where(labeled, labels, len(labels))
    sizes = jnp.zeros(len(labels), jnp.int32).at[slot].add(1, mode="drop")
    return jnp.max(sizes) / jnp.maximum(jnp.sum(labeled), 1)
