"""Agent churn as Markov chains, and simultaneous failures of many agents.

An absent agent neither sends nor changes; its weights are added to its neighbours' self-weights,
so symmetric mixing weights stay doubly stochastic and the average over *all* agents is kept. The
average over the agents that are present is not: it jumps whenever one of them leaves.

Shapes: ``N`` agents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.gossip.types import Exchange
from jaxswarm.network.links import check_window, during
from jaxswarm.network.process import (
    Network,
    check_integer,
    check_probability,
    expect_single,
)
from jaxswarm.topology import Topology
from jaxswarm.types import ArrayLike

PRESENT, AWAY, CRASHED = 0, 1, 2
"""Status codes of an agent in a :class:`ChurnState`."""


class ChurnState(NamedTuple):
    """Status of every agent.

    Attributes:
        status: ``int8[N]``: ``PRESENT``, ``AWAY`` (left and may join again) or ``CRASHED``.
    """

    status: jax.Array


def churn(
    num_agents: int,
    *,
    crash: ArrayLike = 0.0,
    recover: ArrayLike = 0.0,
    leave: ArrayLike = 0.0,
    join: ArrayLike = 0.0,
    present: ArrayLike | None = None,
) -> Network:
    """Agents crash, recover, leave and join as independent Markov chains.

    In each round a present agent crashes or leaves, a crashed one recovers, and one that is away
    joins, each with its probability. Both kinds of absence are "not alive" to a gossip rule; the
    process's state distinguishes them. In the long run a share of
    ``1 / (1 + crash/recover + leave/join)`` of the agents is present.

    Args:
        num_agents: ``N``.
        crash: probability in ``[0, 1]`` per round; this and the others are a scalar or ``[N]`` and
            may be traced.
        recover: likewise.
        leave: likewise; ``crash + leave <= 1``.
        join: likewise.
        present: ``bool[N]``, the agents that are present before round 0 (the others are away); all
            if omitted.

    Raises:
        ValueError: for a probability out of range, ``crash + leave > 1``, or ``present`` of another
            shape.

    Example:
        >>> import jax
        >>> network = churn(1000, crash=0.1, recover=0.3)
        >>> state = network.init()
        >>> for r in range(20):
        ...     state, exchange = network.step(jax.random.key(r), state, r)
        >>> bool(abs(exchange.alive.mean() - 1 / (1 + 0.1 / 0.3)) < 0.05)
        True
    """
    n = checks.whole("num_agents", num_agents, 1)
    crashes = check_probability("crash", crash, n)
    recovers = check_probability("recover", recover, n)
    leaves = check_probability("leave", leave, n)
    joins = check_probability("join", join, n)
    together = crashes + leaves
    if not checks.is_traced(together) and float(jnp.max(together)) > 1.0:
        raise ValueError(
            f"leave: expected crash + leave of at most 1, got {float(jnp.max(together)):g}"
        )
    start = jnp.ones(n, bool)
    if present is not None:
        start = jnp.asarray(checks.mask("present", present, (n,)))

    def init() -> ChurnState:
        return ChurnState(jnp.where(start, PRESENT, AWAY).astype(jnp.int8))

    def step(key: jax.Array, state: ChurnState, index: Any) -> tuple[ChurnState, Exchange]:
        u = jax.vmap(jax.random.uniform)(agents.keys(key, n))
        departs = jnp.where(u < crashes, CRASHED, jnp.where(u < together, AWAY, PRESENT))
        returns = u < jnp.where(state.status == CRASHED, recovers, joins)
        status = jnp.where(
            state.status == PRESENT, departs, jnp.where(returns, PRESENT, state.status)
        ).astype(jnp.int8)
        return ChurnState(status), Exchange(index, alive=status == PRESENT)

    return Network(init, step)


def disaster(
    victims: ArrayLike, at: int | jax.Array, *, duration: int | jax.Array | None = None
) -> Network:
    """Simultaneous failure of the given agents at round ``at``, permanent or for some rounds.

    Args:
        victims: ``bool[N]``, from :func:`random_victims`, :func:`hubs` or :func:`data_holders`; may
            be traced, so that a sweep over shares and kinds compiles once.
        at: the first round of the failure, at least 0; may be traced.
        duration: rounds until all of them are alive again, at least 1; ``None`` for never.

    Raises:
        ValueError: if ``victims`` is not ``bool[N]`` or leaves no survivor, ``at < 0`` or
            ``duration < 1``.
    """
    failing = jnp.asarray(checks.mask("victims", victims, (None,)))
    if not checks.is_traced(failing) and bool(failing.all()):
        raise ValueError(f"victims: expected at least one survivor, got all {len(failing)} agents")
    start = check_integer("at", at)
    end = None if duration is None else start + check_integer("duration", duration, 1)
    start, stop = check_window(start, end, "duration")

    def step(key: jax.Array, state: tuple[()], index: Any) -> tuple[tuple[()], Exchange]:
        del key
        return state, Exchange(index, alive=~(failing & during(index, start, stop)))

    return Network(lambda: (), step)


def random_victims(key: jax.Array, num_agents: int, share: float) -> jax.Array:
    """Choose ``round(share · N)`` agents uniformly at random, as ``bool[N]``.

    Raises:
        ValueError: if ``share`` is not in ``[0, 1)`` or no agent would survive.
    """
    checks.whole("num_agents", num_agents, 1)
    checks.key(checks.concrete("key", key))
    priorities = jax.vmap(jax.random.uniform)(agents.keys(key, num_agents))
    return _largest(priorities, share)


def hubs(topology: Topology, share: float) -> jax.Array:
    """Choose the ``round(share · N)`` agents of largest out-degree, as ``bool[N]``; ties by id.

    Raises:
        ValueError: if ``share`` is not in ``[0, 1)`` or no agent would survive; for a sequence.
    """
    expect_single(topology, "hubs")
    checks.concrete("topology", topology)
    return _largest(jnp.asarray(topology.out_degrees()), share)


def data_holders(counts: ArrayLike, share: float) -> jax.Array:
    """Choose the ``round(share · N)`` agents with the most samples, as ``bool[N]``; ties by id.

    Args:
        counts: ``int[N]``, samples of each agent, such as ``shards.counts``.
        share: of the agents, in ``[0, 1)``.

    Raises:
        ValueError: if ``share`` is not in ``[0, 1)``, no agent would survive, or ``counts`` is not
            a vector.
    """
    held = jnp.asarray(checks.real("counts", checks.concrete("counts", counts), 0, shape=(None,)))
    if not held.size:
        raise ValueError("counts: expected one number per agent, got an empty array")
    return _largest(held, share)


def _largest(scores: jax.Array, share: float) -> jax.Array:
    n = scores.shape[0]
    checks.real("share", checks.concrete("share", share), 0.0, below=1.0)
    count = round(share * n)
    if count == n:
        raise ValueError(f"share: expected at least one survivor of {n} agents, got share {share}")
    order = np.argsort(-np.asarray(scores), kind="stable")
    return jnp.zeros(n, bool).at[order[:count]].set(True)
