"""Asynchronous decentralised optimisation on independent Poisson clocks of agents and edges.

* :mod:`.clocks`: rates of the agents' clocks (gradients) and the edges' clocks (exchanges).
* :mod:`.events`: draws the clocks' ticks as one stream of events and simulates it. Between events
  an agent's state drifts by a differential equation, at an event it jumps, alone or with a
  neighbour. Any such method can be written as ``point_process(drift, jumps)``.
* :mod:`.rounds`: regroups a stream into batches of events that share no agent, for large networks.
* :func:`dadao`: gradients on the agents' clocks, gossip on the edges', and a drift that accelerates
  both. Its :mod:`.constants` follow from ``L``, ``μ``, ``χ₁`` and ``χ₂``, the last two being the
  graph's.
* :mod:`.adom` and :mod:`.dual`: the baselines: ADOM+ and MSDA, synchronous, and Continuized, whose
  events couple a gradient with an exchange.
* :mod:`.convex`: problems with known constants and optimum.

Your own strongly convex problem, here ``f_i(x) = |x - data_i|² + Σ softplus(x)``::

    import jax, jax.numpy as jnp
    from jaxswarm import learning, simulate, topology

    def loss(params, data):
        return jnp.sum((params - data) ** 2) + jax.nn.softplus(params).sum()

    data = jax.random.normal(jax.random.key(0), (16, 3))  # one row per agent
    method = learning.dadao(jax.grad(loss), topology.ring(16), smoothness=2.25, convexity=2.0)
    state = method.init(jnp.zeros((16, 3)))
    state, info = simulate(method.step, state, 200, key=jax.random.key(1), inputs=data)
    print(state.agents.params.mean(axis=0))  # where the sum of all losses is least

The constants are second derivatives: ``μ`` is a lower and ``L`` an upper bound of every eigenvalue
of every agent's Hessian. Without convexity add a ridge. Use float64 (``jax.enable_x64``) for errors
below about ``1e-4``.
"""

from jaxswarm.learning.asynchronous._dadao import DadaoAgent, dadao, dadao_process
from jaxswarm.learning.asynchronous.adom import adom_plus, gossip_matrix
from jaxswarm.learning.asynchronous.clocks import (
    Clocks,
    agent_clocks,
    edge_clocks,
    superpose,
    switching_edge_clocks,
)
from jaxswarm.learning.asynchronous.constants import DadaoConstants
from jaxswarm.learning.asynchronous.dual import (
    ContinuizedAgent,
    continuized,
    continuized_clocks,
    msda,
    quadratic_dual_gradient,
)
from jaxswarm.learning.asynchronous.events import (
    Events,
    PointProcess,
    ProcessState,
    point_process,
    poisson_events,
)
from jaxswarm.learning.asynchronous.rounds import matching_rounds

__all__ = [
    "Clocks",
    "Events",
    "PointProcess",
    "ProcessState",
    "agent_clocks",
    "edge_clocks",
    "switching_edge_clocks",
    "superpose",
    "poisson_events",
    "point_process",
    "matching_rounds",
    "DadaoAgent",
    "DadaoConstants",
    "dadao",
    "dadao_process",
    "adom_plus",
    "gossip_matrix",
    "msda",
    "ContinuizedAgent",
    "continuized",
    "continuized_clocks",
    "quadratic_dual_gradient",
]
