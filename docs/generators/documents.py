"""Pages made of files that live elsewhere: changelog, benchmarks, contributing, notebooks."""

import json
import posixpath
import re
from pathlib import Path

from docs.generators.files import DOCS, ROOT, copy, keep_only, write

PAGES = {
    "CHANGELOG.md": "project/changelog",
    "CONTRIBUTING.md": "project/contributing",
    "benchmarks/README.md": "project/benchmarks",
    "benchmarks/SCALING.md": "project/scaling",
}
"""File of the repository, and the page that shows it."""
_ELSEWHERE = {"docs/methods.md": "methods", "results/REPRODUCTION.md": "gallery/index"}


def pages() -> list[Path]:
    """Write all pages; their paths."""
    written = []
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text, pictures = _relinked(text, source, page)
        written.append(write(DOCS / f"{page}.md", text))
        written += [copy(ROOT / each, DOCS / "project" / Path(each).name) for each in pictures]
    keep_only(DOCS / "project", written)
    return written + notebooks()


def notebooks() -> list[Path]:
    """Copy the notebooks, outputs included, and write the page that lists them."""
    folder, written, rows = DOCS / "notebooks", [], []
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        written.append(copy(source, folder / source.name))
        title, first = _opening(source)
        rows.append(f"[{title}]({source.stem})\n: {first}")
    names = "\n".join(path.stem for path in written)
    text = (
        "# Notebooks\n\nEach runs on two CPU cores in minutes; the outputs below are those stored "
        "in the repository (`make notebooks` makes them again).\n\n"
        + "\n\n".join(rows)
        + f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )
    written.append(write(folder / "index.md", text))
    keep_only(folder, written)
    return written


def _opening(notebook: Path) -> tuple[str, str]:
    """The title of a notebook and its first paragraph."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    title, _, rest = "".join(cells[0]["source"]).partition("\n")
    return title.lstrip("# "), " ".join(rest.strip().split("\n\n")[0].split())


def _relinked(text: str, source: str, page: str) -> tuple[str, list[str]]:
    """Links to files turned into links to pages, or into plain text; pictures to be copied."""
    pictures: list[str] = []

    def replace(match: re.Match[str]) -> str:
        mark, label, target = match.groups()
        if "://" in target or target.startswith("#"):
            return match.group()
        name, _, anchor = target.partition("#")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if mark:
            pictures.append(name)
            return f"![{label}]({posixpath.basename(name)})"
        if (known := {**PAGES, **_ELSEWHERE}.get(name)) is None:
            return label if label.startswith("`") else f"{label} (`{name}`)"
        anchor = f"#{anchor}" if anchor else ""
        return f"[{label}](/{known}.md{anchor})"

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", replace, text), pictures
