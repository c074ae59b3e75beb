"""Settings, crashes and results of the exact simulation.

Shapes: ``K`` slots, ``R`` rows, ``M`` message loops, ``P`` pools, ``F`` crashes.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.checks import is_traced
from jaxswarm.network import FaultPlan
from jaxswarm.systems.matrix.flows import SCHEDULERS, Flow

PENDING, DONE, TOMBSTONE = 0, 1, 2
"""Status of a row: not finished, finished, lost in a crash."""


class Crashes(NamedTuple):
    """Crashes of actors, made by :func:`crashes`.

    Attributes:
        time: ``float32[F]``, ascending, in seconds.
        actor: ``int32[F]``.
    """

    time: ArrayLike
    actor: ArrayLike


class RunSettings(NamedTuple):
    """Scheduler and sizes of a run; all may be traced.

    Attributes:
        scheduler: index into ``SCHEDULERS``.
        concurrency: rows in flight at most, from 1 to ``K``.
        tau: seconds of a message.
        per_byte: seconds of a byte of it.
        batch: admit new rows when all are over, instead of one whenever one is over.
        offload: long texts stay in a store.
        window: shares of all hops between which throughput is measured.
    """

    scheduler: float | jax.Array = 1
    concurrency: float | jax.Array = 64
    tau: float | jax.Array = 0.02
    per_byte: float | jax.Array = 0.0
    batch: bool | jax.Array = False
    offload: bool | jax.Array = False
    window: ArrayLike | tuple[ArrayLike, ArrayLike] = (0.3, 0.7)


class RunResult(NamedTuple):
    """Result of one run.

    Attributes:
        result: ``uint32[R]``, of the rows that are done.
        status: ``int32[R]``: pending, done, tombstone.
        throughput: ``float32[]``, hops per second within the window.
        makespan: ``float32[]``, seconds until the last event.
        hops: ``int32[]``, completed calls of rows that are not lost.
        late: ``int32[]``, results for tombstoned rows, ignored.
        message_bytes: ``float32[]``, mean of a message.
        busy: ``float32[M + P]``, mean number of busy servers.
        violations: ``int32[]``, events after which submitted ≠ done + tombstoned + in flight.
        finished: ``bool[]``, whether all rows are over.
    """

    result: jax.Array
    status: jax.Array
    throughput: jax.Array
    makespan: jax.Array
    hops: jax.Array
    late: jax.Array
    message_bytes: jax.Array
    busy: jax.Array
    violations: jax.Array
    finished: jax.Array


def crashes(plan: FaultPlan, flow: Flow, *, round_length: float = 1.0) -> Crashes:
    """Convert a fault plan to crashes of actors; a crashed actor is up again at once.

    Args:
        plan: of ``network.fault_plan`` over all actors of the flow.
        flow: the workflow.
        round_length: seconds of a round of the plan, positive.

    Raises:
        ValueError: if the plan is of another number of actors, has other events than ``crash`` and
            ``recover``, or ``round_length`` is not positive.
    """
    checks.instance("plan", plan, FaultPlan, "network.fault_plan([(3, 'crash', 0)], 8)")
    checks.concrete("plan", plan)
    checks.instance("flow", flow, Flow, "matrix.flow([[0.0, 1.0]])")
    checks.real("round_length", checks.concrete("round_length", round_length), above=0.0)
    if plan.num_agents != sum(flow.actors):
        raise ValueError(f"plan: expected {sum(flow.actors)} actors, got {plan.num_agents}")
    events = plan.events()
    others = {kind for _, kind, _ in events} - {"crash", "recover"}
    if others:
        raise ValueError(f"plan: expected crashes, got {sorted(others)}")
    fatal = [(time, actor) for time, kind, actor in events if kind == "crash"]
    return Crashes(
        np.array([time * round_length for time, _ in fatal], np.float32),
        np.array([actor for _, actor in fatal], np.int32),
    )


def check_settings(settings: RunSettings, slots: int) -> None:
    """Refuse numbers out of their range; traced ones are not checked.

    Raises:
        ValueError: naming the number.
    """
    checks.instance("settings", settings, RunSettings, "RunSettings()")
    if not any(is_traced(x) for x in jax.tree.leaves(settings.window)):
        checks.probability("window", settings.window, shape=(2,))
        begin, end = np.asarray(settings.window)
        if not begin < end:
            raise ValueError(f"window: expected shares 0 ≤ a < b ≤ 1, got {settings.window}")
    largest = float(np.finfo(np.float32).max)
    checks.wholes("scheduler", settings.scheduler, 0, len(SCHEDULERS) - 1, shape=())
    checks.wholes("concurrency", settings.concurrency, 1, slots, shape=())
    checks.real("tau", settings.tau, 0.0, largest)
    checks.real("per_byte", settings.per_byte, 0.0, largest)
    checks.mask("batch", settings.batch, ())
    checks.mask("offload", settings.offload, ())


def check_crashes(crashes: Crashes, flow: Flow) -> None:
    """Refuse crashes that are not in order of time, or of unknown actors; traced ones pass.

    Raises:
        ValueError: naming what is wrong.
    """
    checks.instance("crashes", crashes, Crashes, "matrix.crashes(plan, flow)")
    checks.real("crashes", crashes.time, 0.0, shape=(None,))
    size = np.shape(crashes.time)[0]
    checks.wholes("crashes", crashes.actor, 0, sum(flow.actors) - 1, shape=(size,))
    if not is_traced(crashes.time) and (np.diff(np.asarray(crashes.time)) < 0).any():
        raise ValueError("crashes: expected ascending times")
