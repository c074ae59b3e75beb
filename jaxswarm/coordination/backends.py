"""Workers behind one protocol: what is asked, what comes back, and who may answer.

An :class:`AgentBackend` is a pair of pure functions. :func:`stochastic` draws replies from a pool
of :class:`~jaxswarm.coordination.Workers`, :func:`learned` asks a small network. A model of
the user's own answers from the host: :mod:`jaxswarm.coordination.host`.

Shapes: ``B`` calls, ``K`` skills, ``A`` possible answers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxswarm.coordination._workers import (
    ERRORS,
    USUAL,
    LoadLaw,
    Workers,
    latency_of,
    loaded,
    success_chance,
)
from jaxswarm.coordination.draws import event_keys

OK, EMPTY, FAILED, TIMED_OUT, INVALID = 0, 1, 2, 3, 4
STATUSES = ("ok", "empty", "failed", "timed out", "invalid")
"""``Reply.status``: answered; no call in this slot; worker down; too late; not a legal reply."""


class Request(NamedTuple):
    """A batch of calls.

    Attributes:
        worker: ``int32[B]``.
        entity: ``int32[B]``, whose call it is (a task); with ``event`` it names the dice.
        event: ``int32[B]``, the how-manieth of that entity.
        demand: ``float32[B, K]``.
        context: ``float32[B]``, tokens to read.
        truth: ``int32[B]``, the right answer; a stochastic worker needs it to err on purpose, a
            policy and a host never see it.
        active: ``bool[B]``, false for empty slots.
    """

    worker: jax.Array
    entity: jax.Array
    event: jax.Array
    demand: jax.Array
    context: jax.Array
    truth: jax.Array
    active: jax.Array


class Reply(NamedTuple):
    """What came back; zeros where ``status`` is not ``OK``.

    Attributes:
        answer: ``int32[B]`` in ``[0, A)``, -1 where there is none.
        confidence: ``float32[B]`` in ``[0, 1]``.
        tokens_in: ``float32[B]``, read.
        tokens_out: ``float32[B]``, written.
        latency: ``float32[B]``, milliseconds.
        error: ``int32[B]``, index into ``workers.ERRORS``, -1 if right or unknown; never shown to a
            policy.
        status: ``int32[B]``, index into :data:`STATUSES`.
    """

    answer: jax.Array
    confidence: jax.Array
    tokens_in: jax.Array
    tokens_out: jax.Array
    latency: jax.Array
    error: jax.Array
    status: jax.Array


class AnswerFn(Protocol):
    """``answer(key, state, request) -> (state, Reply)``; ``key`` is the same for all calls."""

    def __call__(self, key: jax.Array, state: Any, request: Request) -> tuple[Any, Reply]:
        """Answer a batch of calls."""
        ...


class AgentBackend(NamedTuple):
    """Who answers: ``init() -> state`` and ``answer``."""

    init: Callable[[], Any]
    answer: AnswerFn


class BackendState(NamedTuple):
    """``load float32[M]`` in ``[0, 1]`` and ``alive bool[M]``: the caller may overwrite both."""

    load: jax.Array
    alive: jax.Array


def stochastic(
    pool: Workers, *, num_answers: int = 2, law: LoadLaw = USUAL, timeout: float | None = None
) -> AgentBackend:
    """Replies drawn from skills, error shares, latency, tokens and load.

    Dice are thrown by ``fold_in(key, entity, event)`` and do not depend on the worker, so two
    schedulers that send a call to different workers compare them on the same dice. Context beyond
    the window makes the call fail by omission with the share that was not read. ``answer`` adds
    load; :func:`rest` lets it decay.

    Raises:
        ValueError: if ``num_answers < 2`` or ``timeout <= 0``.
    """
    if num_answers < 2:
        raise ValueError(f"num_answers: expected at least 2, got {num_answers}")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout: expected milliseconds above 0, got {timeout}")

    def init() -> BackendState:
        m = pool.num_workers
        return BackendState(jnp.zeros(m), jnp.ones(m, bool))

    def answer(key: jax.Array, state: BackendState, request: Request) -> tuple[Any, Reply]:
        who = request.worker
        load = state.load[who]
        keys = event_keys(key, request.entity, request.event)
        dice = jax.vmap(lambda k: jax.random.uniform(k, (5,)))(keys)
        noise = jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, 1), (2,)))(keys)
        chance = success_chance(pool, who, request.demand, load, law)
        window = jnp.asarray(pool.window)[who]
        unread = jnp.maximum(request.context - window, 0.0) / jnp.maximum(request.context, 1.0)
        omitted = dice[:, 0] < unread
        right = (dice[:, 1] < chance) & ~omitted
        shares = jnp.cumsum(jnp.asarray(pool.slips)[who], axis=1)
        slip = jnp.sum(dice[:, 2:3] >= shares[:, :-1], axis=1)
        slip = jnp.where(omitted, ERRORS.index("omission"), slip)
        offset = 1 + jnp.floor(dice[:, 3] * (num_answers - 1)).astype(jnp.int32)
        wrong = (request.truth + offset) % num_answers
        latency = latency_of(pool, who, load, noise[:, 0], law)
        written = jnp.asarray(pool.tokens)[who] * jnp.exp(0.2 * noise[:, 1])
        late = jnp.zeros_like(right) if timeout is None else latency > timeout
        status = jnp.where(late, TIMED_OUT, OK)
        status = jnp.where(state.alive[who], status, FAILED)
        status = jnp.where(request.active, status, EMPTY)
        reply = Reply(
            jnp.where(right, request.truth, wrong).astype(jnp.int32),
            jnp.clip(chance + 0.1 * (dice[:, 4] - 0.5), 0.0, 1.0),
            jnp.minimum(request.context, window),
            written,
            latency,
            jnp.where(right, -1, slip).astype(jnp.int32),
            status.astype(jnp.int32),
        )
        worked = (status == OK) | (status == TIMED_OUT)
        return state._replace(load=loaded(state.load, who, worked, law)), blanked(reply)

    return AgentBackend(init, answer)


def rest(state: BackendState, law: LoadLaw = USUAL) -> BackendState:
    """One step of time: load decays."""
    return state._replace(load=state.load * law.decay)


def learned(
    module: Any, params: Any, num_workers: int, *, latency: float = 1.0, tokens: float = 1.0
) -> AgentBackend:
    """A small flax network answers: ``module.apply(params, demand [B, K]) -> logits [B, A]``.

    Args:
        module: a flax module without state, such as ``models.mlp``.
        params: leaves ``[M, ...]``, a set for each worker (``agents.broadcast`` shares one).
        num_workers: ``M``.
        latency: of a call, in milliseconds.
        tokens: written per call.

    Raises:
        ValueError: if ``num_workers < 1``.
    """
    if num_workers < 1:
        raise ValueError(f"num_workers: expected at least 1, got {num_workers}")

    def init() -> BackendState:
        return BackendState(jnp.zeros(num_workers), jnp.ones(num_workers, bool))

    def answer(key: jax.Array, state: BackendState, request: Request) -> tuple[Any, Reply]:
        keys = event_keys(key, request.entity, request.event)
        own = jax.tree.map(lambda x: x[request.worker], params)
        logits = jax.vmap(lambda p, x: module.apply(p, x[None])[0])(own, request.demand)
        chosen = jax.vmap(jax.random.categorical)(keys, logits)
        chance = jnp.take_along_axis(jax.nn.softmax(logits), chosen[:, None], axis=1)[:, 0]
        status = jnp.where(state.alive[request.worker], OK, FAILED)
        status = jnp.where(request.active, status, EMPTY).astype(jnp.int32)
        flat = jnp.ones(chosen.shape)
        none = jnp.full(chosen.shape, -1, jnp.int32)
        reply = Reply(
            chosen.astype(jnp.int32), chance, request.context, flat * tokens, flat * latency, none,
            status,
        )  # fmt: skip
        return state, blanked(reply)

    return AgentBackend(init, answer)


def blanked(reply: Reply) -> Reply:
    """The reply with ``answer`` and ``error`` -1 and numbers 0 where the status is not ``OK``."""
    fine = reply.status == OK
    return Reply(
        answer=jnp.where(fine, reply.answer, -1),
        confidence=jnp.where(fine, reply.confidence, 0.0),
        tokens_in=jnp.where(fine, reply.tokens_in, 0.0),
        tokens_out=jnp.where(fine, reply.tokens_out, 0.0),
        latency=jnp.where(fine, reply.latency, 0.0),
        error=jnp.where(fine, reply.error, -1),
        status=reply.status,
    )
