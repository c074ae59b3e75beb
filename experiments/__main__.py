"""``python -m experiments``: list the systems, reproduce their claims.

Exit status: 0 if every claim held, 1 if one did not, 2 on an error.
"""

import argparse
import json
import shlex
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from experiments import SYSTEMS, harness, records, report

RESULTS = Path("results")


def main(args: list[str] | None = None) -> int:
    """Parse ``args`` (``sys.argv`` by default), run the command, return the exit status."""
    given = _parser().parse_args(args)
    try:
        if given.command == "reproduce":
            return _reproduce(given)
        return _list(as_json=getattr(given, "json", False))
    except Exception:
        traceback.print_exc()
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments", description="Published systems, measured claim by claim."
    )
    commands = parser.add_subparsers(dest="command", metavar="list | reproduce")
    listing = commands.add_parser("list", help="the systems and their papers")
    listing.add_argument("--json", action="store_true", help="as a JSON list")
    reproduce = commands.add_parser(
        "reproduce", help="run systems, judge their claims, write results/REPRODUCTION.md"
    )
    reproduce.add_argument("names", nargs="*", metavar="NAME", help="which systems")
    reproduce.add_argument("--all", action="store_true", help="every system")
    reproduce.add_argument("--scale", choices=harness.SCALE_NAMES, default="small")
    reproduce.add_argument("--seed", type=int, metavar="BASE", help="base seed of all arms")
    reproduce.add_argument("--json", type=Path, metavar="PATH", help="write the claims as JSON")
    return parser


def _list(*, as_json: bool) -> int:
    rows, status = [], 0
    for name in sorted(SYSTEMS):
        try:
            module = harness.load(name)
        except Exception:
            traceback.print_exc()
            status = 2
            continue
        rows.append({"name": name, "title": module.TITLE, "paper": module.PAPER._asdict()})
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return status
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        paper = harness.Paper(**row["paper"])
        print(f"{row['name']:<{width}}  {row['title']}\n{'':<{width}}  {paper}")
    return status


def _reproduce(given: argparse.Namespace) -> int:
    names = sorted(SYSTEMS) if given.all else list(dict.fromkeys(given.names))
    unknown = [name for name in given.names if name not in SYSTEMS]
    for name in unknown:
        hint = report.suggestion(name, SYSTEMS)
        print(f"error: unknown experiment {name!r}; {hint}", file=sys.stderr)
    if not names:
        print("error: nothing to reproduce; name a system or pass --all", file=sys.stderr)
    if unknown or not names:
        return 2
    report.read(RESULTS)  # a damaged file is found before hours of work, not after
    outcomes = [_one(name, given.scale, given.seed) for name in names]
    print(report.terminal(outcomes))
    document = report.update(RESULTS, outcomes, records.versions())
    print(f"written to {document}")
    if given.json is not None:
        claims = [each.as_json() for outcome in outcomes for each in outcome.claims]
        records.write_json(given.json, claims)
    return max((outcome.exit_code for outcome in outcomes), default=2)


def _one(name: str, scale: str, seed: int | None) -> harness.Outcome:
    words = ["python", "-m", "experiments", "reproduce", name, "--scale", scale]
    command = shlex.join(words + ([] if seed is None else ["--seed", str(seed)]))
    print(f"{name} ({scale})", file=sys.stderr)
    try:
        module = harness.load(name)
        config = module.SCALES[scale]
        config = config if seed is None else replace(config, seed=seed)
    except Exception as error:
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        return harness.Outcome(name, scale, command, error=said, seed=seed)
    return harness.execute(module, config, scale=scale, command=command)


if __name__ == "__main__":
    sys.exit(main())
