"""Where generated pages go, and writing them without touching what has not changed."""

import shutil
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GENERATED = ("api", "gallery", "notebooks", "pictures", "project")
"""Folders of ``docs/`` that are written by this package and that git ignores."""


def write(path: Path, text: str) -> Path:
    """Write ``text`` unless the file already holds it, so that Sphinx reads it only once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


def copy(source: Path, path: Path) -> Path:
    """Copy a file unless the copy is as new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != source.read_bytes():
        shutil.copyfile(source, path)
    return path


def keep_only(folder: Path, written: list[Path]) -> None:
    """Delete files of ``folder`` that were not written this time."""
    for path in folder.rglob("*"):
        if path.is_file() and path not in written:
            path.unlink()
