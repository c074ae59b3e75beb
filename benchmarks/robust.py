"""Robust gossip rules beside plain averaging and beside a Python loop over ByzFL's aggregators.

``python -m benchmarks.robust --json PATH [--quick]``

All of them aggregate the same neighbourhoods: random 8-regular graph, float32 models. The programs
take turns in one process, two rounds a call; a time is the median over calls. ``whole`` is the same
rule with chunks of 64 MB. ByzFL (0.0.11, ``pip install byzfl``) is left out if it is missing.
"""

import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import jax
import numpy as np

from benchmarks import command
from jaxswarm import gossip, topology
from jaxswarm.gossip import robust
from jaxswarm.types import Params, PyTree

Carry: TypeAlias = tuple[Params, PyTree]

BYZANTINE, DEGREE, ROUNDS = 1, 8, 2
WHOLE_BYTES = 2**26
RULES: dict[str, Callable[..., gossip.GossipTransformation]] = {
    "median": robust.median,
    "trimmed_mean": lambda graph, **o: robust.trimmed_mean(graph, BYZANTINE, **o),
    "krum": lambda graph, **o: robust.krum(graph, BYZANTINE, **o),
    "multi_krum": lambda graph, **o: robust.multi_krum(graph, BYZANTINE, **o),
    "geometric_median": robust.geometric_median,
    "foolsgold": robust.foolsgold,
}
PEERS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "median": lambda byzfl: byzfl.Median(),
    "trimmed_mean": lambda byzfl: byzfl.TrMean(f=BYZANTINE),
    "krum": lambda byzfl: byzfl.Krum(f=BYZANTINE),
    "multi_krum": lambda byzfl: byzfl.MultiKrum(f=BYZANTINE),
    "geometric_median": lambda byzfl: byzfl.GeometricMedian(nu=1e-6, T=8),
}


class Rule:
    """A gossip rule, several rounds at a call."""

    def __init__(self, rule: gossip.GossipTransformation, params: np.ndarray) -> None:
        key, exchange = jax.random.key(0), gossip.Exchange(0)
        self._carry = jax.numpy.asarray(params), rule.init(params)

        def several(carry: Carry) -> Carry:
            def one(_: jax.Array, carry: Carry) -> Carry:
                params, state = carry
                return rule.mix(key, params, state, exchange)[:2]

            return jax.lax.fori_loop(0, ROUNDS, one, carry)

        self._several = jax.jit(several, donate_argnums=0)

    def __call__(self) -> None:
        """Run the rounds and wait for them."""
        self._carry = jax.block_until_ready(self._several(self._carry))


class Loop:
    """ByzFL's aggregator, one agent after another."""

    def __init__(
        self, aggregator: Callable[[Any], Any], candidates: np.ndarray, params: np.ndarray
    ) -> None:
        import torch  # pyright: ignore[reportMissingImports]

        self._aggregator, self._params = aggregator, torch.from_numpy(params)
        self._candidates = torch.from_numpy(candidates)

    def __call__(self) -> None:
        """Run the rounds."""
        for _ in range(ROUNDS):
            for one in self._candidates:
                self._aggregator(self._params[one])


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """Time the rules; prints a row for each."""
    n, size, turns = (20, 300, 2) if quick else (1000, 10_000, 5)
    graph = topology.random_regular(n, DEGREE, seed=0)
    params = np.random.default_rng(0).normal(size=(n, size)).astype(np.float32)
    neighbors = np.asarray(topology.in_neighbors(graph)[0])
    candidates = np.concatenate([np.arange(n)[:, None], neighbors], axis=1).astype(np.int64)
    chunk = max(WHOLE_BYTES // (4 * (DEGREE + 1) * size), 1)
    byzfl = _byzfl()
    rows = []
    for name in sections:
        mean = gossip.averaging(gossip.mixing(graph, "uniform", connected=False))
        programs: dict[str, Callable[[], None]] = {
            "averaging": Rule(mean, params),
            "rule": Rule(RULES[name](graph), params),
            "whole": Rule(RULES[name](graph, chunk=chunk), params),
        }
        if byzfl is not None and name in PEERS:
            programs["byzfl"] = Loop(PEERS[name](byzfl), candidates, params)
        seconds: dict[str, list[float]] = {key: [] for key in programs}
        for turn in range(turns + 1):  # the first compiles
            for key, program in programs.items():
                began = time.perf_counter()
                program()
                if turn:
                    seconds[key].append((time.perf_counter() - began) / ROUNDS)
        ms = {key: 1e3 * statistics.median(own) for key, own in seconds.items()}
        ratios = {f"{key} / rule": ms[key] / ms["rule"] for key in ms if key in ("whole", "byzfl")}
        row = {"rule": name, "ms": ms, "x averaging": ms["rule"] / ms["averaging"], **ratios}
        times = ", ".join(f"{key} {value:.1f}" for key, value in ms.items())
        print(f"{name:17} ms a round: {times}; {row['x averaging']:.1f} x averaging", flush=True)
        rows.append(row)
    return {"agents": n, "degree": DEGREE, "parameters": size, "rows": rows}


def _byzfl() -> ModuleType | None:
    try:
        return importlib.import_module("byzfl.aggregators.aggregators")
    except ModuleNotFoundError:
        print("ByzFL is not installed: its times are left out (pip install byzfl)")
        return None


if __name__ == "__main__":
    command.main("robust", __doc__, RULES, run)
