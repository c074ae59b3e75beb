"""Client sampling by hash: an order of agents that all compute alike, and the first that answer.

Shapes: ``N`` agents, ``s`` of them wanted.

References:
    M. de Vos et al., Decentralized learning made easy with decentralized client sampling (MoDeST),
    2023. A. Appleby, MurmurHash3, 2011 (the finaliser).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import Key


class ResolvedSample(NamedTuple):
    """A sample of agents that answered.

    Attributes:
        members: ``int32[s]``, in order of their hashes; ``-1`` where too few answered.
        count: ``int32[]``, number of members.
        answered: ``bool[N]``, the members (the agent itself answers without a ping).
        pings: ``int32[]``, sent.
        failures: ``int32[]``, pings without answer: each costs a timeout.
    """

    members: jax.Array
    count: jax.Array
    answered: jax.Array
    pings: jax.Array
    failures: jax.Array


def hashed(ids: jax.Array, round: jax.Array) -> jax.Array:
    """Hash ``uint32[N]`` of every id together with the round (MurmurHash3's finaliser)."""
    x = ids.astype(jnp.uint32) * jnp.uint32(0x9E3779B9) + jnp.asarray(round).astype(jnp.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)


def pair_priorities(key: Key, receivers: jax.Array, senders: jax.Array) -> jax.Array:
    """Random priorities ``int32[A, B]`` of pairs of agents, at least 0; the larger arrives first.

    They depend on ``key`` and the two ids alone. One random word is hashed with both: thousands of
    streams of ``jax.random`` would take longer than the protocol.

    Args:
        key: consumed.
        receivers: ``int32[A]``.
        senders: ``int32[B]``.
    """
    word = jax.random.bits(key)
    hashes = jax.vmap(lambda agent: hashed(senders, hashed(agent, word)))(receivers)
    return (hashes >> 1).astype(jnp.int32)


def sample_order(ids: jax.Array, round: jax.Array) -> jax.Array:
    """Order ``int32[N]`` in which round ``round`` samples agents, the same for all agents.

    An agent's rank depends on its id, not on its place in ``ids``; ties by id.

    Args:
        ids: ``int32[N]``.
        round: ``int32[]``.

    Raises:
        ValueError: if they are no integers, or ``ids`` no vector.
    """
    checks.wholes("ids", ids, -checks.LARGEST, shape=(None,))
    checks.wholes("round", round, -checks.LARGEST, shape=())
    return jnp.lexsort((ids, hashed(ids, round))).astype(jnp.int32)


def resolve_sample(
    order: jax.Array, candidate: jax.Array, online: jax.Array, own: jax.Array, wanted: int
) -> ResolvedSample:
    """Ping candidates in order until ``wanted`` of them have answered.

    Args:
        order: ``int32[N]`` of :func:`sample_order`.
        candidate: ``bool[N]``, by the pinging agent's view.
        online: ``bool[N]``, agents that would answer; used only for those that are pinged.
        own: ``int32[]``, the pinging agent, which needs no ping itself.
        wanted: ``s``, at least 1; static.

    Raises:
        ValueError: for masks that are not ``bool[N]``, or ``wanted < 1``.
    """
    wanted = checks.whole("wanted", wanted, 1)
    n = jnp.shape(order)
    for name, value in (("candidate", candidate), ("online", online)):
        checks.mask(name, value, n)
    in_order = candidate[order]
    answers = in_order & online[order]
    rank = jnp.cumsum(answers)  # 1 for the first that answers
    # Asked: every candidate up to the last one needed.
    asked = in_order & ((rank < wanted) | ((rank == wanted) & answers))
    taken = answers & (rank <= wanted)
    place = jnp.where(taken, rank - 1, wanted)
    members = jnp.full(wanted, -1, jnp.int32).at[place].set(order, mode="drop")
    others = asked & (order != own)
    return ResolvedSample(
        members=members,
        count=jnp.minimum(rank[-1], wanted).astype(jnp.int32),
        answered=jnp.zeros(candidate.shape, bool).at[order].set(taken),
        pings=jnp.sum(others).astype(jnp.int32),
        failures=jnp.sum(others & ~answers).astype(jnp.int32),
    )
