"""The shape all experiments share, how one is run and recorded, and its own command line.

An experiment is a module of :data:`experiments.SYSTEMS`; :class:`Experiment` says what it contains.
As a file it begins and ends like this::

    if __name__ == "__main__":  # run as a file: find the packages from the repository root
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from experiments import harness
    ...
    if __name__ == "__main__":
        harness.main(__name__)
"""

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, Protocol

from experiments import SYSTEMS, records, report
from experiments.claims import Claim, claim

__all__ = [
    "SCALE_NAMES",
    "Claim",
    "Experiment",
    "Outcome",
    "Paper",
    "Progress",
    "claim",
    "execute",
    "load",
    "main",
]

Scale = Literal["smoke", "small", "full"]
SCALE_NAMES = ("smoke", "small", "full")


class Paper(NamedTuple):
    """The publication a system comes from."""

    author: str
    title: str
    year: int

    def __str__(self) -> str:
        return f"{self.author}, {self.title}, {self.year}"


class Experiment(Protocol):
    """What a module of this folder offers to be an experiment.

    Attributes:
        NAME: its key in ``SYSTEMS``.
        TITLE: one line.
        PAPER: where the system was published.
        Config: frozen dataclass with at least ``seed`` (the base) and ``seeds`` (how many).
        SCALES: a ``Config`` for each of smoke (< 10 s), small (< 2 min on two cores) and full (one
            GPU).
    """

    NAME: str
    TITLE: str
    PAPER: Paper
    Config: type
    SCALES: Mapping[str, Any]

    def run(self, config: Any, progress: Callable[[str], None]) -> records.Results:
        """All that claims and plot need, nested dicts of arrays; call ``progress(arm)`` per arm."""
        ...

    def claims(self, results: records.Results) -> list[Claim]:
        """The verdicts, from results as read back from ``metrics.npz``."""
        ...

    def plot(self, results: records.Results, path: Path) -> None:
        """Draw the figure to ``path``, from results as read back from ``metrics.npz``."""
        ...


@dataclass(frozen=True)
class Outcome:
    """One run of one experiment: its claims, or the error that stopped it."""

    system: str
    scale: str
    command: str
    seconds: float = 0.0
    claims: tuple[Claim, ...] = ()
    folder: Path | None = None
    error: str | None = None
    seed: int | None = None

    @property
    def exit_code(self) -> int:
        """0 if every claim held, 1 if one did not, 2 if it raised or claimed nothing."""
        if self.error is not None or not self.claims:
            return 2
        return 0 if all(each.held for each in self.claims) else 1


class Progress:
    """Prints each arm as it starts and its seconds when the next one does, on ``stderr``."""

    def __init__(self, system: str):
        self._system = system
        self._since: float | None = None

    def __call__(self, arm: str) -> None:
        """Begin an arm."""
        self.close()
        print(f"  {self._system}: {arm} …", end="", file=sys.stderr, flush=True)
        self._since = time.perf_counter()

    def close(self) -> None:
        """End the current arm, if any."""
        if self._since is not None:
            print(f" {time.perf_counter() - self._since:.1f} s", file=sys.stderr, flush=True)
        self._since = None


def load(name: str) -> Any:
    """Import the experiment called ``name``.

    Raises:
        ValueError: if the name is unknown (with a suggestion) or the module lacks a part.
    """
    if name not in SYSTEMS:
        raise ValueError(f"unknown experiment {name!r}; {report.suggestion(name, SYSTEMS)}")
    module = importlib.import_module(SYSTEMS[name])
    _check(module, name)
    return module


def execute(
    module: Any,
    config: Any,
    *,
    scale: str = "custom",
    command: str = "",
    runs: str | Path = "runs",
    figure: bool = True,
) -> Outcome:
    """Run one experiment and record it under ``runs/NAME/TIME``; an error is caught and kept.

    Claims and figure are made from the metrics as read back from disk, so both can be made again
    from ``metrics.npz`` alone.
    """
    progress = Progress(module.NAME)
    start = time.perf_counter()
    outcome = Outcome(module.NAME, scale, command, seed=getattr(config, "seed", None))
    try:
        folder = records.new_folder(runs, module.NAME)
        records.save_config(folder / "config.json", config, system=module.NAME, scale=scale)
        records.write_json(folder / "versions.json", records.versions())
        try:
            results = module.run(config, progress)
        finally:
            progress.close()
        records.save_metrics(folder / "metrics.npz", results)
        results = records.load_metrics(folder / "metrics.npz")
        seconds = time.perf_counter() - start
        claims = tuple(replace(each, seconds=round(seconds, 3)) for each in module.claims(results))
        if not claims:
            raise ValueError(f"{module.NAME}: expected at least one claim, got none")
        records.save_claims(folder / "claims.json", claims)
        if figure:
            module.plot(results, folder / "figure.png")
        return replace(outcome, seconds=seconds, claims=claims, folder=folder)
    except Exception as error:
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        return replace(outcome, seconds=time.perf_counter() - start, error=said)


def main(module_name: str, args: list[str] | None = None) -> NoReturn:
    """The command line of one experiment file: ``--scale`` picks a config, options change it.

    Exits with 0 if every claim held, 1 if one did not, 2 on an error.
    """
    import tyro

    module = sys.modules[module_name]
    _check(module, getattr(module, "NAME", module_name))
    args = sys.argv[1:] if args is None else args
    scale = _scale_in(args)
    options = make_dataclass(
        "Options",
        [
            ("config", Annotated[module.Config, tyro.conf.arg(name="")], module.SCALES[scale]),
            ("scale", Annotated[Scale, _help("which sizes the defaults come from")], scale),
            ("runs", Annotated[Path, _help("where NAME/TIME is recorded")], Path("runs")),
            ("json", Annotated[Path | None, _help("write the claims as JSON")], None),
            ("figure", Annotated[bool, _help("draw figure.png")], True),
        ],
        frozen=True,
    )
    options.__doc__ = (
        f"{module.TITLE}\n\nPaper: {module.PAPER}. Sizes below are those of --scale {scale}."
    )
    given: Any = tyro.cli(options, args=args, prog=f"python experiments/{module.NAME}.py")
    command = " ".join(["python", f"experiments/{module.NAME}.py", *args])
    outcome = execute(
        module, given.config, scale=scale, command=command, runs=given.runs, figure=given.figure
    )
    print(report.terminal([outcome]))
    if given.json is not None:
        records.write_json(given.json, [each.as_json() for each in outcome.claims])
    sys.exit(outcome.exit_code)


def _help(text: str) -> Any:
    import tyro

    return tyro.conf.arg(help=text)


def _scale_in(args: list[str]) -> str:
    """The value of ``--scale``, needed before the other options can show their defaults."""
    for position, arg in enumerate(args):
        value = arg.partition("=")[2] if arg.startswith("--scale=") else None
        if arg == "--scale" and position + 1 < len(args):
            value = args[position + 1]
        if value in SCALE_NAMES:
            return value
    return "small"


def _check(module: Any, name: str) -> None:
    parts = ("NAME", "TITLE", "PAPER", "Config", "SCALES", "run", "claims", "plot")
    missing = [part for part in parts if not hasattr(module, part)]
    if missing:
        raise ValueError(f"experiment {name!r}: expected {', '.join(parts)}; lacks {missing}")
    lacking = [scale for scale in SCALE_NAMES if scale not in module.SCALES]
    if lacking:
        raise ValueError(f"experiment {name!r}: SCALES lacks {lacking}")
