"""Simulated devices, models and workloads on which different methods are best."""

from typing import NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.models.transformer.serving import Acceleration
from jaxswarm.systems.meta_inf._roofline import Efficiency
from jaxswarm.systems.meta_inf._specs import Device, Model, Workload

CHUNK = 128
"""Tokens of a chunk: the simulated prompts are of hundreds of tokens."""

PORTFOLIO = {
    "KV cache": Acceleration(),
    "prefix reuse": Acceleration(prefix=True),
    "chunked prefill": Acceleration(chunk=CHUNK),
    "continuous batching": Acceleration(continuous=True),
    "int8 weights": Acceleration(weights="int8"),
    "all on": Acceleration(prefix=True, chunk=CHUNK, continuous=True, weights="int8"),
}
"""The six methods that a selector chooses from; all keep a KV cache."""


BATCHES = ((1, 2), (4,), (8, 16))
"""Strata of the slots of a server: small, medium and large."""

FULL_GRID = 21
"""Workloads that cover each kind of task with each stratum of batches once."""


class World(NamedTuple):
    """What cells are made of.

    Attributes:
        devices: with spec sheets.
        efficiencies: of the devices, hidden from selectors.
        models: sizes of transformers.
        workloads: requests.
    """

    devices: tuple[Device, ...]
    efficiencies: tuple[Efficiency, ...]
    models: tuple[Model, ...]
    workloads: tuple[Workload, ...]


# flops, bandwidth, memory, half, int8, price per hour, launch, host, rows, cached, words
_KINDS = (
    (1.5e12, 5e10, 3.2e10, 1.0, 0.4, 0.3, 4e-6, 3e-4, 2, 4e6,
     "server processor, DDR4, vector units, 8-bit weights converted on the fly"),
    (4.0e12, 2e11, 1.2e11, 4.0, 0.5, 0.9, 6e-6, 1e-4, 4, 8e6,
     "server processor, DDR5, matrix units with 8-bit kernels"),
    (8.0e12, 3.2e11, 1.6e10, 2.0, 0.8, 0.35, 3e-5, 1e-3, 8, 1e6,
     "entry accelerator, GDDR6, tensor cores with 8-bit kernels, slow host"),
    (2.0e13, 9.0e11, 2.4e10, 2.0, 0.5, 0.8, 2e-5, 8e-5, 10, 2e6,
     "workstation accelerator, GDDR6X, 8-bit weights converted on the fly"),
    (2.0e13, 2.0e12, 8.0e10, 12.0, 0.7, 2.0, 1.5e-5, 3e-4, 6, 1e7,
     "data centre accelerator, HBM2e, tensor cores with 8-bit kernels"),
    (6.0e13, 3.3e12, 8.0e10, 8.0, 1.0, 4.0, 1.2e-5, 5e-5, 8, 2e7,
     "data centre accelerator, HBM3, tensor cores with 8-bit kernels, fast host"),
    (4.0e13, 1.2e12, 3.2e10, 4.0, 0.6, 1.2, 3e-5, 2e-3, 16, 4e6,
     "matrix accelerator, HBM2, no 8-bit kernels, remote host"),
    (3.0e12, 1.0e11, 8.0e9, 2.0, 0.35, 0.15, 2.5e-5, 1e-4, 4, 1e6,
     "edge accelerator, LPDDR5, shared memory, 8-bit storage"),
)  # fmt: skip

_MODELS = (
    Model("small", 6, 384, 1536, 6, 8_000, "decoder of ten million weights, small vocabulary"),
    Model("base", 12, 768, 3072, 12, 32_000, "decoder of a hundred million weights"),
    Model("wide", 8, 2048, 8192, 16, 32_000, "wide and shallow decoder, half a billion weights"),
    Model("deep", 32, 1024, 4096, 16, 50_000, "narrow and deep decoder, half a billion weights"),
    Model("large", 24, 2048, 8192, 16, 50_000, "decoder of one and a half billion weights"),
)

_TASKS = (
    # prompt, output, spread, prefix share, words
    (1200, 8, 0.3, 0.0, "classification of long documents, short replies"),
    (1000, 32, 0.5, 0.0, "summaries of different documents"),
    (700, 32, 0.5, 0.85, "questions about one shared document"),
    (320, 96, 0.6, 0.7, "chat with a long system prompt"),
    (64, 160, 1.0, 0.0, "stories from short prompts, replies of very unequal length"),
    (96, 128, 0.8, 0.3, "code completion, unequal replies"),
    (256, 16, 0.1, 0.5, "extraction of fields with few-shot examples"),
)


def draw_world(
    seed: int, *, num_devices: int = 8, num_workloads: int = FULL_GRID, requests: int = 24
) -> World:
    """Draw devices, hidden efficiencies and workloads.

    Devices come from eight kinds in turn, each number of the spec sheet multiplied by a lognormal
    factor of deviation .2, hidden efficiencies by one of .25. Workloads are stratified, so that
    worlds differ in details alone: workload ``i`` is of the ``i % 7``-th kind of task and the
    ``i % 3``-th stratum of batches, and with an odd ``i`` requests arrive over time, at rates that
    cover .5 to 40 per second evenly on a logarithmic scale. Lengths, spreads, shares, rates and
    the batch within its stratum are random.

    Args:
        seed: of the draws.
        num_devices: 8 for one of each kind, or thousands.
        num_workloads: 21 for each kind of task with each stratum of batches.
        requests: of each workload.

    Raises:
        ValueError: for numbers out of range.

    Example:
        >>> world = draw_world(0, num_devices=16)
        >>> len(world.devices), len(world.models), len(world.workloads)
        (16, 5, 21)
    """
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    num_devices = checks.whole("num_devices", num_devices, 1)
    num_workloads = checks.whole("num_workloads", num_workloads, 1)
    requests = checks.whole("requests", requests, 1)
    devices, efficiencies = [], []
    for i in range(num_devices):
        device, efficiency = _device(rng, i)
        devices.append(device)
        efficiencies.append(efficiency)
    online = num_workloads // 2
    level = (rng.permutation(online) + rng.random(online)) / max(online, 1)
    rates = np.exp(np.log(0.5) + level * np.log(40.0 / 0.5))
    workloads = [
        _workload(rng, i, requests, float(rates[i // 2]) if i % 2 else 0.0)
        for i in range(num_workloads)
    ]
    return World(tuple(devices), tuple(efficiencies), _MODELS, tuple(workloads))


def _device(rng: np.random.Generator, i: int) -> tuple[Device, Efficiency]:
    *numbers, words = _KINDS[i % len(_KINDS)]
    flops, bandwidth, memory, half, eight, price, launch, host, rows, cached = numbers
    sheet = np.exp(0.2 * rng.normal(size=5))
    hidden = np.exp(0.25 * rng.normal(size=7))
    device = Device(
        f"device {i}",
        flops * sheet[0],
        bandwidth * sheet[1],
        memory,
        half,
        eight * sheet[2],
        price * sheet[3] / 3600,
        words,
    )
    return device, Efficiency(
        gemm=min(0.5 * hidden[0], 0.9),
        rows=rows * hidden[1],
        stream=min(0.65 * hidden[2], 0.95),
        attention=min(0.25 * hidden[3], 0.8),
        launch=launch * hidden[4],
        host=host * hidden[5],
        cached=cached * hidden[6],
        convert=4.0 / bandwidth if "converted" in words else 0.0,
        fused=0.5,
    )


def _workload(rng: np.random.Generator, i: int, requests: int, rate: float) -> Workload:
    prompt, output, spread, share, words = _TASKS[i % len(_TASKS)]
    factor = np.exp(0.3 * rng.normal(size=2))
    return Workload(
        f"workload {i}",
        requests,
        int(rng.choice(BATCHES[i % len(BATCHES)])),
        max(int(prompt * factor[0]), 8),
        max(int(output * factor[1]), 4),
        spread * rng.uniform(0.7, 1.3),
        min(share * rng.uniform(0.8, 1.1), 0.95),
        rate,
        f"{words}; {'interactive, requests arrive over time' if rate else 'offline'}",
    )
