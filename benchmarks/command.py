"""The command line that benchmarks made of sections share."""

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any


def main(
    name: str,
    description: str | None,
    sections: Collection[str],
    run: Callable[..., dict[str, Any]],
    arguments: Sequence[str] | None = None,
) -> None:
    """Run sections of ``python -m benchmarks.NAME`` and write the figures if asked to.

    Args:
        name: of the module.
        description: its docstring.
        sections: names of its sections, all of which run by default.
        run: ``run(sections, quick=…)`` prints the rows and returns what ``--json`` writes.
        arguments: of the command line; ``sys.argv`` by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: a check")
    parser.add_argument("--only", nargs="+", choices=sorted(sections), metavar="SECTION")
    options = parser.parse_args(arguments)
    report = run(options.only or list(sections), quick=options.quick)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")
