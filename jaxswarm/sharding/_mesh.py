"""The device mesh of agents, and how pytrees are placed on it.

Shapes: ``N`` agents, ``D`` devices; device ``d`` holds the ``N/D`` consecutive agents from ``d
    N/D`` on.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxswarm.types import PyTree

AXIS = "agents"
"""Name of the one mesh axis."""


def mesh(devices: int | Sequence[Any] | None = None) -> Mesh:
    """Build a mesh with one axis named ``agents``.

    Args:
        devices: the devices, or how many of the first; all devices of all processes by default.

    Example:
        >>> mesh(1).axis_names
        ('agents',)

    Raises:
        ValueError: if there are not that many devices, or none is given.
    """
    if devices is None or isinstance(devices, int):
        found = jax.devices()
        count = len(found) if devices is None else devices
        if not 1 <= count <= len(found):
            raise ValueError(
                f"devices: expected a number in [1, {len(found)}], the devices found, got {count}"
                "; XLA_FLAGS=--xla_force_host_platform_device_count=… makes several of one CPU"
            )
        devices = found[:count]
    if len(devices) == 0:
        raise ValueError("devices: expected at least one device, got none")
    return Mesh(np.asarray(list(devices)), (AXIS,))


def agents_per_device(num_agents: int, shards: int) -> int:
    """Compute ``N/D``, the number of agents on each device.

    Raises:
        ValueError: if ``D`` does not divide ``N``; agents are never padded silently, because a
            padded agent would count in every mean.
    """
    if num_agents % shards:
        more = -(-num_agents // shards) * shards
        fewer = max(d for d in range(1, shards + 1) if num_agents % d == 0)
        raise ValueError(
            f"num_agents: {num_agents} agents cannot be divided evenly among {shards} devices; use "
            f"{more} agents (pad with {more - num_agents} that are marked as not alive in the "
            f"network process and left out of means by a mask) or a mesh of {fewer}: "
            f"sharding.mesh({fewer})"
        )
    return num_agents // shards


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Copy every leaf to every device; with several processes all must pass equal values."""
    return jax.tree.map(lambda leaf: place(leaf, NamedSharding(mesh, PartitionSpec())), tree)


def shard_tree(tree: PyTree, mesh: Mesh, num_agents: int | None = None) -> PyTree:
    """Split leaves that have an agents' axis over the mesh and replicate all others.

    See :func:`jaxswarm.sharding.shard`, which takes mixing operators too.
    """
    n = infer_num_agents(tree) if num_agents is None else num_agents
    agents_per_device(n, mesh.devices.size)

    def put(leaf: Any) -> Any:
        return place(leaf, NamedSharding(mesh, agents_axis(np.shape(leaf), n)))

    return jax.tree.map(put, tree)


def agents_axis(shape: tuple[int, ...], num_agents: int) -> PartitionSpec:
    """Find the agents' axis of a leaf: axis 0, or axis 1 behind a time axis (histories), or none.

    A wrong guess costs memory or traffic, never correctness: the compiler moves what is needed.
    """
    if shape[:1] == (num_agents,):
        return PartitionSpec(AXIS)
    if shape[1:2] == (num_agents,):
        return PartitionSpec(None, AXIS)
    return PartitionSpec()


def infer_num_agents(tree: PyTree) -> int:
    """Find ``N`` of a tree: its ``num_agents``, its ``params``', or the axis its leaves share.

    Raises:
        ValueError: if leaves lead with different sizes; then pass ``num_agents``.
    """
    known = getattr(tree, "num_agents", None)
    if isinstance(known, int):
        return known
    leaves = getattr(tree, "params", tree)
    sizes = {np.shape(leaf)[0] for leaf in jax.tree.leaves(leaves) if np.shape(leaf)}
    if len(sizes) != 1:
        raise ValueError(
            f"num_agents: expected leaves with one common leading axis, got "
            f"{sorted(sizes) or 'scalars only'}"
            "; pass num_agents=… to tell which axis is the agents'"
        )
    return sizes.pop()


def place(leaf: Any, sharding: Any) -> Any:
    """Place one leaf with a sharding, whichever processes its devices belong to."""
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return jax.jit(lambda x: x, out_shardings=sharding)(leaf)
    if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = jax.random.key_data(leaf)
        spec = PartitionSpec(*sharding.spec)
        placed = place(data, NamedSharding(sharding.mesh, spec))
        return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(leaf))
    host = np.asarray(jax.numpy.asarray(leaf))
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])
