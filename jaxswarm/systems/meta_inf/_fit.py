"""Fit of the roofline model's hidden efficiencies to measured cells."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.transformer.serving import ACCELERATIONS, Acceleration
from jaxswarm.systems.meta_inf._cells import Cells
from jaxswarm.systems.meta_inf._roofline import Efficiency, roofline
from jaxswarm.systems.meta_inf._simulate import sheets

START = Efficiency(
    gemm=0.3, rows=2.0, stream=0.5, attention=0.1, launch=5e-5, host=2e-5, cached=1e6,
    convert=1e-10, fused=0.0,
)  # fmt: skip
"""Where the search starts; every efficiency is searched on a logarithmic scale but ``fused``."""


class Fit(NamedTuple):
    """A fitted cost model.

    Attributes:
        efficiency: of the device.
        log_errors: ``float64[C, M]``, logarithm of predicted by measured seconds.
    """

    efficiency: Efficiency
    log_errors: np.ndarray


def fit_efficiency(
    cells: Cells, methods: Mapping[str, Acceleration] = ACCELERATIONS, *, steps: int = 30
) -> Fit:
    """Fit efficiencies of one device by least squares of the logarithms of seconds.

    Args:
        cells: of one device.
        methods: choices by the names of the table's methods.
        steps: evaluations of the Jacobian at most.

    Raises:
        ValueError: for a table of several devices, or methods that are not given.
    """
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    steps = checks.whole("steps", steps, 1)
    if len(np.unique(cells.index[:, 0])) != 1:
        raise ValueError("cells: expected those of one device, got several")
    from scipy.optimize import least_squares

    predicted = _log_seconds(cells, methods)
    target = np.log(cells.seconds).ravel()
    start = np.log(np.array(START[:-1]))
    found = least_squares(
        lambda v: np.asarray(predicted(v), np.float64) - target, start,
        bounds=(start - 7.0, start + 7.0), diff_step=1e-2, max_nfev=steps, loss="soft_l1",
    )  # fmt: skip
    efficiency = Efficiency(*np.exp(found.x).tolist(), fused=0.0)
    return Fit(efficiency, check_fit(cells, efficiency, methods))


def check_fit(
    cells: Cells, efficiency: Efficiency, methods: Mapping[str, Acceleration] = ACCELERATIONS
) -> np.ndarray:
    """Logarithm of predicted by measured seconds ``[C, M]``, for cells that may be held out."""
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    checks.instance("efficiency", efficiency, Efficiency)
    logs = np.asarray(_log_seconds(cells, methods)(np.log(np.array(efficiency[:-1]))), np.float64)
    return logs.reshape(cells.seconds.shape) - np.log(cells.seconds)


def _log_seconds(cells: Cells, methods: Mapping[str, Acceleration]):
    for name in cells.methods:
        checks.choice("method", name, methods)
    chosen = [methods[name] for name in cells.methods]
    sheet = jax.tree.map(
        jnp.asarray, sheets(cells.devices, cells.models, cells.workloads, cells.index, chosen)
    )
    count = len(cells) * len(chosen)
    slots = max(workload.batch for workload in cells.workloads)

    def log_seconds(values: np.ndarray) -> jax.Array:
        each = [np.full(count, np.exp(v), np.float32) for v in values]
        return jnp.log(roofline(sheet, Efficiency(*each, fused=np.zeros(count, np.float32)), slots))

    return log_seconds
