"""Agents on several devices: one mesh axis ``agents``, the same program on one core or many hosts.

``shard(tree, mesh)`` places stacked agents, ``shard(W, mesh)`` gives a mixing operator that
exchanges only the rows that devices need of each other. Everything else (``simulate``, gossip
rules, learners, ``agents.mean``) runs unchanged: it is ordinary ``jit`` over sharded arrays.
"""

from typing import Any

from jax.sharding import Mesh

from jaxswarm.sharding._host import force_cpu_devices
from jaxswarm.sharding._mesh import (
    AXIS,
    agents_per_device,
    mesh,
    replicate,
    require_mesh,
    shard_tree,
)
from jaxswarm.sharding._partition import Cut, cut, partition, relabel
from jaxswarm.sharding.collectives import moved_bytes
from jaxswarm.sharding.operators import Local, Sharded, local, shard_operator

__all__ = [
    "AXIS",
    "Cut",
    "Local",
    "Sharded",
    "agents_per_device",
    "cut",
    "force_cpu_devices",
    "local",
    "mesh",
    "moved_bytes",
    "partition",
    "relabel",
    "replicate",
    "shard",
]


def shard(tree: Any, mesh: Mesh, *, num_agents: int | None = None) -> Any:
    """Split arrays with an agents' axis over the mesh and replicate the rest.

    Args:
        tree: a pytree, a mixing operator (a single one or a sequence), or a pytree that contains
            operators. Leaves whose axis 0 (or axis 1, behind a history's time axis) has ``N``
            entries are split, typed keys ``[N]`` too; everything else (scalars, shared data) goes
            whole to every device.
        mesh: of :func:`mesh`.
        num_agents: ``N``; found from ``tree.num_agents``, the operators in the tree,
            ``tree.params`` or the leaves' common leading axis if omitted.

    Returns:
        The same tree, placed; for an operator a :class:`Sharded` one with the same members.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import gossip, sharding, topology
        >>> mesh = sharding.mesh(1)
        >>> W = sharding.shard(gossip.mixing(topology.ring(4)), mesh)
        >>> x = sharding.shard(jnp.array([0.0, 3.0, 6.0, 9.0]), mesh)
        >>> gossip.mix(W, x).tolist()
        [4.0, 3.0, 6.0, 5.0]

    Raises:
        ValueError: if the device count does not divide ``N`` (the message says what to do), if
            ``N`` cannot be found from the leaves or is not the length of an axis of one, or if an
            operator is traced or sharded already.
    """
    require_mesh(mesh)
    return shard_tree(tree, mesh, num_agents, lambda W: shard_operator(W, mesh))
