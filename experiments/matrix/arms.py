"""Matrix: does a workflow without a central orchestrator go further, at the same results?

A closed network of rows that go through roles. Every hop is a control message and a call to a
shared pool. Schedulers differ by who handles messages: one orchestrator, the actors themselves
(peer to peer), or a broker for each role, which the current code has brought back. Work is drawn by
row and hop before anybody schedules it, so all must give every row the same result.

Throughput is simulated event by event and compared with operational laws, which never enter it.
Nothing is said of tokens per second on real accelerators: service times are drawn. ``full`` adds
100,000 rows at once in fixed steps, on three stage graphs in the spirit of the paper's (a dialogue
of two, extract–filter–question, an agent between tools and a simulated user).

References:
    Matrix: peer-to-peer multi-agent synthetic data generation framework, arXiv 2511.21686, 2025.
    P. J. Denning, J. P. Buzen, The operational analysis of queueing network models, 1978.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import network, plotting, statistics
from jaxswarm.coordination import matrix

NAME = "matrix"
TITLE = "Matrix: rows that find their own way"
PAPER = Paper("FAIR at Meta", "Matrix: peer-to-peer multi-agent synthetic data generation", 2025)

# Fixed before the first run.
SATURATED = 0.05  # relative distance of central throughput from 1 / tau
STRAIGHT = 0.98  # R² of peer-to-peer throughput on rows, while the pool is free
RATIO = 2.0  # peer to peer over central where the pool binds
KNEE = 0.1  # relative distance of the measured knee from the operational law's
ROWS = 1.5  # row-level over batch admission, lognormal rows
EVEN = 0.02  # distance of that ratio from 1, constant rows
BYTES = 0.02  # relative distance of bytes saved from the prediction

# proposer → critic → proposer (0.4) or writer → out
DIALOGUE = [[0, 1, 0, 0], [0.4, 0, 0.6, 0], [0, 0, 0, 1]]
CENTRAL, P2P, DISPATCHER = range(3)
GRAPHS: dict[str, list[list[float]]] = {  # of the full scale
    "dialogue": [[0, 1, 0], [0.75, 0, 0.25]],
    "extract, filter, question": [[0, 1, 0, 0], [0, 0, 0.6, 0.4], [0, 0, 0, 1]],
    "agent, tools, user": [[0, 0.6, 0.3, 0.1], [1, 0, 0, 0], [1, 0, 0, 0]],
}


@dataclass(frozen=True)
class Config:
    """Sizes; seconds and bytes are of the simulated system."""

    rows: int = 1200
    servers: int = 256
    actors: int = 32  # of each role
    tau: float = 0.02  # a message
    spread: float = 0.3  # of the logarithm of durations
    concurrency: tuple[int, ...] = (8, 16, 32, 64, 128, 204, 256, 384)
    slots: tuple[int, ...] = (64, 256)  # of row-level against batch
    batches: int = 16
    max_hops: int = 16
    crash_times: tuple[int, ...] = (2, 5, 9)
    at_once: int = 0  # rows in fixed steps; 0 for none
    ticks: int = 400
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if list(self.concurrency) != sorted(set(self.concurrency)) or len(self.concurrency) < 4:
            raise ValueError(f"concurrency: expected four or more, rising, got {self.concurrency}")
        if self.servers not in self.concurrency:
            raise ValueError(f"concurrency: expected the pool's {self.servers} among them")


SCALES = {
    "smoke": Config(
        rows=60, servers=16, actors=4, tau=0.2, concurrency=(2, 8, 16, 20), slots=(8,), batches=4,
        seeds=2, max_hops=6,
    ),
    "small": Config(),
    "full": Config(seeds=10, at_once=100_000),
}  # fmt: skip


def workflow(config: Config) -> matrix.Flow:
    """The dialogue with its writer."""
    return matrix.flow(DIALOGUE, actors=config.actors, servers=config.servers)


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """``sweep``, ``admission``, ``faults``, ``bytes`` and, at full scale, ``ticks``."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("three schedulers at every concurrency")
    results: dict[str, Any] = {"sweep": _sweep(config, keys)}
    progress("row by row, or batch by batch")
    results["admission"] = _admission(config, keys)
    progress("crashes")
    results["faults"] = _faults(config, keys)
    progress("long texts in a store")
    results["bytes"] = _bytes(config, keys)
    if config.at_once:
        for name, route in GRAPHS.items():
            progress(f"{config.at_once:,} rows at once: {name}")
            results[f"ticks: {name}"] = _ticks(config, route, keys[0])
    results["config"] = {"tau": config.tau, "servers": config.servers, "actors": config.actors}
    results["concurrency"] = np.array(config.concurrency)
    results["slots"] = np.array(config.slots)
    return jax.tree.map(np.asarray, results)


def _sweep(config: Config, keys: jax.Array) -> dict[str, Any]:
    """``throughput [3, C, S]`` in hops per second; whether ``results`` of rows agree ``[S]``."""
    flow = workflow(config)
    slots = max(config.concurrency)

    def one(scheduler: jax.Array, concurrency: jax.Array, key: jax.Array) -> matrix.Outcome:
        rows = matrix.work(
            key, flow, config.rows, max_hops=config.max_hops, hop_spread=config.spread
        )
        plan = matrix.Plan(scheduler, concurrency, config.tau)
        return matrix.run(rows, flow, plan, slots=slots)

    over = jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None))
    # One scheduler at a time: the loop ends with its slowest member.
    found = jax.jit(lambda s, c, k: jax.lax.map(lambda x: over(x, c, k), s))(
        jnp.arange(3), jnp.array(config.concurrency), keys
    )
    result = np.asarray(found.result)  # [3, C, S, R]
    agree = (result == result[:1, :1]).all(axis=(0, 1)).mean(axis=-1)
    return {
        "throughput": found.throughput,
        "agree": agree,
        "violations": found.violations,
        "unfinished": ~np.asarray(found.finished),
    }


def _admission(config: Config, keys: jax.Array) -> dict[str, Any]:
    """Rows per second row by row over batch by batch, ``[slots, S]``, and with constant rows."""
    table: dict[str, list[Any]] = {"lognormal": [], "constant": []}
    for slots in config.slots:
        flow = matrix.flow([[0.0, 1.0]], actors=4 * slots, servers=slots)
        rows = slots * config.batches

        def one(
            spread: jax.Array, batch: jax.Array, key: jax.Array, flow: Any = flow,
            rows: int = rows, slots: int = slots,
        ) -> jax.Array:  # fmt: skip
            drawn = matrix.work(key, flow, rows, max_hops=1, hop_spread=0.0, row_spread=spread)
            plan = matrix.Plan(P2P, slots, 1e-4, batch=batch, window=(0.25, 0.75))
            return matrix.run(drawn, flow, plan, slots=slots).throughput

        over = jax.vmap(jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None)), (0, None, None))
        rate = np.asarray(
            jax.jit(over)(jnp.array([config.spread, 0.0]), jnp.array([False, True]), keys)
        )
        for name, pair in zip(table, rate, strict=True):
            table[name].append(pair[0] / pair[1])
    return {name: np.array(rows) for name, rows in table.items()}


def _faults(config: Config, keys: jax.Array) -> dict[str, Any]:
    """Events that break conservation, tombstones, and rows that came out otherwise, ``[S]``."""
    flow = workflow(config)
    slots = config.concurrency[len(config.concurrency) // 2]
    plan = [(time, "crash", actor) for actor, time in enumerate(config.crash_times)]
    fatal = matrix.crashes(network.fault_plan(plan, num_agents=3 * config.actors), flow)

    def one(key: jax.Array) -> tuple[matrix.Outcome, matrix.Outcome]:
        rows = matrix.work(
            key, flow, config.rows // 2, max_hops=config.max_hops, hop_spread=config.spread
        )
        p2p = matrix.Plan(P2P, slots, config.tau)
        lost = matrix.run(rows, flow, p2p, slots=slots, crashes=fatal)
        return lost, matrix.run(rows, flow, p2p, slots=slots)

    lost, calm = jax.jit(jax.vmap(one))(keys)
    gone = np.asarray(lost.status) == matrix.TOMBSTONE
    other = (np.asarray(lost.result) != np.asarray(calm.result)) & ~gone
    return {
        "violations": np.asarray(lost.violations) + np.asarray(calm.violations),
        "tombstones": gone.sum(axis=1),
        "late": lost.late,
        "changed": other.sum(axis=1),
    }


def _bytes(config: Config, keys: jax.Array) -> dict[str, Any]:
    """Bytes of a message, whole and offloaded; what the sizes' law predicts; throughputs."""
    flow = workflow(config)
    slots = config.concurrency[len(config.concurrency) // 2]
    per_byte = config.tau / 2000.0

    def one(offload: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        rows = matrix.work(
            key, flow, config.rows, max_hops=config.max_hops, hop_spread=config.spread
        )
        plan = matrix.Plan(CENTRAL, slots, config.tau, per_byte, offload=offload)
        out = matrix.run(rows, flow, plan, slots=slots)
        hops = jnp.sum(rows.hops * (rows.hops - 1) / 2) / jnp.sum(rows.hops)
        return out.message_bytes, out.throughput, hops

    found = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(jnp.array([False, True]), keys)
    size, throughput, before = map(np.asarray, found)
    short, long = _predicted_fields(400.0, 1.0, 512.0, 64.0)
    return {
        "size": size,
        "throughput": throughput,
        "predicted": 256.0 + before * np.array([[long], [short]]),
    }


def _predicted_fields(
    median: float, spread: float, threshold: float, reference: float
) -> tuple[float, float]:
    """Mean bytes of a lognormal field: offloaded, and whole."""
    from scipy.stats import norm

    cut = np.log(threshold / median) / spread
    whole = median * np.exp(spread**2 / 2)
    kept = whole * norm.cdf(cut - spread) + reference * norm.sf(cut)
    return float(kept), float(whole)


def _ticks(config: Config, route: list[list[float]], key: jax.Array) -> dict[str, Any]:
    """Hops per second, ``[3]``, of the three schedulers with very many rows."""
    flow = matrix.flow(route, actors=config.actors, servers=config.servers)
    rows = matrix.work(
        key, flow, 2 * config.at_once, max_hops=config.max_hops, hop_spread=config.spread
    )
    dt = 0.05

    def one(scheduler: jax.Array) -> matrix.TickOutcome:
        return matrix.run_ticks(
            rows, flow, scheduler=scheduler, slots=config.at_once, tau=config.tau, dt=dt,
            num_steps=config.ticks,
        )  # fmt: skip

    found = jax.jit(lambda s: jax.lax.map(one, s))(jnp.arange(3))
    late = np.asarray(found.completed)[:, config.ticks // 2 :]
    return {"throughput": late.mean(axis=1) / dt, "dropped": found.dropped}


def knee(results: dict[str, Any]) -> np.ndarray:
    """``[S]``: rows at which the first point's line meets the last's plateau, central."""
    central = np.asarray(results["sweep"]["throughput"])[CENTRAL]
    return central[-1] / (central[0] / results["concurrency"][0])


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar: saturation, straight lines, rows over batches, equal results, conservation."""
    sweep, at = results["sweep"], results["concurrency"]
    throughput = np.asarray(sweep["throughput"])
    tau, servers = float(results["config"]["tau"]), int(results["config"]["servers"])
    actors = int(results["config"]["actors"])
    flow = matrix.flow(DIALOGUE, actors=actors, servers=servers)
    law = matrix.saturation(flow, "central", tau)
    quadruple = int(np.argmin(np.abs(at - 4 * law.knee)))
    free = at <= 0.8 * servers
    x = np.asarray(at[free], float)
    straight = [np.corrcoef(x, y)[0, 1] ** 2 for y in throughput[P2P][free].T]
    binds = int(np.flatnonzero(at == servers)[0])
    faults, saved = results["faults"], results["bytes"]
    admission = results["admission"]
    ratio = saved["size"][1] / saved["size"][0]
    predicted = saved["predicted"][1] / saved["predicted"][0]

    def made(what: str, baseline: str, values: Any, **bounds: Any) -> Claim:
        return claim(NAME, what, baseline, statistics.summarize(np.asarray(values)), **bounds)

    return [
        made(
            f"central: distance from one message at a time, {at[quadruple]} rows (4 × the knee)",
            "1 / tau",
            np.abs(throughput[CENTRAL, quadruple] * tau - 1.0),
            at_most=SATURATED,
        ),
        made(
            "peer to peer: throughput is linear in rows until the pool binds (R²)",
            "a straight line",
            straight,
            at_least=STRAIGHT,
        ),
        made(
            "peer to peer over central where the pool binds",
            "central",
            throughput[P2P, binds] / throughput[CENTRAL, binds],
            at_least=RATIO,
        ),
        made(
            "central: distance of the knee from the operational law's",
            "asymptotic bounds",
            np.abs(knee(results) / law.knee - 1.0),
            at_most=KNEE,
        ),
        made(
            "rows one by one over batches, lognormal rows (least of the sizes)",
            "batch admission",
            admission["lognormal"].min(axis=0),
            at_least=ROWS,
        ),
        made(
            "rows one by one over batches, constant rows: distance from 1",
            "batch admission",
            np.abs(admission["constant"] - 1.0).max(axis=0),
            at_most=EVEN,
            control=True,
        ),
        made(
            "share of rows with the same result under all schedulers and concurrencies",
            "central, few rows",
            sweep["agree"],
            at_least=1.0,
        ),
        made(
            "events after which submitted ≠ done + tombstoned + in flight, actors killed",
            "0",
            faults["violations"] + np.asarray(sweep["violations"]).sum(axis=(0, 1)),
            at_most=0.0,
        ),
        made(
            "rows that a crash of others changes",
            "0",
            faults["changed"],
            at_most=0.0,
        ),
        made(
            "crashes cost rows",
            "0",
            faults["tombstones"],
            at_least=1.0,
            control=True,
        ),
        made(
            "long texts in a store: bytes left per hop, distance from the prediction",
            "law of the sizes",
            np.abs(ratio / predicted - 1.0),
            at_most=BYTES,
        ),
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Throughput against load with its bounds, rows against batches, bytes of a hop."""
    left, middle, right = np.ravel(plotting.panels(1, 3, width=5.4, height=4.2))
    throughput, at = np.asarray(results["sweep"]["throughput"]), results["concurrency"]
    tau, servers = float(results["config"]["tau"]), int(results["config"]["servers"])
    flow = matrix.flow(DIALOGUE, actors=int(results["config"]["actors"]), servers=servers)
    names = ("one orchestrator", "peer to peer", "a broker for each role")
    plotting.curves(
        {name: throughput[i].T for i, name in enumerate(names)},
        at,
        xlabel="rows at once",
        ylabel="hops per second",
        title="Who handles the messages decides how far it goes",
        ax=left,
    )
    for name in matrix.SCHEDULERS:
        law = matrix.saturation(flow, name, tau)
        bound = min(law.control, law.pools)
        left.axhline(bound, color="#9A9A9A", linewidth=1.0, linestyle=(0, (4, 3)))
    left.plot(at, np.minimum(law.slope * at, law.pools), color="#9A9A9A", linewidth=1.0, zorder=0)
    admission = results["admission"]
    labels = [str(n) for n in results["slots"]]
    width = 0.36
    for shift, (name, text) in enumerate(
        (("lognormal", "rows differ by 30 %"), ("constant", "rows are alike"))
    ):
        middle.bar(
            np.arange(len(labels)) + (shift - 0.5) * width,
            admission[name].mean(axis=1),
            width,
            label=text,
            color=plotting.PALETTE[shift],
        )
    middle.axhline(1.0, color="#5A5A5A", linewidth=1.0)
    middle.set_xticks(np.arange(len(labels)), labels)
    middle.set_ylim(0, 1.35 * float(admission["lognormal"].mean(axis=1).max()))
    middle.legend(frameon=False, loc="upper left")
    plotting.titles(
        middle,
        "A free slot takes the next row at once",
        "rows at once",
        "throughput, row by row over batch by batch",
    )
    saved = results["bytes"]
    names = ["whole history", "long texts in a store"]
    for shift, (name, text) in enumerate((("size", "simulated"), ("predicted", "predicted"))):
        right.bar(
            np.arange(2) + (shift - 0.5) * width,
            saved[name].mean(axis=1),
            width,
            label=text,
            color=plotting.PALETTE[shift],
        )
    right.set_xticks(np.arange(2), names)
    right.legend(frameon=False)
    gain = float((saved["throughput"][1] / saved["throughput"][0]).mean())
    plotting.titles(
        right,
        f"Long texts in a store: {gain:.2f} × the hops",
        "",
        "bytes of a message",
    )
    plotting.save(left, path)


if __name__ == "__main__":
    harness.main(__name__)
