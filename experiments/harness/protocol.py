"""What a system's folder provides, as types, and the import of such a folder.

This module imports neither JAX nor numpy: ``experiments/NAME/__init__.py`` imports it.
"""

import importlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import experiments
from jaxswarm import errors

if TYPE_CHECKING:
    from experiments.harness.claims import Claim

Scale = Literal["smoke", "small", "full"]
SCALE_NAMES: tuple[Scale, ...] = ("smoke", "small", "full")


class LearningCurves(NamedTuple):
    """Returns while learning, for ``--log marl_eval``.

    Attributes:
        steps: environment steps made at each record, ``[R]``.
        returns: algorithm → ``[seeds, R]``.
        final: algorithm → ``[seeds]`` or ``[seeds, episodes]``, returns of the learned policies;
            ``None`` if they were not played.
    """

    steps: Any
    returns: Mapping[str, Any]
    final: Mapping[str, Any] | None = None


Results = dict[str, Any]
"""What an experiment measured: nested dicts of arrays (names without ``/``)."""

PARTS = {
    "__init__": ("NAME", "TITLE", "PAPER", "SUBSTITUTES"),
    "config": ("Config", "SCALES"),
    "arms": ("run",),
    "claims": ("claims",),
    "figure": ("plot",),
}
"""The files of a system's folder and the names that each defines."""


class Paper(NamedTuple):
    """The publication a system comes from.

    Attributes:
        author: all authors as the paper lists them, ``"A. B, C. D"``; ``"A. B et al."`` beyond
            eight.
        title: exact title of the version used.
        year: year of that version.
        venue: such as ``"NeurIPS 2025"`` or ``"arXiv preprint"``; empty if unknown.
        arxiv: arXiv id such as ``"2502.04350"``; empty if there is none.
    """

    author: str
    title: str
    year: int
    venue: str = ""
    arxiv: str = ""

    def __str__(self) -> str:
        arxiv = f"arXiv:{self.arxiv}" if self.arxiv else ""
        parts = (f"{self.author}, {self.title}", self.venue, str(self.year), arxiv)
        if self.venue.endswith(str(self.year)):
            parts = (parts[0], self.venue, arxiv)
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Description:
    """What ``experiments/NAME/__init__.py`` says about a system.

    Attributes:
        name: name of the folder.
        title: one line: the method and what is checked.
        paper: the publication.
        substitutes: one to three sentences: what replaces which part of the paper's set-up.
        changes: what changed after a pilot or a recorded run (``CHANGES``); empty if nothing did.
    """

    name: str
    title: str
    paper: Paper
    substitutes: str
    changes: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Experiment(Description):
    """A system with everything that is needed to run it; made by :func:`load`.

    Attributes:
        Config: frozen dataclass with at least ``seed`` (base of all random keys).
        SCALES: a ``Config`` for each of smoke (< 10 s, tests only), small (< 2 min on two cores)
            and full (one GPU, or hours of CPU).
        run: ``run(config, progress) -> results``; calls ``progress(arm)`` as each arm starts.
        claims: ``claims(config, results) -> list[Claim]``, from results as read back from
            ``metrics.npz``.
        plot: ``plot(config, results, path)`` draws the figure to ``path`` from the same results.
        learning_curves: ``learning_curves(config, results) -> {task: LearningCurves}``, of
            ``arms.py`` if it has it: reinforcement learning whose seeds run as one program.
    """

    Config: type
    SCALES: Mapping[str, Any]
    run: Callable[[Any, Callable[[str], None]], Mapping[str, Any]]
    claims: "Callable[[Any, Results], list[Claim]]"
    plot: Callable[[Any, Results, Path], None]
    learning_curves: Callable[[Any, Results], Mapping[str, LearningCurves]] | None = None


@dataclass(frozen=True)
class Outcome:
    """One run of one experiment: its claims, or the error that stopped it.

    Attributes:
        system: name of the experiment.
        scale: one of ``SCALE_NAMES``, or ``"custom"``.
        command: shell command that repeats the run.
        seconds: wall time of ``run``.
        cpu_seconds: processor time of the run and its figure, all threads of this process. On a
            machine with idle cores ``run`` takes at most as long; far more wall time than this
            says that the machine was busy with something else.
        claims: what was measured; empty after an error.
        folder: ``runs/NAME/TIME``; ``None`` after an error.
        error: one line, or ``None``.
        seed: base seed of the run.
        about: the system's description; ``None`` if its folder could not be imported.
    """

    system: str
    scale: str
    command: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    claims: "tuple[Claim, ...]" = ()
    folder: Path | None = None
    error: str | None = None
    seed: int | None = None
    about: Description | None = None

    @property
    def is_judged(self) -> bool:
        """Whether the sizes are meant to decide claims: everywhere but at smoke scale."""
        return self.scale != "smoke"

    @property
    def exit_code(self) -> int:
        """0 if every claim held or none is judged, 1 if one did not, 2 after an error."""
        if self.error is not None or not self.claims:
            return 2
        return 0 if not self.is_judged or all(each.held for each in self.claims) else 1


class Progress:
    """Prints each arm as it starts and its seconds when the next one does, on ``stderr``.

    Args:
        system: name of the system.
        on_arm: called with the name of each arm as it starts.
    """

    def __init__(self, system: str, on_arm: Callable[[str], None] = lambda arm: None):
        self._system, self._on_arm = system, on_arm
        self._since: float | None = None

    def __call__(self, arm: str) -> None:
        """Begin an arm."""
        self.close()
        self._on_arm(arm)
        print(f"  {self._system}: {arm} …", end="", file=sys.stderr, flush=True)
        self._since = time.perf_counter()

    def close(self) -> None:
        """End the current arm, if any."""
        if self._since is not None:
            print(f" {time.perf_counter() - self._since:.1f} s", file=sys.stderr, flush=True)
        self._since = None


def describe(name: str) -> Description:
    """Import only ``experiments/NAME/__init__.py`` and return what it says.

    Raises:
        ValueError: if the name is unknown (with a suggestion) or a part is missing or wrong.
    """
    if name not in experiments.SYSTEMS:
        raise errors.unknown("system", name, experiments.SYSTEMS)
    module = _import(name, "__init__")
    if name != module.NAME:
        raise ValueError(f"experiments/{name}: NAME: expected {name!r}, got {module.NAME!r}")
    if not isinstance(module.PAPER, Paper):
        raise ValueError(f"experiments/{name}: PAPER: expected a Paper, got {module.PAPER!r}")
    changes = getattr(module, "CHANGES", "")
    if not isinstance(changes, str):
        raise ValueError(f"experiments/{name}: CHANGES: expected a text, got {changes!r}")
    return Description(name, module.TITLE, module.PAPER, module.SUBSTITUTES, changes=changes)


def load(name: str) -> Experiment:
    """Import the whole folder of a system.

    Raises:
        ValueError: if the name is unknown (with a suggestion) or a part is missing or wrong.
    """
    about = describe(name)
    config, arms, claims, figure = (_import(name, file) for file in list(PARTS)[1:])
    lacking = [scale for scale in SCALE_NAMES if scale not in config.SCALES]
    if lacking:
        raise ValueError(f"experiments/{name}/config.py: SCALES lacks {lacking}")
    return Experiment(
        about.name,
        about.title,
        about.paper,
        about.substitutes,
        changes=about.changes,
        Config=config.Config,
        SCALES=config.SCALES,
        run=arms.run,
        claims=claims.claims,
        plot=figure.plot,
        learning_curves=getattr(arms, "learning_curves", None),
    )


def _import(name: str, file: str) -> ModuleType:
    """Import one file of a system and check that it defines its parts."""
    suffix = "" if file == "__init__" else f".{file}"
    module = importlib.import_module(f"experiments.{name}{suffix}")
    missing = [part for part in PARTS[file] if not hasattr(module, part)]
    if missing:
        raise ValueError(
            f"experiments/{name}/{file}.py: expected {', '.join(PARTS[file])}, lacks {missing}"
        )
    return module
