"""Gossip learning against PyTorch, and mixing layouts against each other.

``python -m benchmarks.gossip --json PATH [--quick]``

Implementations of one setting take turns in one process, segment by segment, so that a noisy moment
hits all of them; a rate is the median over segments. Compilation is timed apart. The accuracy after
the same number of rounds for all shows that they do the same work.

The share of copy bandwidth can pass 100 %: what fits a cache is not fetched from memory.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks import layouts, workload
from benchmarks.ceiling import Ceiling
from benchmarks.swarm import Swarm

Row = dict[str, Any]
ACCURACY_TOLERANCE = 0.05


class Runner(Protocol):
    """One implementation of one setting; ``advance`` runs ``rounds`` rounds and waits."""

    name: str
    rounds: int

    def compile(self) -> float:
        """Seconds spent before the first segment can run at full speed."""
        ...

    def advance(self) -> None:
        """Run one segment and wait for it."""
        ...


def measure(runners: Sequence[Runner], repeats: int, ceiling: Ceiling) -> list[tuple[float, float]]:
    """``(rounds per second, compile seconds)`` of each runner, taking turns ``repeats`` times."""
    compiled = [runner.compile() for runner in runners]
    for runner in runners:
        runner.advance()
    seconds: list[list[float]] = [[] for _ in runners]
    for _ in range(repeats):
        ceiling.measure()
        for runner, own in zip(runners, seconds, strict=True):
            began = time.perf_counter()
            runner.advance()
            own.append(time.perf_counter() - began)
    rates = [r.rounds / statistics.median(own) for r, own in zip(runners, seconds, strict=True)]
    return list(zip(rates, compiled, strict=True))


def learning_rows(work: workload.Workload, quick: bool, ceiling: Ceiling) -> list[Row]:
    """All implementations on one workload."""
    runners: list[Any] = [make(work) for make in (Swarm, *_torch_peers())]
    results = measure(runners, 3 if quick else 9, ceiling)
    rounds = 20 if quick else 300 if work.num_agents < 1000 else 60
    rows = []
    for runner, (rate, compile_s) in zip(runners, results, strict=True):
        score = workload.accuracy(runner.train(rounds), work)
        rows.append(_row(runner.name, work.num_agents, work.graph_name, rate, compile_s, score))
    scores = [row["final_accuracy"] for row in rows]
    if max(scores) - min(scores) > ACCURACY_TOLERANCE:
        print(f"warning: accuracies after {rounds} rounds differ: {scores}", file=sys.stderr)
    return rows


def layout_rows(num_agents: int, quick: bool, ceiling: Ceiling) -> list[Row]:
    """Every mixing layout on a ring and on regular graphs."""
    rows = []
    degrees = (4,) if quick else (4, 16, 64)
    for name, graph in layouts.graphs(num_agents, degrees).items():
        runners = layouts.runners(graph, rounds=max(1, 500 // num_agents))
        results = measure(runners, 3 if quick else 7, ceiling)
        rows += [
            _row(runner.name, num_agents, name, rate, compile_s, None)
            for runner, (rate, compile_s) in zip(runners, results, strict=True)
        ]
    return rows


def table(rows: Sequence[Row], ceiling: dict[str, float]) -> str:
    """Rows for people, with the share of the machine's ceilings that each one reaches."""
    head = f"{'impl':14}{'agents':>7} {'graph':11}{'rounds/s':>10}{'updates/s':>11}"
    lines = [head + f"{'× jaxswarm':>12}{'compile s':>11}{'accuracy':>10}{'GEMM':>8}{'copy':>8}"]
    ours = {(r["agents"], r["graph"]): r for r in rows if r["impl"] == Swarm.name}
    for row in rows:
        rate = row["node_updates_per_s"]
        mixing_only = row["impl"].startswith("mix:")
        moved = 8 * workload.PARAMETERS if mixing_only else workload.BYTES_PER_UPDATE
        gemm = rate * workload.FLOPS_PER_UPDATE / 1e9 / ceiling["gemm_gflops"]
        rival = ours.get((row["agents"], row["graph"]))
        ratio = "" if mixing_only or not rival else f"{rate / rival['node_updates_per_s']:.2f}"
        copy = rate * moved / 1e9 / ceiling["copy_gbs"]
        score = "" if mixing_only else f"{row['final_accuracy']:.3f}"
        lines.append(
            f"{row['impl']:14}{row['agents']:>7} {row['graph']:11}{row['rounds_per_s']:>10.4g}"
            f"{rate:>11.0f}{ratio:>12}{row['compile_s']:>11.2f}"
            f"{score:>10}{'' if mixing_only else f'{gemm:.1%}':>8}{copy:>8.1%}"
        )
    peak, copy = ceiling["gemm_gflops"], ceiling["copy_gbs"]
    lines.append(f"ceilings: matrix products {peak:.0f} GFLOP/s, copies {copy:.1f} GB/s")
    return "\n".join(lines)


def run(
    sizes: Sequence[int], *, quick: bool = False, mixing: bool = True, learning: bool = True
) -> dict[str, Any]:
    """All rows, and the ceilings: what ``--json`` writes."""
    ceiling = Ceiling()
    rows: list[Row] = []
    for num_agents in sizes:
        for graph in workload.GRAPHS if learning else ():
            rows += learning_rows(workload.make(num_agents, graph), quick, ceiling)
        if mixing:
            rows += layout_rows(num_agents, quick, ceiling)
    return {"rows": rows, "ceiling": ceiling.result()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gossip", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="N = 16 only, few repeats: a check")
    parser.add_argument("--agents", type=int, nargs="+", metavar="N", help="default: 16 100 1000")
    parser.add_argument("--only", choices=("learning", "mixing"), help="half of it")
    options = parser.parse_args(arguments)
    if options.agents and min(options.agents) < 6:
        parser.error("--agents: expected at least 6 agents each")
    sizes = options.agents or ((16,) if options.quick else (16, 100, 1000))
    report = run(
        sizes,
        quick=options.quick,
        mixing=options.only != "learning",
        learning=options.only != "mixing",
    )
    print(table(report["rows"], report["ceiling"]))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _row(
    impl: str, agents: int, graph: str, rate: float, compile_s: float, accuracy: float | None
) -> Row:
    return {
        "impl": impl,
        "agents": agents,
        "graph": graph,
        "rounds_per_s": rate,
        "node_updates_per_s": agents * rate,
        "compile_s": compile_s,
        "final_accuracy": accuracy,
    }


def _torch_peers() -> tuple[Any, ...]:
    try:
        import torch  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        message = "PyTorch is not installed: its rows are left out (pip install 'jaxswarm[bench]')"
        if not _told:
            print(message, file=sys.stderr)
            _told.append(message)
        return ()
    from benchmarks.peers_torch import PEERS

    return PEERS


_told: list[str] = []


if __name__ == "__main__":
    main()
