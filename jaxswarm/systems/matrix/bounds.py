"""Bounds of a scheduler's throughput by operational laws, without simulation.

References:
    P. J. Denning, J. P. Buzen, The operational analysis of queueing network models, 1978.
"""

from typing import NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.systems.matrix.flows import SCHEDULERS, Flow


class Saturation(NamedTuple):
    """Bounds of throughput in hops per second, and the rows at which they are reached.

    Attributes:
        slope: throughput that each row adds while no row waits.
        control: bound of the message loops.
        pools: bound of the service pools.
        knee: rows in flight at which the line of ``slope`` meets the smaller bound.
    """

    slope: float
    control: float
    pools: float
    knee: float


def saturation(flow: Flow, scheduler: str, tau: float) -> Saturation:
    """Asymptotic bounds of throughput in the closed network: ``X(N) ≤ min(N / D, 1 / D_max)``.

    Args:
        flow: the workflow; visits follow from its routing.
        scheduler: one of :data:`SCHEDULERS`.
        tau: seconds of a message, positive.

    Raises:
        ValueError: an unknown scheduler, or a ``tau`` that is not positive.
    """
    checks.instance("flow", checks.concrete("flow", flow), Flow, "matrix.flow([[0.0, 1.0]])")
    checks.choice("scheduler", scheduler, SCHEDULERS)
    tau = float(checks.real("tau", checks.concrete("tau", tau), above=0.0))
    route = np.asarray(flow.route, np.float64)[:, :-1]
    roles = len(route)
    visits = np.linalg.solve(np.eye(roles) - route.T, np.eye(roles)[0])
    share = visits / visits.sum()
    seconds = np.asarray(flow.service, np.float64)
    actors = np.asarray(flow.actors, np.float64)
    loops = {"central": np.ones(1), "p2p": share / actors, "dispatcher": share}[scheduler]
    demand = np.zeros(len(flow.servers))
    np.add.at(demand, np.asarray(flow.pool), share * seconds)
    slope = 1.0 / (tau + float(share @ seconds))
    control = 1.0 / (tau * float(loops.max()))
    pools = float((np.asarray(flow.servers) / np.maximum(demand, 1e-300)).min())
    return Saturation(slope, control, pools, min(control, pools) / slope)
