"""Meta-features of cells: numbers of the spec sheets and hashed words of the descriptions.

Hashed words stand in for the paper's text embeddings of a language model; ``embed`` takes real
ones. Features come from the specs alone, never from measured seconds.

Shapes: ``C`` cells, ``F`` features, ``E`` numbers of an embedding.

References:
    K. Weinberger et al., Feature hashing for large scale multitask learning, 2009.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.systems.meta_inf._cells import AXES, Cells

FEATURES_VERSION = 2
"""Version of the numeric features; a change of their meaning raises it."""

HASHED = 12
"""Numbers to which the words of a description are hashed."""

Embed = Callable[[Sequence[str]], Any]
"""``embed(texts) -> [len(texts), E]``, such as a language model's text embeddings."""

_SPECS: dict[str, tuple[str, ...]] = {
    "device": ("flops", "bandwidth", "memory", "half_rate", "int8_rate", "price"),
    "model": ("layers", "width", "hidden", "heads", "vocab_size", "num_params"),
    "workload": ("requests", "batch", "prompt", "output"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """Meta-features of cells; made by :func:`features`.

    Attributes:
        values: ``float32[C, F]``, finite.
        names: of the columns.
        version: of their meaning.

    Raises:
        ValueError: for values that are not finite, or another number of names.
    """

    values: np.ndarray
    names: tuple[str, ...]
    version: int = FEATURES_VERSION

    def __post_init__(self) -> None:
        values = checks.as_array("values", self.values, "finite numbers [C, F]")
        checks.real("values", values, shape=(None, len(self.names)))
        object.__setattr__(self, "values", values.astype(np.float32))

    def rows(self, chosen: np.ndarray) -> "Features":
        """The features of the cells at some positions, or where a mask is true."""
        return dataclasses.replace(self, values=self.values[np.asarray(chosen)])


def features(cells: Cells, *, embed: Embed | None = None, hashed: int = HASHED) -> Features:
    """Meta-features of all cells of a table.

    Args:
        cells: of :func:`table`.
        embed: host function of texts, for real embeddings; hashed words if ``None``.
        hashed: numbers of each hashed description; 0 leaves descriptions out.

    Raises:
        ValueError: for arguments of another kind, or embeddings that are no finite ``[n, E]``.

    Example:
        >>> from jaxswarm.systems.meta_inf import Device, Model, Workload, table
        >>> chip = Device("chip", 1e12, 1e11, 1e10, description="server processor, DDR5")
        >>> net = Model("net", layers=2, width=64, hidden=256, heads=4, vocab_size=99)
        >>> chat = Workload("chat", requests=8, batch=4, prompt=32, output=16)
        >>> cells = table([(chip, net, chat, "a", 2.0)], ["a"])
        >>> features(cells, hashed=4).values.shape
        (1, 43)
    """
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    hashed = checks.whole("hashed", hashed, 0)
    if embed is not None:
        checks.function("embed", embed)
    raw = _numbers(cells)
    columns = {
        f"{axis}: log {field}": np.log(raw[field])
        for axis, fields in _SPECS.items()
        for field in fields
    }
    columns["workload: spread"] = raw["spread"]
    columns["workload: prefix_share"] = raw["prefix_share"]
    columns["workload: log prefix"] = np.log1p(raw["prefix_share"] * raw["prompt"])
    columns["workload: has arrivals"] = raw["rate"] > 0
    columns["workload: log rate"] = np.log1p(raw["rate"])
    columns |= _derived(raw)
    blocks = [np.stack(list(columns.values()), axis=1).astype(np.float32)]
    names = list(columns)
    for axis, column in zip(AXES, cells.index.T, strict=True):
        texts = [spec.description for spec in cells.members(axis)]
        block = _hashed(texts, hashed) if embed is None else _embedded(embed, texts)
        blocks.append(block[column])
        names += [f"{axis}: text {i}" for i in range(block.shape[1])]
    return Features(np.concatenate(blocks, axis=1), tuple(names))


OVERHEAD = 1e-5
"""Seconds that the nominal time allows for each layer of each pass; no spec sheet says it."""


def log_nominal(cells: Cells) -> np.ndarray:
    """Logarithm of the seconds of each cell by spec sheets alone, ``float64[C]``.

    A pass takes the longer of its arithmetic at the device's peak and its traffic at the full
    bandwidth, and :data:`OVERHEAD` for each layer; batches follow each other, or requests queue for
    the slots as they arrive. Learners predict how much longer cells take, which differs far less
    between devices than seconds do.

    Args:
        cells: of :func:`table`; their seconds are not used.
    """
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    return np.log(_nominal(_numbers(cells)))


def _numbers(cells: Cells) -> dict[str, np.ndarray]:
    """Numbers of the spec sheets of each cell, ``[C]`` by name."""
    fields = dict(_SPECS) | {"workload": (*_SPECS["workload"], "spread", "prefix_share", "rate")}
    found: dict[str, np.ndarray] = {}
    for axis, column in zip(AXES, cells.index.T, strict=True):
        for field in fields[axis]:
            values = np.array([getattr(spec, field) for spec in cells.members(axis)], np.float64)
            found[field] = values[column]
    return found


def _parts(raw: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Nominal seconds of prefill, of a decoding step's arithmetic and traffic; bytes kept."""
    weights, work = 4.0 * raw["num_params"], 2.0 * raw["num_params"]
    decode = work * raw["batch"] / raw["flops"]
    stream = weights / raw["bandwidth"]
    kept = 8.0 * raw["layers"] * raw["width"] * (raw["prompt"] + raw["output"]) * raw["batch"]
    return decode * raw["prompt"], decode, stream, kept


def _nominal(raw: dict[str, np.ndarray]) -> np.ndarray:
    prefill, decode, stream, kept = _parts(raw)
    overhead = OVERHEAD * raw["layers"]
    step = np.maximum(decode, stream + kept / raw["bandwidth"]) + overhead
    batch = np.maximum(prefill, stream) + overhead + raw["output"] * step
    apart = 1.0 / np.where(raw["rate"] > 0, raw["rate"], np.inf)
    behind = np.maximum(batch / raw["batch"] - apart, 0.0)  # that each request adds to the queue
    online = batch + raw["requests"] / 2.0 * behind
    offline = np.ceil(raw["requests"] / raw["batch"]) * batch
    return np.where(raw["rate"] > 0, online, offline)


def _derived(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Ratios that say what bounds a pass, from nominal numbers alone."""
    prefill, decode, stream, kept = _parts(raw)
    longest = prefill + raw["output"] * np.maximum(decode, stream)
    columns = {
        "log nominal seconds": np.log(_nominal(raw)),
        "log decode arithmetic": np.log(decode),
        "log prefill arithmetic": np.log(prefill),
        "log weight traffic": np.log(stream),
        "log arithmetic per traffic": np.log(decode / stream),
        "log prefill per decode": np.log(prefill / (raw["output"] * np.maximum(decode, stream))),
        "log cache per memory": np.log((kept + 4.0 * raw["num_params"]) / raw["memory"]),
        "log requests per batch": np.log(raw["requests"] / raw["batch"]),
        "log load": np.log1p(raw["rate"] * longest / raw["batch"]),
        "log seconds of a layer": np.log(longest / raw["layers"]),
    }
    return {f"derived: {name}": values for name, values in columns.items()}


def _hashed(texts: Sequence[str], size: int) -> np.ndarray:
    if not size:
        return np.zeros((len(texts), 0), np.float32)
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed: Any = HashingVectorizer(n_features=size).transform(texts)
    return hashed.toarray().astype(np.float32)


def _embedded(embed: Embed, texts: Sequence[str]) -> np.ndarray:
    found = checks.as_array("embed", embed(texts), f"finite numbers [{len(texts)}, E]")
    checks.real("embed", found, shape=(len(texts), None))
    return found.astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Scaler:
    """Standardization by the columns of a training set; made by :func:`scaler`.

    A column that is constant there becomes 0, whatever it is elsewhere: nothing was learnt of it.

    Attributes:
        center: ``float32[F]``.
        factor: ``float32[F]``, one over the standard deviation, 0 for a constant column.
        names: of the columns.
        version: of their meaning.
    """

    center: np.ndarray
    factor: np.ndarray
    names: tuple[str, ...]
    version: int

    def __call__(self, given: Features) -> np.ndarray:
        """Standardize features ``[C, F]``.

        Raises:
            ValueError: for features of another version or with other columns.
        """
        checks.instance("features", given, Features, "meta_inf.features(cells)")
        if given.version != self.version:
            raise ValueError(f"features: expected version {self.version}, got {given.version}")
        if given.names != self.names:
            other = set(given.names) ^ set(self.names)
            raise ValueError(
                f"features: expected the {len(self.names)} columns of the training set, got "
                f"{len(given.names)} with other names or order: {sorted(other)[:3]}"
            )
        return (given.values - self.center) * self.factor


def scaler(given: Features) -> Scaler:
    """Means and standard deviations of the columns of a training set."""
    checks.instance("features", given, Features, "meta_inf.features(cells)")
    values = given.values.astype(np.float64)
    deviation = values.std(axis=0)
    constant = deviation <= 1e-6 * np.maximum(1.0, np.abs(values).max(axis=0))
    factor = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))
    return Scaler(
        values.mean(axis=0).astype(np.float32), factor.astype(np.float32), given.names,
        given.version,
    )  # fmt: skip
