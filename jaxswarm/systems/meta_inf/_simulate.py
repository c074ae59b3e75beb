"""Tables of cells from the roofline model, and simulated devices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.transformer.serving import ACCELERATIONS, WEIGHTS, Acceleration
from jaxswarm.systems.meta_inf._cells import Cells
from jaxswarm.systems.meta_inf._roofline import Efficiency, Sheet, roofline
from jaxswarm.systems.meta_inf._specs import Device, Model, Workload


def sheets(
    devices: Sequence[Device],
    models: Sequence[Model],
    workloads: Sequence[Workload],
    index: np.ndarray,
    methods: Sequence[Acceleration],
) -> Sheet:
    """Arrays of all cells and methods, leaves ``[C M, ...]``; cells vary slowest.

    Args:
        devices: all devices.
        models: all models.
        workloads: all workloads.
        index: ``int[C, 3]``.
        methods: ``M`` choices.
    """
    longest = max(workload.requests for workload in workloads)

    def padded(values: np.ndarray, fill: float) -> np.ndarray:
        return np.pad(values.astype(np.float32), (0, longest - len(values)), constant_values=fill)

    def of(specs: Sequence[Any], *fields: str) -> list[np.ndarray]:
        return [np.array([getattr(spec, f) for spec in specs], np.float32) for f in fields]

    device, model, workload = np.asarray(index).T
    count = len(methods)

    def cell(values: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.repeat(np.asarray(values, np.float32)[at], count, axis=0)

    def choice(values: Iterable[float], dtype: Any = np.float32) -> np.ndarray:
        return np.tile(np.array(list(values), dtype), len(index))

    rates = np.array([[1.0, d.half_rate, d.int8_rate] for d in devices])
    leaves = [
        *(cell(v, device) for v in of(devices, "flops", "bandwidth", "memory")),
        cell(rates, device),
        *(
            cell(v, model)
            for v in of(models, "layers", "width", "hidden", "heads", "vocab_size")
        ),
        *(
            cell(v, workload)
            for v in of(workloads, "batch", "prompt", "prefix", "requests")
        ),
        cell(np.stack([padded(w.lengths, 0.0) for w in workloads]), workload),
        cell(np.stack([padded(w.arrivals, np.inf) for w in workloads]), workload),
        choice(how.cache for how in methods),
        choice(how.prefix for how in methods),
        choice(how.chunk or 0 for how in methods),
        choice(how.continuous for how in methods),
        choice((WEIGHTS.index(how.weights) for how in methods), np.int32),
    ]  # fmt: skip
    return Sheet(*leaves)


def simulate_cells(
    devices: Sequence[Device],
    models: Sequence[Model],
    workloads: Sequence[Workload],
    efficiencies: Sequence[Efficiency] | None = None,
    methods: Mapping[str, Acceleration] = ACCELERATIONS,
    index: np.ndarray | None = None,
) -> Cells:
    """Seconds of all combinations by the roofline model.

    Args:
        devices: simulated devices, a handful or thousands.
        models: sizes of transformers.
        workloads: requests.
        efficiencies: of each device, which its spec sheet does not say; the defaults if ``None``.
        methods: choices of acceleration by name.
        index: ``int[C, 3]``, positions of the cells' devices, models and workloads; all
            combinations if ``None``.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> chip = Device("chip", flops=1e13, bandwidth=1e11, memory=1e10)
        >>> net = Model("net", layers=8, width=512, hidden=2048, heads=8, vocab_size=32000)
        >>> chat = Workload("chat", requests=32, batch=8, prompt=256, output=64, prefix_share=0.9)
        >>> cells = simulate_cells([chip], [net], [chat])
        >>> speed = dict(zip(cells.methods, (1 / cells.seconds[0]).tolist(), strict=True))
        >>> speed["prefix reuse"] > speed["KV cache"] > speed["no cache"]
        True
    """
    for name, specs, kind in (
        ("devices", devices, Device),
        ("models", models, Model),
        ("workloads", workloads, Workload),
    ):
        if not isinstance(specs, Sequence) or not specs:
            raise ValueError(f"{name}: expected a list of {kind.__name__}, got {specs!r}")
        for spec in specs:
            checks.instance(name, spec, kind)
    if not isinstance(methods, Mapping) or not methods:
        raise ValueError(f"methods: expected choices by name, got {methods!r}")
    for how in methods.values():
        checks.instance("methods", how, Acceleration, "serving.Acceleration()")
    sizes = (len(devices), len(models), len(workloads))
    if index is None:
        index = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, 3)
    index = np.asarray(checks.wholes("index", index, 0, shape=(None, 3)))
    if (index >= sizes).any():
        raise ValueError(f"index: expected positions below {sizes}, got {index.max(axis=0)}")
    given = [Efficiency()] * len(devices) if efficiencies is None else list(efficiencies)
    if len(given) != len(devices):
        raise ValueError(f"efficiencies: expected {len(devices)}, got {len(given)}")
    for each in given:
        checks.instance("efficiencies", each, Efficiency)
        for field, value in zip(Efficiency._fields, each, strict=True):
            checks.real(f"efficiencies.{field}", value, 0.0)
    spread = jax.tree.map(lambda *v: np.array(v, np.float32), *given)
    spread = jax.tree.map(lambda v: np.repeat(v[index[:, 0]], len(methods)), spread)
    sheet = sheets(devices, models, workloads, index, list(methods.values()))
    seconds = roofline(jax.tree.map(jnp.asarray, sheet), spread, max(w.batch for w in workloads))
    return Cells(
        tuple(devices), tuple(models), tuple(workloads), tuple(methods), index,
        np.asarray(seconds, np.float64).reshape(len(index), len(methods)),
        {"source": "roofline model"},
    )  # fmt: skip
