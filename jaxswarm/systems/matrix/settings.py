"""Settings, crashes and results of the exact simulation.

Shapes: ``K`` slots, ``R`` rows, ``M`` message loops, ``P`` pools, ``F`` crashes.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxswarm.checks import is_traced
from jaxswarm.network import FaultPlan
from jaxswarm.systems.matrix.flows import Flow

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
    if plan.num_agents != sum(flow.actors):
        raise ValueError(f"plan: expected {sum(flow.actors)} actors, got {plan.num_agents}")
    if not 0.0 < round_length < np.inf:
        raise ValueError(f"round_length: expected seconds above 0, got {round_length}")
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
    if not any(is_traced(x) for x in jax.tree.leaves(settings.window)):
        begin, end = np.asarray(settings.window)
        if not 0.0 <= begin < end <= 1.0:
            raise ValueError(f"window: expected shares 0 ≤ a < b ≤ 1, got {settings.window}")
    largest = np.finfo(np.float32).max
    ranges = {
        "scheduler": (0, 2),
        "concurrency": (1, slots),
        "tau": (0.0, largest),
        "per_byte": (0.0, largest),
    }
    for name, (low, high) in ranges.items():
        given = getattr(settings, name)
        if is_traced(given):
            continue
        if not np.all((np.asarray(given) >= low) & (np.asarray(given) <= high)):
            raise ValueError(f"{name}: expected within [{low}, {high}], got {given}")
