"""Mixing weights in closed form: Metropolis, maximum degree, uniform, push, best constant.

The public address is :mod:`jaxswarm.topology.weights`.

Shapes: ``N`` agents, ``E`` edge slots, ``d_i`` the number of in-neighbours of agent ``i``.

References:
    Xiao, Boyd, Fast linear iterations for distributed averaging, 2004 (max-degree, best constant).
    Xiao, Boyd, Lall, A scheme for robust distributed sensor fusion based on average consensus, 2005
    (Metropolis). Kempe, Dobra, Gehrke, Gossip-based computation of aggregate information, 2003
    (push).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.topology._laplacian import laplacian_extremes
from jaxswarm.topology.graph import Topology, per_member
from jaxswarm.topology.validation import (
    is_balanced,
    is_concrete,
    is_regular,
    is_symmetric,
    require_connected,
    require_symmetric,
    require_topology,
)


def metropolis(topology: Topology) -> jax.Array:
    """Compute Metropolis–Hastings weights ``1 / (1 + max(d_i, d_j))``: doubly stochastic.

    Example:
        >>> from jaxswarm import topology
        >>> metropolis(topology.star(4)).tolist()
        [0.25, 0.25, 0.25, 0.25, 0.25, 0.25]

    Raises:
        ValueError: on a directed graph, unless it is regular (all in- and out-degrees equal, as in
            a directed ring), where the weights are doubly stochastic all the same.
    """
    require_topology(topology)
    if is_concrete(topology) and not (is_symmetric(topology) or is_regular(topology)):
        require_symmetric(topology, "'metropolis'")

    return per_member(_metropolis, topology)


def max_degree(topology: Topology) -> jax.Array:
    """Compute ``1 / (1 + max_i d_i)`` on every edge: doubly stochastic if the graph is balanced.

    Raises:
        ValueError: on a graph in which an agent's in-degree is not its out-degree.
    """
    require_topology(topology)
    if is_concrete(topology) and not is_balanced(topology):
        require_symmetric(topology, "'max_degree'")

    return per_member(_max_degree, topology)


def uniform(topology: Topology) -> jax.Array:
    """Compute ``1 / (1 + d_i)``, the plain average over in-neighbours and self; row-stochastic."""
    return per_member(_uniform, topology)


def push(topology: Topology) -> jax.Array:
    """Compute push weights: each sender splits evenly over its out-neighbours and itself.

    Column-stochastic, for push-sum. The self-weights are ``1 / (1 + out-degree)``, not one minus
    the rest of a row; see :func:`self_weights`.
    """
    return per_member(_push, topology)


def best_constant(topology: Topology) -> jax.Array:
    """Compute ``I - a L`` with the best constant, ``a = 2 / (lambda_2(L) + lambda_max(L))``.

    Doubly stochastic; on graphs with hubs self-weights may be negative (a star's centre), and the
    values of a round may then leave the range of the last.

    Raises:
        ValueError: on a directed or disconnected graph.
    """
    require_topology(topology)
    if is_concrete(topology):
        require_symmetric(topology, "'best_constant'")
        for member in _members(topology):
            require_connected(member)
    if topology.num_agents == 1:
        return jnp.zeros(topology.mask.shape)
    second, largest = laplacian_extremes(topology)
    constant = jnp.asarray(2.0 / (second + largest), jnp.result_type(float))
    return jnp.where(topology.mask, constant[..., None], 0.0)


def size_weighted(topology: Topology, sizes: Any) -> jax.Array:
    """Compute weights in proportion to the data of the in-neighbours; row-stochastic.

    ``W_ij = n_j / sum of n_k over i and its in-neighbours``; an agent in a neighbourhood without
    any data averages it uniformly.

    Args:
        topology: the graph.
        sizes: ``[..., N]`` non-negative numbers of samples.

    Raises:
        ValueError: on another shape, and on negative or non-finite sizes.
    """
    require_topology(topology)
    checks.real("sizes", sizes, 0.0, shape=None)
    if np.shape(sizes)[-1:] != (topology.num_agents,):
        expected = f"[..., {topology.num_agents}]"
        raise ValueError(f"sizes: expected shape {expected}, got {list(np.shape(sizes))}")
    sizes = jnp.asarray(sizes, jnp.result_type(float))
    leading = topology.mask.shape[:-1]
    if sizes.shape[:-1] not in ((), leading):
        expected = [*leading, topology.num_agents]
        raise ValueError(f"sizes: expected shape {expected}, got {list(sizes.shape)}")
    sizes = jnp.broadcast_to(sizes, (*leading, topology.num_agents))

    return per_member(_size_weighted, topology, sizes)


def self_weights(topology: Topology, weights: Any, *, stochastic: str = "row") -> jax.Array:
    """Compute the diagonal ``[..., N]`` that completes edge weights to a mixing matrix.

    Args:
        topology: the graph.
        weights: ``[..., E]`` edge weights.
        stochastic: ``"row"`` for one minus the row's edge weights (right for every scheme but
            ``"push"``), ``"column"`` for one minus the column's.

    Raises:
        ValueError: on another value of ``stochastic``, and on weights that are not ``[..., E]``.
    """
    checks.choice("stochasticity", stochastic, ("row", "column"))
    weights = _checked_weights(topology, weights)

    return per_member(partial(_diagonal, kind=stochastic), topology, weights)


def dense(topology: Topology, weights: Any, *, stochastic: str = "row") -> jax.Array:
    """Build the mixing matrix ``[..., N, N]`` of edge weights, for small ``N``."""
    weights = _checked_weights(topology, weights)
    diagonal = self_weights(topology, weights, stochastic=stochastic)
    return per_member(_dense, topology, weights, diagonal)


def _checked_weights(topology: Topology, weights: Any) -> jax.Array:
    require_topology(topology)
    checks.real("weights", weights, shape=topology.mask.shape)
    return jnp.asarray(weights)


def _sum_to(ends: jax.Array, values: jax.Array, member: Topology) -> jax.Array:
    return jax.ops.segment_sum(values, ends, num_segments=member.num_agents)


def _members(topology: Topology) -> list[Topology]:
    return [topology[t] for t in range(topology.length)] if topology.is_sequence else [topology]


@jax.jit
def _metropolis(member: Topology) -> jax.Array:
    degrees = member.in_degrees()
    larger = jnp.maximum(degrees[member.receivers], degrees[member.senders])
    return jnp.where(member.mask, 1.0 / (1.0 + larger), 0.0)


@jax.jit
def _max_degree(member: Topology) -> jax.Array:
    largest = jnp.max(member.in_degrees())
    return jnp.where(member.mask, 1.0 / (1.0 + largest), 0.0)


@jax.jit
def _uniform(member: Topology) -> jax.Array:
    return jnp.where(member.mask, 1.0 / (1.0 + member.in_degrees()[member.receivers]), 0.0)


@jax.jit
def _push(member: Topology) -> jax.Array:
    return jnp.where(member.mask, 1.0 / (1.0 + member.out_degrees()[member.senders]), 0.0)


@jax.jit
def _size_weighted(member: Topology, sizes: jax.Array) -> jax.Array:
    received = jnp.where(member.mask, sizes[member.senders], 0.0)
    total = sizes + _sum_to(member.receivers, received, member)
    fallback = 1.0 / (1.0 + member.in_degrees()[member.receivers])
    there = total[member.receivers]
    share = jnp.where(there > 0, received / jnp.where(there > 0, there, 1.0), fallback)
    return jnp.where(member.mask, share, 0.0)


@partial(jax.jit, static_argnames="kind")
def _diagonal(member: Topology, weights: jax.Array, kind: str) -> jax.Array:
    ends = member.receivers if kind == "row" else member.senders
    return 1.0 - _sum_to(ends, jnp.where(member.mask, weights, 0.0), member)


@jax.jit
def _dense(member: Topology, weights: jax.Array, diagonal: jax.Array) -> jax.Array:
    values = jnp.where(member.mask, weights, 0.0)
    return jnp.diag(diagonal).at[member.receivers, member.senders].add(values)
