"""One round of MoDeST: wake the sample, train, hand over, aggregate.

Shapes: ``N`` agents, ``s`` in a sample, ``a`` aggregators, ``C`` trainer slots, ``A`` aggregate
slots.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents
from jaxswarm._optimizers import init_per_agent
from jaxswarm.data import Shards
from jaxswarm.learning.local import Objective, train
from jaxswarm.systems.modest.actors import (
    answering,
    count_entries,
    distinct,
    mark_active,
    reached,
    resolve_each,
    rows_of,
    write_rows,
)
from jaxswarm.systems.modest.announcements import flush
from jaxswarm.systems.modest.sampling import ResolvedSample, pair_priorities
from jaxswarm.systems.modest.state import Bytes, ModestInfo, ModestState
from jaxswarm.systems.modest.views import ENTRY_BYTES, View, merge_all, merge_views
from jaxswarm.types import Key, Params

PING_BYTES = 8
"""A ping or its answer: the sender's id and the round."""


class Setup(NamedTuple):
    """Constants of a protocol; see :func:`~jaxswarm.systems.modest.modest`."""

    num_agents: int
    sample_size: int
    aggregators: int
    aggregate_slots: int
    trainer_slots: int
    needed: float | jax.Array  # models that an aggregator waits for
    inactivity: int | jax.Array
    attempts: int
    work: Objective
    local: optax.GradientTransformation
    local_steps: int


class _Wake(NamedTuple):
    """Aggregators that wake their samples."""

    holder: jax.Array  # [A] agent of each aggregate slot
    holds: jax.Array  # bool[A]
    found: ResolvedSample  # leaves [A, ...]
    sends: jax.Array  # bool[A, s]
    rows: View  # [A, N], the holders' views
    trainer: jax.Array  # int32[C], -1 in empty slots
    dropped: jax.Array

    @property
    def trains(self) -> jax.Array:
        """``bool[C]``, trainer slots in use."""
        return self.trainer >= 0

    @property
    def agent(self) -> jax.Array:
        """``int32[C]``, the trainers, 0 in empty slots."""
        return jnp.maximum(self.trainer, 0)

    @property
    def receives(self) -> jax.Array:
        """``bool[C, A]``: which aggregators' models each trainer receives."""
        return reached(self.found.members, self.sends, self.trainer)


class _Handover(NamedTuple):
    """Trainers that hand their models to the next aggregators."""

    delivers: jax.Array  # bool[C]
    found: ResolvedSample  # leaves [C, ...]
    sends: jax.Array  # bool[C, a]
    rows: View  # [C, N], the trainers' views
    target: jax.Array  # int32[A], next aggregators, -1 in empty slots
    dropped: jax.Array

    @property
    def receives(self) -> jax.Array:
        """``bool[A, C]``: which trainers' models each aggregator receives."""
        return reached(self.found.members, self.sends, self.target)


def run_round(
    setup: Setup,
    train_key: Key,
    arrival_key: Key,
    state: ModestState,
    acting: jax.Array,
    shards: Shards,
    now: jax.Array,
    later: jax.Array,
    in_flight: jax.Array,
    reachable: jax.Array | None = None,
) -> tuple[ModestState, ModestInfo]:
    """Run one round from the aggregates of the last one.

    Args:
        setup: constants.
        train_key: for minibatches.
        arrival_key: for the order in which models arrive.
        state: after this round's announcements.
        acting: ``int32[A]``, aggregators that act; -1 for empty slots and those that wait.
        shards: data of all agents.
        now: ``bool[N]``, agents online at the beginning of the round.
        later: ``bool[N]``, agents online at the beginning of the next round.
        in_flight: ``bool[]``: agents not online later crash while models are being sent.
        reachable: ``bool[N, N]``, pairs with a connection; all if ``None``.
    """
    n = setup.num_agents
    wake_key, push_key = jax.random.split(arrival_key)
    views, wake = _wake_sample(setup, state, acting, now, reachable)
    received = wake.receives
    trained = _train(
        setup, train_key, wake_key, state.aggregates, wake, received, shards, state.tick
    )
    views, handover = _hand_over(
        setup, views, wake, received, state.round, later, in_flight, reachable
    )
    arrived = handover.receives
    averaged, complete = _aggregate(setup, push_key, trained, wake.agent, handover.target, arrived)
    at = jnp.maximum(handover.target, 0)
    merged = merge_views(
        rows_of(views, at), jax.vmap(lambda by: merge_all(handover.rows, by))(arrived)
    )
    views = write_rows(views, merged, jnp.where(handover.target >= 0, at, n))
    # JOINs held back take effect once a model was sent.
    sent_a_model = jnp.concatenate(
        [
            jnp.where(jnp.any(wake.sends, axis=1), wake.holder, n),
            jnp.where(jnp.any(handover.sends, axis=1), wake.agent, n),
        ]
    )
    views, pending = flush(views, state.pending, sent_a_model)
    done = jnp.any(complete)
    new = state._replace(
        aggregates=jax.tree.map(
            lambda fresh, old: jnp.where(done, fresh, old), averaged, state.aggregates
        ),
        aggregator=jnp.where(done, jnp.where(complete, handover.target, -1), state.aggregator),
        views=views,
        pending=pending,
        round=state.round + done.astype(jnp.int32),
        tick=state.tick + 1,
        # Aggregators that acted and could not finish begin to wait (again).
        waiting=jnp.where(done, 0, jnp.where(jnp.any(acting >= 0), 1, state.waiting + 1)),
    )
    pings, failures = _pings(wake, handover)
    used = jnp.where(wake.trains, wake.agent, n)
    info = ModestInfo(
        stalled=~done,
        trained=jnp.sum(wake.trains).astype(jnp.int32),
        sampled=jnp.zeros(n, bool).at[used].set(True, mode="drop"),
        completed=jnp.sum(complete).astype(jnp.int32),
        pings=pings,
        failures=failures,
        dropped=wake.dropped + handover.dropped,
        sent=_bytes(setup, state.aggregates, wake, handover, pings, failures),
    )
    return new, info


def _wake_sample(
    setup: Setup,
    state: ModestState,
    acting: jax.Array,
    now: jax.Array,
    reachable: jax.Array | None,
) -> tuple[View, _Wake]:
    """Aggregators resolve their samples by their own views and send them the model."""
    n, k = setup.num_agents, state.round
    holder = jnp.maximum(acting, 0)
    holds = (acting >= 0) & now[holder]
    rows = rows_of(state.views, holder)
    answers = answering(now, holder, reachable)
    found = resolve_each(rows, holder, k, answers, setup.sample_size, setup.inactivity)
    rows = mark_active(rows, found, holder, k, holds)
    views = write_rows(state.views, rows, jnp.where(holds, holder, n))
    sends = holds[:, None] & (found.members >= 0)
    flat = jnp.where(sends, found.members, -1).ravel()
    seat, dropped = distinct(flat, setup.trainer_slots)
    trainer = jnp.where(seat >= 0, flat[jnp.maximum(seat, 0)], -1)
    return views, _Wake(holder, holds, found, sends, rows, trainer, dropped)


def _train(
    setup: Setup,
    train_key: Key,
    wake_key: Key,
    aggregates: Params,
    wake: _Wake,
    received: jax.Array,
    shards: Shards,
    tick: jax.Array,
) -> Params:
    """Trainers train the model that arrives first; of the others they only merge the views."""
    agent = wake.agent
    priority = jnp.where(received, pair_priorities(wake_key, agent, wake.holder), -1)
    model = jnp.argmax(priority, axis=1)
    start = jax.tree.map(lambda leaf: leaf[model], aggregates)
    opt_state = init_per_agent(setup.local, start, agent, index=tick)
    result = train(
        train_key, setup.work, setup.local, setup.local_steps, start, opt_state, None,
        (shards, agent),
    )  # fmt: skip
    return result.params


def _hand_over(
    setup: Setup,
    views: View,
    wake: _Wake,
    received: jax.Array,
    k: jax.Array,
    later: jax.Array,
    in_flight: jax.Array,
    reachable: jax.Array | None,
) -> tuple[View, _Handover]:
    """Trainers resolve the next aggregators by their own views and send them their models."""
    agent, trains = wake.agent, wake.trains
    delivers = trains & (~in_flight | later[agent])
    merged = jax.vmap(lambda by: merge_all(wake.rows, by))(received)
    rows = merge_views(rows_of(views, agent), merged)
    answers = answering(later, agent, reachable)
    found = resolve_each(rows, agent, k + 1, answers, setup.aggregators, setup.inactivity)
    rows = mark_active(rows, found, agent, k, delivers)
    views = write_rows(views, rows, jnp.where(trains, agent, setup.num_agents))
    sends = delivers[:, None] & (found.members >= 0)
    flat = jnp.where(sends, found.members, -1).ravel()
    slot, dropped = distinct(flat, setup.aggregate_slots)
    target = jnp.where(slot >= 0, flat[jnp.maximum(slot, 0)], -1)
    return views, _Handover(delivers, found, sends, rows, target, dropped)


def _aggregate(
    setup: Setup,
    push_key: Key,
    trained: Params,
    agent: jax.Array,
    target: jax.Array,
    arrived: jax.Array,
) -> tuple[Params, jax.Array]:
    """Averages of the first ``needed`` models to arrive, and which are complete, ``bool[A]``."""
    at = jnp.maximum(target, 0)
    priority = jnp.where(arrived, pair_priorities(push_key, at, agent), -1)
    earlier = jnp.sum(priority[:, None, :] > priority[:, :, None], axis=2)
    counted = arrived & (earlier < setup.needed)
    complete = jnp.sum(arrived, axis=1) >= setup.needed
    return averages(trained, counted), complete


def averages(trained: Params, counted: jax.Array) -> Params:
    """Means ``[A, ...]`` of the models that are ``counted: bool[A, C]``; 0 where there are none."""
    weight = counted / jnp.maximum(jnp.sum(counted, axis=1, keepdims=True), 1)
    used = jnp.any(counted, axis=0)

    def leaf(models: jax.Array) -> jax.Array:
        wide = (slice(None),) + (None,) * (models.ndim - 1)
        return jnp.tensordot(weight.astype(models.dtype), jnp.where(used[wide], models, 0), axes=1)

    return jax.tree.map(leaf, trained)


def _pings(wake: _Wake, handover: _Handover) -> tuple[jax.Array, jax.Array]:
    """Pings of all actors and those without an answer, ``int32[]`` each."""

    def total(by_holder: jax.Array, by_trainer: jax.Array) -> jax.Array:
        waking = jnp.sum(jnp.where(wake.holds, by_holder, 0))
        handing = jnp.sum(jnp.where(handover.delivers, by_trainer, 0))
        return (waking + handing).astype(jnp.int32)

    found, chosen = wake.found, handover.found
    return total(found.pings, chosen.pings), total(found.failures, chosen.failures)


def _bytes(
    setup: Setup,
    aggregates: Params,
    wake: _Wake,
    handover: _Handover,
    pings: jax.Array,
    failures: jax.Array,
) -> Bytes:
    """Bytes of models, views and pings; what an agent sends itself does not count."""
    woken = wake.sends & (wake.found.members != wake.holder[:, None])
    handed = handover.sends & (handover.found.members != wake.agent[:, None])
    models = (jnp.sum(woken) + jnp.sum(handed)).astype(jnp.float32)
    entries = count_entries(wake.rows, woken) + count_entries(handover.rows, handed)
    messages = (2 * (pings - failures) + setup.attempts * failures).astype(jnp.float32)
    return Bytes(
        model=models * agents.message_size(aggregates)[1],
        view=entries * ENTRY_BYTES,
        ping=messages * PING_BYTES,
        membership=jnp.float32(0.0),
    )
