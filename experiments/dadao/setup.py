"""Problems and padded sizes that all arms of the DADAO experiment share on one graph.

Graphs of similar size are padded to one size so that a method compiles once for them: padding
agents hold a copy of real data, have no edges and are left out of errors and costs; padding clocks
have rate 0.

Shapes: ``S`` seeds, ``N`` agents with padding, ``M`` samples of an agent, ``d`` parameters.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.learning.asynchronous import adom as synchronous
from jaxswarm.learning.asynchronous import convex
from jaxswarm.learning.asynchronous.clocks import Clocks


@dataclass(frozen=True)
class Setup:
    """Sizes that all arms on a graph share.

    Attributes:
        seed: base seed.
        seeds: number of runs ``S``.
        dimension: parameters ``d`` of the problem.
        samples: samples ``M`` of each agent.
        every: events between two records.
        max_events: events after which a run ends unconverged.
        agents: padded number of agents ``N``.
        edges: padded number of undirected edges ``E``.
    """

    seed: int
    seeds: int
    dimension: int
    samples: int
    every: int
    max_events: int
    agents: int
    edges: int


class Problem(NamedTuple):
    """The problems of all seeds and the initial parameters that all methods share.

    Attributes:
        samples: data of the agents, leaves ``[S, N, M, ...]``.
        optimum: ``[S, d]`` minimizer of the sum of the objectives.
        ridge: ``[S]`` weight of the squared norm.
        initial: ``[S, N, d]`` initial parameters.
        real: ``bool[S, N]``, false for padding agents.
    """

    samples: convex.Samples
    optimum: jax.Array
    ridge: jax.Array
    initial: jax.Array
    real: jax.Array


def problems(
    setup: Setup,
    num_agents: int,
    condition: float,
    padded: int,
    *,
    spread: float = 1.0,
    task: convex.Task = "least_squares",
) -> Problem:
    """Problems of all seeds, stacked; a seed's problem is the same for every method."""
    by_seed = []
    for s in range(setup.seeds):
        seed = 1000 * setup.seed + s
        problem = convex.heterogeneous(
            num_agents,
            condition=condition,
            dimension=setup.dimension,
            samples=setup.samples,
            spread=spread,
            task=task,
            seed=seed,
        )
        source = np.minimum(np.arange(padded), num_agents - 1)  # of padding: the last agent
        initial = np.random.default_rng([seed, 1]).normal(size=(num_agents, setup.dimension))
        by_seed.append(
            Problem(
                samples=jax.tree.map(lambda leaf, source=source: leaf[source], problem.samples),
                optimum=jnp.asarray(problem.optimum),
                ridge=jnp.asarray(problem.ridge),
                initial=jnp.asarray(initial[source]),
                real=jnp.arange(padded) < num_agents,
            )
        )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *by_seed)


def squared_distance(params: jax.Array, problem: Problem) -> jax.Array:
    """Squared distance to the optimum, mean over the agents that are not padding."""
    squared = ((params - problem.optimum[None]) ** 2).sum(axis=-1)
    return jnp.where(problem.real, squared, 0.0).sum() / problem.real.sum()


def pad_matrix(network: synchronous.GossipMatrix, setup: Setup) -> synchronous.GossipMatrix:
    """The same gossip matrix with zero rows and columns for padding agents."""
    padding = setup.agents - len(network.matrix)
    return network._replace(matrix=np.pad(network.matrix, ((0, padding), (0, padding))))


def pad_clocks(poisson_clocks: Clocks, num_agents: int, setup: Setup) -> Clocks:
    """The same clocks with clocks of rate 0 for padding agents and edges."""
    padding = setup.agents + setup.edges - np.shape(poisson_clocks.rates)[0]
    ids = np.asarray(poisson_clocks.agents)
    ids = np.where(ids == num_agents, setup.agents, ids)  # no agent: one past the last
    return Clocks(
        jnp.pad(poisson_clocks.rates, (0, padding)),
        jnp.asarray(np.pad(ids, ((0, padding), (0, 0)), constant_values=setup.agents)),
        jnp.pad(jnp.asarray(poisson_clocks.kinds), (0, padding)),
    )
