"""State, metrics and options of the Symphony-Coord router.

Shapes: ``R`` requesters, ``M`` workers, ``C`` candidate slots.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxswarm.coordination.bandits import Pending, Pooled
from jaxswarm.gossip import Traffic
from jaxswarm.systems.symphony_coord._world import World

POLICIES = ("linucb", "random", "static", "frozen", "oracle", "first")
"""Choice from the short list. ``linucb`` is the bandit that the router was made with; ``static``
takes one worker per type; ``frozen`` stops learning at the shock; ``oracle`` uses the hidden
probabilities, the bound of all others; ``first`` takes the candidate of best composite score and
learns nothing."""
SCREENINGS = ("replies", "cached")


class RouterState(NamedTuple):
    """State of all requesters and the load of the workers.

    Attributes:
        sums: bandit sums of every requester, leaves ``[R, ...]``.
        pending: dispatches whose reward has not been learnt yet, leaves ``[R, ...]``.
        latency: ``float32[R, C]``, exponential average in milliseconds.
        reputation: ``float32[R, C]``, exponential average of success.
        cached_load: ``float32[R, C]``, last load that a candidate reported, decayed since.
        load: ``float32[M]``.
    """

    sums: Pooled
    pending: Pending
    latency: jax.Array
    reputation: jax.Array
    cached_load: jax.Array
    load: jax.Array


class RouterInfo(NamedTuple):
    """Metrics of one step, ``[R]`` each.

    Attributes:
        success: ``float32``, 0 or 1; 0 where there was no candidate.
        reward: ``float32`` in ``[0, 1]``, success less penalties.
        regret: ``float32``, against the best hidden probability in the short list.
        worker: ``int32``, -1 where there was no candidate.
        type: ``int32``, of the task.
        messages: ``float32``: beacon, replies, probes, dispatch and result.
        latency: ``float32``, milliseconds; 0 where there was no candidate.
    """

    success: jax.Array
    reward: jax.Array
    regret: jax.Array
    worker: jax.Array
    type: jax.Array
    messages: jax.Array
    latency: jax.Array


class Router(NamedTuple):
    """A router as pure functions.

    Attributes:
        init: ``(world) -> state``.
        step: ``(key, world, state, index, policy) -> (state, info)``; the key is the same in every
            step, ``policy`` an index into :data:`POLICIES`.
        share: ``(key, state, index) -> (state, traffic)``, an exchange of sums by gossip.
    """

    init: Callable[[World], RouterState]
    step: Callable[..., tuple[RouterState, RouterInfo]]
    share: Callable[..., tuple[RouterState, Traffic]]
