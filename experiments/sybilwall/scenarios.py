"""Graphs with Sybils and the training data of honest agents and attacker.

Shapes: ``S`` seeds, ``A`` attacks, ``N`` agents (honest agents first, then Sybils).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.sybilwall.config import (
    ATTACKS,
    CONCENTRATED,
    NO_ATTACK,
    Config,
    density_name,
    scenario_names,
)
from jaxswarm import data, topology
from jaxswarm.systems import sybilwall
from jaxswarm.systems.sybilwall.graphs import SybilSwarm


def build_scenarios(config: Config) -> dict[str, SybilSwarm]:
    """Add Sybils to one honest graph, in every scenario.

    Returns:
        Scenario name -> graph, in the order of :func:`scenario_names`. All have the same number of
        agents: Sybils that a scenario does not need have no edge.
    """
    graph = topology.random_geometric(
        config.honest, config.radius, max_degree=config.degree, seed=config.seed, repair=True
    )
    quarter = max(config.honest // 4, 1)
    few_victims = np.unique(np.linspace(0, config.honest - 1, quarter).astype(int))
    density_and_victims: dict[str, tuple[float, np.ndarray | None]] = {
        NO_ATTACK: (0.0, None),
        **{density_name(density): (density, None) for density in config.densities},
        CONCENTRATED: (1.0, few_victims),
    }

    def attach_sybils(total: int | None = None) -> dict[str, SybilSwarm]:
        return {
            name: sybilwall.with_sybils(
                graph,
                density_and_victims[name][0],
                max_degree=config.degree,
                victims=density_and_victims[name][1],
                total=total,
            )
            for name in scenario_names(config)
        }

    largest = max(swarm.topology.num_agents for swarm in attach_sybils().values())
    return attach_sybils(largest)


def partition_data(
    config: Config, train: data.Dataset, n: int
) -> tuple[data.Shards, dict[str, jax.Array]]:
    """Partition the training set over ``n`` agents, for every seed and attack.

    Honest agents hold a non-IID (Dirichlet) part each. For the label flip every Sybil holds an
    equal share and all samples of both flipped classes; for the backdoor it holds everything.

    Returns:
        The whole data set as shards, and what selects an agent's part of it: ``indices``, ``mask``
        and ``counts`` of :class:`jaxswarm.data.Shards`, leaves ``[S, A, N, ...]``.
    """
    samples = data.shards(train, data.iid(train.labels, 1))
    labels = np.asarray(train.labels)
    everything = np.arange(train.num_samples)
    share = everything[:: config.honest]
    with_flipped_classes = np.union1d(share, np.flatnonzero(labels <= 1))
    partitions = []
    for index in range(config.seeds):
        honest = data.dirichlet_over_agents(
            train.labels, config.honest, alpha=config.alpha, seed=config.seed * 1000 + index
        )
        honest_rows = [honest.rows(agent) for agent in range(config.honest)]
        for attacker_rows in (with_flipped_classes, everything):  # in the order of ATTACKS
            sybil_rows = [attacker_rows] * (n - config.honest)
            partitions.append(
                data.from_rows(honest_rows + sybil_rows, train.num_samples, overlap=True)
            )
    return samples, {
        field: _stack(config, partitions, field, width=train.num_samples)
        for field in ("indices", "mask", "counts")
    }


def _stack(
    config: Config, partitions: list[data.Partition], field: str, *, width: int
) -> jax.Array:
    """One field of all partitions, ``[S, A, N, ...]``; lists of samples are padded to ``width``."""
    leaves: list[Any] = [np.asarray(getattr(partition, field)) for partition in partitions]
    if leaves[0].ndim == 2:
        leaves = [np.pad(leaf, ((0, 0), (0, width - leaf.shape[1]))) for leaf in leaves]
    stacked = np.stack(leaves)
    return jnp.asarray(stacked.reshape(config.seeds, len(ATTACKS), *stacked.shape[1:]))
