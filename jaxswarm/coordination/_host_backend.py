"""A model of the user's own as an agent backend that jitted programs call.

Shapes: ``B`` calls.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import io_callback

from jaxswarm import checks
from jaxswarm.coordination.backends import (
    EMPTY,
    FAILED,
    AgentBackend,
    BackendState,
    Reply,
    Request,
    known_workers,
    without_failures,
)
from jaxswarm.coordination.host import Ask, Recording, numpy_worker
from jaxswarm.types import Key


def host_backend(
    ask: Ask | None,
    num_workers: int,
    *,
    num_answers: int,
    recording: Recording | None = None,
    timeout: float = math.inf,
    max_concurrency: int = 1,
) -> AgentBackend:
    """Answer requests with a Python function on the host, also from inside ``jit`` and ``scan``.

    The compiled program waits for the replies. Calls to workers that are down are not made. A model
    on a server has its own randomness: ``key`` is not used, and a run is repeated by its recording,
    or by the tape of the endpoint. Under ``vmap`` the batches are answered one after the other. The
    right answer does not leave the program.

    Args:
        ask: as in :func:`host_worker`; ``language.worker_calls`` makes it of language models. It
            should run no jax computation of its own in this process, which might wait for the
            program that waits for it. ``None`` replays.
        num_workers: ``M``.
        num_answers: ``A``, at least 1; valid answers are ``0 … A - 1``.
        recording: records the replies of ``ask``, or is replayed.
        timeout: milliseconds above 0 from which a reply counts as timed out.
        max_concurrency: calls of a batch at a time, in threads if more than 1.

    Raises:
        ValueError: as :func:`host_worker`, or if ``num_workers < 1``. From inside a jitted program
            errors of a replay arrive as ``jax.errors.JaxRuntimeError`` with their text.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import coordination
        >>> backend = coordination.host_backend(
        ...     lambda call: {"answer": call["entity"] % 3, "tokens_out": 5.0}, 2, num_answers=3
        ... )
        >>> calls = coordination.Request(
        ...     worker=jnp.array([0, 1]), entity=jnp.array([7, 8]), event=jnp.zeros(2, jnp.int32),
        ...     demand=jnp.ones((2, 1)), context=jnp.zeros(2), truth=jnp.ones(2, jnp.int32),
        ...     active=jnp.ones(2, bool))
        >>> state, reply = jax.jit(backend.answer)(jax.random.key(0), backend.init(), calls)
        >>> reply.answer.tolist()
        [1, 2]
    """
    num_workers = checks.whole("num_workers", num_workers, 1)
    worker = numpy_worker(
        ask,
        num_answers=num_answers,
        recording=recording,
        timeout=timeout,
        max_concurrency=max_concurrency,
    )

    def init() -> BackendState:
        return BackendState(jnp.zeros(num_workers), jnp.ones(num_workers, bool))

    def answer(key: Key, state: BackendState, request: Request) -> tuple[Any, Reply]:
        checks.key(key)
        workers, known = known_workers(request, num_workers)
        up = state.alive[workers] & known
        count = workers.shape[0]
        whole, number = (jax.ShapeDtypeStruct((count,), x) for x in (jnp.int32, jnp.float32))
        shapes: Any = (whole, number, number, number, number, whole, whole)
        reply = io_callback(
            worker,
            Reply(*shapes),
            request._replace(
                worker=workers, truth=jnp.zeros(count, jnp.int32), active=request.active & up
            ),
        )
        status = jnp.where(up, reply.status, FAILED)
        status = jnp.where(request.active, status, EMPTY).astype(jnp.int32)
        return state, without_failures(reply._replace(status=status))

    return AgentBackend(init, answer)
