"""Section ``memory``: what a round of D-PSGD needs as N grows to 100,000, and what bounds it.

``peak`` is the compiler's account: arguments and results (once where they share memory) and
scratch. Programs are compiled from shapes alone; those that fit are run too, and then ``resident``
is the most that the process grew by. Bytes per agent that stay level say that nothing is N².

Activations outweigh parameters once batches are large; ``chunk`` bounds them. Recomputing a loss
(``jax.checkpoint``) is measured next to it.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from benchmarks.scaling import learners
from benchmarks.scaling.timing import Row, Setting, free_memory
from benchmarks.workload import CLASSES, FEATURES, HIDDEN, LEARNING_RATE
from jaxswarm import agents, data, gossip, learning, models, topology

AGENTS = (1_000, 10_000, 100_000)
ROUNDS = 3
LARGE_BATCH = 256
FITTING = 0.6
"""Share of the free memory that a run may take."""


def rows(given: Setting) -> Iterator[Row]:
    """Two models at growing N, then large batches in three ways."""
    for n in (100,) if given.quick else AGENTS:
        for name, hidden in (("logistic", ()), (f"MLP {HIDDEN}", (HIDDEN,))):
            yield _measure(name, hidden, n, 16, given)
    n = 100 if given.quick else 1_000
    ways: dict[str, dict[str, Any]] = {
        "all at once": {},
        "checkpoint": {"wrap": jax.checkpoint},
        f"chunk={n // 10}": {"chunk": n // 10},
    }
    for way, options in ways.items():
        label = f"MLP {HIDDEN}, batch {LARGE_BATCH}, {way}"
        yield _measure(label, (HIDDEN,), n, LARGE_BATCH, given, **options)


def _measure(
    name: str,
    hidden: tuple[int, ...],
    n: int,
    batch: int,
    given: Setting,
    *,
    chunk: int | None = None,
    wrap: Callable[[Any], Any] = lambda loss: loss,
) -> Row:
    print(f"memory: {n} agents, {name}", file=sys.stderr)
    model = models.functional(models.MLP((*hidden, CLASSES)), np.zeros((1, FEATURES), np.float32))
    learner = learning.decentralized(
        wrap(learning.classification_loss(model)),
        local=optax.sgd(LEARNING_RATE),
        gossip=gossip.averaging(gossip.mixing(topology.random_regular(n, 4, seed=0))),
        sample=data.minibatches(batch),
        chunk=chunk,
    )

    def start() -> Any:
        return learner.init(agents.initialize(jax.random.key(0), model.init, n))

    spec, held = jax.eval_shape(start), learners.shards(n)
    parameters, size = agents.message_size(spec.params)
    row: Row = {"case": name, "agents": n, "parameters": parameters, "state_bytes": size * n}
    if given.expired():
        return row | {"skipped": "out of time"}
    began = time.perf_counter()
    step = jax.jit(learner.step, donate_argnums=1).lower(jax.random.key(1), spec, held).compile()
    row["compile_s"] = time.perf_counter() - began
    found: Any = step.memory_analysis()
    sizes = {part: int(getattr(found, f"{part}_size_in_bytes")) for part in ("alias", "temp")}
    peak = sizes["temp"] + int(found.argument_size_in_bytes + found.output_size_in_bytes)
    row |= {f"{part}_bytes": value for part, value in sizes.items()}
    row["peak_bytes"] = peak - sizes["alias"]
    row |= {
        "peak_bytes_per_agent": row["peak_bytes"] / n,
        "peak_states": row["peak_bytes"] / n / size,
    }
    if row["peak_bytes"] > FITTING * free_memory():
        return row
    before = _forget_peak()
    state = jax.block_until_ready(jax.jit(start)())
    seconds = []
    for index in range(ROUNDS + 1):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(step(jax.random.key(index), state, held))
        seconds.append(time.perf_counter() - began)
    row["rounds_per_s"] = 1.0 / float(np.median(seconds[1:]))
    row["node_updates_per_s"] = n * row["rounds_per_s"]
    if before is not None:
        row["resident_bytes"] = _resident("VmHWM") - before
    return row


def _forget_peak() -> int | None:
    """Reset the process's peak (Linux); resident bytes now, or ``None`` if that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _resident("VmRSS")
    except OSError:
        return None


def _resident(name: str) -> int:
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
