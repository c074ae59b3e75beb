"""Asynchronous optimisation: every agent and every edge has a clock of its own, nobody waits.

The story, module by module:

* :mod:`.clocks` says who rings how often: agents alone, edges for their two ends.
* :mod:`.events` draws the rings as one stream of events and plays it: between events an agent
  drifts by itself, at an event it jumps, alone or with a neighbour. Any such method can be written
  as ``point_process(drift, jumps)``.
* :mod:`.rounds` regroups a stream into batches of events that share no agent, for large networks.
* :mod:`.dadao` is one such method: gradients on the agents' clocks, gossip on the edges', and a
  drift that accelerates both. Its :mod:`.constants` follow from ``L``, ``μ``, ``χ₁`` and ``χ₂``,
  the last two being the graph's.
* :mod:`.adom` and :mod:`.dual` are what it is measured against: ADOM+ and MSDA, which wait for
  everyone at every step, and Continuized, whose events couple a gradient with an exchange.
* :mod:`.convex` makes problems with known constants and optimum.

Your own strongly convex problem, here ``f_i(x) = |x - data_i|² + Σ softplus(x)``::

    import jax, jax.numpy as jnp
    from jaxswarm import learning, topology
    from jaxswarm._simulate import simulate

    def loss(params, data):
        return jnp.sum((params - data) ** 2) + jax.nn.softplus(params).sum()

    data = jax.random.normal(jax.random.key(0), (16, 3))  # one row an agent
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
