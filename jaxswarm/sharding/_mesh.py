"""The device mesh of agents, and how pytrees are placed on it.

Shapes: ``N`` agents, ``D`` devices; device ``d`` holds the ``N/D`` consecutive agents from ``d
    N/D`` on.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxswarm import checks
from jaxswarm._rollout import check_fits, leaf_name
from jaxswarm.gossip._operator import Mixing
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
        ValueError: if there are not that many devices, none is given, or one is given twice.
    """
    found = jax.devices()
    if devices is None:
        devices = found
    elif isinstance(devices, (str, bytes)) or not isinstance(devices, Iterable):
        try:
            count = checks.whole("devices", devices, 1, len(found))
        except ValueError:
            raise ValueError(
                f"devices: expected a number in [1, {len(found)}], the devices found, or devices, "
                f"got {checks.shown(devices)}"
                "; sharding.force_cpu_devices(…), called first, or XLA_FLAGS="
                "--xla_force_host_platform_device_count=… makes several of one CPU"
            ) from None
        devices = found[:count]
    devices = list(devices)
    for index, device in enumerate(devices):
        checks.instance(f"devices[{index}]", device, jax.Device, "jax.devices()[0]")
    if len(devices) == 0:
        raise ValueError("devices: expected at least one device, got none")
    if len(set(devices)) < len(devices):
        raise ValueError(f"devices: expected distinct ones, got {[d.id for d in devices]}")
    return Mesh(np.asarray(devices), (AXIS,))


def agents_per_device(num_agents: int, shards: int) -> int:
    """Compute ``N/D``, the number of agents on each device.

    Raises:
        ValueError: unless both are at least 1 and ``D`` divides ``N``; agents are never padded
            silently, because a padded agent would count in every mean.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    shards = checks.whole("shards", shards, 1)
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
    """Copy every leaf to every device; with several processes all must pass equal values.

    Raises:
        ValueError: if ``mesh`` is no mesh of :func:`mesh`, or a leaf is not an array or a number.
    """
    require_mesh(mesh)
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree_util.tree_map_with_path(lambda path, x: _put(path, x, everywhere), tree)


def require_mesh(mesh: Any) -> None:
    """Check that a value is a mesh with the one axis ``agents``.

    Raises:
        ValueError: naming what came.
    """
    checks.instance("mesh", mesh, Mesh, "sharding.mesh()")
    if mesh.axis_names != (AXIS,):
        raise ValueError(
            f"mesh: expected one axis {AXIS!r} as made by sharding.mesh(), got {mesh.axis_names}"
        )


def shard_tree(
    tree: PyTree, mesh: Mesh, num_agents: int | None, split: Callable[[Mixing], PyTree]
) -> PyTree:
    """Split leaves that have an agents' axis over the mesh and replicate all others.

    See :func:`jaxswarm.sharding.shard`. Operators inside the tree are given to ``split``.
    """
    if num_agents is None:
        n = infer_num_agents(tree)
    else:
        n = checks.whole("num_agents", num_agents, 1)
    agents_per_device(n, mesh.devices.size)
    leaves = jax.tree.leaves(tree, is_leaf=is_mixing)
    for operator in filter(is_mixing, leaves):
        if operator.num_agents != n:
            raise ValueError(
                f"num_agents: expected {operator.num_agents} like the operator in the tree, got {n}"
            )
    shapes = [np.shape(leaf) for leaf in leaves if not is_mixing(leaf)]
    extents = sorted({extent for shape in shapes for extent in shape[:2]})
    if extents and len(shapes) == len(leaves) and n not in extents:
        raise ValueError(
            f"num_agents: expected the length of axis 0 or 1 of a leaf, one of {extents}, got {n}"
        )

    def put(path: tuple[Any, ...], leaf: Any) -> Any:
        if is_mixing(leaf):
            return split(leaf)
        return _put(path, leaf, NamedSharding(mesh, agents_axis(np.shape(leaf), n)))

    return jax.tree_util.tree_map_with_path(put, tree, is_leaf=is_mixing)


def is_mixing(value: Any) -> bool:
    """Return whether a value is a mixing operator."""
    return isinstance(value, Mixing)


def _put(path: tuple[Any, ...], leaf: Any, sharding: NamedSharding) -> Any:
    where = f"at leaf {leaf_name(path)}"
    try:
        with np.errstate(over="ignore"):  # checked below
            placed = place(leaf, sharding)
    except (TypeError, OverflowError):
        raise ValueError(
            f"tree: expected an array or a number {where}, got {checks.shown(leaf)}"
        ) from None
    check_fits("tree", where, leaf, placed)
    return placed


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
    """Find ``N`` of a tree: its ``num_agents``, its operators', its ``params``' or its leaves'.

    Raises:
        ValueError: if leaves lead with different sizes; then pass ``num_agents``.
    """
    known = getattr(tree, "num_agents", None)
    if isinstance(known, int):
        return known
    operators = filter(is_mixing, jax.tree.leaves(tree, is_leaf=is_mixing))
    sizes = {operator.num_agents for operator in operators}
    if not sizes:
        leaves = jax.tree.leaves(getattr(tree, "params", tree))
        sizes = {np.shape(leaf)[0] for leaf in leaves if np.shape(leaf)}
    if len(sizes) != 1:
        raise ValueError(
            f"num_agents: expected leaves with one common leading axis, got "
            f"{sorted(sizes) or 'scalars only'}"
            "; pass num_agents=… to tell which axis is the agents'"
        )
    return sizes.pop()


def _on_host(leaf: Any) -> Any:
    """An array in the memory of CPU devices as numpy: cutting it then compiles nothing."""
    if not isinstance(leaf, jax.Array) or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return leaf
    on_cpu = all(device.platform == "cpu" for device in leaf.devices())
    return np.asarray(leaf) if on_cpu and leaf.is_fully_addressable else leaf


def place(leaf: Any, sharding: Any) -> Any:
    """Place one leaf with a sharding, whichever processes its devices belong to."""
    if sharding.is_fully_addressable:
        return jax.device_put(_on_host(leaf), sharding)
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return jax.jit(lambda x: x, out_shardings=sharding)(leaf)
    if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = jax.random.key_data(leaf)
        spec = PartitionSpec(*sharding.spec)
        placed = place(data, NamedSharding(sharding.mesh, spec))
        return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(leaf))
    host = np.asarray(jax.numpy.asarray(leaf))
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])
