"""Logged sessions of users: contexts, actions, vector rewards and propensities, as padded arrays.

Shapes: ``S`` sessions, ``T`` steps of the longest session, ``d`` features, ``m`` kinds of response.
Shorter sessions are padded; ``mask`` is true at real steps.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

MISSING_PARQUET = (
    "path: a .parquet file is read through pyarrow, which is not installed; pip install pyarrow, "
    "or give a .csv file or a dict of columns"
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Interactions:
    """Logged sessions; build them with :func:`interactions`, which validates on the host.

    Attributes:
        features: ``float32[S, T, d]``, what the policy that was logged knew; 0 where padded.
        actions: ``int32[S, T]``, or ``float32[S, T, k]`` for vectors; 0 where padded.
        rewards: ``float32[S, T, m]``; 0 where padded.
        propensities: ``float32[S, T]`` in ``(0, 1]``, the probability (a density may exceed 1)
            with which the logged policy took the logged action; 1 where padded.
        mask: ``bool[S, T]``, true for real steps, which come first in each session.
        names: static; the ``m`` names of the rewards.
    """

    features: Any
    actions: Any
    rewards: Any
    propensities: Any
    mask: Any
    names: tuple[str, ...] = field(default=(), metadata={"static": True})

    @property
    def num_sessions(self) -> int:
        """Number of sessions ``S``."""
        return self.mask.shape[0]

    @property
    def num_steps(self) -> int:
        """Steps ``T`` of the longest session."""
        return self.mask.shape[1]


def interactions(
    session: ArrayLike,
    action: ArrayLike,
    rewards: Mapping[str, ArrayLike] | ArrayLike,
    *,
    propensity: ArrayLike,
    features: ArrayLike | None = None,
    order: ArrayLike | None = None,
    max_steps: int | None = None,
    density: bool = False,
) -> Interactions:
    """Group the rows of a log into padded sessions.

    Args:
        session: ``[R]``, whole numbers or strings; rows with an equal entry are one session.
            Sessions are numbered in the order of their first row.
        action: ``[R]`` whole numbers from 0, or ``[R, k]`` real vectors.
        rewards: a dict of columns ``[R]``, or an array ``[R]`` or ``[R, m]``; finite.
        propensity: ``[R]`` in ``(0, 1]``: how probable the logged action was.
        features: ``[R, d]`` or ``[R]``, finite; none gives ``d = 0``.
        order: ``[R]``, such as a time stamp, by which the steps of a session are sorted (ties keep
            the order of rows); default: the order of rows.
        max_steps: later steps of a session are left out; default: the longest session.
        density: whether propensities are densities, which may exceed 1.

    Example:
        >>> from jaxswarm import data
        >>> log = data.interactions(
        ...     ["ann", "bob", "ann"], [0, 1, 1], {"watch": [3.0, 1.0, 2.0]},
        ...     propensity=[0.5, 0.5, 0.25],
        ... )
        >>> log.num_sessions, log.num_steps, log.rewards[0, :, 0].tolist()
        (2, 2, [3.0, 2.0])

    Raises:
        ValueError: for columns of unequal length, an empty log, propensities outside ``(0, 1]``
            (naming the row), negative actions, or numbers that are not finite.
    """
    names, values = _rewards(rewards)
    owner = _owners(session)
    count = len(owner)
    wanted = f"numbers [{count}] like session"
    acts = checks.as_array("action", action, "whole numbers [R] or real vectors [R, k]")
    if acts.ndim == 1:
        acts = np.asarray(checks.wholes("action", acts, shape=(count,)), np.int32)
    else:
        acts = _finite("action", acts, (count, None))
    values = _finite("rewards", values, (count, None))
    probability = np.asarray(
        checks.real(
            "propensity",
            checks.as_array("propensity", propensity, wanted),
            above=0.0,
            high=np.inf if density else 1.0,
            shape=(count,),
        ),
        np.float32,
    )
    density = checks.flag("density", density)
    known = np.zeros((count, 0), np.float32)
    if features is not None:
        known = checks.as_array("features", features, f"real numbers [{count}, d]")
        known = _finite("features", known[:, None] if known.ndim == 1 else known, (count, None))
    at = np.arange(count)
    if order is not None:
        when = checks.as_array("order", order, wanted)
        at = np.argsort(_finite("order", when, (count,), np.float64), kind="stable")
    return _padded(owner, at, acts, values, probability, known, names, max_steps)


def load_interactions(
    path: str | Path,
    *,
    session: str,
    action: str | Sequence[str],
    rewards: Sequence[str],
    propensity: str,
    features: Sequence[str] = (),
    order: str | None = None,
    max_steps: int | None = None,
    density: bool = False,
) -> Interactions:
    """Read a log of your own from a ``.csv`` (with a header) or ``.parquet`` file.

    Args:
        path: the file; parquet needs the package pyarrow.
        session: column that names the session.
        action: column of whole numbers, or several columns of a vector.
        rewards: columns of the ``m`` responses.
        propensity: column of the probability of the logged action.
        features: columns of what the logged policy knew.
        order: column by which the steps of a session are sorted.
        max_steps: as in :func:`interactions`.
        density: as in :func:`interactions`.

    Raises:
        ValueError: if the file or a column is missing (naming those that exist), or a field is no
            number (naming column and line); otherwise as :func:`interactions`.
    """
    several = [action] if isinstance(action, str) else list(action)
    for name, given in (("rewards", rewards), ("features", features)):
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ValueError(f"{name}: expected a sequence of column names, got {given!r}")
    if not rewards or not several:
        raise ValueError("rewards, action: expected at least one column, got none")
    if not isinstance(path, str | Path) or not Path(path).expanduser().is_file():
        raise ValueError(f"path: expected a .csv or .parquet file, got {checks.shown(path)}")
    file = Path(path).expanduser()
    wanted = [session, *several, *rewards, propensity, *features, *([order] if order else [])]
    columns = _parquet(file, wanted) if file.suffix == ".parquet" else _csv(file, wanted)

    def numbers(name: str) -> np.ndarray:
        return _as_numbers(name, columns[name])

    acts = [numbers(name) for name in several]
    return interactions(
        columns[session],
        _whole(action, acts[0]) if isinstance(action, str) else np.stack(acts, axis=1),
        {name: numbers(name) for name in rewards},
        propensity=numbers(propensity),
        features=np.stack([numbers(name) for name in features], axis=1) if features else None,
        order=numbers(order) if order else None,
        max_steps=max_steps,
        density=density,
    )


def _rewards(rewards: Any) -> tuple[tuple[str, ...], np.ndarray]:
    if isinstance(rewards, Mapping):
        if not rewards or not all(isinstance(name, str) for name in rewards):
            raise ValueError(f"rewards: expected named columns, got {checks.shown(rewards)}")
        columns = [checks.as_array(f"rewards[{k!r}]", v, "numbers") for k, v in rewards.items()]
        if len({column.shape for column in columns}) > 1:
            shapes = {name: c.shape for name, c in zip(rewards, columns, strict=True)}
            raise ValueError(f"rewards: expected columns of one length, got shapes {shapes}")
        return tuple(rewards), np.stack(columns, axis=-1)
    values = checks.as_array("rewards", rewards, "numbers [R] or [R, m], or a dict of columns")
    values = values[:, None] if values.ndim == 1 else values
    return tuple(f"reward {k}" for k in range(values.shape[-1] if values.ndim else 0)), values


def _owners(session: Any) -> np.ndarray:
    """Numbers of sessions by first appearance ``int[R]``."""
    try:
        ids = np.asarray(session)
    except Exception as error:
        raise ValueError(f"session: expected ids [R], got {checks.shown(session)}") from error
    if ids.ndim != 1 or ids.dtype.kind not in "iuUS" or not ids.size:
        raise ValueError(
            f"session: expected a non-empty vector [R] of whole numbers or strings, got "
            f"{checks.shown(session)}"
        )
    _, first, owner = np.unique(ids, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[owner]


def _finite(name: str, array: np.ndarray, shape: Any, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(checks.real(name, array, shape=shape), dtype)


def _padded(
    owner: np.ndarray,
    at: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    propensities: np.ndarray,
    features: np.ndarray,
    names: tuple[str, ...],
    max_steps: int | None,
) -> Interactions:
    rows = at[np.argsort(owner[at], kind="stable")]  # by session, then by order
    sessions = owner[rows]
    lengths = np.bincount(sessions)
    step = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    steps = int(lengths.max())
    if max_steps is not None:
        steps = min(steps, checks.whole("max_steps", max_steps, 1))
    kept = step < steps
    rows, place = rows[kept], (sessions[kept], step[kept])

    def pad(values: np.ndarray, fill: float = 0) -> np.ndarray:
        out = np.full((len(lengths), steps, *values.shape[1:]), fill, values.dtype)
        out[place] = values[rows]
        return out

    mask = pad(np.ones(len(owner), bool))
    return Interactions(
        pad(features), pad(actions), pad(rewards), pad(propensities, 1), mask, names=names
    )


def _csv(file: Path, wanted: list[str]) -> dict[str, Any]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, restval="")
        _require(wanted, reader.fieldnames or [])
        columns: dict[str, list[str]] = {name: [] for name in wanted}
        for row in reader:
            for name in columns:
                columns[name].append(row[name])
    return columns


def _parquet(file: Path, wanted: list[str]) -> dict[str, Any]:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(MISSING_PARQUET) from error
    _require(wanted, parquet.read_schema(file).names)
    table = parquet.read_table(file, columns=list(dict.fromkeys(wanted)))
    return {name: table[name].to_numpy() for name in table.column_names}


def _require(wanted: list[str], found: Sequence[str]) -> None:
    for name in wanted:
        if name not in found:
            raise ValueError(f"column {name!r}: expected one of {list(found)}")


def _as_numbers(name: str, column: Any) -> np.ndarray:
    try:
        return np.asarray(column, np.float64)
    except (TypeError, ValueError):
        pass
    for line, text in enumerate(column, 2):  # the header is line 1
        try:
            float(text)
        except (TypeError, ValueError):
            raise ValueError(
                f"column {name!r}: expected numbers, got {text!r} in line {line}"
            ) from None
    raise ValueError(f"column {name!r}: expected numbers, got {checks.shown(column)}")


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    if not (np.isfinite(values).all() and np.array_equal(values, np.round(values))):
        raise ValueError(f"column {name!r}: expected whole numbers, got {checks.shown(values)}")
    return values.astype(np.int64)
