"""The main job: N agents with private data learn by local steps and gossip, arm beside arm.

Every arm has the same data, initial models, optimiser and rounds; only who talks to whom differs::

    python experiments/gossip_learning.py                                  # 256 agents, digits
    python experiments/gossip_learning.py --agents 4096 --topology exponential --data mnist --path
    DIR python experiments/gossip_learning.py --devices 8                      # agents split over 8
    devices python -m jaxswarm.launch --processes 2 experiments/gossip_learning.py # all devices of
    2 processes

Writes config, metrics (npz), versions and a figure under ``runs/gossip_learning/``.

References:
    X. Lian et al., Can decentralized algorithms outperform centralized algorithms?, 2017.
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import records
from jaxswarm import (
    Checkpoint,
    Timing,
    agents,
    data,
    errors,
    gossip,
    launch,
    learning,
    models,
    plotting,
    sharding,
    simulate,
    topology,
)
from jaxswarm.sharding import processes

NAME = "gossip_learning"

BASELINES = {"isolated": gossip.none, "server": gossip.server}


@dataclass(frozen=True)
class Config:
    """Sizes and choices; every arm shares them."""

    agents: int = 256  # number of agents N
    topology: tuple[str, ...] = ("ring", "exponential")  # one arm each
    baselines: tuple[Literal["isolated", "server"], ...] = ("isolated", "server")
    data: str = "digits"  # a bundled set, or mnist-like files under --path
    path: Path | None = None  # folder of IDX or npz files; default $JAXSWARM_DATA
    partition: str = "dirichlet_over_agents"  # how data is dealt, see jaxswarm.data.PARTITIONERS
    alpha: float | None = 0.3  # Dirichlet concentration: small is non-IID
    hidden: tuple[int, ...] = (64,)  # widths of the hidden layers
    rounds: int = 600
    local_steps: int = 1  # optimiser steps between two exchanges
    batch: int = 16
    lr: float = 0.2
    momentum: float = 0.0
    shared_init: bool = False  # all agents start from one draw
    weights: str = "metropolis"  # mixing weights, see jaxswarm.topology.weights.SCHEMES
    degree: int = 4  # of random_regular and watts_strogatz graphs
    every: int = 10  # rounds between two evaluations
    seed: int = 0
    devices: int | None = None  # split the agents over so many; all, if there are several processes
    runs: Path = Path("runs")  # results go to RUNS/gossip_learning/TIME
    checkpoint: Path | None = None  # save here while running; same command with --resume goes on
    resume: bool = False
    progress: bool = True


class Arm(NamedTuple):
    """One finished arm."""

    metrics: dict[str, np.ndarray]
    timing: Timing
    graph: topology.Topology | None


FAMILIES = {
    "ring": lambda c: topology.ring(c.agents),
    "path": lambda c: topology.path(c.agents),
    "torus": lambda c: topology.torus(*_sides(c.agents)),
    "grid": lambda c: topology.grid(*_sides(c.agents)),
    "star": lambda c: topology.star(c.agents),
    "complete": lambda c: topology.complete(c.agents),
    "exponential": lambda c: topology.exponential(c.agents),
    "one_peer_exponential": lambda c: topology.one_peer_exponential(c.agents),
    "random_regular": lambda c: topology.random_regular(c.agents, c.degree, seed=c.seed),
    "watts_strogatz": lambda c: topology.watts_strogatz(c.agents, c.degree, 0.1, seed=c.seed),
    "barabasi_albert": lambda c: topology.barabasi_albert(c.agents, 2, seed=c.seed),
    "random_geometric": lambda c: topology.random_geometric(
        c.agents, 1.5 * (np.log(c.agents) / (np.pi * c.agents)) ** 0.5, seed=c.seed
    ),
}


def run(config: Config) -> dict[str, Arm]:
    """Run all arms one after the other; ``{arm name: Arm}``.

    Raises:
        ValueError: unknown topology, baseline, data set, partition or weights (with a suggestion).
    """
    for name in config.topology:
        if name not in FAMILIES:
            raise errors.unknown("topology", name, FAMILIES)
    for name in config.baselines:
        if name not in BASELINES:
            raise errors.unknown("baseline", name, BASELINES)
    if config.partition not in data.PARTITIONERS:
        raise errors.unknown("partition", config.partition, data.PARTITIONERS)
    mesh = _mesh(config)
    progress = config.progress and processes.is_primary()
    split = data.load(config.data, path=config.path)
    options: dict[str, Any] = {"seed": config.seed}
    if config.partition.startswith("dirichlet") and config.alpha is not None:
        options["alpha"] = config.alpha
    partition = data.PARTITIONERS[config.partition](split.train.labels, config.agents, **options)
    shards = _placed(data.shards(split.train, partition), mesh, config)
    classes = split.train.num_classes
    model = models.functional(models.mlp(*config.hidden, classes), split.train.features[:1])
    evaluate = learning.evaluation(model, split.test, chunk=_chunk(config, mesh))
    key = jax.random.key(config.seed)
    params = agents.initialize(
        jax.random.fold_in(key, 1), model.init, config.agents, shared=config.shared_init
    )
    graphs = {name: FAMILIES[name](config) for name in config.topology}
    rules = {
        name: gossip.averaging(_placed(gossip.mixing(graph, config.weights), mesh, config))
        for name, graph in graphs.items()
    } | {name: BASELINES[name]() for name in config.baselines}
    arms = {}
    for name, rule in rules.items():
        learner = learning.decentralized(
            learning.classification_loss(model),
            local=optax.sgd(config.lr, momentum=config.momentum or None),
            gossip=rule,
            local_steps=config.local_steps,
            sample=data.minibatches(config.batch),
        )
        timing = Timing()
        if progress:
            print(f"{name}", file=sys.stderr)
        start = _placed(learner.init(params), mesh, config)
        before = jax.jit(evaluate)(start)
        _, log = simulate(
            learner.step,
            start,
            config.rounds,
            key=jax.random.fold_in(key, 2),
            inputs=shards,
            every=config.every,
            evaluate=evaluate,
            progress=progress,
            describe=_describe,
            timing=timing,
            checkpoint=None if config.checkpoint is None else Checkpoint(config.checkpoint / name),
            resume=config.resume,
            config={"arm": name, "lr": config.lr, "batch": config.batch, "seed": config.seed},
        )
        first = {name: processes.to_host(value)[None] for name, value in before._asdict().items()}
        metrics = {
            name: np.concatenate([first[name], value])
            for name, value in log.evaluation._asdict().items()
        }
        metrics["round"] = np.concatenate([[0], log.round])
        arms[name] = Arm(metrics, timing, graphs.get(name))
    return arms


def _sides(agents_wanted: int) -> tuple[int, int]:
    """The most square ``rows × columns`` of exactly so many agents."""
    rows = next(r for r in range(math.isqrt(agents_wanted), 0, -1) if agents_wanted % r == 0)
    return rows, agents_wanted // rows


def _mesh(config: Config) -> Any:
    """The mesh that the agents live on; ``None`` for a single device."""
    several = jax.process_count() > 1
    if config.devices is None and not several:
        return None
    mesh = sharding.mesh(None if several else config.devices)
    if several and config.devices not in (None, mesh.devices.size):
        raise ValueError(
            f"devices: {jax.process_count()} processes share all their {mesh.devices.size} devices"
            f", got {config.devices}"
        )
    sharding.agents_per_device(config.agents, mesh.devices.size)
    return mesh


def _placed(tree: Any, mesh: Any, config: Config) -> Any:
    return tree if mesh is None else sharding.shard(tree, mesh, num_agents=config.agents)


def _chunk(config: Config, mesh: Any) -> int | None:
    """Agents evaluated at a time: all, where each device has few."""
    here = config.agents if mesh is None else config.agents // mesh.devices.size
    return 1024 if here > 1024 else None


def _describe(record: Any) -> dict[str, float]:
    scores = record.evaluation
    return {
        "accuracy": float(scores.accuracy.mean()),
        "worst": float(scores.accuracy.min()),
        "disagreement": float(scores.disagreement),
        "MB": float(scores.megabytes),
    }


def table(arms: dict[str, Arm]) -> str:
    """Final accuracy, disagreement, traffic and speed of every arm, as text."""
    width = max(len(name) for name in arms)
    lines = [
        f"{'':{width}}  {'accuracy':>17}  merged   disagree-       sent   rounds",
        f"{'':{width}}  {'mean':>8} {'worst':>8}   model        ment         MB       /s",
    ]
    for name, arm in arms.items():
        final = {key: value[-1] for key, value in arm.metrics.items()}
        lines.append(
            f"{name:{width}}  {final['accuracy'].mean():8.3f} {final['accuracy'].min():8.3f}  "
            f"{final['merged_accuracy']:7.3f}  {final['disagreement']:9.2e}  "
            f"{final['megabytes']:9.1f}  {arm.timing.rounds_per_s:7.0f}"
        )
    return "\n".join(lines)


def plot(arms: dict[str, Arm], path: Path, title: str = "") -> Path:
    """Graphs coloured by their agents' accuracy above, curves over rounds below."""
    drawn = [(name, arm, arm.graph) for name, arm in arms.items() if arm.graph is not None]
    shown = [each for each in drawn if _is_drawable(each[2])][:2]
    axes = plotting.panels(2 if shown else 1, 2, width=5.4, height=4.2)
    axes = np.asarray(axes).reshape(-1, 2)
    scores = [arm.metrics["accuracy"][-1] for _, arm, _ in shown]
    low = min((float(s.min()) for s in scores), default=0.0)
    high = max((float(s.max()) for s in scores), default=1.0)
    for ax in axes[0][len(shown) :] if shown else ():
        ax.set_axis_off()
    for ax, score, (name, _, graph) in zip(axes[0], scores, shown, strict=False):
        plotting.graph(
            graph,
            score,
            label="accuracy",
            title=f"{name.replace('_', ' ')}: mean {score.mean():.2f}, worst {score.min():.2f}",
            limits=(low, max(high, low + 1e-3)),
            node_size=float(np.clip(14_000 / graph.num_agents, 8.0, 240.0)),
            ax=ax,
        )
    rounds = next(iter(arms.values())).metrics["round"]
    colors = dict(zip(arms, plotting.PALETTE, strict=False))
    plotting.curves(
        {name: arm.metrics["accuracy"].T for name, arm in arms.items()},
        rounds,
        ylabel="the agents' own models on one test set; band: half of all agents",
        title=title or "accuracy",
        colors=colors,
        ax=axes[-1][0],
    )
    plotting.disagreement(
        {
            name: arm.metrics["disagreement"][None]
            for name, arm in arms.items()
            if arm.metrics["disagreement"][-1] > 0  # exact agreement has no logarithm
        },
        rounds,
        ylabel="mean squared distance from the average model",
        title="disagreement",
        colors=colors,
        ax=axes[-1][1],
    )
    return plotting.save(axes[0][0], path)


def _is_drawable(graph: topology.Topology) -> bool:
    return not graph.is_sequence and graph.num_edge_slots <= 40_000


def main(config: Config) -> dict[str, Arm]:
    """Run, record, print the table and draw the figure."""
    began = time.perf_counter()
    arms = run(config)
    if not processes.is_primary():
        return arms
    folder = records.new_folder(config.runs, NAME)
    records.save_config(folder / "config.json", config)
    records.write_json(folder / "versions.json", records.versions())
    records.save_metrics(folder / "metrics.npz", {name: arm.metrics for name, arm in arms.items()})
    figure = plot(arms, folder / "figure.png")
    print()
    print(table(arms))
    compile_s = sum(arm.timing.compile_s for arm in arms.values())
    print(
        f"\n{config.agents} agents, {config.rounds} rounds, {config.data}; "
        f"{time.perf_counter() - began:.0f} s in all, {compile_s:.0f} s of it compiling"
    )
    print(f"figure: {figure}")
    return arms


if __name__ == "__main__":
    import tyro

    launch.initialize()
    try:
        main(tyro.cli(Config, description=__doc__))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
