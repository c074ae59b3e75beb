"""Stochastic workers: what stands in for language models, with every assumption written down.

A worker has skills, rates of four kinds of error, a latency, a token cost and a context window.
Its load grows with every call and decays with time; a loaded worker is slower and errs a little
more often. Skills are hidden: a coordination method sees replies only.

Shapes: ``M`` workers, ``K`` skills, ``E`` kinds of error, ``B`` calls.

References:
    Load and latency: the simulated workers of the Symphony-Coord code, 2026. Kinds of error: Y. Kim
    et al., Towards a science of scaling agent systems, 2025.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ERRORS = ("contradiction", "drift", "omission", "coordination")
"""Kinds of error: logical contradiction, numerical drift, context omitted, failed coordination."""
LINKS = ("linear", "logistic")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Workers:
    """A pool of workers. Build it with :func:`workers`, which validates.

    Attributes:
        skill: ``float32[M, K]``.
        slips: ``float32[M, E]``, how errors divide over :data:`ERRORS`; rows sum to one.
        latency: ``float32[M]``, mean of an idle worker, in milliseconds.
        tokens: ``float32[M]``, mean written per call.
        price: ``float32[M]``, of one call with mean tokens, any unit.
        window: ``float32[M]``, tokens of context that are read.
        link: static; ``linear``: a call succeeds with chance ``skill · demand``; ``logistic``: with
            the logistic function of that.
    """

    skill: Any
    slips: Any
    latency: Any
    tokens: Any
    price: Any
    window: Any
    link: str = field(default="linear", metadata={"static": True})

    @property
    def num_workers(self) -> int:
        """``M``."""
        return self.skill.shape[-2]


class LoadLaw(NamedTuple):
    """How load acts; all may be traced.

    Attributes:
        per_call: added by a call.
        decay: factor per step, in ``[0, 1]``.
        slowdown: a call at load 1 takes ``1 + slowdown`` times as long.
        harm: share of the success chance lost at load 1.
        jitter: relative standard deviation of latency.
        limit: load from which a worker says that it is not available.
    """

    per_call: Any = 0.30
    decay: Any = 0.88
    slowdown: Any = 1.2
    harm: Any = 0.05
    jitter: Any = 0.08
    limit: Any = 0.95


USUAL = LoadLaw()


def workers(
    skill: Any,
    *,
    slips: Any = None,
    latency: Any = 500.0,
    tokens: Any = 200.0,
    price: Any = 1.0,
    window: Any = 8192.0,
    link: str = "linear",
) -> Workers:
    """A validated pool; scalars hold for every worker.

    Args:
        skill: ``[M, K]``, in ``[0, 1]`` for the linear link.
        slips: ``[M, 4]`` or ``[4]``, at least 0, rows sum to one; equal shares by default.
        latency: ``[M]``, positive.
        tokens: ``[M]``, positive.
        price: ``[M]``, at least 0.
        window: ``[M]``, positive.
        link: one of :data:`LINKS`.

    Raises:
        ValueError: naming the argument.
    """
    if link not in LINKS:
        raise ValueError(f"link: expected one of {LINKS}, got {link!r}")
    known = np.asarray(skill, np.float32)
    if known.ndim != 2 or 0 in known.shape or not np.isfinite(known).all():
        raise ValueError(f"skill: expected finite [M, K], got shape {known.shape}")
    if link == "linear" and not ((known >= 0) & (known <= 1)).all():
        raise ValueError("skill: expected chances in [0, 1] for the linear link")
    m = len(known)
    kinds = len(ERRORS)
    shares = np.full((m, kinds), 1 / kinds) if slips is None else np.asarray(slips, np.float32)
    if shares.shape not in ((m, kinds), (kinds,)):
        raise ValueError(f"slips: expected shape ({m}, {kinds}), got {shares.shape}")
    if (shares < 0).any() or not np.allclose(shares.sum(axis=-1), 1.0, atol=1e-4):
        raise ValueError("slips: expected shares of at least 0 that sum to one")
    columns = {"latency": latency, "tokens": tokens, "price": price, "window": window}
    for name, value in columns.items():
        number = np.asarray(value, np.float32)
        if number.shape not in ((), (m,)):
            raise ValueError(f"{name}: expected a scalar or shape ({m},), got {number.shape}")
        low = 0.0 if name == "price" else np.finfo(np.float32).tiny
        if not (np.isfinite(number) & (number >= low)).all():
            raise ValueError(f"{name}: expected finite positive numbers, got {number.min():g}")
        columns[name] = np.broadcast_to(number, (m,)).copy()
    shares = np.broadcast_to(shares, (m, kinds)).astype(np.float32)
    return Workers(known, shares, **columns, link=link)


def success_chance(
    pool: Workers, who: jax.Array, demand: jax.Array, load: jax.Array, law: LoadLaw = USUAL
) -> jax.Array:
    """``float32[B]``: hidden from every policy but an oracle.

    Args:
        pool: the workers.
        who: ``int32[B]``.
        demand: ``[B, K]``.
        load: ``[B]``, of those workers, in ``[0, 1]``.
        law: how load acts.
    """
    inner = jnp.sum(jnp.asarray(pool.skill)[who] * demand, axis=-1)
    chance = jax.nn.sigmoid(inner) if pool.link == "logistic" else jnp.clip(inner, 0.0, 1.0)
    return chance * (1.0 - law.harm * load)


def latency_of(
    pool: Workers, who: jax.Array, load: jax.Array, noise: jax.Array, law: LoadLaw = USUAL
) -> jax.Array:
    """``float32[B]`` milliseconds: ``latency (1 + slowdown load) (1 + jitter noise)``, above 0."""
    mean = jnp.asarray(pool.latency)[who] * (1.0 + law.slowdown * load)
    return mean * jnp.maximum(1.0 + law.jitter * noise, 0.05)


def loaded(load: jax.Array, who: jax.Array, active: jax.Array, law: LoadLaw = USUAL) -> jax.Array:
    """``load [M]`` after calls to ``who [B]`` where ``active [B]``, at most 1."""
    place = jnp.where(active, who, load.shape[0])
    return jnp.minimum(load.at[place].add(law.per_call, mode="drop"), 1.0)
