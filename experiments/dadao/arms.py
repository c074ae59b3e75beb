"""DADAO and its rivals on heterogeneous strongly convex problems: errors against costs.

Every arm solves the same heterogeneous strongly convex problem on the same graph from the same
initial parameters, with the constants that its theorem gives from ``L``, ``mu`` and the graph's
spectrum; nothing is tuned. The costs are the number of gradients and the number of edge uses (one
exchange over one edge) until ``mean ||x_i - x*||^2`` is at the target. All in float64.

Two spreads of the agents' own optima are run and compared with one threshold:

* 1, the first choice: the agents' optima are about as far apart as the initial parameters are from
  the solution. ADOM+ then begins within three decades of the target and ends before its slow rate
  shows. On the path, DADAO missed the threshold for edge uses in the pilot; threshold and arm
  stand as they were.
* ``spread`` (100), which is what the authors' generator gives (coefficients of up to 100 times a
  slope of up to 5 for each agent). These arms were added after that pilot, for ADOM+ and DADAO on
  the star and the path; their claims say so.

MSDA and Continuized use gradients of the conjugate objectives: each is a linear solve here and
counts as one gradient. They are run where that is possible; the paper's claims are against ADOM+,
which like DADAO needs gradients of the objectives only.

Graphs of similar size are padded to one size, so that each method compiles once for them. At full
scale there are about 300 agents (the paper's number) on four graphs and 1,000 on a random regular
graph, with three seeds; give ``--seeds 20`` where there is more time.

References:
    A. Nabli and E. Oyallon, DADAO: Decoupled accelerated decentralized asynchronous optimization,
    2023.
"""

from collections.abc import Callable

import jax
import numpy as np

from experiments.dadao import methods
from experiments.dadao.config import POORLY_CONNECTED, PRIMAL_METHODS, Config
from experiments.dadao.methods import Arm
from experiments.dadao.setup import Setup
from experiments.harness.protocol import Results
from jaxswarm import topology


def graphs(config: Config) -> dict[str, topology.Topology]:
    """Graphs on which all methods are compared, by name."""
    by_name = {
        "star": topology.star(config.star),
        "path": topology.path(config.path),
        "complete": topology.complete(config.complete),
    }
    if config.grid:
        by_name["grid"] = topology.grid(config.grid, config.grid)
    if config.geometric:
        n = config.geometric
        radius = 1.5 * (np.log(n) / (np.pi * n)) ** 0.5
        by_name["geometric"] = topology.random_geometric(n, radius, seed=config.seed)
    if config.regular:
        by_name["regular"] = topology.random_regular(config.regular, 4, seed=config.seed)
    return by_name


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all arms until every seed has converged or used up its events.

    Returns:
        An arm is a dict of ``error``, ``gradients``, ``edges`` and, for asynchronous methods,
        ``time``, each ``[S, R]`` for ``S`` seeds and ``R`` records. There is
        ``graphs[graph][method]``, ``spread[graph][method]``, ``sweep[condition]``,
        ``doubled[process][graph]``, ``barbell[rates]`` and ``logistic["dadao"]``; the scalar
        ``barbell_predicted`` (edge uses with optimal over uniform rates, by theory); and
        ``agents[graph]``, the number of agents.

    Raises:
        ValueError: on fewer than 2 seeds, or sizes that a graph or problem refuses.
    """
    if config.seeds < 2:
        raise ValueError(f"seeds: expected at least 2, got {config.seeds}")
    with jax.enable_x64(True):
        by_name = graphs(config)
        barbell = topology.barbell(config.barbell)
        setups = _setups(config, {**by_name, "barbell": barbell})
        results: Results = {
            "agents": {name: graph.num_agents for name, graph in by_name.items()},
        }
        results["graphs"] = _compare_methods(config, setups, by_name, progress)
        results["spread"] = _compare_at_spread(config, setups, by_name, progress)
        results["sweep"] = _sweep_condition(config, setups["star"], by_name["star"], progress)
        results["doubled"] = _double_rates(config, setups, by_name, progress)
        progress("barbell, edge rates")
        results |= _optimize_edge_rates(config, setups["barbell"], barbell)
        progress("star, logistic regression")
        results["logistic"] = {
            "dadao": methods.dadao(
                setups["star"],
                by_name["star"],
                condition=config.condition,
                floor=config.floor,
                task="logistic",
            )
        }
    return results


def _compare_methods(
    config: Config,
    setups: dict[str, Setup],
    by_name: dict[str, topology.Topology],
    progress: Callable[[str], None],
) -> dict[str, dict[str, Arm]]:
    """All methods on all graphs; ADOM+ stops at the target, the others at the floor."""
    stop_at = {
        "dadao": config.floor,
        "adom+": config.target,
        "adom+ multi-consensus": config.target,
        "msda": config.floor,
        "continuized": config.floor,
    }
    arms: dict[str, dict[str, Arm]] = {name: {} for name in by_name}
    for name, graph in by_name.items():
        for method, floor in stop_at.items():
            progress(f"{name}, {method}")
            arms[name][method] = methods.METHOD_BY_NAME[method](
                setups[name], graph, condition=config.condition, floor=floor
            )
    return arms


def _compare_at_spread(
    config: Config,
    setups: dict[str, Setup],
    by_name: dict[str, topology.Topology],
    progress: Callable[[str], None],
) -> dict[str, dict[str, Arm]]:
    """DADAO and both ADOM+ on poorly connected graphs, with the agents' optima far apart."""
    arms: dict[str, dict[str, Arm]] = {name: {} for name in POORLY_CONNECTED}
    for name in POORLY_CONNECTED:
        for method in PRIMAL_METHODS:
            progress(f"{name}, {method}, spread {config.spread:g}")
            arms[name][method] = methods.METHOD_BY_NAME[method](
                setups[name],
                by_name[name],
                condition=config.condition,
                floor=config.target,
                spread=config.spread,
            )
    return arms


def _sweep_condition(
    config: Config, setup: Setup, star: topology.Topology, progress: Callable[[str], None]
) -> dict[str, Arm]:
    """DADAO on the star at every condition number of the sweep."""
    arms = {}
    for condition in config.sweep:
        progress(f"star, condition number {condition:g}")
        arms[f"{condition:g}"] = methods.dadao(setup, star, condition=condition, floor=config.floor)
    return arms


def _double_rates(
    config: Config,
    setups: dict[str, Setup],
    by_name: dict[str, topology.Topology],
    progress: Callable[[str], None],
) -> dict[str, dict[str, Arm]]:
    """DADAO with one of its two Poisson processes twice as fast."""
    factors = {"gossip": (2.0, 1.0), "gradients": (1.0, 2.0)}  # on the rates of both processes
    arms: dict[str, dict[str, Arm]] = {process: {} for process in factors}
    for name in POORLY_CONNECTED:
        for process, (gossip_factor, gradient_rate) in factors.items():
            progress(f"{name}, {process} twice as often")
            arms[process][name] = methods.dadao(
                setups[name],
                by_name[name],
                condition=config.condition,
                floor=config.target,
                gossip_factor=gossip_factor,
                gradient_rate=gradient_rate,
            )
    return arms


def _optimize_edge_rates(config: Config, setup: Setup, barbell: topology.Topology) -> Results:
    """DADAO on the barbell graph with uniform and with optimal edge rates."""
    best = topology.optimal_rates(barbell, iterations=config.rate_iterations)
    arms = {
        name: methods.dadao(
            setup, barbell, condition=config.condition, floor=config.target, rates=rates
        )
        for name, rates in (("uniform", None), ("optimal", best.rates))
    }
    predicted = (best.chi1 * best.chi2 / np.prod(best.uniform)) ** 0.5
    return {"barbell": arms, "barbell_predicted": predicted}


def _setups(config: Config, by_name: dict[str, topology.Topology]) -> dict[str, Setup]:
    """Padded sizes by graph: graphs within a factor of two of the largest share its size."""
    setups: dict[str, Setup] = {}
    remaining = sorted(by_name, key=lambda name: -by_name[name].num_agents)
    while remaining:
        largest = by_name[remaining[0]].num_agents
        similar = [name for name in remaining if 2 * by_name[name].num_agents >= largest]
        remaining = [name for name in remaining if name not in similar]
        setup = Setup(
            seed=config.seed,
            seeds=config.seeds,
            dimension=config.dimension,
            samples=config.samples,
            every=config.every,
            max_events=config.max_events,
            agents=largest,
            edges=max(by_name[name].num_edge_slots // 2 for name in similar),
        )
        setups.update(dict.fromkeys(similar, setup))
    return setups
