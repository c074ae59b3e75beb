"""Agent backends: a common protocol of requests and replies for simulated and real workers.

An :class:`AgentBackend` is a pair of pure functions. :func:`stochastic_backend` draws replies from
a pool of :class:`~jaxswarm.coordination.Workers`, :func:`network_backend` evaluates a small neural
network. A model of the user's own runs on the host: ``host_backend`` is called from jitted
programs, :mod:`jaxswarm.coordination.host` between them.

Shapes: ``B`` calls, ``K`` skills, ``A`` possible answers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination._workers import (
    DEFAULT_LOAD,
    ERRORS,
    LoadModel,
    Workers,
    add_load,
    check_load_model,
    latency_of,
    success_probability,
)
from jaxswarm.coordination.draws import event_keys
from jaxswarm.types import Key, Params

if TYPE_CHECKING:
    import flax.linen as nn

OK, EMPTY, FAILED, TIMED_OUT, INVALID = 0, 1, 2, 3, 4
STATUSES = ("ok", "empty", "failed", "timed out", "invalid")
"""``Reply.status``: answered; no call in this slot; worker down; too late; not a valid reply."""


class Request(NamedTuple):
    """A batch of calls.

    Attributes:
        worker: ``int32[B]``.
        entity: ``int32[B]``, id of the task that the call is for; with ``event`` it determines the
            random numbers.
        event: ``int32[B]``, number of the call among those of its entity.
        demand: ``float32[B, K]``, how much of each skill the call needs.
        context: ``float32[B]``, tokens to read.
        truth: ``int32[B]``, the right answer, from which stochastic workers make right and wrong
            ones; it is hidden from policies and hosts.
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
    """A batch of replies; zeros where ``status`` is not ``OK``.

    Attributes:
        answer: ``int32[B]`` in ``[0, A)``, -1 where there is none.
        confidence: ``float32[B]`` in ``[0, 1]``.
        tokens_in: ``float32[B]``, read.
        tokens_out: ``float32[B]``, written.
        latency: ``float32[B]``, milliseconds.
        error: ``int32[B]``, index into ``ERRORS``, -1 if right or unknown; hidden from policies.
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

    def __call__(self, key: Key, state: Any, request: Request) -> tuple[Any, Reply]:
        """Answer a batch of calls."""
        ...


class AgentBackend(NamedTuple):
    """A worker pool as functions ``init() -> state`` and ``answer(key, state, request)``."""

    init: Callable[[], Any]
    answer: AnswerFn


class BackendState(NamedTuple):
    """State of the workers; the caller may overwrite it.

    Attributes:
        load: ``float32[M]`` in ``[0, 1]``.
        alive: ``bool[M]``; calls to others fail.
    """

    load: jax.Array
    alive: jax.Array


def stochastic_backend(
    pool: Workers,
    *,
    num_answers: int = 2,
    load_model: LoadModel = DEFAULT_LOAD,
    timeout: float | None = None,
) -> AgentBackend:
    """Draw replies from the workers' skills, error shares, latency, tokens and load.

    Random numbers are derived by ``fold_in(key, entity, event)`` and do not depend on the worker,
    so two schedulers that send a call to different workers are compared on the same random numbers.
    A call whose context exceeds the window fails by omission, with the share that was not read as
    probability. ``answer`` adds load; :func:`decay_load` lets it decay.

    Args:
        pool: the workers.
        num_answers: ``A``, at least 2.
        load_model: effect of load.
        timeout: milliseconds above 0 from which a reply counts as timed out; never by default.

    Raises:
        ValueError: if ``num_answers < 2`` or ``timeout <= 0``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import coordination
        >>> backend = coordination.stochastic_backend(coordination.workers([[1.0], [0.0]]))
        >>> calls = coordination.Request(
        ...     worker=jnp.array([0, 1]), entity=jnp.arange(2), event=jnp.zeros(2, jnp.int32),
        ...     demand=jnp.ones((2, 1)), context=jnp.zeros(2), truth=jnp.ones(2, jnp.int32),
        ...     active=jnp.ones(2, bool))
        >>> state, reply = jax.jit(backend.answer)(jax.random.key(0), backend.init(), calls)
        >>> reply.answer.tolist()  # worker 0 is always right, worker 1 never
        [1, 0]
    """
    checks.instance("pool", pool, Workers, "coordination.workers([[0.9, 0.1]])")
    num_answers = checks.whole("num_answers", num_answers, 2)
    check_load_model(load_model)
    if timeout is not None:
        checks.real("timeout", timeout, above=0.0, infinite=True)

    def init() -> BackendState:
        m = pool.num_workers
        return BackendState(jnp.zeros(m), jnp.ones(m, bool))

    def answer(key: Key, state: BackendState, request: Request) -> tuple[Any, Reply]:
        checks.key(key)
        worker, known = known_workers(request, pool.num_workers)
        load = state.load[worker]
        keys = event_keys(key, request.entity, request.event)
        uniform = jax.vmap(lambda k: jax.random.uniform(k, (5,)))(keys)
        noise = jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, 1), (2,)))(keys)
        chance = success_probability(pool, worker, request.demand, load, load_model)
        window = jnp.asarray(pool.window)[worker]
        unread = jnp.maximum(request.context - window, 0.0) / jnp.maximum(request.context, 1.0)
        omitted = uniform[:, 0] < unread
        right = (uniform[:, 1] < chance) & ~omitted
        shares = jnp.cumsum(jnp.asarray(pool.error_mix)[worker], axis=1)
        error = jnp.sum(uniform[:, 2:3] >= shares[:, :-1], axis=1)
        error = jnp.where(omitted, ERRORS.index("omission"), error)
        offset = 1 + jnp.floor(uniform[:, 3] * (num_answers - 1)).astype(jnp.int32)
        wrong = (request.truth + offset) % num_answers
        latency = latency_of(pool, worker, load, noise[:, 0], load_model)
        written = jnp.asarray(pool.tokens)[worker] * jnp.exp(0.2 * noise[:, 1])
        late = jnp.zeros_like(right) if timeout is None else latency > timeout
        status = jnp.where(late, TIMED_OUT, OK)
        status = jnp.where(state.alive[worker] & known, status, FAILED)
        status = jnp.where(request.active, status, EMPTY)
        reply = Reply(
            answer=jnp.where(right, request.truth, wrong).astype(jnp.int32),
            confidence=jnp.clip(chance + 0.1 * (uniform[:, 4] - 0.5), 0.0, 1.0),
            tokens_in=jnp.minimum(request.context, window),
            tokens_out=written,
            latency=latency,
            error=jnp.where(right, -1, error).astype(jnp.int32),
            status=status.astype(jnp.int32),
        )
        worked = (status == OK) | (status == TIMED_OUT)
        load = add_load(state.load, worker, worked, load_model)
        return state._replace(load=load), without_failures(reply)

    return AgentBackend(init, answer)


def decay_load(state: BackendState, load_model: LoadModel = DEFAULT_LOAD) -> BackendState:
    """Let the workers' load decay by one step of time.

    Raises:
        ValueError: if this is no state, or the factor is outside ``[0, 1]``.
    """
    checks.instance("state", state, BackendState, "backend.init()")
    check_load_model(load_model)
    return state._replace(load=state.load * load_model.decay)


def network_backend(
    module: "nn.Module",
    params: Params,
    num_workers: int,
    *,
    latency: float = 1.0,
    tokens: float = 1.0,
) -> AgentBackend:
    """Sample replies from a flax network, ``module.apply(params, demand [B, K]) -> logits [B, A]``.

    Args:
        module: a flax module without state, such as ``models.mlp``.
        params: leaves ``[M, ...]``, a set for each worker (``agents.broadcast`` shares one).
        num_workers: ``M``.
        latency: of a call, in milliseconds.
        tokens: written per call.

    Raises:
        ValueError: if this is no flax module, ``num_workers < 1``, parameters do not lead with the
            workers, or a number is negative or not finite.
    """
    if not callable(getattr(module, "apply", None)):
        raise ValueError(f"module: expected a flax module, got {checks.shown(module)}")
    num_workers = checks.whole("num_workers", num_workers, 1)
    for leaf in jax.tree.leaves(params):
        if np.shape(leaf)[:1] != (num_workers,):
            raise ValueError(
                f"params: expected leaves [{num_workers}, ...], got shape {np.shape(leaf)}"
            )
    checks.real("latency", latency, 0.0)
    checks.real("tokens", tokens, 0.0)

    def init() -> BackendState:
        return BackendState(jnp.zeros(num_workers), jnp.ones(num_workers, bool))

    def answer(key: Key, state: BackendState, request: Request) -> tuple[Any, Reply]:
        worker, known = known_workers(request, num_workers)
        keys = event_keys(key, request.entity, request.event)
        own = jax.tree.map(lambda x: x[worker], params)
        logits = jax.vmap(lambda p, x: module.apply(p, x[None])[0])(own, request.demand)
        chosen = jax.vmap(jax.random.categorical)(keys, logits)
        chance = jnp.take_along_axis(jax.nn.softmax(logits), chosen[:, None], axis=1)[:, 0]
        status = jnp.where(state.alive[worker] & known, OK, FAILED)
        status = jnp.where(request.active, status, EMPTY).astype(jnp.int32)
        flat = jnp.ones(chosen.shape)
        none = jnp.full(chosen.shape, -1, jnp.int32)
        reply = Reply(
            answer=chosen.astype(jnp.int32),
            confidence=chance,
            tokens_in=request.context,
            tokens_out=flat * tokens,
            latency=flat * latency,
            error=none,
            status=status,
        )
        return state, without_failures(reply)

    return AgentBackend(init, answer)


def known_workers(request: Request, num_workers: int) -> tuple[jax.Array, jax.Array]:
    """Workers ``int32[B]`` in range, and which calls name one: a call to no worker fails."""
    checks.instance("request", request, Request)
    asked = jnp.asarray(checks.wholes("worker", request.worker, -1, shape=(None,)))
    if not checks.is_traced(asked) and not checks.is_traced(request.active):
        active = checks.mask("active", request.active, asked.shape)
        checks.wholes("worker", asked[active], 0, num_workers - 1)
    known = (asked >= 0) & (asked < num_workers)
    return jnp.where(known, asked, 0), known


def without_failures(reply: Reply) -> Reply:
    """Set ``answer`` and ``error`` to -1 and numbers to 0 where the status is not ``OK``."""
    ok = reply.status == OK
    return Reply(
        answer=jnp.where(ok, reply.answer, -1),
        confidence=jnp.where(ok, reply.confidence, 0.0),
        tokens_in=jnp.where(ok, reply.tokens_in, 0.0),
        tokens_out=jnp.where(ok, reply.tokens_out, 0.0),
        latency=jnp.where(ok, reply.latency, 0.0),
        error=jnp.where(ok, reply.error, -1),
        status=reply.status,
    )
