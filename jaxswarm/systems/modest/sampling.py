"""Samples that every node derives for itself: an order by hash, and the first who answer.

Shapes: ``N`` nodes, ``s`` of them wanted.

References:
    M. de Vos et al., Decentralized learning made easy with decentralized client sampling (MoDeST),
    2023. A. Appleby, MurmurHash3, 2011 (the finaliser).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Found(NamedTuple):
    """Who answered.

    Attributes:
        members: ``int32[s]``, in order of their hashes; ``-1`` where too few answered.
        count: ``int32[]``, how many did.
        answered: ``bool[N]``, who answered a ping (oneself needs none).
        pings: ``int32[]``, sent.
        failures: ``int32[]``, pings without answer: each costs a timeout.
    """

    members: jax.Array
    count: jax.Array
    answered: jax.Array
    pings: jax.Array
    failures: jax.Array


def hashed(ids: jax.Array, round: jax.Array) -> jax.Array:
    """``uint32[N]``: a hash of every id together with the round."""
    x = ids.astype(jnp.uint32) * jnp.uint32(0x9E3779B9) + jnp.asarray(round).astype(jnp.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)


def pair_lots(key: jax.Array, one: jax.Array, other: jax.Array) -> jax.Array:
    """``int32[A, B]``: a random lot of every pair of nodes, at least 0; the larger, the sooner.

    Depends on ``key`` and the two ids alone. One random word, hashed with both: thousands of
    streams of ``jax.random`` would take longer than the protocol.
    """
    word = jax.random.bits(key)
    lots = jax.vmap(lambda node: hashed(other, hashed(node, word)))(one)
    return (lots >> 1).astype(jnp.int32)


def sample_order(ids: jax.Array, round: jax.Array) -> jax.Array:
    """``int32[N]``: nodes in the order in which round ``round`` asks them, the same for everyone.

    Which node comes when depends on its id, not on its place in ``ids``; ties by id.
    """
    return jnp.lexsort((ids, hashed(ids, round))).astype(jnp.int32)


def resolve_sample(
    order: jax.Array, candidate: jax.Array, online: jax.Array, own: jax.Array, wanted: int
) -> Found:
    """Walk the order, ping every candidate, until ``wanted`` have answered.

    Args:
        order: ``int32[N]`` of :func:`sample_order`.
        candidate: ``bool[N]``, by the walker's view.
        online: ``bool[N]``, who would answer; only the pinged are looked at.
        own: the walker, which answers itself for nothing.
        wanted: ``s``, static.
    """
    in_order = candidate[order]
    answers = in_order & online[order]
    rank = jnp.cumsum(answers)  # 1 for the first who answers
    # Asked: every candidate up to the last one needed.
    asked = in_order & ((rank < wanted) | ((rank == wanted) & answers))
    taken = answers & (rank <= wanted)
    place = jnp.where(taken, rank - 1, wanted)
    members = jnp.full(wanted, -1, jnp.int32).at[place].set(order, mode="drop")
    others = asked & (order != own)
    return Found(
        members=members,
        count=jnp.minimum(rank[-1], wanted).astype(jnp.int32),
        answered=jnp.zeros(candidate.shape, bool).at[order].set(taken),
        pings=jnp.sum(others).astype(jnp.int32),
        failures=jnp.sum(others & ~answers).astype(jnp.int32),
    )
