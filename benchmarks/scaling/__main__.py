"""How far one device goes, as figures, a table or a chart.

``python -m benchmarks.scaling --json PATH [--quick] [--only SECTION …] [--figure PATH]``
``python -m benchmarks.scaling --table PATH [--into benchmarks/SCALING.md]``

Everything runs in one process; programs of one size take turns and a rate is the median over turns.
Compilation is timed apart. Sizes that would not fit the memory, or the time, are listed as skipped.
"""

import argparse
import importlib.metadata
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from benchmarks.scaling import (
    donation,
    learners,
    local,
    memory,
    mixing,
    report,
    sweep,
    variants,
)
from benchmarks.scaling.timing import Row, Setting, free_memory, setting

SECTIONS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "learners": learners.rows,
    "local": local.rows,
    "donation": donation.rows,
    "memory": memory.rows,
    "sweep": sweep.rows,
    "gossip": mixing.rows,
    "variants": variants.rows,
}


def measure(
    sections: Sequence[str],
    *,
    quick: bool = False,
    seconds: float = 330.0,
    save: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """The report; ``save`` sees it after every section. A section that fails leaves ``errors``."""
    given = setting(quick, seconds)
    found: dict[str, Any] = {"device": _device(), "ceiling": {}, "seconds": {}, "errors": {}}
    for name in sections:
        began = time.perf_counter()
        found[name] = []
        try:
            for row in SECTIONS[name](given):
                found[name].append(row)
        except Exception:
            found["errors"][name] = traceback.format_exc()
            print(found["errors"][name], file=sys.stderr)
        found["seconds"][name] = time.perf_counter() - began
        found["ceiling"] = given.ceiling.result()
        save(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--figure", type=Path, metavar="PATH", help="draw the chart there")
    parser.add_argument("--table", type=Path, metavar="JSON", help="no measuring: print tables")
    parser.add_argument("--into", type=Path, metavar="MD", help="put the tables between its marks")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats: a check")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--seconds", type=float, default=330.0, help="begin nothing after that")
    parser.add_argument("--variants", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.table:
        text = report.tables(json.loads(options.table.read_text()))
        if options.into:
            options.into.write_text(report.insert(text, options.into.read_text()))
        else:
            print(text)
        return 0
    sections = options.only or [name for name in SECTIONS if name != "variants"]
    if options.variants and "variants" not in sections:
        sections = [*sections, "variants"]

    def save(found: dict[str, Any]) -> None:
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(found, indent=1) + "\n")

    found = measure(sections, quick=options.quick, seconds=options.seconds, save=save)
    print(report.tables(found))
    if options.figure and found.get("gossip"):
        report.figure(found, options.figure)
    return 1 if found["errors"] else 0


def _device() -> Row:
    return {
        "kind": jax.local_devices()[0].device_kind,
        "platform": jax.default_backend(),
        "free_bytes": free_memory(),
        "jax": jax.__version__,
        "jaxlib": importlib.metadata.version("jaxlib"),
    }


if __name__ == "__main__":
    raise SystemExit(main())
