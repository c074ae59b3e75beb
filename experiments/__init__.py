"""Reproductions of published systems, one folder each; ``python -m experiments list``.

What a folder contains is described in :mod:`experiments.harness`.
"""

from pathlib import Path

# A system is a folder with arms.py; its name is the name of the folder.
SYSTEMS: tuple[str, ...] = tuple(
    sorted(path.parent.name for path in Path(__file__).parent.glob("*/arms.py"))
)

SCRIPTS: tuple[str, ...] = ("gossip_learning",)
"""Programs of one file, with ``command_line(args)``, that ``run NAME`` runs as well."""
