"""Writers of a run's records: CSV, JSON lines, TensorBoard, Weights & Biases, marl-eval.

``simulate(…, on_records=loggers.csv("runs/mine.csv"))`` writes a row of numbers for every record,
in the order of rounds, as soon as the chunk that computed it is over. A writer of your own is any
object with the two methods of :class:`Writer`. Only TensorBoard and Weights & Biases need a further
package. :func:`write_marl_eval` writes returns of finished runs over many seeds.
"""

import contextlib
import contextvars
import csv as csv_format
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxswarm import checks
from jaxswarm._columns import columns
from jaxswarm._marl_eval import marl_eval, write_marl_eval

__all__ = [
    "Row",
    "Writer",
    "csv",
    "every_run",
    "jsonl",
    "marl_eval",
    "tensorboard",
    "wandb",
    "write_marl_eval",
]

Row = Mapping[str, float]
"""Numbers of one record by name."""


@runtime_checkable
class Writer(Protocol):
    """What receives the rows of a run: :func:`csv`, :func:`tensorboard`, or your own."""

    def write(self, round: int, values: Row) -> None:
        """Write the numbers of one record; called in the order of rounds."""

    def close(self) -> None:
        """Write what is left; nothing is written afterwards."""


def csv(path: str | os.PathLike[str]) -> Writer:
    """Write rows to a CSV file with a header, of which the first column is ``round``.

    A file that exists is continued: its rows of earlier rounds stay, later ones are dropped. So a
    run that was killed and resumed ends with the file of one that was not, and one that starts anew
    with a new file. Columns that come later are filled with nothing in the rows before.

    Args:
        path: the file; parent folders are created.

    Raises:
        ValueError: if ``path`` is no path.

    Example:
        >>> import jax, pathlib, tempfile
        >>> import jaxswarm as js
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
        >>> def step(key, state, inputs):
        ...     return 0.5 * state, {"norm": abs(state)}
        >>> _ = js.simulate(
        ...     step, 8.0, 2, key=jax.random.key(0), on_records=js.loggers.csv(path), progress=False
        ... )
        >>> path.read_text().split()
        ['round,norm', '1,8.0', '2,4.0']
    """
    return _File(path, _as_csv, _from_csv)


def jsonl(path: str | os.PathLike[str]) -> Writer:
    """Write rows as JSON objects, one a line; a file that exists is continued as by :func:`csv`.

    NaN and infinities become ``null``, which JSON has no other word for.

    Args:
        path: the file; parent folders are created.

    Raises:
        ValueError: if ``path`` is no path.
    """
    return _File(path, _as_lines, _from_lines)


class _File:
    """Rows in a text file, rewritten in full where columns or earlier rounds change."""

    def __init__(self, path: Any, encode: Callable[..., str], decode: Callable[[str], list[Any]]):
        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(f"path: expected a file name, got {checks.shown(path)}")
        self._path, self._encode, self._decode = Path(path), encode, decode
        self._names: list[str] | None = None
        self._last = -1

    def write(self, round: int, values: Row) -> None:
        row = {"round": round, **values}
        known = self._names is not None and set(row) <= set(self._names) and round > self._last
        if not known:
            self._rewrite(row)
        else:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._encode([row], self._names, header=False))
        self._last = round

    def close(self) -> None:
        pass  # every row is on disk when it is written

    def _rewrite(self, row: dict[str, Any]) -> None:
        rows = []
        if self._path.exists():
            found = self._decode(self._path.read_text(encoding="utf-8"))
            rows = [old for old in found if old["round"] < row["round"]]
        rows.append(row)
        self._names = list(dict.fromkeys(name for old in rows for name in old))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(self._path.name + ".part")
        draft.write_text(self._encode(rows, self._names, header=True), encoding="utf-8")
        draft.replace(self._path)


def tensorboard(folder: str | os.PathLike[str]) -> Writer:
    """Write scalars to TensorBoard's event files (extra ``tensorboard``: tensorboardX).

    Args:
        folder: where the event file is made; show it with ``tensorboard --logdir FOLDER``.

    Raises:
        ImportError: without tensorboardX, naming the extra.
    """
    writer = _import("tensorboardX", "tensorboard").SummaryWriter(os.fspath(folder))

    def write(round: int, row: Any) -> None:
        for name, value in row:
            writer.add_scalar(name, value, round)
        writer.flush()  # what is shown is what has run

    return _Scalars(write, writer.close)


def wandb(project: str = "jaxswarm", **options: Any) -> Writer:
    """Log rows to a run of Weights & Biases (extra ``wandb``).

    Args:
        project: its project.
        **options: of ``wandb.init``: ``name``, ``config``, ``mode="offline"`` (which needs no
            account and writes to ``dir``), …

    Raises:
        ImportError: without wandb, naming the extra.
    """
    run = _import("wandb", "wandb").init(project=project, **options)
    return _Scalars(lambda round, row: run.log(dict(row), step=round), run.finish)


class _Scalars:
    def __init__(self, write: Callable[[int, Any], Any], close: Callable[[], Any]):
        self._write, self.close = write, close

    def write(self, round: int, values: Row) -> None:
        self._write(round, values.items())


def _import(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is not installed: pip install 'jaxswarm[{extra}]'", name=module
        ) from error


@dataclass
class _EveryRun:
    make: Callable[[str], Writer]
    label: str = "run"
    count: dict[str, int] = field(default_factory=dict)

    def open(self) -> Writer:
        """The writer of the next run: ``ring``, ``ring-2``, and so on."""
        count = self.count[self.label] = self.count.get(self.label, 0) + 1
        name = self.label if count == 1 else f"{self.label}-{count}"
        writer = self.make(re.sub(r"[^\w.-]+", "_", name).strip("_") or "run")
        return checks.instance("make", writer, Writer, 'loggers.csv("run.csv")')


_every_run: contextvars.ContextVar[_EveryRun | None] = contextvars.ContextVar("run", default=None)


@contextlib.contextmanager
def every_run(make: Callable[[str], Writer]) -> Iterator[Callable[[str], None]]:
    r"""Give the records of every :func:`jaxswarm.simulate` inside to a writer of its own.

    Programs that call it deep inside are logged so; ``python -m experiments run NAME --log csv``
    does.

    Args:
        make: ``make(name) -> writer``, called when a run has its first records; names are those
            that were set, with ``-2`` and so on for further runs of one name. The writer is closed
            after the run.

    Yields:
        A function that sets the name of the runs that follow.

    Raises:
        ValueError: if ``make`` is no function, or returns no writer.

    Example:
        >>> import jax, pathlib, tempfile
        >>> import jaxswarm as js
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> def make(name):
        ...     return js.loggers.jsonl(folder / f"{name}.jsonl")
        >>> with js.loggers.every_run(make) as name:
        ...     name("halving")
        ...     _ = js.simulate(
        ...         lambda key, state, inputs: (state / 2, {"state": state}), 1.0, 3,
        ...         key=jax.random.key(0), every=3, progress=False,
        ...     )
        >>> (folder / "halving.jsonl").read_text()
        '{"round": 3, "state": 0.25}\n'
    """
    checks.function("make", make)
    active = _EveryRun(make)
    token = _every_run.set(active)

    def name(label: str) -> None:
        active.label = str(label)

    try:
        yield name
    finally:
        _every_run.reset(token)


class Hooks:
    """What ``simulate`` calls with the records of every chunk: functions and writers.

    Args:
        given: ``None``, a function, a writer, or a sequence of them.

    Raises:
        ValueError: naming ``on_records`` and what is neither.
    """

    def __init__(self, given: Any):
        hooks = () if given is None else given if isinstance(given, Sequence) else (given,)
        for hook in hooks:
            if not callable(hook) and not isinstance(hook, Writer):
                raise ValueError(
                    "on_records: expected a function of Records, a writer such as "
                    f"loggers.csv('run.csv'), or a list of them, got {checks.shown(hook)}"
                )
        self._functions = [hook for hook in hooks if not isinstance(hook, Writer)]
        self._writers = [hook for hook in hooks if isinstance(hook, Writer)]
        self._own: list[Writer] = []
        self._every_run = _every_run.get()

    def __bool__(self) -> bool:
        return bool(self._functions or self._writers or self._every_run)

    def __call__(self, records: Any) -> bool:
        """Pass records on, if there are any; whether a function asked to stop."""
        if not self or not len(records.round):
            return False
        if self._every_run is not None and not self._own:
            self._own = [self._every_run.open()]
        writers = [*self._writers, *self._own]
        if writers:
            table = columns(records)
            rounds = table.pop("round")
            for index, round in enumerate(rounds):
                row = {name: float(values[index]) for name, values in table.items()}
                for writer in writers:
                    writer.write(int(round), row)
        stops = [function(records) for function in self._functions]
        return any(isinstance(stop, (bool, np.bool_)) and bool(stop) for stop in stops)

    def close(self) -> None:
        """Close the writer that :func:`every_run` made for this run."""
        for writer in self._own:
            writer.close()


def _as_csv(rows: list[dict[str, Any]], names: list[str], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv_format.DictWriter(text, names, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _from_csv(text: str) -> list[dict[str, Any]]:
    rows = []
    for row in csv_format.DictReader(io.StringIO(text)):
        if (row.get("round") or "").isdigit() and None not in row:
            rows.append({**{k: v for k, v in row.items() if v}, "round": int(row["round"])})
    return rows


def _as_lines(rows: list[dict[str, Any]], names: list[str], *, header: bool) -> str:
    del names, header
    finite = lambda x: x if np.isfinite(x) else None  # noqa: E731
    return "".join(
        json.dumps({name: finite(value) for name, value in row.items()}) + "\n" for row in rows
    )


def _from_lines(text: str) -> list[dict[str, Any]]:
    rows = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # a line that was cut off
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("round"), int):
                rows.append({k: float("nan") if v is None else v for k, v in row.items()})
    return rows
