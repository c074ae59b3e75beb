"""Who is there: Markov churn, and disasters that take many at once.

An absent agent neither sends nor changes; its weights fall back on its neighbours, both ways, so
symmetric mixing weights stay doubly stochastic and the average over *all* agents is kept. The
average over the living is not: it jumps whenever somebody goes.

Shapes: ``N`` agents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.gossip.types import Exchange
from jaxswarm.network.links import check_window, during
from jaxswarm.network.process import Network, check_agents, check_chance
from jaxswarm.topology import Topology
from jaxswarm.topology.validation import is_traced

PRESENT, AWAY, CRASHED = 0, 1, 2


class ChurnState(NamedTuple):
    """``status: int8[N]``: ``PRESENT``, ``AWAY`` (left and may join again) or ``CRASHED``."""

    status: jax.Array


def churn(
    num_agents: int,
    *,
    crash: float | jax.Array = 0.0,
    recover: float | jax.Array = 0.0,
    leave: float | jax.Array = 0.0,
    join: float | jax.Array = 0.0,
    present: Any = None,
) -> Network:
    """Agents come and go as independent Markov chains.

    A present agent crashes or leaves, a crashed one recovers, one that is away joins, each with its
    chance per round. A round sees both kinds of absence alike (not alive); the process's state
    tells them apart. In the long run ``1 / (1 + crash/recover + leave/join)`` of them are there.

    Args:
        num_agents: ``N``.
        crash: chance in ``[0, 1]`` per round; this and the others a scalar or ``[N]``, may be
            traced.
        recover: likewise.
        leave: likewise; ``crash + leave <= 1``.
        join: likewise.
        present: ``bool[N]``, who is there before round 0 (the rest is away); everyone if omitted.

    Raises:
        ValueError: a chance out of range, ``crash + leave > 1``, or ``present`` not ``[N]``.
    """
    n = check_agents(num_agents)
    crashes, recovers = check_chance("crash", crash, n), check_chance("recover", recover, n)
    leaves, joins = check_chance("leave", leave, n), check_chance("join", join, n)
    together = crashes + leaves
    if not is_traced(together) and float(jnp.max(together)) > 1.0:
        raise ValueError(
            f"leave: expected crash + leave of at most 1, got {float(jnp.max(together)):g}"
        )
    start = jnp.ones(n, bool) if present is None else jnp.asarray(present)
    if start.shape != (n,) or start.dtype != bool:
        raise ValueError(f"present: expected bool[{n}], got {start.dtype}{list(start.shape)}")

    def init() -> ChurnState:
        return ChurnState(jnp.where(start, PRESENT, AWAY).astype(jnp.int8))

    def step(key: jax.Array, state: ChurnState, index: Any) -> tuple[ChurnState, Exchange]:
        lot = jax.vmap(jax.random.uniform)(agents.keys(key, n))
        departs = jnp.where(lot < crashes, CRASHED, jnp.where(lot < together, AWAY, PRESENT))
        returns = lot < jnp.where(state.status == CRASHED, recovers, joins)
        status = jnp.where(
            state.status == PRESENT, departs, jnp.where(returns, PRESENT, state.status)
        ).astype(jnp.int8)
        return ChurnState(status), Exchange(index, alive=status == PRESENT)

    return Network(init, step)


def disaster(
    victims: Any, at: int | jax.Array, *, duration: int | jax.Array | None = None
) -> Network:
    """From round ``at`` on the victims are dead; for good, or for ``duration`` rounds.

    Args:
        victims: ``bool[N]``, from :func:`random_victims`, :func:`hubs` or :func:`data_holders`; may
            be traced, so that a sweep over shares and kinds compiles once.
        at: the round of the disaster, at least 0; may be traced.
        duration: rounds until all of them are back, at least 1; ``None`` never.

    Raises:
        ValueError: if ``victims`` is not a vector of flags or leaves no survivor, ``at < 0`` or
            ``duration < 1``.
    """
    doomed = jnp.asarray(victims)
    if doomed.ndim != 1 or doomed.dtype != bool:
        raise ValueError(f"victims: expected bool[N], got {doomed.dtype}{list(doomed.shape)}")
    if not is_traced(doomed) and bool(doomed.all()):
        raise ValueError(f"victims: expected at least one survivor, got all {len(doomed)} agents")
    if duration is not None and not is_traced(duration) and duration < 1:
        raise ValueError(f"duration: expected at least 1 round, got {duration}")
    start, stop = check_window(at, None if duration is None else at + duration, "duration")

    def step(key: jax.Array, state: tuple[()], index: Any) -> tuple[tuple[()], Exchange]:
        del key
        return state, Exchange(index, alive=~(doomed & during(index, start, stop)))

    return Network(lambda: (), step)


def random_victims(key: jax.Array, num_agents: int, share: float) -> jax.Array:
    """``bool[N]``: ``round(share · N)`` agents at random.

    Raises:
        ValueError: if ``share`` is not in ``[0, 1)`` or nobody would survive.
    """
    check_agents(num_agents)
    lots = jax.vmap(jax.random.uniform)(agents.keys(key, num_agents))
    return _largest(lots, share)


def hubs(topology: Topology, share: float) -> jax.Array:
    """``bool[N]``: the ``round(share · N)`` agents whom most others hear; ties by lower number.

    Raises:
        ValueError: if ``share`` is not in ``[0, 1)`` or nobody would survive; for a sequence.
    """
    if topology.is_sequence:
        raise ValueError("topology: hubs expects a single graph, got a sequence")
    return _largest(jnp.asarray(topology.out_degrees()), share)


def data_holders(counts: Any, share: float) -> jax.Array:
    """``bool[N]``: the ``round(share · N)`` agents with the most samples; ties by lower number.

    Args:
        counts: ``int[N]``, samples of each agent, such as ``shards.counts``.
        share: of the agents, in ``[0, 1)``.

    Raises:
        ValueError: if ``share`` is not in ``[0, 1)``, nobody would survive, or ``counts`` is not a
            vector.
    """
    held = jnp.asarray(counts)
    if held.ndim != 1 or not held.size:
        raise ValueError(f"counts: expected one number per agent, got shape {held.shape}")
    return _largest(held, share)


def _largest(scores: jax.Array, share: float) -> jax.Array:
    n = scores.shape[0]
    if not 0.0 <= share < 1.0:
        raise ValueError(f"share: expected a share of the agents in [0, 1), got {share}")
    count = round(share * n)
    if count == n:
        raise ValueError(f"share: {share} of {n} agents leaves no survivor")
    order = np.argsort(-np.asarray(scores), kind="stable")
    return jnp.zeros(n, bool).at[order[:count]].set(True)
