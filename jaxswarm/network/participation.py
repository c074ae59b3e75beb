"""Who takes part in a round: stragglers, and samples of participants.

An agent that does not take part neither trains, nor sends, nor listens this round, but it is alive
and keeps what it knows. Both directions of its links rest, so symmetric mixing weights stay doubly
stochastic.

Shapes: ``N`` agents.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.gossip.types import Exchange, combine_masks
from jaxswarm.network.process import Network, check_agents, check_chance
from jaxswarm.topology.validation import is_traced
from jaxswarm.types import PyTree


def stragglers(speeds: Any, *, random: bool = False, phases: Any = None) -> Network:
    """Agents of different speed: one of speed 1/4 finishes a round's work in every fourth round.

    Args:
        speeds: ``float[N]`` in ``(0, 1]``, rounds of work done per round; may be traced.
        random: take part with probability ``speed``, independently each round, instead of in
            regular intervals.
        phases: ``float[N]`` in ``[0, 1)``, work done before round 0, so that equally slow agents do
            not march in step; 0 if omitted.

    Raises:
        ValueError: if ``speeds`` is not a vector, or a speed or phase is out of range.
    """
    if np.ndim(speeds) != 1 or not np.size(speeds):
        raise ValueError(f"speeds: expected one per agent, [N], got shape {np.shape(speeds)}")
    n = np.shape(speeds)[0]
    rate = check_chance("speeds", speeds, n)
    if not is_traced(speeds) and not (np.asarray(speeds) > 0).all():
        agent = int(np.argmin(np.asarray(speeds)))
        raise ValueError(f"speeds: expected positive speeds, got 0 for agent {agent}")
    begun = jnp.zeros(n) if phases is None else check_chance("phases", phases, n)

    def init() -> jax.Array:
        return jnp.broadcast_to(begun, (n,))

    def step(key: jax.Array, state: jax.Array, index: Any) -> tuple[jax.Array, Exchange]:
        if random:
            lots = jax.vmap(jax.random.uniform)(agents.keys(key, n))
            return state, Exchange(index, participates=lots < rate)
        work = state + rate
        done = work >= 1.0 - 1e-4  # ten tenths are one
        return jnp.where(done, work - 1.0, work), Exchange(index, participates=done)

    return Network(init, step)


def sampled(num_agents: int, count: int | jax.Array, *, among: Network | None = None) -> Network:
    """In each round a uniform random sample of ``count`` agents takes part.

    Args:
        num_agents: ``N``.
        count: sample size in ``[1, N]``; may be traced.
        among: a process of ``N`` agents, such as churn, that says who may be sampled: the living
            that it lets take part. It happens too; do not combine it again. When fewer than
            ``count`` are eligible, all of them take part (nobody, if there is none).

    Raises:
        ValueError: if ``count`` is not in ``[1, N]``; while tracing, if ``among`` has another
            number of agents.
    """
    n = check_agents(num_agents)
    if not is_traced(count) and not 1 <= count <= n:
        raise ValueError(f"count: expected a sample of 1 to {n} participants, got {count}")

    def init() -> PyTree:
        return () if among is None else among.init()

    def step(key: jax.Array, state: PyTree, index: Any) -> tuple[PyTree, Exchange]:
        lot_key, inner_key = jax.random.split(key)
        now = Exchange(index)
        if among is not None:
            state, now = among.step(inner_key, state, index)
        lots = jax.vmap(lambda k: jax.random.bits(k) >> 1)(agents.keys(lot_key, n))
        eligible = combine_masks(now.alive, now.participates)
        if eligible is not None:
            if eligible.shape != (n,):
                raise ValueError(f"among: expected {n} agents, got {eligible.shape[0]}")
            lots = jnp.where(eligible, lots, jnp.uint32(0xFFFFFFFF))
        rank = jnp.zeros(n, jnp.int32).at[jnp.argsort(lots)].set(jnp.arange(n, dtype=jnp.int32))
        chosen = rank < count
        return state, now._replace(participates=combine_masks(chosen, eligible))

    return Network(init, step)
