"""Stochastic workers: a stated model of language-model agents' skills, errors, latency and cost.

A worker has skills, rates of four kinds of error, a latency, a token cost and a context window.
Its load grows with every call and decays with time; a loaded worker is slower and errs a little
more often. Skills are hidden: a coordination method gets replies only.

Shapes: ``M`` workers, ``K`` skills, ``E`` kinds of error, ``B`` calls.

References:
    Load and latency: the simulated workers of the Symphony-Coord code, 2026. Kinds of error: Y. Kim
    et al., Towards a science of scaling agent systems, 2025.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks

ERRORS = ("contradiction", "drift", "omission", "coordination")
"""Kinds of error: logical contradiction, numerical drift, context omitted, failed coordination."""
LINKS = ("linear", "logistic")
"""How ``skill · demand`` becomes a probability of success: itself, or its logistic function."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Workers:
    """A pool of workers, made by :func:`workers`, which validates.

    Attributes:
        skill: ``float32[M, K]``.
        error_mix: ``float32[M, E]``, shares of the kinds of error of :data:`ERRORS`; rows sum to
            one.
        latency: ``float32[M]``, mean of an idle worker, in milliseconds.
        tokens: ``float32[M]``, mean number written per call.
        price: ``float32[M]``, of one call with mean tokens, any unit.
        window: ``float32[M]``, tokens of context that are read.
        link: static, one of :data:`LINKS`.
    """

    skill: jax.Array | np.ndarray
    error_mix: jax.Array | np.ndarray
    latency: jax.Array | np.ndarray
    tokens: jax.Array | np.ndarray
    price: jax.Array | np.ndarray
    window: jax.Array | np.ndarray
    link: str = field(default="linear", metadata={"static": True})

    @property
    def num_workers(self) -> int:
        """``M``."""
        return self.skill.shape[-2]


class LoadModel(NamedTuple):
    """Effect of load on latency and success; all may be traced.

    Attributes:
        per_call: load that one call adds.
        decay: factor on load per step, in ``[0, 1]``.
        slowdown: a call at load 1 takes ``1 + slowdown`` times as long.
        harm: share of the success probability lost at load 1.
        jitter: relative standard deviation of latency.
        limit: load from which a worker reports that it is not available.
    """

    per_call: float | jax.Array = 0.30
    decay: float | jax.Array = 0.88
    slowdown: float | jax.Array = 1.2
    harm: float | jax.Array = 0.05
    jitter: float | jax.Array = 0.08
    limit: float | jax.Array = 0.95


DEFAULT_LOAD = LoadModel()


def workers(
    skill: ArrayLike,
    *,
    error_mix: ArrayLike | None = None,
    latency: ArrayLike = 500.0,
    tokens: ArrayLike = 200.0,
    price: ArrayLike = 1.0,
    window: ArrayLike = 8192.0,
    link: str = "linear",
) -> Workers:
    """Make a validated pool of workers; scalars hold for every worker.

    Args:
        skill: ``[M, K]``, in ``[0, 1]`` for the linear link.
        error_mix: ``[M, 4]`` or ``[4]``, shares of the kinds of error, at least 0, rows sum to one;
            equal by default.
        latency: ``[M]``, positive milliseconds.
        tokens: ``[M]``, positive.
        price: ``[M]``, at least 0.
        window: ``[M]``, positive tokens.
        link: one of :data:`LINKS`.

    Raises:
        ValueError: naming the argument.

    Example:
        >>> from jaxswarm import coordination
        >>> pool = coordination.workers([[0.9, 0.1], [0.2, 0.8]], latency=[300.0, 600.0])
        >>> pool.num_workers, pool.price.tolist()
        (2, [1.0, 1.0])
    """
    checks.choice("link", link, LINKS)
    most = 1.0 if link == "linear" else np.inf
    least = 0.0 if link == "linear" else -np.inf
    checks.real("skill", checks.concrete("skill", skill), least, most, shape=(None, None))
    skills = np.asarray(skill, np.float32)
    if 0 in skills.shape:
        raise ValueError(f"skill: expected at least one worker and skill, got {skills.shape}")
    m = len(skills)
    kinds = len(ERRORS)
    shares = np.full((m, kinds), 1 / kinds)
    if error_mix is not None:
        checks.real("error_mix", checks.concrete("error_mix", error_mix), 0.0, 1.0, shape=None)
        shares = np.asarray(error_mix, np.float32)
    if shares.shape not in ((m, kinds), (kinds,)):
        raise ValueError(f"error_mix: expected shape ({m}, {kinds}), got {shares.shape}")
    if not np.allclose(shares.sum(axis=-1), 1.0, atol=1e-4):
        raise ValueError("error_mix: expected shares of at least 0 that sum to one")
    given = {"latency": latency, "tokens": tokens, "price": price, "window": window}
    columns: dict[str, np.ndarray] = {}
    for name, value in given.items():
        low = 0.0 if name == "price" else float(np.finfo(np.float32).tiny)
        largest = float(np.finfo(np.float32).max)
        checks.real(name, checks.concrete(name, value), low, largest, shape=None)
        number = np.asarray(value, np.float32)
        if number.shape not in ((), (m,)):
            raise ValueError(f"{name}: expected a scalar or shape ({m},), got {number.shape}")
        columns[name] = np.broadcast_to(number, (m,)).copy()
    shares = np.broadcast_to(shares, (m, kinds)).astype(np.float32)
    return Workers(skills, shares, **columns, link=link)


def success_probability(
    pool: Workers,
    worker: jax.Array,
    demand: jax.Array,
    load: jax.Array,
    load_model: LoadModel = DEFAULT_LOAD,
) -> jax.Array:
    """Probability of success of each call, ``float32[B]``, hidden from all policies but an oracle.

    Args:
        pool: the workers.
        worker: ``int32[B]``.
        demand: ``[B, K]``.
        load: ``[B]``, of those workers, in ``[0, 1]``.
        load_model: effect of load.

    Raises:
        ValueError: for unknown workers, and for other shapes.
    """
    worker = check_calls(pool, worker)
    demand = checks.numbers("demand", demand, (*worker.shape, pool.skill.shape[-1]))
    load = checks.numbers("load", load, worker.shape)
    inner = jnp.sum(jnp.asarray(pool.skill)[worker] * demand, axis=-1)
    chance = jax.nn.sigmoid(inner) if pool.link == "logistic" else jnp.clip(inner, 0.0, 1.0)
    return chance * (1.0 - load_model.harm * load)


def latency_of(
    pool: Workers,
    worker: jax.Array,
    load: jax.Array,
    noise: jax.Array,
    load_model: LoadModel = DEFAULT_LOAD,
) -> jax.Array:
    """Latency ``float32[B]`` in ms: ``latency (1 + slowdown load) (1 + jitter noise)``, above 0.

    Args:
        pool: the workers.
        worker: ``int32[B]``.
        load: ``[B]``, of those workers, in ``[0, 1]``.
        noise: ``[B]``, standard normal.
        load_model: effect of load.

    Raises:
        ValueError: for unknown workers, and for other shapes.
    """
    worker = check_calls(pool, worker)
    load = checks.numbers("load", load, worker.shape)
    noise = checks.numbers("noise", noise, worker.shape)
    mean = jnp.asarray(pool.latency)[worker] * (1.0 + load_model.slowdown * load)
    return mean * jnp.maximum(1.0 + load_model.jitter * noise, 0.05)


def add_load(
    load: jax.Array, worker: jax.Array, active: jax.Array, load_model: LoadModel = DEFAULT_LOAD
) -> jax.Array:
    """Load ``[M]`` after calls to ``worker [B]`` where ``active [B]``, at most 1.

    Raises:
        ValueError: for unknown workers, and for other shapes.
    """
    load = checks.numbers("load", load, (None,))
    worker = jnp.asarray(checks.wholes("worker", worker, -1, len(load) - 1, shape=(None,)))
    active = checks.mask("active", active, worker.shape) & (worker >= 0)
    place = jnp.where(active, worker, load.shape[0])
    return jnp.minimum(load.at[place].add(load_model.per_call, mode="drop"), 1.0)


def check_load_model(load_model: LoadModel) -> None:
    """Refuse numbers out of their range; traced ones are not checked.

    Raises:
        ValueError: naming the number.
    """
    checks.instance("load_model", load_model, LoadModel, "LoadModel()")
    ranges = {"decay": 1.0, "harm": 1.0}
    for name, value in load_model._asdict().items():
        checks.real(f"load_model.{name}", value, 0.0, ranges.get(name, np.inf))


def check_calls(pool: Workers, worker: ArrayLike) -> jax.Array:
    """Return the workers ``int32[B]`` of calls, -1 for none.

    Raises:
        ValueError: unless ``pool`` is a pool and the workers are in it.
    """
    checks.instance("pool", pool, Workers, "coordination.workers([[0.9, 0.1]])")
    return jnp.asarray(checks.wholes("worker", worker, -1, pool.num_workers - 1, shape=(None,)))
