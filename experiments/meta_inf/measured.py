"""The measured layer: real serving of small transformers, timed on this machine.

Devices are one and two cores of its processor. Each measurement is appended to ``config.file``, so
that an interrupted run goes on where it was. At full scale 54 workloads, three models and two
devices give 324 cells with nine methods each. Nothing else should run on the machine meanwhile.

What the paper's regime would need: several accelerators and language models of billions of
parameters; leaving hardware out of two devices is a test of two folds only.
"""

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.meta_inf.config import Config
from jaxswarm.models import transformer
from jaxswarm.systems import meta_inf

SELECTORS = (
    "random", "static best", "nearest neighbours", "ISAC", "ALORS", "random forest",
    "gradient boosting", "gradient boosting, identities", "MetaInf",
)  # fmt: skip
VOCABULARY = 64


def devices() -> dict[meta_inf.Device, int]:
    """Nominal spec sheets of one and two cores; the numbers scale with the cores."""
    return {
        meta_inf.Device(
            f"{cores} of this machine's cores", 5e10 * cores, 2e10 * cores, 4e9,
            half_rate=0.5, int8_rate=0.5, price=float(cores),
            description=f"processor, {'one core' if cores == 1 else 'two cores'}",
        ): cores
        for cores in (1, 2)
    }  # fmt: skip


def workloads(config: Config) -> list[meta_inf.Workload]:
    """All combinations of batch, prompt, prefix share and reply."""
    found = []
    grid = itertools.product(config.batches, config.prompts, config.shares, config.outputs)
    for batch, prompt, share, output in grid:
        spread = 0.3 if output < 8 else 0.8
        found.append(
            meta_inf.Workload(
                f"batch {batch}, prompt {prompt}, share {share:g}, reply {output}",
                config.requests,
                batch,
                prompt,
                output,
                spread,
                share,
                description=f"{'short' if output < 8 else 'long and unequal'} replies, offline",
            )
        )
    return found


def measure(config: Config, progress: Callable[[str], None]) -> meta_inf.Cells:
    """Measure, or read what the file has of it."""
    configs = {
        f"width {width}": transformer.Config(VOCABULARY, width=width, num_heads=max(width // 32, 1))
        for width in config.widths
    }
    cells = meta_inf.measure_cells(
        devices(), configs, workloads(config), path=config.file, repeats=config.repeats,
        progress=progress,
    )  # fmt: skip
    meta_inf.save(cells, os.path.splitext(config.file)[0] + ".json")
    return cells


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure, compare selectors with one device, model or workload left out, fit the cost model.

    Returns:
        ``seconds [C, M]``, ``index [C, 3]``, ``methods``, ``source``, ``batch`` and ``share``
        ``[C]``; ``chosen`` with ``int[S, C]`` for each axis and selector (workloads are left
        out in groups of one batch and prompt length); ``log_errors [D, C', M]`` of cost models
        fitted to the even workloads, on the odd ones.
    """
    cells = measure(config, progress)
    given = meta_inf.features(cells)
    chosen: dict[str, dict[str, np.ndarray]] = {}
    for axis in meta_inf.AXES:
        chosen[axis] = {}
        for name in SELECTORS:
            progress(f"{name}, {axis} left out")
            rows = [_chosen(name, cells, given, axis, config.seed + s) for s in range(config.seeds)]
            chosen[axis][name] = np.stack(rows)
    progress("cost models fitted to even workloads")
    errors = []
    for d in range(len(cells.devices)):
        own = cells.index[:, 0] == d
        even = cells.index[:, 2] % 2 == 0
        fit = meta_inf.fit_efficiency(cells.rows(own & even))
        errors.append(meta_inf.check_fit(cells.rows(own & ~even), fit.efficiency))
    members = [cells.workloads[i] for i in cells.index[:, 2]]
    return {
        "seconds": cells.seconds,
        "index": cells.index,
        "methods": np.array(cells.methods),
        "source": {name: np.array(value) for name, value in cells.source.items()},
        "batch": np.array([w.batch for w in members]),
        "share": np.array([w.prefix_share for w in members]),
        "chosen": chosen,
        "log_errors": np.stack(errors),
    }


def _chosen(
    name: str, cells: meta_inf.Cells, given: meta_inf.Features, axis: str, seed: int
) -> np.ndarray:
    """Methods ``int[C]`` chosen for members left out; workloads leave in groups of one shape."""
    selector = meta_inf.SELECTORS[name]
    if axis != "workload":
        return meta_inf.held_out_scores(selector, cells, given, axis=axis, seed=seed).argmin(axis=1)
    shape = np.array([(w.batch, w.prompt) for w in cells.workloads])[cells.index[:, 2]]
    chosen = np.zeros(len(cells), int)
    for group in np.unique(shape, axis=0):
        test = (shape == group).all(axis=1)
        train = cells.rows(~test)
        predict = selector(train, given.rows(~test), seed)
        chosen[test] = predict(cells.rows(test), given.rows(test)).argmin(axis=1)
    return chosen
