"""Order parameters of a swarm: polarization, phase order, milling, distances and clusters.

A NaN or infinite position, velocity or phase is nowhere: neither at distance 0 nor disordered.
Agents that are not ``active`` are left out by selection, whatever their numbers. With an active
agent that is not finite, measures of the whole swarm are NaN; measures of each agent are NaN (its
cluster is -1) for that agent alone, which is no other agent's neighbour.

Shapes: ``N`` agents, ``d`` dimensions. ``active: bool[N]`` restricts a measure to active agents.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.space import Search, Space, length


def polarization(velocities: jax.Array, active: jax.Array | None = None) -> jax.Array:
    """Length of the mean direction of velocities ``[N, d]``: 1 if all are parallel, ~0 in disorder.

    Example:
        >>> import jax.numpy as jnp
        >>> float(polarization(jnp.array([[1.0, 0.0], [3.0, 0.0]])))
        1.0
        >>> float(polarization(jnp.array([[1.0, 0.0], [jnp.nan, 0.0]])))
        nan

    Raises:
        ValueError: if velocities are not ``[N, d]``, or ``active`` is not ``bool[N]``.
    """
    velocities = checks.numbers("velocities", velocities, (None, None))
    active = _active(active, len(velocities))
    speed = length(velocities)[:, None]
    directions = velocities / jnp.where(speed == 0.0, 1.0, speed)
    return length(agents.mean(directions, active))


def phase_order(phases: jax.Array, active: jax.Array | None = None) -> jax.Array:
    """Kuramoto's order parameter ``r = |mean e^{iθ}|`` of angles ``[N]``, in ``[0, 1]``.

    Raises:
        ValueError: if phases are not ``[N]``, or ``active`` is not ``bool[N]``.
    """
    phases = checks.numbers("phases", phases, (None,))
    active = _active(active, len(phases))
    return length(agents.mean(jnp.stack([jnp.cos(phases), jnp.sin(phases)], axis=1), active))


def milling(
    positions: jax.Array, velocities: jax.Array, active: jax.Array | None = None
) -> jax.Array:
    """Rotation of the swarm about its centre: length of the mean of ``r̂ × v̂``, in ``[0, 1]``.

    For two or three dimensions, in an open space (the centre is the mean position).

    Raises:
        ValueError: if positions are not ``[N, 2]`` or ``[N, 3]``, velocities have another shape, or
            ``active`` is not ``bool[N]``.
    """
    positions = checks.numbers("positions", positions, (None, None))
    if positions.shape[1] not in (2, 3):
        raise ValueError(f"positions: expected [N, 2] or [N, 3], got {list(positions.shape)}")
    velocities = checks.numbers("velocities", velocities, positions.shape)
    active = _active(active, len(positions))
    arm = positions - agents.mean(positions, active)[None, :]
    arm = arm / jnp.maximum(length(arm), 1e-12)[:, None]
    heading = velocities / jnp.maximum(length(velocities), 1e-12)[:, None]
    if positions.shape[1] == 2:
        cross = arm[:, 0] * heading[:, 1] - arm[:, 1] * heading[:, 0]
        return jnp.abs(agents.mean(cross, active))
    return length(agents.mean(jnp.cross(arm, heading), active))


def mean_pair_distance(
    space: Space, positions: jax.Array, active: jax.Array | None = None
) -> jax.Array:
    """Mean distance between two different agents; ``O(N²)``, for up to a few thousand agents.

    Raises:
        ValueError: if positions are not ``[N, d]`` of the space, or ``active`` is not ``bool[N]``.
    """
    checks.instance("space", space, Space, "Space((1.0, 1.0))")
    positions = checks.numbers("positions", positions, (None, space.dimensions))
    active = _active(active, len(positions))
    mask = jnp.ones(len(positions), bool) if active is None else active
    both = mask[:, None] & mask[None, :] & ~jnp.eye(len(positions), dtype=bool)
    apart = space.distance(positions[:, None, :], positions[None, :, :])
    return jnp.sum(jnp.where(both, apart, 0.0)) / jnp.maximum(jnp.sum(both), 1)


def nearest_distance(
    search: Search, positions: jax.Array, active: jax.Array | None = None
) -> jax.Array:
    """``[N]``: distance to the nearest neighbour within the search's radius, else infinite.

    Raises:
        ValueError: for another search, positions or ``active`` than of its ``N`` agents.
    """
    checks.instance("search", search, Search, "search(Space((1.0, 1.0)), 0.1, 20)")
    nearest, report = search.reduce(
        positions, lambda own, other, offset: length(offset), op="min", active=active
    )
    return jnp.where(report.flagged, jnp.nan, nearest)


def clusters(search: Search, positions: jax.Array, active: jax.Array | None = None) -> jax.Array:
    """Connected components of the graph of neighbours within the search's radius, ``int32[N]``.

    The label is the smallest agent id of the cluster, -1 for agents that are inactive or at a NaN
    or infinite position. Labels spread from neighbour to neighbour, so the number of searches is
    the graph's diameter at most.

    Raises:
        ValueError: for another search, positions or ``active`` than of its ``N`` agents.
    """
    checks.instance("search", search, Search, "search(Space((1.0, 1.0)), 0.1, 20)")
    n = search.num_agents
    positions = checks.numbers("positions", positions, (n, search.space.dimensions))
    active = _active(active, n)
    ids = jnp.arange(n, dtype=jnp.float32)

    def spread(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        label, _ = carry
        smallest, _ = search.reduce(
            positions, lambda own, other, offset: other, label, op="min", active=active
        )
        smallest = jnp.minimum(label, smallest)
        return smallest, jnp.any(smallest != label)

    label, _ = jax.lax.while_loop(lambda carry: carry[1], spread, (ids, jnp.bool_(True)))
    somewhere = jnp.all(jnp.isfinite(positions), axis=1)
    mask = somewhere if active is None else somewhere & active
    return jnp.where(mask, label.astype(jnp.int32), -1)


def largest_cluster(labels: jax.Array) -> jax.Array:
    """Share of the labelled agents in the largest cluster, given :func:`clusters`' labels.

    Raises:
        ValueError: if the labels are not whole numbers ``[N]`` in ``[-1, N)``.
    """
    labels = checks.wholes("labels", labels, -1, shape=(None,))
    if not len(labels):
        raise ValueError("labels: expected at least 1 agent, got none")
    labels = jnp.asarray(checks.wholes("labels", labels, -1, len(labels) - 1))
    labeled = labels >= 0
    slot = jnp.where(labeled, labels, len(labels))
    sizes = jnp.zeros(len(labels), jnp.int32).at[slot].add(1, mode="drop")
    return jnp.max(sizes) / jnp.maximum(jnp.sum(labeled), 1)


def _active(active: jax.Array | None, n: int) -> jax.Array | None:
    return None if active is None else jnp.asarray(checks.mask("active", active, (n,)))
