"""Runs of the Matrix experiment: schedulers, admission by row or batch, crashes, bytes, ticks.

A closed queueing network: rows of data go from role to role, and every hop is a control message and
a call to a shared service pool. Schedulers differ by the queue that handles the messages: one
orchestrator, the actors themselves (peer to peer), or a dispatcher per role, which the published
code has brought back. Work is drawn by row and hop in advance, so all schedulers must compute the
same result for every row.

Throughput is simulated event by event; operational laws predict it independently. The full scale
adds 100,000 rows at once in fixed time steps, on three workflows in the spirit of the paper's (a
dialogue of two roles; extraction, filter and question; an agent between tools and a simulated
user).

The message time of the main comparison is an assumption (0.02 s) without a published measurement,
and the gain of peer-to-peer scheduling follows from it. So it is swept, and it is measured on this
machine with real messages (:mod:`experiments.matrix.messages`); with the measured times the gain is
simulated for as many rows at once as the paper had on 31 nodes.

Limits: data-parallel partitions, containers, polled admission and restarts are not modelled.

Shapes: ``C`` concurrencies, ``S`` seeds, ``R`` rows.

References:
    D. Wang et al., Matrix: Peer-to-Peer Multi-Agent Synthetic Data Generation Framework, 2025.
    P. J. Denning, J. P. Buzen, The Operational Analysis of Queueing Network Models, 1978.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.matrix import messages
from experiments.matrix.config import Config
from experiments.matrix.workflows import (
    BYTES_SPREAD,
    DIALOGUE,
    HEADER_BYTES,
    LARGE_WORKFLOWS,
    dialogue,
    expected_field_bytes,
)
from jaxswarm import network
from jaxswarm.systems import matrix

CENTRAL, P2P, DISPATCHER = range(3)  # indices into matrix.SCHEDULERS
MIDDLE_HALF = (0.25, 0.75)  # share of all hops in which admission's throughput is measured
SHORT_MESSAGE = 1e-4  # seconds per message in the comparison of admission
TIME_STEP = 0.05  # seconds per step of the large-scale part
BYTES_PER_TAU = 2000.0  # bytes that take as long as a message, in the part on bytes


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all parts.

    Returns:
        ``sweep``, ``taus``, ``measured``, ``admission``, ``faults``, ``bytes``: see
        :func:`run_sweep`, :func:`run_taus`, :func:`run_measured`, :func:`run_admission`,
        :func:`run_faults`, :func:`run_bytes`; with ``config.at_once`` also ``ticks: NAME`` for
        every large workflow, see :func:`run_ticks`.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    short = jax.random.split(jax.random.key(config.seed), config.short_seeds)
    progress("three schedulers at every concurrency")
    results: dict[str, Any] = {"sweep": run_sweep(config, keys)}
    progress("message times")
    results["taus"] = run_taus(config, keys)
    progress("measured messages")
    results["measured"] = run_measured(config, keys)
    progress("admission by row and by batch")
    results["admission"] = run_admission(config, keys)
    progress("crashes of actors")
    results["faults"] = run_faults(config, short)
    progress("long texts in an object store")
    results["bytes"] = run_bytes(config, short)
    if config.at_once:
        for name, route in LARGE_WORKFLOWS.items():
            progress(f"{config.at_once:,} rows at once: {name}")
            results[f"ticks: {name}"] = run_ticks(config, route, keys[0])
    return jax.tree.map(np.asarray, results)


def run_sweep(config: Config, keys: jax.Array) -> dict[str, Any]:
    """The three schedulers at every concurrency.

    Returns:
        ``throughput [3, C, S]``, hops per second.
    """
    flow = dialogue(config)
    slots = max(config.concurrency)

    def run_seed(scheduler: jax.Array, concurrency: jax.Array, key: jax.Array) -> matrix.RunResult:
        rows = matrix.sample_work(
            key, flow, config.rows, max_hops=config.max_hops, hop_spread=config.spread
        )
        plan = matrix.RunSettings(scheduler, concurrency, config.tau)
        return matrix.run(rows, flow, plan, slots=slots)

    over_all = jax.vmap(jax.vmap(run_seed, (None, None, 0)), (None, 0, None))
    # One scheduler at a time: a batched loop runs until its slowest member ends.
    over_schedulers = jax.jit(
        lambda schedulers, concurrency, keys: jax.lax.map(
            lambda scheduler: over_all(scheduler, concurrency, keys), schedulers
        )
    )
    outcome = over_schedulers(jnp.arange(3), jnp.array(config.concurrency), keys)
    return {"throughput": outcome.throughput}


def run_taus(config: Config, keys: jax.Array) -> np.ndarray:
    """Throughput of peer to peer over central at every message time; all servers busy.

    Returns:
        ``[T, 3]`` for the ``T`` times ``config.taus`` and the first three seeds.
    """
    flow = dialogue(config)

    def run_seed(scheduler: jax.Array, tau: jax.Array, key: jax.Array) -> jax.Array:
        rows = matrix.sample_work(
            key, flow, config.rows // 2, max_hops=config.max_hops, hop_spread=config.spread
        )
        plan = matrix.RunSettings(scheduler, config.servers, tau)
        return matrix.run(rows, flow, plan, slots=config.servers).throughput

    over_all = jax.vmap(jax.vmap(run_seed, (None, None, 0)), (None, 0, None))
    over_schedulers = jax.jit(
        lambda schedulers, taus, keys: jax.lax.map(lambda s: over_all(s, taus, keys), schedulers)
    )
    central, peers = np.asarray(
        over_schedulers(jnp.array([CENTRAL, P2P]), jnp.array(config.taus), keys[:3])
    )
    return peers / central


def run_measured(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Measure message times, and simulate the gain of peer to peer with them.

    Returns:
        ``seconds [H, S]`` for the ``H`` sizes ``config.histories`` and as many measurements as
        there are seeds; ``ratio [H, 2]`` for the first two seeds (which agree to a percent),
        throughput of peer to peer over central in the second half of the time, with
        ``config.rows_of_paper`` rows at once on as many servers and the least measured time.
    """
    at_once = config.rows_of_paper
    seconds = messages.measure(config.histories, config.messages, len(keys), config.seed)
    flow = matrix.flow(DIALOGUE, actors=config.actors, servers=at_once)
    times = config.steps * TIME_STEP
    num_rows = at_once + int(at_once * times)

    def run_scheduler(scheduler: jax.Array, key: jax.Array, tau: float) -> jax.Array:
        rows = matrix.sample_work(
            key, flow, num_rows, max_hops=config.max_hops, hop_spread=config.spread
        )
        return matrix.run_ticks(
            rows, flow, scheduler=scheduler, slots=at_once, tau=tau, dt=TIME_STEP,
            num_steps=config.steps,
        ).completed  # fmt: skip

    ratios = []
    for tau in seconds.min(axis=1):  # other work on the machine only adds time
        both = jax.jit(
            lambda schedulers, key, tau=float(tau): jax.lax.map(
                lambda scheduler: run_scheduler(scheduler, key, tau), schedulers
            )
        )
        late = [
            np.asarray(both(jnp.array([CENTRAL, P2P]), key))[:, config.steps // 2 :]
            for key in keys[:2]
        ]
        central, peers = np.sum(late, axis=2).T
        ratios.append(peers / central)
    return {"seconds": seconds, "ratio": np.array(ratios)}


def run_admission(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Throughput with admission row by row over that with admission batch by batch.

    Returns:
        ``lognormal`` and ``constant`` (service times of the rows), ``[slots, S]`` each.
    """
    ratios: dict[str, list[np.ndarray]] = {"lognormal": [], "constant": []}
    for slots in config.slots:
        flow = matrix.flow([[0.0, 1.0]], actors=4 * slots, servers=slots)
        num_rows = slots * config.batches

        def run_seed(
            spread: jax.Array, batch: jax.Array, key: jax.Array, flow: matrix.Flow = flow,
            num_rows: int = num_rows, slots: int = slots,
        ) -> jax.Array:  # fmt: skip
            rows = matrix.sample_work(
                key, flow, num_rows, max_hops=1, hop_spread=0.0, row_spread=spread
            )
            plan = matrix.RunSettings(P2P, slots, SHORT_MESSAGE, batch=batch, window=MIDDLE_HALF)
            return matrix.run(rows, flow, plan, slots=slots).throughput

        over_seeds = jax.vmap(run_seed, (None, None, 0))
        over_admission = jax.vmap(over_seeds, (None, 0, None))
        over_spreads = jax.vmap(over_admission, (0, None, None))
        spreads, batch = jnp.array([config.spread, 0.0]), jnp.array([False, True])
        throughput = np.asarray(jax.jit(over_spreads)(spreads, batch, keys))
        for name, (by_row, by_batch) in zip(ratios, throughput, strict=True):
            ratios[name].append(by_row / by_batch)
    return {name: np.array(rows) for name, rows in ratios.items()}


def run_faults(config: Config, keys: jax.Array) -> np.ndarray:
    """Rows lost in peer-to-peer runs in which actors crash, ``[S]``."""
    flow = dialogue(config)
    slots = _middle_concurrency(config)
    events = [(time, "crash", actor) for actor, time in enumerate(config.crash_times)]
    crashes = matrix.crashes(network.fault_plan(events, num_agents=3 * config.actors), flow)

    def run_seed(key: jax.Array) -> jax.Array:
        rows = matrix.sample_work(
            key, flow, config.rows // 2, max_hops=config.max_hops, hop_spread=config.spread
        )
        plan = matrix.RunSettings(P2P, slots, config.tau)
        return matrix.run(rows, flow, plan, slots=slots, crashes=crashes).status

    status = np.asarray(jax.jit(jax.vmap(run_seed))(keys))
    return (status == matrix.TOMBSTONE).sum(axis=1)


def run_bytes(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Bytes of a message and throughput, with whole histories and with long texts offloaded.

    Returns:
        ``[2, S]`` each, whole histories first: ``size``, mean bytes of a message; ``throughput``,
        hops per second of the central scheduler; ``predicted``, bytes from the distribution of text
        sizes and the rows' numbers of hops.
    """
    flow = dialogue(config)
    slots = _middle_concurrency(config)
    per_byte = config.tau / BYTES_PER_TAU

    def run_seed(offload: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        rows = matrix.sample_work(
            key, flow, config.rows, max_hops=config.max_hops, hop_spread=config.spread,
            size_spread=BYTES_SPREAD,
        )  # fmt: skip
        plan = matrix.RunSettings(CENTRAL, slots, config.tau, per_byte, offload=offload)
        outcome = matrix.run(rows, flow, plan, slots=slots)
        earlier_hops = jnp.sum(rows.hops * (rows.hops - 1) / 2) / jnp.sum(rows.hops)
        return outcome.message_bytes, outcome.throughput, earlier_hops

    over_both = jax.vmap(jax.vmap(run_seed, (None, 0)), (0, None))
    size, throughput, earlier_hops = map(
        np.asarray, jax.jit(over_both)(jnp.array([False, True]), keys)
    )
    offloaded, whole = expected_field_bytes()
    return {
        "size": size,
        "throughput": throughput,
        "predicted": HEADER_BYTES + earlier_hops * np.array([[whole], [offloaded]]),
    }


def run_ticks(config: Config, route: list[list[float]], key: jax.Array) -> dict[str, Any]:
    """The three schedulers with ``config.at_once`` rows at once, in fixed time steps.

    Returns:
        ``throughput [3]``, hops per second in the second half; ``dropped [3]``, messages lost to
        full queues.
    """
    flow = matrix.flow(route, actors=config.actors, servers=config.servers)
    rows = matrix.sample_work(
        key, flow, 2 * config.at_once, max_hops=config.max_hops, hop_spread=config.spread
    )

    def run_scheduler(scheduler: jax.Array) -> matrix.TickResult:
        return matrix.run_ticks(
            rows, flow, scheduler=scheduler, slots=config.at_once, tau=config.tau, dt=TIME_STEP,
            num_steps=config.ticks,
        )  # fmt: skip

    outcome = jax.jit(lambda schedulers: jax.lax.map(run_scheduler, schedulers))(jnp.arange(3))
    second_half = np.asarray(outcome.completed)[:, config.ticks // 2 :]
    return {"throughput": second_half.mean(axis=1) / TIME_STEP, "dropped": outcome.dropped}


def _middle_concurrency(config: Config) -> int:
    """Rows at once in the parts on crashes and bytes."""
    return config.concurrency[len(config.concurrency) // 2]
