"""Returns of RL runs as the JSON file that marl-eval reads.

Shapes: ``S`` seeds, ``R`` evaluations, ``E`` episodes of each.

Reference:
    R. Gorsane et al., Towards a standardised performance evaluation protocol for cooperative MARL,
    2022; format: README of https://github.com/instadeepai/marl-eval.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks

ABSOLUTE = "absolute_metrics"


def write_marl_eval(
    path: str | os.PathLike[str],
    steps: Any,
    metrics: Mapping[str, Any],
    *,
    environment: str,
    task: str,
    algorithm: str,
    seeds: Sequence[int] = (0,),
    absolute: Mapping[str, Any] | None = None,
) -> Path:
    """Add runs of one algorithm on one task to a JSON file of marl-eval.

    The file is ``environment → task → algorithm → seed_s → step_k``, where a step has its
    ``step_count`` and a list of numbers for each metric, and the last entry of a run is
    ``absolute_metrics``. What the file holds of other environments, tasks, algorithms and seeds
    stays. marl-eval compares algorithms with the same seeds and evaluations only.

    Args:
        path: the file; made with its folders if it does not exist.
        steps: environment steps made at each evaluation, ``[R]`` whole numbers that increase.
        metrics: ``name → [S, R]`` or ``[S, R, E]``, finite; with one seed, ``[R]`` also.
        environment: its name; in lower case in the file, as marl-eval looks it up, which also goes
            for ``task`` and the metrics' names.
        task: name of the task or map.
        algorithm: name of the algorithm.
        seeds: what the rows of ``metrics`` are called, ``S`` distinct whole numbers.
        absolute: ``name → [S]`` or ``[S, A]``, the metrics of the best policy of the run, on ten
            times as many episodes by the protocol. Without, the values of the best evaluation (the
            largest mean of the first metric), which are too good by its selection.

    Returns:
        The path.

    Raises:
        ValueError: naming an array of a wrong shape, values that are not finite, empty names, or a
            file that is something else.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "runs.json"
        >>> names = {"environment": "donations", "task": "n3", "algorithm": "ippo"}
        >>> _ = write_marl_eval(path, [0, 300], {"return": [[1.0, 2.5]]}, **names)
        >>> json.loads(path.read_text())["donations"]["n3"]["ippo"]["seed_0"]["step_1"]
        {'step_count': 300, 'return': [2.5]}
    """
    names = _names(environment, task, algorithm)
    seeds = [checks.whole(f"seeds[{index}]", seed) for index, seed in enumerate(seeds)]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: expected distinct whole numbers, got {seeds}")
    counts = _steps(steps)
    tables = _tables("metrics", metrics, (len(seeds), len(counts)))
    if not tables:
        raise ValueError("metrics: expected at least one, such as {'return': …}, got none")
    final = None if absolute is None else _tables("absolute", absolute, (len(seeds),))
    if final is not None and set(final) != set(tables):
        raise ValueError(f"absolute: expected the metrics {sorted(tables)}, got {sorted(final)}")
    runs = {}
    for row, seed in enumerate(seeds):
        found = {name: values[row].reshape(len(counts), -1) for name, values in tables.items()}
        last = None if final is None else {name: np.ravel(v[row]) for name, v in final.items()}
        runs[f"seed_{seed}"] = _run(counts, found, last)
    return _merge(Path(path), names, runs)


def marl_eval(
    path: str | os.PathLike[str],
    *,
    environment: str,
    task: str,
    algorithm: str,
    seed: int = 0,
    steps_per_round: int = 1,
    metrics: Mapping[str, str] | None = None,
) -> "MarlEval":
    """Write a run's records to a JSON file of marl-eval, see :func:`write_marl_eval`.

    Every record is a step with one number for each metric, and ``absolute_metrics`` are those of
    the best record so far. A run of the same names in the file is continued as by ``loggers.csv``.
    NaN stays NaN, as Python's ``json`` reads it.

    Args:
        path: the file; runs of other names and seeds in it stay.
        environment: its name.
        task: name of the task or map.
        algorithm: name of the algorithm.
        seed: names the run.
        steps_per_round: environment steps of a round: ``step_count`` is so many times the round.
        metrics: name in the file → column of the records; the first decides which record is best.
            By default all columns but those that end in ``.min`` and ``.max``.

    Raises:
        ValueError: if a name is empty, a number out of range, or (while writing) a column missing.

    Example::

        writer = loggers.marl_eval(
            "runs.json", environment="spread", task="n3", algorithm="ippo", seed=1,
            steps_per_round=1024, metrics={"return": "deterministic"},
        )
        js.simulate(learner.step, state, 100, key=key, evaluate=evaluate, on_records=writer)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"path: expected a file name, got {checks.shown(path)}")
    names = _names(environment, task, algorithm)
    run = f"seed_{checks.whole('seed', seed)}"
    scale = checks.whole("steps_per_round", steps_per_round, 1)
    if metrics is not None and not (isinstance(metrics, Mapping) and metrics):
        raise ValueError(
            "metrics: expected names and columns such as {'return': 'deterministic'}, got "
            f"{checks.shown(metrics)}"
        )
    return MarlEval(Path(path), names, run, scale, metrics)


class MarlEval:
    """A :class:`jaxswarm.loggers.Writer`, made by :func:`marl_eval`."""

    def __init__(
        self,
        path: Path,
        names: tuple[str, str, str],
        run: str,
        scale: int,
        metrics: Mapping[str, str] | None,
    ):
        self._path, self._names, self._run, self._scale = path, names, run, scale
        self._metrics = None if metrics is None else dict(metrics)
        self._rows: list[tuple[int, dict[str, float]]] | None = None

    def write(self, round: int, values: Mapping[str, float]) -> None:
        """Write the file anew with one more step."""
        if self._metrics is None:
            kept = [name for name in values if not name.endswith((".min", ".max"))]
            self._metrics = {name.lower(): name for name in kept}
        missing = [name for name in self._metrics.values() if name not in values]
        if missing:
            raise ValueError(
                f"metrics: expected columns of the records, {sorted(values)}, got {missing}"
            )
        count = round * self._scale
        row = {name.lower(): float(values[column]) for name, column in self._metrics.items()}
        if self._rows is None:
            self._rows = self._found(list(row))
        self._rows = [old for old in self._rows if old[0] < count] + [(count, row)]
        table = {
            name: np.array([[old[name]] for _, old in self._rows]) for name in self._rows[0][1]
        }
        run = _run([count for count, _ in self._rows], table, None)
        _merge(self._path, self._names, {self._run: run})

    def close(self) -> None:
        """Do nothing: every record is on disk when it is written."""

    def _found(self, metrics: list[str]) -> list[tuple[int, dict[str, float]]]:
        """The steps of this run in the file, if they have these metrics."""
        held: Any = _read(self._path)
        for name in (*self._names, self._run):
            held = held.get(name, {})
        steps = [step for name, step in held.items() if name != ABSOLUTE]
        fits = all(set(step) == {"step_count", *metrics} for step in steps)
        return [
            (step["step_count"], {name: step[name][0] for name in metrics})
            for step in (steps if fits else ())
        ]


def _run(
    counts: Sequence[int], metrics: Mapping[str, np.ndarray], absolute: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """One run: metrics are ``[R, E]``."""
    if absolute is None:
        score = next(iter(metrics.values())).mean(axis=1)
        best = int(np.argmax(np.where(np.isnan(score), -np.inf, score)))
        absolute = {name: values[best] for name, values in metrics.items()}
    steps: dict[str, dict[str, Any]] = {}
    for index, count in enumerate(counts):
        numbers = {name: values[index].tolist() for name, values in metrics.items()}
        steps[f"step_{index}"] = {"step_count": int(count), **numbers}
    steps[ABSOLUTE] = {name: np.asarray(values).tolist() for name, values in absolute.items()}
    return steps


def _merge(path: Path, names: tuple[str, str, str], runs: Mapping[str, Any]) -> Path:
    document = _read(path)
    held = document
    for name in names:
        held = held.setdefault(name, {})
    held.update(runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ValueError(f"path: expected a new file or one of marl-eval, got {path}")
    return document


def _names(environment: Any, task: Any, algorithm: Any) -> tuple[str, str, str]:
    given = {"environment": environment, "task": task, "algorithm": algorithm}
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name}: expected a name, got {checks.shown(value)}")
    return environment.lower(), task.lower(), algorithm


def _steps(steps: Any) -> list[int]:
    counts = np.asarray(steps)
    if counts.ndim != 1 or not len(counts) or counts.dtype.kind not in "iu":
        raise ValueError(f"steps: expected whole numbers [R], got {checks.shown(steps)}")
    if (np.diff(counts) <= 0).any() or counts[0] < 0:
        raise ValueError(f"steps: expected numbers ≥ 0 that increase, got {counts.tolist()}")
    return counts.tolist()


def _tables(argument: str, given: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Arrays of the leading ``shape``, by lower-case name; the axis of one seed may be missing."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{argument}: expected arrays by name, got {checks.shown(given)}")
    tables = {}
    for name, values in given.items():
        array = np.asarray(values, dtype=np.float64)
        fits = array.shape[: len(shape)] == shape
        if shape[0] == 1 and not fits and array.shape[: len(shape) - 1] == shape[1:]:
            array = array[None]
        if array.shape[: len(shape)] != shape or array.ndim > len(shape) + 1:
            raise ValueError(
                f"{argument}[{name!r}]: expected shape {list(shape)} or with episodes behind, got "
                f"{list(array.shape)}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{argument}[{name!r}]: expected finite numbers, got NaN or infinity")
        tables[str(name).lower()] = array
    return tables
