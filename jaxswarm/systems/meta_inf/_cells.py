"""Tables of seconds: one cell for each device, model and workload, one column for each method.

Shapes: ``C`` cells, ``M`` methods.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks, errors
from jaxswarm.systems.meta_inf._specs import Device, Model, Workload

VERSION = 1
"""Of the file that :func:`save` writes."""

AXES = ("device", "model", "workload")
"""What a cell is made of; the axes along which members are left out."""

CONFLICT = 0.01
"""Largest relative difference of two values of one cell and method that count as the same."""

Row = tuple[Device, Model, Workload, str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """Measured or simulated seconds; made by :func:`table`.

    Attributes:
        devices: all devices.
        models: all models.
        workloads: all workloads.
        methods: names of the methods.
        index: ``int[C, 3]``, positions of each cell's device, model and workload.
        seconds: ``float64[C, M]``, above 0.
        source: what the seconds come from: device and software names, or a cost model.

    Raises:
        ValueError: for seconds that are not finite and above 0, indices out of range, cells that
            occur twice, or names that do.
    """

    devices: tuple[Device, ...]
    models: tuple[Model, ...]
    workloads: tuple[Workload, ...]
    methods: tuple[str, ...]
    index: np.ndarray
    seconds: np.ndarray
    source: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for axis, kind in zip(AXES, (Device, Model, Workload), strict=True):
            members = self.members(axis)
            for member in members:
                checks.instance(f"{axis}s", member, kind)
            _unique(f"{axis}s", [member.name for member in members])
        if not self.methods or not all(isinstance(name, str) for name in self.methods):
            raise ValueError(f"methods: expected names, got {self.methods!r}")
        _unique("methods", self.methods)
        seconds = checks.as_array("seconds", self.seconds, "numbers [C, M]")
        checks.real("seconds", seconds, above=0.0, shape=(None, len(self.methods)))
        index = checks.wholes("index", self.index, 0, shape=(len(seconds), 3))
        sizes = [len(self.members(axis)) for axis in AXES]
        if not len(seconds) or (index >= sizes).any():
            raise ValueError(f"index: expected at least one cell below {sizes}, got another")
        if len(np.unique(index, axis=0)) < len(index):
            raise ValueError("index: expected each cell once, got one twice")
        object.__setattr__(self, "index", np.asarray(index))
        object.__setattr__(self, "seconds", np.asarray(seconds, np.float64))

    def __len__(self) -> int:
        return len(self.seconds)

    def members(self, axis: str) -> tuple[Any, ...]:
        """All devices, models or workloads."""
        return getattr(self, f"{checks.choice('axis', axis, AXES)}s")

    def rows(self, chosen: np.ndarray) -> "Cells":
        """The cells at some positions, or where a mask is true."""
        chosen = np.asarray(chosen)
        return dataclasses.replace(self, index=self.index[chosen], seconds=self.seconds[chosen])

    def with_methods(self, names: Iterable[str]) -> "Cells":
        """The same cells with some of the methods, in the order given."""
        names = tuple(names)
        for name in names:
            checks.choice("method", name, self.methods)
        columns = [self.methods.index(name) for name in names]
        return dataclasses.replace(self, methods=names, seconds=self.seconds[:, columns])

    @property
    def best(self) -> np.ndarray:
        """The fastest method of each cell, ``int[C]``."""
        return self.seconds.argmin(axis=1)

    @property
    def cost(self) -> np.ndarray:
        """Seconds times the price of the device, ``float64[C, M]``."""
        price = np.array([device.price for device in self.devices])
        return self.seconds * price[self.index[:, 0], None]


def table(
    rows: Iterable[Row], methods: Iterable[str], source: Mapping[str, str] | None = None
) -> Cells:
    """Collect measurements into a table.

    Args:
        rows: ``(device, model, workload, method, seconds)``; one for each cell and method. A second
            value of the same is accepted if it differs by one per cent at most; the first stays.
        methods: names of all methods.
        source: what the seconds come from.

    Raises:
        ValueError: for unknown methods, seconds that are not finite and above 0, conflicting
            values, methods that a cell lacks, or two members of one name.

    Example:
        >>> chip = Device("chip", flops=1e12, bandwidth=1e11, memory=1e10)
        >>> net = Model("net", layers=2, width=64, hidden=256, heads=4, vocab_size=99)
        >>> chat = Workload("chat", requests=8, batch=4, prompt=32, output=16)
        >>> cells = table([(chip, net, chat, "a", 2.0), (chip, net, chat, "b", 1.5)], ["a", "b"])
        >>> len(cells), cells.methods[cells.best[0]]
        (1, 'b')
    """
    methods = tuple(methods)
    known: tuple[dict[str, Any], ...] = ({}, {}, {})
    found: dict[tuple[int, int, int], np.ndarray] = {}
    for row in rows:
        *specs, method, seconds = row
        if method not in methods:
            raise errors.unknown("method", method, methods)
        checks.real("seconds", seconds, above=0.0)
        place = []
        for axis, members, spec in zip(AXES, known, specs, strict=True):
            if members.setdefault(spec.name, spec) != spec:
                raise ValueError(f"{axis}: expected one of the name {spec.name!r}, got two")
            place.append(list(members).index(spec.name))
        values = found.setdefault((place[0], place[1], place[2]), np.full(len(methods), np.nan))
        at = methods.index(method)
        if abs(values[at] - seconds) > CONFLICT * seconds:
            names = ", ".join(spec.name for spec in specs)
            raise ValueError(
                f"seconds: expected one value of {method!r} on {names}, got {values[at]:g} and "
                f"{seconds:g}"
            )
        if np.isnan(values[at]):
            values[at] = seconds
    if not found:
        raise ValueError("rows: expected at least one, got none")
    seconds = np.stack(list(found.values()))
    if np.isnan(seconds).any():
        cell, method = np.argwhere(np.isnan(seconds))[0]
        raise ValueError(f"rows: expected {methods[method]!r} for each cell, cell {cell} lacks it")
    devices, models, workloads = (tuple(members.values()) for members in known)
    return Cells(devices, models, workloads, methods, np.array(list(found)), seconds, source or {})


def save(cells: Cells, path: str | Path) -> None:
    """Write a table as JSON."""
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    record = {
        "version": VERSION,
        "source": dict(cells.source),
        **{f"{axis}s": [dataclasses.asdict(m) for m in cells.members(axis)] for axis in AXES},
        "methods": list(cells.methods),
        "index": cells.index.tolist(),
        "seconds": cells.seconds.tolist(),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draft.replace(path)


def load(path: str | Path) -> Cells:
    """Read a table that :func:`save` wrote.

    Raises:
        ValueError: for a file of another kind or version.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        version = record["version"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"path: expected a table of meta_inf.save, got {path}") from error
    if version != VERSION:
        raise ValueError(f"version: expected {VERSION}, got {version!r} in {path}")
    try:
        devices = tuple(Device(**fields) for fields in record["devices"])
        models = tuple(Model(**fields) for fields in record["models"])
        workloads = tuple(Workload(**fields) for fields in record["workloads"])
        index, seconds = np.array(record["index"]), np.array(record["seconds"])
        methods, source = tuple(record["methods"]), record["source"]
        return Cells(devices, models, workloads, methods, index, seconds, source)
    except (TypeError, KeyError) as error:
        raise ValueError(f"path: expected a table of meta_inf.save, got {path}") from error


def _unique(name: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name}: expected different names, got {value!r} twice")
        seen.add(value)
