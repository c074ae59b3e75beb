"""Mixing alone: every layout of ``gossip.mix`` on the same graphs, with the workload's parameters.

Shapes: ``N`` agents, parameters of an MLP 64-128-10 as a pytree of leaves ``[N, ...]``.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workload import stacked_parameters
from jaxswarm import gossip, topology
from jaxswarm.gossip import Mixing

EDGE_VALUES_LIMIT = 2**29
"""A segment-sum holds one message per edge; beyond so many numbers it is not timed."""


class MixingOnly:
    """``mix(W, params)`` repeated; ``W`` is an argument, so nothing is folded into constants."""

    def __init__(self, operator: Mixing, params: Any, *, rounds: int) -> None:
        self.name = f"mix:{operator.layout}"
        self.rounds = rounds
        self._operator, self._params = operator, params

        def run(operator: Mixing, params: Any) -> Any:
            return jax.lax.fori_loop(0, rounds, lambda _, p: gossip.mix(operator, p), params)

        self._run = jax.jit(run, donate_argnums=1)

    def compile(self) -> float:
        """Seconds to trace and compile one segment."""
        began = time.perf_counter()
        self._segment = self._run.lower(self._operator, self._params).compile()
        self._params = jax.tree.map(jnp.copy, self._params)
        return time.perf_counter() - began

    def advance(self) -> None:
        """Run one segment and wait for it."""
        self._params = jax.block_until_ready(self._segment(self._operator, self._params))


def graphs(num_agents: int, degrees: tuple[int, ...]) -> dict[str, topology.Topology]:
    """A ring, and random regular graphs of the given degrees below ``num_agents``."""
    found = {"ring": topology.ring(num_agents)}
    for degree in degrees:
        if degree < num_agents:
            found[f"{degree}-regular"] = topology.random_regular(num_agents, degree, seed=0)
    return found


def runners(graph: topology.Topology, *, rounds: int) -> list[MixingOnly]:
    """One runner per layout that the graph admits."""
    params = stacked_parameters(graph.num_agents, 0)
    size = sum(leaf[0].size for leaf in jax.tree.leaves(params))
    names = ["gather", "dense"]
    if graph.offsets is not None:
        names.insert(0, "circulant")
    if graph.num_edge_slots * size <= EDGE_VALUES_LIMIT:
        names.append("segment")
    return [MixingOnly(gossip.mixing(graph, layout=name), params, rounds=rounds) for name in names]
