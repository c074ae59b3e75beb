r"""Gossip learning: N agents with private data learn by local steps and averaging with neighbours.

Every arm has the same data, initial models, optimizer and number of rounds; arms differ only in
the graph along which models are averaged. Examples::

    python experiments/gossip_learning.py                        # 256 agents, digits, two graphs
    python experiments/gossip_learning.py --agents 4096 --topology exponential --data mnist \
        --path DIR                                               # mnist files in the folder DIR
    python experiments/gossip_learning.py --devices 8            # agents split over 8 devices
    python -m jaxswarm.launch --processes 2 experiments/gossip_learning.py    # 2 processes

Writes config, metrics (npz), versions and a figure to ``runs/gossip_learning/TIME``; compiled
programs are kept in ``runs/compiled``, so that a second run starts at once.

References:
    X. Lian et al., Can decentralized algorithms outperform centralized algorithms?, 2017.
"""

import functools
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import numpy as np
import optax
import tyro

from experiments.harness import execute, records
from jaxswarm import (
    Checkpoint,
    Timing,
    agents,
    data,
    errors,
    gossip,
    launch,
    learning,
    loggers,
    models,
    plotting,
    sharding,
    simulate,
    topology,
)
from jaxswarm._compiled import keep_programs
from jaxswarm.checkpoint import (
    CheckpointCorruptError,
    CheckpointExistsError,
    CheckpointMismatchError,
)
from jaxswarm.data import PARTITIONERS
from jaxswarm.data.datasets import BUNDLED
from jaxswarm.sharding import processes
from jaxswarm.topology.weights import SCHEMES

NAME = "gossip_learning"
_WHEEL = 64  # agents beyond which nodes on a circle overlap
BASELINES = {"isolated": gossip.identity, "server": gossip.server}
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


def _one_of(options: Iterable[str]) -> Any:
    """The choices of an option, for ``--help``; :func:`run` refuses others."""
    return tyro.conf.arg(metavar="{" + ",".join(options) + "}")


@dataclass(frozen=True)
class Config:
    """Sizes and choices, the same for every arm."""

    agents: int = 256  # number of agents
    topology: Annotated[tuple[str, ...], _one_of(FAMILIES)] = ("ring", "exponential")
    """graphs along which models are averaged, one arm for each"""
    baselines: Annotated[tuple[str, ...], _one_of(BASELINES)] = ("isolated", "server")
    """arms without a graph: no communication, or the exact average of all models"""
    data: Annotated[str, _one_of([*BUNDLED, "mnist", "…"])] = "digits"
    """bundled data set, or one of IDX or npz files under --path"""
    path: Path | None = None  # folder of IDX or npz files; default: $JAXSWARM_DATA
    partition: Annotated[str, _one_of(PARTITIONERS)] = "dirichlet_over_agents"
    """how the training data is distributed over agents"""
    alpha: float | None = 0.3  # Dirichlet concentration, > 0: the smaller, the less alike the data
    hidden: tuple[int, ...] = (64,)  # widths of the hidden layers
    rounds: int = 600  # rounds of local steps and averaging
    local_steps: int = 1  # optimizer steps between two exchanges
    batch: int = 16  # samples per optimizer step and agent
    lr: float = 0.2  # learning rate of SGD, > 0
    momentum: float = 0.0  # momentum of SGD, in [0, 1)
    shared_init: bool = False  # all agents start from the same random model
    weights: Annotated[str, _one_of(SCHEMES)] = "metropolis"  # scheme of the mixing weights
    degree: int = 4  # of random_regular and watts_strogatz graphs
    every: int = 10  # rounds between two evaluations
    seed: int = 0  # base of all random keys
    devices: int | None = None
    """to split agents over, of one CPU if need be; default: one, or all of several processes"""
    runs: Path = Path("runs")  # results are written to RUNS/gossip_learning/TIME
    checkpoint: Path | None = None  # folder in which the state is saved while running
    resume: bool = False  # continue the run saved in --checkpoint
    progress: bool = True  # show a progress bar
    log: Literal["csv", "tensorboard", "wandb"] | None = None
    """write records while the arms run, to RUNS/gossip_learning/TIME/log or to wandb"""


class Arm(NamedTuple):
    """One finished arm."""

    metrics: dict[str, np.ndarray]
    timing: Timing
    graph: topology.Topology | None


def run(config: Config, on_arm: Callable[[str], None] = lambda name: None) -> dict[str, Arm]:
    """Run all arms one after the other; ``{arm name: Arm}``; ``on_arm`` is called as one starts.

    Raises:
        ValueError: on an unknown choice (with a suggestion) or a number out of range.
    """
    _check(config)
    mesh = _mesh(config)
    progress = config.progress and processes.is_primary()
    split = data.load(config.data, path=config.path)
    options: dict[str, Any] = {"seed": config.seed}
    if config.partition.startswith("dirichlet") and config.alpha is not None:
        options["alpha"] = config.alpha
    partition = PARTITIONERS[config.partition](split.train.labels, config.agents, **options)
    shards = _placed(data.shards(split.train, partition), mesh, config)
    classes = split.train.num_classes
    model = models.functional(models.mlp(*config.hidden, classes), split.train.features[:1])
    here = config.agents if mesh is None else config.agents // mesh.devices.size
    evaluate = learning.evaluation(model, split.test, chunk=1024 if here > 1024 else None)
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
        on_arm(name)
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
        metrics = {
            name: np.concatenate([processes.to_host(first)[None], later])
            for name, first, later in zip(before._fields, before, log.evaluation, strict=True)
        }
        metrics["round"] = np.concatenate([[0], log.round])
        arms[name] = Arm(metrics, timing, graphs.get(name))
    return arms


def _check(config: Config) -> None:
    if config.agents < 2:
        raise ValueError(f"agents: expected at least 2, got {config.agents}")
    if not config.lr > 0:
        raise ValueError(f"lr: expected a positive number, got {config.lr}")
    if config.resume and config.checkpoint is None:
        raise ValueError("resume: expected --checkpoint FOLDER as well, got none")
    choices = [("topology", name, FAMILIES) for name in config.topology]
    choices += [("baseline", name, BASELINES) for name in config.baselines]
    choices += [("partition", config.partition, PARTITIONERS)]
    for kind, name, options in choices:
        if name not in options:
            raise errors.unknown(kind, name, options)


def _sides(agents_wanted: int) -> tuple[int, int]:
    """The most square ``rows × columns`` of exactly so many agents."""
    rows = next(r for r in range(math.isqrt(agents_wanted), 0, -1) if agents_wanted % r == 0)
    return rows, agents_wanted // rows


def _mesh(config: Config) -> Any:
    """The mesh that the agents are split over; ``None`` for a single device."""
    several, there = jax.process_count() > 1, jax.device_count()
    wanted = there if several and config.devices is None else config.devices
    if wanted is None:
        return None
    if wanted > there or (several and wanted != there):
        raise ValueError(
            f"devices: expected {'all' if several else 'at most'} {there} that jax finds, got "
            f"{wanted}; a CPU counts as {wanted} after sharding.force_cpu_devices({wanted}), which "
            "this program's command line calls, unless XLA_FLAGS sets "
            f"--xla_force_host_platform_device_count; of several processes, the option "
            "--devices-per-process of jaxswarm.launch"
        )
    mesh = sharding.mesh(None if several else wanted)
    sharding.agents_per_device(config.agents, mesh.devices.size)
    return mesh


def _placed(tree: Any, mesh: Any, config: Config) -> Any:
    return tree if mesh is None else sharding.shard(tree, mesh, num_agents=config.agents)


def _describe(record: Any) -> dict[str, float]:
    now = record.evaluation
    shown = {"accuracy": now.accuracy.mean(), "worst": now.accuracy.min()}
    shown |= {"disagreement": now.disagreement, "MB": now.megabytes}
    return {name: float(value) for name, value in shown.items()}


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
    """Graphs coloured by their agents' accuracy above, curves over rounds below.

    Rings and other graphs that look alike from every agent are drawn as wheels if they are large.
    """
    drawn = [(name, arm, arm.graph) for name, arm in arms.items() if arm.graph is not None]
    shown = [d for d in drawn if not d[2].is_sequence and d[2].num_edge_slots <= 40_000][:2]
    axes = plotting.panels(2 if shown else 1, 2, width=5.4, height=4.2).reshape(-1, 2)
    scores = [arm.metrics["accuracy"][-1] for _, arm, _ in shown]
    low = min((float(s.min()) for s in scores), default=0.0)
    high = max((float(s.max()) for s in scores), default=1.0)
    for ax in axes[0][len(shown) :] if shown else ():
        ax.set_axis_off()
    for ax, score, (name, _, graph) in zip(axes[0], scores, shown, strict=False):
        options = {"label": "accuracy", "limits": (low, max(high, low + 1e-3)), "ax": ax}
        shown_name = name.replace("_", " ")
        found = f"mean {score.mean():.2f}, worst {score.min():.2f}"
        if graph.offsets is not None and graph.num_agents > _WHEEL:
            degree = int(np.asarray(graph.in_degrees())[0])
            plotting.wheel(
                graph, score, title=f"{shown_name}: each receives from {degree}", **options
            )
            ax.text(0.0, -1.08, found, ha="center", va="top", fontsize=11)
        else:
            plotting.graph(graph, score, title=f"{shown_name}: {found}", **options)
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
    spread = {name: arm.metrics["disagreement"][None] for name, arm in arms.items()}
    spread = {name: curve for name, curve in spread.items() if curve[0, -1] > 0}  # for a log axis
    if spread:
        plotting.disagreement(
            spread,
            rounds,
            ylabel="mean squared distance from the average model",
            title="disagreement",
            colors=colors,
            ax=axes[-1][1],
        )
    return plotting.save(axes[0][0], path)


def _force_devices(wanted: int | None) -> None:
    """Make as many devices of this CPU as wanted, and say so; not in one of several processes."""
    if wanted is None or jax.distributed.is_initialized():
        return
    if sharding.force_cpu_devices(wanted):
        print(f"this CPU counts as {wanted} devices, which share its cores", file=sys.stderr)


def main(config: Config) -> dict[str, Arm]:
    """Run, record, print the table and draw the figure."""
    began = time.perf_counter()
    kept = keep_programs(config.runs / "compiled")
    new_folder = functools.cache(lambda: records.new_folder(config.runs, NAME))
    if config.log is None:
        arms = run(config)
    else:
        log: execute.Log = config.log
        make = lambda name: execute.writer(log, new_folder(), NAME, name, config)  # noqa: E731
        with loggers.every_run(make) as label:
            arms = run(config, label)
    if not processes.is_primary():
        return arms
    folder = new_folder()
    records.save_config(folder / "config.json", config)
    records.write_json(folder / "versions.json", records.versions())
    records.save_metrics(folder / "metrics.npz", {name: arm.metrics for name, arm in arms.items()})
    figure = plot(arms, folder / "figure.png")
    print(f"\n{table(arms)}")
    compile_s = sum(arm.timing.compile_s for arm in arms.values())
    print(
        f"\n{config.agents} agents, {config.rounds} rounds, {config.data}; "
        f"{time.perf_counter() - began:.0f} s in all, {compile_s:.0f} s of it compiling"
    )
    print(f"figure: {figure}")
    if kept is not None:
        print(kept)
    return arms


def command_line(args: Sequence[str] | None = None, *, program: str | None = None) -> int:
    """Run with ``args`` (``sys.argv``); the exit status: 0, 2 on an error, 130 after Ctrl-C."""
    checkpoint = None
    try:
        config = tyro.cli(Config, description=__doc__, args=args, prog=program)
        checkpoint = config.checkpoint
        _force_devices(config.devices)
        main(config)
        return 0
    except CheckpointExistsError:
        message = f"{checkpoint} holds a run: add --resume, delete it or give another --checkpoint"
    except (CheckpointCorruptError, CheckpointMismatchError) as error:
        message = f"{error}; delete the folder or give another --checkpoint"
    except ValueError as error:
        message = str(error)
    except KeyboardInterrupt as stop:
        hint = f"continue with --checkpoint {checkpoint} --resume"
        hint = hint if checkpoint else "nothing saved, see --checkpoint"
        print(f"{str(stop) or 'stopped'}; {hint}", file=sys.stderr)
        return 130
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    launch.initialize()
    sys.exit(command_line())
