"""``python -m benchmarks.reference [--only SECTION …] [--quick] [--json PATH]``.

``--jaxmarl`` and ``--purejaxrl`` name checkouts of these repositories, whose scripts are trained
beside ours.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from benchmarks.reference.sections import SECTIONS, Checkouts
from benchmarks.reference.training import measure, table


def run(
    sections: Sequence[str],
    *,
    steps: int = 499_712,
    seeds: int = 5,
    jaxmarl: Path | None = None,
    purejaxrl: Path | None = None,
) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    device = jax.devices()[0]
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind, "rows": []}
    for section in sections:
        for setting, forms in SECTIONS[section](steps, Checkouts(jaxmarl, purejaxrl)):
            rows = measure(forms, seeds)
            for row in rows:
                row |= {"setting": setting}
            found["rows"] += rows
            print(table(rows), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Returns of our learners beside others' scripts.")
    parser.add_argument("--jaxmarl", type=Path, help="a checkout of JaxMARL's repository")
    parser.add_argument("--purejaxrl", type=Path, help="a checkout of PureJaxRL's repository")
    parser.add_argument("--json", type=Path, help="write all rows there")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--steps", type=int, default=499_712, help="of the environment, per seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="8,192 steps, one seed: a check")
    given = parser.parse_args(arguments)
    steps, seeds = (8_192, 1) if given.quick else (given.steps, given.seeds)
    found = run(
        given.only, steps=steps, seeds=seeds, jaxmarl=given.jaxmarl, purejaxrl=given.purejaxrl
    )
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
