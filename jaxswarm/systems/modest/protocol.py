"""MoDeST: a hash-determined sample of agents trains, a few of the next sample aggregate.

There is no server. In round ``k`` every aggregator derives the sample from *its own* view, pings
it, and sends it the model; every trainer trains and derives the aggregators of round ``k + 1`` from
*its own* view. Views are sent with every model. When views differ, so do samples: several
aggregates of one round may coexist.

The round is simulated as a whole (no clock): crashes strike between rounds, or, if the schedule
says so, while models are being sent. What arrives first, at an aggregator or at a trainer, is drawn
at random. Only the models that exist in a round are stored: ``C`` trained ones and ``A``
aggregates, never one per agent. An aggregator that misses models waits forever, as published; so
does one whose sample found fewer online agents than it needs models.

Shapes: ``N`` agents, ``s`` in a sample, ``a`` aggregators, ``C`` trainer slots, ``A`` aggregate
slots.

References:
    M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires, R. Sharma, Decentralized
    learning made easy with decentralized client sampling (MoDeST), 2023.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.checks import is_traced
from jaxswarm.gossip.traffic import Ledger
from jaxswarm.learning.local import Loss, Sample, objective
from jaxswarm.learning.state import check_parts
from jaxswarm.systems.modest._membership import check_schedule, check_step_inputs
from jaxswarm.systems.modest.actors import per_agent, shards_of
from jaxswarm.systems.modest.announcements import announce
from jaxswarm.systems.modest.round import Setup, run_round
from jaxswarm.systems.modest.sampling import resolve_sample, sample_order
from jaxswarm.systems.modest.state import Bytes, ModestInfo, ModestState
from jaxswarm.systems.modest.views import (
    ENTRY_BYTES,
    check_present,
    empty_view,
    initial_views,
)
from jaxswarm.types import Key, Params


def modest(
    loss: Loss,
    num_agents: int,
    *,
    local: optax.GradientTransformation,
    sample_size: int = 10,
    aggregators: int = 1,
    success: float | jax.Array = 1.0,
    inactivity: int | jax.Array = 50,
    local_steps: int = 1,
    sample: Sample | None = None,
    patience: int | jax.Array | None = None,
    present: ArrayLike | None = None,
    attempts: int = 5,
) -> Algorithm:
    """MoDeST, decentralised learning with decentralised client sampling, as ``(init, step)``.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        num_agents: ``N``, at least 2.
        local: any optax optimiser; trainers begin with a fresh state, as theirs is not kept.
        sample_size: ``s``, agents that train in a round.
        aggregators: ``a``, agents of the sample that aggregate the round before.
        success: share of the sample's models an aggregator waits for, in ``(0, 1]``; may be
            traced.
        inactivity: ``Δk``, rounds after which a silent agent is no candidate any more, at least 1;
            may be traced. Agents that are merely not sampled for that long are excluded too: keep
            it a few times ``N / s``.
        local_steps: optimiser steps of a trainer, at least 1.
        sample: one of :mod:`jaxswarm.data`, ``(key, shards, *, offset) -> batch``. Agent ``i``
            draws from its own stream, so its batches do not depend on which others are sampled.
        patience: ticks after which a stalled round is begun again from the last aggregates, at
            least 1; may be traced; never by default, as published.
        attempts: pings sent to an agent that does not answer, before its timeout, at least 1.
        present: ``bool[N]``, agents known at the start; all by default.

    Returns:
        ``init(params)`` takes a *single* model; ``step(key, state, (shards, membership))`` returns
        the state and :class:`ModestInfo`.

    Raises:
        ValueError: if ``s`` or ``a`` is out of range, ``success`` not in ``(0, 1]``,
            ``inactivity < 1``, ``local_steps < 1``, ``patience < 1`` or ``attempts < 1``; in a
            step, if the schedule does not fit or an agent's shard is empty (when not traced).

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np, optax
        >>> from jaxswarm import data
        >>> from jaxswarm.systems import modest
        >>> shards = data.stacked(np.ones((8, 2, 1), np.float32), np.zeros((8, 2), np.int32))
        >>> protocol = modest.modest(
        ...     lambda x, batch: jnp.mean((x[None] - batch.x) ** 2), 8, local=optax.sgd(0.5),
        ...     sample_size=3, sample=data.full_batches())
        >>> state, inputs = protocol.init(jnp.zeros(1)), (shards, modest.always_online(5, 8))
        >>> state, info = jax.jit(protocol.step)(jax.random.key(0), state, inputs)
        >>> int(state.round), int(info.trained), float(state.aggregates[0, 0])
        (1, 3, 1.0)
    """
    n = checks.whole("num_agents", num_agents, 2)
    s = checks.whole("sample_size", sample_size, 1, n)
    a = checks.whole("aggregators", aggregators, 1, s)
    checks.real("success", success, high=1.0, above=0.0)
    local_steps = checks.whole("local_steps", local_steps, 1)
    attempts = checks.whole("attempts", attempts, 1)
    checks.wholes("inactivity", inactivity, 1, shape=())
    if patience is not None:
        checks.wholes("patience", patience, 1, shape=())
    check_parts(local, None)
    if sample is not None:
        checks.function("sample", sample)
    # A share such as 0.3 of 10 is three models, whatever the rounding.
    needed = (
        jnp.ceil(s * success - 1e-4) if is_traced(success) else math.ceil(s * float(success) - 1e-4)
    )
    draw = per_agent(sample) if sample is not None else lambda key, inputs: shards_of(*inputs)
    setup = Setup(
        num_agents=n,
        sample_size=s,
        aggregators=a,
        aggregate_slots=2 * a,
        trainer_slots=s if a == 1 else min(2 * s, n),
        needed=needed,
        inactivity=inactivity,
        attempts=attempts,
        work=objective(loss, draw),
        local=local,
        local_steps=local_steps,
    )
    known = check_present(n, present)

    def init(params: Params) -> ModestState:
        order = sample_order(jnp.arange(n, dtype=jnp.int32), jnp.int32(0))
        first = resolve_sample(order, known, known, jnp.int32(-1), a).members
        zero = jnp.float32(0.0)
        no_bytes = Bytes(zero, zero, zero, zero)
        return ModestState(
            aggregates=agents.broadcast(params, setup.aggregate_slots),
            aggregator=jnp.full(setup.aggregate_slots, -1, jnp.int32).at[:a].set(first),
            views=initial_views(n, known),
            pending=empty_view(n, n),
            round=jnp.int32(0),
            tick=jnp.int32(0),
            waiting=jnp.int32(0),
            ledger=Ledger(no_bytes, no_bytes),
        )

    def step(key: Key, state: ModestState, inputs: Any) -> tuple[ModestState, ModestInfo]:
        shards, schedule = check_step_inputs(inputs)
        check_schedule(schedule, n)
        _check_shards(shards, n)
        train_key, news_key, arrival_key = jax.random.split(key, 3)
        now, later = schedule.online[state.tick], schedule.online[state.tick + 1]
        num_ticks = schedule.joins.shape[0]
        tick = jnp.minimum(state.tick, num_ticks - 1)
        scheduled = state.tick < num_ticks
        joins, leaves = schedule.joins[tick] & scheduled, schedule.leaves[tick] & scheduled
        news = announce(news_key, state.views, state.pending, joins, leaves, now, s)
        state = state._replace(views=news.views, pending=news.pending)
        waits = (state.waiting > 0) & (patience is None or state.waiting < patience)
        acting = jnp.where(waits, -1, state.aggregator)
        new, info = run_round(
            setup, train_key, arrival_key, state, acting, shards, now, later, schedule.in_flight,
            schedule.reachable,
        )  # fmt: skip
        sent = info.sent._replace(membership=news.messages * ENTRY_BYTES)
        info = info._replace(sent=sent, dropped=info.dropped + news.lost)
        return new._replace(ledger=state.ledger.add(sent)), info

    return Algorithm(init, step)


def _check_shards(shards: Any, num_agents: int) -> None:
    counts = shards.counts
    if jnp.shape(counts) != (num_agents,):
        raise ValueError(
            f"shards: expected those of {num_agents} agents, got counts of shape "
            f"{jnp.shape(counts)}"
        )
    if not is_traced(counts) and (np.asarray(counts) < 1).any():
        agent = int(np.argmin(np.asarray(counts)))
        raise ValueError(f"shards: expected data of every agent, got an empty shard of {agent}")
