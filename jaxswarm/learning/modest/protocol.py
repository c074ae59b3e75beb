"""MoDeST: a hash-determined sample of nodes trains, a few of the next sample aggregate.

Nobody is a server. In round ``k`` every aggregator derives the sample from *its own* view, pings it
awake, and sends it the model; every trainer trains and derives the aggregators of round ``k + 1``
from *its own* view. Views travel with every model. When views differ, so do samples: several
aggregates of one round may coexist.

The round is simulated as a whole (no clock): crashes strike between rounds, or, if the schedule
says so, while models are on their way. What arrives first at an aggregator is drawn. Only the
models that are alive in a round are stored: ``C`` trained ones and ``A`` aggregates, never one per
node.

Shapes: ``N`` nodes, ``s`` in a sample, ``a`` aggregators, ``C`` trainer slots, ``A`` aggregate
slots.

References:
    M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires, R. Sharma, Decentralized
    learning made easy with decentralized client sampling (MoDeST), 2023.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.learning.modest.actors import (
    distinct,
    flush,
    known,
    resolve,
    rows_of,
    seen,
    stored,
    touch,
)
from jaxswarm.learning.modest.membership import Membership
from jaxswarm.learning.modest.sampling import resolve_sample, sample_order
from jaxswarm.learning.modest.views import (
    ENTRY_BYTES,
    View,
    everyone_known,
    merge_all,
    merge_views,
)

PyTree = Any
PING_BYTES = 8
"""A ping or its answer: the sender's id and the round."""


class Bytes(NamedTuple):
    """Sent so far, by kind, ``float32[]`` each."""

    model: jax.Array
    view: jax.Array
    ping: jax.Array
    membership: jax.Array

    @property
    def total(self) -> jax.Array:
        """All of it."""
        return self.model + self.view + self.ping + self.membership


class ModestState(NamedTuple):
    """What the next round needs.

    Attributes:
        aggregates: leaves ``[A, ...]``, the models that aggregators hold.
        aggregator: ``int32[A]``, who holds them, ``-1`` in an empty slot.
        views: ``[N, N]`` each.
        pending: ``bool[N, N]``: joiners whose news a node keeps until it has sent a model.
        round: ``int32[]``, the protocol's round ``k``.
        tick: ``int32[]``, steps of the simulation; more than ``round`` after a stall.
        waiting: ``int32[]``, ticks since the present round stalled.
        sent: bytes by kind.
    """

    aggregates: PyTree
    aggregator: jax.Array
    views: View
    pending: jax.Array
    round: jax.Array
    tick: jax.Array
    waiting: jax.Array
    sent: Bytes


class ModestInfo(NamedTuple):
    """What a round did.

    Attributes:
        stalled: ``bool[]``: no aggregate was completed.
        trained: ``int32[]``, nodes that trained.
        sampled: ``bool[N]``, which.
        completed: ``int32[]``, aggregates completed.
        pings: ``int32[]``; ``failures`` of them had no answer.
        failures: ``int32[]``.
        dropped: ``int32[]``, trainers or aggregators beyond the slots there are.
    """

    stalled: jax.Array
    trained: jax.Array
    sampled: jax.Array
    completed: jax.Array
    pings: jax.Array
    failures: jax.Array
    dropped: jax.Array


def modest(
    loss: Loss,
    num_nodes: int,
    *,
    local: optax.GradientTransformation,
    sample_size: int = 10,
    aggregators: int = 1,
    success: float = 1.0,
    inactivity: int = 50,
    local_steps: int = 1,
    sample: Sample | None = None,
    patience: int | None = None,
    present: Any = None,
) -> Algorithm:
    """The protocol as ``(init, step)``; ``step(key, state, (shards, membership))``.

    Args:
        loss: of one node's batch.
        num_nodes: ``N``.
        local: any optax optimiser; trainers begin with a fresh state, as nothing of theirs is kept.
        sample_size: ``s``, nodes that train in a round.
        aggregators: ``a``, of them that aggregate the round before.
        success: share of the sample's models an aggregator waits for, in ``(0, 1]``.
        inactivity: ``Δk``, rounds after which a silent node is no candidate any more.
        local_steps: optimiser steps of a trainer.
        sample: ``(key, shards) -> batch`` for shards with leading axis ``C``.
        patience: ticks after which a stalled round is begun again from the last aggregates; never
            by default, as published.
        present: ``bool[N]``, who is known at the start.

    Returns:
        ``init(params)`` takes a *single* model; the rest is an
        :class:`~jaxswarm.algorithm.Algorithm`.

    Raises:
        ValueError: if ``s`` or ``a`` is out of range, ``success`` not in ``(0, 1]``,
            ``inactivity < 1``, ``local_steps < 1`` or ``patience < 1``.
    """
    n, s, a = num_nodes, sample_size, aggregators
    if not 1 <= s <= n:
        raise ValueError(f"sample_size: expected 1 to {n} nodes, got {s}")
    if not 1 <= a <= s:
        raise ValueError(f"aggregators: expected 1 to sample_size = {s}, got {a}")
    if not 0.0 < success <= 1.0:
        raise ValueError(f"success: expected a share in (0, 1], got {success}")
    if inactivity < 1:
        raise ValueError(f"inactivity: expected at least 1 round, got {inactivity}")
    if local_steps < 1:
        raise ValueError(f"local_steps: expected at least 1, got {local_steps}")
    if patience is not None and patience < 1:
        raise ValueError(f"patience: expected at least 1 tick, got {patience}")
    needed = math.ceil(s * success - 1e-9)
    slots = 2 * a  # of aggregates
    seats = s if a == 1 else min(2 * s, n)  # of trainers
    work = objective(loss, sample)
    ids = jnp.arange(n, dtype=jnp.int32)

    def init(params: PyTree) -> ModestState:
        views = everyone_known(n, present)
        order = sample_order(ids, jnp.int32(0))
        there = jnp.ones(n, bool) if present is None else jnp.asarray(present)
        first = resolve_sample(order, there, there, jnp.int32(-1), a).members
        zero = jnp.float32(0.0)
        return ModestState(
            aggregates=agents.broadcast(params, slots),
            aggregator=jnp.full(slots, -1, jnp.int32).at[:a].set(first),
            views=views,
            pending=jnp.zeros((n, n), bool),
            round=jnp.int32(0),
            tick=jnp.int32(0),
            waiting=jnp.int32(0),
            sent=Bytes(zero, zero, zero, zero),
        )

    def step(key: jax.Array, state: ModestState, inputs: Any) -> tuple[ModestState, ModestInfo]:
        shards, schedule = inputs
        _check_schedule(schedule, n)
        now = schedule.online[state.tick]
        later = schedule.online[state.tick + 1]
        news_key, train_key, arrive_key = jax.random.split(key, 3)
        state = _announce(news_key, state, schedule, now, s)
        waits = (state.waiting > 0) & (patience is None or state.waiting < patience)
        new, info = _round(train_key, arrive_key, state, shards, now, later, schedule.in_flight)
        blank = jax.tree.map(jnp.zeros_like, info)._replace(stalled=jnp.ones((), bool))
        waited = state._replace(tick=state.tick + 1, waiting=state.waiting + 1)
        pick = lambda x, y: jax.tree.map(lambda u, v: jnp.where(waits, u, v), x, y)  # noqa: E731
        return pick(waited, new), pick(blank, info)

    def _round(
        train_key: jax.Array, arrive_key: jax.Array, state: ModestState, shards: Any,
        now: jax.Array, later: jax.Array, in_flight: jax.Array,
    ) -> tuple[ModestState, ModestInfo]:  # fmt: skip
        k, views = state.round, state.views
        # Aggregators find their samples and wake them.
        holds = (state.aggregator >= 0) & now[jnp.maximum(state.aggregator, 0)]
        holder = jnp.maximum(state.aggregator, 0)
        mine = jax.tree.map(lambda leaf: leaf[holder], views)
        found = resolve(mine, holder, k, now, s, inactivity)
        mine = seen(mine, found, holder, k, holds)
        sends = holds[:, None] & (found.members >= 0)
        # A trainer works on the first model it gets; others of the same round change nothing.
        flat, given = found.members.ravel(), sends.ravel()
        seat, dropped_trainers = distinct(jnp.where(given, flat, -1), seats)
        trainer = jnp.where(seat >= 0, flat[jnp.maximum(seat, 0)], -1)
        trains, node = trainer >= 0, jnp.maximum(trainer, 0)
        model_of = jnp.maximum(seat, 0) // s
        start = jax.tree.map(lambda leaf: leaf[model_of], state.aggregates)
        theirs = jax.tree.map(lambda leaf: leaf[node], views)
        theirs = merge_views(theirs, jax.tree.map(lambda leaf: leaf[model_of], mine))
        theirs = touch(theirs, jnp.stack([node, holder[model_of]], axis=1), k)
        data = rows_of(shards, node)
        opt_state = jax.vmap(local.init)(start)
        trained = train(work, local, local_steps, train_key, start, opt_state, None, data).params
        # Trainers find the aggregators of the next round and hand over.
        delivers = trains & (~in_flight | later[node])
        chosen = resolve(theirs, node, k + 1, later, a, inactivity)
        theirs = seen(theirs, chosen, node, k, trains)
        hands = delivers[:, None] & (chosen.members >= 0)
        slot, dropped = distinct(jnp.where(hands, chosen.members, -1).ravel(), slots)
        target = jnp.where(slot >= 0, chosen.members.ravel()[jnp.maximum(slot, 0)], -1)
        comes = (
            jnp.any((chosen.members[None] == target[:, None, None]) & hands[None], axis=2)
            & (target >= 0)[:, None]
        )  # [A, C]
        # The first ``needed`` to arrive count.
        lots = jnp.where(comes, jax.random.uniform(arrive_key, comes.shape), jnp.inf)
        rank = jnp.argsort(jnp.argsort(lots, axis=1), axis=1)
        counted = comes & (rank < needed) if success < 1.0 else comes
        count = jnp.sum(comes, axis=1)
        complete = (count >= jnp.minimum(needed, jnp.maximum(found.count.max(), 1))) & (target >= 0)
        weight = counted / jnp.maximum(jnp.sum(counted, axis=1, keepdims=True), 1)
        averaged = jax.tree.map(
            lambda leaf: jnp.tensordot(weight.astype(leaf.dtype), leaf, axes=1), trained
        )
        done = jnp.any(complete)
        # Views of all who received something; news held back is told once a model was sent.
        views = stored(views, mine, jnp.where(holds, holder, n))
        views = stored(views, theirs, jnp.where(trains, node, n))
        at = jnp.maximum(target, 0)
        received = jax.vmap(lambda who: merge_all(theirs, who))(comes)
        received = merge_views(jax.tree.map(lambda leaf: leaf[at], views), received)
        received = touch(received, at[:, None], k)
        views = stored(views, received, jnp.where(target >= 0, at, n))
        spoke = jnp.zeros(n + 1, bool).at[jnp.where(holds, holder, n)].set(True)
        spoke = spoke.at[jnp.where(trains, node, n)].set(True)[:n]
        views, pending = flush(views, state.pending, spoke, k)
        models = (jnp.sum(sends) + jnp.sum(hands)).astype(jnp.float32)
        entries = known(mine, sends) + known(theirs, hands)
        pings = jnp.sum(jnp.where(holds, found.pings, 0)) + jnp.sum(
            jnp.where(trains, chosen.pings, 0)
        )
        failures = jnp.sum(jnp.where(holds, found.failures, 0)) + jnp.sum(
            jnp.where(trains, chosen.failures, 0)
        )
        size = agents.size_of_one(state.aggregates)[1]
        sent = state.sent._replace(
            model=state.sent.model + models * size,
            view=state.sent.view + entries * ENTRY_BYTES,
            ping=state.sent.ping + PING_BYTES * (2 * pings - failures).astype(jnp.float32),
        )
        new = state._replace(
            aggregates=jax.tree.map(
                lambda fresh, old: jnp.where(done, fresh, old), averaged, state.aggregates
            ),
            aggregator=jnp.where(done, jnp.where(complete, target, -1), state.aggregator),
            views=views,
            pending=pending,
            round=k + done.astype(jnp.int32),
            tick=state.tick + 1,
            waiting=jnp.where(done, 0, state.waiting + 1),
            sent=sent,
        )
        info = ModestInfo(
            stalled=~done,
            trained=jnp.sum(trains).astype(jnp.int32),
            sampled=jnp.zeros(n + 1, bool).at[jnp.where(trains, node, n)].set(True)[:n],
            completed=jnp.sum(complete).astype(jnp.int32),
            pings=pings,
            failures=failures,
            dropped=dropped_trainers + dropped,
        )
        return new, info

    return Algorithm(init, step)


def _announce(
    key: jax.Array, state: ModestState, schedule: Membership, online: jax.Array, count: int
) -> ModestState:
    """Joiners and leavers tell ``count`` random nodes that are online."""
    tick = jnp.minimum(state.tick, schedule.joins.shape[0] - 1)
    joins, leaves = schedule.joins[tick], schedule.leaves[tick]
    n = online.shape[0]
    lots = jax.vmap(lambda k: jax.random.uniform(k, (n,)))(agents.keys(key, n))
    others = online[None, :] & ~jnp.eye(n, dtype=bool)
    rank = jnp.argsort(jnp.argsort(jnp.where(others, lots, jnp.inf), axis=1), axis=1)
    told = others & (rank < count)  # [who tells, who hears]
    pending = state.pending | (told & joins[:, None]).T
    gone = (told & leaves[:, None]).T | (leaves[None, :] & leaves[:, None])
    views = state.views
    # A joiner learns the view of the first it told, or it would wait alone.
    guide = jnp.argmin(jnp.where(others, lots, jnp.inf), axis=1)
    guided = merge_views(views, jax.tree.map(lambda leaf: leaf[guide], views))
    views = jax.tree.map(lambda a, b: jnp.where(joins[:, None], a, b), guided, views)
    views = views._replace(
        counter=jnp.where(gone, views.counter + 1, views.counter), joined=views.joined & ~gone
    )
    news = jnp.sum(told & (joins | leaves)[:, None]).astype(jnp.float32)
    views_sent = jnp.sum(jnp.where(joins[:, None], views.last_active >= 0, False))
    sent = state.sent._replace(
        membership=state.sent.membership + news * ENTRY_BYTES,
        view=state.sent.view + views_sent.astype(jnp.float32) * ENTRY_BYTES,
    )
    return state._replace(views=views, pending=pending, sent=sent)


def _check_schedule(schedule: Membership, n: int) -> None:
    shape = jnp.shape(schedule.online)
    if len(shape) != 2 or shape[1] != n or schedule.online.dtype != bool:
        raise ValueError(
            f"membership.online: expected bool[T + 1, {n}], got {schedule.online.dtype}{shape}"
        )
