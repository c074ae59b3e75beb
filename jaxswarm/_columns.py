"""Records as a table: one column of numbers for every name.

Shapes: ``R`` records, ``N`` agents.
"""

import csv
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np


def columns(records: Any, *, each: bool = False) -> dict[str, np.ndarray]:
    """Columns ``[R]`` by name, beginning with ``round``; see ``Records.columns``."""
    table: dict[str, np.ndarray] = {"round": np.asarray(records.round)}
    for part in (records.info, records.evaluation):
        for path, leaf in jax.tree_util.tree_leaves_with_path(part):
            name = _free(table, _joined(path) or "value")
            rows = np.asarray(leaf)
            if rows.dtype.kind not in "biuf":  # such as bfloat16
                rows = rows.astype(np.float32)
            if rows.ndim == 1:
                table[name] = rows
            elif each:
                for index in np.ndindex(rows.shape[1:]):
                    where = (slice(None), *index)
                    table[".".join([name, *map(str, index)])] = rows[where]
            else:
                flat = rows.reshape(len(rows), -1)
                if flat.shape[1]:
                    table[name] = flat.mean(axis=1)
                    table[f"{name}.min"], table[f"{name}.max"] = flat.min(axis=1), flat.max(axis=1)
    return table


def write_csv(table: dict[str, np.ndarray], path: str | os.PathLike[str]) -> Path:
    """Write columns of one length as a CSV file with a header; returns its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    return path


def _joined(path: tuple[Any, ...]) -> str:
    """A leaf's path as ``outer.inner``."""
    parts = []
    for entry in path:
        for attribute in ("name", "key", "idx"):
            if hasattr(entry, attribute):
                parts.append(str(getattr(entry, attribute)))
                break
    return ".".join(parts)


def _free(table: dict[str, Any], name: str) -> str:
    """``name``, or ``evaluation.name`` where info has a column of that name."""
    return f"evaluation.{name}" if name in table else name
