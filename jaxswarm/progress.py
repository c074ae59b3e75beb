"""Host side of a simulation between chunks: progress bar, Ctrl-C handling, NaN detection."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import jax
import numpy as np

from jaxswarm import checks, errors
from jaxswarm._rollout import Chunk, Records

_NUMBERS_SHOWN = 4
_AGENTS_SHOWN = 10


class NonFiniteWarning(UserWarning):
    """Warning that some agents' state became NaN or infinite, with leaf, agents and rounds."""


class Bar:
    """Progress bar that counts rounds and shows a few numbers of the last record."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm

    def update(
        self, done: int, records: Records, describe: Callable[[Records], dict[str, float]] | None
    ) -> None:
        """Advance to ``done`` rounds; ``records`` are the newest ones, perhaps none."""
        if self._tqdm.disable:
            return
        if len(records.round):
            numbers = (describe or scalars)(jax.tree.map(lambda x: x[-1], records))
            try:
                shown = {name: f"{float(value):.4g}" for name, value in numbers.items()}
            except (AttributeError, TypeError, ValueError):
                raise ValueError(
                    f"describe: expected a dict of numbers, got {checks.shown(numbers)}"
                ) from None
            self._tqdm.set_postfix(shown, refresh=False)
        self._tqdm.update(done - self._tqdm.n)


@contextmanager
def bar(progress: bool, total: int, initial: int, label: str) -> Iterator[Bar]:
    """Open a :class:`Bar` on stderr; silent without ``progress``, every 10 s if not a terminal."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    compiling = label == "compiling"
    with tqdm(
        total=total,
        initial=initial,
        desc=label,
        unit=" rounds",
        unit_scale=True,
        disable=not progress or (compiling and not terminal),
        leave=not compiling,
        mininterval=0.2 if terminal else 10.0,
        dynamic_ncols=True,
    ) as shown:
        yield Bar(shown)


def scalars(record: Records) -> dict[str, float]:
    """The first few scalar leaves of one record's info and evaluation, by name."""
    found: dict[str, float] = {}
    for kind, tree in (("evaluation", record.evaluation), ("info", record.info)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if np.ndim(leaf) == 0 and len(found) < _NUMBERS_SHOWN:
                name = jax.tree_util.keystr(path, simple=True, separator=".")
                found[name or kind] = leaf
    return found


class Interrupt:
    """Flag that is set by Ctrl-C."""

    asked = False

    def wait(self, array: Any) -> None:
        """Wait until ``array`` is computed, while a second Ctrl-C still interrupts at once."""
        began = time.perf_counter()
        while not array.is_ready():
            time.sleep(min(0.005, 0.01 * (time.perf_counter() - began)))
        array.block_until_ready()


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn the first SIGINT into ``asked = True`` and the second into ``KeyboardInterrupt``.

    Has no effect outside the main thread, or where SIGINT is ignored.
    """
    interrupt = Interrupt()
    previous = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread()
    if not mine or previous in (None, signal.SIG_IGN):
        yield interrupt
        return

    def handler(number: int, frame: FrameType | None) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True

    signal.signal(signal.SIGINT, handler)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)


class NonFinite:
    """Detect states that become NaN or infinite, and warn once or raise, as ``policy`` says.

    Raises:
        ValueError: if ``policy`` is not ``"warn"``, ``"raise"`` or ``"ignore"``.
    """

    def __init__(self, policy: str) -> None:
        if policy not in ("warn", "raise", "ignore"):
            raise errors.unknown("on_nonfinite", policy, ("warn", "raise", "ignore"))
        self._policy = policy
        self._before: dict[str, np.ndarray] = {}

    def start(self, out: Chunk) -> None:
        """Exempt entries that are not finite before the first round, such as a best loss of ∞."""
        if self._policy != "ignore":
            self._before = jax.device_get(out.nonfinite)

    def check(self, out: Chunk, start: int, end: int) -> None:
        """Check the state after rounds ``start … end - 1``; fetches the flags if one is set."""
        if self._policy == "ignore" or bool(out.finite):
            return
        lines = []
        for name, flags in jax.device_get(out.nonfinite).items():
            new = flags & ~self._before[name]
            if np.any(new):
                lines.append(f"leaf {name}" + _which(new))
        if not lines:
            return
        message = (
            f"NaN or infinity in the state between rounds {start} and {end}: {'; '.join(lines)}"
        )
        if self._policy == "raise":
            raise FloatingPointError(message)
        self._policy = "ignore"
        warnings.warn(message, NonFiniteWarning, stacklevel=3)


def _which(flags: np.ndarray) -> str:
    if flags.ndim == 0:
        return ""
    agents = np.flatnonzero(flags)
    more = ", …" if len(agents) > _AGENTS_SHOWN else ""
    listed = ", ".join(map(str, agents[:_AGENTS_SHOWN]))
    return f", {len(agents)} of {len(flags)} agents: [{listed}{more}]"
