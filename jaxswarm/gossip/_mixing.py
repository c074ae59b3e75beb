"""Build a mixing operator from a topology and apply it to a pytree.

``W = mixing(topology)`` chooses weights and a layout on the host; ``mix(W, tree)`` is the pure
function that gossip rules are made of.

Shapes: ``N`` agents, ``E`` directed edge slots, ``K`` slots per agent, ``T`` members of a sequence.

References: L. Xiao, S. Boyd, Fast linear iterations for distributed averaging, 2004.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm import agents, checks, errors
from jaxswarm.gossip._operator import Mixing, apply, compiled, float_dtype, require_operator
from jaxswarm.gossip.regular_layouts import Circulant, Dense, Mean
from jaxswarm.gossip.sparse_layouts import Bucket, Gather, Segment
from jaxswarm.topology import Topology, degrees, from_edges, require_connected, require_topology
from jaxswarm.topology import weights as schemes
from jaxswarm.topology.neighbors import padded_lists
from jaxswarm.topology.validation import is_concrete
from jaxswarm.types import PyTree

LAYOUTS = ("auto", "circulant", "gather", "segment", "dense", "mean")
DENSE_FRACTION = 1 / 8
"""Mean degree over ``N`` beyond which a matrix product is faster (see benchmarks/README.md)."""

Edges = jax.Array | np.ndarray

_TOLERANCE = 1e-4
_POWER_STEPS = 200


def mixing(
    topology: Topology,
    weights: str | jax.Array | np.ndarray = "metropolis",
    layout: str = "auto",
    *,
    stochasticity: str | None = None,
    connected: bool = True,
) -> Mixing:
    """Build the mixing operator ``W`` of a topology.

    Args:
        topology: a single graph, or a sequence/batch (then ``W`` is one too: ``W[t]``).
        weights: a scheme of :data:`jaxswarm.topology.weights.SCHEMES`, or one weight per directed
            edge, ``[..., E]``, in the topology's edge order: what the receiver gives the sender.
            The rest of a row is the self-weight (of a column, for ``stochasticity="column"``). May
            be traced, so ``W`` can be differentiated with respect to it.
            Weights are ``float32``, ``float64`` where jax's 64-bit mode is on.
        layout: ``"auto"`` or one of ``circulant``, ``gather``, ``segment``, ``dense``, ``mean``;
            all are equal to ``W.dense()`` up to rounding. A traced topology (an argument of ``jit``
            or ``vmap``) has ``segment`` or ``dense`` only; ``"auto"`` takes ``segment``.
        stochasticity: declares the weights ``"doubly"``, ``"row"`` or ``"column"`` stochastic;
            checked when they are concrete, found out when omitted (traced weights count as
            ``"row"``).
        connected: refuse a single graph in which consensus is impossible. Pass ``False`` to allow
            several components.

    Returns:
        A pytree usable inside ``jit`` as an argument or a closure.

    Example:
        >>> from jaxswarm import topology
        >>> W = mixing(topology.ring(4))
        >>> W
        Dense(4 agents, doubly-stochastic)
        >>> [round(w, 3) for w in W.dense()[0].tolist()]
        [0.333, 0.333, 0.0, 0.333]

    Raises:
        ValueError: something else than a topology, unknown scheme or layout, wrong number of
            weights, weights that are no finite real numbers, that are not stochastic as declared,
            or with which values grow (an eigenvalue beyond 1, as for weights of a graph that are
            no mixing weights), a disconnected graph, or a layout that the graph does not admit.
    """
    require_topology(topology)
    traced = not is_concrete(topology)
    if layout not in LAYOUTS:
        raise errors.unknown("layout", layout, LAYOUTS)
    if stochasticity not in (None, "doubly", "row", "column"):
        raise errors.unknown("stochasticity", stochasticity, ("doubly", "row", "column"))
    if traced and layout in ("circulant", "gather", "mean"):
        raise ValueError(
            f"layout: expected 'segment' or 'dense' for a traced topology, got {layout!r}, whose "
            "lists are made on the host"
        )
    if connected and not traced and not topology.is_sequence and topology.num_agents > 1:
        require_connected(topology)
    if isinstance(weights, str):
        if weights not in schemes.SCHEMES:
            raise errors.unknown("weights", weights, schemes.SCHEMES)
        declared = stochasticity or schemes.STOCHASTICITY[weights]
        edge_weights = schemes.SCHEMES[weights](topology)
    else:
        declared = stochasticity
        checks.real("weights", weights, shape=None)
        edge_weights = weights if checks.is_traced(weights) else np.asarray(weights)
        if edge_weights.shape != topology.senders.shape:
            raise ValueError(
                f"weights: expected one per directed edge, shape {topology.senders.shape}, "
                f"got {edge_weights.shape}"
            )
    # On the host where possible: 64-bit weights keep their digits, and nothing is compiled.
    xp = jnp if checks.is_traced(edge_weights) or traced else np
    edge_weights = xp.where(topology.mask, edge_weights, 0.0).astype(float_dtype())
    kind = _settle_stochasticity(topology, edge_weights, declared)
    own_end = topology.senders if kind == "column" else topology.receivers
    self_weights = 1.0 - _sum_per_agent(edge_weights, own_end, topology.num_agents)
    if not isinstance(weights, str) or stochasticity is not None:
        _require_stable(topology, edge_weights, self_weights)
    if layout == "auto":
        chosen = "segment" if traced else _choose(topology, edge_weights)
    else:
        chosen = layout
    built = _BUILDERS[chosen](topology, edge_weights, self_weights, kind)
    if isinstance(built, Circulant | Gather | Segment):
        built = replace(built, selects=_has_zeros(built))
    return jax.tree.map(jax.device_put, built)  # jnp.asarray would compile for every shape


def _namespace(*arrays: Any) -> Any:
    """Return ``numpy`` for arrays on the host, ``jax.numpy`` for others."""
    return np if all(isinstance(array, np.ndarray) for array in arrays) else jnp


def _has_zeros(W: Circulant | Gather | Segment) -> bool:
    """Whether a weight is 0, padding included, or may be, since it is traced."""
    floats = [x for x in jax.tree.leaves(W) if jnp.issubdtype(jnp.result_type(x), jnp.floating)]
    return any(checks.is_traced(x) or not np.all(x) for x in floats)


def from_matrix(
    matrix: Any, layout: str = "auto", *, connected: bool = True, tolerance: float = 1e-5
) -> Mixing:
    """Build the mixing operator of a row-stochastic matrix ``[N, N]``; its non-zeros are edges.

    Raises:
        ValueError: if the matrix is not square, not finite, or a row does not sum to one.
    """
    if checks.is_traced(matrix):
        raise ValueError("matrix: expected concrete numbers, got traced ones: build it outside jit")
    checks.real("tolerance", tolerance, 0.0)
    checks.real("matrix", matrix, shape=None)
    entries = np.asarray(matrix, np.float64)
    if entries.ndim != 2 or entries.shape[0] != entries.shape[1]:
        raise ValueError(f"matrix: expected a square matrix [N, N], got shape {entries.shape}")
    sums = entries.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > tolerance:
        raise ValueError(f"matrix: rows must sum to one, row {worst} sums to {sums[worst]:.6g}")
    receivers, senders = np.nonzero(entries - np.diag(np.diag(entries)))
    graph = from_edges(np.stack([senders, receivers], axis=1), len(entries), directed=True)
    weights = entries[graph.receivers, graph.senders]
    return mixing(graph, weights, layout, connected=connected)


def complete_mean(num_agents: int) -> Mixing:
    """Build the operator of the complete graph with all weights ``1/N``, without its ``N²`` edges.

    Example:
        >>> complete_mean(5)
        Mean(5 agents, doubly-stochastic)

    Raises:
        ValueError: if ``num_agents < 1``.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    return Mean(jnp.full(num_agents, 1.0 / num_agents), num_agents)


def mix(W: Mixing, tree: PyTree, messages: PyTree | None = None) -> PyTree:
    """Compute ``W x`` for every leaf of a pytree, agents on axis 0.

    Args:
        W: a single operator (index a sequence first: ``mix(W[t], tree)``).
        tree: what the agents hold; floating leaves ``[N, ...]``.
        messages: what they send, ``tree`` itself if omitted; same structure and shapes.

    Returns:
        A tree like ``tree``. Sums are accumulated in at least float32 and cast back.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import topology
        >>> W = mixing(topology.ring(4))
        >>> mix(W, jnp.array([0.0, 3.0, 6.0, 9.0])).tolist()
        [4.0, 3.0, 6.0, 5.0]

    Raises:
        ValueError: if ``W`` is no operator or a sequence, a leaf has another leading axis or a
            non-floating dtype, or messages have other shapes than the tree.
    """
    if isinstance(tree, Mixing):
        raise ValueError(
            "tree: expected a pytree of arrays [N, ...], got a mixing operator; the order of "
            "arguments is mix(W, tree)"
        )
    require_operator(W)
    if W.is_sequence:
        raise ValueError("W: expected a single mixing operator, got a sequence; use W[t] or vmap")
    agents.check_params(tree, W.num_agents, "tree")
    if messages is not None:
        agents.check_same_shapes(messages, tree, "messages")
    tree = jax.tree.map(jnp.asarray, tree)
    sent = tree if messages is None else jax.tree.map(jnp.asarray, messages)
    return _mixed(W, tree, sent)


@compiled
def _mixed(W: Mixing, tree: PyTree, sent: PyTree) -> PyTree:
    return jax.tree.map(lambda own, message: apply(W, own, message), tree, sent)


def _settle_stochasticity(topology: Topology, weights: Edges, declared: str | None) -> str:
    """Stochasticity of the weights, checked against ``declared`` when they are concrete."""
    if isinstance(weights, Tracer) or isinstance(topology.senders, Tracer):
        return declared or "row"
    n = topology.num_agents
    values = np.asarray(weights)
    if not np.isfinite(values).all():
        raise ValueError("weights: expected finite edge weights, got NaN or infinity")
    incoming = np.asarray(_sum_per_agent(weights, topology.receivers, n))
    outgoing = np.asarray(_sum_per_agent(weights, topology.senders, n))
    balanced = np.abs(incoming - outgoing).max(initial=0.0) <= _TOLERANCE
    if declared == "doubly" and not balanced:
        agent = int(np.argmax(np.abs(incoming - outgoing).reshape(-1, n).max(axis=0)))
        raise ValueError(
            "weights: expected doubly stochastic ones (symmetric weights are), as declared, but "
            f"agent {agent} gives others {incoming.reshape(-1, n)[:, agent].max():.6g} in all and "
            f"is given {outgoing.reshape(-1, n)[:, agent].max():.6g}"
        )
    if balanced and declared != "column":
        return "doubly"
    return declared or "row"


def _require_stable(topology: Topology, weights: Any, self_weights: Any) -> None:
    """Refuse weights of the caller's own with which values grow: an eigenvalue beyond 1.

    Non-negative weights are stable. With negative ones, the growth of a random vector is measured.
    """
    if checks.is_traced(weights) or checks.is_traced(self_weights) or not is_concrete(topology):
        return
    own = np.atleast_2d(np.asarray(self_weights, np.float64))
    others = np.atleast_2d(np.asarray(weights, np.float64))
    if own.min(initial=0.0) >= -_TOLERANCE and others.min(initial=0.0) >= -_TOLERANCE:
        return
    n = topology.num_agents
    senders, receivers = np.atleast_2d(topology.senders), np.atleast_2d(topology.receivers)
    for w, s, sender, receiver in zip(others, own, senders, receivers, strict=True):
        x = np.random.default_rng(0).normal(size=n)
        for _ in range(_POWER_STEPS):
            y = s * x + np.bincount(receiver, w * x[sender], minlength=n)
            growth = np.linalg.norm(y) / max(np.linalg.norm(x), 1e-300)
            x = y / max(np.linalg.norm(y), 1e-300)
        if growth > 1.0 + 1e-3:
            agent = int(np.argmin(s))
            raise ValueError(
                "weights: expected mixing weights, with which values do not grow, got an "
                f"eigenvalue of size {growth:.4g} (agent {agent} is left with self-weight "
                f"{s[agent]:.4g}); weights of a graph are no mixing weights: divide them, or use a "
                "scheme such as 'metropolis'"
            )


def _sum_per_agent(weights: Any, ends: Any, n: int) -> Any:
    """Sum edge weights at one end, ``[..., N]``; on the host when they are concrete."""
    if not isinstance(weights, Tracer) and not isinstance(ends, Tracer):
        values, agent = np.asarray(weights), np.asarray(ends)
        total = np.zeros((*values.shape[:-1], n), values.dtype)
        np.add.at(total, (*np.indices(values.shape)[:-1], agent), values)
        return total
    single = lambda w, e: jax.ops.segment_sum(w, e, num_segments=n)  # noqa: E731
    for _ in range(weights.ndim - 1):
        single = jax.vmap(single)
    return single(weights, jnp.asarray(ends))


def _choose(topology: Topology, weights: Edges) -> str:
    n, slots = topology.num_agents, topology.num_edge_slots
    if not topology.is_sequence and slots == n * (n - 1) and n > 2:
        if not isinstance(weights, Tracer) and np.allclose(weights, 1.0 / n, atol=1e-7):
            return "mean"
    if slots > DENSE_FRACTION * n * n and n <= 4096:
        return "dense"
    few_hops = topology.offsets is not None and len(topology.offsets) <= 16
    if few_hops and not topology.is_sequence:
        return "circulant"
    return "gather"


def _circulant(topology: Topology, weights: Edges, own: Edges, kind: str) -> Mixing:
    if topology.offsets is None or topology.is_sequence:
        raise ValueError(
            f"layout: {topology.name} is not known to be circulant; use 'gather' or 'segment'"
        )
    n = topology.num_agents
    receivers = np.asarray(topology.receivers, np.int64)
    codes = receivers * n + np.asarray(topology.senders, np.int64)
    agent = np.arange(n)[None, :]
    wanted = agent * n + (agent + np.asarray(topology.offsets)[:, None]) % n
    edges = np.searchsorted(codes, wanted)
    complete = wanted.size == int(np.sum(topology.mask))  # not only edges: all the edges
    if not complete or not np.array_equal(codes[np.minimum(edges, len(codes) - 1)], wanted):
        raise ValueError(f"layout: offsets {topology.offsets} do not describe the edges")
    slots = topology.num_edge_slots
    return Circulant(own, weights[edges], edges.astype(np.int32), topology.offsets, n, kind, slots)


def _gather(topology: Topology, weights: Edges, own: Edges, kind: str) -> Mixing:
    n, slots = topology.num_agents, topology.num_edge_slots
    if not np.any(topology.mask):
        return Gather(own, (), n, kind, slots)
    if topology.is_sequence:
        width = int(degrees(topology)[0].max(initial=0))
        members = [
            _bucket(t, w, np.arange(n), width)
            for t, w in zip(_members(topology), weights, strict=True)
        ]
        stacked = jax.tree.map(lambda *leaves: _namespace(*leaves).stack(leaves), *members)
        return Gather(own, (stacked,), n, kind, slots)
    counts, _ = degrees(topology)
    width = int(counts.max(initial=0))
    if n * width <= 2 * max(int(counts.sum()), n):
        whole = _bucket(topology, weights, np.arange(n), width)
        return Gather(own, (whole,), n, kind, slots)
    buckets = []
    for exponent in range(int(width).bit_length()):
        rows = np.flatnonzero((counts >= 2**exponent) & (counts < 2 ** (exponent + 1)))
        if len(rows):
            bucket = _bucket(topology, weights, rows, int(counts[rows].max()))
            buckets.append(replace(bucket, rows=rows.astype(np.int32)))
    return Gather(own, tuple(buckets), n, kind, slots)


def _members(topology: Topology) -> list[Topology]:
    return [topology[t] for t in range(topology.length)]


def _bucket(topology: Topology, weights: Edges, rows: np.ndarray, width: int) -> Bucket:
    """Padded lists of ``rows``; a padding slot points at the agent itself with weight 0."""
    lists = padded_lists(
        topology.senders,
        topology.receivers,
        topology.mask,
        topology.num_agents,
        rows=rows,
        width=width,
    )
    taken = weights[lists.edges]
    padded = _namespace(taken).where(lists.mask, taken, taken.dtype.type(0))
    return Bucket(None, lists.neighbors, padded, lists.edges)


def _segment(topology: Topology, weights: Edges, own: Edges, kind: str) -> Mixing:
    return Segment(own, weights, topology.senders, topology.receivers, topology.num_agents, kind)


def _dense(topology: Topology, weights: Edges, own: Edges, kind: str) -> Mixing:
    n = topology.num_agents
    if isinstance(weights, np.ndarray):
        matrix = np.zeros((*weights.shape[:-1], n, n), weights.dtype)
        members = np.indices(weights.shape)[:-1]
        np.add.at(matrix, (*members, topology.receivers, topology.senders), weights)
        return Dense(own, matrix, topology.senders, topology.receivers, n, kind)

    def single(w: jax.Array, senders: Any, receivers: Any) -> jax.Array:
        return jnp.zeros((n, n), w.dtype).at[receivers, senders].add(w)

    for _ in range(weights.ndim - 1):
        single = jax.vmap(single)
    senders, receivers = jnp.asarray(topology.senders), jnp.asarray(topology.receivers)
    return Dense(own, single(weights, senders, receivers), senders, receivers, n, kind)


def _mean(topology: Topology, weights: Edges, own: Edges, kind: str) -> Mixing:
    n = topology.num_agents
    if topology.num_edge_slots != n * (n - 1) or not np.allclose(weights, 1.0 / n, atol=1e-6):
        raise ValueError("layout: 'mean' needs the complete graph with all weights 1/N")
    return Mean(own, n, "doubly")


_BUILDERS = {
    "circulant": _circulant,
    "gather": _gather,
    "segment": _segment,
    "dense": _dense,
    "mean": _mean,
}
