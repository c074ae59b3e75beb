"""Matrix: scheduling of many multi-agent workflows, central, peer to peer, or by dispatchers.

A row of data goes from role to role. Each hop is a control message, handled by a message loop, and
a call to a shared service pool. Schedulers differ by the loop that handles the message: a central
orchestrator's, the actor's own (peer to peer), or the role's dispatcher's. All get the same
:class:`Work`, drawn by row and hop, so every row must have the same result.

* :func:`flow`, :func:`sample_work`: roles, routing, durations, sizes; the same for all schedulers
* :func:`answered_work`: durations and results by the replies of a model of your own
* :func:`run`: exact next-event simulation, up to some ten thousand rows at once
* :func:`run_ticks`: fixed time steps over ring buffers, for a hundred thousand
* :func:`saturation`: bounds of a scheduler's throughput by operational laws

References:
    Matrix: peer-to-peer multi-agent synthetic data generation framework, arXiv 2511.21686, 2025,
    and its code. P. J. Denning, J. P. Buzen, The operational analysis of queueing network models,
    1978.
"""

from jaxswarm.systems.matrix.bounds import Saturation, saturation
from jaxswarm.systems.matrix.exact import run
from jaxswarm.systems.matrix.flows import (
    SCHEDULERS,
    Flow,
    Work,
    answered_work,
    carried_bytes,
    flow,
    num_stations,
    sample_work,
)
from jaxswarm.systems.matrix.settings import (
    DONE,
    PENDING,
    TOMBSTONE,
    Crashes,
    RunResult,
    RunSettings,
    crashes,
)
from jaxswarm.systems.matrix.ticks import TickResult, run_ticks

__all__ = [
    "DONE",
    "PENDING",
    "SCHEDULERS",
    "TOMBSTONE",
    "Crashes",
    "Flow",
    "RunResult",
    "RunSettings",
    "Saturation",
    "TickResult",
    "Work",
    "answered_work",
    "carried_bytes",
    "crashes",
    "flow",
    "num_stations",
    "run",
    "run_ticks",
    "sample_work",
    "saturation",
]
