"""The arms of :mod:`experiments.dadao`: each method on one graph, until all seeds are done.

Graphs of like size are padded to one size so that a method compiles once for them: padding agents
hold a copy of real data, are linked to nobody and are left out of errors and costs; padding clocks
have rate 0.

Shapes: ``S`` seeds, ``N`` agents with padding, ``R`` records. An arm is a dict of ``[S, R]``:
``error`` (mean squared distance to the optimum), ``gradients``, ``edges`` (totals spent) and, for
asynchronous methods, ``time``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.learning.asynchronous import adom as synchronous
from jaxswarm.learning.asynchronous import convex, dual, events
from jaxswarm.learning.asynchronous._dadao import (
    GOSSIP,
    GRADIENT,
    clocks,
    dadao_process,
    start,
)
from jaxswarm.learning.asynchronous.clocks import Clocks
from jaxswarm.learning.asynchronous.constants import DadaoConstants, constants
from jaxswarm.topology import Topology, spectra

BLOCK = 40  # records between two looks at whether all seeds are done
STEPS_PER_RECORD = 2  # of synchronous methods

Arm = dict[str, np.ndarray]


@dataclass(frozen=True)
class Bench:
    """What all arms share; ``agents`` and ``edges`` are the padded sizes."""

    seed: int
    seeds: int
    dimension: int
    samples: int
    every: int
    max_events: int
    agents: int
    edges: int


class Data(NamedTuple):
    """Per seed: the problem and the common start."""

    samples: convex.Samples  # leaves [S, N, M, ...]
    optimum: Any  # [S, d]
    ridge: Any  # [S]
    begin: Any  # [S, N, d]
    real: Any  # bool[S, N]


def data(
    bench: Bench,
    num_agents: int,
    condition: float,
    padded: int,
    *,
    spread: float = 1.0,
    task: convex.Task = "least_squares",
) -> Data:
    """Problems of all seeds; a seed's problem is the same for every method."""
    found = []
    for s in range(bench.seeds):
        seed = 1000 * bench.seed + s
        made = convex.heterogeneous(
            num_agents,
            condition=condition,
            dimension=bench.dimension,
            samples=bench.samples,
            spread=spread,
            task=task,
            seed=seed,
        )
        who = np.minimum(np.arange(padded), num_agents - 1)
        begin = np.random.default_rng([seed, 1]).normal(size=(num_agents, bench.dimension))
        found.append(
            Data(
                samples=jax.tree.map(lambda leaf, who=who: leaf[who], made.samples),
                optimum=made.optimum,
                ridge=np.asarray(made.ridge),
                begin=begin[who],
                real=np.arange(padded) < num_agents,
            )
        )
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *found)


def dadao(
    bench: Bench,
    graph: Topology,
    *,
    condition: float,
    floor: float,
    rates: np.ndarray | None = None,
    gossip_factor: float = 1.0,
    gradient_rate: float = 1.0,
    spread: float = 1.0,
    task: convex.Task = "least_squares",
) -> Arm:
    """DADAO with its own constants.

    Args:
        bench: sizes.
        graph: who is linked.
        condition: ``L``, with ``μ = 1``.
        floor: error at which all seeds may stop.
        rates: ``[E]`` of the edges, summing to 1; uniform by default.
        gossip_factor: multiplies the rate that the theorem asks for.
        gradient_rate: of each agent.
        spread: standard deviation of the local optima.
        task: of the problem.
    """
    chi1, chi2 = spectra.chi(graph, rates)
    found = constants(
        condition,
        1.0,
        chi1,
        chi2,
        gossip_rate=gossip_factor * (2.0 * chi1 * chi2) ** 0.5,
        gradient_rate=gradient_rate,
    )
    ringing = _pad(clocks(graph, found, rates), graph.num_agents, bench)
    given = data(bench, graph.num_agents, condition, bench.agents, spread=spread, task=task)
    process = dadao_process(convex.gradient(task), found)
    # As in the authors' code: parameters at random, all else zero.
    begin = start(given.begin)._replace(params_momentum=jnp.zeros_like(given.begin))
    state = jax.vmap(process.init)(begin)
    block = partial(_dadao_block, ringing, found, given, task=task, every=bench.every)
    return _until_done(bench, block, state, given, floor, bench.every)


@partial(jax.jit, static_argnames=("task", "every"))
def _dadao_block(
    ringing: Clocks,
    found: DadaoConstants,
    given: Data,
    keys: jax.Array,
    state: events.ProcessState,
    *,
    task: convex.Task,
    every: int,
) -> Any:
    def one(key: jax.Array, state: events.ProcessState, given: Data) -> Any:
        process = dadao_process(convex.gradient(task, given.ridge), found)

        def evaluate(state: events.ProcessState) -> dict[str, jax.Array]:
            return {
                "error": _error(process.at(state).params, given),
                "gradients": state.counts[GRADIENT],
                "edges": state.counts[GOSSIP],
                "time": state.time,
            }

        stream = events.poisson_events(key, ringing, BLOCK * every, start=state.time)
        return process.run(key, state, stream, given.samples, every=every, evaluate=evaluate)

    return jax.vmap(one)(keys, state, given)


def continuized(bench: Bench, graph: Topology, *, condition: float, floor: float) -> Arm:
    """The coupled dual method; an edge's event costs one gradient of each end."""
    chi = jnp.asarray(spectra.chi(graph))
    ringing = _pad(dual.continuized_clocks(graph), graph.num_agents, bench)
    given = data(bench, graph.num_agents, condition, bench.agents)
    zero = jnp.zeros_like(given.begin)
    process = dual.continuized(_dual_gradient, smoothness=condition, convexity=1.0, chi1=1, chi2=1)
    state = jax.vmap(process.init)(dual.ContinuizedAgent(zero, zero))
    block = partial(_continuized_block, ringing, chi, condition, given, every=bench.every)
    return _until_done(bench, block, state, given, floor, bench.every)


@partial(jax.jit, static_argnames="every")
def _continuized_block(
    ringing: Clocks,
    chi: jax.Array,
    condition: Any,
    given: Data,
    keys: jax.Array,
    state: events.ProcessState,
    *,
    every: int,
) -> Any:
    process = dual.continuized(
        _dual_gradient, smoothness=condition, convexity=1.0, chi1=chi[0], chi2=chi[1]
    )

    def one(key: jax.Array, state: events.ProcessState, given: Data) -> Any:
        def evaluate(state: events.ProcessState) -> dict[str, jax.Array]:
            params = jax.vmap(_dual_gradient)(process.at(state).dual, given.samples)
            used = state.counts[0]
            return {
                "error": _error(params, given),
                "gradients": 2 * used,
                "edges": used,
                "time": state.time,
            }

        stream = events.poisson_events(key, ringing, BLOCK * every, start=state.time)
        return process.run(key, state, stream, given.samples, every=every, evaluate=evaluate)

    return jax.vmap(one)(keys, state, given)


def adom(
    bench: Bench,
    graph: Topology,
    *,
    condition: float,
    floor: float,
    spread: float = 1.0,
    multi_consensus: bool = False,
) -> Arm:
    """ADOM+, one gossip round a step unless ``multi_consensus``."""
    network = _padded(synchronous.gossip_matrix(graph, multi_consensus=multi_consensus), bench)
    n = graph.num_agents
    given = data(bench, n, condition, bench.agents, spread=spread)
    gradient = convex.gradient("least_squares")
    algorithm = synchronous.adom_plus(gradient, network, smoothness=condition, convexity=1.0)
    state = jax.vmap(algorithm.init)(given.begin)
    block = partial(_adom_block, network, condition, given)
    arm = _until_done(bench, block, state, given, floor, STEPS_PER_RECORD * n)
    arm["gradients"] = arm["gradients"] // bench.agents * n
    return arm


adom_multi_consensus = partial(adom, multi_consensus=True)


@jax.jit
def _adom_block(
    network: synchronous.GossipMatrix,
    condition: Any,
    given: Data,
    keys: jax.Array,
    state: synchronous.AdomState,
) -> Any:
    gradient = convex.gradient("least_squares")
    algorithm = synchronous.adom_plus(gradient, network, smoothness=condition, convexity=1.0)
    return _synchronous(algorithm, keys, state, given)


def msda(bench: Bench, graph: Topology, *, condition: float, floor: float) -> Arm:
    """MSDA; a dual gradient counts as one gradient."""
    network = _padded(synchronous.gossip_matrix(graph), bench)
    n = graph.num_agents
    given = data(bench, n, condition, bench.agents)
    algorithm = dual.msda(_dual_gradient, network, smoothness=condition, convexity=1.0)
    state = jax.vmap(algorithm.init)(given.begin)
    block = partial(_msda_block, network, condition, given)
    arm = _until_done(bench, block, state, given, floor, STEPS_PER_RECORD * n)
    arm["gradients"] = arm["gradients"] // bench.agents * n
    return arm


@jax.jit
def _msda_block(
    network: synchronous.GossipMatrix,
    condition: Any,
    given: Data,
    keys: jax.Array,
    state: dual.MsdaState,
) -> Any:
    algorithm = dual.msda(_dual_gradient, network, smoothness=condition, convexity=1.0)
    return _synchronous(algorithm, keys, state, given)


def _synchronous(algorithm: Any, keys: jax.Array, state: Any, given: Data) -> Any:
    def one(key: jax.Array, state: Any, given: Data) -> Any:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            return algorithm.step(key, state, given.samples)

        def record(state: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
            state, costs = jax.lax.scan(step, state, None, length=STEPS_PER_RECORD)
            return state, {
                "error": _error(state.params, given),
                "gradients": costs.gradients[-1],
                "edges": costs.edge_uses[-1],
            }

        return jax.lax.scan(record, state, None, length=BLOCK)

    return jax.vmap(one)(keys, state, given)


def _until_done(
    bench: Bench,
    block: Callable[[jax.Array, Any], tuple[Any, dict[str, jax.Array]]],
    state: Any,
    given: Data,
    floor: float,
    events_per_record: int,
) -> Arm:
    """Blocks of records until every seed is at ``floor``, broke down, or ``max_events`` passed."""
    key = jax.random.key(bench.seed)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(bench.seeds))
    first = np.asarray(jax.vmap(_error)(given.begin, given))[:, None]
    parts: list[dict[str, np.ndarray]] = []
    for number in range(-(-bench.max_events // (BLOCK * events_per_record))):
        now = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
        state, records = block(now, state)
        parts.append({name: np.asarray(value) for name, value in records.items()})
        last = parts[-1]["error"]
        if np.all(last.min(axis=1) <= floor) or not np.all(np.isfinite(last)):
            break
    return {
        name: np.concatenate(
            [first if name == "error" else 0 * parts[0][name][:, :1], *(p[name] for p in parts)],
            axis=1,
        )
        for name in parts[0]
    }


def _error(params: jax.Array, given: Data) -> jax.Array:
    squared = ((params - given.optimum[None]) ** 2).sum(axis=-1)
    return jnp.where(given.real, squared, 0.0).sum() / given.real.sum()


_dual_gradient = dual.quadratic_dual_gradient(convex.quadratic)


def _padded(network: synchronous.GossipMatrix, bench: Bench) -> synchronous.GossipMatrix:
    lacking = bench.agents - len(network.matrix)
    return network._replace(matrix=np.pad(network.matrix, ((0, lacking), (0, lacking))))


def _pad(ringing: Clocks, num_agents: int, bench: Bench) -> Clocks:
    lacking = bench.agents + bench.edges - len(ringing.rates)
    ids = np.asarray(ringing.agents)
    ids = np.where(ids == num_agents, bench.agents, ids)  # "nobody" is one past the last agent
    return Clocks(
        jnp.pad(ringing.rates, (0, lacking)),
        jnp.asarray(np.pad(ids, ((0, lacking), (0, 0)), constant_values=bench.agents)),
        jnp.pad(jnp.asarray(ringing.kinds), (0, lacking)),
    )
