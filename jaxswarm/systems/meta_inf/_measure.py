"""Measured cells: seconds of real serving on this machine, kept in a file as they are made."""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models import transformer
from jaxswarm.models.transformer import serving
from jaxswarm.systems.meta_inf._cells import Cells, Row, table
from jaxswarm.systems.meta_inf._specs import Device, Workload, model_of

COMPILER = {"xla_backend_optimization_level": 2}
"""Options of XLA on a CPU: programs compile in half the time and run no slower."""


def software() -> dict[str, str]:
    """Names and versions of what a measurement depends on."""
    return {
        "device": jax.devices()[0].device_kind,
        "processor": _processor(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("jax", "jaxlib", "flax", "numpy")},
    }


def measure_cells(
    devices: Mapping[Device, int],
    configs: Mapping[str, transformer.Config],
    workloads: Sequence[Workload],
    methods: Mapping[str, serving.Acceleration] = serving.ACCELERATIONS,
    *,
    path: str | Path | None = None,
    repeats: int = 5,
    warm_up: int = 1,
    longest: float = 0.5,
    progress: Callable[[str], None] = lambda text: None,
) -> Cells:
    """Serve every workload with every model and method, and time it.

    A cell's seconds are the median of repeats after a warm-up, waiting for the outputs. Programs
    are compiled for each model, batch and prompt length and shared by workloads of other replies.

    Args:
        devices: spec sheets, and the number of cores of this machine each stands for; all
            processor cores on another backend than a CPU.
        configs: transformers by name.
        workloads: without arrivals.
        methods: choices of acceleration by name.
        path: file of JSON lines; each measurement is appended as it is made, and what is there
            already (from the same software) is not measured again. ``None`` keeps no file.
        repeats: of each measurement.
        warm_up: calls before them.
        longest: seconds of a call beyond which three repeats are enough.
        progress: is called with a line for each group of cells.

    Raises:
        ValueError: for arguments of another kind, workloads with arrivals, or a file of other
            software.
    """
    repeats, warm_up = checks.whole("repeats", repeats, 1), checks.whole("warm_up", warm_up, 1)
    checks.real("longest", longest, 0.0)
    for workload in workloads:
        checks.instance("workloads", workload, Workload)
        if workload.rate:
            raise ValueError(f"workloads: expected no arrivals, got {workload.name!r} with some")
    for config in configs.values():
        checks.instance("configs", config, transformer.Config)
    models = {name: model_of(config, name, _words(config)) for name, config in configs.items()}
    source = software()
    done = _read(path, source)
    groups: dict[tuple[int, int, int], list[Workload]] = {}
    for workload in workloads:
        shape = (workload.batch, workload.prompt, workload.requests)
        groups.setdefault(shape, []).append(workload)
    rows: list[Row] = []
    for number, (name, config) in enumerate(configs.items()):
        model = transformer.from_config(config)
        params = jax.jit(model.init)(jax.random.key(number))
        for shape, members in groups.items():
            progress(f"{name}, batch {shape[0]}, prompt {shape[1]}")
            for method, how in methods.items():
                found = _measure_group(
                    model, params, how, members, devices, done.get, (name, method),
                    (repeats, warm_up, longest),
                )  # fmt: skip
                for device, workload, seconds in found:
                    key = (device.name, name, workload.name, method)
                    if key not in done:
                        done[key] = seconds
                        _append(path, source, key, seconds)
                    rows.append((device, models[name], workload, method, seconds))
            jax.clear_caches()
    return table(rows, methods, source)


def _measure_group(
    model: transformer.LanguageModel,
    params: Any,
    how: serving.Acceleration,
    workloads: Sequence[Workload],
    devices: Mapping[Device, int],
    known: Callable[[Any], float | None],
    names: tuple[str, str],
    counts: tuple[int, int, float],
) -> Iterator[tuple[Device, Workload, float]]:
    """Seconds of workloads of one batch and prompt length; a program for each prefix length."""
    most = max(int(workload.lengths.max()) for workload in workloads)
    programs: dict[int, Any] = {}
    repeats, warm_up, longest = counts
    for workload in workloads:
        todo = []
        for device in devices:
            seconds = known((device.name, names[0], workload.name, names[1]))
            if seconds is None:
                todo.append(device)
            else:
                yield device, workload, seconds
        if not todo:
            continue
        prefix = workload.prefix if how.prefix else 0
        server = serving.server(
            model, how, batch_size=workload.batch, prompt_length=workload.prompt,
            prefix_length=prefix, max_new_tokens=most,
        )  # fmt: skip
        rng = np.random.default_rng(0)
        vocabulary = model.vocab_size
        prompts = rng.integers(2, vocabulary, (workload.requests, workload.prompt))
        prompts[:, : workload.prefix] = prompts[0, : workload.prefix]
        args = (server.load(params), jnp.asarray(prompts), jnp.asarray(workload.lengths))
        if prefix not in programs:
            on_cpu = jax.default_backend() == "cpu"
            programs[prefix] = (
                jax.jit(server.run, compiler_options=COMPILER if on_cpu else None)
                .lower(*args).compile()
            )  # fmt: skip
        for device in todo:
            with cores(devices[device]):
                first = serving.timed(programs[prefix], *args, repeats=1, warm_up=warm_up)
                count = min(repeats, 3) if first.median > longest else repeats
                timing = serving.timed(programs[prefix], *args, repeats=count)
            yield device, workload, timing.median


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Let all threads of this process run on so many processor cores at most, where that exists."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    _set_affinity(set(sorted(before)[: max(int(count), 1)]))
    try:
        yield
    finally:
        _set_affinity(before)


def _set_affinity(allowed: set[int]) -> None:
    tasks = Path("/proc/self/task")
    threads = [int(path.name) for path in tasks.iterdir()] if tasks.exists() else [0]
    for thread in threads:
        try:
            os.sched_setaffinity(thread, allowed)
        except OSError:  # it ended meanwhile
            continue


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _words(config: transformer.Config) -> str:
    return f"decoder, {config.num_layers} layers, width {config.width}"


def _read(path: str | Path | None, source: dict[str, str]) -> dict[tuple[str, ...], float]:
    """Measurements of a file, whose first line must name the same software; a torn line is left."""
    found: dict[tuple[str, ...], float] = {}
    if path is None or not Path(path).exists():
        return found
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines()):
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the process ended while it wrote
        if number == 0 and record != source:
            raise ValueError(f"path: expected measurements by {source}, got {record} in {path}")
        if number:
            found[tuple(record["cell"])] = checks.real("seconds", record["seconds"], above=0.0)
    return found


def _append(
    path: str | Path | None, source: dict[str, str], cell: tuple[str, ...], seconds: float
) -> None:
    if path is None:
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    begins = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        if begins:
            file.write(json.dumps(source) + "\n")
        file.write(json.dumps({"cell": cell, "seconds": seconds}) + "\n")
