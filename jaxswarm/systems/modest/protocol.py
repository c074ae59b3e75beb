"""MoDeST: a hash-determined sample of nodes trains, a few of the next sample aggregate.

Nobody is a server. In round ``k`` every aggregator derives the sample from *its own* view, pings it
awake, and sends it the model; every trainer trains and derives the aggregators of round ``k + 1``
from *its own* view. Views travel with every model. When views differ, so do samples: several
aggregates of one round may coexist.

The round is simulated as a whole (no clock): crashes strike between rounds, or, if the schedule
says so, while models are on their way. What arrives first, at an aggregator or at a trainer, is
drawn. Only the models that are alive in a round are stored: ``C`` trained ones and ``A``
aggregates, never one per node. An aggregator that waits in vain waits for good, as published; so
does one whose sample found fewer online nodes than it needs models.

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
import numpy as np
import optax

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger
from jaxswarm.learning.local import Loss, Sample, objective, train
from jaxswarm.systems.modest._membership import check_schedule
from jaxswarm.systems.modest.actors import (
    by_node,
    distinct,
    known,
    resolve,
    rows_of,
    seen,
    stored,
)
from jaxswarm.systems.modest.announcements import announce, flush
from jaxswarm.systems.modest.sampling import pair_lots, resolve_sample, sample_order
from jaxswarm.systems.modest.views import (
    ENTRY_BYTES,
    View,
    check_present,
    everyone_known,
    merge_all,
    merge_views,
    nothing_known,
)
from jaxswarm.topology.validation import is_traced

PyTree = Any
PING_BYTES = 8
"""A ping or its answer: the sender's id and the round."""


class Bytes(NamedTuple):
    """Bytes by kind, ``float32[]`` each; ``ping`` holds pings, their repetitions and answers.

    What a node hands to itself is not sent.
    """

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
        pending: ``[N, N]`` each: JOINs that a node holds back until it has sent a model.
        round: ``int32[]``, the protocol's round ``k``.
        tick: ``int32[]``, steps of the simulation; more than ``round`` after a stall.
        waiting: ``int32[]``, ticks since the present round stalled.
        ledger: bytes since the start, by kind.
    """

    aggregates: PyTree
    aggregator: jax.Array
    views: View
    pending: View
    round: jax.Array
    tick: jax.Array
    waiting: jax.Array
    ledger: Ledger

    @property
    def sent(self) -> Bytes:
        """Bytes since the start."""
        return self.ledger.total


class ModestInfo(NamedTuple):
    """What a round did.

    Attributes:
        stalled: ``bool[]``: no aggregate was completed.
        trained: ``int32[]``, nodes that trained.
        sampled: ``bool[N]``, which.
        completed: ``int32[]``, aggregates completed.
        pings: ``int32[]``, nodes that were pinged; ``failures`` of them did not answer.
        failures: ``int32[]``.
        dropped: ``int32[]``, trainers, aggregators or announcements beyond the slots there are.
        sent: bytes of this round, by kind.
    """

    stalled: jax.Array
    trained: jax.Array
    sampled: jax.Array
    completed: jax.Array
    pings: jax.Array
    failures: jax.Array
    dropped: jax.Array
    sent: Bytes


def modest(
    loss: Loss,
    num_nodes: int,
    *,
    local: optax.GradientTransformation,
    sample_size: int = 10,
    aggregators: int = 1,
    success: float | jax.Array = 1.0,
    inactivity: int | jax.Array = 50,
    local_steps: int = 1,
    sample: Sample | None = None,
    patience: int | None = None,
    present: Any = None,
    attempts: int = 5,
) -> Algorithm:
    """The protocol as ``(init, step)``; ``step(key, state, (shards, membership))``.

    Args:
        loss: of one node's batch.
        num_nodes: ``N``.
        local: any optax optimiser; trainers begin with a fresh state, as nothing of theirs is kept.
        sample_size: ``s``, nodes that train in a round.
        aggregators: ``a``, of them that aggregate the round before.
        success: share of the sample's models an aggregator waits for, in ``(0, 1]``; may be
            traced.
        inactivity: ``Δk``, rounds after which a silent node is no candidate any more; may be
            traced. Nodes that are merely not sampled for that long are forgotten too: keep it a
            few times ``N / s``.
        local_steps: optimiser steps of a trainer.
        sample: one of :mod:`jaxswarm.data`, ``(key, shards, *, offset) -> batch``. Node ``i`` draws
            from its own stream, so its batches do not depend on who else is sampled.
        patience: ticks after which a stalled round is begun again from the last aggregates; never
            by default, as published.
        attempts: pings sent to a node that does not answer, before its timeout.
        present: ``bool[N]``, who is known at the start.

    Returns:
        ``init(params)`` takes a *single* model; the rest is an
        :class:`~jaxswarm.algorithm.Algorithm`.

    Raises:
        ValueError: if ``s`` or ``a`` is out of range, ``success`` not in ``(0, 1]``,
            ``inactivity < 1``, ``local_steps < 1``, ``patience < 1`` or ``attempts < 1``; in a
            step, if the schedule does not fit or a node's shard is empty (when not traced).
    """
    n, s, a = num_nodes, sample_size, aggregators
    if not 1 <= s <= n:
        raise ValueError(f"sample_size: expected 1 to {n} nodes, got {s}")
    if not 1 <= a <= s:
        raise ValueError(f"aggregators: expected 1 to sample_size = {s}, got {a}")
    if not is_traced(success) and not 0.0 < success <= 1.0:
        raise ValueError(f"success: expected a share in (0, 1], got {success}")
    if not is_traced(inactivity) and inactivity < 1:
        raise ValueError(f"inactivity: expected at least 1 round, got {inactivity}")
    for name, value in (("local_steps", local_steps), ("patience", patience),
                        ("attempts", attempts)):  # fmt: skip
        if value is not None and value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    # A share such as 0.3 of 10 is three models, whatever the rounding.
    needed = (
        jnp.ceil(s * success - 1e-4) if is_traced(success) else math.ceil(s * float(success) - 1e-4)
    )
    slots = 2 * a  # of aggregates
    seats = s if a == 1 else min(2 * s, n)  # of trainers
    there = check_present(n, present)
    draw = by_node(sample) if sample is not None else lambda key, inputs: rows_of(*inputs)
    work = objective(loss, draw)
    ids = jnp.arange(n, dtype=jnp.int32)

    def init(params: PyTree) -> ModestState:
        first = resolve_sample(
            sample_order(ids, jnp.int32(0)), there, there, jnp.int32(-1), a
        ).members
        zero = jnp.float32(0.0)
        nothing = Bytes(zero, zero, zero, zero)
        return ModestState(
            aggregates=agents.broadcast(params, slots),
            aggregator=jnp.full(slots, -1, jnp.int32).at[:a].set(first),
            views=everyone_known(n, there),
            pending=nothing_known(n, n),
            round=jnp.int32(0),
            tick=jnp.int32(0),
            waiting=jnp.int32(0),
            ledger=Ledger(nothing, nothing),
        )

    def step(key: jax.Array, state: ModestState, inputs: Any) -> tuple[ModestState, ModestInfo]:
        shards, schedule = inputs
        check_schedule(schedule, n)
        _check_shards(shards, n)
        train_key, news_key, arrive_key = jax.random.split(key, 3)
        now, later = schedule.online[state.tick], schedule.online[state.tick + 1]
        known_rounds = schedule.joins.shape[0]
        tick = jnp.minimum(state.tick, known_rounds - 1)
        happens = state.tick < known_rounds
        news = announce(
            news_key, state.views, state.pending, schedule.joins[tick] & happens,
            schedule.leaves[tick] & happens, now, s,
        )  # fmt: skip
        state = state._replace(views=news.views, pending=news.pending)
        waits = (state.waiting > 0) & (patience is None or state.waiting < patience)
        acting = jnp.where(waits, -1, state.aggregator)
        new, info = _round(
            train_key, arrive_key, state, acting, shards, now, later, schedule.in_flight
        )
        sent = info.sent._replace(membership=news.messages * ENTRY_BYTES)
        info = info._replace(sent=sent, dropped=info.dropped + news.lost)
        return new._replace(ledger=state.ledger.add(sent)), info

    def _round(
        train_key: jax.Array, arrive_key: jax.Array, state: ModestState, acting: jax.Array,
        shards: Any, now: jax.Array, later: jax.Array, in_flight: jax.Array,
    ) -> tuple[ModestState, ModestInfo]:  # fmt: skip
        k, views = state.round, state.views
        wake_key, push_key = jax.random.split(arrive_key)
        # Aggregators find their samples and wake them.
        holder = jnp.maximum(acting, 0)
        holds = (acting >= 0) & now[holder]
        found = resolve(_of(views, holder), holder, k, now, s, inactivity)
        mine = seen(_of(views, holder), found, holder, k, holds)
        views = stored(views, mine, jnp.where(holds, holder, n))
        wakes = holds[:, None] & (found.members >= 0)  # [A, s]
        flat = jnp.where(wakes, found.members, -1).ravel()
        seat, dropped_trainers = distinct(flat, seats)
        trainer = jnp.where(seat >= 0, flat[jnp.maximum(seat, 0)], -1)
        trains, node = trainer >= 0, jnp.maximum(trainer, 0)
        # A trainer works on the model that arrives first; of the others it reads the views.
        gets = _to(found.members, wakes, trainer)  # [C, A]
        model_of = jnp.argmax(jnp.where(gets, pair_lots(wake_key, node, holder), -1), axis=1)
        start = jax.tree.map(lambda leaf: leaf[model_of], state.aggregates)
        opt_state = jax.vmap(local.init)(start)
        trained = train(
            work, local, local_steps, train_key, start, opt_state, None, (shards, node)
        ).params
        # Trainers find the aggregators of the next round and hand over.
        delivers = trains & (~in_flight | later[node])
        theirs = merge_views(_of(views, node), jax.vmap(lambda by: merge_all(mine, by))(gets))
        chosen = resolve(theirs, node, k + 1, later, a, inactivity)
        theirs = seen(theirs, chosen, node, k, delivers)
        views = stored(views, theirs, jnp.where(trains, node, n))
        hands = delivers[:, None] & (chosen.members >= 0)  # [C, a]
        flat = jnp.where(hands, chosen.members, -1).ravel()
        slot, dropped = distinct(flat, slots)
        target = jnp.where(slot >= 0, flat[jnp.maximum(slot, 0)], -1)
        comes = _to(chosen.members, hands, target)  # [A, C]
        # The first ``needed`` to arrive count.
        at = jnp.maximum(target, 0)
        lots = jnp.where(comes, pair_lots(push_key, at, node), -1)
        sooner = jnp.sum(lots[:, None, :] > lots[:, :, None], axis=2)
        counted = comes & (sooner < needed)
        complete = jnp.sum(comes, axis=1) >= needed
        averaged = _averages(trained, counted)
        done = jnp.any(complete)
        views = stored(
            views,
            merge_views(_of(views, at), jax.vmap(lambda by: merge_all(theirs, by))(comes)),
            jnp.where(target >= 0, at, n),
        )
        # News held back is told once a model was sent.
        spoke = jnp.concatenate(
            [
                jnp.where(jnp.any(wakes, axis=1), holder, n),
                jnp.where(jnp.any(hands, axis=1), node, n),
            ]
        )
        views, pending = flush(views, state.pending, spoke)
        woken = wakes & (found.members != holder[:, None])
        handed = hands & (chosen.members != node[:, None])
        models = (jnp.sum(woken) + jnp.sum(handed)).astype(jnp.float32)
        total = lambda x, y: (  # noqa: E731
            jnp.sum(jnp.where(holds, x, 0)) + jnp.sum(jnp.where(delivers, y, 0))
        ).astype(jnp.int32)
        pings = total(found.pings, chosen.pings)
        failures = total(found.failures, chosen.failures)
        sent = Bytes(
            model=models * agents.message_size(state.aggregates)[1],
            view=(known(mine, woken) + known(theirs, handed)) * ENTRY_BYTES,
            ping=(2 * (pings - failures) + attempts * failures).astype(jnp.float32) * PING_BYTES,
            membership=jnp.float32(0.0),
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
            # Those who were due and could not finish begin to wait (anew).
            waiting=jnp.where(done, 0, jnp.where(jnp.any(acting >= 0), 1, state.waiting + 1)),
        )
        info = ModestInfo(
            stalled=~done,
            trained=jnp.sum(trains).astype(jnp.int32),
            sampled=jnp.zeros(n, bool).at[jnp.where(trains, node, n)].set(True, mode="drop"),
            completed=jnp.sum(complete).astype(jnp.int32),
            pings=pings,
            failures=failures,
            dropped=dropped_trainers + dropped,
            sent=sent,
        )
        return new, info

    return Algorithm(init, step)


def _of(views: View, owners: jax.Array) -> View:
    return jax.tree.map(lambda leaf: leaf[owners], views)


def _to(members: jax.Array, sends: jax.Array, receivers: jax.Array) -> jax.Array:
    """``bool[R, S]``: which of ``S`` senders to ``members [S, M]`` reach each of the receivers."""
    reached = (members[None] == receivers[:, None, None]) & sends[None]
    return jnp.any(reached, axis=2) & (receivers >= 0)[:, None]


def _averages(trained: PyTree, counted: jax.Array) -> PyTree:
    """Leaves ``[A, ...]``: plain means of the models that are ``counted [A, C]``; 0 of none."""
    weight = counted / jnp.maximum(jnp.sum(counted, axis=1, keepdims=True), 1)
    used = jnp.any(counted, axis=0)

    def leaf(models: jax.Array) -> jax.Array:
        wide = (slice(None),) + (None,) * (models.ndim - 1)
        return jnp.tensordot(weight.astype(models.dtype), jnp.where(used[wide], models, 0), axes=1)

    return jax.tree.map(leaf, trained)


def _check_shards(shards: Any, num_nodes: int) -> None:
    counts = shards.counts
    if jnp.shape(counts) != (num_nodes,):
        raise ValueError(
            f"shards: expected those of {num_nodes} nodes, got counts of shape {jnp.shape(counts)}"
        )
    if not is_traced(counts) and (np.asarray(counts) < 1).any():
        node = int(np.argmin(np.asarray(counts)))
        raise ValueError(f"shards: expected data on every node, got an empty shard of node {node}")
