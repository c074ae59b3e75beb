"""Partial participation: stragglers, and random samples of participants.

An agent that does not take part neither trains, sends nor receives in this round, but it is alive
and keeps its state. Both directions of its links are unused, so symmetric mixing weights stay
doubly stochastic.

Shapes: ``N`` agents.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip.types import Exchange, combine_masks
from jaxswarm.network.process import Network, check_integer, check_process
from jaxswarm.types import ArrayLike, PyTree


def stragglers(
    speeds: ArrayLike, *, random: bool = False, phases: ArrayLike | None = None
) -> Network:
    """Agents of different speeds: one of speed 1/4 takes part in every fourth round.

    Args:
        speeds: ``float[N]`` in ``(0, 1]``, rounds of work done per round; may be traced.
        random: take part with probability ``speed``, independently each round, instead of in
            regular intervals.
        phases: ``float[N]`` in ``[0, 1)``, work done before round 0, so that equally slow agents
            are not synchronous; 0 if omitted.

    Raises:
        ValueError: if ``speeds`` is not a vector, or a speed or phase is out of range.
    """
    rate = jnp.asarray(checks.real("speeds", speeds, high=1.0, above=0.0, shape=(None,)))
    n = len(rate)
    if not n:
        raise ValueError("speeds: expected one per agent, [N], got shape (0,)")
    checks.flag("random", random)
    begun = jnp.zeros(n)
    if phases is not None:
        begun = jnp.asarray(checks.real("phases", phases, 0.0, below=1.0, shape=(n,)))
    rate, begun = rate.astype(jnp.float32), begun.astype(jnp.float32)

    def init() -> jax.Array:
        return jnp.broadcast_to(begun, (n,))

    def step(key: jax.Array, state: jax.Array, index: ArrayLike) -> tuple[jax.Array, Exchange]:
        if random:
            u = jax.vmap(jax.random.uniform)(agents.keys(key, n))
            return state, Exchange(index, participates=u < rate)
        work = state + rate
        finished = work >= 1.0 - 1e-4  # ten tenths are one
        return jnp.where(finished, work - 1.0, work), Exchange(index, participates=finished)

    return Network(init, step)


def sampled(num_agents: int, count: int | jax.Array, *, among: Network | None = None) -> Network:
    """A uniform random sample of ``count`` agents takes part in each round.

    Args:
        num_agents: ``N``.
        count: sample size in ``[1, N]``; may be traced.
        among: a process of ``N`` agents, such as churn, whose alive and participating agents are
            eligible. It is part of the result; do not combine it again. When fewer than ``count``
            are eligible, all of them take part.

    Raises:
        ValueError: if ``count`` is not in ``[1, N]``; while tracing, if ``among`` has another
            number of agents.

    Example:
        >>> import jax
        >>> network = sampled(10, 3)
        >>> _, exchange = network.step(jax.random.key(0), network.init(), 0)
        >>> int(exchange.participates.sum())
        3
    """
    n = checks.whole("num_agents", num_agents, 1)
    count = check_integer("count", count, 1, n)
    if among is not None:
        check_process("among", among)

    def init() -> PyTree:
        return () if among is None else among.init()

    def step(key: jax.Array, state: PyTree, index: ArrayLike) -> tuple[PyTree, Exchange]:
        checks.key(key)
        priority_key, inner_key = jax.random.split(key)
        exchange = Exchange(index)
        if among is not None:
            state, exchange = among.step(inner_key, state, index)
        priorities = jax.vmap(lambda k: jax.random.bits(k) >> 1)(agents.keys(priority_key, n))
        eligible = combine_masks(exchange.alive, exchange.participates)
        if eligible is not None:
            if eligible.shape != (n,):
                raise ValueError(f"among: expected {n} agents, got {eligible.shape[0]}")
            priorities = jnp.where(eligible, priorities, jnp.uint32(0xFFFFFFFF))
        order = jnp.argsort(priorities)
        rank = jnp.zeros(n, jnp.int32).at[order].set(jnp.arange(n, dtype=jnp.int32))
        chosen = rank < count
        return state, exchange._replace(participates=combine_masks(chosen, eligible))

    return Network(init, step)
