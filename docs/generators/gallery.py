"""One page for each published system, from ``results/claims.json`` and ``experiments/``."""

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import experiments
from docs.generators.files import DOCS, ROOT, copy, keep_only, write
from experiments.harness import protocol

FOLDER = DOCS / "gallery"
RESULTS = ROOT / "results"
_COLUMNS = (
    "claim",
    "measured",
    "value, 95 % interval",
    "threshold",
    "verdict",
)
_VERDICTS = {True: "{bdg-success}`held`", False: "{bdg-danger}`not held`"}


def pages() -> list[Path]:
    """Write a page for each system and the page that lists them; their paths."""
    entries = json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))
    by_system = {
        name: sorted(group, key=lambda entry: entry["scale"] != "small")
        for name, group in groupby(entries, key=lambda entry: entry["system"])
    }
    written = []
    for name in experiments.SYSTEMS:
        about = protocol.describe(name)
        written.append(write(FOLDER / f"{name}.md", _page(about, by_system.get(name, []))))
        figure = RESULTS / "figures" / f"{name}.png"
        if figure.exists():
            written.append(copy(figure, FOLDER / "figures" / figure.name))
            written.append(_thumbnail(figure))
    written.append(write(FOLDER / "index.md", _index(by_system)))
    keep_only(FOLDER, written)
    return written


def _index(by_system: dict[str, list[dict[str, Any]]]) -> str:
    cards, names = [], []
    for name in experiments.SYSTEMS:
        about, runs = protocol.describe(name), by_system.get(name, [])
        counts = "; ".join(f"{_count(run)} ({run['scale']})" for run in runs) or "no recorded run"
        picture = f":img-top: thumbnails/small_{name}.png\n" if _has_figure(name) else ""
        cards.append(
            f":::{{grid-item-card}} {name}\n:link: {name}\n:link-type: doc\n{picture}\n"
            f"{_escaped(about.title)}\n\n"
            f"{_authors(about.paper)}, {about.paper.year} · {counts}\n:::"
        )
        names.append(name)
    held, total = _totals(by_system)
    return "\n".join(
        [
            "# Systems gallery",
            "",
            f"{len(experiments.SYSTEMS)} published systems were built from the packages of this "
            "library and compared with what their papers state. Thresholds stood in the source "
            f"before each recorded run; of {total} claims of the recorded runs, {held} held. "
            "A claim that did not hold stays in the tables as *not held*. These pages are "
            "generated from the recorded results.",
            "",
            "::::{grid} 1 2 2 3\n:gutter: 3\n",
            *cards,
            "::::",
            "",
            "```{toctree}\n:hidden:\n",
            *names,
            "```",
            "",
        ]
    )


def _page(about: protocol.Description, runs: list[dict[str, Any]]) -> str:
    name = about.name
    parts = [f"# {name}", _escaped(about.title) + ".", f"**Paper.** {_escaped(str(about.paper))}."]
    if _has_figure(name):
        parts.append(
            f"```{{figure}} figures/{name}.png\n:alt: results of {name} at small scale\n"
            f":target: ../_images/{name}.png\n\n"
            "Small scale, seed 0; select it for its full size.\n```"
        )
    parts.append(f"**What stands in for what.** {_escaped(about.substitutes)}")
    parts.append(_commands(name, runs))
    parts += [_run(run) for run in runs]
    if (ROOT / "jaxswarm" / "systems" / name / "__init__.py").exists():
        parts.append(f"**Code.** {{py:mod}}`jaxswarm.systems.{name}`, `experiments/{name}/`")
    else:
        parts.append(f"**Code.** `experiments/{name}/`")
    return "\n\n".join(parts) + "\n"


def _commands(name: str, runs: list[dict[str, Any]]) -> str:
    lines = [f"{run['command']:60}  # {_seconds(run['seconds'])}" for run in runs]
    lines = lines or [f"python -m experiments reproduce {name} --scale small"]
    lines.append(f"python -m experiments run {name} --help")
    return "**Commands**, in a checkout:\n\n```console\n" + "\n".join(lines) + "\n```"


def _run(run: dict[str, Any]) -> str:
    versions = run.get("versions", {})
    parts = [f"## {run['scale'].capitalize()} scale: {_count(run)}"]
    rows = []
    for claim in run["claims"]:
        note = f" ({_escaped(claim['note'])})" if claim.get("note") else ""
        rows.append(
            (
                f"**{_escaped(claim['claim'])}.** {_escaped(claim.get('statement', ''))}",
                _escaped(claim.get("measured", "–")) + note,
                _value(claim),
                f"{claim['bound']} {_number(claim['threshold'])}",
                _verdict(claim),
            )
        )
    parts.append(_table(rows))
    about = [f"{run['date']}", f"commit {versions.get('commit', '–')}"]
    about += [f"jax {versions.get('jax', '–')}", f"{versions.get('device', '–')}"]
    parts.append(
        f"Seed {run['seed']}, {_seconds(run['seconds'])} on two CPU cores; {', '.join(about)}."
    )
    return "\n\n".join(parts)


def _table(rows: list[tuple[str, ...]]) -> str:
    head = "| " + " | ".join(_COLUMNS) + " |"
    lines = [head, "|" + " --- |" * len(_COLUMNS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ":::{div} claims\n\n" + "\n".join(lines) + "\n\n:::"


def _verdict(claim: dict[str, Any]) -> str:
    text = _VERDICTS[bool(claim["held"])]
    return text + (" undecided" if claim.get("crosses") else "")


def _value(claim: dict[str, Any]) -> str:
    interval = claim.get("interval")
    text = f"{_number(claim['effect'])}"
    if interval:
        text += f" [{_number(interval[0])}, {_number(interval[1])}]"
    seeds = f"{claim['seeds']} seed{'s' * (claim['seeds'] != 1)}"
    return f"{text} {_escaped(claim.get('unit', ''))}, {seeds}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−", 1)


def _count(run: dict[str, Any]) -> str:
    return f"{sum(bool(c['held']) for c in run['claims'])} of {len(run['claims'])} claims held"


def _totals(by_system: dict[str, list[dict[str, Any]]]) -> tuple[int, int]:
    claims = [claim for runs in by_system.values() for run in runs for claim in run["claims"]]
    return sum(bool(claim["held"]) for claim in claims), len(claims)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _authors(paper: protocol.Paper) -> str:
    return paper.author.split(",")[0].removesuffix(" et al.") + (
        " et al." if "," in paper.author or "et al." in paper.author else ""
    )


def _has_figure(name: str) -> bool:
    return (RESULTS / "figures" / f"{name}.png").exists()


def _thumbnail(figure: Path) -> Path:
    """A picture of the figure 640 pixels wide, for the cards."""
    from PIL import Image

    path = FOLDER / "thumbnails" / f"small_{figure.name}"
    if path.exists() and path.stat().st_mtime >= figure.stat().st_mtime:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(figure) as picture:
        width = 640
        small = picture.convert("RGB").resize(
            (width, round(picture.height * width / picture.width))
        )
        small = small.crop((0, 0, width, min(small.height, 400)))
        small.save(path, optimize=True)
    return path


def _escaped(text: str) -> str:
    """Text as Markdown that shows it as it stands: no mark-up but code and links."""
    kept = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>\[\]$])", r"\\\1", part) for part in kept
    )
