"""What all sections share: compiled programs, their memory, and timing by turns within a budget.

A program maps a state to a state, ``rounds`` rounds at a call. The trip count of its loop is
fixed when it is compiled: a loop of unknown length would ask the host after every round.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from benchmarks.ceiling import Ceiling

PyTree = Any
Row = dict[str, Any]

MEMORY_FRACTION = {"gpu": 0.4, "cpu": 0.1}
"""Share of the free memory that one state may take: a round needs a second one, and some room. A
machine's main memory belongs to others as well."""


@dataclass(frozen=True)
class Setting:
    """How a session measures.

    Attributes:
        quick: a check that takes seconds.
        ceiling: takes its turns with what it bounds.
        copy_gbs: a first estimate of the copy bandwidth, from which round counts are chosen.
        segment_s: seconds that one timed call should take.
        repeats: turns at most.
        case_s: seconds after which a group of programs gets no further turn.
        deadline: ``time.perf_counter()`` after which no further case is begun.
    """

    quick: bool
    ceiling: Ceiling
    copy_gbs: float
    segment_s: float
    repeats: int
    case_s: float
    deadline: float

    @property
    def is_gpu(self) -> bool:
        """Whether there is an accelerator."""
        return jax.default_backend() == "gpu"

    def rounds_for(self, bytes_per_round: float, most: int = 256) -> int:
        """Rounds that fill a segment if memory is all that limits them."""
        expected = self.segment_s * self.copy_gbs * 1e9 / max(bytes_per_round, 1.0)
        return int(min(max(expected, 1), most))

    def expired(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() > self.deadline


def setting(quick: bool, seconds: float) -> Setting:
    """Ceilings of a size that suits the device, and a first sample of them."""
    if jax.default_backend() == "gpu":
        ceiling = Ceiling(gemm_size=8192, copy_bytes=min(2**32, free_memory() // 16), calls=5)
        segment_s, repeats, case_s = 0.03, 7, 2.0
    else:
        ceiling, segment_s, repeats, case_s = Ceiling(), 0.1, 5, 4.0
    ceiling.measure()
    ceiling.measure()
    return Setting(
        quick=quick,
        ceiling=ceiling,
        copy_gbs=ceiling.result()["copy_gbs"],
        segment_s=0.01 if quick else segment_s,
        repeats=3 if quick else repeats,
        case_s=case_s,
        deadline=time.perf_counter() + seconds,
    )


def free_memory() -> int:
    """Bytes that new arrays may take on the first device; of the machine, on a CPU."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats["bytes_in_use"])
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 2**32


def too_large(state_bytes: float, extra_bytes: float = 0.0) -> str | None:
    """Why a state does not fit, with a second one and ``extra_bytes`` beside it; or ``None``."""
    free = free_memory()
    if state_bytes > MEMORY_FRACTION.get(jax.default_backend(), 0.1) * free:
        return f"state of {state_bytes / 1e9:.1f} GB, {free / 1e9:.1f} GB free"
    if 2 * state_bytes + extra_bytes > 0.9 * free:
        needed = 2 * state_bytes + extra_bytes
        return f"needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB free"
    return None


class Program:
    """``run(*operands, state) -> state``, compiled ahead; ``rounds`` rounds at a call.

    With ``calls`` the compiled function is called so often in a row, without waiting in between.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., PyTree],
        *operands: Any,
        rounds: int,
        calls: int = 1,
        donate: bool = True,
    ) -> None:
        self.name, self.rounds, self._calls = name, rounds * calls, calls
        self._operands = operands
        self._run = jax.jit(run, donate_argnums=len(operands) if donate else ())
        self.compile_s = 0.0
        self.compiled: Any = None

    def compile(self, state: PyTree) -> None:
        """Trace and compile, and remember how long that took."""
        began = time.perf_counter()
        self.compiled = self._run.lower(*self._operands, state).compile()
        self.compile_s = time.perf_counter() - began

    def __call__(self, state: PyTree) -> PyTree:
        """Run and wait."""
        for _ in range(self._calls):
            state = self.compiled(*self._operands, state)
        return jax.block_until_ready(state)

    def memory(self) -> dict[str, int]:
        """The compiler's account in bytes; ``peak`` is arguments, results and scratch at once."""
        found = self.compiled.memory_analysis()
        sizes = {
            name: int(getattr(found, f"{name}_size_in_bytes"))
            for name in ("argument", "output", "alias", "temp")
        }
        total = sizes["argument"] + sizes["output"] - sizes["alias"] + sizes["temp"]
        return sizes | {"peak": total}

    def state_copies(self, shape: Sequence[int]) -> int:
        """How many instructions of the compiled program copy an array of this shape."""
        wanted = f"[{','.join(map(str, shape))}]"
        lines = self.compiled.as_text().splitlines()
        return sum(" copy(" in line and wanted in line.split(" copy(")[0] for line in lines)


def by_turns(
    programs: Sequence[Program], make_state: Callable[[], PyTree], given: Setting
) -> list[float | str]:
    """Median seconds per round of each program, or what it failed of; all share one state.

    Args:
        programs: each takes the state that the one before it left.
        make_state: the first state, and a new one after a failure that took the old one.
        given: repeats and time limits.
    """
    state = make_state()
    found: list[Any] = [[] for _ in programs]
    for index, program in enumerate(programs):
        try:
            program.compile(state)
            state = program(state)
        except (
            Exception
        ) as error:  # out of memory, a kernel that does not compile: reported, not fatal
            first = (str(error).splitlines() or [""])[0]
            found[index] = f"{type(error).__name__}: {first[:200]}"
            if _is_gone(state):
                state = make_state()
    began = time.perf_counter()
    for turn in range(given.repeats):
        if turn >= 2 and time.perf_counter() - began > given.case_s:
            break
        given.ceiling.measure()
        for program, seconds in zip(programs, found, strict=True):
            if isinstance(seconds, list):
                start = time.perf_counter()
                state = program(state)
                seconds.append((time.perf_counter() - start) / program.rounds)
    return [statistics.median(one) if isinstance(one, list) else one for one in found]


def seconds_of(run: Callable[[], Any], given: Setting, *, calls: int) -> float:
    """Median seconds of one of ``calls`` calls in a row."""
    jax.block_until_ready(run())
    seconds = []
    for _ in range(given.repeats):
        began = time.perf_counter()
        for _ in range(calls - 1):
            run()
        jax.block_until_ready(run())
        seconds.append((time.perf_counter() - began) / calls)
    return statistics.median(seconds)


def _is_gone(state: PyTree) -> bool:
    return any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
