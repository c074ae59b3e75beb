"""Running one experiment: results, claims and figure go to a new folder ``runs/NAME/TIME``."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.harness import records
from experiments.harness.claims import Claim
from experiments.harness.protocol import Experiment, Outcome, Progress, Results

if TYPE_CHECKING:
    from jaxswarm import loggers

Log = Literal["csv", "tensorboard", "wandb", "marl_eval"]


def writer(log: Log, folder: Path, system: str, name: str, config: Any) -> "loggers.Writer":
    """The writer of the run ``name``: a file in ``folder/log``, or a run of wandb."""
    from jaxswarm import loggers  # here, so that the command line stays quick without

    if log == "csv":
        return loggers.csv(folder / "log" / f"{name}.csv")
    if log == "tensorboard":
        return loggers.tensorboard(folder / "log" / name)
    if log == "marl_eval":
        return loggers.marl_eval(
            folder / "log" / "marl_eval.json",
            environment=system,
            task="records",
            algorithm=name,
            seed=getattr(config, "seed", 0),
        )
    group, options = f"{system}/{folder.name}", asdict(config)
    return loggers.wandb(name=f"{system}/{name}", dir=str(folder), group=group, config=options)


def run_and_record(
    experiment: Experiment,
    config: Any,
    *,
    scale: str = "custom",
    command: str = "",
    runs: str | Path = "runs",
    figure: bool = True,
    log: Log | None = None,
) -> Outcome:
    """Run an experiment and write config, metrics, claims, versions and figure of the run.

    Claims and figure are made from the metrics as read back from disk, so both can be made again
    from ``config.json`` and ``metrics.npz`` alone. An exception is printed and kept in the outcome;
    ``KeyboardInterrupt`` is not caught.

    Args:
        experiment: of :func:`experiments.harness.load`.
        config: an ``experiment.Config``.
        scale: name of the scale that ``config`` comes from, for the record.
        command: shell command that repeats the run, for the record.
        runs: folder under which ``NAME/TIME`` is created.
        figure: whether to draw ``figure.png``.
        log: where the records of every ``jaxswarm.simulate`` go while the run goes on, and the
            claims afterwards: CSV files or TensorBoard's events in its folder ``log``, or runs of
            Weights & Biases. ``marl_eval``: ``log/marl_eval.json`` of the experiment's
            ``learning_curves``, or of the records if it has none.
    """
    start, cpu_start = time.perf_counter(), time.process_time()
    outcome = Outcome(
        experiment.name, scale, command, seed=getattr(config, "seed", None), about=experiment
    )
    try:
        folder = records.new_folder(runs, experiment.name)
        records.save_config(folder / "config.json", config, system=experiment.name, scale=scale)
        records.write_json(folder / "versions.json", records.versions())
        with _logged(log, folder, experiment.name, config) as (label, write_claims):
            progress = Progress(experiment.name, label)
            try:
                results = experiment.run(config, progress)
            finally:
                progress.close()
        records.save_metrics(folder / "metrics.npz", results)
        results = records.load_metrics(folder / "metrics.npz")
        seconds = time.perf_counter() - start
        claims = tuple(
            replace(each, seconds=round(seconds, 3)) for each in experiment.claims(config, results)
        )
        if not claims:
            raise ValueError(f"{experiment.name}: expected at least one claim, got none")
        write_claims(claims)
        if log == "marl_eval" and experiment.learning_curves is not None:
            _write_curves(experiment, config, results, folder / "log" / "marl_eval.json")
        records.save_claims(folder / "claims.json", claims, is_judged=outcome.is_judged)
        if figure:
            experiment.plot(config, results, folder / "figure.png")
        return replace(
            outcome,
            seconds=seconds,
            cpu_seconds=time.process_time() - cpu_start,
            claims=claims,
            folder=folder,
        )
    except Exception as error:
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        return replace(outcome, seconds=time.perf_counter() - start, error=message)


@contextmanager
def _logged(
    log: Log | None, folder: Path, system: str, config: Any
) -> Iterator[tuple[Callable[[str], None], Callable[[tuple[Claim, ...]], None]]]:
    """Log the runs inside: ``(name the next ones, write the claims)``, which do nothing without."""
    if log is None:
        yield lambda arm: None, lambda claims: None
        return
    from jaxswarm import loggers  # here, so that the command line stays quick without

    def make(name: str) -> loggers.Writer:
        return writer(log, folder, system, name, config)

    def write_claims(claims: tuple[Claim, ...]) -> None:
        if log == "marl_eval":  # which has no place for them
            return
        rows = make("claims")
        for index, claim in enumerate(claims):
            row = {"effect": claim.effect, "threshold": claim.threshold, "held": claim.held}
            rows.write(index, {name: float(value) for name, value in row.items()})
        rows.close()

    with loggers.every_run(make) as label:
        yield label, write_claims


def _write_curves(experiment: Experiment, config: Any, results: Results, path: Path) -> None:
    """Write the learning curves of all tasks and algorithms as one file of marl-eval."""
    from jaxswarm import loggers

    assert experiment.learning_curves is not None
    for task, curves in experiment.learning_curves(config, results).items():
        for algorithm, returns in curves.returns.items():
            loggers.write_marl_eval(
                path,
                curves.steps,
                {"return": returns},
                environment=experiment.name,
                task=task,
                algorithm=algorithm,
                seeds=range(config.seed, config.seed + len(returns)),
                absolute=None if curves.final is None else {"return": curves.final[algorithm]},
            )
