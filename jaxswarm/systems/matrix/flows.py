"""Workflows of Matrix: roles and routing, and the work of every row, drawn before scheduling.

Shapes: ``G`` roles, ``R`` rows, ``H`` hops at most, ``P`` service pools.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.coordination import event_keys
from jaxswarm.coordination.backends import OK, AgentBackend, Request
from jaxswarm.types import Key

SCHEDULERS = ("central", "p2p", "dispatcher")
"""Whose loop handles a hop's message: the orchestrator's, the actor's, its role's dispatcher's."""
_ROW = 1_000_000  # the event number of what belongs to a row as a whole


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Flow:
    """A workflow, made by :func:`flow`, which validates.

    Attributes:
        route: ``float32[G, G + 1]``, probabilities of the next role; the last column ends the row.
        service: ``float32[G]``, mean seconds of a call.
        field_size: ``float32[G]``, median bytes of text that a hop adds to the row.
        pool: ``int32[G]``, which pool a role calls.
        actors: static, how many actors each role has.
        servers: static, how many calls each pool answers at once.
    """

    route: jax.Array | np.ndarray
    service: jax.Array | np.ndarray
    field_size: jax.Array | np.ndarray
    pool: jax.Array | np.ndarray
    actors: tuple[int, ...] = field(metadata={"static": True})
    servers: tuple[int, ...] = field(metadata={"static": True})


def flow(
    route: ArrayLike | Sequence[Sequence[float]],
    *,
    service: ArrayLike = 1.0,
    field_size: ArrayLike = 400.0,
    pool: ArrayLike = 0,
    actors: int | Sequence[int] = 8,
    servers: int | Sequence[int] = 64,
) -> Flow:
    """Make a validated workflow that starts at role 0.

    Args:
        route: ``[G, G + 1]``, rows sum to one.
        service: ``[G]`` or a scalar, positive seconds.
        field_size: ``[G]`` or a scalar, positive bytes.
        pool: ``[G]`` or a scalar, in ``[0, P)``.
        actors: per role, at least 1.
        servers: per pool, at least 1.

    Raises:
        ValueError: naming the argument: a role without actors, a next role that does not exist, a
            role from which a row can never end, service times that are negative or NaN.
    """
    checks.probability("route", checks.concrete("route", route), shape=(None, None))
    chances = np.asarray(route, np.float64)
    if not len(chances) or chances.shape[1] != chances.shape[0] + 1:
        raise ValueError(f"route: expected [G, G + 1], got shape {chances.shape}")
    roles = len(chances)
    if not np.allclose(chances.sum(axis=1), 1.0, atol=1e-5):
        raise ValueError(f"route: expected rows that sum to one, got {chances.sum(axis=1)}")
    leaves = chances[:, -1] > 0
    for _ in range(roles):
        leaves = leaves | ((chances[:, :-1] > 0) & leaves[None, :]).any(axis=1)
    if not leaves.all():
        raise ValueError(f"route: rows never end from role {int(np.argmin(leaves))} on")
    counts = _counts("actors", actors, roles)
    pools = _counts("servers", servers, None)
    which = checks.wholes("pool", checks.concrete("pool", pool), 0, len(pools) - 1)
    if which.shape not in ((), (roles,)):
        raise ValueError(f"pool: expected a scalar or shape ({roles},), got {which.shape}")
    which = np.broadcast_to(which, (roles,))
    columns = {}
    for name, value in (("service", service), ("field_size", field_size)):
        checks.real(name, checks.concrete(name, value), above=0.0, shape=None)
        if np.shape(value) not in ((), (roles,)):
            raise ValueError(
                f"{name}: expected a scalar or shape ({roles},), got {np.shape(value)}"
            )
        number = np.broadcast_to(np.asarray(value, np.float32), (roles,))
        columns[name] = number.copy()
    return Flow(
        chances.astype(np.float32), **columns, pool=which.astype(np.int32).copy(), actors=counts,
        servers=pools,
    )  # fmt: skip


def _counts(name: str, value: int | Sequence[int], size: int | None) -> tuple[int, ...]:
    """Numbers of at least 1, one for each of ``size``; a single one holds for all."""
    known = checks.wholes(name, checks.concrete(name, value), 1)
    if known.ndim == 0:
        known = np.full(1 if size is None else size, known)
    if known.ndim != 1 or not known.size or size not in (None, len(known)):
        wanted = "each pool" if size is None else f"each of {size} roles"
        raise ValueError(f"{name}: expected at least 1 for {wanted}, got {value}")
    return tuple(known.tolist())


class Work(NamedTuple):
    """The work of every row, the same for all schedulers; leaves ``[R, H]`` or ``[R]``.

    Attributes:
        role: ``int32``, of each hop.
        service: ``float32``, seconds of its call.
        size: ``float32``, bytes of text that it adds.
        pick: ``float32`` in ``[0, 1)``, a uniform number that selects the role's actor.
        bits: ``uint32``, what the hop adds to the row's result.
        hops: ``int32[R]``, at least 1.
        cut: ``bool[R]``, rows that the hop limit ended.
    """

    role: jax.Array
    service: jax.Array
    size: jax.Array
    pick: jax.Array
    bits: jax.Array
    hops: jax.Array
    cut: jax.Array


def sample_work(
    key: Key,
    flow: Flow,
    num_rows: int,
    *,
    max_hops: int = 16,
    hop_spread: float | jax.Array = 0.3,
    row_spread: float | jax.Array = 0.0,
    size_spread: float | jax.Array = 1.0,
) -> Work:
    """Draw the work of all rows, by ``fold_in(key, row, hop)``: no scheduler can change it.

    Durations are lognormal with the flow's means: a factor of each hop and one of the whole row.

    Args:
        key: of all rows.
        flow: what they go through.
        num_rows: ``R``, at least 1.
        max_hops: ``H``, at least 1.
        hop_spread: standard deviation of the logarithm of a hop's duration; 0 for constant.
        row_spread: of the row's factor.
        size_spread: of the logarithm of text sizes.

    Raises:
        ValueError: sizes below 1, spreads that are negative or NaN.
    """
    checks.key(key)
    checks.instance("flow", flow, Flow, "matrix.flow([[0.0, 1.0]])")
    num_rows = checks.whole("num_rows", num_rows, 1)
    max_hops = checks.whole("max_hops", max_hops, 1, _ROW - 1)
    spreads = {"hop_spread": hop_spread, "row_spread": row_spread, "size_spread": size_spread}
    for name, value in spreads.items():
        checks.real(name, value, 0.0)
    rows = jnp.arange(num_rows, dtype=jnp.int32)
    keys = event_keys(key, rows[:, None], jnp.arange(max_hops, dtype=jnp.int32)[None, :])

    def draw(k: jax.Array) -> tuple[jax.Array, ...]:
        a, b, c = jax.random.split(k, 3)
        return jax.random.uniform(a, (2,)), jax.random.normal(b, (2,)), jax.random.bits(c)

    uniform, noise, bits = jax.vmap(jax.vmap(draw))(keys)
    own = jax.vmap(jax.random.normal)(event_keys(key, rows, jnp.int32(_ROW)))
    ladder = jnp.cumsum(jnp.asarray(flow.route), axis=1)[:, :-1]
    roles = ladder.shape[0]

    def follow(here: jax.Array, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        after = jnp.sum(uniform >= ladder[jnp.minimum(here, roles - 1)]).astype(jnp.int32)
        return jnp.where(here == roles, roles, after), here

    def path(uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.lax.scan(follow, jnp.int32(0), uniform)

    after, role = jax.vmap(path)(uniform[..., 0])
    hops = jnp.sum(role < roles, axis=1, dtype=jnp.int32)
    role = jnp.minimum(role, roles - 1)
    logs = hop_spread * noise[..., 0] - 0.5 * hop_spread**2
    logs += (row_spread * own - 0.5 * row_spread**2)[:, None]
    size = jnp.asarray(flow.field_size)[role] * jnp.exp(size_spread * noise[..., 1])
    seconds = jnp.asarray(flow.service)[role] * jnp.exp(logs)
    return Work(role, seconds, size, uniform[..., 1], bits, hops, after < roles)


def answered_work(key: Key, work: Work, flow: Flow, backend: AgentBackend) -> Work:
    """The work with a backend's replies: durations by their latencies, results by their answers.

    Every hop of every row is one call, before scheduling: ``worker`` is the role, ``entity`` the
    row, ``event`` the hop, ``demand`` the role (one-hot), ``context`` the tokens carried, of four
    bytes each. Hops without a reply stay as they were drawn. Which role comes next does not depend
    on the answers.

    Args:
        key: of the calls.
        work: the rows, of :func:`sample_work`.
        flow: what they go through.
        backend: of ``G`` workers, such as ``coordination.host_backend`` of a language model.

    Raises:
        ValueError: if an argument is of another kind.

    Example:
        >>> import jax
        >>> from jaxswarm import coordination
        >>> from jaxswarm.systems import matrix
        >>> two = matrix.flow([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> rows = matrix.sample_work(jax.random.key(0), two, 3, max_hops=2)
        >>> backend = coordination.host_backend(
        ...     lambda call: {"answer": call["entity"], "latency": 500.0}, 2, num_answers=3)
        >>> matrix.answered_work(jax.random.key(1), rows, two, backend).service.tolist()[0]
        [0.5, 0.5]
    """
    checks.key(key)
    check_work(work, flow)
    checks.instance("backend", backend, AgentBackend, "coordination.host_backend(ask, 2, …)")
    rows, hops = np.shape(work.role)
    row, hop = (jnp.asarray(i.ravel(), jnp.int32) for i in np.indices((rows, hops)))
    role = work.role.ravel()
    request = Request(
        worker=role,
        entity=row,
        event=hop,
        demand=jax.nn.one_hot(role, len(flow.actors)),
        context=carried_bytes(work).ravel() / 4.0,
        truth=jnp.zeros_like(role),
        active=hop < work.hops[row],
    )
    _, reply = backend.answer(key, backend.init(), request)
    answered = (reply.status == OK).reshape(rows, hops)
    seconds = reply.latency.reshape(rows, hops) / 1000.0
    spread = jnp.uint32(0x9E3779B9) * (1 + reply.answer.reshape(rows, hops).astype(jnp.uint32))
    return work._replace(
        service=jnp.where(answered, seconds, work.service),
        bits=jnp.where(answered, spread, work.bits),
    )


def carried_bytes(
    work: Work,
    *,
    offload: bool | jax.Array = False,
    threshold: float = 512.0,
    reference: float = 64.0,
    header: float = 256.0,
) -> jax.Array:
    """Bytes of the message of each hop ``float32[R, H]``: it carries the row's whole history.

    Args:
        work: the rows.
        offload: whether fields above ``threshold`` stay in a store and only a reference is sent;
            may be traced.
        threshold: bytes.
        reference: bytes of a reference.
        header: bytes of everything else.

    Raises:
        ValueError: if this is no work, or numbers are negative or not finite.
    """
    checks.instance("work", work, Work, "matrix.sample_work(key, flow, 8)")
    checks.mask("offload", offload, ())
    for name, value in (("threshold", threshold), ("reference", reference), ("header", header)):
        checks.real(name, value, 0.0)
    sent = jnp.where(jnp.asarray(offload) & (work.size > threshold), reference, work.size)
    before = jnp.cumsum(sent, axis=1) - sent
    return header + before


def next_result(result: jax.Array, bits: jax.Array, role: jax.Array) -> jax.Array:
    """Result of a row ``uint32[...]`` after one more hop, which depends on the hops' order."""
    return result * jnp.uint32(1664525) + (bits ^ role.astype(jnp.uint32))


def num_stations(flow: Flow) -> tuple[int, int]:
    """Numbers of message loops (orchestrator, dispatchers, actors) and pools, in this order."""
    checks.instance("flow", flow, Flow, "matrix.flow([[0.0, 1.0]])")
    return 1 + len(flow.actors) + sum(flow.actors), len(flow.servers)


def check_work(work: Work, flow: Flow) -> None:
    """Refuse work of another shape, or of roles that a flow does not have.

    Raises:
        ValueError: naming what came.
    """
    checks.instance("flow", flow, Flow, "matrix.flow([[0.0, 1.0]])")
    checks.instance("work", work, Work, "matrix.sample_work(key, flow, 8)")
    roles = len(flow.actors)
    shape = np.shape(checks.wholes("work", work.role, 0, roles - 1, shape=(None, None)))
    for name in ("service", "size"):
        checks.real(f"work: {name}", getattr(work, name), 0.0, shape=shape)
    checks.real("work: pick", work.pick, 0.0, below=1.0, shape=shape)
    checks.wholes("work: hops", work.hops, 1, shape[1], shape=shape[:1])


def actor_of(flow: Flow, role: jax.Array, pick: jax.Array) -> jax.Array:
    """Actor of a hop ``int32``, uniformly one of the role's, numbered over all roles."""
    counts = jnp.asarray(flow.actors, jnp.int32)
    first = jnp.cumsum(counts) - counts
    chosen = jnp.floor(pick * counts[role]).astype(jnp.int32)
    return first[role] + jnp.minimum(chosen, counts[role] - 1)


def station_of(flow: Flow, scheduler: ArrayLike, role: jax.Array, actor: jax.Array) -> jax.Array:
    """Message loop that handles a hop ``int32``; ``scheduler`` indexes :data:`SCHEDULERS`."""
    roles = len(flow.actors)
    which = jnp.asarray(scheduler)
    return jnp.where(which == 0, 0, jnp.where(which == 1, 1 + roles + actor, 1 + role))
