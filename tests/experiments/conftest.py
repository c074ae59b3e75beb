"""Fake systems for the tests of the harness, as folders of their own outside the repository."""

import shutil
import sys
from pathlib import Path

import pytest

import experiments

FAKE = Path(__file__).resolve().parent / "fake"
SYSTEMS = ("absent", "broken", "fake", "flat")


def _copy(folder: Path, name: str, *changes: tuple[str, str]) -> None:
    """Copy the fake system to ``folder/name``, renamed, with text in it replaced."""
    shutil.copytree(FAKE, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / name).glob("*.py"):
        text = path.read_text()
        for old, new in (('"fake"', f'"{name}"'), ("experiments.fake", f"experiments.{name}")):
            text = text.replace(old, new)
        for old, new in changes:
            text = text.replace(old, new)
        path.write_text(text)


@pytest.fixture
def copy_system():
    """``copy_system(folder, name, *changes)``, see :func:`_copy`."""
    return _copy


@pytest.fixture
def systems(tmp_path, monkeypatch):
    """A working folder, and four systems: claims hold, do not hold, an error, no folder at all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path / "made")])
    monkeypatch.setattr(experiments, "SYSTEMS", SYSTEMS)
    _copy(tmp_path / "made", "fake")
    _copy(tmp_path / "made", "flat", ("gain: float = 1.0", "gain: float = 0.0"))
    _copy(tmp_path / "made", "broken", ("fail: bool = False", "fail: bool = True"))
    yield tmp_path / "made"
    for path in (tmp_path / "made").iterdir():
        for module in [m for m in sys.modules if f"{m}.".startswith(f"experiments.{path.name}.")]:
            del sys.modules[module]
        vars(experiments).pop(path.name, None)
