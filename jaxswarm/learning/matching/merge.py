"""Matched averaging: average neighbours' networks after permuting their units.

Shapes: ``N`` agents on axis 0 of every leaf, ``E`` directed edges, ``K`` in-neighbour slots, ``B``
samples of a batch, ``P`` parameters.

References:
    N. Saadati et al., DIMAT: decentralized iterative merging-and-training for deep learning models,
    2024.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.checks import is_traced
from jaxswarm.gossip._mixing import mix as mix_with
from jaxswarm.gossip._mixing import mixing
from jaxswarm.gossip.robust._neighborhoods import Neighborhood, over_neighborhoods
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.learning.matching.matchers import Matcher
from jaxswarm.learning.matching.spec import PermutationSpec, permute, sizes
from jaxswarm.topology import Topology
from jaxswarm.topology import weights as schemes
from jaxswarm.topology.validation import is_concrete, require_topology
from jaxswarm.types import PyTree

BASES = ("own", "first")


class SharedInputs(NamedTuple):
    """Inputs that all agents match units on (proxy data): ``x: [num_batches, B, ...]``."""

    x: jax.Array


class LocalInputs(NamedTuple):
    """Inputs that each agent matches units on, its own: ``x: [N, num_batches, B, ...]``."""

    x: jax.Array


def matched_averaging(
    topology: Topology,
    spec: PermutationSpec,
    matcher: Matcher,
    *,
    weights: str | ArrayLike = "metropolis",
    basis: str = "own",
    chunk: int | None = None,
) -> GossipTransformation:
    """Average neighbours' networks after matching their units: ``x_i ← Σ_j Π_ij P_ij(x_j)``.

    ``P_ij`` is the permutation that ``matcher`` finds, ``P_ii`` the identity. All agents use the
    models of before the round. Models that arrive are permuted into the receiver's order and
    averaged; the weight of a missing or non-finite one falls back on the receiver, so the weights
    of a row always sum to one. Only learnable parameters are mixed: normalisation statistics have
    to be recomputed afterwards.

    Args:
        topology: edges from senders to receivers; concrete.
        spec: which axes of the parameters belong together.
        matcher: :func:`activation_matching`, :func:`weight_matching` or :func:`no_matching`.
        weights: ``Π``: the name of a scheme, one weight per edge ``[E]``, or a row-stochastic
            matrix ``[N, N]``; not negative.
        basis: ``"own"``: every agent aligns its neighbours' models with its own. ``"first"``: all
            models are aligned with agent 0's, which must be an in-neighbour of all other agents; on
            a complete graph one alignment serves all, as in the authors' code.
        chunk: agents (with ``"first"``: models) aligned at a time; by default as many as fit into
            64 MB.

    Returns:
        A rule that supports ``messages``, ``per_receiver`` (with ``basis="own"``) and the extra
        ``match_inputs``, :class:`SharedInputs` or :class:`LocalInputs`, if the matcher needs data;
        with ``basis="first"``, agent 0's of the latter.

    Raises:
        ValueError: on weights that are negative, not row-stochastic or not zero off the graph, an
            unknown basis, or agent 0 not being an in-neighbour of all with ``basis="first"``. While
            tracing: a spec that does not fit the parameters (naming the leaf), missing or empty
            matching data, or an unreliable round with ``basis="first"``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> from jaxswarm.learning import matching
        >>> spec = matching.PermutationSpec({"w": (None, "units"), "v": ("units", None)})
        >>> rule = matching.matched_averaging(
        ...     topology.complete(2), spec, matching.weight_matching())
        >>> params = {"w": jnp.array([[[1.0, 5.0]], [[5.0, 1.0]]]),  # the same two units,
        ...           "v": jnp.array([[[2.0], [7.0]], [[7.0], [2.0]]])}  # in another order
        >>> mixed, _, _ = jax.jit(rule.mix)(
        ...     jax.random.key(0), params, rule.init(params), gossip.Exchange(jnp.int32(0)))
        >>> mixed["w"].tolist()
        [[[1.0, 5.0]], [[5.0, 1.0]]]
    """
    require_topology(topology)
    checks.instance("spec", spec, PermutationSpec, "permutation_spec(module, params)")
    checks.instance("matcher", matcher, Matcher, "weight_matching()")
    checks.choice("basis", basis, BASES)
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    if not is_concrete(topology):
        raise ValueError("topology: expected a concrete one, got traced arrays")
    pi = row_weights(topology, weights)
    n = topology.num_agents
    if basis == "first":
        return _into_first(topology, spec, matcher, pi, chunk)

    def init(params: PyTree) -> PyTree:
        _expect_fit(spec, params, n)
        return ()

    def mix(
        key: jax.Array, params: PyTree, state: PyTree, exchange: Exchange
    ) -> tuple[PyTree, PyTree, Traffic]:
        _expect_fit(spec, params, n)
        match_inputs: SharedInputs | LocalInputs | None = exchange.extras.get("match_inputs")
        check_inputs(match_inputs, n, matcher.needs_data)
        _, unravel = agents.ravel(params)
        own_data = match_inputs.x if isinstance(match_inputs, LocalInputs) else None

        def aggregate(near: Neighborhood, own_data: Any) -> tuple[jax.Array, Any]:
            own = jax.tree.map(lambda leaf: leaf[0], unravel(near.own[None]))
            others = unravel(near.received)
            x = match_inputs.x if isinstance(match_inputs, SharedInputs) else own_data
            orders = matcher.match(spec, own, others, x)
            aligned = jax.vmap(lambda p, o: permute(p, o, spec.params))(others, orders)
            received = agents.ravel(aligned)[0].astype(near.own.dtype)
            own_weight = 1.0 - jnp.sum(near.weights)
            return own_weight * near.own + near.weights @ received, own_data

        rule = over_neighborhoods(topology, aggregate, weights=pi, chunk=chunk)
        params, _, traffic = rule.mix(key, params, own_data, exchange)
        return params, state, traffic

    supports = frozenset({"messages", "per_receiver", "match_inputs"})
    return GossipTransformation(init, mix, supports)


def row_weights(topology: Topology, weights: str | ArrayLike) -> jax.Array:
    """Non-negative weights ``[..., E]`` of received models, whose rows sum to at most one.

    Args:
        topology: edges from senders to receivers.
        weights: a scheme's name, ``[..., E]``, or a row-stochastic matrix ``[N, N]``.

    Raises:
        ValueError: naming the row that does not sum to one, a negative weight, or a weight between
            agents without an edge.
    """
    n = topology.num_agents
    if not isinstance(weights, str) and not is_traced(weights):
        entries = np.asarray(weights, np.float32)
        if entries.shape == (n, n) and entries.shape != topology.mask.shape:
            return _from_matrix(topology, entries)
    values = schemes.edge_weights(topology, weights)
    if is_traced(values):
        return values
    if not (np.asarray(values) >= 0).all():
        raise ValueError(f"weights: expected none below 0, got {np.asarray(values).min():.4g}")
    own = np.atleast_2d(np.asarray(schemes.self_weights(topology, values)))
    if own.min() < -1e-5:
        row = int(np.argmin(own.min(axis=0)))
        raise ValueError(
            f"weights: rows must sum to one, agent {row} gives its neighbours {1 - own.min():.6g}"
        )
    return values


def check_inputs(inputs: Any, n: int, needed: bool) -> None:
    """Refuse matching data that is missing, empty or not of ``N`` agents.

    Raises:
        ValueError: naming what was expected.
    """
    if inputs is None and not needed:
        return
    if not isinstance(inputs, SharedInputs | LocalInputs):
        raise ValueError(
            "match_inputs: expected SharedInputs(x) or LocalInputs(x) to match units on, got "
            f"{type(inputs).__name__}"
        )
    shape = jnp.shape(inputs.x)
    leading = 1 if isinstance(inputs, SharedInputs) else 2
    if len(shape) < leading + 1 or 0 in shape:
        raise ValueError(
            "match_inputs: expected at least one batch of at least one sample, "
            f"{'' if leading == 1 else '[N, '}[num_batches, B, ...], got shape {shape}"
        )
    if isinstance(inputs, LocalInputs) and shape[0] != n:
        raise ValueError(f"match_inputs: expected {n} agents' inputs, got shape {shape}")
    if not is_traced(inputs.x) and not np.isfinite(np.asarray(inputs.x)).all():
        raise ValueError("match_inputs: expected finite inputs, got NaN or infinity")


def _into_first(
    topology: Topology, spec: PermutationSpec, matcher: Matcher, pi: jax.Array, chunk: int | None
) -> GossipTransformation:
    n = topology.num_agents
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    receives = np.zeros(n, bool)
    if not topology.is_sequence:
        receives[receivers[(senders == 0) & np.asarray(topology.mask)]] = True
    if not receives[1:].all():
        agent = 1 + int(np.argmin(receives[1:]))
        raise ValueError(
            f"basis: 'first' needs an edge from agent 0 to all others, agent {agent} has none"
        )
    W = mixing(topology, pi)

    def init(params: PyTree) -> PyTree:
        _expect_fit(spec, params, n)
        return ()

    def mix(
        key: jax.Array, params: PyTree, state: PyTree, exchange: Exchange
    ) -> tuple[PyTree, PyTree, Traffic]:
        del key
        match_inputs: SharedInputs | LocalInputs | None = exchange.extras.get("match_inputs")
        _expect_fit(spec, params, n)
        check_inputs(match_inputs, n, matcher.needs_data)
        masks = (exchange.alive, exchange.participates, exchange.delivered)
        if any(mask is not None for mask in masks):
            raise ValueError("basis: 'first' needs a reliable network, got one that loses messages")
        first = jax.tree.map(lambda leaf: leaf[0], params)
        x = None if match_inputs is None else match_inputs.x
        x = x[0] if isinstance(match_inputs, LocalInputs) and x is not None else x

        def align(model: PyTree) -> PyTree:
            orders = matcher.match(spec, first, jax.tree.map(lambda leaf: leaf[None], model), x)
            return permute(model, {name: order[0] for name, order in orders.items()}, spec.params)

        def aligned(models: PyTree) -> PyTree:
            rest = jax.tree.map(lambda leaf: leaf[1:], models)
            rest = jax.lax.map(align, rest, batch_size=chunk or 64)
            # Agent 0 is the basis: matched with itself it could only lose to ties.
            return jax.tree.map(lambda a, b: jnp.concatenate([a[:1], b]), models, rest)

        sent = None if exchange.messages is None else aligned(exchange.sent(params))
        merged = mix_with(W, aligned(params), sent)
        return merged, state, traffic_of(W.num_messages(), params)

    return GossipTransformation(init, mix, frozenset({"messages", "match_inputs"}))


def _from_matrix(topology: Topology, matrix: np.ndarray) -> jax.Array:
    if topology.is_sequence:
        raise ValueError("weights: a matrix goes with one topology, got a sequence")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError("weights: expected finite entries, none below 0")
    sums = matrix.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > 1e-5:
        raise ValueError(f"weights: rows must sum to one, row {worst} sums to {sums[worst]:.6g}")
    mask = np.asarray(topology.mask)
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    rest = matrix - np.diag(np.diag(matrix))
    rest[receivers[mask], senders[mask]] = 0.0
    if rest.any():
        i, j = np.argwhere(rest)[0]
        raise ValueError(
            f"weights: row {i} gives {rest[i, j]:.4g} to agent {j}, from which it has no edge"
        )
    return jnp.asarray(np.where(mask, matrix[receivers, senders], 0.0))


def _expect_fit(spec: PermutationSpec, params: PyTree, n: int) -> None:
    agents.check_leading_axis(params, n, "params")
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), params)
    sizes(PermutationSpec(spec.params), one)
