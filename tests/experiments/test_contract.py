"""Every system's folder keeps the contract of the harness."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import experiments
from experiments import harness
from experiments.harness.cli import main
from experiments.harness.protocol import PARTS, SCALE_NAMES

ROOT = Path(__file__).resolve().parents[2]
RESERVED = {"name", "scale", "runs", "json", "figure", "help"}  # options of `run` itself


def test_each_folder_is_a_system():
    assert list(experiments.SYSTEMS) == sorted(experiments.SYSTEMS)
    folders = {path.parent.name for path in (ROOT / "experiments").glob("*/__init__.py")}
    assert set(experiments.SYSTEMS) == folders - {"harness"}
    files = {path.name for path in (ROOT / "experiments").glob("*.py")}
    assert files == {"__init__.py", "__main__.py", "gossip_learning.py"}


def test_descriptions_import_no_jax():
    code = "".join(f"import experiments.{name}\n" for name in experiments.SYSTEMS)
    code += "import sys; print(sorted({'jax', 'numpy', 'matplotlib'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("name", experiments.SYSTEMS)
def test_folder(name):
    folder = ROOT / "experiments" / name
    assert {f"{file}.py" for file in PARTS} <= {path.name for path in folder.iterdir()}
    for path in folder.glob("*.py"):
        text = path.read_text()
        assert "sys.path" not in text
        assert "__main__" not in text
    system = harness.load(name)
    assert system.name == name
    assert system.title.strip()
    assert system.substitutes.strip()
    assert system.paper.author
    assert system.paper.title
    assert tuple(system.SCALES) == SCALE_NAMES
    assert dataclasses.is_dataclass(system.Config)
    assert system.Config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    fields = {field.name for field in dataclasses.fields(system.Config)}
    assert "seed" in fields
    assert not fields & RESERVED
    for scale, config in system.SCALES.items():
        assert isinstance(config, system.Config), scale


@pytest.mark.parametrize("name", experiments.SYSTEMS)
def test_every_field_has_a_help_text(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["run", name, "--help"]) == 0
    shown = help_texts(capsys.readouterr().out)
    fields = {
        field.name.replace("_", "-") for field in dataclasses.fields(harness.load(name).Config)
    }
    assert fields <= set(shown)
    assert [option for option, text in shown.items() if len(text.split()) < 2] == []


def test_a_missing_help_text_is_found(systems, capsys):
    path = systems / "fake" / "config.py"
    path.write_text(path.read_text().replace("  # number of agents", ""))
    assert main(["run", "fake", "--help"]) == 0
    shown = help_texts(capsys.readouterr().out)
    assert shown["seed"] == "base of all random keys"
    assert shown["fail"] == "raise an error in the second arm"
    assert [option for option, text in shown.items() if not text] == ["agents"]


def help_texts(shown: str) -> dict[str, str]:
    """Help text of each option in the output of ``--help``, without its default."""
    lines = [line.strip("│ ") for line in shown.splitlines()]
    texts = {}
    for block in re.split(r"\n(?=--)", "\n".join(lines))[1:]:
        header, _, text = re.sub(r"\n[╰╭].*", "", block, flags=re.S).partition("\n")
        header, _, start = header.partition("  ")
        text = f"{start} {text}".replace("\n", " ").split("(default:")[0]
        texts[header[2:].split()[0].strip(",")] = text.strip()
    return texts
