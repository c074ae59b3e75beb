"""Optimization methods of the DADAO experiment, each run on one graph until all seeds are done.

Shapes: ``S`` seeds, ``N`` agents with padding, ``R`` records. An arm is a dict of ``[S, R]``:
``error`` (mean squared distance to the optimum), ``gradients``, ``edges`` (totals spent) and, for
asynchronous methods, ``time``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dadao.setup import (
    Problem,
    Setup,
    pad_clocks,
    pad_matrix,
    problems,
    squared_distance,
)
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
from jaxswarm.learning.asynchronous.constants import DadaoConstants
from jaxswarm.learning.asynchronous.constants import constants as theorem_constants
from jaxswarm.topology import Topology, spectra

BLOCK = 40  # records between two checks of whether all seeds are done
STEPS_PER_RECORD = 2  # steps of a synchronous method between two records

Arm = dict[str, np.ndarray]


def dadao(
    setup: Setup,
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
    """Run DADAO with the constants of its theorem.

    Args:
        setup: sizes.
        graph: the communication graph.
        condition: ``L``, with ``mu = 1``.
        floor: error at which the run stops once all seeds have reached it.
        rates: ``[E]`` relative rates of the edges, summing to 1; uniform by default.
        gossip_factor: factor on the total gossip rate that the theorem asks for.
        gradient_rate: gradients of each agent per unit of time.
        spread: standard deviation of the agents' own optima.
        task: least squares or logistic regression.
    """
    chi1, chi2 = spectra.chi(graph, rates)
    constants = theorem_constants(
        condition,
        1.0,
        chi1,
        chi2,
        gossip_rate=gossip_factor * (2.0 * chi1 * chi2) ** 0.5,
        gradient_rate=gradient_rate,
    )
    poisson_clocks = pad_clocks(clocks(graph, constants, rates), graph.num_agents, setup)
    problem = problems(setup, graph.num_agents, condition, setup.agents, spread=spread, task=task)
    process = dadao_process(convex.gradient(task), constants)
    # As in the authors' code: random parameters, everything else zero.
    agents = start(problem.initial)._replace(params_momentum=jnp.zeros_like(problem.initial))
    state = jax.vmap(process.init)(agents)
    block = partial(_dadao_block, poisson_clocks, constants, problem, task=task, every=setup.every)
    return _until_done(setup, block, state, problem, floor, setup.every)


@partial(jax.jit, static_argnames=("task", "every"))
def _dadao_block(
    poisson_clocks: Clocks,
    constants: DadaoConstants,
    problem: Problem,
    keys: jax.Array,
    state: events.ProcessState,
    *,
    task: convex.Task,
    every: int,
) -> Any:
    def run_seed(key: jax.Array, state: events.ProcessState, problem: Problem) -> Any:
        process = dadao_process(convex.gradient(task, problem.ridge), constants)

        def evaluate(state: events.ProcessState) -> dict[str, jax.Array]:
            return {
                "error": squared_distance(process.at(state).params, problem),
                "gradients": state.counts[GRADIENT],
                "edges": state.counts[GOSSIP],
                "time": state.time,
            }

        stream = events.poisson_events(key, poisson_clocks, BLOCK * every, start=state.time)
        return process.run(key, state, stream, problem.samples, every=every, evaluate=evaluate)

    return jax.vmap(run_seed)(keys, state, problem)


def continuized(setup: Setup, graph: Topology, *, condition: float, floor: float) -> Arm:
    """Run Continuized, the coupled dual method; an edge event costs a gradient of each end."""
    chi = jnp.asarray(spectra.chi(graph))
    poisson_clocks = pad_clocks(dual.continuized_clocks(graph), graph.num_agents, setup)
    problem = problems(setup, graph.num_agents, condition, setup.agents)
    zero = jnp.zeros_like(problem.initial)
    process = dual.continuized(_dual_gradient, smoothness=condition, convexity=1.0, chi1=1, chi2=1)
    state = jax.vmap(process.init)(dual.ContinuizedAgent(zero, zero))
    block = partial(_continuized_block, poisson_clocks, chi, condition, problem, every=setup.every)
    return _until_done(setup, block, state, problem, floor, setup.every)


@partial(jax.jit, static_argnames="every")
def _continuized_block(
    poisson_clocks: Clocks,
    chi: jax.Array,
    condition: Any,
    problem: Problem,
    keys: jax.Array,
    state: events.ProcessState,
    *,
    every: int,
) -> Any:
    process = dual.continuized(
        _dual_gradient, smoothness=condition, convexity=1.0, chi1=chi[0], chi2=chi[1]
    )

    def run_seed(key: jax.Array, state: events.ProcessState, problem: Problem) -> Any:
        def evaluate(state: events.ProcessState) -> dict[str, jax.Array]:
            params = jax.vmap(_dual_gradient)(process.at(state).dual, problem.samples)
            used = state.counts[0]
            return {
                "error": squared_distance(params, problem),
                "gradients": 2 * used,
                "edges": used,
                "time": state.time,
            }

        stream = events.poisson_events(key, poisson_clocks, BLOCK * every, start=state.time)
        return process.run(key, state, stream, problem.samples, every=every, evaluate=evaluate)

    return jax.vmap(run_seed)(keys, state, problem)


def adom(
    setup: Setup,
    graph: Topology,
    *,
    condition: float,
    floor: float,
    spread: float = 1.0,
    multi_consensus: bool = False,
) -> Arm:
    """Run ADOM+ with one gossip round per step, or with several for ``multi_consensus``."""
    network = pad_matrix(synchronous.gossip_matrix(graph, multi_consensus=multi_consensus), setup)
    n = graph.num_agents
    problem = problems(setup, n, condition, setup.agents, spread=spread)
    gradient = convex.gradient("least_squares")
    algorithm = synchronous.adom_plus(gradient, network, smoothness=condition, convexity=1.0)
    state = jax.vmap(algorithm.init)(problem.initial)
    block = partial(_adom_block, network, condition, problem)
    arm = _until_done(setup, block, state, problem, floor, STEPS_PER_RECORD * n)
    arm["gradients"] = arm["gradients"] // setup.agents * n
    return arm


adom_multi_consensus = partial(adom, multi_consensus=True)


@jax.jit
def _adom_block(
    network: synchronous.GossipMatrix,
    condition: Any,
    problem: Problem,
    keys: jax.Array,
    state: synchronous.AdomState,
) -> Any:
    gradient = convex.gradient("least_squares")
    algorithm = synchronous.adom_plus(gradient, network, smoothness=condition, convexity=1.0)
    return _synchronous(algorithm, keys, state, problem)


def msda(setup: Setup, graph: Topology, *, condition: float, floor: float) -> Arm:
    """Run MSDA; a gradient of the conjugate objective counts as one gradient."""
    network = pad_matrix(synchronous.gossip_matrix(graph), setup)
    n = graph.num_agents
    problem = problems(setup, n, condition, setup.agents)
    algorithm = dual.msda(_dual_gradient, network, smoothness=condition, convexity=1.0)
    state = jax.vmap(algorithm.init)(problem.initial)
    block = partial(_msda_block, network, condition, problem)
    arm = _until_done(setup, block, state, problem, floor, STEPS_PER_RECORD * n)
    arm["gradients"] = arm["gradients"] // setup.agents * n
    return arm


@jax.jit
def _msda_block(
    network: synchronous.GossipMatrix,
    condition: Any,
    problem: Problem,
    keys: jax.Array,
    state: dual.MsdaState,
) -> Any:
    algorithm = dual.msda(_dual_gradient, network, smoothness=condition, convexity=1.0)
    return _synchronous(algorithm, keys, state, problem)


def _synchronous(algorithm: Any, keys: jax.Array, state: Any, problem: Problem) -> Any:
    def run_seed(key: jax.Array, state: Any, problem: Problem) -> Any:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            return algorithm.step(key, state, problem.samples)

        def record(state: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
            state, costs = jax.lax.scan(step, state, None, length=STEPS_PER_RECORD)
            return state, {
                "error": squared_distance(state.params, problem),
                "gradients": costs.gradients[-1],
                "edges": costs.edge_uses[-1],
            }

        return jax.lax.scan(record, state, None, length=BLOCK)

    return jax.vmap(run_seed)(keys, state, problem)


def _until_done(
    setup: Setup,
    block: Callable[[jax.Array, Any], tuple[Any, dict[str, jax.Array]]],
    state: Any,
    problem: Problem,
    floor: float,
    events_per_record: int,
) -> Arm:
    """Run blocks of records until all seeds are at ``floor``, one diverged or events ran out."""
    key = jax.random.key(setup.seed)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(setup.seeds))
    initial = np.asarray(jax.vmap(squared_distance)(problem.initial, problem))[:, None]
    parts: list[dict[str, np.ndarray]] = []
    for number in range(-(-setup.max_events // (BLOCK * events_per_record))):
        block_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
        state, records = block(block_keys, state)
        parts.append({name: np.asarray(value) for name, value in records.items()})
        last = parts[-1]["error"]
        if np.all(last.min(axis=1) <= floor) or not np.all(np.isfinite(last)):
            break
    return {
        name: np.concatenate(
            [
                initial if name == "error" else 0 * parts[0][name][:, :1],
                *(part[name] for part in parts),
            ],
            axis=1,
        )
        for name in parts[0]
    }


_dual_gradient = dual.quadratic_dual_gradient(convex.quadratic)


METHOD_BY_NAME: dict[str, Callable[..., Arm]] = {
    "dadao": dadao,
    "adom+": adom,
    "adom+ multi-consensus": adom_multi_consensus,
    "msda": msda,
    "continuized": continuized,
}
"""``method(setup, graph, condition=, floor=)``; the first three also take ``spread``."""
