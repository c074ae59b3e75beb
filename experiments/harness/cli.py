"""``python -m experiments``: list the systems, run one, reproduce the claims of several.

Exit status: 0 if every claim held (or, at smoke scale, if everything ran), 1 if one did not hold, 2
after an error, 130 after Ctrl-C.
"""

import importlib
import json
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

import experiments
from experiments.harness import records, report
from experiments.harness.execute import Log, run_and_record
from experiments.harness.protocol import (
    SCALE_NAMES,
    Description,
    Experiment,
    Outcome,
    Paper,
    Scale,
    describe,
    load,
)
from jaxswarm import errors
from jaxswarm._compiled import keep_programs

RESULTS = Path("results")
PROGRAM = "python -m experiments"
INTERRUPTED = 130

_PATH = tyro.conf.arg(
    metavar="PATH", help="also write the claims to this file, as a JSON list", help_behavior_hint=""
)
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class List:
    """List the systems, their papers and how long a recorded run took at each scale."""

    json: Flag = False  # print a JSON list


@dataclass(frozen=True)
class Reproduce:
    """Run systems at one scale, compare their claims with the thresholds and print a table.

    results/ is updated if it already holds a run of the same system, scale and seed.
    """

    names: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="NAME…", help="systems to run", help_behavior_hint=""),
    ] = ()
    all: Flag = False  # run every system
    scale: Scale = "small"
    """Sizes: smoke takes seconds and judges nothing, small minutes, full a GPU or hours."""
    seed: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="INT",
            help="base of all random keys",
            help_behavior_hint="(default: that of the scale)",
        ),
    ] = None
    json: Annotated[Path | None, _PATH] = None
    record: Flag = False  # update results/ also if it holds no such run yet


@dataclass(frozen=True)
class Report:
    """Generate results/REPRODUCTION.md from results/claims.json."""


def main(args: Sequence[str] | None = None) -> int:
    """Parse ``args`` (``sys.argv`` by default), run the command, return the exit status."""
    args = list(sys.argv[1:] if args is None else args) or ["list"]
    try:
        if args[0] == "run" and args[1:2] and args[1] in experiments.SCRIPTS:
            script = importlib.import_module(f"experiments.{args[1]}")
            return script.command_line(args[2:], program=f"{PROGRAM} run {args[1]}")
        given = _parse(args)
        if isinstance(given, Reproduce):
            return _reproduce(given)
        if isinstance(given, List):
            return _list(given)
        if isinstance(given, Report):
            print(f"written to {report.write_document(RESULTS)}")
            return 0
        return _run(given, args)
    except SystemExit as stop:  # of tyro: help or a wrong option, already printed
        return stop.code if isinstance(stop.code, int) else 2
    except ValueError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _stopped("nothing was recorded")
    except Exception:
        traceback.print_exc()
        return 2


def _parse(args: list[str]) -> Any:
    """The options as an object of the command's class."""
    listing: Any = Annotated[List, tyro.conf.subcommand("list")]
    running: Any = Annotated[_run_options(args), tyro.conf.subcommand("run")]
    reproducing: Any = Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
    reporting: Any = Annotated[Report, tyro.conf.subcommand("report")]
    return tyro.cli(
        listing | running | reproducing | reporting,
        args=args,
        prog=PROGRAM,
        description="Reproductions of published systems, compared claim by claim.",
    )


def _run_options(args: list[str]) -> Any:
    """The class of the options of ``run``: with the fields of the named system's Config, if any.

    Raises:
        ValueError: if ``args`` run a system that does not exist.
    """
    scale, doc, fields = "small", "Run one system with changed options, record it in runs/.", []
    name = _system_in(args[1:]) if args[0] == "run" else None
    if name is not None:
        experiment = load(name)
        scale, values = _scale_in(args), experiment.SCALES[_scale_in(args)]
        file = _value_of("--config", args)
        if file:
            values, said = records.load_config(file, values)
            scale = said if said in SCALE_NAMES else scale
        if any(arg.partition("=")[0] == "--devices" for arg in args):
            raise ValueError(
                f"--devices: {name} runs on one device; agents are split over several by "
                "`run gossip_learning --devices D` and `jaxswarm demo --devices D`"
            )
        config = Annotated[experiment.Config, tyro.conf.arg(name="")]
        fields.append(("config", config, values))
        doc = (
            f"{experiment.title}.\n\nPaper: {experiment.paper}. Sizes below are those of "
            f"--scale {scale}."
        )
    options = make_dataclass(
        "Run",
        [
            ("name", Annotated[str, tyro.conf.Positional, _help("system, see list", "NAME")]),
            ("scale", Annotated[Scale, _help("where the defaults of all sizes come from")], scale),
            ("runs", Annotated[Path, _help("folder in which NAME/TIME is made")], Path("runs")),
            ("json", Annotated[Path | None, _PATH], None),
            ("figure", Annotated[bool, _help("draw figure.png")], True),
            (
                "config_file",
                Annotated[
                    Path | None,
                    tyro.conf.arg(
                        name="config",
                        metavar="PATH",
                        help="config.json of an earlier run, from which all defaults come",
                        help_behavior_hint="",
                    ),
                ],
                None,
            ),
            (
                "log",
                Annotated[
                    Log | None,
                    tyro.conf.arg(
                        help="write records to RUN/log while the system runs, or to wandb",
                        help_behavior_hint="",
                    ),
                ],
                None,
            ),
            *fields,
        ],
        frozen=True,
    )
    options.__doc__ = doc + (
        ""
        if name
        else f" `{PROGRAM} run NAME --help` lists the options. NAME may also be a script: "
        f"{', '.join(experiments.SCRIPTS)}."
    )
    return options


def _help(text: str, metavar: str | None = None) -> Any:
    return tyro.conf.arg(help=text, metavar=metavar)


def _system_in(args: list[str]) -> str | None:
    """The system named in the arguments of ``run``; ``None`` if they name none."""
    for arg in args:
        if arg in experiments.SYSTEMS:
            return arg
    if args and not args[0].startswith("-"):
        raise errors.unknown("system", args[0], (*experiments.SYSTEMS, *experiments.SCRIPTS))
    return None


def _scale_in(args: list[str]) -> Scale:
    """The value of ``--scale``, needed before the other options can show their defaults."""
    for name in SCALE_NAMES:
        if _value_of("--scale", args) == name:
            return name
    return "small"


def _value_of(wanted: str, args: list[str]) -> str:
    """The value of an option, the last one given; empty without."""
    found = ""
    for option, value in zip(args, [*args[1:], ""], strict=True):
        name, equals, joined = option.partition("=")
        if name == wanted:
            found = joined if equals else value
    return found


def _list(given: List) -> int:
    """Print every system with the minutes of the runs in ``results/claims.json``.

    A run takes at most its processor time where cores are idle, so where that is known and less
    than the wall time it is printed instead.
    """
    entries, rows, status = report.read(RESULTS), [], 0
    for name in experiments.SYSTEMS:
        try:
            about = describe(name)
        except Exception as error:
            status = _fail(f"{name}: {_one_line(error)}")
            continue
        minutes = {
            scale: round(_expected_seconds(entries[name, scale]) / 60, 1)
            for scale in SCALE_NAMES
            if (name, scale) in entries
        }
        rows.append(
            {
                "name": name,
                "title": about.title,
                "paper": about.paper._asdict(),
                "minutes": minutes,
            }
        )
    if given.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return status
    indent = " " * (2 + max((len(row["name"]) for row in rows), default=0))
    for row in rows:
        times = ", ".join(f"{scale} {value:.1f} min" for scale, value in row["minutes"].items())
        print(f"{row['name']:<{len(indent)}}{row['title']}")
        print(f"{indent}{Paper(**row['paper'])}\n{indent}recorded: {times or 'no run'}")
    return status


def _expected_seconds(entry: report.Entry) -> float:
    """Wall time, or processor time if that is known and less."""
    return min(entry["seconds"], entry.get("cpu_seconds") or entry["seconds"])


def _run(given: Any, args: list[str]) -> int:
    """Run one system with the Config given by options; results/ is not touched."""
    command = shlex.join([*PROGRAM.split(), *args])
    experiment = load(given.name)
    kept = keep_programs(given.runs / "compiled")  # `reproduce` compiles: it measures first runs
    try:
        outcome = run_and_record(
            experiment,
            given.config,
            scale=given.scale,
            command=command,
            runs=given.runs,
            figure=given.figure,
            log=given.log,
        )
    except KeyboardInterrupt:
        return _stopped(f"{given.name} is not finished and not recorded")
    print(report.terminal([outcome]))
    if kept is not None:
        print(kept)
    _write_claims(given.json, [outcome])
    return outcome.exit_code


def _reproduce(given: Reproduce) -> int:
    """Run systems one after the other; each is recorded as soon as it is finished."""
    for name in given.names:
        if name not in experiments.SYSTEMS:
            raise errors.unknown("system", name, experiments.SYSTEMS)
    names = experiments.SYSTEMS if given.all else tuple(dict.fromkeys(given.names))
    if not names:
        raise ValueError("nothing to reproduce; name a system or pass --all")
    report.read(RESULTS)  # a damaged file is found before hours of work, not after
    outcomes: list[Outcome] = []
    finished: list[str] = []
    for name in names:
        try:
            outcome, where = _reproduce_one(name, given)
        except KeyboardInterrupt:
            before = ", ".join(finished) or "none"
            return _stopped(f"{name} is not finished and not recorded; finished before: {before}")
        outcomes.append(outcome)
        finished.append(f"{name} ({where})")
    print(report.terminal(outcomes))
    _write_claims(given.json, outcomes)
    return max(outcome.exit_code for outcome in outcomes)


def _reproduce_one(name: str, given: Reproduce) -> tuple[Outcome, str]:
    """Run one system and record it where that was decided; the outcome and where it went."""
    scale, words = given.scale, [*PROGRAM.split(), "reproduce", name, "--scale", given.scale]
    command = shlex.join(words + ([] if given.seed is None else ["--seed", str(given.seed)]))
    about: Description | None = None
    try:
        about = experiment = load(name)
        config = experiment.SCALES[scale]
        config = config if given.seed is None else replace(config, seed=given.seed)
    except Exception as error:
        traceback.print_exc()
        said = _one_line(error)
        return Outcome(name, scale, command, error=said, seed=given.seed, about=about), "failed"
    records_it = _decide(experiment, config.seed, given)
    outcome = run_and_record(experiment, config, scale=scale, command=command)
    if outcome.error is not None:
        return outcome, "failed"
    if not records_it:
        return outcome, f"recorded in {outcome.folder}"
    document = report.record(RESULTS, outcome, records.versions())
    print(f"{name}: written to {document}")
    return outcome, f"recorded in {RESULTS}/ and {outcome.folder}"


def _decide(experiment: Experiment, seed: int, given: Reproduce) -> bool:
    """Say, before the run, whether its outcome will be written to results/."""
    run = f"{experiment.name}, {given.scale} scale, seed {seed}"
    entry = report.read(RESULTS).get((experiment.name, given.scale))
    has_entry = entry is not None and entry.get("seed") == seed
    if has_entry or given.record:
        print(f"{run}: results/ will be updated if it finishes", flush=True)
        return True
    print(f"results/ left as it is ({run} is not in it); pass --record to update it", flush=True)
    return False


def _write_claims(path: Path | None, outcomes: Sequence[Outcome]) -> None:
    """Write the claims of all outcomes as one JSON list, if a path is given."""
    if path is not None:
        claims = [
            claim.as_json(is_judged=outcome.is_judged)
            for outcome in outcomes
            for claim in outcome.claims
        ]
        records.write_json(path, claims)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _stopped(message: str) -> int:
    print(f"stopped: {message}", file=sys.stderr)
    return INTERRUPTED
