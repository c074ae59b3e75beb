"""Mixing operators over several devices: on a mesh, or inside a ``pmap`` or ``shard_map``.

Both keep the whole operator's arrays, split over the devices, next to the lists of rows that
devices must exchange; only ``receive`` differs from the operator they were made of.

Shapes: ``N`` agents, ``D`` devices, ``n = N/D``.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxswarm import agents, checks
from jaxswarm.gossip._operator import Mixing
from jaxswarm.gossip.regular_layouts import Circulant, Dense, Mean
from jaxswarm.gossip.sparse_layouts import Bucket, Gather, Segment
from jaxswarm.sharding._mesh import AXIS, agents_per_device, place
from jaxswarm.sharding.halo import Halo, gather_halo, receive
from jaxswarm.topology.neighbors import padded_lists


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Sharded(Mixing):
    """A mixing operator over a mesh; same members, same results as the one it was made of.

    ``receive`` moves between devices, per leaf and device: circulant, the halo rows; gather, the
    rows that cut edges need; dense, everything (all-gather); mean, one row (all-reduce).
    """

    whole: Any
    halo: Halo | None
    mesh: Mesh = field(metadata={"static": True})

    @property
    def num_agents(self) -> int:
        return self.whole.num_agents

    @property
    def stochasticity(self) -> str:
        return self.whole.stochasticity

    @property
    def num_edges(self) -> int | None:
        return self.whole.num_edges

    @property
    def selects(self) -> bool:
        return self.whole.selects

    @property
    def self_weights(self) -> Any:
        return self.whole.self_weights

    @property
    def layout(self) -> str:
        return self.whole.layout

    @property
    def is_sequence(self) -> bool:
        return self.whole.is_sequence

    def __getitem__(self, index: Any) -> "Sharded":
        return replace(self, whole=self.whole[index], halo=_member(self.halo, index))

    def receive(self, messages: jax.Array) -> jax.Array:
        return _receive(self, messages)

    def dense(self) -> jax.Array:
        return self.whole.dense()

    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Sharded":
        return replace(self, whole=self.whole.restrict(active, delivered))

    def num_messages(self) -> jax.Array:
        return self.whole.num_messages()


@jax.jit
def _receive(operator: Sharded, messages: jax.Array) -> jax.Array:
    part = functools.partial(receive, axis=AXIS, shards=operator.mesh.devices.size)
    specs = _specs(operator.whole, operator.halo)
    return jax.shard_map(
        part,
        mesh=operator.mesh,
        in_specs=(*specs, P(AXIS)),
        out_specs=P(AXIS),
        check_vma=False,
    )(operator.whole, operator.halo, messages)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Local(Mixing):
    """A mixing operator for code that itself runs once per device, each holding ``n`` agents.

    ``self_weights`` and ``receive`` are those of this device's agents; ``restrict`` takes this
    device's ``active bool[n]`` and the whole graph's ``delivered bool[E]``; ``num_messages`` and
    ``dense`` are of the whole swarm.
    """

    whole: Any
    halo: Halo | None
    axis_name: str = field(metadata={"static": True})
    shards: int = field(metadata={"static": True})

    @property
    def num_agents(self) -> int:
        return self.whole.num_agents // self.shards

    @property
    def stochasticity(self) -> str:
        return self.whole.stochasticity

    @property
    def num_edges(self) -> int | None:
        return self.whole.num_edges

    @property
    def selects(self) -> bool:
        return self.whole.selects

    @property
    def self_weights(self) -> Any:
        """``float[..., n]``; outside the mapped function all agents', ``float[..., N]``."""
        try:
            return self._part()[0].self_weights
        except NameError:  # no such axis here: a factory looks at the operator
            return self.whole.self_weights

    @property
    def layout(self) -> str:
        return self.whole.layout

    @property
    def is_sequence(self) -> bool:
        return self.whole.is_sequence

    def __getitem__(self, index: Any) -> "Local":
        return replace(self, whole=self.whole[index], halo=_member(self.halo, index))

    def receive(self, messages: jax.Array) -> jax.Array:
        return receive(*self._part(), messages, self.axis_name, self.shards)

    def dense(self) -> jax.Array:
        return self.whole.dense()

    def _restrict(self, active: jax.Array | None, delivered: jax.Array | None) -> "Local":
        if active is not None:
            active = jax.lax.all_gather(active, self.axis_name, tiled=True)
        return replace(self, whole=self.whole.restrict(active, delivered))

    def num_messages(self) -> jax.Array:
        return self.whole.num_messages()

    def _part(self) -> tuple[Any, Any]:
        size = jax.lax.axis_size(self.axis_name)
        if size != self.shards:
            raise ValueError(
                f"shards: expected {size}, the size of axis {self.axis_name!r}, got {self.shards}"
            )
        index = jax.lax.axis_index(self.axis_name)
        parts = (self.whole, self.halo)

        def cut(spec: P, leaf: Any) -> Any:
            axis = next((i for i, name in enumerate(spec) if name == AXIS), None)
            if axis is None:
                return leaf
            size = leaf.shape[axis] // self.shards
            return jax.lax.dynamic_slice_in_dim(jnp.asarray(leaf), index * size, size, axis)

        return jax.tree.map(cut, _specs(*parts), parts, is_leaf=lambda x: isinstance(x, P))


def shard_operator(W: Mixing, mesh: Mesh) -> Sharded:
    """Split ``W`` over the mesh; see :func:`jaxswarm.sharding.shard`."""
    whole, halo = _prepare(W, mesh.devices.size)

    parts = jax.tree.map(jax.device_put, (whole, halo))
    if not NamedSharding(mesh, P()).is_fully_addressable:
        # Steps close over operators, and jax closes over arrays of this process only: every device
        # then holds the weights and lists (no more than the edges), each its own slice of the work.
        return Sharded(parts[0], parts[1], mesh)

    def put(spec: P, leaf: Any) -> Any:
        return place(leaf, NamedSharding(mesh, spec))

    whole, halo = jax.tree.map(put, _specs(*parts), parts, is_leaf=lambda x: isinstance(x, P))
    return Sharded(whole, halo, mesh)


def local(W: Mixing, axis_name: str, shards: int | None = None) -> Local:
    """Make ``W`` usable inside ``jax.pmap`` or ``shard_map``, where a device holds ``N/D`` agents.

    ``gossip.averaging(sharding.local(W, "i", 8))`` is then a rule for one device's agents::

        rule = gossip.averaging(sharding.local(W, "i", 8))
        step = jax.pmap(lambda x: rule.mix(key, x, (), gossip.Exchange(0))[0], axis_name="i")
        step(x.reshape(8, N // 8, ...))

    Args:
        W: an operator on the host's device, or a sequence of them.
        axis_name: the mapped axis.
        shards: its size ``D``; may be left out when called inside the mapped function.

    Rules that draw random numbers draw them by global agent id: :func:`jaxswarm.agents.keys` finds
    this device's share inside a function that is mapped over ``axis_name``, so that results do not
    depend on ``D``. Give all devices the same key.

    Raises:
        ValueError: as for :func:`jaxswarm.sharding.shard`, or if ``shards`` is missing outside the
            function.
    """
    checks.instance("axis_name", axis_name, (str, tuple), '"agents"')
    if shards is None:
        try:
            shards = int(jax.lax.axis_size(axis_name))
        except NameError:
            raise ValueError(
                f"shards: expected the size of axis {axis_name!r}, not mapped here; got None"
            ) from None
    shards = checks.whole("shards", shards, 1)
    whole, halo = _prepare(W, shards)
    agents.register_share(axis_name, whole.num_agents // shards)
    parts = jax.tree.map(jnp.asarray, (whole, halo))
    return Local(parts[0], parts[1], axis_name, shards)


def is_operator(value: Any) -> bool:
    """Return whether a value is a mixing operator rather than a pytree of agents."""
    return isinstance(value, Circulant | Gather | Segment | Dense | Mean | Sharded | Local)


def _prepare(W: Mixing, shards: int) -> tuple[Mixing, Halo | None]:
    if isinstance(W, Sharded | Local) or not is_operator(W):
        raise ValueError(
            "W: expected an operator of gossip.mixing that is not sharded yet, "
            f"got {type(W).__name__}"
        )
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(W)):
        raise ValueError(
            "W: expected concrete arrays, since devices' lists are made on the host; got traced "
            "ones: build the sharded operator outside jit"
        )
    agents_per_device(W.num_agents, shards)
    if isinstance(W, Segment):
        W = _as_gather(W)
    return gather_halo(W, shards) if isinstance(W, Gather) else (W, None)


def _as_gather(W: Segment) -> Gather:
    """The same operator as degree-bucketed lists; edges of weight 0 are dropped."""
    n = W.num_agents
    weights, senders, receivers = map(np.asarray, (W.weights, W.senders, W.receivers))
    if W.is_sequence:
        width = max(
            1,
            *(
                int(np.bincount(r[w != 0], minlength=n).max())
                for w, r in zip(weights, receivers, strict=True)
            ),
        )
        members = [
            _bucket(*member, n, width=width)
            for member in zip(weights, senders, receivers, strict=True)
        ]
        buckets = (jax.tree.map(lambda *x: np.stack(x), *members),)
        return Gather(W.self_weights, buckets, n, W.stochasticity, W.num_edges)
    degrees = np.bincount(receivers[weights != 0], minlength=n)
    found = []
    for exponent in range(int(degrees.max(initial=0)).bit_length()):
        rows = np.flatnonzero((degrees >= 2**exponent) & (degrees < 2 ** (exponent + 1)))
        if len(rows):
            bucket = _bucket(weights, senders, receivers, n, rows=rows)
            found.append(replace(bucket, rows=rows.astype(np.int32)))
    return Gather(W.self_weights, tuple(found), n, W.stochasticity, W.num_edges)


def _bucket(
    weights: np.ndarray, senders: np.ndarray, receivers: np.ndarray, n: int, **options: Any
) -> Bucket:
    lists = padded_lists(senders, receivers, weights != 0, n, **options)
    padded = np.where(lists.mask, weights[lists.edges], 0.0).astype(weights.dtype)
    return Bucket(None, lists.neighbors, padded, lists.edges)


def _specs(whole: Any, halo: Halo | None) -> tuple[Any, Any]:
    """Which axis of every array is split, in the structure of ``(whole, halo)``."""
    lead = (None,) if whole.is_sequence else ()
    first, second = P(*lead, AXIS), P(*lead, None, AXIS)
    if isinstance(whole, Circulant):
        return replace(whole, self_weights=first, weights=second, edges=second), None
    if isinstance(whole, Dense):
        spec = replace(whole, self_weights=first, off_diagonal=first, senders=P(), receivers=P())
        return spec, None
    if isinstance(whole, Mean):
        active = None if whole.active is None else first
        return replace(whole, self_weights=first, active=active), None
    split = functools.partial(jax.tree.map, lambda _: first)
    buckets = tuple(split(bucket) for bucket in whole.buckets)
    return replace(whole, self_weights=first, buckets=buckets), split(halo)


def _member(halo: Halo | None, index: Any) -> Halo | None:
    return jax.tree.map(lambda leaf: leaf[index], halo)
