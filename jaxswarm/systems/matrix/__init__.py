"""Many workflows at once: one orchestrator, peers who pass tasks on, or a broker for each role.

A row of data goes from role to role. Each hop is a control message, handled by somebody's message
loop, and a call to a shared service pool. Schedulers differ by who handles the message: a central
orchestrator, the actor itself (peer to peer), or the role's dispatcher. All get the same
:class:`Work`, drawn by row and hop, so every row must come out the same.

* :func:`flow`, :func:`work`: roles, routing, durations, sizes; drawn once, whoever schedules
* :func:`run`: exact next-event simulation, up to some ten thousand rows at once
* :func:`run_ticks`: fixed time steps over ring buffers, for a hundred thousand
* :func:`saturation`: what operational laws say of a scheduler's throughput

References:
    Matrix: peer-to-peer multi-agent synthetic data generation framework, arXiv 2511.21686, 2025,
    and its code. P. J. Denning, J. P. Buzen, The operational analysis of queueing network models,
    1978.
"""

from jaxswarm.systems.matrix.exact import (
    DONE,
    PENDING,
    TOMBSTONE,
    Crashes,
    Outcome,
    Plan,
    crashes,
    run,
)
from jaxswarm.systems.matrix.flows import (
    SCHEDULERS,
    Flow,
    Work,
    carried,
    flow,
    num_stations,
    work,
)
from jaxswarm.systems.matrix.laws import Saturation, saturation
from jaxswarm.systems.matrix.ticks import TickOutcome, run_ticks

__all__ = [
    "DONE",
    "PENDING",
    "SCHEDULERS",
    "TOMBSTONE",
    "Crashes",
    "Flow",
    "Outcome",
    "Plan",
    "Saturation",
    "TickOutcome",
    "Work",
    "carried",
    "crashes",
    "flow",
    "num_stations",
    "run",
    "run_ticks",
    "saturation",
    "work",
]
