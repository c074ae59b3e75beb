"""The simulation loop on the host: rounds in compiled chunks, progress, records, checkpoints.

The rounds run on the device in chunks of about half a second (two, if the state is large), one
donated jitted program whose trip count is an argument, so a run compiles once; between chunks the
host draws the progress bar, copies the records and saves checkpoints. Results do not depend on how
rounds are cut into chunks. :func:`rollout` is the same loop as a pure function, for use
inside ``jit``, ``vmap`` or ``grad``.

Shapes: ``R`` records kept, one every ``every`` rounds.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from jaxswarm import _rollout, checks
from jaxswarm._rollout import Records, rollout
from jaxswarm.checkpoint import Checkpoint, Store, fingerprint
from jaxswarm.loggers import Hooks, Writer
from jaxswarm.progress import NonFinite, NonFiniteWarning, bar, interruptible
from jaxswarm.sharding import processes
from jaxswarm.sharding._mesh import place
from jaxswarm.types import EvaluateFn, Key, PyTree, StepFn

__all__ = ["Checkpoint", "NonFiniteWarning", "Records", "Timing", "rollout", "simulate"]

_WAKE_SECONDS = 0.5
_WAKE_SECONDS_LARGE = 2.0
_LARGE_BYTES = 2**26  # of the state: from here on a chunk's start and end cost something

OnRecords: TypeAlias = Callable[[Records], Any] | Writer
"""What ``on_records`` takes: a function of the records of a chunk, or a writer."""


@dataclass
class Timing:
    """Compile time and run time of a simulation, filled in by ``simulate(…, timing=Timing())``.

    Attributes:
        compile_s: seconds to trace and compile; near zero if the program is cached.
        run_s: seconds spent on rounds, records and checkpoints, without compilation.
        rounds: number of rounds that this call ran (after a resume: without those before).
    """

    compile_s: float = 0.0
    run_s: float = 0.0
    rounds: int = 0

    @property
    def rounds_per_s(self) -> float:
        """Rounds per second without compilation; 0 if none ran."""
        return self.rounds / self.run_s if self.rounds else 0.0


def simulate(
    step: StepFn,
    state: PyTree,
    num_rounds: int,
    *,
    key: Key,
    inputs: PyTree = None,
    every: int = 1,
    evaluate: EvaluateFn | None = None,
    chunk: int | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    resume: bool = False,
    config: Any = None,
    progress: bool = True,
    describe: Callable[[Records], dict[str, float]] | None = None,
    on_records: OnRecords | Sequence[OnRecords] | None = None,
    on_nonfinite: Literal["warn", "raise", "ignore"] = "warn",
    timing: Timing | None = None,
) -> tuple[PyTree, Records]:
    """Run ``step`` for ``num_rounds`` rounds from the host and record every ``every``-th round.

    A second call with the same ``step`` and ``evaluate`` objects, ``every`` and shapes compiles
    nothing, for any ``num_rounds``; so create step functions once, not in a loop. Ctrl-C finishes
    the chunk, saves a checkpoint if one is requested, and raises ``KeyboardInterrupt``; a second
    one stops at once.

    Args:
        step: ``step(key, state, inputs) -> (state, info)``, pure; keeps the state's structure,
            shapes and dtypes. An algorithm's ``step`` fits.
        state: the state before the first round. It is copied once, the caller's stays usable; if
            its leaves are sharded over a mesh, the run stays on that mesh; if that has devices of
            several processes, all of them must make this call (process 0 draws the bar and writes
            the checkpoints, to a folder that all can read).
        num_rounds: rounds in all, at least 0; a resumed run does those that are missing.
        key: a typed key; round ``r`` (from 0) gets ``fold_in(key, r)``.
        inputs: passed unchanged to every round, such as the agents' data; an argument of the
            compiled program, not a constant in it.
        every: at least 1; a record is kept after each ``every``-th round. The ``num_rounds %
            every`` rounds after the last record are run and not recorded, so that the records of a
            shorter run are the first ones of a longer run. The state before round 0 is not recorded
            either: call ``evaluate``.
        evaluate: ``evaluate(state) -> pytree``, run on the device when a record is kept.
        chunk: rounds per chunk, at least 1; by default about half a second's worth, for a state of
            64 MB or more two seconds' worth.
        checkpoint: a folder, or a :class:`Checkpoint` that says how often to save and how many to
            keep. One run at a time uses a folder. A save that fails (a full disk) is a warning: the
            run continues, tries again when the next save is due, and returns its result.
        resume: continue from the newest checkpoint, bit-identical to a run that never stopped;
            start from ``state`` if there is none. Without it an existing checkpoint is refused.
            Refused too is one of a run with other ``inputs`` (their values are compared), key,
            shapes, ``config`` or flags of jax; not compared is what ``step`` closes over.
        config: a dict or dataclass of JSON values, kept in the checkpoint; a run that resumes with
            another one is refused.
        progress: draw a progress bar on stderr.
        describe: ``describe(last record) -> {name: number}`` for the bar, from a :class:`Records`
            without the leading axis; by default the first scalars of info and evaluation.
        on_records: called on the host with the records of every chunk, in order, also without a
            bar: a function of :class:`Records`, which stops the run early by returning
            ``True``; a writer of :mod:`jaxswarm.loggers`; or a list of these. How often depends on
            ``chunk``; a resumed run passes on the records after its checkpoint.
        on_nonfinite: reaction to a NaN or infinity in a leaf of the state that was finite at the
            start: ``"warn"`` once with agents and rounds, ``"raise"`` a ``FloatingPointError``, or
            ``"ignore"``.
        timing: filled in, if given.

    Returns:
        The last state, and :class:`Records` of numpy arrays with ``R = num_rounds // every``, or
        those of the rounds before the early stop.

    Raises:
        ValueError: for a bad argument, or a step that changes the state's structure, a shape or a
            dtype (naming the leaf); before anything runs.
        CheckpointError: a ``ValueError``; see :mod:`jaxswarm.checkpoint` for its kinds.

    Example:
        >>> import jax, jaxswarm as js
        >>> def step(key, state, inputs):
        ...     return 0.5 * state, {"norm": abs(state)}
        >>> state, records = js.simulate(
        ...     step, 8.0, 3, key=jax.random.key(0), evaluate=lambda state: state, progress=False
        ... )
        >>> float(state), records.evaluation.tolist(), records.info["norm"].tolist()
        (1.0, [4.0, 2.0, 1.0], [8.0, 4.0, 2.0])
    """
    num_rounds, every = _rollout.check_rounds(num_rounds, every)
    checks.key(key)
    step = _rollout.as_function("step", step)
    evaluate = None if evaluate is None else _rollout.as_function("evaluate", evaluate)
    length = 1 if chunk is None else checks.whole("chunk", chunk, 1, _rollout.MAX_ROUNDS)
    nonfinite = NonFinite(on_nonfinite)
    if describe is not None:
        checks.function("describe", describe)
    hooks = Hooks(on_records)
    if timing is not None:
        checks.instance("timing", timing, Timing, "jaxswarm.Timing()")
    resume, progress = (
        bool(checks.mask(name, value, ()))
        for name, value in (("resume", resume), ("progress", progress))
    )
    if resume and checkpoint is None:
        raise ValueError("resume: expected a checkpoint to resume from, got checkpoint=None")
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)

    timing = Timing() if timing is None else timing
    began = time.perf_counter()
    state = _rollout.as_arrays(state, copy=True)  # the copy is donated, not the caller's state
    inputs = _rollout.as_arrays(inputs, "inputs", strong=False)
    state, key, inputs, placement = _place(state, key, inputs)
    shared = placement is not None and processes.is_shared(placement[0])
    progress = progress and (not shared or processes.is_primary())
    traced = _rollout.jitted(step), None if evaluate is None else _rollout.jitted(evaluate)
    record = _rollout.record_structure(*traced, state, key, inputs)

    primary = not shared or processes.is_primary()
    with ExitStack() as context:  # holds the checkpoint folder's lock
        context.callback(hooks.close)
        start, kept = 0, [_no_records(record)]
        store = None
        if checkpoint is not None:
            entries = fingerprint(
                state=state, record=record, inputs=inputs, key=key, every=every, config=config
            )
            store = context.enter_context(Store(checkpoint, entries, shared=shared))
            store.prepare(resume)
            if resume and (found := store.load(state, record, num_rounds)) is not None:
                state, records, start = found
                kept = [records]
        first = saved = start
        size = sum(x.nbytes for x in jax.tree.leaves(state))
        wake = _WAKE_SECONDS_LARGE if size >= _LARGE_BYTES else _WAKE_SECONDS

        capacity = _rollout.capacity(record)
        program = _rollout.chunk_program(step, evaluate, every, capacity, placement)
        with bar(progress, num_rounds, start, "compiling"):
            out = program(
                state, key, inputs, np.int32(start), np.int32(start)
            )  # no rounds: compiles only
            del state
            jax.block_until_ready(out)
        nonfinite.start(out)
        timing.compile_s = time.perf_counter() - began

        began = time.perf_counter()
        label = f"compiled in {timing.compile_s:.1f} s"
        with interruptible() as interrupt, bar(progress, num_rounds, start, label) as shown:
            asked = stopped = False
            while start < num_rounds and not asked and not stopped:
                end = min(start + length, (start // every + capacity) * every, num_rounds)
                if store is not None:
                    end = min(end, store.next_stop(start) or end)
                tick = time.perf_counter()
                out = program(out.state, key, inputs, np.int32(start), np.int32(end))
                interrupt.wait(out.finite)
                if chunk is None:
                    longest = (end - start) * wake / max(time.perf_counter() - tick, 1e-9)
                    length = max(1, int(min(longest, 8 * (end - start))))
                kept.append(_take(out, start, end, every))
                nonfinite.check(out, start, end)
                start = end
                shown.update(start, kept[-1], describe)
                stopped = primary and hooks(kept[-1])
                due, asked = store is not None and store.due(start), interrupt.asked
                if shared:
                    length, due, asked, stopped = processes.agree(length, due, asked, stopped)
                if store is not None and due and start < num_rounds:
                    kept = [_join(kept)]
                    if store.save(start, out.state, kept[0]):
                        saved = start
            if (
                store is not None
                and start != saved
                and store.save(start, out.state, _join(kept), True)
            ):
                saved = start
        timing.run_s, timing.rounds = time.perf_counter() - began, start - first
        if asked:
            of = "" if saved == start else f" of round {saved}"
            where = f", checkpoint{of} in {store.path}" if store is not None and saved else ""
            raise KeyboardInterrupt(f"stopped after {start} of {num_rounds} rounds{where}")
        return out.state, _join(kept)


def _place(state: PyTree, key: jax.Array, inputs: PyTree) -> tuple[PyTree, jax.Array, PyTree, Any]:
    """If any leaf lives on a mesh, replicate the leaves that do not over that mesh."""
    shardings = [x.sharding for x in jax.tree.leaves((state, inputs))]
    meshes = [s.mesh for s in shardings if isinstance(s, jax.sharding.NamedSharding)]
    if not meshes:
        return state, key, inputs, None
    everywhere = jax.sharding.NamedSharding(meshes[0], jax.sharding.PartitionSpec())

    def put(x: jax.Array) -> jax.Array:
        placed = isinstance(x.sharding, jax.sharding.NamedSharding)
        return x if placed else place(x, everywhere)

    state, key, inputs = jax.tree.map(put, (state, key, inputs))
    leaves, treedef = jax.tree.flatten(state)
    return state, key, inputs, (everywhere, treedef, tuple(x.sharding for x in leaves))


def _no_records(record: PyTree) -> Records:
    rows = jax.tree.map(lambda x: np.zeros((0, *x.shape), x.dtype), record)
    return Records(np.zeros(0, np.int32), *rows)


def _take(out: _rollout.Chunk, start: int, end: int, every: int) -> Records:
    """Records completed in rounds ``start … end - 1``, copied to the host."""
    first, last = start // every, end // every
    count = last - first
    rows = jax.tree.map(lambda x: np.asarray(x)[:count].copy(), (out.info, out.evaluation))
    return Records((np.arange(first + 1, last + 1) * every).astype(np.int32), *rows)


def _join(parts: list[Records]) -> Records:
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
